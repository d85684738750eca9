/**
 * Sees, from outside the nodes, who speaks as the virtual IP: one capture of all ports of the switch.
 * A host that is cut off is seen as well, because the capture stands before the place of the cut.
 * So that a holder cannot stay unseen, every host's kernel is asked for the address every 10 ms,
 * straight on its port, and the client asks the address itself every millisecond.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import {
  CLIENT_NAMESPACE,
  SWITCH_NAMESPACE,
  VIP,
  type Host,
} from "../../../scripts/lab.d/layout.ts";
import { run } from "../../../scripts/lab.d/shell.ts";
import { monotonicNowMs } from "../../../src/os/index.ts";
import { CaptureStream, hexOfAddress } from "./capture-stream.ts";
import { HolderLog } from "./holders.ts";
import { ASK_HOSTS, ASK_VIP } from "./askers.ts";

const CLIENT_PORT = "client";
const CALIBRATE_EVERY_MS = 1000;
const STOP_MS = 3000;
/** A round is much shorter; it only keeps memory from growing without end. */
const REACHED_MAX = 1_000_000;

export class Observer {
  readonly #children: ChildProcess[] = [];
  readonly #log = new HolderLog();
  readonly #stream = new CaptureStream();
  readonly #ports = new Map<number, string>();
  readonly #vip = hexOfAddress(VIP);
  #reachedMs: number[] = [];
  #waiting: (() => void)[] = [];
  #wallToMonotonicMs = 0;
  #calibratedMs = Number.NEGATIVE_INFINITY;
  #framesCount = 0;
  #complaints = "";
  #broken: string | null = null;

  static async open(hosts: readonly Host[]): Promise<Observer> {
    const observer = new Observer();
    const links = JSON.parse(await run(["ip", "-n", SWITCH_NAMESPACE, "-j", "link"])) as {
      ifindex: number;
      ifname: string;
    }[];
    for (const { ifindex, ifname } of links) observer.#ports.set(ifindex, ifname);
    const client = links.find((link) => link.ifname === CLIENT_PORT)?.ifindex ?? 0;
    observer.#capture(client);
    const names = hosts.map((host) => host.name);
    observer.#spawn(SWITCH_NAMESPACE, ["perl", "-e", ASK_HOSTS, VIP, ...names]);
    observer.#spawn(CLIENT_NAMESPACE, ["perl", "-e", ASK_VIP, VIP]);
    return observer;
  }

  get holders(): HolderLog {
    return this.#log;
  }

  /** Moments at which something with the address as its source was sent on to the client. */
  get reachedMs(): readonly number[] {
    return this.#reachedMs;
  }

  get framesCount(): number {
    return this.#framesCount;
  }

  /** Starts a new round; the present run goes on. */
  forget(): void {
    this.#log.forget();
    this.#reachedMs = this.#reachedMs.slice(-1);
  }

  /** The port that spoke last, and when. */
  get last(): { readonly port: string; readonly atMs: number } | null {
    const last = this.#log.runs.at(-1);
    return last === undefined ? null : { port: last.port, atMs: last.lastMs };
  }

  /** Waits until the condition holds; it is asked after every frame. False when time is over. */
  async until(isThere: () => boolean, withinMs: number): Promise<boolean> {
    const endMs = monotonicNowMs() + withinMs;
    while (!isThere()) {
      if (this.#broken !== null) throw new LabFailure(`the observer ended: ${this.#broken}`);
      const leftMs = endMs - monotonicNowMs();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 50));
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return true;
  }

  /** Ends the capture. Returns how many frames its kernel had to drop. */
  async close(): Promise<number> {
    this.#broken = "it was closed";
    await Promise.all(this.#children.map((child) => ended(child)));
    const dropped = /(\d+) packets? dropped by kernel/.exec(this.#complaints)?.[1];
    return Number(dropped ?? 0);
  }

  #capture(clientIndex: number): void {
    const filter = `(src host ${VIP}) and (inbound or (outbound and ifindex ${clientIndex}))`;
    const how = ["-i", "any", "-n", "-s", "128", "-U", "--immediate-mode", "-B", "8192"];
    const format = ["-Z", "root", "--time-stamp-precision=nano", "-w", "-", filter];
    const child = this.#spawn(SWITCH_NAMESPACE, ["tcpdump", ...how, ...format]);
    child.stdout?.on("data", (chunk: Buffer) => this.#onBytes(chunk));
  }

  #onBytes(chunk: Buffer): void {
    this.#calibrate();
    for (const frame of this.#stream.push(chunk)) {
      if (frame.speaksFor !== this.#vip) continue;
      const atMs = frame.wallMs + this.#wallToMonotonicMs;
      const port = this.#ports.get(frame.portIndex);
      if (port === CLIENT_PORT && frame.isOutgoing) {
        if (this.#reachedMs.length < REACHED_MAX) this.#reachedMs.push(atMs);
      } else if (port !== undefined && /^n\d+$/.test(port)) {
        this.#framesCount += 1;
        this.#log.push({ atMs, port, what: frame.what });
      }
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Frames carry the wall clock. Nothing here may take long between the two looks. */
  #calibrate(): void {
    if (monotonicNowMs() - this.#calibratedMs < CALIBRATE_EVERY_MS) return;
    const tries = Array.from({ length: 3 }, () => {
      const beganMs = Date.now();
      for (;;) {
        const wallMs = Date.now();
        if (wallMs !== beganMs) return monotonicNowMs() - wallMs;
      }
    });
    // Whoever is interrupted between the two looks finds more, never less.
    this.#wallToMonotonicMs = Math.min(...tries);
    this.#calibratedMs = monotonicNowMs();
  }

  #spawn(namespace: string, words: readonly string[]): ChildProcess {
    const child = spawn("ip", ["netns", "exec", namespace, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // Ctrl-C is for us, and we end it in order.
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-4000);
    });
    child.on("error", (error) => this.#onEnded(`${words[0]}: ${error.message}`));
    child.on("exit", () => this.#onEnded(`${words[0]}: ${this.#complaints.trim().slice(-500)}`));
    this.#children.push(child);
    return child;
  }

  #onEnded(why: string): void {
    this.#broken ??= why;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.kill("SIGINT"); // Then tcpdump tells what it missed.
  });
  clearTimeout(timer);
}
