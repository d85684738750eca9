import { describe, expect, it } from "vitest";
import {
  choosePrimary,
  decodeClusterState,
  downIdsOf,
  firstClusterState,
  formatStatusText,
  HISTORY_MAX,
  makeClusterView,
  NO_MARKS,
  NOTHING_SEEN,
  parseStatusText,
  plainEntry,
  withBackends,
  withHistory,
  withMarks,
  type ClusterState,
} from "../../../../../src/backend/index.ts";
import { Secret } from "../../../../../src/base/index.ts";
import type { BackendConfig } from "../../../../../src/config/index.ts";

const first = firstClusterState([0, 1, 3], new Set([1]), 500);

describe("pgpool_status", () => {
  it("has a line for every slot up to the last that is used", () => {
    expect(formatStatusText(first)).toBe("up\ndown\nunused\nup\n");
  });

  it("is not written while every backend is down", () => {
    const allDown = firstClusterState([0, 1], new Set([0, 1]), 0);
    expect(formatStatusText(allDown)).toBeNull();
  });

  it("is read back, whatever the case and the blanks", () => {
    const lines = parseStatusText("up\n Down \nunused");
    expect(lines).toEqual({ ok: true, value: ["up", "down", "unused"] });
    expect(lines.ok && [...downIdsOf(lines.value)]).toEqual([1]);
  });

  it.each([
    ["down\ndown\n", "no backend is up in it"],
    ["", "line 1 is neither up, down nor unused"],
    ["up\nmaybe\n", "line 2 is neither up, down nor unused"],
    ["up\n".repeat(129), "it has more than 128 lines"],
  ])("is not believed when it holds %j", (text, error) => {
    expect(parseStatusText(text)).toEqual({ ok: false, error });
  });
});

describe("the cluster's state", () => {
  it("is read back as it was", () => {
    const value: unknown = JSON.parse(JSON.stringify(first));
    expect(decodeClusterState(value)).toEqual({ ok: true, value: first });
  });

  it.each<[string, object, string]>([
    ["another format", { format: 2 }, "format 2 of the cluster's state is not known"],
    ["no epoch", { epoch: undefined }, "epoch of the cluster's state must be a number"],
    ["half an epoch", { epoch: 1.5 }, "epoch of the cluster's state must be a natural number"],
    ["a primary that is none", { primaryId: 2 }, "primaryId 2 is none of the backends"],
    [
      "backends that are no list",
      { backends: {} },
      "backends of the cluster's state must be a list of at most 128",
    ],
    [
      "backends in disorder",
      { backends: first.backends.toReversed() },
      "backends must stand by ascending id",
    ],
    [
      "a state of its own",
      { backends: [{ ...first.backends[0], state: "gone" }] },
      "state of a backend must be one of waiting, up, down",
    ],
    ["an intent without its fields", { intent: {} }, "epoch of intent must be a number"],
    [
      "too long a history",
      { history: Array.from({ length: 21 }, () => ({})) },
      "history of the cluster's state must be a list of at most 20",
    ],
  ])("is refused with %s", (_, change, error) => {
    expect(decodeClusterState({ ...first, ...change })).toEqual({ ok: false, error });
  });

  it("is refused when it is no object at all", () => {
    for (const value of [null, undefined, 7, "x", []]) {
      expect(decodeClusterState(value).ok).toBe(false);
    }
  });

  it("keeps the date of a backend whose state does not change", () => {
    const changed = withBackends(first, [0, 1], { state: "down", reason: "x", changedAt: 900 });
    expect(changed.backends.map(({ changedAt }) => changedAt)).toEqual([900, 500, 500]);
  });

  it("forgets the oldest of its history", () => {
    let state: ClusterState = first;
    for (let epoch = 0; epoch < HISTORY_MAX + 3; epoch += 1) {
      const facts = { epoch, eventId: "e", kind: "detach", reason: "", endedAt: 0 } as const;
      state = withHistory(state, plainEntry(facts));
    }
    expect(state.history.map(({ epoch }) => epoch)).toEqual(
      Array.from({ length: HISTORY_MAX }, (_, index) => index + 3),
    );
  });
});

const backend = (id: number, weight: number): BackendConfig => ({
  id,
  hostname: `db${id}`,
  port: 5432,
  weight,
  dataDirectory: "",
  applicationName: "",
  mayFailover: true,
  alwaysPrimary: false,
  healthCheck: {
    period: 0,
    timeout: 0,
    user: "",
    password: new Secret(""),
    database: "",
    maxRetries: 0,
    retryDelay: 0,
    connectTimeout: 0,
  },
});

