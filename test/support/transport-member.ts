import { Secret } from "../../src/base/index.ts";
import type { Log } from "../../src/os/index.ts";
import { deriveMemberKeys, type MemberKeys } from "../../src/watchdog/driver/member-keys.ts";
import {
  startPeerTransport,
  type PeerTransport,
} from "../../src/watchdog/driver/peer-transport.ts";
import type { Hello, PeerMessage } from "../../src/wire/watchdog/index.ts";

export interface MemberSettings {
  readonly id: 0 | 1;
  readonly port: number;
  /** Where this member finds the other: its port, or that of a relay in between. */
  readonly peerPort: number;
  readonly authkey?: string;
  readonly bootId?: string;
  readonly leaseTime?: string;
}

/** A real transport on loopback, and all that it told. */
export interface Member {
  readonly transport: PeerTransport;
  readonly received: PeerMessage[];
  readonly connected: number[];
  readonly disconnected: number[];
  /** `message | detail | hint` */
  readonly lines: string[];
  readonly duplicates: number[];
}

export const MEMBERS_SILENCE_MS = 600;

export function helloOf(settings: Pick<MemberSettings, "id" | "bootId" | "leaseTime">): Hello {
  return {
    type: "hello",
    nodeId: settings.id,
    bootId: settings.bootId ?? "ab".repeat(16),
    version: "0",
    name: `node ${settings.id}`,
    priority: 1,
    settings: { wd_lease_time: settings.leaseTime ?? "600 ms" },
  };
}

export async function memberKeys(id: number, authkey = "secret"): Promise<MemberKeys> {
  return await deriveMemberKeys(new Secret(authkey), "test", id, [0, 1]);
}

export async function startMember(settings: MemberSettings): Promise<Member> {
  const { id, port, peerPort } = settings;
  const told: Omit<Member, "transport"> = {
    received: [],
    connected: [],
    disconnected: [],
    lines: [],
    duplicates: [],
  };
  const log: Log = {
    write: (_level, message, details) =>
      void told.lines.push(`${message} | ${details?.detail ?? ""} | ${details?.hint ?? ""}`),
    named: () => log,
  };
  const started = await startPeerTransport({
    self: { id, hostname: "127.0.0.1", port },
    peers: [{ id: 1 - id, hostname: "127.0.0.1", port: peerPort }],
    keys: await memberKeys(id, settings.authkey),
    hello: helloOf(settings),
    silenceMs: MEMBERS_SILENCE_MS,
    log,
    onConnected: (peer) => void told.connected.push(peer),
    onDisconnected: (peer) => void told.disconnected.push(peer),
    onMessage: (_from, message) => void told.received.push(message),
    onDuplicateId: (by) => void told.duplicates.push(by),
  });
  if (!started.ok) throw new Error(started.error);
  return { ...told, transport: started.value };
}

/** Waits for what must come; the words say what did not. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
