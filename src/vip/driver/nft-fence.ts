import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import {
  ARMS_MAX,
  armText,
  canName,
  deviceText,
  dropDeviceText,
  NONCE_BYTES,
  parseFence,
  removeText,
  renewalBytes,
  SILENT_MS,
  tableText,
  ungateText,
  type FenceSeen,
  type FenceText,
} from "../core/nft-text.ts";
import { listNftTable, NftProgram } from "./nft-program.ts";

/**
 * The kernel's fence around the virtual IP (read `core/nft-text.ts` first). Shut from the start;
 * `arm` gives a permit, which opens nothing; `renew` and `close` are single datagrams, sent before
 * they return.
 *
 * The socket that sends renewals listens on the very port it sends to: the kernel swallows every
 * one of them, so one that arrives shows that somebody flushed the packet filter.
 */
export interface NftFenceOptions {
  readonly table: string;
  readonly vip: string;
  /** K. */
  readonly leaseMs: Ms;
  /** Devices by which the address could be reached from outside. */
  readonly devices: () => Promise<Result<readonly string[], string>>;
  /** The table is gone: nothing holds packets back any more. */
  readonly onBypassed: () => void;
}

const LOAD_ATTEMPTS = 3;

export class NftFence {
  readonly #text: FenceText;
  readonly #options: NftFenceOptions;
  readonly #renewals: Socket;
  readonly #closings: Socket;
  readonly #datagram: Buffer;
  readonly #nft = new NftProgram();
  /** The gates in the table: device to the number of its chains. */
  #gates = new Map<string, number>();
  #nextGate = 0;
  #arm = 0;
  /** Something may have been sent as the address since the table is there, or before. */
  #wasUsed = false;
  #silentUntilMs: Ms = 0;
  /** Changes of the table come one after the other. */
  #lastChange: Promise<unknown> = Promise.resolve();
  #isBypassed = false;
  #isRemoved = false;

  /** Resolves when the shut table is in the kernel, whatever an earlier run left. */
  static async open(options: NftFenceOptions): Promise<Result<NftFence, string>> {
    const renewals = await bindSocket(options.vip);
    const closings = await bindSocket(options.vip);
    const fence = new NftFence(options, renewals, closings);
    let isLoaded = await fence.#load("new");
    if (!isLoaded.ok) {
      fence.#wasUsed = true;
      isLoaded = await fence.#load("replaced");
    }
    if (isLoaded.ok) return succeed(fence);
    fence.#closeSockets();
    fence.#nft.stop();
    return isLoaded;
  }

  private constructor(options: NftFenceOptions, renewals: Socket, closings: Socket) {
    this.#options = options;
    this.#renewals = renewals;
    this.#closings = closings;
    this.#datagram = Buffer.alloc(NONCE_BYTES + ARMS_MAX);
    randomBytes(NONCE_BYTES).copy(this.#datagram);
    this.#text = {
      table: options.table,
      run: `run_${randomBytes(8).toString("hex")}`,
      vip: options.vip,
      userId: process.geteuid?.() ?? 0,
      renewPort: renewals.address().port,
      closePort: closings.address().port,
      leaseMs: options.leaseMs,
    };
    for (const socket of [renewals, closings]) {
      socket.on("error", () => undefined); // A datagram that could not be sent opens nothing.
      socket.on("message", (bytes) => {
        if (bytes.subarray(0, NONCE_BYTES).equals(this.#nonce)) this.#onBypassed();
      });
    }
  }

  /** Where a datagram of this user shuts the fence at once. */
  get closePort(): number {
    return this.#text.closePort;
  }

  /** A new permit, of K; permits of before fit no renewal from now on. Loads the table if need be. */
  async arm(): Promise<Result<void, string>> {
    this.#arm += 1;
    this.#wasUsed = true;
    const text = armText(this.#text, this.#arm);
    return await this.#inTurn(async () => {
      const armed = await this.#nft.load(text);
      if (armed.ok) return armed;
      const loaded = await this.#load("replaced");
      return loaded.ok ? await this.#nft.load(text) : loaded;
    });
  }

  /** Extends permit and lease to K from now, if the permit still lives; else does nothing. */
  renew(): void {
    this.#send(this.#renewals, this.#text.renewPort);
  }

  /** Ends permit and lease. Must be sent while the address is here. */
  close(): void {
    this.#send(this.#closings, this.#text.closePort);
  }

  /**
   * The address is gone from here: lets packets of another holder pass by, those that leave as the
   * address only after a while.
   */
  async ungate(): Promise<Result<void, string>> {
    return await this.#inTurn(async () => {
      const ungated = await this.#nft.load(ungateText(this.#text, this.#wasUsed));
      if (this.#wasUsed) this.#silentUntilMs = monotonicNowMs() + SILENT_MS;
      return ungated;
    });
  }