describe("what a node adds for itself", () => {
  const state: ClusterState = { ...first, primaryId: 0 };

  it("shows a quarantined backend as down, and nobody as primary when it is that", () => {
    const seen = withMarks(state, { ...NO_MARKS, quarantinedIds: new Set([0, 1]) });
    expect(seen.primaryId).toBeNull();
    expect(seen.backends.map((one) => [one.state, one.quarantined])).toEqual([
      ["down", true],
      ["down", false], // Down for all: quarantine adds nothing.
      ["waiting", false],
    ]);
  });

  it("shows a backend as up once it was reached, until it is attached anew", () => {
    const reached = new Map([
      [0, 500],
      [3, 400],
    ]);
    const seen = withMarks(state, { ...NO_MARKS, reached });
    expect(seen.backends.map((one) => one.state)).toEqual(["up", "down", "waiting"]);
  });

  it("becomes the view of the workers, with shares of the weight", () => {
    const facts = {
      state,
      index: 7,
      marks: NO_MARKS,
      backends: [backend(0, 1), backend(1, 3)],
      seen: new Map(),
      toldDelays: null,
      selectCounts: new Map([[1, 7]]),
      refusal: null,
      delayIsTime: false,
      isStreaming: true,
    };
    const view = makeClusterView(facts);
    expect([view.index, view.awaitsPrimary]).toEqual([7, false]);
    expect(view.backends.map((one) => [one.weight, one.selectCount, one.state])).toEqual([
      [0.25, 0, "waiting"],
      [0.75, 7, "down"],
    ]);
  });

  it("takes the lowest live server for the primary where none says that it is one", () => {
    const facts = {
      state: { ...first, primaryId: null },
      index: 1,
      marks: NO_MARKS,
      backends: [],
      seen: new Map(),
      toldDelays: null,
      selectCounts: new Map(),
      refusal: null,
      delayIsTime: false,
      isStreaming: false,
    };
    const quarantined = { ...NO_MARKS, quarantinedIds: new Set([0]) };
    expect(makeClusterView(facts).primaryId).toBe(0);
    expect(makeClusterView({ ...facts, marks: quarantined }).primaryId).toBe(3);
    expect(makeClusterView({ ...facts, isStreaming: true }).primaryId).toBeNull();
  });

  it("compares nothing where nothing streams, and takes the roles for what the servers are", () => {
    const seen = { ...NOTHING_SEEN, pgStatus: "up", pgRole: "primary" } as const;
    const lagging = { ...seen, replicationDelayBytes: 9, replicationDelayMs: 9 };
    const backends = [backend(0, 1), backend(3, 1)];
    const facts = {
      state: { ...first, primaryId: null },
      index: 1,
      marks: NO_MARKS,
      backends,
      seen: new Map([[3, lagging]]),
      toldDelays: null,
      selectCounts: new Map(),
      refusal: null,
      isStreaming: false,
      delayIsTime: false,
    };
    const view = makeClusterView(facts);
    expect(view.backends.map(({ pgRole }) => pgRole)).toEqual(["unknown", "replica"]);
    expect(view.backends[1]).toMatchObject({ replicationDelayBytes: 0, replicationDelayMs: 0 });
    const streaming = makeClusterView({ ...facts, isStreaming: true });
    expect(streaming.backends[1]).toMatchObject(lagging);
  });
});

describe("the choice of the primary", () => {
  const identity = (
    timeline: number,
    systemIdentifier = "7",
  ): { systemIdentifier: string; timeline: number } => ({
    systemIdentifier,
    timeline,
  });

  it("is nobody while all are in recovery, or nobody answers", () => {
    expect(choosePrimary([], null)).toBeNull();
    expect(choosePrimary([{ id: 0, isInRecovery: true, identity: null }], null)).toBeNull();
  });

  it("prefers the newest timeline to the order of ids", () => {
    const answers = [
      { id: 1, isInRecovery: false, identity: identity(3) },
      { id: 2, isInRecovery: false, identity: identity(2) },
    ];
    expect(choosePrimary(answers, identity(2))?.primaryId).toBe(1);
  });

  it("leaves out a server of another history and one that stayed behind", () => {
    const answers = [
      { id: 0, isInRecovery: false, identity: identity(1) },
      { id: 1, isInRecovery: false, identity: identity(5, "8") },
    ];
    expect(choosePrimary(answers, identity(2))).toBeNull();
  });

  it("takes the last of several equal ones, or the first where there is no standby", () => {
    const primaries = [0, 1].map((id) => ({ id, isInRecovery: false, identity: null }));
    expect(choosePrimary(primaries, null)?.primaryId).toBe(0);
    const standby = { id: 2, isInRecovery: true, identity: null };
    expect(choosePrimary([...primaries, standby], null)?.primaryId).toBe(1);
  });
});
