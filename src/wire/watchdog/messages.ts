import { fail, succeed, type Result } from "../../base/index.ts";
import { REQUEST_KINDS, type ClusterRequest, type SwitchoverWish } from "../ipc/index.ts";

/** The position of a state in the history of the cluster: a later term wins, then a later index. */
export interface EntryId {
  readonly term: number;
  readonly index: number;
}

/** The whole replicated state: each entry replaces the one before, so there is no tail to replay. */
export interface Entry extends EntryId {
  readonly value: unknown;
  /** Whose votes and answers count; empty: all nodes that are configured. */
  readonly members: readonly number[];
  /** The list that `members` replaces: while this entry is not known committed, both must agree. */
  readonly before: readonly number[] | null;
}

/**
 * The last node that was allowed to hold the virtual IP. Whoever shows a secret whose SHA-256 is
 * `releaseHash` proves that the address is gone from that node.
 */
export interface HolderRecord {
  readonly nodeId: number;
  readonly term: number;
  /** 64 hex digits. */
  readonly releaseHash: string;
  /** How long after the end of its lease that node's kernel may go on answering. */
  readonly closeBoundMs: number;
}

/** Asks (pre-vote) or demands (vote) to become the leader of `term`. */
export interface VoteRequest {
  readonly type: "pre-vote-request" | "vote-request";
  readonly term: number;
  readonly last: EntryId;
  /** The last holder's secret, when the candidate has seen it: frees the voter of its promise. */
  readonly proof: string | null;
  /** Whoever grants this vote promises, as by a round's answer, to vote for nobody else for P. */
  readonly asksPromise: boolean;
}

export interface VoteReply {
  readonly type: "pre-vote-reply" | "vote-reply";
  readonly term: number;
  readonly granted: boolean;
  /** What the voter knows of the last holder of the VIP, and whether it has seen its release. */
  readonly holder: HolderRecord | null;
  readonly isReleased: boolean;
  /** For how long a promise or silence still binds the voter; 0: not at all. */
  readonly boundMs: number;
}

/** The leader's heartbeat: renews its lease, spreads the entry, tells what is committed. */
export interface Round {
  readonly type: "round";
  readonly term: number;
  readonly round: number;
  /** Present until the receiver has acknowledged it. */
  readonly entry: Entry | null;
  readonly committedIndex: number;
  readonly holder: HolderRecord | null;
  /** The number of the receiver's newest answer that has come in; 0: none is confirmed. */
  readonly heard: number;
}

export interface RoundReply {
  readonly type: "round-reply";
  readonly term: number;
  /** 0: the newest answer once more, since more has been applied. */
  readonly round: number;
  /** Grows with each answer to a round of this run, from a random number. */
  readonly answer: number;
  /** False: the sender of the round leads no longer. */
  readonly accepted: boolean;
  /** What the follower has stored durably. */
  readonly stored: EntryId;
  /** The follower has stored `round.holder`. */
  readonly knowsHolder: boolean;
  /** False: it only listens, since its disk cannot be trusted; its answer confirms nothing. */
  readonly isVoter: boolean;
  /** All processes of that node route by the state of this index. */
  readonly appliedIndex: number;
  /** That node would do as a leader: its network, its proxy and what it must reach are there. */
  readonly isFit: boolean;
}

/** The leader is about to hand over: the receiver prepares to hold the VIP. */
export interface PrepareTransfer {
  readonly type: "prepare-transfer";
  readonly term: number;
}

/** The receiver of the above only waits for the leader's release. */
export interface TransferReady {
  readonly type: "transfer-ready";
  readonly term: number;
}

/** The VIP is gone from the node that made this secret: closed, deleted, read back. */
export interface Released {
  readonly type: "released";
  readonly secret: string;
}

/** The sender is about to stop cleanly and leads no longer in this term, if it did. */
export interface Leaving {
  readonly type: "leaving";
  readonly term: number;
  /** The node is shutting down; else it only gives up leading. */
  readonly stops: boolean;
}

/** A follower's wish for a failover, sent to the leader, who counts it. */
export interface FailoverVote {
  readonly type: "failover-vote";
  readonly request: ClusterRequest;
}

export interface FailoverVerdict {
  readonly type: "failover-verdict";
  readonly request: ClusterRequest;
  readonly verdict: "granted" | "no-quorum" | "building-consensus" | "consensus-may-fail";
}

export type ConsensusMessage =
  | VoteRequest
  | VoteReply
  | Round
  | RoundReply
  | PrepareTransfer
  | TransferReady
  | Released
  | Leaving;
/** The sender has read its configuration again; what its hello said of it holds no longer. */
export interface SettingsRead {
  readonly type: "settings";
  readonly settings: SharedSettings;
}

export type PeerMessage = ConsensusMessage | FailoverVote | FailoverVerdict | SettingsRead;

/** First frame on a connection, from the side that dialled. */
export interface Hello {
  readonly type: "hello";
  readonly nodeId: number;
  /** Random, new at every start of the process: 32 hex digits. */
  readonly bootId: string;
  readonly version: string;
  readonly name: string;
  readonly priority: number;
  /** What must be the same on all nodes, by the name of the parameter. */
  readonly settings: SharedSettings;
}

