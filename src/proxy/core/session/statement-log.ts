import type { Config } from "../../../config/index.ts";
import {
  BACKEND,
  buildNotice,
  FRONTEND,
  HEADER_BYTES,
  readString,
} from "../../../wire/postgres/index.ts";
import { withoutPasswords } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { ClientBatch } from "./client-batch.ts";
import { SENT } from "./pending-replies.ts";

/** What is written of a session's statements and messages. */
export interface StatementLogging {
  /** log_statement */
  readonly statements: boolean;
  /** log_per_node_statement */
  readonly perNode: boolean;
  /** notice_per_node_statement, while client_min_messages lets a NOTICE through. */
  readonly notices: boolean;
  /** log_client_messages */
  readonly clientMessages: boolean;
  /** log_backend_messages */
  readonly backendMessages: "none" | "terse" | "verbose";
}

export function loggingOf(config: Config): StatementLogging {
  return {
    statements: config.log_statement,
    perNode: config.log_per_node_statement,
    notices: config.notice_per_node_statement && NOTICE_LEVELS.has(config.client_min_messages),
    clientMessages: config.log_client_messages,
    backendMessages: config.log_backend_messages,
  };
}

/** Of client_min_messages, with which a NOTICE is told. */
const NOTICE_LEVELS: ReadonlySet<string> = new Set([
  "debug5",
  "debug4",
  "debug3",
  "debug2",
  "debug1",
  "info",
  "notice",
]);

export interface StatementLogPort {
  log(message: string, detail?: string): void;
  /** `DB node id: 0 backend pid: 4711 statement: ...` */
  logSent(backendId: number, text: string): void;
  tellNotice(notice: Buffer): void;
}

/** Portals whose statement is remembered. */
const PORTALS_MAX = 1000;

/**
 * The lines that Pgpool-II writes about what a client sends, and where that goes. Costs nothing
 * but a look at `isOn` while all of it is off. What stands as a password in a statement is left
 * out, unlike in Pgpool-II.
 *
 * Source: Pgpool-II 4.3.5; notices and messages of backends as 4.5 and 4.6 have them.
 */
export class StatementLog {
  readonly #port: StatementLogPort;
  #logging: StatementLogging;
  /** Statements by the portals that were made of them, while they are logged. */
  #portals: Map<string, string> | null = null;
  /** Of the COPY that runs. */
  #copyDataCount = 0;
  /** Whether any of it is written. */
  isOn = false;

  constructor(port: StatementLogPort, logging: StatementLogging) {
    this.#port = port;
    this.#logging = logging;
    this.change(logging);
  }

  change(logging: StatementLogging): void {
    this.#logging = logging;
    const { statements, perNode, notices, clientMessages } = logging;
    this.isOn = statements || perNode || notices || clientMessages;
    if (!this.isOn) this.#portals = null;
  }

