import { userInfo } from "node:os";
import { fail, succeed, type Result } from "../../base/index.ts";
import { readArguments, type Arguments, type Flag } from "../programs/getopt.ts";
import type { PcpTool } from "./tools.ts";

/** What the arguments of a pcp_* program say. */
export interface PcpOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: "prompt" | "file-only" | "file-then-prompt";
  readonly verbose: boolean;
  readonly debug: boolean;
  readonly all: boolean;
  readonly graceful: boolean;
  readonly switchover: boolean;
  /** Null when none is given. */
  readonly id: number | null;
  readonly mode: "smart" | "fast" | "immediate";
  readonly scope: "local" | "cluster";
  /** Shown on standard error before anything else. */
  readonly warnings: readonly string[];
}

/** Arguments that end the program; some of Pgpool-II's mistakes exit with 0. */
export interface OptionsFault {
  readonly text: string;
  readonly exitCode: 0 | 1;
}

export type OptionName = "id" | "all" | "gracefully" | "switchover" | "mode" | "scope";

const COMMON: Readonly<Record<string, Flag>> = {
  host: { type: "string", short: "h" },
  port: { type: "string", short: "p" },
  username: { type: "string", short: "U" },
  "no-password": { type: "boolean", short: "w" },
  password: { type: "boolean", short: "W" },
  debug: { type: "boolean", short: "d" },
  verbose: { type: "boolean", short: "v" },
};

const OWN: Readonly<Record<Exclude<OptionName, "id">, Flag>> = {
  all: { type: "boolean", short: "a" },
  gracefully: { type: "boolean", short: "g" },
  switchover: { type: "boolean", short: "s" },
  mode: { type: "string", short: "m" },
  scope: { type: "string", short: "s" },
};

const DEFAULT_PORT = 9898;

/** Reads the arguments of one program as GNU getopt would, abbreviated long names included. */
export function parseOptions(
  tool: PcpTool,
  argv: readonly string[],
): Result<PcpOptions, OptionsFault> {
  const flags = flagsOf(tool);
  const raw = readArguments(argv, flags);
  if (!raw.ok) return fail(complaint(tool, raw.error));
  const { values, positionals } = raw.value;
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  const port = parsePort(tool, text("port"));
  if (!port.ok) return port;
  const mode = parseWord(tool, text("mode") ?? "smart", MODES, "shutdown mode", MODES_TEXT);
  if (!mode.ok) return mode;
  const scope = parseWord(tool, text("scope") ?? "local", SCOPES, "command scope", SCOPES_TEXT);
  if (!scope.ok) return scope;
  const idFlag = tool.idFlag === null ? undefined : text(tool.idFlag);
  const idText = idFlag ?? (tool.idFlag === null ? undefined : positionals[0]);
  const surplus = tool.idFlag !== null && idFlag === undefined ? positionals.slice(1) : positionals;
  if (tool.needsId && idText === undefined) return fail(complaint(tool, "missing node-id"));
  // Pgpool-II reads "abc" as 0; attaching node 0 for a slip of the finger helps nobody.
  if (idText !== undefined && !/^-?\d{1,9}$/.test(idText)) {
    return fail(complaint(tool, `invalid node-id "${idText}", must be a number`));
  }
  return succeed({
    host: text("host") ?? "",
    port: port.value,
    user: text("username") ?? userInfo().username,
    password: passwordSource(values),
    verbose: values["verbose"] === true,
    debug: values["debug"] === true,
    all: values["all"] === true,
    graceful: values["gracefully"] === true,
    switchover: values["switchover"] === true,
    id: idText === undefined ? null : Number(idText),
    mode: mode.value,
    scope: scope.value,
    warnings: surplus.map(
      (word) => `${tool.name}: Warning: extra command-line argument "${word}" ignored`,
    ),
  });
}

function flagsOf(tool: PcpTool): Readonly<Record<string, Flag>> {
  const flags: Record<string, Flag> = { ...COMMON };
  if (tool.idFlag !== null) {
    flags[tool.idFlag] = { type: "string", short: tool.idFlag === "process-id" ? "P" : "n" };
  }
  for (const name of tool.options) if (name !== "id") flags[name] = OWN[name];
  return flags;
}

function parsePort(tool: PcpTool, text: string | undefined): Result<number, OptionsFault> {
  const port = text === undefined ? DEFAULT_PORT : Number(/^\d{1,9}$/.exec(text)?.[0] ?? 0);
  if (port > 1024 && port <= 65535) return succeed(port);
  const what = `Invalid port number "${text}", must be between 1024 and 65535`;
  return fail({ text: `${tool.name}: ${what}`, exitCode: 0 });
}

const MODES = { smart: "smart", fast: "fast", immediate: "immediate" } as const;
const MODES_TEXT = '"smart" "immediate" or "fast"';
const SCOPES = { cluster: "cluster", local: "local" } as const;
const SCOPES_TEXT = '"cluster" or "local"';

/** A word of the table or its first letter. */
function parseWord<Word extends string>(
  tool: PcpTool,
  text: string,
  words: Readonly<Record<Word, Word>>,
  what: string,
  allowed: string,
): Result<Word, OptionsFault> {
  const all = Object.values<Word>(words);
  const word = all.find((known) => known === text || known.charAt(0) === text);
  if (word !== undefined) return succeed(word);
  const message = `${tool.name}: Invalid ${what} "${text}", must be either ${allowed} `;
  return fail({ text: message, exitCode: 1 });
}

function passwordSource(values: Arguments["values"]): PcpOptions["password"] {
  if (values["password"] === true) return "prompt";
  return values["no-password"] === true ? "file-only" : "file-then-prompt";
}

function complaint(tool: PcpTool, what: string): OptionsFault {
  const text = `${tool.name}: ${what}\nTry "${tool.name} --help" for more information.\n`;
  return { text, exitCode: 1 };
}
