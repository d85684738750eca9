import type { Failure } from "../../../base/index.ts";
import { parseLsn } from "../replay/index.ts";
import type { Lexer } from "../sql/index.ts";
import { isOver, nameIn, valueIn } from "./command-words.ts";
import type { OwnCommand } from "./command.ts";

/**
 * SHOW, SET and RESET of a parameter `pgquorum.*`.
 *
 * @param lexer at the first word.
 */
export function parseOwnParameter(lexer: Lexer): OwnCommand {
  const verb = lexer.value;
  let schema = nameIn(lexer);
  if (verb === "set" && (schema === "session" || schema === "local")) schema = nameIn(lexer);
  lexer.next();
  const name = `${schema}.${nameIn(lexer) ?? ""}`;
  if (name !== LSN && name !== WAIT) return wrong("42704", UNKNOWN(name));
  if (verb !== "show" && name === LSN) return wrong("55P02", FIXED);
  if (verb === "set") return set(lexer);
  if (!isOver(lexer)) return wrong("42601", SYNTAX);
  if (verb === "reset") return { kind: "wait-for-lsn", lsn: 0, tag: "RESET" };
  return name === LSN ? { kind: "show-lsn" } : { kind: "show-wait-for-lsn" };
}

function set(lexer: Lexer): OwnCommand {
  lexer.next();
  if (!lexer.isWord("to") && !lexer.isSymbol("=")) return wrong("42601", SYNTAX);
  lexer.next();
  const none = { kind: "wait-for-lsn", lsn: 0, tag: "SET" } as const;
  if (lexer.isWord("default")) return isOver(lexer) ? none : wrong("42601", SYNTAX);
  const value = valueIn(lexer);
  if (value === null || !isOver(lexer)) return wrong("42601", SYNTAX);
  if (value === "") return none;
  const lsn = parseLsn(value);
  if (lsn !== null) return { ...none, lsn };
  const excerpt = value.slice(0, 64);
  return wrong("22023", {
    message: `invalid value for parameter "${WAIT}": "${excerpt}"`,
    hint: "It is a position as SHOW pgquorum.lsn gives it, such as '0/3000060'; '' or DEFAULT for none.",
  });
}

const LSN = "pgquorum.lsn";
const WAIT = "pgquorum.wait_for_lsn";

type Words = Pick<Failure, "message" | "hint">;

const UNKNOWN = (name: string): Words => ({
  message: `unrecognized configuration parameter "${name.slice(0, 64)}"`,
  hint: `There are ${LSN} and ${WAIT}; PGPOOL SHOW ALL lists the parameters of pgpool.conf.`,
});

const FIXED: Words = {
  message: `parameter "${LSN}" cannot be changed`,
  hint: `SET ${WAIT} has reads wait for a position.`,
};

const SYNTAX: Words = {
  message: "syntax error",
  hint: `It is SHOW ${LSN}, SHOW ${WAIT}, SET ${WAIT} TO '0/3000060', or RESET ${WAIT}.`,
};

function wrong(sqlstate: string, words: Words): OwnCommand {
  return { kind: "wrong", failure: { severity: "ERROR", sqlstate, ...words } };
}
