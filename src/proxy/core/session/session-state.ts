import { LEAVES } from "../sql/index.ts";

/** A session with more of them keeps its server connection. */
export const SETTINGS_MAX = 200;
export const PREPARED_MAX = 200;
/** Bytes of all values and texts together. */
export const STATE_BYTES_MAX = 64 * 1024;
/** States that are known by their content at a time. */
const STATES_MAX = 4096;

/**
 * What a session has made of a server connection that was new: parameters that were SET, and
 * statements that were prepared by SQL. Immutable; equal ones are mostly one object, so that
 * nothing needs to be compared when a session meets a connection that is in its state.
 *
 * Names are in lower case. Every string holds bytes of the database's encoding, one a character
 * (latin1), because no other encoding is known to all who read and write them.
 */
export interface SessionState {
  /** `role` is among them when it is set. */
  readonly settings: ReadonlyMap<string, string>;
  /** Name to the text of its PREPARE. */
  readonly prepared: ReadonlyMap<string, string>;
}

const NOTHING: ReadonlyMap<string, string> = new Map();

/** Words for a person, by the bits of LEAVES. */
const REASONS: readonly (readonly [number, string])[] = [
  [LEAVES.settings, "setting that cannot be carried over"],
  [LEAVES.role, "SET SESSION AUTHORIZATION"],
  [LEAVES.listening, "LISTEN"],
  [LEAVES.temporary, "temporary object"],
  [LEAVES.advisoryLocks, "advisory lock"],
  [LEAVES.cursors, "cursor WITH HOLD"],
  [LEAVES.prepared, "prepared statement"],
  [LEAVES.process, "LOAD or temporary replication slot"],
  [LEAVES.unknown, "state that could not be read"],
];

/** @param reasons bits of LEAVES that tie a session to its server connection. */
export function reasonWords(reasons: number): readonly string[] {
  return REASONS.flatMap(([bit, words]) => ((reasons & bit) === 0 ? [] : [words]));
}

/** Not settings of the session: who connects where, and how. */
const NO_SETTINGS = new Set(["user", "database", "replication", "options"]);

/** A server takes them at the start of a connection only. */
const START_ONLY = new Set([
  "ignore_system_indexes",
  "jit_debugging_support",
  "jit_profiling_support",
  "local_preload_libraries",
  "log_connections",
  "log_disconnections",
  "post_auth_delay",
  "session_preload_libraries",
]);

export interface StartUpState {
  readonly state: SessionState;
  /** Parameters that no later SET can replace: connections that differ in them are different. */
  readonly startOnly: ReadonlyMap<string, string>;
}

/** The states that a worker has met. */
export class SessionStates {
  /** Of a connection that was just opened. */
  readonly initial: SessionState = { settings: NOTHING, prepared: NOTHING };
  #byContent = new Map<string, SessionState>();

  constructor() {
    this.#byContent.set(contentOf(this.initial), this.initial);
  }

  /** What a client asked for in its start-up packet, which PostgreSQL treats like a SET. */
  ofStartUp(parameters: ReadonlyMap<string, string>): StartUpState {
    const settings = new Map<string, string>();
    const startOnly = new Map<string, string>();
    for (const [original, text] of parameters) {
      const name = bytesOf(original).toLowerCase();
      if (NO_SETTINGS.has(name) || name.startsWith("_pq_.")) continue;
      if (START_ONLY.has(name)) startOnly.set(original, text);
      else settings.set(name, bytesOf(text));
    }
    return { state: this.of(settings, NOTHING), startOnly };
  }

  /** @param settings these maps are kept: they must not be changed any more. */
  of(settings: ReadonlyMap<string, string>, prepared: ReadonlyMap<string, string>): SessionState {
    const state: SessionState = { settings, prepared };
    const content = contentOf(state);
    const known = this.#byContent.get(content);
    if (known !== undefined) return known;
    // Equal states may then be two objects for a while: `carryOver` finds nothing to do.
    if (this.#byContent.size >= STATES_MAX) this.#byContent = new Map();
    this.#byContent.set(content, state);
    return state;
  }

  withoutPrepared(state: SessionState): SessionState {
    return state.prepared.size === 0 ? state : this.of(state.settings, NOTHING);
  }
}

/** They change nothing about what the text of a statement means. */
const MEANS_NOTHING =
  /\.|^(?:application_name|role|(?:statement|lock|transaction|idle.*)_timeout|client_min_messages|extra_float_digits|bytea_output|synchronous_commit|work_mem|enable_.*|jit.*|log_.*)$/;

/**
 * The settings that may change what a text means when it is prepared: equal ones, equal meaning.
 * (A role and row security are looked at when it is executed.)
 */
export function parsingScope(state: SessionState): string {
  let scope = "";
  for (const name of [...state.settings.keys()].sort()) {
    if (!MEANS_NOTHING.test(name)) scope += `${name}\0${state.settings.get(name)}\0`;
  }
  return scope;
}

/** Text as the bytes that a client sent for it. */
export function bytesOf(text: string): string {
  // Nearly always ASCII, which is its own bytes.
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

function contentOf(state: SessionState): string {
  return `${sorted(state.settings)}\0\0${sorted(state.prepared)}`;
}

/** No name and no value contains a zero. */
function sorted(map: ReadonlyMap<string, string>): string {
  return [...map]
    .map(([name, value]) => `${name}\0${value}`)
    .sort()
    .join("\0");
}
