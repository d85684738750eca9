/** Where statements ran: what each PostgreSQL server wrote to its own log, as JSON, line by line. */
import { open } from "node:fs/promises";
import type { PostgresCluster } from "../../support/postgres.ts";
import { until } from "../../support/loopback-cluster.ts";

/** Settings of the servers under which their logs say all that is needed. */
export const LOG_SETTINGS = [
  "logging_collector = on",
  "log_destination = 'jsonlog'",
  "log_directory = 'log'",
  "log_filename = 'server.log'",
  "log_rotation_age = 0",
  "log_rotation_size = 0",
  "log_statement = 'all'",
  "max_prepared_transactions = 20",
  // A text that cannot be parsed is only named by its error.
  "log_min_messages = 'error'",
  "log_min_error_statement = 'error'",
];

/** One statement, as one server saw it. */
export interface Seen {
  readonly node: number;
  readonly database: string;
  readonly application: string;
  readonly atMs: number;
  readonly text: string;
  /** Of the extended protocol. */
  readonly parameters: string;
}

export class ServerLogs {
  readonly #postgres: PostgresCluster;
  /** How far each file was read, in bytes. */
  readonly #offsets: number[];
  #ends = 0;

  constructor(postgres: PostgresCluster) {
    this.#postgres = postgres;
    this.#offsets = postgres.servers.map(() => 0);
  }

  /** What was written since the last call, by all servers. */
  async read(): Promise<readonly Seen[]> {
    this.#ends += 1;
    const end = `select 'end of part ${this.#ends}'`;
    const all: Seen[] = [];
    for (const node of this.#postgres.servers.keys()) {
      // The collector gets lines in the order in which they were written: behind this one is nothing.
      await this.#postgres.query(node, end);
      const seen: Seen[] = [];
      await until(`server ${node} has written its log`, async () => {
        seen.push(...(await this.#readNew(node)));
        return seen.some((one) => one.text === end);
      });
      all.push(...seen);
    }
    return all;
  }

  async #readNew(node: number): Promise<readonly Seen[]> {
    const directory = this.#postgres.servers[node]?.dataDirectory ?? "";
    const file = await open(`${directory}/log/server.json`);
    try {
      const offset = this.#offsets[node] ?? 0;
      const { size } = await file.stat();
      const bytes = Buffer.alloc(size - offset);
      await file.read(bytes, 0, bytes.length, offset);
      const length = bytes.lastIndexOf("\n") + 1; // The last line may be half written.
      this.#offsets[node] = offset + length;
      const lines = bytes.toString("utf8", 0, length).split("\n").slice(0, -1);
      return lines.flatMap((line) => seenIn(node, JSON.parse(line) as LogLine));
    } finally {
      await file.close();
    }
  }
}

interface LogLine {
  readonly timestamp: string;
  readonly dbname?: string;
  readonly application_name?: string;
  readonly message?: string;
  readonly detail?: string;
  readonly statement?: string;
}

const LOGGED = /^(?:statement|execute [^:]*): ?(.*)$/s;

function seenIn(node: number, line: LogLine): Seen[] {
  const text = LOGGED.exec(line.message ?? "")?.[1] ?? line.statement;
  if (text === undefined || line.dbname === undefined) return [];
  return [
    {
      node,
      database: line.dbname,
      application: line.application_name ?? "",
      // "2026-11-22 08:51:31.123 UTC"
      atMs: Date.parse(line.timestamp.replace(" ", "T").replace(" UTC", "Z")),
      text,
      parameters: line.detail?.startsWith("parameters: ") === true ? line.detail : "",
    },
  ];
}
