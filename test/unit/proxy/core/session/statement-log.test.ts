import { expect, test } from "vitest";
import {
  StatementLog,
  type StatementLogging,
} from "../../../../../src/proxy/core/session/statement-log.ts";
import { FRONTEND } from "../../../../../src/wire/postgres/index.ts";

const OFF: StatementLogging = {
  statements: false,
  perNode: false,
  notices: false,
  clientMessages: false,
  backendMessages: "none",
};

function logOf(own: Partial<StatementLogging>): { log: StatementLog; lines: string[] } {
  const lines: string[] = [];
  const port = {
    log: (message: string, detail?: string) =>
      lines.push(detail === undefined ? message : `${message} (${detail})`),
    logSent: (id: number, text: string) => lines.push(`${id}: ${text}`),
    tellNotice: (notice: Buffer) => lines.push(`notice ${notice.toString("latin1", 5)}`),
  };
  return { log: new StatementLog(port, { ...OFF, ...own }), lines };
}

test("a simple query is told as Pgpool-II does, without passwords", () => {
  const { log, lines } = logOf({ statements: true, perNode: true, clientMessages: true });
  log.query("alter role a password 'secret'");
  log.sent(0, "alter role a password 'secret'");
  expect(lines).toEqual([
    `Query message from frontend. (query: "alter role a password '*****'")`,
    "statement: alter role a password '*****'",
    "0: alter role a password '*****'",
  ]);
});

test("notices name the node", () => {
  const { log, lines } = logOf({ notices: true });
  log.query("select 1");
  log.sent(1, "select 1");
  expect(lines).toEqual([
    "notice SNOTICE\0VNOTICE\0C00000\0MDB node id: 1 statement: select 1\0\0",
  ]);
});

test("data of a COPY is counted, and told when it ends", () => {
  const { log, lines } = logOf({ clientMessages: true });
  for (const type of [FRONTEND.copyData, FRONTEND.copyData, FRONTEND.copyDone, FRONTEND.sync]) {
    log.plain(type);
  }
  expect(lines).toEqual([
    "CopyData message from frontend. (count: 2)",
    "CopyDone message from frontend.",
    "Sync message from frontend.",
  ]);
});

const FRAMES = "TDDDCZ";

function watched(backendMessages: "terse" | "verbose"): string[] {
  const { log, lines } = logOf({ backendMessages });
  const seen = log.watcherOf(1);
  for (const type of FRAMES) seen?.(type.codePointAt(0) ?? 0);
  return lines;
}

test("messages of a backend are told one by one, or those of a kind together", () => {
  expect(watched("verbose")).toHaveLength(6);
  expect(watched("terse")).toEqual([
    "RowDescription message from backend 1",
    "DataRow message from backend 1",
    "last DataRow message from backend 1 repeated 2 times",
    "CommandComplete message from backend 1",
    "ReadyForQuery message from backend 1",
  ]);
});

test("nothing is told, and nobody watches, while all is off", () => {
  const { log, lines } = logOf({});
  log.query("select 1");
  log.sent(0, "select 1");
  log.plain(FRONTEND.sync);
  expect([lines, log.isOn, log.watcherOf(0)]).toEqual([[], false, null]);
});
