/** The neighbours on the network of the VIP, with one ARP cache: whom their frames go to. */
import type { Ms } from "../../../src/base/index.ts";
import type { World } from "../world.ts";
import type { Host } from "./host.ts";

const PROBE_EVERY_MS = 250;
/** An entry that does not answer is asked for anew after this (reachable, delay, probes). */
const STALE_AFTER_MS = 5000;

export class Clients {
  readonly #world: World;
  readonly #cutOff = new Set<number>();
  #ownerId: number | null = null;
  #silentSinceMs: Ms | null = null;

  constructor(world: World) {
    this.#world = world;
    this.#probe();
  }

  get ownerId(): number | null {
    return this.#ownerId;
  }

  get isServed(): boolean {
    return this.#silentSinceMs === null;
  }

  cut(hostId: number): void {
    this.#cutOff.add(hostId);
  }

  join(hostId: number): void {
    this.#cutOff.delete(hostId);
  }

  /** A gratuitous ARP: only what the fence lets out is heard. */
  onAnnounced(host: Host): void {
    if (host.kernel.openUntilMs === 0 || this.#cutOff.has(host.id)) return;
    this.#ownerId = host.id;
    this.#onAnswer();
  }

  #probe(): void {
    const { nowMs, hosts } = this.#world;
    const isOpen = (host: Host): boolean =>
      host.kernel.openUntilMs > 0 && !this.#cutOff.has(host.id);
    const owner = hosts.find(({ id }) => id === this.#ownerId);
    if (owner !== undefined && isOpen(owner)) {
      this.#onAnswer();
    } else {
      this.#silentSinceMs ??= nowMs;
      const answering = hosts.find(isOpen);
      const isAsking = this.#ownerId === null || nowMs - this.#silentSinceMs >= STALE_AFTER_MS;
      if (isAsking && answering !== undefined) {
        this.#ownerId = answering.id;
        this.#onAnswer();
      }
    }
    this.#world.after(PROBE_EVERY_MS, () => this.#probe());
  }

  #onAnswer(): void {
    this.#silentSinceMs = null;
  }
}
