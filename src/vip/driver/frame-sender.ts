/** Sends whole Ethernet frames, without another process. */
export interface FrameSender {
  /** False when the kernel refused it. Returns when the frame is queued at the device. */
  send(deviceIndex: number, frame: Uint8Array): boolean;
}

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const ADDRESS_BYTES = 20;

type Call = (...args: readonly unknown[]) => number;

/** Null when koffi does not load here or raw sockets are not allowed (CAP_NET_RAW). */
export async function openFrameSender(): Promise<FrameSender | null> {
  try {
    const loaded = await import("koffi");
    const system = loaded.default.load(null);
    const socket = system.func("int socket(int family, int type, int protocol)") as Call;
    const sendto = system.func(
      "long sendto(int fd, const uint8_t *bytes, size_t length, int flags, const uint8_t *address, uint32_t addressLength)",
    ) as Call;
    // Protocol 0: nothing that comes in is queued for us.
    const fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) return null;
    return {
      send(deviceIndex, frame) {
        const address = packetAddress(deviceIndex);
        return sendto(fd, frame, frame.length, MSG_DONTWAIT, address, ADDRESS_BYTES) >= 0;
      },
    };
  } catch {
    return null;
  }
}

/** A `struct sockaddr_ll` that names the device; the destination stands in the frame. */
function packetAddress(deviceIndex: number): Buffer {
  const address = Buffer.alloc(ADDRESS_BYTES);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeInt32LE(deviceIndex, 4);
  return address;
}