  /** What `ungate` says to nft, for whoever outlives this process; does nothing to a later run. */
  get ungateText(): string {
    return ungateText(this.#text, true);
  }

  /** Gates devices that came, drops the gates of those that went. */
  async followDevices(): Promise<Result<void, string>> {
    return await this.#inTurn(() => this.#followDevices());
  }

  async #followDevices(): Promise<Result<void, string>> {
    const devices = await this.#options.devices();
    if (!devices.ok) return devices;
    const wanted = new Set(devices.value.filter(canName));
    for (const [device, gate] of this.#gates) {
      if (wanted.has(device)) continue;
      this.#gates.delete(device);
      // May fail: the kernel drops the chains of a device that is gone.
      await this.#nft.load(dropDeviceText(this.#text.table, gate));
    }
    for (const device of wanted) {
      if (this.#gates.has(device)) continue;
      this.#nextGate += 1;
      const added = await this.#nft.load(deviceText(this.#text.table, device, this.#nextGate));
      if (!added.ok) return added;
      this.#gates.set(device, this.#nextGate);
    }
    return succeed(undefined);
  }

  /** What the kernel shows. Costs a process: ask rarely. */
  async look(): Promise<Result<FenceSeen, string>> {
    const listed = await listNftTable(this.#text.table);
    if (!listed.ok) return listed;
    const seen = parseFence(listed.value);
    return seen === null ? fail("nft listed something else than the table") : succeed(seen);
  }

  /**
   * Takes the table out of the kernel: the address must be gone. One that still keeps back what was
   * sent as the address stays, and lets everything pass when that is over; the next run replaces it.
   */
  async remove(): Promise<void> {
    this.#closeSockets();
    if (monotonicNowMs() >= this.#silentUntilMs) {
      await this.#inTurn(() => this.#nft.load(removeText(this.#text.table)));
    }
    this.#nft.stop();
  }

  /** A device may go between the look and the load. */
  async #load(start: "new" | "replaced"): Promise<Result<void, string>> {
    let loaded: Result<void, string> = fail("not tried");
    for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
      const devices = await this.#options.devices();
      if (!devices.ok) return devices;
      const names = devices.value.filter(canName);
      loaded = await this.#nft.load(tableText(this.#text, names, start));
      if (!loaded.ok) continue;
      this.#gates = new Map(names.map((name, index) => [name, index]));
      this.#nextGate = names.length;
      return loaded;
    }
    return loaded;
  }

  /** Somebody flushed the packet filter: nothing is shut any more, so first of all shut it. */
  #onBypassed(): void {
    if (this.#isBypassed) return;
    this.#isBypassed = true;
    void this.#inTurn(() => this.#load("replaced")).then(() => {
      this.#isBypassed = false;
    });
    this.#options.onBypassed();
  }

  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(change);
    this.#lastChange = turn;
    return await turn;
  }

  #send(socket: Socket, port: number): void {
    if (this.#isRemoved) return;
    const datagram = this.#datagram.subarray(0, renewalBytes(this.#arm));
    socket.send(datagram, port, this.#options.vip, () => undefined);
  }

  get #nonce(): Buffer {
    return this.#datagram.subarray(0, NONCE_BYTES);
  }

  #closeSockets(): void {
    this.#isRemoved = true;
    this.#renewals.close();
    this.#closings.close();
  }
}

/** A socket whose `send` reaches the kernel before it returns: no name is looked up. */
async function bindSocket(vip: string): Promise<Socket> {
  const family = vip.includes(":") ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? "udp6" : "udp4",
    ...(family === 6 ? { ipv6Only: true } : {}),
    lookup: (address, _options, callback) => callback(null, address, family),
  });
  const isBound = once(socket, "listening");
  socket.bind(0);
  await isBound;
  socket.unref();
  return socket;
}
