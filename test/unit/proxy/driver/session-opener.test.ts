import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { failure } from "../../../../src/base/index.ts";
import type { Acquired, Acquisition } from "../../../../src/proxy/driver/backend-pool.ts";
import type { BackendConnection } from "../../../../src/proxy/driver/backend-connection.ts";
import type { ClientSession } from "../../../../src/proxy/driver/client-session.ts";
import { SessionOpener, type OpenerHost } from "../../../../src/proxy/driver/session-opener.ts";
import type { Settings, WorkerContext } from "../../../../src/proxy/driver/worker-context.ts";

const CLIENT = {
  user: "u",
  database: "d",
  applicationName: "a",
  isReplication: false,
  parameters: new Map([["user", "u"]]),
  cancelKeyBytes: 4,
  negotiation: null,
};

/** A session's source of connections, to servers that answer when the test says so. */
function openerOfSlowServers() {
  const lines: string[] = [];
  const asked: Acquisition[] = [];
  const nameOf = (connection: BackendConnection): string => `one to ${connection.target.backendId}`;
  const settings = { config: { queue_timeout: 0 }, users: new Map() } as unknown as Settings;
  const context = {
    view: () => ({ primaryId: 1, backends: [0, 1].map((id) => ({ id, hostname: "h", port: 1 })) }),
    settings: () => settings,
    tell: () => undefined,
    pool: {
      acquire: (o: Acquisition) => {
        asked.push(o);
        return () => lines.push(`gives up ${o.target.backendId}`);
      },
      discard: (connection: BackendConnection) => lines.push(`closes ${nameOf(connection)}`),
    },
  } as unknown as WorkerContext;
  const session = {
    opened: (connection: BackendConnection) => lines.push(`gets ${nameOf(connection)}`),
    notOpened: (backendId: number) => lines.push(`is refused ${backendId}`),
  } as unknown as ClientSession;
  const host = { mayReuse: () => false, log: () => undefined } as unknown as OpenerHost;
  const opener = new SessionOpener({ context, settings, client: CLIENT, host });
  const answer = (at: number, result: Acquired): void => asked[at]?.done(result);
  return { opener, session, answer, lines };
}

function connectionTo(backendId: number): Acquired {
  const connection = { target: { backendId } } as unknown as BackendConnection;
  return { kind: "connection", connection };
}

const UNREACHABLE: Acquired = {
  kind: "failed",
  failure: failure("no-primary"),
  unreachable: true,
};

describe("a session that opens a connection", () => {
  it("gets it, but never during the call", async () => {
    const { opener, session, answer, lines } = openerOfSlowServers();
    expect(opener.open(1, session)).toBeNull();
    answer(0, connectionTo(1));
    expect(lines).toEqual([]);
    await turn();
    expect(lines).toEqual(["gets one to 1"]);
  });

  it("and gives it up hears no more of that server, but of the one that it opens then", async () => {
    const { opener, session, answer, lines } = openerOfSlowServers();
    opener.open(0, session);
    opener.giveUp();
    opener.open(1, session);
    expect(lines).toEqual(["gives up 0"]);
    answer(1, connectionTo(1));
    await turn();
    expect(lines).toEqual(["gives up 0", "gets one to 1"]);
  });

  it("and gives it up when it is there already has it closed", async () => {
    const { opener, session, answer, lines } = openerOfSlowServers();
    opener.open(0, session);
    answer(0, connectionTo(0));
    opener.giveUp();
    opener.open(1, session);
    await turn();
    expect(lines).toEqual(["closes one to 0"]);
  });

  it("does not take the failure of one that it gave up for that of the next", async () => {
    const { opener, session, answer, lines } = openerOfSlowServers();
    opener.open(0, session);
    answer(0, UNREACHABLE);
    opener.giveUp();
    opener.open(1, session);
    await turn();
    answer(1, UNREACHABLE);
    await turn();
    expect(lines).toEqual(["is refused 1"]);
  });

  it("has what it waits for given up when its client leaves", () => {
    const { opener, session, lines } = openerOfSlowServers();
    opener.open(1, session);
    opener.leave();
    expect(lines).toEqual(["gives up 1"]);
  });
});
