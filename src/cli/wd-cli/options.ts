import { fail, succeed, type Result } from "../../base/index.ts";
import { readArguments, type Flag } from "../programs/getopt.ts";

/** Which nodes are meant; what is null fits all. */
export interface Criteria {
  readonly id: number | null;
  readonly name: string | null;
  readonly host: string | null;
  readonly wdPort: number | null;
}

export interface WdCliOptions {
  readonly operation: { readonly type: "info" } | { readonly type: "inform"; isAlive: boolean };
  readonly criteria: Criteria;
  readonly all: boolean;
  /** Null: as the configuration says. */
  readonly key: string | null;
  readonly socketDirectory: string | null;
  readonly ipcPort: number | null;
  readonly configFile: string | null;
  readonly message: string | null;
  readonly verbose: boolean;
  readonly debug: boolean;
}

export type WdCliRequest =
  | { readonly type: "help" }
  | { readonly type: "version" }
  | { readonly type: "run"; readonly options: WdCliOptions };

const FLAGS: Readonly<Record<string, Flag>> = {
  info: { type: "boolean", short: "i" },
  inform: { type: "string", short: "I" },
  all: { type: "boolean", short: "a" },
  "node-id": { type: "string", short: "n" },
  "node-name": { type: "string", short: "N" },
  "node-host": { type: "string", short: "H" },
  "node-port": { type: "string", short: "P" },
  "config-file": { type: "string", short: "f" },
  "auth-key": { type: "string", short: "k" },
  "socket-dir": { type: "string", short: "s" },
  "ipc-port": { type: "string", short: "p" },
  message: { type: "string", short: "m" },
  verbose: { type: "boolean", short: "v" },
  version: { type: "boolean", short: "V" },
  debug: { type: "boolean", short: "d" },
  help: { type: "boolean", short: "h" },
};

const TRY_HELP = 'Try "wd_cli --help" for more information.';

/** Errors: what is wrong, in Pgpool-II's words where it says the same. */
export function parseOptions(argv: readonly string[]): Result<WdCliRequest, string> {
  if (argv.includes("-?")) return succeed({ type: "help" });
  const read = readArguments(argv, FLAGS);
  if (!read.ok) return fail(`wd_cli: ${read.error}\n${TRY_HELP}\n`);
  const { values } = read.value;
  if (values["help"] === true) return succeed({ type: "help" });
  if (values["version"] === true) return succeed({ type: "version" });
  const text = (name: string): string | null => {
    const value = values[name];
    return typeof value === "string" ? value : null;
  };
  const operation = parseOperation(values["info"] === true, text("inform"));
  if (!operation.ok) return operation;
  const id = parseNumber(text("node-id"), "node-id");
  if (!id.ok) return id;
  const wdPort = parseNumber(text("node-port"), "node-port");
  if (!wdPort.ok) return wdPort;
  const ipcPort = parsePort(text("ipc-port"));
  if (!ipcPort.ok) return ipcPort;
  const all = values["all"] === true;
  if (all && operation.value.type === "inform") {
    return fail(`ERROR: Invalid option "-a --all" for inform status operation. ${TRY_HELP}\n`);
  }
  return succeed({
    type: "run",
    options: {
      operation: operation.value,
      criteria: {
        id: id.value,
        name: text("node-name"),
        host: text("node-host"),
        wdPort: wdPort.value,
      },
      all,
      key: text("auth-key"),
      socketDirectory: text("socket-dir"),
      ipcPort: ipcPort.value,
      configFile: text("config-file"),
      message: text("message"),
      verbose: values["verbose"] === true,
      debug: values["debug"] === true,
    },
  });
}

function parseOperation(
  isInfo: boolean,
  inform: string | null,
): Result<WdCliOptions["operation"], string> {
  if (isInfo && inform !== null) {
    return fail("ERROR: Invalid option, 'info' and 'inform' are mutually exclusive options\n");
  }
  if (isInfo) return succeed({ type: "info" });
  if (inform === null) return fail(`ERROR: Missing operation. ${TRY_HELP}\n`);
  const word = inform.toUpperCase();
  if (word === "DEAD" || word === "ALIVE") {
    return succeed({ type: "inform", isAlive: word === "ALIVE" });
  }
  return fail(`ERROR: Invalid node status "${inform}", Allowed options are DEAD or ALIVE\n`);
}

function parseNumber(text: string | null, name: string): Result<number | null, string> {
  if (text === null) return succeed(null);
  if (/^\d{1,9}$/.test(text)) return succeed(Number(text));
  return fail(`ERROR: Invalid value ${text}, ${name} can only contain numeric values\n`);
}

function parsePort(text: string | null): Result<number | null, string> {
  const port = parseNumber(text, "port");
  if (!port.ok || port.value === null) return port;
  if (port.value >= 1024 && port.value <= 65535) return port;
  return fail(`ERROR: Invalid port number "${text}", must be between 1024 and 65535\n`);
}

export function isSearching(criteria: Criteria): boolean {
  return Object.values(criteria).some((value) => value !== null);
}

/** `[ID=1 AND Name=ANY AND Host=ANY AND WDPort=ANY]` */
export function criteriaText({ id, name, host, wdPort }: Criteria): string {
  return `[ID=${id ?? "ANY"} AND Name=${name ?? "ANY"} AND Host=${host ?? "ANY"} AND WDPort=${wdPort ?? "ANY"}]`;
}