  /** Who hears of each frame that a server sends; null while that is not logged. */
  watcherOf(backendId: number): ((type: number) => void) | null {
    const { backendMessages } = this.#logging;
    if (backendMessages === "none") return null;
    return new BackendMessages(this.#port, backendId, backendMessages === "terse").seen;
  }

  /** A simple query came. */
  query(text: string): void {
    if (!this.isOn) return;
    const shown = withoutPasswords(text);
    this.#message("Query", `query: "${shown}"`);
    if (this.#logging.statements) this.#port.log(`statement: ${shown}`);
  }

  /** A simple query, or a message of the extended protocol, goes to that backend. */
  sent(backendId: number, text: string): void {
    if (this.isOn) this.#sent(backendId, withoutPasswords(text));
  }

  /** A batch goes to these links. */
  batch(batch: ClientBatch, input: Buffer, end: number, links: readonly BackendLink[]): void {
    if (!this.isOn) return;
    for (let i = 0; i < batch.count; i += 1) {
      const start = batch.starts[i] as number;
      const stop = Math.min(end, start + 1 + input.readUInt32BE(start + 1));
      const prepared = withoutPasswords(batch.statements[i]?.text ?? "");
      const what = this.#batchMessage(batch.kinds[i] as number, input, start, stop, prepared);
      for (const { backendId } of links) this.#sent(backendId, what);
    }
  }

  /** Messages of the client that say nothing but their kind. */
  plain(type: number): void {
    if (!this.isOn) return;
    if (type === FRONTEND.copyData) {
      this.#copyDataCount += 1;
      return;
    }
    if (this.#copyDataCount > 0) this.#message("CopyData", `count: ${this.#copyDataCount}`);
    this.#copyDataCount = 0;
    const name = PLAIN_NAMES[type];
    if (name !== undefined) this.#message(name);
  }

  /** @returns what the line for each backend says. */
  #batchMessage(
    kind: number,
    input: Buffer,
    start: number,
    stop: number,
    prepared: string,
  ): string {
    const body = start + HEADER_BYTES;
    const first = readString(input, body, stop) ?? "";
    switch (kind) {
      case SENT.parse:
        this.#message("Parse", `statement: "${first}", query: "${prepared}"`);
        return `Parse: ${prepared}`;
      case SENT.bind: {
        const name = readString(input, input.indexOf(0, body) + 1, stop) ?? "";
        this.#message("Bind", `portal: "${first}", statement: "${name}"`);
        if ((this.#portals?.size ?? 0) >= PORTALS_MAX) this.#portals = null;
        this.#portals ??= new Map();
        this.#portals.set(first, prepared);
        return `Bind: ${prepared}`;
      }
      case SENT.execute: {
        this.#message("Execute", `portal: "${first}"`);
        const text = this.#portals?.get(first) ?? "";
        if (this.#logging.statements) this.#port.log(`statement: ${text}`);
        return `Execute: ${text}`;
      }
      default: {
        const name = readString(input, body + 1, stop) ?? "";
        const what = input[body] === STATEMENT ? "statement" : "portal";
        const isClose = kind === SENT.close;
        this.#message(isClose ? "Close" : "Describe", `${what}: "${name}"`);
        return isClose ? "C message" : "D message";
      }
    }
  }

  #message(name: string, detail?: string): void {
    if (this.#logging.clientMessages) this.#port.log(`${name} message from frontend.`, detail);
  }

  #sent(backendId: number, text: string): void {
    const { perNode, notices } = this.#logging;
    if (perNode) this.#port.logSent(backendId, text);
    if (notices) this.#port.tellNotice(buildNotice(`DB node id: ${backendId} statement: ${text}`));
  }
}

/** In Describe and Close. */
const STATEMENT = 0x53;

const PLAIN_NAMES: Readonly<Record<number, string | undefined>> = {
  [FRONTEND.sync]: "Sync",
  [FRONTEND.flush]: "Flush",
  [FRONTEND.terminate]: "Terminate",
  [FRONTEND.copyDone]: "CopyDone",
  [FRONTEND.copyFail]: "CopyFail",
  [FRONTEND.functionCall]: "FunctionCall",
};

/** What one server sends, frame by frame; those of one kind in a row can be told together. */
class BackendMessages {
  readonly #port: StatementLogPort;
  readonly #backendId: number;
  readonly #isTerse: boolean;
  #last = 0;
  #repeated = 0;

  constructor(port: StatementLogPort, backendId: number, isTerse: boolean) {
    this.#port = port;
    this.#backendId = backendId;
    this.#isTerse = isTerse;
  }

  readonly seen = (type: number): void => {
    if (this.#isTerse && type === this.#last) {
      this.#repeated += 1;
      return;
    }
    const from = `message from backend ${this.#backendId}`;
    if (this.#repeated > 0) {
      this.#port.log(`last ${nameOf(this.#last)} ${from} repeated ${this.#repeated} times`);
    }
    this.#last = type;
    this.#repeated = 0;
    this.#port.log(`${nameOf(type)} ${from}`);
  };
}

function nameOf(type: number): string {
  return BACKEND_NAMES[type] ?? String.fromCharCode(type);
}

const BACKEND_NAMES: Readonly<Record<number, string | undefined>> = {
  [BACKEND.parseComplete]: "ParseComplete",
  [BACKEND.bindComplete]: "BindComplete",
  [BACKEND.closeComplete]: "CloseComplete",
  [BACKEND.notification]: "NotificationResponse",
  [BACKEND.commandComplete]: "CommandComplete",
  [BACKEND.dataRow]: "DataRow",
  [BACKEND.error]: "ErrorResponse",
  [BACKEND.copyIn]: "CopyInResponse",
  [BACKEND.copyOut]: "CopyOutResponse",
  [BACKEND.emptyQuery]: "EmptyQueryResponse",
  [BACKEND.notice]: "NoticeResponse",
  [BACKEND.parameterStatus]: "ParameterStatus",
  [BACKEND.rowDescription]: "RowDescription",
  [BACKEND.functionResult]: "FunctionCallResponse",
  [BACKEND.copyBoth]: "CopyBothResponse",
  [BACKEND.ready]: "ReadyForQuery",
  [BACKEND.copyDone]: "CopyDone",
  [FRONTEND.copyData]: "CopyData",
  [BACKEND.noData]: "NoData",
  [BACKEND.portalSuspended]: "PortalSuspended",
  [BACKEND.parameterDescription]: "ParameterDescription",
};
