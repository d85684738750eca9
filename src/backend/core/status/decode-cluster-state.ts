/** Checks each field of a `ClusterState` that came from outside this process. */
import { fail, succeed, type Result } from "../../../base/index.ts";
import type { RequestKind } from "../../../wire/ipc/index.ts";
import {
  BACKENDS_MAX,
  HISTORY_COMMANDS_MAX,
  HISTORY_MAX,
  OUTPUT_TAIL_MAX,
  REASON_MAX,
  type BackendStatus,
  type ClusterState,
  type CommandKind,
  type CommandRecord,
  type Follow,
  type HistoryEntry,
  type Intent,
  type ServerIdentity,
} from "./cluster-state.ts";

/**
 * Reads a value that came from another node.
 *
 * Errors: the first field that is missing, of the wrong type or out of bounds.
 */
export function decodeClusterState(value: unknown): Result<ClusterState, string> {
  try {
    return succeed(decodeFields(value));
  } catch (error) {
    if (error instanceof DecodeError) return fail(error.message);
    throw error;
  }
}

/** Thrown and caught within this file only. */
class DecodeError extends Error {
  override readonly name = "DecodeError";
}

const EVENT_ID_MAX = 100;
const SYSTEM_IDENTIFIER_MAX = 32;
const SIGNAL_MAX = 16;
const KINDS: readonly RequestKind[] = ["detach", "attach", "promote"];
const COMMAND_KINDS: readonly CommandKind[] = ["failover", "failback", "follow-primary"];
const STATES: readonly BackendStatus["state"][] = ["waiting", "up", "down"];

function decodeFields(value: unknown): ClusterState {
  const fields = new Fields(value, "the cluster's state");
  const format = fields.integer("format");
  if (format !== 1) throw new DecodeError(`format ${format} of the cluster's state is not known`);
  const backends = fields.list("backends", BACKENDS_MAX, decodeBackend);
  for (const [index, backend] of backends.entries()) {
    const before = backends[index - 1];
    if (before !== undefined && before.id >= backend.id) {
      throw new DecodeError("backends must stand by ascending id");
    }
  }
  const primaryId = fields.optionalId("primaryId");
  if (primaryId !== null && !backends.some(({ id }) => id === primaryId)) {
    throw new DecodeError(`primaryId ${primaryId} is none of the backends`);
  }
  return {
    format,
    stamp: fields.text("stamp", EVENT_ID_MAX),
    epoch: fields.integer("epoch"),
    backends,
    primaryId,
    identity: fields.optional("identity", decodeIdentity),
    intent: fields.optional("intent", decodeIntent),
    follow: fields.optional("follow", decodeFollow),
    history: fields.list("history", HISTORY_MAX, decodeHistoryEntry),
  };
}

function decodeBackend(value: unknown): BackendStatus {
  const fields = new Fields(value, "a backend");
  return {
    id: fields.id("id"),
    state: fields.oneOf("state", STATES),
    quarantined: fields.boolean("quarantined"),
    reason: fields.text("reason", REASON_MAX),
    changedAt: fields.number("changedAt"),
  };
}

function decodeIdentity(value: unknown): ServerIdentity {
  const fields = new Fields(value, "identity");
  return {
    systemIdentifier: fields.text("systemIdentifier", SYSTEM_IDENTIFIER_MAX),
    timeline: fields.integer("timeline"),
  };
}

function decodeIntent(value: unknown): Intent {
  const fields = new Fields(value, "intent");
  return {
    epoch: fields.integer("epoch"),
    eventId: fields.text("eventId", EVENT_ID_MAX),
    kind: fields.oneOf("kind", KINDS),
    backendIds: fields.ids("backendIds"),
    reason: fields.text("reason", REASON_MAX),
    oldPrimaryId: fields.optionalId("oldPrimaryId"),
    oldMainId: fields.optionalId("oldMainId"),
    newMainId: fields.optionalId("newMainId"),
    primaryChanges: fields.boolean("primaryChanges"),
    startedAt: fields.number("startedAt"),
  };
}

