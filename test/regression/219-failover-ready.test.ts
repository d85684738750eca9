/** The command that keeps ready what failover_command needs, on a whole node before real servers. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";

let postgres: PostgresCluster;
let node: LoneNode;
const directory = mkdtempSync(join(tmpdir(), "pgquorum-ready-"));

/** Each run leaves its number in a file that is named after its server. */
const SCRIPT = `#!/bin/sh
cd ${directory} || exit 1
echo $$ >> "pids-$1"
[ ! -e "enough-$1" ] || exit 0
[ ! -e "broken-$1" ] || { echo "no way to $1" >&2; exit 5; }
sleep 1000
`;

beforeAll(async () => {
  writeFileSync(join(directory, "ready.sh"), SCRIPT, { mode: 0o755 });
  writeFileSync(join(directory, "enough-2"), "");
  writeFileSync(join(directory, "broken-1"), "");
  postgres = await startPostgres({ standbys: 2 });
  node = await LoneNode.start({
    postgres,
    config: [`failover_ready_command = '${directory}/ready.sh %d'`],
  });
}, 120_000);

afterAll(async () => {
  await node.remove();
  await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
});

function pidsOf(id: number): number[] {
  const path = `pids-${id}`;
  if (!readdirSync(directory).includes(path)) return [];
  return readFileSync(join(directory, path), "utf8").split("\n").filter(Boolean).map(Number);
}

function isAlive(pid: number | undefined): boolean {
  try {
    // One that has ended and was not waited for counts as gone.
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

describe("failover_ready_command", () => {
  it("runs once for each server, and not again when it says that there is nothing to do", async () => {
    await expect.poll(() => [0, 1, 2].map((id) => pidsOf(id).length > 0)).not.toContain(false);
    await expect.poll(() => node.log).toContain("failover_ready_command for node 1 ended");
    expect(node.log).toContain("no way to 1");
    await expect.poll(() => pidsOf(1).length, { timeout: 5000 }).toBeGreaterThan(1);
    expect([pidsOf(0).length, pidsOf(2).length]).toEqual([1, 1]);
    expect(isAlive(pidsOf(0)[0])).toBe(true);
    expect(node.log).not.toContain("for node 2 ended");
    // The same complaint is not repeated.
    expect(node.log.split("failover_ready_command for node 1 ended").length).toBe(2);
  });

  it.runIf(process.getuid?.() === 0)(
    "does not inherit the priority of the supervisor, nor do workers",
    async () => {
      const { supervisor, workers } = (await node.status()).pids;
      const usual = getPriority();
      expect(getPriority(supervisor)).toBe(Math.min(usual, -5));
      const others = [...workers, pidsOf(0)[0] ?? 0];
      expect(others.map((pid) => getPriority(pid))).toEqual(others.map(() => usual));
    },
  );

  it("is run again when it was ended, and ends with the node", async () => {
    const [first] = pidsOf(0);
    expect(first).toBeDefined();
    process.kill(first ?? 0, "SIGKILL");
    await expect.poll(() => pidsOf(0).length, { timeout: 5000 }).toBe(2);
    const second = pidsOf(0)[1];
    expect(isAlive(second)).toBe(true);
    node.signal("SIGINT");
    await node.ended;
    await expect.poll(() => isAlive(second)).toBe(false);
  });
});
