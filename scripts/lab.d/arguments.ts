/** The words after `scripts/lab`, as a value. Pure: nothing is looked up, only understood. */
import { LabFailure } from "./failure.ts";
import { NODES_MAX, type LabProfile } from "./layout.ts";

export type Command =
  | { readonly name: "help" }
  | {
      readonly name: "up";
      /** Null: whatever is up already, else 3. */
      readonly nodesCount: number | null;
      readonly profile: LabProfile | null;
      /** Lines for pgpool.conf, such as `max_pool = 8`. */
      readonly settings: readonly string[];
      /** Only hosts and PostgreSQL. */
      readonly isWithoutNodes: boolean;
    }
  | { readonly name: "down" }
  | { readonly name: "status"; readonly isJson: boolean }
  | { readonly name: "psql"; readonly words: readonly string[] }
  | { readonly name: "exec"; readonly host: string; readonly words: readonly string[] }
  | {
      readonly name: "kill";
      readonly host: string;
      readonly part: KillPart;
      readonly signal: KillSignal;
    }
  | {
      readonly name: "start";
      readonly host: string;
      readonly part: "postgres" | "node";
      /** Start PostgreSQL with the data as they are, even if another server is primary now. */
      readonly isAsIs: boolean;
    }
  | { readonly name: "cut"; readonly host: string }
  | { readonly name: "heal"; readonly host: string | null }
  | { readonly name: "logs"; readonly host: string }
  | { readonly name: "demo"; readonly isJson: boolean; readonly isKept: boolean };

export const KILL_PARTS = ["postgres", "node", "watchdog", "guardian", "supervisor"] as const;
export type KillPart = (typeof KILL_PARTS)[number];
export const KILL_SIGNALS = ["KILL", "STOP", "CONT", "TERM"] as const;
export type KillSignal = (typeof KILL_SIGNALS)[number];

/** Not for people: with this word the demonstration starts itself on the client host. */
export const LOAD_WORD = "load-process";

export interface Arguments {
  readonly isLoopback: boolean;
  readonly command: Command;
}

export const HELP = `Usage: scripts/lab [--loopback] COMMAND

A whole installation on this machine: hosts that are network namespaces, each with PostgreSQL and
a pgquorum node, and a virtual IP. Nothing of it is reachable from outside. Needs root.

  up [--nodes N] [--profile fast|default] [--set 'NAME = VALUE']… [--no-nodes]
                           make it, and return when a query passes the VIP (3 nodes, fast);
                           --set adds a line to pgpool.conf, --no-nodes leaves pgquorum out
  down                     remove everything again
  status [--json]          who holds the VIP, what the nodes say, how the backends are
  psql [ARGS]              psql on the client host, through the VIP (as app; -U postgres works too)
  exec HOST -- CMD…        run a command on a host (n1, n2…, client)
  kill HOST PART [--signal KILL|STOP|CONT|TERM]
                           PART: postgres, watchdog, guardian, supervisor, or node (every process
                           of the node except the guardian)
  start HOST postgres|node [--as-is]
                           start it again, and give a server back to the nodes; one that was
                           overtaken becomes a standby first, unless --as-is
  cut HOST                 drop every frame from and to the host
  heal [HOST]              let the frames of one host, or of all, pass again
  logs HOST                what the node and its PostgreSQL logged last
  demo [--json] [--keep]   the whole story under load: kill the primary, then the leader; measure

HOST is n1, n2…; LEADER is the node that leads, PRIMARY the server that takes writes.

  --loopback    without root: ports instead of hosts, no VIP; PostgreSQL must be installed
  PGQ_LAB_DIR   where everything is kept (/var/tmp/pgquorum-lab)

Exit status: 0 when it worked (demo: when every promise held), 1 when not, 2 for wrong words.
`;

/** Errors: a LabFailure with exit code 2 that names the wrong word and what was expected. */
export function parseArguments(words: readonly string[]): Arguments {
  const isLoopback = words[0] === "--loopback" || words.at(-1) === "--loopback";
  const rest =
    words[0] === "--loopback"
      ? words.slice(1)
      : words.at(-1) === "--loopback"
        ? words.slice(0, -1)
        : words;
  return { isLoopback, command: parseCommand(rest) };
}

