import type { Stream } from "node:stream";
import type { Result } from "../../base/index.ts";

/** Where the kernel has an address. */
export interface AddressPlace {
  readonly device: string;
  readonly prefixLength: number;
}

export interface NetworkDevice {
  readonly name: string;
  readonly index: number;
  /** Six bytes; empty on devices without one. */
  readonly hardwareAddress: Buffer;
  /** Frames from outside reach this host by it: not `lo`, and not a mere port of a bridge. */
  readonly isExternal: boolean;
}

/**
 * The virtual IP in this host's kernel: over netlink where that package loads (`NetlinkAddresses`),
 * else by the program `ip` (`CommandAddresses`).
 */
export interface Addresses {
  readonly means: "netlink" | "ip";
  /** Every place where this host has the virtual IP; empty: nowhere. */
  find(): Promise<Result<AddressPlace[], string>>;
  /**
   * Adds the virtual IP or extends its life. The request is on its way when this returns; resolves
   * when the kernel has said that it is done, or, with `isDone` false, when `ip` was told.
   *
   * @param lifetimeSeconds `valid_lft`; null: without end.
   * @param lifeline kept open by every process that may still do it, for as long as it lives.
   */
  put(
    place: AddressPlace,
    lifetimeSeconds: number | null,
    lifeline: Stream,
  ): Promise<Result<{ readonly isDone: boolean }, string>>;
  /** Resolves when no `put` of before can bring the address back any more. */
  settle(): Promise<void>;
  /** Deletes it, wherever it is. True when it was read back as gone. */
  remove(): Promise<boolean>;
  devices(): Promise<Result<NetworkDevice[], string>>;
  /** `onEvent`: something about links or addresses changed; read again. */
  watch(onEvent: () => void): void;
  stop(): void;
}
