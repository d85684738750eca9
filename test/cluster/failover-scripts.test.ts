/** The scripts that a node runs, on real hosts and servers, but started by hand: no node is up. */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { addressOf, dataOf, lab, sqlOn, tryLab, type LabRun } from "./lab.ts";

const HEARD_WITHIN_MS = 60_000;
const SCRIPTS = resolve(import.meta.dirname, "../../scripts");
const historyFile = (): string => `${dirname(dirname(dataOf("n1")))}/failover.log`;

beforeAll(() => {
  lab("down");
  lab("up", "--no-nodes");
  sqlOn("n1", "CREATE TABLE numbers (number int)");
});
afterAll(() => {
  lab("down");
});
beforeEach(() => writeFileSync(historyFile(), ""));

function history(): string[] {
  return readFileSync(historyFile(), "utf8").split("\n").filter(Boolean);
}

/** Waits until the primary has heard from its synchronous standby after now. */
function untilHeard(primary: string, standby: string): void {
  const since = sqlOn(primary, "SELECT clock_timestamp()");
  const ask = `SELECT count(*) FROM pg_stat_replication WHERE application_name = '${standby}'
    AND sync_state = 'sync' AND reply_time > '${since}'`;
  const endMs = performance.now() + HEARD_WITHIN_MS;
  while (sqlOn(primary, ask) !== "1") {
    if (performance.now() > endMs) throw new Error(`${primary} hears nothing of ${standby}`);
  }
}

/** The words that a node puts in the place of `%d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S`. */
function placeholders(failed: string, chosen: string, oldPrimary: string): string[] {
  const id = (host: string): string => String(Number(host.slice(1)) - 1);
  const first = [id(failed), addressOf(failed), "5432", dataOf(failed)];
  const second = [id(chosen), addressOf(chosen), "0", id(oldPrimary), "5432", dataOf(chosen)];
  return [...first, ...second, addressOf(oldPrimary), "5432"];
}

function runOn(host: string, script: string, words: readonly string[]): LabRun {
  const command = ["env", "PGQUORUM_ATTACH=off", `${SCRIPTS}/${script}`, ...words];
  return tryLab("exec", host, "--", ...command);
}

describe("failover_ready.sh", () => {
  /** Which connection a command comes by, one line each; `ready` starts the script. */
  function connections(steps: string): string[] {
    const words = `1 ${addressOf("n2")}`;
    const program = `
      source ${SCRIPTS}/remote-functions.sh
      is_open() { ssh_options ${addressOf("n2")}; ssh "\${ssh_options[@]}" -O check postgres@${addressOf("n2")} 2>/dev/null; }
      ready() {
        ${SCRIPTS}/failover_ready.sh ${words} & pid=$!
        for ((i = 0; i < 100; i++)); do if is_open; then return; fi; sleep 0.1; done
        exit 1
      }
      ask() { on_host ${addressOf("n2")} sh -c 'echo $SSH_CONNECTION'; }
      ${steps}`;
    const ran = tryLab("exec", "n1", "--", "bash", "-c", program);
    expect(ran).toMatchObject({ code: 0 });
    return ran.stdout.trim().split("\n");
  }

  it("keeps a connection that the other scripts use, and that ends with it", () => {
    const [first, second, third, left] = connections(
      'ready; ask; ask; kill $pid; wait $pid; ask; echo "left: $(ls -A "$PGQUORUM_SSH_KEPT")"',
    );
    expect(first).toMatch(/^\S+ \d+ \S+ 22$/);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
    expect(left).toBe("left:");
  });

  it("opens one anew after it was killed and left its socket behind", () => {
    const [first, second, third] = connections(
      "ready; ask; kill -9 $pid; wait $pid; ready; ask; ask; kill $pid",
    );
    expect(second).not.toBe(first);
    expect(third).toBe(second);
  });
});

