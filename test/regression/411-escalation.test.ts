/** The commands of an administrator around the virtual IP, run as they are: by a shell. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Escalation } from "../../src/watchdog/driver/escalation.ts";
import { keepingLog } from "../support/pcp-server.ts";

let directory = "";
let log = keepingLog();
let raised = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "pgquorum-escalation-"));
  log = keepingLog();
  raised = 0;
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function written(): string {
  try {
    return readFileSync(join(directory, "out"), "utf8");
  } catch {
    return "";
  }
}

function open(up: string, down: string, patienceMs = 5000): Escalation {
  return new Escalation({
    up: up.replaceAll("OUT", join(directory, "out")),
    down: down.replaceAll("OUT", join(directory, "out")),
    log,
    onMayRaiseVip: () => (raised += 1),
    patienceMs,
  });
}

/** Looks again until it is so; the test's own time limit ends it. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("escalation", () => {
  it("runs each command once, in the order of the changes", async () => {
    const escalation = open("echo up >>OUT", "echo down >>OUT");
    await escalation.follow(true);
    await escalation.follow(true);
    await escalation.follow(false);
    await escalation.follow(true);
    expect(written()).toBe("up\ndown\nup\n");
    expect(log.lines).toEqual([
      "log: I am the cluster leader node. Starting escalation process",
      "log: watchdog: escalation started",
      "log: watchdog escalation successful",
      "log: watchdog: de-escalation started",
      "log: watchdog de-escalation successful",
      "log: I am the cluster leader node. Starting escalation process",
      "log: watchdog: escalation started",
      "log: watchdog escalation successful",
    ]);
  });

  it("keeps no virtual IP back when it has no command", async () => {
    const escalation = open("", "");
    expect(escalation.mayRaiseVip).toBe(true);
    await escalation.follow(true);
    await escalation.follow(false);
    await escalation.follow(true);
    expect([escalation.mayRaiseVip, raised]).toEqual([true, 0]);
  });

  it("lets the virtual IP up when its command has ended, also when that failed", async () => {
    const escalation = open("exit 7", "");
    expect(escalation.mayRaiseVip).toBe(false);
    const done = escalation.follow(true);
    expect([escalation.mayRaiseVip, raised]).toEqual([false, 0]);
    await done;
    expect([escalation.mayRaiseVip, raised]).toEqual([true, 1]);
    expect(log.lines).toContain("warning: watchdog escalation command failed with exit status: 7");
    await escalation.follow(false);
    expect(escalation.mayRaiseVip).toBe(false);
  });

  it("does not let a command that hangs keep the virtual IP away", async () => {
    const escalation = open("echo up >>OUT; sleep 60", "echo down >>OUT", 200);
    const done = escalation.follow(true);
    await until(() => escalation.mayRaiseVip);
    expect(raised).toBe(1);
    expect(log.lines.join("\n")).toContain("has not ended yet; the virtual IP comes up");
    void escalation.follow(false);
    await done;
    expect(written()).toBe("up\ndown\n");
  });

  it("ends a command that stands in the way of the other, and never runs both at once", async () => {
    const escalation = open("echo up >>OUT", "echo down >>OUT; sleep 60; echo late >>OUT", 200);
    await escalation.follow(true);
    void escalation.follow(false);
    await until(() => written().includes("down"));
    await escalation.follow(true);
    expect(written()).toBe("up\ndown\nup\n");
    expect(log.lines).toContain("warning: watchdog de-escalation command exit abnormally");
  });

  it("lets a short command end in peace", async () => {
    const escalation = open("sleep 0.2; echo up >>OUT", "echo down >>OUT");
    void escalation.follow(true);
    await escalation.follow(false);
    expect(written()).toBe("up\ndown\n");
    expect(raised).toBe(0);
  });

  it("runs nothing for a change that is taken back in time", async () => {
    const escalation = open("sleep 0.2; echo up >>OUT", "echo down >>OUT");
    const done = escalation.follow(true);
    void escalation.follow(false);
    void escalation.follow(true);
    await done;
    expect(written()).toBe("up\n");
    expect([escalation.mayRaiseVip, raised]).toEqual([true, 1]);
  });

  it("closes in bounded time, however long the command takes", async () => {
    const escalation = open("", "echo down >>OUT; sleep 60", 200);
    await escalation.follow(true);
    const beganMs = performance.now();
    await escalation.close();
    expect(performance.now() - beganMs).toBeLessThan(3000);
    expect(written()).toBe("down\n");
    await escalation.close();
    expect(written()).toBe("down\n");
  });
});