export type SharedSettings = Readonly<Record<string, string>>;

/** Of all parameters that nodes compare, those of every server included. */
export const SETTINGS_MAX = 1024;

/** The answer to a hello. */
export type HelloReply =
  | {
      readonly type: "welcome";
      readonly bootId: string;
      readonly name: string;
      readonly priority: number;
    }
  | {
      readonly type: "refused";
      readonly reason: "duplicate-id" | "not-a-member" | "settings-differ";
      /** Which settings differ, for people; else empty. */
      readonly detail: string;
    };

/** Frames above this are refused before they are buffered. */
export const FRAME_BYTES_MAX = 1024 * 1024;

type Decoded = Record<string, unknown>;

/** Reads one frame of an established connection. Nothing but the checked fields gets through. */
export function decodePeerMessage(bytes: Uint8Array): Result<PeerMessage, string> {
  const parsed = parseObject(bytes);
  if (!parsed.ok) return parsed;
  const message = readPeerMessage(parsed.value);
  return message === null
    ? fail(`malformed message of type ${showType(parsed.value.type)}`)
    : succeed(message);
}

export function decodeHello(bytes: Uint8Array): Result<Hello, string> {
  const parsed = parseObject(bytes);
  if (!parsed.ok) return parsed;
  const { type, nodeId, bootId, version, name, priority } = parsed.value;
  const settings = readSettings(parsed.value.settings);
  const isWell =
    settings !== null &&
    type === "hello" &&
    isCount(nodeId) &&
    isHex(bootId, 32) &&
    isShortText(version) &&
    isShortText(name) &&
    isCount(priority);
  if (!isWell) return fail("malformed hello");
  return succeed({ type, nodeId, bootId, version, name, priority, settings });
}

export function decodeHelloReply(bytes: Uint8Array): Result<HelloReply, string> {
  const parsed = parseObject(bytes);
  if (!parsed.ok) return parsed;
  const { type, bootId, name, priority, reason, detail } = parsed.value;
  if (type === "welcome" && isHex(bootId, 32) && isShortText(name) && isCount(priority)) {
    return succeed({ type, bootId, name, priority });
  }
  const isReason =
    reason === "duplicate-id" || reason === "not-a-member" || reason === "settings-differ";
  if (type === "refused" && isReason && isShortText(detail)) {
    return succeed({ type, reason, detail });
  }
  return fail("malformed answer to hello");
}

function readSettings(value: unknown): SharedSettings | null {
  if (!isObject(value)) return null;
  const entries = Object.entries(value);
  if (entries.length > SETTINGS_MAX) return null;
  const settings: Record<string, string> = {};
  for (const [name, text] of entries) {
    if (!isShortText(name) || !isShortText(text)) return null;
    settings[name] = text;
  }
  return settings;
}

export function encodeFrame(message: PeerMessage | Hello | HelloReply): Uint8Array {
  return Buffer.from(JSON.stringify(message), "utf8");
}

export function readEntry(value: unknown): Entry | null {
  if (!isObject(value)) return null;
  const { term, index, members, before } = value;
  if (!isCount(term) || !isCount(index)) return null;
  if (!isIdList(members) || (before !== null && !isIdList(before))) return null;
  return { term, index, value: value.value ?? null, members, before };
}

export function readHolder(value: unknown): HolderRecord | null {
  if (!isObject(value)) return null;
  const { nodeId, term, releaseHash, closeBoundMs } = value;
  return isCount(nodeId) && isCount(term) && isHex(releaseHash, 64) && isDuration(closeBoundMs)
    ? { nodeId, term, releaseHash, closeBoundMs }
    : null;
}

function readPeerMessage(value: Decoded): PeerMessage | null {
  switch (value.type) {
    case "pre-vote-request":
    case "vote-request":
      return readVoteRequest(value.type, value);
    case "pre-vote-reply":
    case "vote-reply":
      return readVoteReply(value.type, value);
    case "round":
      return readRound(value);
    case "round-reply":
      return readRoundReply(value);
    case "released":
      return isHex(value.secret, 64) ? { type: "released", secret: value.secret } : null;
    case "leaving": {
      const { term, stops } = value;
      if (!isCount(term) || typeof stops !== "boolean") return null;
      return { type: "leaving", term, stops };
    }
    case "prepare-transfer":
    case "transfer-ready":
      return isCount(value.term) ? { type: value.type, term: value.term } : null;
    case "failover-vote": {
      const request = readRequest(value.request);
      return request === null ? null : { type: "failover-vote", request };
    }
    case "settings": {
      const settings = readSettings(value.settings);
      const isEmpty = settings === null || Object.keys(settings).length === 0;
      return isEmpty ? null : { type: "settings", settings };
    }
    case "failover-verdict":
      return readVerdict(value);
    default:
      return null;
  }
}

function readVoteRequest(type: VoteRequest["type"], value: Decoded): VoteRequest | null {
  const { term, proof, asksPromise } = value;
  const last = readEntryId(value.last);
  if (!isCount(term) || last === null || typeof asksPromise !== "boolean") return null;
  if (proof !== null && !isHex(proof, 64)) return null;
  return { type, term, last, proof, asksPromise };
}

