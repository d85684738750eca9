import "./promise-with-resolvers.ts";
import { hkdfSync, scryptSync } from "node:crypto";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { PeerId, PrivateKey } from "@libp2p/interface";
import type { Secret } from "../../base/index.ts";

/**
 * The identities of all members. Each follows from wd_authkey, the cluster's name and the node's
 * id, so that a Noise handshake proves both the key and which node speaks. Whoever has the key
 * can pose as any node, as in Pgpool-II.
 */
export interface MemberKeys {
  readonly own: PrivateKey;
  readonly peerIds: ReadonlyMap<number, PeerId>;
  /** Which member this identity is; null: none. */
  memberOf(peerId: PeerId): number | null;
  /** For the datagrams; separate from the identities. */
  readonly heartbeatKey: Buffer;
}

/** scrypt makes guessing a weak wd_authkey slow: about 16 MiB and 50 ms a guess. */
const SCRYPT = { N: 2 ** 14, r: 8, p: 1 };

export async function deriveMemberKeys(
  authkey: Secret,
  clusterName: string,
  selfId: number,
  memberIds: readonly number[],
): Promise<MemberKeys> {
  const master = scryptSync(authkey.reveal(), `pgquorum watchdog ${clusterName}`, 32, SCRYPT);
  const subkey = (name: string): Buffer =>
    Buffer.from(hkdfSync("sha256", master, Buffer.alloc(0), name, 32));
  const peerIds = new Map<number, PeerId>();
  let own: PrivateKey | null = null;
  for (const id of memberIds) {
    const key = await generateKeyPairFromSeed("Ed25519", subkey(`node ${id}`));
    peerIds.set(id, peerIdFromPrivateKey(key));
    if (id === selfId) own = key;
  }
  if (own === null) throw new Error(`node ${selfId} is not among the members`);
  const idByText = new Map([...peerIds].map(([id, peerId]) => [peerId.toString(), id]));
  return {
    own,
    peerIds,
    memberOf: (peerId) => idByText.get(peerId.toString()) ?? null,
    heartbeatKey: subkey("heartbeat"),
  };
}
