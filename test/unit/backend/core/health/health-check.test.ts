import { describe, expect, it } from "vitest";
import {
  healthCheck,
  newHealthCheck,
  type CheckFailure,
  type HealthAction,
  type HealthEvent,
  type HealthSettings,
  type HealthState,
} from "../../../../../src/backend/index.ts";

/** One backend's health check and a clock, told as a story in lines of text. */
class HealthStory {
  state: HealthState;
  nowMs = 0;
  readonly lines: string[] = [];

  constructor(change: Partial<HealthSettings> = {}) {
    const settings: HealthSettings = {
      backendId: 1,
      hostname: "db1",
      port: 5432,
      periodMs: 10_000,
      retriesMax: 0,
      retryDelayMs: 1000,
      mayFailover: true,
      isErrorEnough: true,
      isShutdownEnough: false,
      ...change,
    };
    this.state = newHealthCheck(settings, 0);
    this.tick();
  }

  deliver(event: HealthEvent): this {
    const { state, actions } = healthCheck.step(this.state, event, this.nowMs);
    this.state = state;
    for (const action of actions) this.lines.push(`${this.nowMs}: ${describeAction(action)}`);
    return this;
  }

  tick(): this {
    return this.deliver({ type: "tick" });
  }

  /** Lets time pass until the next attempt. */
  wake(): this {
    this.nowMs = healthCheck.wakeAtMs(this.state) ?? this.nowMs;
    return this.tick();
  }

  succeed(): this {
    return this.deliver({ type: "check-succeeded" });
  }

  fail(cause: CheckFailure = "refused", message = "connection refused"): this {
    return this.deliver({ type: "check-failed", cause, message });
  }

  /** The connection that the last check left open. */
  lose(cause: CheckFailure = "closed", message = "it has ended"): this {
    return this.deliver({ type: "connection-lost", cause, message });
  }

  get text(): string {
    return `\n${this.lines.join("\n")}\n`;
  }
}

function describeAction(action: HealthAction): string {
  switch (action.type) {
    case "start-check":
      return "check";
    case "show":
      return `pg_status ${action.pgStatus}`;
    case "report-down":
      return `REPORT DOWN ${action.reason}${action.isTimeout ? " (timeout)" : ""}`;
    case "log":
      return [action.level.toUpperCase(), action.message, action.detail, action.hint]
        .filter((part) => part !== undefined)
        .join(" | ");
  }
}

