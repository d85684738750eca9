import type { Ms } from "../../../base/index.ts";
import type { Volatility } from "./reason.ts";

/** What the catalogs say of a relation: one bit each, of all relations of the name together. */
export const RELATION = {
  /** It is there. Without this bit no other is set. */
  exists: 1,
  /** In pg_catalog. */
  system: 2,
  /** Unlogged, or with an unlogged table behind it: by inheritance, partitions, views. */
  unlogged: 4,
  /** A view that calls, or whose views call, a function that may write. */
  writes: 8,
} as const;

/** An answer of the catalogs. What is not in it is not there. */
export interface CatalogFacts {
  readonly relations: ReadonlyMap<string, number>;
  readonly functions: ReadonlyMap<string, Volatility>;
}

/** What has to be looked up for a statement. */
export interface CatalogNames {
  readonly relations: readonly string[];
  readonly functions: readonly string[];
}

/** Functions of users that may leave something in the session that calls them, by names without schema. */
export interface LeavingNames {
  readonly functions: ReadonlySet<string>;
  /** Tables whose triggers call one. */
  readonly tables: ReadonlySet<string>;
  /** Parameters of applications that functions set. */
  readonly settings: readonly string[];
}

export interface CatalogSettings {
  /** relcache_size: of names of relations, and of names of functions. */
  readonly namesMax: number;
  /** relcache_expire; 0: never. */
  readonly lifeMs: Ms;
}

/** What is not there may come by a way that nobody here sees. */
const MISSING_LIFE_MS: Ms = 10_000;

/**
 * What is known of one database's functions and relations. Names are as in a SqlClass. An
 * unqualified name stands for all that it may mean, in whatever schema: the worst of them counts.
 * Only what was looked up is known; it is forgotten when DDL passes, and after a time.
 */
export class Catalog {
  readonly #relations = new Map<string, number>();
  readonly #functions = new Map<string, Volatility>();
  readonly #settings: CatalogSettings;
  /** Null: it was not looked up. */
  leaving: LeavingNames | null = null;
  #generation = 0;
  #drops = 0;
  #functionChanges = 0;
  /** Something is known since then, and something missing; null: nothing, or since the last tick. */
  #sinceMs: Ms | null = null;
  #missingSinceMs: Ms | null = null;

  constructor(settings: CatalogSettings) {
    this.#settings = settings;
  }

  /** Changes whenever something that was known is forgotten: what follows from it is void then. */
  get generation(): number {
    return this.#generation;
  }

  /** Bits of RELATION; undefined when it was not looked up. */
  relation(name: string): number | undefined {
    return this.#relations.get(name);
  }

  /** The worst of all functions of the name; undefined when it was not looked up. */
  volatility(name: string): Volatility | undefined {
    return this.#functions.get(name);
  }

  /** To be given to `learn` with the answer to a question that is asked now. */
  get drops(): number {
    return this.#drops;
  }

  /**
   * @param asked what was looked up.
   * @param drops as it was when it was asked: an answer of before a DDL says nothing.
   */
  learn(asked: CatalogNames, facts: CatalogFacts, drops: number): void {
    if (drops !== this.#drops) return;
    const { namesMax } = this.#settings;
    for (const name of asked.relations) {
      keep(this.#relations, name, facts.relations.get(name) ?? 0, namesMax);
    }
    for (const name of asked.functions) {
      keep(this.#functions, name, facts.functions.get(name) ?? "missing", namesMax);
    }
  }

  /** Grows when DDL passes that may have replaced functions. */
  get functionChanges(): number {
    return this.#functionChanges;
  }

  /** DDL has passed. @param functions as for `drop`. */
  altered(functions: boolean): void {
    if (functions) this.#functionChanges += 1;
    this.drop(functions);
  }

  /**
   * Nothing is known any more.
   *
   * @param functions false: but `leaving`, as no function and no trigger was made.
   */
  drop(functions = true): void {
    this.#drops += 1;
    if (functions) this.leaving = null;
    this.#sinceMs = null;
    this.#missingSinceMs = null;
    if (this.#relations.size + this.#functions.size === 0) return;
    this.#relations.clear();
    this.#functions.clear();
    this.#generation += 1;
  }

  /** To be called every second or so. */
  expire(nowMs: Ms): void {
    const { lifeMs } = this.#settings;
    if (this.#relations.size + this.#functions.size === 0 && this.leaving === null) return;
    this.#sinceMs ??= nowMs;
    if (lifeMs > 0 && nowMs - this.#sinceMs >= lifeMs) return this.drop();
    this.#missingSinceMs ??= nowMs;
    if (nowMs - this.#missingSinceMs < MISSING_LIFE_MS) return;
    this.#missingSinceMs = null;
    this.#forgetMissing();
  }

  #forgetMissing(): void {
    const before = this.#relations.size + this.#functions.size;
    for (const [name, bits] of this.#relations) if (bits === 0) this.#relations.delete(name);
    for (const [name, how] of this.#functions) if (how === "missing") this.#functions.delete(name);
    if (this.#relations.size + this.#functions.size < before) this.#generation += 1;
  }
}

/** The name that was learnt first makes room. */
function keep<V>(map: Map<string, V>, name: string, value: V, max: number): void {
  map.delete(name);
  map.set(name, value);
  while (map.size > max) {
    const [oldest] = map.keys();
    if (oldest === undefined) return;
    map.delete(oldest);
  }
}

/** Databases that are kept apart; each had a client that PostgreSQL let in. */
const DATABASES_MAX = 1000;

/** The catalogs of a worker, by database. */
export class Catalogs {
  readonly #settings: CatalogSettings;
  readonly #byDatabase = new Map<string, Catalog>();

  constructor(settings: CatalogSettings) {
    this.#settings = settings;
  }

  of(database: string): Catalog {
    let catalog = this.#byDatabase.get(database);
    if (catalog === undefined) {
      catalog = new Catalog(this.#settings);
      keep(this.#byDatabase, database, catalog, DATABASES_MAX);
    }
    return catalog;
  }

  drop(database: string, functions = true): void {
    this.#byDatabase.get(database)?.altered(functions);
  }

  /** Another server may answer for them now. */
  dropAll(): void {
    for (const catalog of this.#byDatabase.values()) catalog.drop();
  }

  expire(nowMs: Ms): void {
    for (const catalog of this.#byDatabase.values()) catalog.expire(nowMs);
  }
}
