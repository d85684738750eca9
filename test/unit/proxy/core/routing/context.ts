import {
  compileRules,
  type RoutingConfig,
  type RoutingContext,
} from "../../../../../src/proxy/core/routing/index.ts";
import { ROUTING } from "../../../../support/routing.ts";
import type { BackendView, ClusterView } from "../../../../../src/wire/ipc/index.ts";

export function backend(id: number, own: Partial<BackendView> = {}): BackendView {
  return {
    id,
    hostname: `h${id}`,
    port: 5432,
    weight: 1 / 3,
    state: "up",
    quarantined: false,
    stateChangedAt: 0,
    pgStatus: "up",
    pgRole: "unknown",
    replicationDelayBytes: 0,
    replicationDelayMs: 0,
    replicationState: "",
    replicationSyncState: "",
    stateReason: "",
    problem: null,
    timeline: null,
    systemIdentifier: null,
    walLsn: null,
    receivedLsn: null,
    selectCount: 0,
    ...own,
  };
}

/** Primary 0, standbys 1 and 2, unless told otherwise. */
export function view(own: Partial<ClusterView> = {}): ClusterView {
  return {
    epoch: 1,
    primaryEpoch: 1,
    primaryId: 0,
    backends: [backend(0), backend(1), backend(2)],
    index: 1,
    awaitsPrimary: false,
    maintenance: null,
    drainingId: null,
    refusal: null,
    isStreaming: true,
    delayIsTime: false,
    ...own,
  };
}

export function config(own: Partial<RoutingConfig> = {}): RoutingConfig {
  return { ...ROUTING, ...own };
}

/** A session whose reads go to node 1. */
export function context(
  own: Partial<RoutingContext> = {},
  ownConfig: Partial<RoutingConfig> = {},
): RoutingContext {
  const rules = compileRules(config(ownConfig));
  return {
    rules,
    judge: rules.judgeFor(null),
    view: view(),
    preferences: [],
    text: "",
    loadBalanceNode: 1,
    randomUnit: 0,
    inTransaction: false,
    hold: "begun",
    written: new Set(),
    mutations: null,
    writeSeen: false,
    pinned: false,
    tempRelations: new Set(),
    ...own,
  };
}
