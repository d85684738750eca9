import { pbkdf2 } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  compareReplication,
  openServerSession,
  probeBackend,
  searchPrimary,
  HealthChecker,
  KeptSessions,
  startReplicationCheck,
  type ProbeFailure,
  type ProbeOptions,
  type ReplicationAnswer,
  type ReplicationChecker,
  type ServerSession,
} from "../../src/backend/index.ts";
import { Secret } from "../../src/base/index.ts";
import type { BackendConfig } from "../../src/config/index.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { freePort } from "../support/ports.ts";
import { ThrowawayPostgres } from "../support/throwaway-postgres.ts";

let primary: ThrowawayPostgres;
let standby: ThrowawayPostgres;

beforeAll(async () => {
  primary = await ThrowawayPostgres.start({ auth: "scram-sha-256" });
  await primary.sql("CREATE ROLE checker LOGIN PASSWORD 'secret'");
  await primary.sql("CREATE ROLE root_of_all LOGIN SUPERUSER PASSWORD 'secret'");
  standby = await ThrowawayPostgres.start({
    standbyOf: primary,
    applicationName: "server1",
    auth: "trust",
  });
});

afterAll(async () => {
  await standby.remove();
  await primary.remove();
});

function optionsFor(port: number, change: Partial<ProbeOptions> = {}): ProbeOptions {
  return {
    hostname: "127.0.0.1",
    port,
    user: "checker",
    password: new Secret("secret"),
    database: "",
    connectTimeoutMs: 1000,
    timeoutMs: 2000,
    ask: "login",
    ...change,
  };
}

async function failureOf(options: ProbeOptions): Promise<string> {
  const outcome = await probeBackend(options);
  return outcome.ok ? "alive" : `${outcome.error.cause}: ${outcome.error.message}`;
}

