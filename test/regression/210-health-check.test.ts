/** How soon a lost server is noticed, and that one which is only slow or restarted is not lost. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DownRequests, HealthChecker, type HealthParameters } from "../../src/backend/index.ts";
import { Secret } from "../../src/base/index.ts";
import { until } from "../support/loopback-cluster.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { testDirectory } from "../support/programs.ts";
import { ThrowawayPostgres } from "../support/throwaway-postgres.ts";

/** `PGQUORUM_ROUNDS=50` for a measurement. */
const ROUNDS = Number(process.env.PGQUORUM_ROUNDS ?? "3");
const run = promisify(execFile);

let server: ThrowawayPostgres;

beforeAll(async () => {
  server = await ThrowawayPostgres.start();
});

afterAll(() => server.remove());

afterEach(async () => {
  await server.start().catch(() => undefined); // It may run.
});

/** A checker that keeps what it was told, with the moments. */
class Watcher {
  readonly log = new RecordedLog();
  readonly reports: { readonly reason: string; readonly atMs: number }[] = [];
  readonly answers: ("up" | "down")[] = [];
  readonly #checker: HealthChecker;

  constructor(
    own: Partial<HealthParameters["backend"]["healthCheck"]>,
    change: Partial<Pick<HealthParameters, "isErrorEnough" | "isShutdownEnough">> = {},
    downRequests: DownRequests | null = null,
  ) {
    const password = new Secret("");
    const healthCheck = {
      period: 60,
      timeout: 10,
      user: "postgres",
      password,
      database: "",
      maxRetries: 3,
      retryDelay: 1,
      connectTimeout: 1000,
      ...own,
    };
    const backend = {
      id: 0,
      hostname: server.hostname,
      port: server.port,
      weight: 1,
      dataDirectory: "",
      applicationName: "",
      mayFailover: true,
      alwaysPrimary: false,
      healthCheck,
    };
    const parameters = { backend, password, isErrorEnough: true, isShutdownEnough: false };
    this.#checker = new HealthChecker(
      { ...parameters, ...change },
      {
        log: this.log,
        downRequests,
        onDown: ({ reason }) => this.reports.push({ reason, atMs: performance.now() }),
        onAnswer: (pgStatus) => this.answers.push(pgStatus),
      },
    );
  }

  get checker(): HealthChecker {
    return this.#checker;
  }

  /** The checker has seen the server, and holds a connection to it. */
  async settled(): Promise<void> {
    await until("the server is up", () => this.answers.at(-1) === "up");
  }

  /** Milliseconds until it is reported. */
  async reportedAfter(sinceMs: number): Promise<number> {
    await until("the server is reported", () => this.reports.length > 0);
    return (this.reports[0]?.atMs ?? Infinity) - sinceMs;
  }

  stop(): void {
    this.#checker.stop();
  }
}

async function watching(watcher: Watcher, work: () => Promise<void>): Promise<void> {
  try {
    await watcher.settled();
    await work();
  } finally {
    watcher.stop();
  }
}

/** The postmaster and all its children. */
function serverPids(): readonly number[] {
  const postmaster = server.pid;
  const isChild = (pid: number): boolean => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === postmaster;
    } catch {
      return false; // It has ended.
    }
  };
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return [postmaster, ...pids.filter(isChild)];
}

function signalServer(signal: NodeJS.Signals, pids = serverPids()): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // A session has ended meanwhile.
    }
  }
}

async function pgCtl(...args: readonly string[]): Promise<void> {
  const bin = process.env["PGQUORUM_TEST_PG_BIN"] ?? "/usr/lib/postgresql/15/bin";
  const own = ["-D", server.data, "-w", "-l", `${server.directory}/log`, ...args];
  const user = process.getuid?.() === 0 ? ["runuser", "-u", "postgres", "--"] : [];
  const [file = "", ...rest] = [...user, `${bin}/pg_ctl`, ...own];
  await run(file, rest, { cwd: server.directory });
}

/** Of times, for the reader of the test's output. */
function tell(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  const line = `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms of ${times.length}`;
  process.stderr.write(`${what}: ${line}\n`);
}

describe("a server that is killed", () => {
  it.each([
    ["its postmaster", () => process.kill(server.pid, "SIGKILL")],
    ["all its processes", () => signalServer("SIGKILL")],
  ])(
    "is reported in milliseconds, whatever retries are configured (%s)",
    async (what, kill) => {
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const watcher = new Watcher({});
        await watching(watcher, async () => {
          const killedMs = performance.now();
          kill();
          times.push(await watcher.reportedAfter(killedMs));
          expect(watcher.reports[0]?.reason).toContain("ECONNREFUSED");
        });
        // The old server's processes have to be gone before a new one may start.
        await until("it starts again", () =>
          server.start().then(
            () => true,
            () => false,
          ),
        );
      }
      tell(`killed (${what}), reported after`, times);
      expect(Math.max(...times)).toBeLessThan(1000);
    },
    30_000 + ROUNDS * 10_000,
  );
});

