import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log } from "../../os/index.ts";
import type { Heartbeat, Hello, HelloReply, SharedSettings } from "../../wire/watchdog/index.ts";
import {
  heartbeatFlaw,
  startLifecheck,
  stepLifecheck,
  type LifecheckEvent,
  type LifecheckRules,
  type LifecheckState,
  type PeerLife,
} from "../core/lifecheck/index.ts";
import {
  followLives,
  membersWanted,
  type NodeLife,
  type RemovalPolicy,
} from "../core/membership.ts";
import { standingOrder } from "../core/rank.ts";
import { differenceLine, differencesFrom } from "../core/shared-settings.ts";
import type { ViewFacts } from "../core/view.ts";

export interface KnownPeersOptions {
  readonly peerIds: readonly number[];
  readonly self: { readonly id: number; readonly name: string; readonly priority: number };
  /** wd_heartbeat_deadtime in milliseconds. */
  readonly deadMs: Ms;
  /** Without them heartbeats alone judge. */
  readonly rules?: Pick<LifecheckRules, "method" | "lifePoints">;
  /** As this node tells them in its hello. */
  readonly settings: SharedSettings;
  readonly removalPolicy: RemovalPolicy;
  /** How long peers may go on remembering this node's own last run. */
  readonly staleMs: Ms;
  readonly log: Log;
  readonly onChange: () => void;
}

const LIFE_WORDS: Readonly<Record<PeerLife, string | null>> = {
  "never-seen": null,
  alive: "is alive",
  lost: "is lost",
  "shut-down": "is shutting down",
};

const REFUSED_MS: Ms = 2000;

type Shown = Pick<ViewFacts, "names" | "priorities" | "unwelcomedBy" | "differences">;
type Difference = ViewFacts["differences"][number];

/** What the other nodes said of themselves, and which of them live; told to the log on change. */
export class KnownPeers {
  readonly #names = new Map<number, string>();
  readonly #priorities = new Map<number, number>();
  /** When each of them refused this node last; it tries several times a second. */
  readonly #refusedAtMs = new Map<number, Ms>();
  readonly #differences = new Map<number, readonly Difference[]>();
  readonly #theirSettings = new Map<number, SharedSettings>();
  #settings: SharedSettings;
  #removalPolicy: RemovalPolicy;
  #lives: readonly NodeLife[];
  readonly #options: KnownPeersOptions;
  #lifecheck: LifecheckState;
  #duplicateSinceMs: Ms | null = null;

  constructor(options: KnownPeersOptions) {
    this.#options = options;
    const { peerIds, deadMs, rules } = options;
    this.#settings = options.settings;
    this.#removalPolicy = options.removalPolicy;
    this.#lifecheck = startLifecheck(peerIds, {
      deadMs,
      ...(rules ?? { method: "heartbeat", lifePoints: 1 }),
    });
    this.#lives = followLives([], this.#lifecheck.peers, monotonicNowMs());
    this.#names.set(options.self.id, options.self.name);
    this.#priorities.set(options.self.id, options.self.priority);
  }

  get lifecheck(): LifecheckState {
    return this.#lifecheck;
  }

  /** For the view: what peers have said, and what has come of it. */
  get shown(): Shown {
    const nowMs = monotonicNowMs();
    return {
      names: this.#names,
      priorities: this.#priorities,
      unwelcomedBy: new Set(
        [...this.#refusedAtMs].filter(([, atMs]) => nowMs - atMs < REFUSED_MS).map(([id]) => id),
      ),
      differences: [...this.#differences.keys()]
        .sort((a, b) => a - b)
        .flatMap((id) => this.#differences.get(id) ?? []),
    };
  }

  /** Who stands first, this node included, as far as is known here. */
  get order(): readonly number[] {
    const { self } = this.#options;
    const others = this.#lifecheck.peers.map(({ id, life }) => {
      return { id, priority: this.#priorities.get(id) ?? 1, isThere: life === "alive" };
    });
    return standingOrder([{ ...self, isThere: true }, ...others]);
  }

  /** For a leader: who should count next; see core/membership.ts. */
  membersWanted(memberIds: readonly number[]): readonly number[] {
    return membersWanted(this.#removalPolicy, memberIds, this.#lives, monotonicNowMs());
  }

  /** What is wrong with it, for the log; null when it counts or cannot be judged yet. */
  onHeartbeat(heartbeat: Heartbeat): string | null {
    const flaw = heartbeatFlaw(this.#lifecheck, heartbeat, monotonicNowMs());
    if (flaw === null) this.step({ type: "heartbeat", heartbeat });
    return flaw;
  }

  onConnected(id: number, peer: Hello | HelloReply): void {
    if (peer.type === "refused") return;
    this.#names.set(id, peer.name);
    this.#priorities.set(id, peer.priority);
    this.#refusedAtMs.delete(id);
    if (peer.type === "hello") this.onSettings(id, peer.settings);
    this.#duplicateSinceMs = null;
    this.step({ type: "connected", id, bootId: peer.bootId });
  }

  /** A peer that was reached does not accept this node. */
  onRefused(id: number): void {
    this.#refusedAtMs.set(id, monotonicNowMs());
  }

  /** This node's own configuration was read again. */
  configure(settings: SharedSettings, removalPolicy: RemovalPolicy): void {
    this.#settings = settings;
    this.#removalPolicy = removalPolicy;
    for (const [id, theirs] of this.#theirSettings) this.onSettings(id, theirs);
  }

  /** Each difference is told once, and again when a value of it has changed. */
  onSettings(id: number, theirs: SharedSettings): void {
    const { log } = this.#options;
    this.#theirSettings.set(id, theirs);
    const known = new Set((this.#differences.get(id) ?? []).map((each) => JSON.stringify(each)));
    const differences = differencesFrom(id, this.#settings, theirs);
    this.#differences.set(id, differences);
    for (const difference of differences) {
      if (known.has(JSON.stringify(difference))) continue;
      const { message, detail } = differenceLine(difference, this.#nameOf(id));
      log.write("warning", message, { detail });
    }
  }

  /** A peer refuses us for our id. True when that can no longer be our own last run. */
  isDuplicate(): boolean {
    const nowMs = monotonicNowMs();
    this.#duplicateSinceMs ??= nowMs;
    return nowMs - this.#duplicateSinceMs >= this.#options.staleMs;
  }

  step(event: LifecheckEvent): void {
    const before = this.#lifecheck;
    this.#lifecheck = stepLifecheck(before, event, monotonicNowMs());
    if (before.peers === this.#lifecheck.peers) return;
    this.#lives = followLives(this.#lives, this.#lifecheck.peers, monotonicNowMs());
    for (const [index, peer] of this.#lifecheck.peers.entries()) {
      const words = LIFE_WORDS[peer.life];
      if (before.peers[index]?.life === peer.life || words === null) continue;
      const name = this.#nameOf(peer.id);
      const details = peer.lostReason === "" ? {} : { detail: peer.lostReason };
      this.#options.log.write("log", `remote node "${name}" ${words}`, details);
    }
    this.#options.onChange();
  }

  #nameOf(id: number): string {
    return this.#names.get(id) ?? `node ${id}`;
  }
}
