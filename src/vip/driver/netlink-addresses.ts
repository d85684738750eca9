import type { Stream } from "node:stream";
import type { rt, RtNetlinkSocket } from "netlink";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { addressBytes, isSameAddress } from "../core/address-bytes.ts";
import type { Addresses, AddressPlace, NetworkDevice } from "./addresses.ts";

type Netlink = typeof import("netlink");

const REQUEST_TIMEOUT_MS: Ms = 1000;
const REMOVE_ATTEMPTS = 20;
/** NLM_F_REPLACE and NLM_F_CREATE: what `ip addr replace` says. */
const REPLACE_OR_CREATE = 0x100 | 0x400;
const AF_INET = 2;
const AF_INET6 = 10;
/** Attributes inside IFLA_LINKINFO: the kind of the master of a device. */
const IFLA_INFO_SLAVE_KIND = 4;

/** Of their usual size, and keeping no process alive. */
const SOCKET = { ref: false, recvBufferSize: 0, sendBufferSize: 0 };

/** Null when the package is not there or its native part does not load. */
export async function loadNetlink(): Promise<Netlink | null> {
  try {
    const loaded = (await import("netlink")) as Netlink & { readonly default?: Netlink };
    return loaded.default ?? loaded;
  } catch {
    return null;
  }
}

/** The virtual IP by requests to the kernel, without another process. */
export class NetlinkAddresses implements Addresses {
  readonly means = "netlink";
  readonly #netlink: Netlink;
  readonly #requests: RtNetlinkSocket;
  /** Their own socket: an answer to another request must not come into the middle of a listing. */
  readonly #listings: RtNetlinkSocket;
  readonly #vip: string;
  readonly #family: number;
  /** Its own socket: the kernel's news of a request would be taken for its answer. */
  #news: RtNetlinkSocket | null = null;
  #indexes = new Map<string, number>();
  #underWay: Promise<unknown> = Promise.resolve();
  /** The kernel makes one listing for a socket at a time. */
  #lastListing: Promise<unknown> = Promise.resolve();

  constructor(netlink: Netlink, vip: string) {
    this.#netlink = netlink;
    this.#vip = vip;
    this.#family = vip.includes(":") ? AF_INET6 : AF_INET;
    this.#requests = netlink.createRtNetlink(SOCKET);
    this.#listings = netlink.createRtNetlink(SOCKET);
    for (const { socket } of [this.#requests, this.#listings]) {
      socket.on("error", () => undefined); // The request then times out.
    }
  }

  async find(): Promise<Result<AddressPlace[], string>> {
    const found = await this.#findMessages();
    if (!found.ok) return found;
    const isKnown = (index = 0): boolean => [...this.#indexes.values()].includes(index);
    if (!found.value.every(({ data }) => isKnown(data.index))) await this.devices();
    const names = new Map([...this.#indexes].map(([name, index]) => [index, name]));
    return succeed(
      found.value.map(({ data }) => {
        const device = names.get(data.index ?? 0) ?? `#${data.index}`;
        return { device, prefixLength: data.prefixlen ?? 0 };
      }),
    );
  }

  async put(
    place: AddressPlace,
    lifetimeSeconds: number | null,
    _lifeline: Stream,
  ): Promise<Result<{ readonly isDone: boolean }, string>> {
    let index = this.#indexes.get(place.device);
    if (index === undefined) {
      await this.devices();
      index = this.#indexes.get(place.device);
    }
    if (index === undefined) return fail(`there is no device ${place.device}`);
    const bytes = addressBytes(this.#vip);
    const seconds = lifetimeSeconds ?? 0xffff_ffff;
    // An IPv6 address must not wait for duplicate address detection: the fence already excludes it.
    const flags = this.#family === AF_INET6 ? { nodad: true as const } : {};
    const done = this.#requests
      .newAddress(
        { family: this.#family, prefixlen: place.prefixLength, scope: 0, index, flags },
        { local: bytes, address: bytes, cacheInfo: { ifaPrefered: seconds, ifaValid: seconds } },
        { flags: REPLACE_OR_CREATE, timeout: REQUEST_TIMEOUT_MS },
      )
      .then(() => succeed({ isDone: true }), refused);
    this.#underWay = done;
    return await done;
  }

  async settle(): Promise<void> {
    await this.#underWay; // The kernel answers in the order in which it was asked.
  }

  async remove(): Promise<boolean> {
    let looksWithoutIt = 0;
    for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt++) {
      const found = await this.#findMessages();
      if (!found.ok) return false;
      // Twice: a listing during which other addresses change may leave one out.
      looksWithoutIt = found.value.length === 0 ? looksWithoutIt + 1 : 0;
      if (looksWithoutIt === 2) return true;
      for (const { data, attrs } of found.value) {
        const { index, prefixlen } = data;
        if (index === undefined || prefixlen === undefined) continue;
        const address = attrs.local ?? attrs.address;
        await this.#requests
          .delAddress(
            { family: this.#family, prefixlen, index },
            address === undefined ? {} : { local: address },
            { timeout: REQUEST_TIMEOUT_MS },
          )
          .catch(refused);
      }
    }
    return false;
  }

  async devices(): Promise<Result<NetworkDevice[], string>> {
    const links = await this.#list(() =>
      this.#listings.getLinks({}, {}, { timeout: REQUEST_TIMEOUT_MS }),
    );
    if (!links.ok) return links;
    const devices = links.value.map(({ data, attrs }) => ({
      name: attrs.ifname ?? "",
      index: data.index ?? 0,
      hardwareAddress: Buffer.from(attrs.address ?? []),
      isExternal: data.flags?.loopback !== true && !isBridgePort(attrs.linkinfo),
    }));
    this.#indexes = new Map(devices.map(({ name, index }) => [name, index]));
    return succeed(devices);
  }

  watch(onEvent: () => void): void {
    const news = this.#netlink.createRtNetlink(SOCKET);
    this.#news = news;
    for (const group of ["LINK", "IPV4_IFADDR", "IPV6_IFADDR"] as const) news.addMembership(group);
    news.on("message", onEvent);
    news.on("invalid", onEvent);
    news.socket.on("error", onEvent); // There was more news than it could keep.
  }

  stop(): void {
    this.#requests.socket.close();
    this.#listings.socket.close();
    this.#news?.socket.close();
  }

  async #list<T>(request: () => Promise<T>): Promise<Result<T, string>> {
    const listed = this.#lastListing.then(request).then(succeed, refused);
    this.#lastListing = listed;
    return await listed;
  }

  async #findMessages(): Promise<Result<rt.AddressMessage[], string>> {
    const all = await this.#list(() =>
      this.#listings.getAddresses({ family: this.#family }, {}, { timeout: REQUEST_TIMEOUT_MS }),
    );
    if (!all.ok) return all;
    return succeed(
      all.value.filter(({ attrs }) => {
        const address = attrs.local ?? attrs.address;
        return address !== undefined && isSameAddress(address, this.#vip);
      }),
    );
  }
}

function refused(error: unknown): { readonly ok: false; readonly error: string } {
  return fail(error instanceof Error ? error.message : String(error));
}

/** What comes in by a port of a bridge for this host comes in by the bridge as well. */
function isBridgePort(linkInfo: Uint8Array | undefined): boolean {
  if (linkInfo === undefined) return false;
  const bytes = Buffer.from(linkInfo);
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) return false;
    const kind = bytes.toString("latin1", at + 4, at + length).replace(/\0+$/, "");
    if (bytes.readUInt16LE(at + 2) === IFLA_INFO_SLAVE_KIND) return kind === "bridge";
    at += (length + 3) & ~3;
  }
  return false;
}
