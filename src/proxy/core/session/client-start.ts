import { failure, type Failure } from "../../../base/index.ts";
import {
  buildNegotiateVersion,
  decodeStartUp,
  PROTOCOL_3_0,
  PROTOCOL_3_2,
  START_UP_BYTES_MAX,
  type StartUpPacket,
} from "../../../wire/postgres/index.ts";

/** What the client's first bytes ask for. */
export type StartEvent =
  | { readonly kind: "more" }
  /** To be sent; then the client goes on. */
  | { readonly kind: "answer"; readonly bytes: Buffer }
  | { readonly kind: "cancel"; readonly processId: number; readonly key: Buffer }
  | { readonly kind: "start-up"; readonly client: StartedClient }
  | { readonly kind: "refused"; readonly failure: Failure };

export interface StartedClient {
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  readonly isReplication: boolean;
  /** As the client sent them, for the backends. */
  readonly parameters: ReadonlyMap<string, string>;
  /** How long its cancel key may be. */
  readonly cancelKeyBytes: number;
  /** Null, or NegotiateProtocolVersion, to be sent before anything else. */
  readonly negotiation: Buffer | null;
}

/** SSLRequest and GSSENCRequest, once each. */
const REQUESTS_MAX = 2;
/** As long as PostgreSQL's own. */
const SHORT_KEY_BYTES = 4;
const LONG_KEY_BYTES = 32;
const REFUSED = Buffer.from("N");
const NOTHING = Buffer.alloc(0);

/** Reads what comes before the login. Never holds more than one start-up packet. */
export class ClientStart {
  #held: Buffer = NOTHING;
  #requests = 0;

  /** @param bytes copied when they must be kept; empty to go on after an `answer`. */
  push(bytes: Buffer): StartEvent {
    if (this.#held.length + bytes.length > 2 * START_UP_BYTES_MAX + bytes.length) {
      return refused(failure("protocol-violation"));
    }
    const input = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const decoded = decodeStartUp(input);
    if (!decoded.ok) {
      const { code, message } = decoded.error;
      if (code === "unsupported-protocol") return refused(failure(code, { message }));
      const hint =
        code === "not-the-protocol"
          ? "These bytes are not PostgreSQL's protocol. Is this the right port?"
          : "No PostgreSQL client sends a packet of this length.";
      return refused(failure("protocol-violation", { message, hint }));
    }
    if (decoded.value === null) {
      this.#held = Buffer.from(input);
      return { kind: "more" };
    }
    const { startUp, usedBytes } = decoded.value;
    this.#held = usedBytes === input.length ? NOTHING : Buffer.from(input.subarray(usedBytes));
    switch (startUp.kind) {
      case "ssl-request":
      case "gssenc-request":
        return this.#refuseEncryption();
      case "cancel":
        return startUp;
      case "start-up":
        return readClient(startUp.packet);
    }
  }

  /** Bytes that came behind the start-up packet. */
  get rest(): Buffer {
    return this.#held;
  }

  #refuseEncryption(): StartEvent {
    this.#requests += 1;
    // Plain bytes behind an SSLRequest may have been put in by somebody on the way.
    if (this.#held.length > 0 || this.#requests > REQUESTS_MAX) {
      const message = "received unencrypted data after SSL request";
      return refused(failure("protocol-violation", { message }));
    }
    return { kind: "answer", bytes: REFUSED };
  }
}

function readClient(packet: StartUpPacket): StartEvent {
  const user = packet.parameters.get("user") ?? "";
  if (user === "") return refused(failure("no-user-name"));
  const replication = (packet.parameters.get("replication") ?? "false").toLowerCase();
  const asked = PROTOCOL_3_0 + packet.minor;
  const spoken = Math.min(asked, PROTOCOL_3_2);
  const mustNegotiate = spoken !== asked || packet.protocolOptions.length > 0;
  return {
    kind: "start-up",
    client: {
      user,
      database: packet.parameters.get("database") || user,
      applicationName: packet.parameters.get("application_name") ?? "",
      isReplication: !["false", "off", "no", "0", "f", "n"].includes(replication),
      parameters: packet.parameters,
      cancelKeyBytes: spoken >= PROTOCOL_3_2 ? LONG_KEY_BYTES : SHORT_KEY_BYTES,
      negotiation: mustNegotiate ? buildNegotiateVersion(spoken, packet.protocolOptions) : null,
    },
  };
}

function refused(why: Failure): StartEvent {
  return { kind: "refused", failure: why };
}