function parseCommand([name = "help", ...words]: readonly string[]): Command {
  // The other program's own --help is none of ours.
  if (name !== "psql" && name !== "exec" && words.includes("--help")) return { name: "help" };
  switch (name) {
    case "help":
    case "--help":
    case "-h":
      return { name: "help" };
    case "up":
      return parseUp(words);
    case "status":
      return { name, isJson: parseFlags(name, words, ["--json"]).has("--json") };
    case "psql":
      return { name, words };
    case "exec":
      return parseExec(words);
    case "kill":
      return parseKill(words);
    case "start":
      return parseStart(words);
    case "cut":
    case "logs":
      return { name, host: onlyWord(name, "HOST", words) };
    case "heal":
      return { name, host: words.length === 0 ? null : onlyWord(name, "HOST", words) };
    case "down":
      parseFlags(name, words, []);
      return { name };
    case "demo": {
      const flags = parseFlags(name, words, ["--json", "--keep"]);
      return { name, isJson: flags.has("--json"), isKept: flags.has("--keep") };
    }
    default:
      throw wrong(`unknown command "${name}"`);
  }
}

function parseUp(words: readonly string[]): Command {
  let nodesCount: number | null = null;
  let profile: LabProfile | null = null;
  const settings: string[] = [];
  const isWithoutNodes = words.includes("--no-nodes");
  const pairs = words.filter((word) => word !== "--no-nodes");
  for (let index = 0; index < pairs.length; index += 2) {
    const [option = "", value] = [pairs[index], pairs[index + 1]];
    if (option === "--nodes") {
      nodesCount = /^\d{1,3}$/.test(value ?? "") ? Number(value) : 0;
      if (nodesCount < 1 || nodesCount > NODES_MAX) {
        throw wrong(`up: --nodes needs a number from 1 to ${NODES_MAX}, not "${value ?? ""}"`);
      }
    } else if (option === "--profile") {
      if (value !== "fast" && value !== "default") {
        throw wrong(`up: --profile is fast or default, not "${value ?? ""}"`);
      }
      profile = value;
    } else if (option === "--set") {
      if (value === undefined || !/^\w+ *=[^\n]*$/.test(value)) {
        throw wrong(`up: --set needs 'NAME = VALUE', not "${value ?? ""}"`);
      }
      settings.push(value);
    } else {
      throw wrong(`up: unknown option "${option}"`);
    }
  }
  return { name: "up", nodesCount, profile, settings, isWithoutNodes };
}

function parseExec([host, ...rest]: readonly string[]): Command {
  const words = rest[0] === "--" ? rest.slice(1) : rest;
  if (host === undefined || words.length === 0) throw wrong("exec: needs HOST -- CMD…");
  return { name: "exec", host, words };
}

function parseKill(words: readonly string[]): Command {
  const { plain, signal } = takeSignal(words);
  const [host, word, ...more] = plain;
  const part = KILL_PARTS.find((known) => known === word);
  if (host === undefined || part === undefined || more.length > 0) {
    throw wrong(`kill: needs HOST and one of ${KILL_PARTS.join(", ")}`);
  }
  return { name: "kill", host, part, signal };
}

function takeSignal(words: readonly string[]): { plain: string[]; signal: KillSignal } {
  const plain = [...words];
  const at = plain.indexOf("--signal");
  if (at < 0) return { plain, signal: "KILL" };
  const [, word = ""] = plain.splice(at, 2);
  const signal = KILL_SIGNALS.find((known) => known === word.replace(/^SIG/, ""));
  if (signal === undefined) {
    throw wrong(`kill: --signal is one of ${KILL_SIGNALS.join(", ")}, not "${word}"`);
  }
  return { plain, signal };
}

function parseStart(words: readonly string[]): Command {
  const isAsIs = words.includes("--as-is");
  const [host, part, ...more] = words.filter((word) => word !== "--as-is");
  if (host === undefined || (part !== "postgres" && part !== "node") || more.length > 0) {
    throw wrong("start: needs HOST and postgres or node");
  }
  return { name: "start", host, part, isAsIs };
}

function onlyWord(command: string, what: string, words: readonly string[]): string {
  const [word, ...more] = words;
  if (word === undefined || more.length > 0) throw wrong(`${command}: needs one ${what}`);
  return word;
}

function parseFlags(
  command: string,
  words: readonly string[],
  known: readonly string[],
): Set<string> {
  const unknown = words.find((word) => !known.includes(word));
  if (unknown !== undefined) throw wrong(`${command}: unknown option "${unknown}"`);
  return new Set(words);
}

function wrong(message: string): LabFailure {
  return new LabFailure(message, "`scripts/lab --help` shows every command.", 2);
}
