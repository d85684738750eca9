import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log } from "../../os/index.ts";
import type { Hello, HelloReply } from "../../wire/watchdog/index.ts";
import {
  startLifecheck,
  stepLifecheck,
  type LifecheckEvent,
  type LifecheckRules,
  type LifecheckState,
  type PeerLife,
} from "../core/lifecheck/index.ts";

export interface KnownPeersOptions {
  readonly peerIds: readonly number[];
  readonly self: { readonly id: number; readonly name: string; readonly priority: number };
  /** wd_heartbeat_deadtime in milliseconds. */
  readonly deadMs: Ms;
  /** Without them heartbeats alone judge. */
  readonly rules?: Pick<LifecheckRules, "method" | "lifePoints">;
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

/** What the other nodes said of themselves, and which of them live; told to the log on change. */
export class KnownPeers {
  readonly names = new Map<number, string>();
  readonly priorities = new Map<number, number>();
  readonly #options: KnownPeersOptions;
  #lifecheck: LifecheckState;
  #duplicateSinceMs: Ms | null = null;

  constructor(options: KnownPeersOptions) {
    this.#options = options;
    const { peerIds, deadMs, rules } = options;
    this.#lifecheck = startLifecheck(peerIds, {
      deadMs,
      ...(rules ?? { method: "heartbeat", lifePoints: 1 }),
    });
    this.names.set(options.self.id, options.self.name);
    this.priorities.set(options.self.id, options.self.priority);
  }

  get lifecheck(): LifecheckState {
    return this.#lifecheck;
  }

  onConnected(id: number, peer: Hello | HelloReply): void {
    if (peer.type === "refused") return;
    this.names.set(id, peer.name);
    this.priorities.set(id, peer.priority);
    this.#duplicateSinceMs = null;
    this.step({ type: "connected", id, bootId: peer.bootId });
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
    for (const [index, peer] of this.#lifecheck.peers.entries()) {
      const words = LIFE_WORDS[peer.life];
      if (before.peers[index]?.life === peer.life || words === null) continue;
      const name = this.names.get(peer.id) ?? `node ${peer.id}`;
      const details = peer.lostReason === "" ? {} : { detail: peer.lostReason };
      this.#options.log.write("log", `remote node "${name}" ${words}`, details);
    }
    this.#options.onChange();
  }
}
