import { spawn, type ChildProcess } from "node:child_process";
import type { Stream } from "node:stream";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { runCommand, type Log } from "../../os/index.ts";
import type { Addresses, AddressPlace, NetworkDevice } from "./addresses.ts";

const IP_TIMEOUT_MS: Ms = 5000;
const DRAIN_MS: Ms = 1000;
const REMOVE_ATTEMPTS = 20;
const MONITOR_AGAIN_MS: Ms = 1000;

/**
 * The virtual IP by the program `ip`. Renewals are lines into one long-lived `ip -batch`: 0.03 ms
 * instead of the 3 of a new process.
 */
export class CommandAddresses implements Addresses {
  readonly means = "ip";
  readonly #vip: string;
  readonly #log: Log;
  #batch: ChildProcess | null = null;
  #monitor: ChildProcess | null = null;
  #isStopped = false;

  constructor(vip: string, log: Log) {
    this.#vip = vip;
    this.#log = log;
  }

  async find(): Promise<Result<AddressPlace[], string>> {
    return await findAddress(this.#vip);
  }

  async put(
    place: AddressPlace,
    lifetimeSeconds: number | null,
    lifeline: Stream,
  ): Promise<Result<{ readonly isDone: boolean }, string>> {
    this.#batch ??= this.#spawnBatch(lifeline);
    const lifetime = lifetimeSeconds ?? "forever";
    // An IPv6 address must not wait for duplicate address detection: the fence already excludes it.
    const flags = this.#vip.includes(":") ? " nodad" : "";
    this.#batch.stdin?.write(
      `addr replace ${this.#vip}/${place.prefixLength} dev ${place.device} valid_lft ${lifetime} preferred_lft ${lifetime}${flags}\n`,
    );
    return succeed({ isDone: false });
  }

  /** The lines in the pipe are done, or, when that takes long, their process was killed. */
  async settle(): Promise<void> {
    const child = this.#batch;
    if (child === null) return;
    this.#batch = null;
    const killer = setTimeout(() => child.kill("SIGKILL"), DRAIN_MS);
    await new Promise<void>((resolve) => {
      child.once("close", () => resolve());
      child.stdin?.end();
    });
    clearTimeout(killer);
  }

  async remove(): Promise<boolean> {
    for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt++) {
      const found = await this.find();
      if (!found.ok) return false;
      if (found.value.length === 0) return true;
      for (const { device, prefixLength } of found.value) {
        await runCommand({
          command: ["ip", "addr", "del", `${this.#vip}/${prefixLength}`, "dev", device],
          timeoutMs: IP_TIMEOUT_MS,
        });
      }
    }
    return false;
  }

  async devices(): Promise<Result<NetworkDevice[], string>> {
    const devices: NetworkDevice[] = [];
    const shown = await runCommand({
      command: ["ip", "-o", "-d", "link", "show"],
      timeoutMs: IP_TIMEOUT_MS,
      onLine: (line) => devices.push(...parseLink(line)), // There may be more than are kept.
    });
    if (shown.exitCode === 0) return succeed(devices);
    return fail(`"ip link show" failed: ${shown.startError ?? shown.lines.join(" ")}`);
  }

  watch(onEvent: () => void): void {
    if (this.#isStopped) return;
    const child = spawn("ip", ["-o", "monitor", "link", "address"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#monitor = child;
    child.unref();
    child.stdout.on("data", onEvent);
    child.on("error", () => undefined); // Its end says the same; the regular looks go on.
    child.once("close", () => {
      setTimeout(() => this.watch(onEvent), MONITOR_AGAIN_MS).unref();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#monitor?.kill();
  }

  #spawnBatch(lifeline: Stream): ChildProcess {
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
      if (this.#batch === child) this.#batch = null;
    });
    return child;
  }
}

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

/** A line of `ip -o -d link show`: `2: v0@v1: <BROADCAST,…> … link/ether 02:… brd …`. */
function parseLink(line: string): NetworkDevice[] {
  const match = /^(\d+): ([^@:\s]+)(?:@\S+)?: <([^>]*)>/.exec(line);
  const name = match?.[2];
  if (name === undefined) return [];
  const hardware = /link\/\S+ ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})/.exec(line)?.[1] ?? "";
  const isLoopback = (match?.[3] ?? "").split(",").includes("LOOPBACK");
  return [
    {
      name,
      index: Number(match?.[1]),
      hardwareAddress: Buffer.from(hardware.replaceAll(":", ""), "hex"),
      isExternal: !isLoopback && !/ bridge_slave /.test(line),
    },
  ];
}
