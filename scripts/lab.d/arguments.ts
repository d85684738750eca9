/** The words after `scripts/lab`, as a value. Pure: nothing is looked up, only understood. */
import { LabFailure } from "./failure.ts";
import { LAB_PROFILES, NODES_MAX, type LabProfile } from "./layout.ts";
import { CUT_PARTIES, WAYS, type Cut } from "./network-faults.ts";

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
      /** One PostgreSQL on a host of its own; null: whatever is up already, else not. */
      readonly isDatabaseApart: boolean | null;
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
      /** By which the node's monotonic clock differs from the machine's. */
      readonly clockOffsetSeconds: number;
    }
  | { readonly name: "cut"; readonly host: string; readonly cut: Cut }
  | { readonly name: "loss"; readonly host: string; readonly percent: number }
  | {
      readonly name: "flap";
      readonly host: string;
      readonly times: number;
      readonly downMs: number;
    }
  | { readonly name: "heal"; readonly host: string | null }
  | { readonly name: "logs"; readonly host: string }
  /** `to` null: whom the nodes choose. */
  | { readonly name: "switchover"; readonly to: string | null; readonly isDryRun: boolean }
  | { readonly name: "demo"; readonly isJson: boolean; readonly isKept: boolean };

export const KILL_PARTS = [
  "postgres",
  "all",
  "node",
  "watchdog",
  "guardian",
  "supervisor",
] as const;
export type KillPart = (typeof KILL_PARTS)[number];
export const KILL_SIGNALS = ["KILL", "STOP", "CONT", "TERM", "INT"] as const;
export type KillSignal = (typeof KILL_SIGNALS)[number];

const FENCES = ["auto", "nft", "lifetime", "none"] as const;
const FLAPS_MAX = 100;
const DOWN_MS_MAX = 60_000;
/** As much as a namespace of time takes without losing precision elsewhere: over three years. */
const CLOCK_OFFSET_MAX = 100_000_000;

/** Not for people: with this word the demonstration starts itself on the client host. */
export const LOAD_WORD = "load-process";

export interface Arguments {
  readonly isLoopback: boolean;
  readonly command: Command;
}

