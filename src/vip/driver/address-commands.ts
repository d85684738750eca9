import { spawn, type ChildProcess } from "node:child_process";
import { isIPv6 } from "node:net";
import type { Stream } from "node:stream";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { runCommand, type Log } from "../../os/index.ts";

/** Where the kernel has an address. */
export interface AddressPlace {
  readonly device: string;
  readonly prefixLength: number;
}

const IP_TIMEOUT_MS: Ms = 5000;
const DRAIN_MS: Ms = 1000;

/** Every place where this host has `address`; empty: nowhere. */
export async function findAddress(address: string): Promise<Result<AddressPlace[], string>> {
  const shown = await runCommand({
    command: ["ip", "-o", "addr", "show", "to", address],
    timeoutMs: IP_TIMEOUT_MS,
  });
  if (shown.exitCode !== 0) {
    const why = shown.startError ?? shown.lines.join(" ");
    return fail(`"ip addr show" failed: ${why}; is the package iproute2 installed?`);
  }
  const places: AddressPlace[] = [];
  for (const line of shown.lines) {
    const match = /^\d+:\s+(\S+)\s+inet6?\s+[^/\s]+(?:\s+peer\s+[^/\s]+)?\/(\d+)/.exec(line);
    if (match?.[1] !== undefined) {
      places.push({ device: match[1], prefixLength: Number(match[2]) });
    }
  }
  return succeed(places);
}

/** `ip addr del`, until none is left. True when the address was read back as gone. */
export async function removeAddress(address: string): Promise<boolean> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const found = await findAddress(address);
    if (!found.ok) return false;
    if (found.value.length === 0) return true;
    for (const { device, prefixLength } of found.value) {
      await runCommand({
        command: ["ip", "addr", "del", `${address}/${prefixLength}`, "dev", device],
        timeoutMs: IP_TIMEOUT_MS,
      });
    }
  }
  return false;
}

/**
 * One long-lived `ip -batch`, so that a renewal costs a line on a pipe instead of a new process:
 * 0.03 ms instead of 3.
 */
export class AddressRenewer {
  readonly #log: Log;
  readonly #address: string;
  readonly #lifetimeSeconds: number;
  #child: ChildProcess | null = null;

  constructor(address: string, lifetimeSeconds: number, log: Log) {
    this.#address = address;
    this.#lifetimeSeconds = lifetimeSeconds;
    this.#log = log;
  }

  /**
   * Adds the address or extends its life: `ip addr replace … valid_lft N`.
   *
   * @param lifeline kept open by the process that renews, for as long as it lives.
   */
  renew(place: AddressPlace, lifeline: Stream): void {
    this.#child ??= this.#spawn(lifeline);
    const { device, prefixLength } = place;
    const lifetime = this.#lifetimeSeconds;
    // An IPv6 address must not wait for duplicate address detection: the fence already excludes it.
    const flags = isIPv6(this.#address) ? " nodad" : "";
    this.#child.stdin?.write(
      `addr replace ${this.#address}/${prefixLength} dev ${device} valid_lft ${lifetime} preferred_lft ${lifetime}${flags}\n`,
    );
  }

  /**
   * Resolves when no renewal is left in the pipe that could bring the address back: they are done,
   * or, when that takes long, their process was killed.
   */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    const killer = setTimeout(() => child.kill("SIGKILL"), DRAIN_MS);
    await new Promise<void>((resolve) => {
      child.once("close", () => resolve());
      child.stdin?.end();
    });
    clearTimeout(killer);
  }

  #spawn(lifeline: Stream): ChildProcess {
    const child = spawn("ip", ["-force", "-batch", "-"], {
      stdio: ["pipe", "ignore", "pipe", lifeline],
    });
    child.stdin?.on("error", () => undefined); // Its exit says the same.
    let complaint = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString("utf8")).slice(-500);
      this.#log.write("warning", "renewing the virtual IP failed", { detail: complaint.trim() });
    });
    child.once("error", (error) => {
      this.#log.write("error", "could not run ip", {
        detail: error.message,
        hint: "Install the package iproute2.",
      });
    });
    child.once("close", () => {
      if (this.#child === child) this.#child = null;
    });
    return child;
  }
}
