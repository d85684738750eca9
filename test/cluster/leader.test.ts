/** Three hosts with nodes: who leads, who holds the VIP, and what becomes of both in trouble. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LabStatus } from "../../scripts/lab.d/status.ts";
import { lab, sqlOn, tryLab } from "./lab.ts";

/** Promised with the profile `fast`, from the kill to the address on another host. */
const VIP_MOVES_WITHIN_MS = 2_000;
const CALM_MS = 30_000;

beforeAll(() => {
  lab("down");
  lab("up", "--nodes", "3", "--profile", "fast");
});
afterAll(() => {
  lab("down");
});

function status(): LabStatus {
  return JSON.parse(lab("status", "--json")) as LabStatus;
}

function leader(): string {
  const leaders = status().nodes.filter((node) => node.state === "LEADER");
  expect(leaders).toHaveLength(1);
  return leaders[0]?.host ?? "";
}

/** The first status that fits, and how long it took to come. */
function statusOnce(
  isFitting: (status: LabStatus) => boolean,
  withinMs: number,
): { status: LabStatus; afterMs: number } {
  const beganMs = performance.now();
  for (;;) {
    const seen = status();
    const afterMs = performance.now() - beganMs;
    if (isFitting(seen)) return { status: seen, afterMs };
    if (afterMs > withinMs) throw new Error(`after ${withinMs} ms still ${JSON.stringify(seen)}`);
  }
}

/** Asks through the VIP until an answer comes. */
function queryOnce(withinMs: number): void {
  const beganMs = performance.now();
  for (;;) {
    const ran = tryLab("psql", "-XAtc", "select 1");
    if (ran.stdout.trim() === "1") return;
    if (performance.now() - beganMs > withinMs) throw new Error(ran.stderr);
  }
}

function isCalm({ vip, nodes, backends }: LabStatus): boolean {
  const leaders = nodes.filter((node) => node.state === "LEADER").map((node) => node.host);
  return (
    leaders.length === 1 &&
    vip.holder === leaders[0] &&
    nodes.every((node) => node.leader === leaders[0] && node.quorum === true) &&
    backends.every((backend) => /^(up|waiting)$/.test(backend.status))
  );
}

describe("a lab that is up", () => {
  it("answers a query through the VIP", () => {
    expect(lab("psql", "-XAtc", "select 1")).toBe("1");
  });

  it("is not disturbed by a second `up`", () => {
    const before = status();
    lab("up");
    expect(status().nodes.map((node) => node.pids)).toEqual(before.nodes.map((node) => node.pids));
  });

  it("refuses to become another one before it is taken down", () => {
    const ran = tryLab("up", "--nodes", "5");
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("a lab of 3 nodes with the profile fast is up already");
  });

  it("names the parts of each node, and all of them run", () => {
    for (const { host, pids } of status().nodes) {
      const all = [pids.supervisor, pids.watchdog, pids.guardian, ...pids.workers].map(String);
      expect(
        lab("exec", host, "--", "ps", "-o", "pid=", "-p", all.join(",")).split("\n"),
      ).toHaveLength(all.length);
    }
  });
});

describe("the virtual IP", () => {
  it("moves to exactly one other host when the leader node is killed, and queries pass", () => {
    const old = leader();
    lab("kill", "LEADER", "node");
    const moved = statusOnce(
      ({ vip }) => typeof vip.holder === "string" && vip.holder !== old,
      VIP_MOVES_WITHIN_MS,
    );
    expect(moved.afterMs).toBeLessThan(VIP_MOVES_WITHIN_MS);
    expect(lab("psql", "-XAtc", "select 1")).toBe("1");
    lab("start", old, "node");
    expect(statusOnce(isCalm, CALM_MS).status.vip.holder).not.toBe(old);
  });

  it("leaves a leader that is cut off, who gives it up by himself, and comes to rest", () => {
    const old = leader();
    lab("cut", "LEADER");
    const isMoved = ({ vip }: LabStatus): boolean =>
      typeof vip.holder === "string" && vip.holder !== old;
    statusOnce(isMoved, CALM_MS);
    queryOnce(CALM_MS); // Its server is cut off as well, which the health check has to find out.
    lab("heal");
    // If that server was primary, there are two now: the one that was cut off becomes a standby.
    lab("kill", old, "postgres");
    lab("start", old, "postgres");
    statusOnce(isCalm, CALM_MS);
  });

  it("stays where it is when the guardian is killed, and the node gets a new one", () => {
    const holder = status().vip.holder;
    const old = status().nodes.find((node) => node.host === holder)?.pids.guardian;
    lab("kill", "LEADER", "guardian");
    const isNew = ({ nodes }: LabStatus): boolean => {
      const guardian = nodes.find((node) => node.host === holder)?.pids.guardian ?? null;
      return guardian !== null && guardian !== old;
    };
    expect(statusOnce(isNew, CALM_MS).status.vip.holder).toBe(holder);
  });
});

describe("a primary that dies", () => {
  it("is replaced, comes back as a standby, and is used again", () => {
    const old = status().backends.find((backend) => backend.role === "primary")?.host ?? "";
    lab("kill", "PRIMARY", "postgres");
    const isReplaced = ({ backends }: LabStatus): boolean =>
      backends.some((each) => each.role === "primary" && each.host !== old && each.status === "up");
    statusOnce(isReplaced, CALM_MS);
    lab("psql", "-qc", "CREATE TABLE after_failover (number int)");
    expect(lab("start", old, "postgres")).toContain("the nodes use it again");
    statusOnce(isCalm, CALM_MS);
    expect(sqlOn(old, "SELECT pg_is_in_recovery()")).toBe("t");
  });
});