describe("a server that is restarted", () => {
  it.each([["fast"], ["immediate"]])("is not lost when there are retries (%s)", async (mode) => {
    const watcher = new Watcher({ retryDelay: 2 });
    await watching(watcher, async () => {
      await pgCtl("restart", "-m", mode);
      // As of clients that find nobody there.
      watcher.checker.hurry("lost");
      await until("it is seen again", () => watcher.answers.at(-1) === "up");
      expect(watcher.log.lines.join("\n")).toContain("the connection of the health check");
      expect(watcher.reports).toEqual([]);
    });
  });

  it("is not lost when one of its processes crashed", async () => {
    const watcher = new Watcher({ retryDelay: 2, maxRetries: 2 });
    await watching(watcher, async () => {
      const writer = await server.sql(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'background writer'",
      );
      process.kill(Number(writer[0]), "SIGKILL");
      await until("its end is noticed", () =>
        watcher.log.lines.some((line) => line.includes("was lost")),
      );
      await until("it is seen again", () => watcher.answers.at(-1) === "up");
      expect(watcher.reports).toEqual([]);
    });
  });

  it("is reported when it stays away", async () => {
    const watcher = new Watcher({ retryDelay: 0.2, maxRetries: 2 });
    await watching(watcher, async () => {
      await server.stop("fast");
      await until("it is reported", () => watcher.reports.length > 0);
      expect(watcher.log.lines.join("\n")).toContain("(round:2)");
    });
  });

  it("is reported at once with failover_on_backend_shutdown, but not for one session", async () => {
    const watcher = new Watcher({ retryDelay: 30 }, { isShutdownEnough: true });
    await watching(watcher, async () => {
      const before = watcher.answers.length;
      await server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgquorum'",
      );
      await until("it is looked at", () => watcher.answers.length > before);
      expect(watcher.reports).toEqual([]);
      const stoppedMs = performance.now();
      await server.stop("fast");
      expect(await watcher.reportedAfter(stoppedMs)).toBeLessThan(5000);
    });
  });

  it("may stop when its last client has left, for all that we watch it", async () => {
    const watcher = new Watcher({ period: 0.2 });
    await watching(watcher, () => pgCtl("stop", "-m", "smart", "-t", "10"));
  });
});

describe("a server of which a test says so", () => {
  it("fails its check once, as the file backend_down_request asks", async () => {
    const directory = await testDirectory();
    const file = join(directory.path, "backend_down_request");
    const requests = new DownRequests(directory.path, new RecordedLog());
    const own = { period: 0.1, maxRetries: 2, retryDelay: 0.1 };
    const watcher = new Watcher(own, {}, requests);
    await watching(watcher, async () => {
      writeFileSync(file, "1\tdown\n0\tdown\n2\tup");
      await until("it is reported", () => watcher.reports.length === 1);
      await until("the file says so", () => readFileSync(file, "utf8").includes("already"));
      expect(readFileSync(file, "utf8")).toBe("1\tdown\n0\talready_down\n2\tup\n");
      expect(watcher.log.lines.join("\n")).toContain("(round:2)");
      await until("it is up again", () => watcher.answers.at(-1) === "up");
      expect(watcher.reports).toHaveLength(1);
    });
    await directory.remove();
  });
});

describe("a server that stands still", () => {
  it(
    "is not lost in a time that health_check_timeout allows",
    async () => {
      const watcher = new Watcher({ period: 0.1, timeout: 6, maxRetries: 0 });
      await watching(watcher, async () => {
        for (let round = 0; round < ROUNDS; round += 1) {
          const all = round % 2 === 0 ? serverPids() : [server.pid];
          const forMs = 1000 + (4000 * round) / Math.max(1, ROUNDS - 1);
          signalServer("SIGSTOP", all);
          watcher.checker.hurry("lost");
          await new Promise((resolve) => {
            setTimeout(resolve, forMs);
          });
          const before = watcher.answers.length;
          signalServer("SIGCONT", all);
          await until("it answers", () => watcher.answers.length > before);
        }
        expect(watcher.reports).toEqual([]);
        expect(watcher.answers).not.toContain("down");
      });
    },
    60_000 + ROUNDS * 6000,
  );

  it("is reported within health_check_timeout and a period", async () => {
    const watcher = new Watcher({ period: 0.5, timeout: 1, maxRetries: 0 });
    await watching(watcher, async () => {
      const pids = serverPids();
      const frozenMs = performance.now();
      signalServer("SIGSTOP", pids);
      try {
        const tookMs = await watcher.reportedAfter(frozenMs);
        tell("frozen, reported after", [tookMs]);
        expect(tookMs).toBeLessThan(1500 + 500);
        expect(watcher.reports[0]?.reason).toContain("no answer within 1000 ms");
      } finally {
        signalServer("SIGCONT", pids);
      }
    });
  });
});
