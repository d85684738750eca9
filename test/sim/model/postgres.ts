/** The PostgreSQL servers, reduced to what a failover sees of them: up or not, role, timeline, log. */
import type { Ms } from "../../../src/base/index.ts";
import {
  choosePrimary,
  type PrimaryChoice,
  type ServerIdentity,
} from "../../../src/backend/core/status/index.ts";
import type { Random } from "../random.ts";
import type { Clockwork } from "./process.ts";

export interface Server {
  readonly id: number;
  isUp: boolean;
  upSinceMs: Ms;
  isPrimary: boolean;
  timeline: number;
  /** Writes that it has: made, or replayed. */
  writtenCount: number;
}

const REPLAY_MS_MAX = 400;
const SYSTEM_IDENTIFIER = "7000000000000000001";

export class Postgres {
  readonly servers: Server[];
  readonly #clockwork: Clockwork;
  readonly #random: Random;

  constructor(count: number, clockwork: Clockwork, random: Random) {
    this.#clockwork = clockwork;
    this.#random = random;
    this.servers = Array.from({ length: count }, (_, id) => ({
      id,
      isUp: true,
      upSinceMs: 0,
      isPrimary: id === 0,
      timeline: 1,
      writtenCount: 0,
    }));
  }

  server(id: number): Server | null {
    return this.servers[id] ?? null;
  }

  isUp(id: number): boolean {
    return this.server(id)?.isUp ?? false;
  }

  /** `pg_promote`: false when the server is down or no standby. */
  promote(id: number): boolean {
    const server = this.server(id);
    if (server === null || !server.isUp) return false;
    if (server.isPrimary) return server.timeline === this.#newestTimeline;
    server.isPrimary = true;
    server.timeline = this.#newestTimeline + 1;
    return true;
  }

  /** It answers as the primary that a look would choose, and has done so for a while. */
  isPrimarySince(id: number, sinceMs: Ms): boolean {
    const server = this.server(id);
    if (server === null || !server.isUp || !server.isPrimary) return false;
    return server.timeline === this.#newestTimeline && server.upSinceMs <= sinceMs;
  }

  /** It streams from the newest primary. */
  mayBePromoted(id: number): boolean {
    const server = this.server(id);
    if (server === null || !server.isUp || server.isPrimary) return false;
    return server.timeline === this.#newestTimeline;
  }

  identityOf({ timeline }: Server): ServerIdentity {
    return { systemIdentifier: SYSTEM_IDENTIFIER, timeline };
  }

  /** Made anew as a standby of the newest primary, as `follow_primary_command` does. */
  followNewest(id: number): boolean {
    const server = this.server(id);
    const newest = this.#newestPrimary();
    if (server === null || newest === null || newest === server) return false;
    server.isUp = true;
    server.isPrimary = false;
    server.timeline = newest.timeline;
    server.writtenCount = newest.writtenCount;
    return true;
  }

  /** False: it is down, or a standby. */
  write(id: number): boolean {
    const server = this.server(id);
    if (server === null || !server.isUp || !server.isPrimary) return false;
    server.writtenCount += 1;
    this.#sendLog(server);
    return true;
  }

  /** `pg_ctl stop -m fast`: the standbys that are there get the last of the log. */
  stop(id: number): void {
    const server = this.server(id);
    if (server === null || !server.isUp) return;
    this.#sendLog(server);
    server.isUp = false;
  }

  /** As what it was when it ended. */
  start(id: number): void {
    const server = this.server(id);
    if (server === null || server.isUp) return;
    server.isUp = true;
    server.upSinceMs = this.#clockwork.nowMs;
  }

  /** Each standby that streams from it has so much after a while, and only while it is up. */
  #sendLog({ id, timeline, writtenCount }: Server): void {
    for (const standby of this.servers) {
      if (standby.id === id || !standby.isUp || standby.isPrimary) continue;
      this.#clockwork.after(this.#random.magnitude(0.5, REPLAY_MS_MAX), () => {
        if (!standby.isUp || standby.isPrimary || standby.timeline !== timeline) return;
        standby.writtenCount = Math.max(standby.writtenCount, writtenCount);
      });
    }
  }

  /** All of `among` are asked for their role at once; the production rule chooses. */
  look(among: readonly number[], known: ServerIdentity | null): PrimaryChoice | null {
    const answers = this.servers
      .filter(({ id, isUp }) => isUp && among.includes(id))
      .map(({ id, isPrimary, timeline }) => ({
        id,
        isInRecovery: !isPrimary,
        identity: { systemIdentifier: SYSTEM_IDENTIFIER, timeline },
      }));
    return choosePrimary(answers, known);
  }

  get #newestTimeline(): number {
    return Math.max(...this.servers.map(({ timeline }) => timeline));
  }

  #newestPrimary(): Server | null {
    const primaries = this.servers.filter(({ isUp, isPrimary }) => isUp && isPrimary);
    return primaries.sort((one, other) => other.timeline - one.timeline)[0] ?? null;
  }
}