function readVoteReply(type: VoteReply["type"], value: Decoded): VoteReply | null {
  const { term, granted, isReleased, boundMs } = value;
  if (!isCount(term) || !isDuration(boundMs)) return null;
  if (typeof granted !== "boolean" || typeof isReleased !== "boolean") return null;
  const holder = readHolder(value.holder);
  if (value.holder !== null && holder === null) return null;
  return { type, term, granted, holder, isReleased, boundMs };
}

function readRound(value: Decoded): Round | null {
  const { term, round, committedIndex, heard } = value;
  if (!isCount(term) || !isCount(round) || !isCount(committedIndex)) return null;
  if (!isCount(heard)) return null;
  const entry = readEntry(value.entry);
  const holder = readHolder(value.holder);
  if (value.entry !== null && entry === null) return null;
  if (value.holder !== null && holder === null) return null;
  return { type: "round", term, round, entry, committedIndex, holder, heard };
}

function readRoundReply(value: Decoded): RoundReply | null {
  const { term, round, answer, accepted, knowsHolder, isVoter, appliedIndex, isFit } = value;
  const stored = readEntryId(value.stored);
  if (!isCount(term) || !isCount(round) || stored === null) return null;
  if (typeof accepted !== "boolean" || typeof knowsHolder !== "boolean") return null;
  if (typeof isVoter !== "boolean" || typeof isFit !== "boolean") return null;
  if (!isCount(appliedIndex) || !isCount(answer)) return null;
  const standing = { knowsHolder, isVoter, appliedIndex, isFit };
  return { type: "round-reply", term, round, answer, accepted, stored, ...standing };
}

function readVerdict(value: Decoded): FailoverVerdict | null {
  const request = readRequest(value.request);
  const verdict = value.verdict;
  const isKnown =
    verdict === "granted" ||
    verdict === "no-quorum" ||
    verdict === "building-consensus" ||
    verdict === "consensus-may-fail";
  return request !== null && isKnown ? { type: "failover-verdict", request, verdict } : null;
}

function readRequest(value: unknown): ClusterRequest | null {
  if (!isObject(value)) return null;
  const { backendIds, confirmed, switchoverTo, reason, by, eventId, isAutomatic } = value;
  const kind = REQUEST_KINDS.find((known) => known === value.kind);
  if (kind === undefined) return null;
  if (!Array.isArray(backendIds) || backendIds.length > 128 || !backendIds.every(isCount))
    return null;
  if (typeof confirmed !== "boolean" || typeof reason !== "string" || reason.length > 4096)
    return null;
  if (switchoverTo !== null && !isCount(switchoverTo)) return null;
  if (by !== undefined && (typeof by !== "string" || by.length > 4096)) return null;
  if (eventId !== undefined && (typeof eventId !== "string" || eventId.length > 100)) return null;
  if (isAutomatic !== undefined && typeof isAutomatic !== "boolean") return null;
  const switchover = readSwitchover(value.switchover);
  if ((kind === "switchover") !== (switchover !== null)) return null;
  return {
    kind,
    backendIds,
    confirmed,
    switchoverTo,
    reason,
    ...(by === undefined ? {} : { by }),
    ...(eventId === undefined ? {} : { eventId }),
    ...(isAutomatic === undefined ? {} : { isAutomatic }),
    ...(switchover === null ? {} : { switchover }),
  };
}

function readSwitchover(value: unknown): SwitchoverWish | null {
  if (!isObject(value)) return null;
  const { id, drainTimeoutMs, onTimeout } = value;
  if (typeof id !== "string" || id.length > 60 || !isCount(drainTimeoutMs)) return null;
  if (onTimeout !== "abort" && onTimeout !== "cancel") return null;
  return { id, drainTimeoutMs, onTimeout };
}

function readEntryId(value: unknown): EntryId | null {
  if (!isObject(value)) return null;
  const { term, index } = value;
  return isCount(term) && isCount(index) ? { term, index } : null;
}

/** Goes into the log, so it is bounded; and not every JSON value can be made a string. */
function showType(type: unknown): string {
  return typeof type === "string" && /^[\w-]{1,64}$/.test(type) ? type : "unknown";
}

function parseObject(bytes: Uint8Array): Result<Decoded, string> {
  if (bytes.length > FRAME_BYTES_MAX) return fail(`frame of ${bytes.length} bytes is too long`);
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return isObject(value) ? succeed(value) : fail("frame is not an object");
  } catch {
    return fail("frame is not JSON");
  }
}

function isObject(value: unknown): value is Decoded {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Whole milliseconds; no wait in this protocol is longer than a day. */
function isDuration(value: unknown): value is number {
  return isCount(value) && value <= 86_400_000;
}

const MEMBERS_MAX = 128;

function isIdList(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MEMBERS_MAX && value.every(isCount);
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === "string" && value.length === digits && /^[0-9a-f]*$/.test(value);
}

function isShortText(value: unknown): value is string {
  return typeof value === "string" && value.length <= 512;
}
