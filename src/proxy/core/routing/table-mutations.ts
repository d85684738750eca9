import type { Ms } from "../../../base/index.ts";
import type { ClusterView } from "../../../wire/ipc/index.ts";
import type { Config } from "../../../config/index.ts";
import { isUsable } from "./balance.ts";
import type { RoutingRules } from "./rules.ts";

export type MutationSettings = Pick<
  Config,
  | "track_table_mutation_cold_start_duration"
  | "track_table_mutation_max_staleness"
  | "track_table_mutation_table_size"
  | "track_table_mutation_ttl_factor"
>;

export interface TableMutationsPort {
  nowMs(): Ms;
  /** For how long a table that is written now counts as written. */
  lifeMs(): Ms;
  /** A session of this worker has written them: the other workers want to know. */
  tell(database: string, tables: readonly string[]): void;
}

/** Databases that are kept apart; each had a client that PostgreSQL let in. */
const DATABASES_MAX = 1000;
/** Delays are measured now and then only, and what is measured in bytes alone has no length. */
const LIFE_MS_MIN: Ms = 1000;
const DELAY_OF_BYTES_MS: Ms = 1000;

/**
 * The tables that any session of this node wrote a moment ago, with dml_adaptive_global: reads of them
 * go to the primary until standbys have what was written.
 *
 *     a session writes t ── wrote ──> here, and by the supervisor in the other workers
 *     any session reads t ── has ──> the primary, for `lifeMs`; then a standby again
 *
 * A worker that has just started knows nothing of what was written before, so all reads go to the
 * primary for a while. Names are in lower case, without schema, as in dml_adaptive.
 */
export class TableMutations {
  readonly #port: TableMutationsPort;
  readonly #tablesMax: number;
  readonly #byDatabase = new Map<string, DatabaseMutations>();
  readonly #coldUntilMs: Ms;
  /** It started a moment ago. */
  isCold: boolean;

  constructor(port: TableMutationsPort, settings: MutationSettings) {
    this.#port = port;
    this.#tablesMax = settings.track_table_mutation_table_size;
    this.#coldUntilMs = port.nowMs() + settings.track_table_mutation_cold_start_duration;
    this.isCold = settings.track_table_mutation_cold_start_duration > 0;
  }

  /** For a session with these rules; null: it does not matter to it. */
  wantedBy({ config }: RoutingRules, database: string): DatabaseMutations | null {
    const isWanted = config.disable_load_balance_on_write === "dml_adaptive_global";
    return isWanted ? this.of(database) : null;
  }

  of(database: string): DatabaseMutations {
    let tables = this.#byDatabase.get(database);
    if (tables === undefined) {
      tables = new DatabaseMutations(this, (names) => this.#wrote(database, names));
      this.#byDatabase.set(database, tables);
      if (this.#byDatabase.size > DATABASES_MAX) forgetFirst(this.#byDatabase);
    }
    return tables;
  }

  /** Another worker says so. */
  writtenElsewhere(database: string, names: Iterable<string>): void {
    this.#note(database, names);
  }

  /** To be called every second or so: until then what is over still counts. */
  expire(): void {
    const nowMs = this.#port.nowMs();
    if (nowMs >= this.#coldUntilMs) this.isCold = false;
    for (const tables of this.#byDatabase.values()) tables.expire(nowMs);
  }

  #wrote(database: string, names: ReadonlySet<string>): void {
    this.#note(database, names);
    this.#port.tell(database, [...names]);
  }

  #note(database: string, names: Iterable<string>): void {
    const untilMs = this.#port.nowMs() + this.#port.lifeMs();
    const tables = this.of(database);
    for (const name of names) tables.note(name, untilMs, this.#tablesMax);
  }
}

/** Those of one database; shared by its sessions. */
export class DatabaseMutations {
  readonly #all: TableMutations;
  readonly #untilMs = new Map<string, Ms>();
  /** What a session has written, as it is sent, and again when it is committed. */
  readonly wrote: (names: ReadonlySet<string>) => void;

  constructor(all: TableMutations, wrote: (names: ReadonlySet<string>) => void) {
    this.#all = all;
    this.wrote = wrote;
  }

  get isCold(): boolean {
    return this.#all.isCold;
  }

  get isEmpty(): boolean {
    return this.#untilMs.size === 0;
  }

  has(name: string): boolean {
    return this.#untilMs.has(name);
  }

  /** The one that was written longest ago makes room. */
  note(name: string, untilMs: Ms, tablesMax: number): void {
    const later = Math.max(untilMs, this.#untilMs.get(name) ?? untilMs);
    this.#untilMs.delete(name);
    this.#untilMs.set(name, later);
    if (this.#untilMs.size > tablesMax) forgetFirst(this.#untilMs);
  }

  expire(nowMs: Ms): void {
    for (const [name, untilMs] of this.#untilMs) if (untilMs <= nowMs) this.#untilMs.delete(name);
  }
}

/**
 * How long a table that is written now counts as written: the delay of the slowest standby that reads
 * may go to, times track_table_mutation_ttl_factor.
 */
export function mutationLifeMs(view: ClusterView, settings: MutationSettings): Ms {
  const {
    track_table_mutation_ttl_factor: factor,
    track_table_mutation_max_staleness: stalenessMaxMs,
  } = settings;
  let delayMs = 0;
  for (const backend of view.backends) {
    if (backend.id === view.primaryId || !isUsable(backend)) continue;
    const isUntimed = backend.replicationDelayMs === 0 && backend.replicationDelayBytes > 0;
    delayMs = Math.max(delayMs, isUntimed ? DELAY_OF_BYTES_MS : backend.replicationDelayMs);
  }
  const lifeMs = Math.max(LIFE_MS_MIN, delayMs * factor);
  return stalenessMaxMs > 0 ? Math.min(lifeMs, stalenessMaxMs) : lifeMs;
}

function forgetFirst(map: Map<string, unknown>): void {
  const [first] = map.keys();
  if (first !== undefined) map.delete(first);
}
