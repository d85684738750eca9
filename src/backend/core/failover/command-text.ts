/**
 * The text of `failover_command`, `failback_command`, `follow_primary_command` and `demote_command` with its
 * placeholders filled in, so that `/bin/sh` reads every value as one word whatever is in it.
 *
 * Source: Pgpool-II 4.7 manual, failover_command. Unlike 4.4 and newer, no blank is put before
 * numbers; unlike all of them, a value that the shell would take apart is quoted, and an empty
 * one is written `""`, so that the words after it keep their places.
 */
import { unreachable } from "../../../base/index.ts";
import type { FailoverBackend } from "./settings.ts";

export interface CommandFacts {
  /** The server that the command is about. */
  readonly backend: FailoverBackend;
  /** The server that takes over, or the new primary. */
  readonly newMain: FailoverBackend | null;
  readonly oldMainId: number | null;
  readonly oldPrimary: FailoverBackend | null;
  /** Known even when the server has left the configuration. */
  readonly oldPrimaryId: number | null;
  /** `%a` of demote_command. */
  readonly action?: DemoteAction;
}

/** What demote_command is asked for. */
export type DemoteAction = "check" | "prepare" | "stop" | "start";

/** Without `%a` it can only stop the server. `%%a` is a percent sign and an a. */
export function mayAskFor(
  { demoteCommand }: { readonly demoteCommand: string },
  action: DemoteAction,
): boolean {
  if (demoteCommand === "") return false;
  return action === "stop" || demoteCommand.replaceAll("%%", "").includes("%a");
}

/** Letters that mean nothing vanish, as in Pgpool-II. */
export function formatCommand(template: string, facts: CommandFacts): string {
  const shell = new ShellReader();
  let text = "";
  for (let index = 0; index < template.length; index += 1) {
    const character = template.charAt(index);
    if (character !== "%") {
      shell.read(character, template.charAt(index + 1));
      text += character;
      continue;
    }
    index += 1;
    const letter = template.charAt(index);
    text += letter === "%" ? "%" : shell.quote(valueOf(letter, facts));
  }
  return text;
}

/** Null for a letter without meaning. */
function valueOf(letter: string, facts: CommandFacts): string | null {
  const { backend, newMain, oldPrimary } = facts;
  switch (letter) {
    case "d":
      return String(backend.id);
    case "h":
      return backend.hostname;
    case "p":
      return String(backend.port);
    case "D":
      return backend.dataDirectory;
    case "m":
      return String(newMain?.id ?? -1);
    case "H":
      return newMain?.hostname ?? "";
    case "r":
      return newMain === null ? "" : String(newMain.port);
    case "R":
      return newMain?.dataDirectory ?? "";
    case "M":
      return String(facts.oldMainId ?? -1);
    case "P":
      return String(facts.oldPrimaryId ?? -1);
    case "N":
      return oldPrimary?.hostname ?? "";
    case "S":
      return oldPrimary === null ? "" : String(oldPrimary.port);
    case "a":
      return facts.action ?? null;
    default:
      return null;
  }
}

type Quotes = "none" | "single" | "double";

/** Words that no shell changes, in any kind of quotes. */
const PLAIN_WORD = /^[\w@%+=:,./-]+$/u;

/** Follows the quotes of the template, so that a value is quoted in the manner of its place. */
class ShellReader {
  /** The innermost last; `$(` begins a new one even inside double quotes. */
  readonly #nesting: Quotes[] = ["none"];
  #isEscaped = false;

  read(character: string, next: string): void {
    const quotes = this.#nesting.at(-1) ?? "none";
    if (this.#isEscaped) {
      this.#isEscaped = false;
      return;
    }
    if (quotes === "single") {
      if (character === "'") this.#setQuotes("none");
      return;
    }
    if (character === "\\") this.#isEscaped = true;
    else if (character === '"') this.#setQuotes(quotes === "double" ? "none" : "double");
    else if (character === "'" && quotes === "none") this.#setQuotes("single");
    else if (character === "$" && next === "(") this.#nesting.push("none");
    else if (character === ")" && quotes === "none" && this.#nesting.length > 1) {
      this.#nesting.pop();
    }
  }

  quote(value: string | null): string {
    this.#isEscaped = false;
    if (value === null) return "";
    const quotes = this.#nesting.at(-1) ?? "none";
    if (value === "") return '""';
    if (PLAIN_WORD.test(value)) return value;
    switch (quotes) {
      case "none":
        return `'${value.replaceAll("'", `'\\''`)}'`;
      case "single":
        return value.replaceAll("'", `'\\''`);
      case "double":
        return value.replace(/[$`"\\]/gu, "\\$&");
    }
    return unreachable(quotes);
  }

  #setQuotes(quotes: Quotes): void {
    this.#nesting[this.#nesting.length - 1] = quotes;
  }
}