function decodeFollow(value: unknown): Follow {
  const fields = new Fields(value, "follow");
  return {
    epoch: fields.integer("epoch"),
    eventId: fields.text("eventId", EVENT_ID_MAX),
    oldPrimaryId: fields.optionalId("oldPrimaryId"),
    oldMainId: fields.optionalId("oldMainId"),
    remainingIds: fields.ids("remainingIds"),
  };
}

function decodeHistoryEntry(value: unknown): HistoryEntry {
  const fields = new Fields(value, "a history entry");
  return {
    epoch: fields.integer("epoch"),
    eventId: fields.text("eventId", EVENT_ID_MAX),
    kind: fields.oneOf("kind", KINDS),
    backendIds: fields.ids("backendIds"),
    reason: fields.text("reason", REASON_MAX),
    oldPrimaryId: fields.optionalId("oldPrimaryId"),
    newPrimaryId: fields.optionalId("newPrimaryId"),
    startedAt: fields.number("startedAt"),
    endedAt: fields.number("endedAt"),
    commands: fields.list("commands", HISTORY_COMMANDS_MAX, decodeCommand),
  };
}

function decodeCommand(value: unknown): CommandRecord {
  const fields = new Fields(value, "a command");
  const exitCode = fields.optional("exitCode", (code) => {
    if (typeof code !== "number" || !Number.isSafeInteger(code)) {
      throw new DecodeError("exitCode must be an integer or null");
    }
    return code;
  });
  return {
    kind: fields.oneOf("kind", COMMAND_KINDS),
    backendId: fields.id("backendId"),
    exitCode,
    signal: fields.value("signal") === null ? null : fields.text("signal", SIGNAL_MAX),
    outputTail: fields.text("outputTail", OUTPUT_TAIL_MAX),
  };
}

/** One object, read field by field. */
class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #what: string;

  constructor(value: unknown, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new DecodeError(`${what} must be an object`);
    }
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#what = what;
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  number(name: string): number {
    const value = this.value(name);
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrong(name, "a number");
    return value;
  }

  /** A natural number. */
  integer(name: string): number {
    const value = this.number(name);
    if (!Number.isSafeInteger(value) || value < 0) throw this.#wrong(name, "a natural number");
    return value;
  }

  id(name: string): number {
    const value = this.integer(name);
    if (value >= BACKENDS_MAX) throw this.#wrong(name, `below ${BACKENDS_MAX}`);
    return value;
  }

  optionalId(name: string): number | null {
    return this.value(name) === null ? null : this.id(name);
  }

  ids(name: string): readonly number[] {
    return this.list(name, BACKENDS_MAX, (id) => new Fields({ id }, name).id("id"));
  }

  boolean(name: string): boolean {
    const value = this.value(name);
    if (typeof value !== "boolean") throw this.#wrong(name, "true or false");
    return value;
  }

  text(name: string, charactersMax: number): string {
    const value = this.value(name);
    if (typeof value !== "string" || value.length > charactersMax) {
      throw this.#wrong(name, `a text of at most ${charactersMax} characters`);
    }
    return value;
  }

  oneOf<Word extends string>(name: string, words: readonly Word[]): Word {
    const found = words.find((word) => word === this.value(name));
    if (found === undefined) throw this.#wrong(name, `one of ${words.join(", ")}`);
    return found;
  }

  optional<T>(name: string, decode: (value: unknown) => T): T | null {
    const value = this.value(name);
    return value === null ? null : decode(value);
  }

  list<T>(name: string, itemsMax: number, decode: (value: unknown) => T): readonly T[] {
    const value = this.value(name);
    if (!Array.isArray(value) || value.length > itemsMax) {
      throw this.#wrong(name, `a list of at most ${itemsMax}`);
    }
    return value.map(decode);
  }

  #wrong(name: string, expected: string): DecodeError {
    return new DecodeError(`${name} of ${this.#what} must be ${expected}`);
  }
}
