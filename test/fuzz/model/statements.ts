/** The statements that the model of a server understands; anything else is a syntax error. */
import { isQuestion } from "./questions.ts";

export interface Behaviour {
  /** Rows that a query returns; null for a command. */
  readonly rows: number | null;
  readonly tag: string;
  /** Where it fails, and with which SQLSTATE. */
  readonly fails: { readonly at: "parse" | "bind" | "execute"; readonly sqlstate: string } | null;
  readonly effect: Effect | null;
  /** Works in a transaction that has failed. */
  readonly endsTransaction: boolean;
}

export type Effect =
  | { readonly kind: "begin" | "commit" | "rollback" | "copy-in" | "copy-out" | "discard-all" }
  | { readonly kind: "set"; readonly value: string }
  | { readonly kind: "prepare"; readonly name: string; readonly text: string }
  | { readonly kind: "execute"; readonly name: string }
  | { readonly kind: "deallocate"; readonly name: string | null };

const PLAIN = { rows: null, fails: null, effect: null, endsTransaction: false } as const;

function command(tag: string, effect: Effect | null = null, endsTransaction = false): Behaviour {
  return { ...PLAIN, tag, effect, endsTransaction };
}

function failing(at: "parse" | "bind" | "execute", sqlstate: string): Behaviour {
  return { ...PLAIN, tag: "", rows: at === "execute" ? null : 1, fails: { at, sqlstate } };
}

const TABLE: Readonly<Record<string, Behaviour>> = {
  "select 1": { ...PLAIN, rows: 1, tag: "SELECT" },
  "select a from t": { ...PLAIN, rows: 7, tag: "SELECT" },
  "select 1/0": failing("bind", "22012"),
  "select a from nowhere": failing("parse", "42P01"),
  "insert into t values (1)": command("INSERT 0 1"),
  "insert into t values ('x')": failing("execute", "22P02"),
  begin: command("BEGIN", { kind: "begin" }),
  commit: command("COMMIT", { kind: "commit" }, true),
  rollback: command("ROLLBACK", { kind: "rollback" }, true),
  "copy t from stdin": command("COPY 1", { kind: "copy-in" }),
  "copy t to stdout": command("COPY 3", { kind: "copy-out" }),
  "set datestyle = 'ISO, DMY'": command("SET", { kind: "set", value: "ISO, DMY" }),
  "set datestyle = 'SQL, MDY'": command("SET", { kind: "set", value: "SQL, MDY" }),
  "set datestyle = 'none'": failing("execute", "22023"),
  "deallocate all": command("DEALLOCATE ALL", { kind: "deallocate", name: null }),
  "discard all": command("DISCARD ALL", { kind: "discard-all" }),
};

const SYNTAX_ERROR = failing("parse", "42601");

/** Of one statement, without semicolon. */
export function behaviourOf(text: string): Behaviour {
  const known = TABLE[text];
  if (known !== undefined) return known;
  if (isQuestion(text)) return { ...PLAIN, rows: 0, tag: "SELECT 0" };
  const prepare = /^prepare (\w+) as (select 1|select a from t)$/.exec(text);
  if (prepare !== null) {
    return command("PREPARE", { kind: "prepare", name: prepare[1] ?? "", text: prepare[2] ?? "" });
  }
  const execute = /^execute (\w+)$/.exec(text)?.[1];
  if (execute !== undefined) return command("", { kind: "execute", name: execute });
  const gone = /^deallocate (\w+)$/.exec(text)?.[1];
  if (gone !== undefined) return command("DEALLOCATE", { kind: "deallocate", name: gone });
  return SYNTAX_ERROR;
}

/** What an EXECUTE names; null of any other statement. */
export function executedBy(text: string): string | null {
  const effect = text === "" ? null : behaviourOf(text).effect;
  return effect?.kind === "execute" ? effect.name : null;
}

/** What a generator chooses from; reads first. */
export const MODEL_READS = [
  "select 1",
  "select 1",
  "select a from t",
  "select 1/0",
  "select a from nowhere",
  "",
];
export const MODEL_OTHERS = [
  ...Object.keys(TABLE).filter((text) => !text.startsWith("copy t from")),
  "selec",
  ...["s1", "s2"].flatMap((name) => [
    `prepare ${name} as select 1`,
    `execute ${name}`,
    `deallocate ${name}`,
  ]),
];
