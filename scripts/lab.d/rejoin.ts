/** A server that comes back: as it was, or as a standby of whoever is primary by now. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LabFailure } from "./failure.ts";
import { environmentOf, insideHost } from "./inside.ts";
import { ACCOUNTS, hostsOf, serversOf, type Host, type LabPlan } from "./layout.ts";
import { postmaster, roleOf, startServer } from "./postgres.ts";
import { run } from "./shell.ts";
import { leadersOf, lookAtLab } from "./status.ts";

const REJOIN_MS = 120_000;

/**
 * Starts the server of a host. If another server is primary now, and this one does not follow it
 * yet, the very script that serves after a failover makes it a standby first.
 */
export async function startPostgres(
  plan: LabPlan,
  host: Host,
  isAsIs = false,
): Promise<"ran" | "started" | "rejoined"> {
  if (postmaster(host) !== null) {
    if (!isAsIs) await refuseSecondPrimary(plan, host);
    return "ran";
  }
  const primary = isAsIs ? null : await presentPrimary(plan, host);
  if (primary === null || follows(host, primary)) {
    await startServer(plan, host);
    return "started";
  }
  const script = join(plan.repository, "scripts", "follow_primary.sh");
  const [self, other] = [wordsOf(host), wordsOf(primary)];
  const words = [script, ...self, String(primary.id), primary.address, String(host.id)];
  const rest = [String(host.id), String(primary.ports.postgres), primary.pgdata];
  await run(insideHost(primary, [...words, ...rest, host.address, other[2] ?? ""]), {
    env: {
      ...environmentOf(plan, primary),
      PGQUORUM_FOLLOW_STOPPED: "on",
      // The nodes may not run: attaching is theirs or the caller's business.
      PGQUORUM_ATTACH: "off",
    },
    timeoutMs: REJOIN_MS,
  });
  return "rejoined";
}

/**
 * Gives a server that runs again back to the nodes, if they took it out. Returns whether they
 * did. Nodes never take a server back on their own: an operator decides.
 */
export async function attachServer(plan: LabPlan, host: Host): Promise<boolean> {
  const status = await lookAtLab(plan);
  const leader = hostsOf(plan).find((each) => leadersOf(status).includes(each.name));
  const isOut = status.backends.some((each) => each.id === host.id && each.status === "down");
  if (leader === undefined || !isOut) return false;
  const program = join(plan.repository, "bin", "pcp_attach_node");
  const where = ["-w", "-h", leader.address, "-p", String(leader.ports.pcp)];
  const words = [program, ...where, "-U", ACCOUNTS.pcp.user, "-n", String(host.id)];
  await run(insideHost(leader, words), { env: environmentOf(plan, leader) });
  return true;
}

/** Reads from a server that was overtaken while it ran on would be reads of lost rows. */
async function refuseSecondPrimary(plan: LabPlan, host: Host): Promise<void> {
  if ((await roleOf(plan, host)) !== "primary") return;
  const other = await presentPrimary(plan, host);
  if (other === null) return;
  throw new LabFailure(
    `${host.name} still runs as a primary, beside ${other.name}`,
    `Make a standby of it: scripts/lab kill ${host.name} postgres, then scripts/lab start ${host.name} postgres.`,
  );
}

function wordsOf(host: Host): string[] {
  return [String(host.id), host.address, String(host.ports.postgres), host.pgdata];
}

async function presentPrimary(plan: LabPlan, except: Host): Promise<Host | null> {
  const others = serversOf(plan).filter((host) => host.name !== except.name);
  const roles = await Promise.all(others.map((host) => roleOf(plan, host)));
  const primaries = others.filter((_, index) => roles[index] === "primary");
  if (primaries.length > 1) {
    throw new LabFailure(
      `${primaries.map((host) => host.name).join(" and ")} both take writes`,
      "Kill the wrong one first, or start this server with --as-is.",
    );
  }
  return primaries[0] ?? null;
}

/** Whether the server's own settings already name this primary. The last line of a name counts. */
function follows(host: Host, primary: Host): boolean {
  try {
    readFileSync(join(host.pgdata, "standby.signal"));
    const text = readFileSync(join(host.pgdata, "postgresql.auto.conf"), "utf8");
    const line = text.split("\n").findLast((each) => each.startsWith("primary_conninfo"));
    return (
      line !== undefined &&
      line.includes(`host=${primary.address} `) &&
      line.includes(`port=${primary.ports.postgres} `)
    );
  } catch {
    return false;
  }
}