describe("failover.sh", () => {
  it("promotes nobody when a standby has failed", () => {
    const ran = runOn("n2", "failover.sh", placeholders("n3", "n1", "n1"));
    expect(ran.code).toBe(0);
    expect(history()).toEqual([expect.stringContaining("result=not-primary exit=0")]);
    expect(sqlOn("n3", "SELECT pg_is_in_recovery()")).toBe("t");
  });

  it("says that nobody is left when there is no candidate", () => {
    const words = ["0", addressOf("n1"), "5432", dataOf("n1"), "-1", "", "0", "0", "", "", "", ""];
    const ran = runOn("n2", "failover.sh", words);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("no backend is left");
  });

  it("refuses words that would mean something to a shell", () => {
    const words = placeholders("n1", "n2", "n1");
    words[5] = "$(touch /tmp/pgquorum-injected);x";
    const ran = runOn("n2", "failover.sh", words);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain("must be a host name or address");
    expect(history()).toEqual([expect.stringContaining("result=refused exit=2")]);
  });

  it("fails honestly when the host cannot be reached", () => {
    lab("cut", "n2");
    const ran = runOn("n3", "failover.sh", placeholders("n1", "n2", "n1"));
    lab("heal", "n2");
    untilHeard("n1", "n2"); // Else another is the synchronous one when n2 is to be promoted.
    expect(ran.code).toBe(1);
    expect(history()).toEqual([expect.stringContaining("result=failed exit=1")]);
  });

  it("promotes the chosen standby, which takes writes at once, and does so only once", () => {
    sqlOn("n1", "INSERT INTO numbers SELECT generate_series(1, 1000)");
    lab("kill", "n1", "postgres");
    const first = runOn("n3", "failover.sh", placeholders("n1", "n2", "n1"));
    const again = runOn("n3", "failover.sh", placeholders("n1", "n2", "n1"));
    expect([first.code, again.code]).toEqual([0, 0]);
    expect(history()).toEqual([
      expect.stringContaining("on=n3 epoch=- failed=0 old_primary=0 new_main=1"),
      expect.stringContaining("result=already-primary"),
    ]);
    sqlOn("n2", "SET statement_timeout = '3s'; INSERT INTO numbers VALUES (0)");
    expect(sqlOn("n2", "SELECT count(*) FROM numbers")).toBe("1001");
  });
});

describe("follow_primary.sh", () => {
  it("leaves a stopped server alone", () => {
    const ran = runOn("n3", "follow_primary.sh", placeholders("n1", "n2", "n1"));
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain("left alone");
  });

  it("points a running standby to the new primary, which waits for it again", () => {
    const ran = runOn("n3", "follow_primary.sh", placeholders("n3", "n2", "n1"));
    expect(ran.stderr).toContain("was pointed to node 1");
    expect(ran.code).toBe(0);
    const ask = "SELECT application_name, sync_state FROM pg_stat_replication";
    expect(sqlOn("n2", ask)).toBe("n3|sync");
  });

  it("makes a standby of the old primary when it is started again", () => {
    expect(lab("start", "n1", "postgres")).toContain("follows the new primary");
    expect(sqlOn("n1", "SELECT pg_is_in_recovery(), count(*) FROM numbers")).toBe("t|1001");
  });

  it("takes a standby back that had received more than the new primary", () => {
    lab("cut", "n1"); // From now on n3 is the synchronous one, and n1 falls behind.
    sqlOn("n2", "INSERT INTO numbers SELECT generate_series(1, 1000)");
    lab("kill", "n2", "postgres");
    lab("heal");
    expect(runOn("n3", "failover.sh", placeholders("n2", "n1", "n2")).code).toBe(0);
    const ran = runOn("n3", "follow_primary.sh", placeholders("n3", "n1", "n2"));
    expect(ran.stderr).toContain("was taken back and pointed to node 0");
    expect(sqlOn("n3", "SELECT pg_is_in_recovery(), count(*) FROM numbers")).toBe("t|1001");
  });
});