describe("the health check of a backend", () => {
  it("asks at once, and again a period after each answer", () => {
    const story = new HealthStory().succeed().wake().succeed();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status up
      10000: check
      10000: pg_status up
      "
    `);
  });

  it("asks again after a failure, and reports when all retries are used up", () => {
    const story = new HealthStory({ retriesMax: 2 }).fail().wake().fail().wake();
    story.fail("timeout", "no answer within 20000 ms").wake().succeed();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status down
      0: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      1000: LOG | health check retrying on DB node: 1 (round:1)
      1000: check
      1000: pg_status down
      1000: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      2000: LOG | health check retrying on DB node: 1 (round:2)
      2000: check
      2000: pg_status down
      2000: LOG | failed to connect to PostgreSQL server on "db1:5432" | no answer within 20000 ms
      2000: LOG | health check failed on node 1 (timeout:1)
      2000: REPORT DOWN health check: no answer within 20000 ms (timeout)
      12000: check
      12000: pg_status up
      "
    `);
  });

  it("forgets earlier failures when a retry succeeds", () => {
    const story = new HealthStory({ retriesMax: 1 }).fail().wake().succeed().wake().fail().wake();
    story.succeed();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status down
      0: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      1000: LOG | health check retrying on DB node: 1 (round:1)
      1000: check
      1000: pg_status up
      1000: LOG | health check retrying on DB node: 1 succeeded
      11000: check
      11000: pg_status down
      11000: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      12000: LOG | health check retrying on DB node: 1 (round:1)
      12000: check
      12000: pg_status up
      12000: LOG | health check retrying on DB node: 1 succeeded
      "
    `);
  });

  it("never reports a name that cannot be resolved, but says so", () => {
    const story = new HealthStory().fail("name-resolution", "getaddrinfo ENOTFOUND db1");
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status down
      0: LOG | failed to connect to PostgreSQL server on "db1:5432" | getaddrinfo ENOTFOUND db1
      0: WARNING | health check failed on node 1 but its host name could not be resolved | getaddrinfo ENOTFOUND db1 | No failover is requested for this. Check the name service, or use an address as backend_hostname1.
      "
    `);
  });

  it("takes a server that is full for alive, and a refused login for a failure with a hint", () => {
    const story = new HealthStory().fail("too-many-connections", "sorry, too many clients already");
    story.wake().fail("auth", "password authentication failed");
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status up
      10000: check
      10000: pg_status down
      10000: LOG | failed to connect to PostgreSQL server on "db1:5432" | password authentication failed | Check health_check_user, health_check_password and health_check_database: a failed login counts as a failed check.
      10000: LOG | health check failed on node 1 (timeout:0)
      10000: REPORT DOWN health check: password authentication failed
      "
    `);
  });

  it("only writes a line where failover is not allowed", () => {
    const story = new HealthStory({ mayFailover: false }).fail();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status down
      0: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      0: LOG | health check failed on node 1 but failover is disallowed for the node
      "
    `);
  });

  it("goes on reporting a quarantined backend that is still lost", () => {
    const story = new HealthStory().deliver({ type: "view-changed", standing: "quarantined" });
    story.fail().wake().succeed();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status down
      0: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      0: LOG | health check failed on quarantine node 1 (timeout:0) | ignoring..
      0: REPORT DOWN health check: connection refused
      10000: check
      10000: pg_status up
      "
    `);
  });

  it("looks at a backend that is down for display only", () => {
    const story = new HealthStory({ retriesMax: 5 });
    story.deliver({ type: "view-changed", standing: "down" }).fail().wake().succeed();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status down
      10000: check
      10000: pg_status up
      "
    `);
  });

  it("does not count what failed before an attach", () => {
    const story = new HealthStory({ retriesMax: 1 }).fail();
    story.deliver({ type: "view-changed", standing: "down" });
    story.deliver({ type: "view-changed", standing: "live" }).wake().fail();
    expect(story.lines.join("\n")).not.toContain("REPORT DOWN");
  });

  it("asks again when the attempt that failed began before an attach", () => {
    const story = new HealthStory().deliver({ type: "view-changed", standing: "down" });
    story.fail("timeout").wake();
    story.nowMs += 500;
    story.deliver({ type: "view-changed", standing: "live" }).fail("timeout").wake().succeed();
    expect(story.lines.slice(-3)).toEqual(["10000: check", "10500: check", "10500: pg_status up"]);
  });

  it("looks at once when somebody saw an error, also right after the attempt that runs", () => {
    const story = new HealthStory();
    story.deliver({ type: "hurried", alarm: "lost" }).succeed().wake().succeed();
    story.nowMs = 3000;
    story.deliver({ type: "hurried", alarm: "lost" }).wake();
    expect(story.lines.filter((line) => line.endsWith(": check"))).toEqual([
      "0: check",
      "0: check",
      "3000: check",
    ]);
  });

  it("takes a server for lost at once when its connection broke and nobody listens there", () => {
    const story = new HealthStory({ retriesMax: 3 }).succeed();
    story.nowMs = 4000;
    story.lose("closed", "terminating connection due to unexpected postmaster exit").tick();
    story.nowMs = 4001;
    story.fail();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status up
      4000: LOG | the connection of the health check to DB node: 1 was lost | terminating connection due to unexpected postmaster exit
      4000: check
      4001: pg_status down
      4001: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      4001: LOG | health check failed on node 1 (timeout:0)
      4001: REPORT DOWN health check: connection refused
      "
    `);
  });

  it("looks at once when another connection of this node that waited there was lost", () => {
    const story = new HealthStory({ retriesMax: 3 }).succeed();
    story.nowMs = 4000;
    story.deliver({
      type: "connection-lost",
      cause: "closed",
      message: "it has ended",
      of: "replication check",
    });
    expect(story.tick().lines.slice(2)).toEqual([
      "4000: LOG | the connection of the replication check to DB node: 1 was lost | it has ended",
      "4000: check",
    ]);
  });

  it("looks again and again for a moment while a killed server's kernel still accepts", () => {
    const story = new HealthStory({ retriesMax: 3 }).succeed();
    story.lose().tick().fail("closed", "read ECONNRESET").wake().fail("closed").wake().fail();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status up
      0: LOG | the connection of the health check to DB node: 1 was lost | it has ended
      0: check
      0: pg_status down
      5: check
      5: pg_status down
      10: check
      10: pg_status down
      10: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      10: LOG | health check failed on node 1 (timeout:0)
      10: REPORT DOWN health check: connection refused
      "
    `);
    const stubborn = new HealthStory({ retriesMax: 0 }).succeed().lose().tick();
    for (let attempt = 0; attempt < 11; attempt += 1) stubborn.fail("closed").wake();
    const asked = stubborn.lines.filter((line) => line.endsWith(": check"));
    expect(asked.slice(-2)).toEqual(["650: check", "1650: check"]);
  });

  it("waits out the retries for a server that was told to stop, for it may be told to start", () => {
    const story = new HealthStory({ retriesMax: 1 }).succeed();
    story.lose("shutdown", "terminating connection due to administrator command").tick().fail();
    story.deliver({ type: "hurried", alarm: "lost" }).wake().fail("not-ready", "starting up");
    story.wake().succeed().wake().fail();
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: check
      0: pg_status up
      0: LOG | the connection of the health check to DB node: 1 was lost | terminating connection due to administrator command
      0: check
      0: pg_status down
      0: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      1000: check
      1000: pg_status down
      1000: LOG | failed to connect to PostgreSQL server on "db1:5432" | starting up
      2000: LOG | health check retrying on DB node: 1 (round:1)
      2000: check
      2000: pg_status up
      2000: LOG | health check retrying on DB node: 1 succeeded
      12000: check
      12000: pg_status down
      12000: LOG | failed to connect to PostgreSQL server on "db1:5432" | connection refused
      "
    `);
  });

  it("does not wait for one that was told to stop with failover_on_backend_shutdown", () => {
    for (const cause of ["refused", "closed", "not-ready"] as const) {
      const story = new HealthStory({ retriesMax: 5, isShutdownEnough: true }).succeed();
      story.deliver({ type: "hurried", alarm: "announced" }).wake().fail(cause);
      expect(story.lines.at(-1)).toContain("REPORT DOWN");
    }
    // Somebody ended that one connection.
    const story = new HealthStory({ isShutdownEnough: true }).succeed();
    story.lose("shutdown").tick().succeed();
    expect(story.lines.at(-1)).toBe("0: pg_status up");
  });

  it("waits out the retries for whatever breaks without failover_on_backend_error", () => {
    const story = new HealthStory({ retriesMax: 1, isErrorEnough: false }).succeed();
    story.lose().tick().fail("closed").wake().fail().wake().fail();
    expect(story.lines.filter((line) => line.endsWith(": check")).slice(1)).toEqual([
      "0: check",
      "1000: check",
      "2000: check",
    ]);
    expect(story.lines.at(-1)).toContain("REPORT DOWN");
  });

  it("counts no look that was not due, unless it took the whole time out", () => {
    const quick = new HealthStory({ retriesMax: 0 }).succeed();
    quick.deliver({ type: "hurried", alarm: "lost" }).wake().fail("not-ready", "starting up");
    expect(quick.lines.join()).not.toContain("REPORT DOWN");
    expect(quick.wake().fail("not-ready").lines.at(-1)).toContain("REPORT DOWN");
    const slow = new HealthStory({ retriesMax: 0 }).succeed();
    slow.deliver({ type: "hurried", alarm: "lost" }).wake().fail("timeout");
    expect(slow.lines.at(-1)).toContain("REPORT DOWN");
  });

  it("does not report again what breaks behind a report, but when the next check is due", () => {
    const story = new HealthStory().succeed().lose().tick().fail();
    story.nowMs = 100;
    story.deliver({ type: "hurried", alarm: "lost" }).lose().tick();
    expect(story.state.phase).toBe("waiting");
    story.wake().fail();
    expect(story.lines.filter((line) => line.includes("REPORT"))).toEqual([
      "0: REPORT DOWN health check: connection refused",
      "10000: REPORT DOWN health check: connection refused",
    ]);
    story.nowMs = 11_000;
    story.deliver({ type: "asked-anew" }).tick().fail();
    expect(story.lines.at(-1)).toBe("11000: REPORT DOWN health check: connection refused");
  });

  it("tells a new leader again what it has reported, and nothing else", () => {
    const story = new HealthStory().succeed();
    story.deliver({ type: "leader-changed" });
    expect(story.state.nextAtMs).toBe(10_000);
    story.nowMs = 4000;
    story.lose().tick().fail();
    story.nowMs = 4100;
    story.deliver({ type: "leader-changed" }).tick();
    story.nowMs = 4101;
    story.fail();
    expect(story.lines.filter((line) => line.includes("REPORT"))).toEqual([
      "4000: REPORT DOWN health check: connection refused",
      "4101: REPORT DOWN health check: connection refused",
    ]);
    // Of one that was given up nobody has to be told.
    story.deliver({ type: "view-changed", standing: "down" });
    story.deliver({ type: "leader-changed" });
    expect(story.state.nextAtMs).toBe(14_101);
  });

  it("keeps the distance between retries, but looks when the connection breaks meanwhile", () => {
    const story = new HealthStory({ retriesMax: 2 }).succeed().wake().fail("closed");
    story.nowMs += 3;
    story.deliver({ type: "hurried", alarm: "lost" }).tick();
    expect(story.state.phase).toBe("retrying");
    story.lose().tick().fail();
    expect(story.lines.at(-1)).toBe("10003: REPORT DOWN health check: connection refused");
  });

  it("is not made to look without a pause by sessions that lose their connections", () => {
    const story = new HealthStory().succeed();
    for (let count = 0; count < 100; count += 1) {
      story.nowMs += 1;
      story.deliver({ type: "hurried", alarm: "lost" }).tick();
      if (story.state.phase === "asking") story.succeed();
    }
    const asked = story.lines.filter((line) => line.endsWith(": check"));
    expect(asked).toEqual(["0: check", "50: check", "100: check"]);
  });

  it("does not wonder about connections to a server that is down", () => {
    const story = new HealthStory().succeed();
    const before = story.deliver({ type: "view-changed", standing: "down" }).state;
    expect(story.lose().state).toBe(before);
  });

  it("goes by a shorter period at once", () => {
    const story = new HealthStory().succeed();
    const settings = { ...story.state.settings, periodMs: 2000 };
    story.deliver({ type: "configured", settings }).wake();
    expect(story.lines.at(-1)).toBe("2000: check");
  });

  it("never asks with a period of 0", () => {
    const story = new HealthStory({ periodMs: 0 });
    story.deliver({ type: "hurried", alarm: "lost" }).tick();
    expect(story.lines).toEqual([]);
    expect(healthCheck.wakeAtMs(story.state)).toBeNull();
  });

  it("ignores an answer that nobody waits for", () => {
    const story = new HealthStory().succeed();
    const { state } = story;
    story.succeed().fail();
    expect(story.state).toBe(state);
  });
});
