/**
 * The shape of a row in the table of parameters. Parser, checks, reload, SHOW POOL_STATUS, sample
 * file and documentation are all derived from these rows; the facts are those of Pgpool-II.
 */
export type Unit = "us" | "ms" | "s" | "min" | "B" | "kB";

/**
 * When a changed value takes effect: `init` after a restart, `reload` after a reload, `session`
 * also by PGPOOL SET for one session.
 */
export type Context = "init" | "reload" | "session";

/** `masked` values are printed as stars; `hidden` ones only when asked for by name. */
export type Visibility = "shown" | "masked" | "hidden";

/** What the number behind a name counts; the plain name alone means nothing unless `plain`. */
export type Slots = "backend" | "node";

interface Common {
  readonly context: Context;
  /** First release that has it. `pgquorum`: ours. */
  readonly since: string;
  /** What differs in 4.3.5, or from Pgpool-II. */
  readonly note?: string;
  /** Whether setting it changes anything yet. */
  readonly acts: boolean;
  /** It never will: there is nothing here that it could change. docs/compatibility.md says why. */
  readonly hasNoMeaning?: true;
  readonly about: string;
  readonly visibility?: Visibility;
  readonly olderNames?: readonly string[];
  readonly slots?: Slots;
  /** The name without a number is the value for every slot that has none of its own. */
  readonly plain?: true;
}

export interface BoolRow extends Common {
  readonly type: "bool";
  readonly initial: boolean;
}
export interface NumberRow extends Common {
  readonly type: "int" | "double";
  /** Values are kept in this unit. */
  readonly unit?: Unit;
  readonly initial: number;
  /** 0 when absent. The initial value is allowed even when it is below. */
  readonly min?: number;
  /** INT_MAX when absent. */
  readonly max?: number;
  /** A file mode: written and shown in octal. */
  readonly octal?: true;
}
export interface StringRow extends Common {
  readonly type: "string" | "secret";
  readonly initial: string;
  /** `TEXT` in front marks it as plain, `AES` as encrypted, in the manner of pool_passwd. */
  readonly password?: true;
}
export interface ListRow extends Common {
  readonly type: "list";
  readonly separator: "," | ";";
  readonly initial: readonly string[];
}
export interface EnumRow extends Common {
  readonly type: "enum";
  readonly values: readonly string[];
  /** Other spellings that are accepted, and what they mean. */
  readonly spellings?: Readonly<Record<string, string>>;
  /** What SHOW POOL_STATUS prints for each value; counted from 1 when absent. */
  readonly ordinals?: readonly number[] | "names";
  readonly initial: string;
}
export type ParameterRow = BoolRow | NumberRow | StringRow | ListRow | EnumRow;
export type ParameterRows = Readonly<Record<string, ParameterRow>>;

export const INT_MAX = 2_147_483_647;

/** Most backends, and most watchdog nodes; ids run from 0 to one less. */
export const SLOTS_MAX = 128;
