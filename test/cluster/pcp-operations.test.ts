/** What administrators do by Debian's own pcp_* programs, on three hosts: detach, attach, recover, promote. */
import { appendFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LabStatus } from "../../scripts/lab.d/status.ts";
import { addressOf, dataOf, lab, sqlOn, tryLab, type LabRun } from "./lab.ts";

const WITHIN_MS = 30_000;
const HOSTS = ["n1", "n2", "n3"];

beforeAll(() => {
  lab("down");
  const settings = ["pgpool_compat_version = '4.3'", "recovery_user = 'postgres'"];
  lab("up", "--nodes", "3", ...settings.flatMap((setting) => ["--set", setting]));
  sqlOn("n1", "CREATE EXTENSION pgpool_recovery");
  sqlOn("n1", "CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS number");
});
afterAll(() => {
  lab("down");
});

/** Runs Debian's program on a host, against the node of that host. */
function pcp(host: string, program: string, ...words: string[]): LabRun {
  const pass = `PCPPASSFILE=${dirname(dataOf(host))}/etc/pcppass`;
  const command = ["env", pass, `/usr/sbin/${program}`, "-w", "-h", addressOf(host), "-U", "pcp"];
  return tryLab("exec", host, "--", ...command, ...words);
}

function status(): LabStatus {
  return JSON.parse(lab("status", "--json")) as LabStatus;
}

function until(what: string, isFitting: (status: LabStatus) => boolean): void {
  const endMs = performance.now() + WITHIN_MS;
  for (let seen = status(); !isFitting(seen); seen = status()) {
    if (performance.now() > endMs) throw new Error(`not ${what}: ${JSON.stringify(seen)}`);
  }
}

function isDown(id: number): (status: LabStatus) => boolean {
  return ({ backends }) => backends.some((one) => one.id === id && one.status === "down");
}

/** It takes its share of reads by the VIP. */
function isReadFrom(host: string): void {
  const endMs = performance.now() + WITHIN_MS;
  for (;;) {
    const { stdout } = tryLab("psql", "-XAtqc", "SELECT inet_server_addr()");
    if (stdout.trim() === addressOf(host)) return;
    if (performance.now() > endMs) throw new Error(`no read comes to ${host}`);
  }
}

/** Asks the node of a host, as soon as nothing else is done to the server. */
function recover(asked: string, id: number): LabRun {
  const endMs = performance.now() + WITHIN_MS;
  for (;;) {
    const ran = pcp(asked, "pcp_recovery_node", "-n", String(id));
    const isBusy = /has not ended|is in progress/.test(ran.stderr);
    if (!isBusy || performance.now() > endMs) return ran;
  }
}

function loseDisk(host: string): void {
  lab("kill", host, "postgres");
  until(`${host} is out`, isDown(HOSTS.indexOf(host)));
  rmSync(dataOf(host), { recursive: true });
}

describe("Debian's pcp programs", () => {
  it("detach and attach a standby", () => {
    expect(pcp("n2", "pcp_detach_node", "-n", "2").stdout).toContain("Command Successful");
    until("n3 is detached", isDown(2));
    expect(pcp("n3", "pcp_attach_node", "-n", "2").stdout).toContain("Command Successful");
    isReadFrom("n3");
  });

  it("recover the old primary after its disk was lost, through the extension", () => {
    loseDisk("n1");
    until("another is the primary", ({ backends }) =>
      backends.some(
        ({ id, role, status: word }) => id !== 0 && role === "primary" && word !== "down",
      ),
    );
    const recovered = recover("n3", 0);
    expect(recovered.stderr).toBe("");
    expect(recovered.stdout).toContain("pcp_recovery_node -- Command Successful");
    expect(sqlOn("n1", "SELECT pg_is_in_recovery(), count(*) FROM numbers")).toBe("t|1000");
    isReadFrom("n1");
  });

  it("recover a standby over ssh, without the extension", () => {
    for (const host of HOSTS) {
      appendFileSync(`${dirname(dataOf(host))}/etc/pgpool.conf`, "recovery_method = 'ssh'\n");
      expect(pcp(host, "pcp_reload_config").code).toBe(0);
    }
    const primary = status().backends.find(({ role }) => role === "primary")?.id ?? 0;
    sqlOn(HOSTS[primary] ?? "n1", "DROP EXTENSION pgpool_recovery");
    loseDisk("n3");
    const recovered = recover("n1", 2);
    expect(recovered.stderr).toBe("");
    expect(sqlOn("n3", "SELECT pg_is_in_recovery(), count(*) FROM numbers")).toBe("t|1000");
    isReadFrom("n3");
  });

  it("promote a standby, and the primary before it follows", () => {
    expect(pcp("n2", "pcp_promote_node", "-s", "-n", "0").stdout).toContain("Command Successful");
    until("n1 is the primary and all take part", ({ backends }) =>
      backends.every(({ id, role, status: word }) => {
        return word !== "down" && (role === "primary") === (id === 0);
      }),
    );
    expect(sqlOn("n1", "SELECT pg_is_in_recovery()")).toBe("f");
    expect(sqlOn("n2", "SELECT pg_is_in_recovery()")).toBe("t");
  });
});