/** Something that is no PostgreSQL. */
async function withServer(
  onConnection: (socket: Socket) => void,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => {
    server.listen(port, "127.0.0.1", resolve);
  });
  try {
    await work(port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

describe("a probe", () => {
  it("logs in with SCRAM, over TCP and through a socket file", async () => {
    expect(await failureOf(optionsFor(primary.port))).toBe("alive");
    const local = optionsFor(primary.port, { hostname: primary.directory });
    expect(await failureOf(local)).toBe("alive");
  });

  it("tells a primary from a standby, both of one system and timeline", async () => {
    const one = await probeBackend(optionsFor(primary.port, { ask: "role" }));
    const other = await probeBackend(optionsFor(standby.port, { ask: "role" }));
    if (!one.ok || !other.ok) throw new Error("both must answer");
    expect(one.value.isInRecovery).toBe(false);
    expect(other.value.isInRecovery).toBe(true);
    expect(one.value.identity?.timeline).toBe(1);
    expect(other.value.identity).toEqual(one.value.identity);
    expect(one.value.walLsn).toMatch(/^[\dA-F]+\/[\dA-F]+$/u);
  });

  it("makes do with the role where the rest is forbidden", async () => {
    await primary.sql("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    const outcome = await probeBackend(optionsFor(primary.port, { ask: "role" }));
    await primary.sql("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC");
    expect(outcome).toEqual({
      ok: true,
      value: { isInRecovery: false, walLsn: null, identity: null },
    });
  });

  it("names a wrong password, a missing one and an unknown user for what they are", async () => {
    const wrong = optionsFor(primary.port, { password: new Secret("wrong") });
    expect(await failureOf(wrong)).toBe('auth: password authentication failed for user "checker"');
    const none = optionsFor(primary.port, { password: new Secret("") });
    expect(await failureOf(none)).toMatch(/^auth: /u);
    const nobody = optionsFor(standby.port, { user: "nobody" });
    expect(await failureOf(nobody)).toBe('auth: role "nobody" does not exist');
  });

  it("says what a database is missing", async () => {
    const missing = optionsFor(primary.port, { database: "nowhere" });
    expect(await failureOf(missing)).toBe('other: database "nowhere" does not exist');
  });

  it("sees a refused connection, a missing socket file and an unknown name", async () => {
    expect(await failureOf(optionsFor(await freePort()))).toMatch(
      /^refused: connect ECONNREFUSED/u,
    );
    const noFile = optionsFor(primary.port, { hostname: "/nonexistent" });
    expect(await failureOf(noFile)).toMatch(/^refused: connect ENOENT/u);
    const unknown = optionsFor(5432, {
      hostname: "no-such-host.invalid",
      timeoutMs: 20_000,
      connectTimeoutMs: 0,
    });
    expect(await failureOf(unknown)).toMatch(/^name-resolution: /u);
  });

  it("does not take a name that is not resolved in time for a server that is lost", async () => {
    const before = new Promise<void>((resolve) => {
      let left = 4; // As many as there are threads for names and files.
      for (let count = left; count > 0; count -= 1) {
        pbkdf2("x", "y", 400_000, 64, "sha512", () => {
          left -= 1;
          if (left === 0) resolve();
        });
      }
    });
    const busy = optionsFor(primary.port, { hostname: "localhost", timeoutMs: 200 });
    expect(await failureOf(busy)).toMatch(/^name-resolution: no address of localhost: no answer/u);
    await before;
    expect(await failureOf({ ...busy, timeoutMs: 2000 })).toBe("alive");
  });

  it("takes no longer than its time when the postmaster is frozen", async () => {
    primary.freeze();
    const startedMs = performance.now();
    const failure = await failureOf(optionsFor(primary.port, { timeoutMs: 500 }));
    const tookMs = performance.now() - startedMs;
    primary.thaw();
    expect(failure).toBe("timeout: no answer within 500 ms");
    expect(tookMs).toBeGreaterThan(490);
    expect(tookMs).toBeLessThan(1500);
  });

  it("does not count the time in which this process itself stood still", async () => {
    const outcome = failureOf(optionsFor(primary.port, { timeoutMs: 300, connectTimeoutMs: 200 }));
    const untilMs = performance.now() + 700;
    while (performance.now() < untilMs) Math.sqrt(untilMs);
    expect(await outcome).toBe("alive");
  });

  it("tells a server that is full from one that is dead", async () => {
    await primary.sql("ALTER ROLE checker CONNECTION LIMIT 0");
    const failure = await failureOf(optionsFor(primary.port));
    await primary.sql("ALTER ROLE checker CONNECTION LIMIT -1");
    expect(failure).toBe('too-many-connections: too many connections for role "checker"');
  });

  it("survives a server that closes, talks nonsense, or talks without end", async () => {
    await withServer(
      (socket) => socket.end(),
      async (port) => {
        expect(await failureOf(optionsFor(port))).toMatch(/^closed: /u);
      },
    );
    await withServer(
      (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
      async (port) => {
        expect(await failureOf(optionsFor(port, { timeoutMs: 500 }))).not.toBe("alive");
      },
    );
    await withServer(
      (socket) => {
        socket.write(Buffer.from([0x52, 0x7f, 0xff, 0xff, 0xff]));
        const flood = setInterval(() => socket.write(Buffer.alloc(1024 * 1024)), 1);
        socket.on("close", () => clearInterval(flood));
      },
      async (port) => {
        expect(await failureOf(optionsFor(port))).toBe("other: the answer is too long");
      },
    );
  });

  it("leaves no connection behind", async () => {
    for (let attempt = 0; attempt < 20; attempt += 1) await probeBackend(optionsFor(primary.port));
    const sockets = process.getActiveResourcesInfo().filter((name) => name.startsWith("TCPSocket"));
    expect(sockets).toEqual([]);
  });
});

describe("a session that is kept", () => {
  async function open(onEnd?: (failure: ProbeFailure) => void): Promise<ServerSession> {
    const opened = await openServerSession(optionsFor(primary.port), onEnd);
    if (!opened.ok) throw new Error(opened.error.message);
    return opened.value;
  }
  const pidOf = async (session: ServerSession): Promise<string> => {
    const answer = await session.ask((ask) => ask("SELECT pg_backend_pid()"), 2000);
    return answer.ok ? String(answer.value[0]?.[0]) : answer.error.message;
  };

  it("asks by the same connection again and again, also behind an error", async () => {
    const session = await open();
    const pid = await pidOf(session);
    const wrong = await session.ask((ask) => ask("SELECT 1/0"), 2000);
    expect(wrong).toMatchObject({ ok: false, error: { sqlstate: "22012" } });
    expect(await pidOf(session)).toBe(pid);
    await session.close();
    expect(session.isOpen).toBe(false);
  });

  it("leaves nothing behind with each question", async () => {
    const warnings: string[] = [];
    const note = (warning: Error): number => warnings.push(warning.message);
    process.on("warning", note);
    const session = await open();
    // Node warns at the eleventh listener that nobody has taken away.
    for (let count = 0; count < 12; count += 1) await pidOf(session);
    await session.close();
    process.off("warning", note);
    expect(warnings).toEqual([]);
  });

  it("tells the last words of a server that ends it", async () => {
    let tell: (failure: ProbeFailure) => void = () => undefined;
    const ended = new Promise<ProbeFailure>((resolve) => {
      tell = resolve;
    });
    const session = await open((failure) => tell(failure));
    await primary.sql(`SELECT pg_terminate_backend(${await pidOf(session)})`);
    expect(await ended).toMatchObject({ sqlstate: "57P01" });
    expect(session.isOpen).toBe(false);
    expect(await pidOf(session)).toContain("terminating connection");
    await session.close();
  });

  it("is over when a question takes too long", async () => {
    const session = await open();
    const slow = await session.ask((ask) => ask("SELECT pg_sleep(5)"), 100);
    expect(slow).toMatchObject({ ok: false, error: { cause: "timeout" } });
    expect(session.isOpen).toBe(false);
    await session.close();
  });
});

describe("a look for the primary", () => {
  const login = { user: "root_of_all", password: new Secret("secret"), database: "" };

  it("finds it among standbys and dead servers, but not under a foreign identity", async () => {
    const servers = [
      { id: 0, hostname: "127.0.0.1", port: await freePort() },
      { id: 1, hostname: "127.0.0.1", port: standby.port },
      { id: 2, hostname: "127.0.0.1", port: primary.port },
    ];
    const look = { servers, login, connectTimeoutMs: 1000 };
    const found = await searchPrimary({ ...look, known: null });
    expect(found?.primaryId).toBe(2);
    const known = { systemIdentifier: "1", timeline: 1 };
    expect(await searchPrimary({ ...look, known })).toBeNull();
  });

  it("asks over sessions that are open, and over new ones when those have ended", async () => {
    const servers = [
      { id: 0, hostname: "127.0.0.1", port: standby.port },
      { id: 1, hostname: "127.0.0.1", port: primary.port },
    ];
    const limits = { login, connectTimeoutMs: 1000 };
    const kept = new KeptSessions((id) => servers[id] ?? null, limits);
    const countOpen = async (): Promise<number> => {
      const ask = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'root_of_all'";
      return Number((await primary.sql(ask))[0]);
    };
    await kept.open([0, 1]);
    expect(await countOpen()).toBe(1);
    // Nobody else could log in: only an open session can tell.
    const wrong = { ...login, password: new Secret("wrong") };
    const look = { servers, known: null, connectTimeoutMs: 1000, kept };
    for (let count = 0; count < 2; count += 1) {
      expect((await searchPrimary({ ...look, login: wrong }))?.primaryId).toBe(1);
    }
    const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity";
    await primary.sql(`${end} WHERE usename = 'root_of_all'`);
    expect((await searchPrimary({ ...look, login }))?.primaryId).toBe(1);
    await kept.close();
    await expect.poll(countOpen).toBe(0);
  });
});

describe("the replication check", () => {
  const login = { user: "root_of_all", password: new Secret("secret"), database: "" };

  function startCheck(
    onLook: (answers: readonly ReplicationAnswer[]) => void,
    user: string = login.user,
    onLost?: (backendId: number, failure: ProbeFailure) => void,
  ): ReplicationChecker {
    return startReplicationCheck({
      servers: [primary, standby].map(({ port }, id) => ({ id, hostname: "127.0.0.1", port })),
      login: { ...login, user },
      connectTimeoutMs: 1000,
      periodMs: 100,
      timeoutMs: 2000,
      onBegin: () => undefined,
      onLook,
      ...(onLost === undefined ? {} : { onLost }),
    });
  }

  /** Looks until one is as it shall be. */
  async function lookUntil(
    isReached: (answers: readonly ReplicationAnswer[]) => boolean,
    user?: string,
  ): Promise<readonly ReplicationAnswer[]> {
    return await new Promise((resolve) => {
      const check = startCheck((answers) => {
        if (!isReached(answers)) return;
        check.stop();
        resolve(answers);
      }, user);
    });
  }

  it("reads delay, identity, sender and receiver of primary and standby", async () => {
    await standby.sql("SELECT pg_wal_replay_pause()");
    await primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000)");
    const written = (await primary.sql("SELECT pg_current_wal_lsn()"))[0];
    const answers = await lookUntil(
      ([, other]) => other !== undefined && other.receivedLsn === written,
    );
    await standby.sql("SELECT pg_wal_replay_resume()");
    const applicationNames = new Map([[1, "server1"]]);
    const facts = compareReplication({ answers, primaryId: 0, applicationNames, written: [] });
    expect(facts.get(0)).toMatchObject({ pgRole: "primary", replicationDelayBytes: 0 });
    expect(facts.get(1)).toMatchObject({
      pgRole: "standby",
      replicationState: "streaming",
      replicationSyncState: "async",
      timeline: 1,
    });
    expect(facts.get(1)?.replicationDelayBytes).toBeGreaterThan(10_000);
    expect(answers[1]?.receiver).toEqual({
      status: "streaming",
      host: primary.directory,
      port: primary.port,
    });
    expect(answers[1]?.identity).toEqual(answers[0]?.identity);
    expect(answers[0]?.synchronousStandbyNames).toBe("");
  });

  it("tells of a connection that is lost between two looks, but not of one that it closes", async () => {
    const lost: (readonly [number, string | null])[] = [];
    const tell = (id: number, { sqlstate }: ProbeFailure): void => void lost.push([id, sqlstate]);
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'pgquorum' AND usename = 'root_of_all' AND state = 'idle'`;
    let check: ReplicationChecker | null = null;
    await new Promise<void>((resolve) => {
      check = startCheck(() => resolve(), undefined, tell);
    });
    await expect.poll(async () => (await primary.sql(end)) && lost.length > 0).toBe(true);
    // Its last words are lost where they cross a question.
    expect(lost[0]?.[0]).toBe(0);
    const count = lost.length;
    (check as ReplicationChecker | null)?.stop();
    await expect.poll(() => primary.sql(end)).toEqual([]);
    expect(lost.length).toBe(count);
  });

  it("asks by one connection that it keeps", async () => {
    const ours = "application_name = 'pgquorum' AND usename = 'root_of_all'";
    const pids = `SELECT pid FROM pg_stat_activity WHERE ${ours}`;
    await expect.poll(() => primary.sql(pids)).toEqual([]); // That of the test before.
    const seen: (readonly string[])[] = [];
    await new Promise<void>((resolve) => {
      const check = startCheck(() => {
        void primary.sql(pids).then((rows) => {
          if (seen.push(rows) < 4) return;
          check.stop();
          resolve();
        });
      });
    });
    const kept = seen[0]?.filter((pid) => seen.every((rows) => rows.includes(pid)));
    expect(kept).toHaveLength(1);
  });

  it("tells what a user without rights may know", async () => {
    const answers = await lookUntil((all) => all.length === 2, "checker");
    expect(answers[1]).toMatchObject({
      isInRecovery: true,
      receiver: { status: "", host: "", port: null },
    });
  });

  it("goes on with the others while one stands still", async () => {
    standby.freeze();
    try {
      // Kept connections have processes of their own, which go on; new ones do not come about.
      const answers = await lookUntil((all) => all.length === 1);
      expect(answers[0]?.id).toBe(0);
    } finally {
      standby.thaw();
    }
  });
});

describe("a health checker", () => {
  it("reports a server that stops after its retries, and shows it when it is back", async () => {
    const log = new RecordedLog();
    const backend: BackendConfig = {
      id: 1,
      hostname: "127.0.0.1",
      port: standby.port,
      weight: 1,
      dataDirectory: "",
      applicationName: "",
      mayFailover: true,
      alwaysPrimary: false,
      healthCheck: {
        period: 0.1,
        timeout: 2,
        user: "checker",
        password: new Secret(""),
        database: "",
        maxRetries: 1,
        retryDelay: 0.1,
        connectTimeout: 1000,
      },
    };
    const events: string[] = [];
    const waiters = new Map<string, () => void>();
    const happened = (event: string): void => {
      events.push(event);
      waiters.get(event)?.();
    };
    const until = (event: string): Promise<void> =>
      new Promise((resolve) => waiters.set(event, resolve));
    const password = backend.healthCheck.password;
    const parameters = { backend, password, isErrorEnough: true, isShutdownEnough: false };
    const checker = new HealthChecker(parameters, {
      log,
      downRequests: null,
      onDown: ({ reason }) => happened(reason.slice(0, 34)),
      onAnswer: (pgStatus) => happened(pgStatus),
    });
    try {
      await until("up");
      const down = until("health check: connect ECONNREFUSED");
      await standby.stop();
      await down;
      checker.setStanding("quarantined");
      const recovered = until("up");
      await standby.start();
      await recovered;
    } finally {
      checker.stop();
    }
    expect(log.lines).toContain("health_check1 LOG health check retrying on DB node: 1 (round:1)");
    expect(log.lines).toContain("health_check1 LOG health check failed on node 1 (timeout:0)");
  });
});