export const HELP = `Usage: scripts/lab [--loopback] COMMAND

A whole installation on this machine: hosts that are network namespaces, each with PostgreSQL and
a pgquorum node, and a virtual IP. Nothing of it is reachable from outside. Needs root.

  up [--nodes N] [--profile fast|default|lan] [--fence auto|nft|lifetime|none]
     [--set 'NAME = VALUE']… [--database-apart] [--no-nodes]
                           make it, and return when a query passes the VIP (3 nodes, fast);
                           the profile is how long a silent leader is trusted (wd_lease_time
                           600, 3000 or 300 ms), the fence is vip_fence, --set adds any line to
                           pgpool.conf; --database-apart puts one PostgreSQL on a host of its
                           own, db; --no-nodes leaves pgquorum out
  down                     remove everything again
  status [--json]          who holds the VIP, what the nodes say, how the backends are
  psql [ARGS]              psql on the client host, through the VIP (as app; -U postgres works too)
  exec HOST -- CMD…        run a command on a host (n1, n2…, client)
  kill HOST PART [--signal KILL|STOP|CONT|TERM|INT]
                           PART: postgres, watchdog, guardian, supervisor, node (every process
                           of the node except the guardian and commands), or all of the node
  freeze HOST [PART]       kill --signal STOP; all of the node unless a PART is named
  thaw HOST [PART]         kill --signal CONT
  start HOST postgres|node [--as-is] [--clock SECONDS]
                           start it again, and give a server back to the nodes; one that was
                           overtaken becomes a standby first, unless --as-is; with --clock the
                           node's monotonic clock is that far from the other hosts'
  cut HOST [--one-way in|out] [--from peers|postgres|clients]
                           drop every frame from and to the host; only those to it (in) or from
                           it (out); only the other nodes' watchdogs, PostgreSQL's, the client's
  loss HOST PERCENT        lose that many of the frames from and to the host, by chance
  flap HOST [--times N] [--down MS]
                           take the host's cable out and put it back (once, for 500 ms)
  heal [HOST]              end cuts and losses of one host, or of all
  logs HOST                what the node and its PostgreSQL logged last
  switchover [--to HOST] [--dry-run]
                           let that standby take over while clients work, and print how long
                           they waited, what they saw and what is lost
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
    case "freeze":
    case "thaw":
      return parseFreeze(name, words);
    case "start":
      return parseStart(words);
    case "cut":
      return parseCut(words);
    case "loss":
      return parseLoss(words);
    case "flap":
      return parseFlap(words);
    case "logs":
      return { name, host: onlyWord(name, "HOST", words) };
    case "heal":
      return { name, host: words.length === 0 ? null : onlyWord(name, "HOST", words) };
    case "down":
      parseFlags(name, words, []);
      return { name };
    case "switchover":
      return parseSwitchover(words);
    case "demo": {
      const flags = parseFlags(name, words, ["--json", "--keep"]);
      return { name, isJson: flags.has("--json"), isKept: flags.has("--keep") };
    }
    default:
      throw wrong(`unknown command "${name}"`);
  }
}

function parseSwitchover(words: readonly string[]): Command {
  const isDryRun = words.includes("--dry-run");
  let to: string | null = null;
  for (const [option, value] of pairsOf(words.filter((word) => word !== "--dry-run"))) {
    if (option !== "--to") throw wrong(`switchover: unknown option "${option}"`);
    to = value;
  }
  return { name: "switchover", to, isDryRun };
}

function parseUp(words: readonly string[]): Command {
  let nodesCount: number | null = null;
  let profile: LabProfile | null = null;
  const settings: string[] = [];
  const isWithoutNodes = words.includes("--no-nodes");
  const isDatabaseApart = words.includes("--database-apart") ? true : null;
  const pairs = words.filter((word) => word !== "--no-nodes" && word !== "--database-apart");
  for (const [option, value] of pairsOf(pairs)) {
    if (option === "--nodes") {
      nodesCount = wholeNumber("up: --nodes", value, 1, NODES_MAX);
    } else if (option === "--profile") {
      profile = oneOf("up: --profile", value, LAB_PROFILES);
    } else if (option === "--fence") {
      settings.push(`vip_fence = '${oneOf("up: --fence", value, FENCES)}'`);
    } else if (option === "--set") {
      if (!/^\w+ *=[^\n]*$/.test(value)) {
        throw wrong(`up: --set needs 'NAME = VALUE', not "${value}"`);
      }
      settings.push(value);
    } else {
      throw wrong(`up: unknown option "${option}"`);
    }
  }
  return { name: "up", nodesCount, profile, settings, isWithoutNodes, isDatabaseApart };
}

/** Options with their values; a missing value is "". */
function pairsOf(words: readonly string[]): [option: string, value: string][] {
  const options = words.filter((_, index) => index % 2 === 0);
  return options.map((option, index) => [option, words[index * 2 + 1] ?? ""]);
}

function wholeNumber(what: string, value: string, min: number, max: number): number {
  const number = /^-?\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw wrong(`${what} needs a number from ${min} to ${max}, not "${value}"`);
}

function oneOf<T extends string>(what: string, value: string, known: readonly T[]): T {
  const found = known.find((each) => each === value);
  if (found !== undefined) return found;
  throw wrong(`${what} is ${known.slice(0, -1).join(", ")} or ${known.at(-1)}, not "${value}"`);
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

function parseFreeze(verb: "freeze" | "thaw", words: readonly string[]): Command {
  const [host, word = "all", ...more] = words;
  const part = KILL_PARTS.find((known) => known === word);
  if (host === undefined || part === undefined || more.length > 0) {
    throw wrong(`${verb}: needs HOST, and may name one of ${KILL_PARTS.join(", ")}`);
  }
  return { name: "kill", host, part, signal: verb === "freeze" ? "STOP" : "CONT" };
}

function parseStart(words: readonly string[]): Command {
  const isAsIs = words.includes("--as-is");
  const [host, part, ...rest] = words.filter((word) => word !== "--as-is");
  if (host === undefined || (part !== "postgres" && part !== "node")) {
    throw wrong("start: needs HOST and postgres or node");
  }
  let clockOffsetSeconds = 0;
  for (const [option, value] of pairsOf(rest)) {
    if (option !== "--clock") throw wrong(`start: unknown option "${option}"`);
    if (part !== "node") throw wrong("start: --clock is for a node");
    clockOffsetSeconds = wholeNumber("start: --clock", value, -CLOCK_OFFSET_MAX, CLOCK_OFFSET_MAX);
  }
  return { name: "start", host, part, isAsIs, clockOffsetSeconds };
}

function parseCut([host, ...rest]: readonly string[]): Command {
  if (host === undefined || host.startsWith("--")) throw wrong("cut: needs one HOST");
  let ways: Cut["ways"] = WAYS;
  let from: Cut["from"] = "everybody";
  for (const [option, value] of pairsOf(rest)) {
    if (option === "--one-way") ways = [oneOf("cut: --one-way", value, WAYS)];
    else if (option === "--from") from = oneOf("cut: --from", value, CUT_PARTIES);
    else throw wrong(`cut: unknown option "${option}"`);
  }
  return { name: "cut", host, cut: { ways, from } };
}

function parseLoss(words: readonly string[]): Command {
  const [host, percent = "", ...more] = words;
  if (host === undefined || more.length > 0) throw wrong("loss: needs HOST and PERCENT");
  return { name: "loss", host, percent: wholeNumber("loss: PERCENT", percent, 1, 100) };
}

function parseFlap([host, ...rest]: readonly string[]): Command {
  if (host === undefined || host.startsWith("--")) throw wrong("flap: needs one HOST");
  let [times, downMs] = [1, 500];
  for (const [option, value] of pairsOf(rest)) {
    if (option === "--times") times = wholeNumber("flap: --times", value, 1, FLAPS_MAX);
    else if (option === "--down") downMs = wholeNumber("flap: --down", value, 1, DOWN_MS_MAX);
    else throw wrong(`flap: unknown option "${option}"`);
  }
  return { name: "flap", host, times, downMs };
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
