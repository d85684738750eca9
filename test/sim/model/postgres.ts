/** The PostgreSQL servers, reduced to what a failover sees of them: up or not, role, timeline. */
import type { Ms } from "../../../src/base/index.ts";
import {
  choosePrimary,
  type PrimaryChoice,
  type ServerIdentity,
} from "../../../src/backend/core/status/index.ts";

export interface Server {
  readonly id: number;
  isUp: boolean;
  upSinceMs: Ms;
  isPrimary: boolean;
  timeline: number;
}

export class Postgres {
  readonly servers: Server[];

  constructor(count: number) {
    this.servers = Array.from({ length: count }, (_, id) => ({
      id,
      isUp: true,
      upSinceMs: 0,
      isPrimary: id === 0,
      timeline: 1,
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

  /** Made anew as a standby of the newest primary, as `follow_primary_command` does. */
  followNewest(id: number): boolean {
    const server = this.server(id);
    const newest = this.#newestPrimary();
    if (server === null || newest === null || newest === server) return false;
    server.isUp = true;
    server.isPrimary = false;
    server.timeline = newest.timeline;
    return true;
  }

  /** All of `among` are asked for their role at once; the production rule chooses. */
  look(among: readonly number[], known: ServerIdentity | null): PrimaryChoice | null {
    const answers = this.servers
      .filter(({ id, isUp }) => isUp && among.includes(id))
      .map(({ id, isPrimary, timeline }) => ({
        id,
        isInRecovery: !isPrimary,
        identity: { systemIdentifier: "7000000000000000001", timeline },
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
