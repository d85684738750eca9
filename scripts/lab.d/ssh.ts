/** ssh between the hosts, as in a real installation: keys made for the lab, host keys known. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sshConfig, sshdConfig } from "./config-texts.ts";
import { LabFailure } from "./failure.ts";
import { environmentOf, insideHost } from "./inside.ts";
import { files, type Host, type LabPlan } from "./layout.ts";
import { processInfo } from "./processes.ts";
import { run, startDetached, tryRun, waitFor } from "./shell.ts";

const SSHD = "/usr/sbin/sshd";
const SSHD_START_MS = 10_000;

export async function ensureSsh(plan: LabPlan, hosts: readonly Host[]): Promise<void> {
  const directory = join(plan.directory, "ssh");
  mkdirSync(directory, { recursive: true });
  const key = join(directory, "id_ed25519");
  const keys = [key, ...hosts.map((host) => hostKey(host))];
  await Promise.all(keys.filter((path) => !existsSync(path)).map((path) => makeKey(path)));
  // Root may read any key; postgres only its own, so it is the owner.
  await run(["chown", "postgres:", key]);
  const lines = hosts.map(
    (host) => `${host.address} ${readFileSync(`${hostKey(host)}.pub`, "utf8")}`,
  );
  writeFileSync(join(directory, "known_hosts"), lines.join(""));
  writeFileSync(join(directory, "authorized_keys"), readFileSync(`${key}.pub`));
  writeFileSync(files.sshConfig(plan.directory), sshConfig(plan));
  for (const file of ["known_hosts", "authorized_keys", "config"]) {
    chmodSync(join(directory, file), 0o644);
  }
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 }); // Where sshd locks a child in.
  await Promise.all(hosts.map((host) => ensureSshd(plan, host)));
}

async function makeKey(path: string): Promise<void> {
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "pgquorum-lab", "-f", path]);
}

function hostKey(host: Host): string {
  return join(host.etc, "ssh_host_ed25519_key");
}

async function ensureSshd(plan: LabPlan, host: Host): Promise<void> {
  if (runningSshd(host) !== null) return;
  const config = join(host.etc, "sshd_config");
  writeFileSync(config, sshdConfig(plan, host));
  const words = insideHost(host, [SSHD, "-D", "-e", "-f", config]);
  startDetached(words, files.sshdLog(host), environmentOf(plan, host));
  const answer = await waitFor(() => runningSshd(host), SSHD_START_MS);
  if (answer !== null) return;
  const said = (await tryRun(["tail", "-n", "5", files.sshdLog(host)])).stdout.trim();
  throw new LabFailure(`sshd of ${host.name} did not start`, said);
}

function runningSshd(host: Host): number | null {
  try {
    const pid = Number(readFileSync(join(host.run, "sshd.pid"), "utf8"));
    return processInfo(pid)?.title.includes("sshd") === true ? pid : null;
  } catch {
    return null;
  }
}
