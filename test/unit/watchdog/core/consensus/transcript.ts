import { createHash } from "node:crypto";
import { assert } from "../../../../../src/base/index.ts";
import type {
  ConsensusMessage,
  Entry,
  HolderRecord,
} from "../../../../../src/wire/watchdog/index.ts";
import {
  confirmedUntilMs,
  consensus,
  leaseUntilMs,
  lifetimeFence,
  mayHoldVipUntilMs,
  nftFence,
  NOTHING_DURABLE,
  startState,
  timingFor,
  type Action,
  type Event,
  type State,
} from "../../../../../src/watchdog/core/consensus/index.ts";

/**
 * Plays a story against one node. A block is what happens, `----`, and what the node does:
 *
 *     vote-request from=2 term=2 last=0.0 now=700
 *     ----
 *     persist term=2 vote=2
 *     send to=2 vote-reply term=2 granted=true holder=- released=false
 *     = follower term=2 leader=- silent-until=600 promised-until=- wakes-at=910
 *
 * `node …` starts a node (again, with what it had persisted, when it says `restart=true`). Times
 * are milliseconds; an entry is term.index:value; a holder is node.term.secret, where the name of
 * the secret stands for its hash; members stand behind an entry's value, as `@0,1<0,1,2` while they
 * replace others.
 */
export function playTranscript(text: string): string {
  const player = new Player();
  const blocks = text.trimEnd().split(/\n\n+/);
  return `${blocks.map((block) => playBlock(player, block)).join("\n\n")}\n`;
}

function playBlock(player: Player, block: string): string {
  const [given = ""] = block.split("\n----");
  const lines = given.split("\n");
  const isTold = lines.every((line) => line.startsWith("#"));
  if (isTold) return given;
  const done = lines.filter((line) => !line.startsWith("#")).flatMap((line) => player.play(line));
  return [given, "----", ...done, player.summary()].join("\n");
}

type Words = Readonly<Record<string, string>>;

const TIMING = timingFor(600);

class Player {
  #state: State | null = null;
  #nowMs = 0;
  /** A node numbers its answers from a random number; a story counts from 1. */
  #answersFrom = 0;
  readonly #names = new Map<string, string>();

  play(line: string): string[] {
    const [verb = "", ...rest] = line.split(" ");
    const words: Words = Object.fromEntries(rest.map((word) => splitOnce(word, "=")));
    const now = words.now;
    assert(now !== undefined && Number(now) >= this.#nowMs, `when is it? ${line}`);
    this.#nowMs = Number(now);
    if (verb === "node") return this.#start(words);
    const actions = this.#step(this.#eventOf(verb, words));
    return actions.map((action) => this.#show(action));
  }

  summary(): string {
    const state = this.#alive();
    const show = (ms: number | null): string => (ms === null ? "-" : `${round(ms)}`);
    const { leading } = state;
    const { term, votedFor } = state.durable;
    const parts = [`= ${state.role} term=${term} vote=${votedFor ?? "-"}`];
    parts.push(`leader=${state.leaderId ?? "-"} committed=${state.committedIndex}`);
    if (this.#nowMs < state.silentUntilMs) parts.push(`silent-until=${show(state.silentUntilMs)}`);
    if (this.#nowMs < state.promisedUntilMs && leading === null)
      parts.push(`promised-until=${show(state.promisedUntilMs)}`);
    if (leading !== null) {
      parts.push(`lease-until=${show(leaseUntilMs(state))}`);
      parts.push(`vip-until=${show(mayHoldVipUntilMs(state))}`);
      if (this.#nowMs < leading.vipClearAtMs)
        parts.push(`vip-clear-at=${show(leading.vipClearAtMs)}`);
    }
    if (this.#nowMs < confirmedUntilMs(state))
      parts.push(`confirmed-until=${show(confirmedUntilMs(state))}`);
    if (state.mute !== null) parts.push(`mute=${state.mute}`);
    parts.push(`wakes-at=${show(consensus.wakeAtMs(state))}`);
    return parts.join(" ");
  }

  #start(words: Words): string[] {
    const durable =
      words.restart === "true"
        ? this.#alive().durable
        : {
            term: Number(words.term ?? 0),
            votedFor: words.vote === undefined ? null : Number(words.vote),
            entry: this.#readEntry(words.entry) ?? NOTHING_DURABLE.entry,
            holder: this.#readHolder(words.holder),
          };
    this.#state = startState(
      {
        selfId: Number(words.self),
        nodeIds: readIds(words.members ?? ""),
        // P = 600 ms: the fast profile.
        timing: TIMING,
        fence: words.fence === "nft" ? nftFence(TIMING) : lifetimeFence(1),
        halfVotes: words.half === "true",
        mute: words.mute ?? null,
        durable,
        ownReleaseHash: words.secret === undefined ? null : this.#hash(words.secret),
        seed: 7,
      },
      this.#nowMs,
    );
    this.#answersFrom = this.#state.lastAnswer;
    return [];
  }

  #step(event: Event): readonly Action[] {
    const { state, actions } = consensus.step(this.#alive(), event, this.#nowMs);
    this.#state = state;
    return actions;
  }

  #alive(): State {
    assert(this.#state !== null, "a story begins with a node");
    return this.#state;
  }

  #eventOf(verb: string, words: Words): Event {
    switch (verb) {
      case "tick":
      case "stop-requested":
      case "vip-lost":
        return { type: verb };
      case "vip-armed":
        return { type: verb, id: Number(words.id) };
      case "transfer-requested":
        return { type: verb, to: words.to === undefined ? null : Number(words.to) };
      case "members-wanted":
        return { type: verb, memberIds: readIds(words.ids ?? "") };
      case "ranked":
        return { type: verb, order: readIds(words.order ?? "") };
      case "fitness":
        return { type: verb, isFit: words.fit === "true" };
      case "applied":
        return { type: verb, index: Number(words.index) };
      case "disk-failed":
        return { type: verb, reason: words.reason ?? "" };
      case "release-proven":
        return { type: verb, secret: words.secret ?? "" };
      case "release-hash-made":
        return { type: verb, hash: this.#hash(words.secret ?? "") };
      case "proposed":
        return {
          type: verb,
          id: Number(words.id),
          afterIndex: Number(words.after),
          value: words.value,
        };
      default:
        return {
          type: "message",
          from: Number(words.from),
          message: this.#messageOf(verb, words),
        };
    }
  }

  #messageOf(verb: string, words: Words): ConsensusMessage {
    const term = Number(words.term);
    const roundNumber = Number(words.round);
    switch (verb) {
      case "pre-vote-request":
      case "vote-request":
        return {
          type: verb,
          term,
          last: readId(words.last),
          proof: words.proof ?? null,
          asksPromise: words.asks === "promise",
        };
      case "pre-vote-reply":
      case "vote-reply":
        return {
          type: verb,
          term,
          granted: words.granted === "true",
          holder: this.#readHolder(words.holder),
          isReleased: words.released === "true",
          boundMs: Number(words.bound ?? 0),
        };
      case "round":
        return {
          type: verb,
          term,
          round: roundNumber,
          entry: this.#readEntry(words.entry),
          committedIndex: Number(words.committed),
          holder: this.#readHolder(words.holder),
          heard: words.heard === undefined ? 0 : this.#answersFrom + Number(words.heard),
        };
      case "round-reply":
        return {
          type: verb,
          term,
          round: roundNumber,
          answer: Number(words.answer ?? words.round),
          accepted: words.accepted !== "false",
          stored: readId(words.stored),
          knowsHolder: words.knows === "true",
          isVoter: words.voter !== "false",
          appliedIndex: Number(words.applied ?? 0),
          isFit: words.fit !== "false",
        };
      case "released":
        return { type: verb, secret: words.secret ?? "" };
      case "leaving":
        return { type: verb, term, stops: words.stops !== "false" };
      case "prepare-transfer":
      case "transfer-ready":
        return { type: verb, term };
      default:
        throw new Error(`what is ${verb}?`);
    }
  }

  #show(action: Action): string {
    switch (action.type) {
      case "persist": {
        const { term, votedFor, entry, holder } = action.durable;
        return `persist term=${term} vote=${votedFor ?? "-"} entry=${showEntry(entry)} holder=${this.#showHolder(holder)}`;
      }
      case "send":
        return `send to=${action.to} ${this.#showMessage(action.message)}`;
      case "commit":
        return `commit ${showEntry(action.entry)}`;
      case "refuse-proposal":
        return `refuse-proposal id=${action.id}: ${action.reason}`;
      case "arm-vip":
        return `arm-vip id=${action.id}`;
      case "renew-vip":
      case "close-vip":
        return action.type;
      case "settled":
        return `settled index=${action.index}`;
    }
  }

  #showMessage(message: ConsensusMessage): string {
    switch (message.type) {
      case "pre-vote-request":
      case "vote-request":
        return `${message.type} term=${message.term} last=${message.last.term}.${message.last.index}${message.proof === null ? "" : ` proof=${message.proof}`}${message.asksPromise ? " asks=promise" : ""}`;
      case "pre-vote-reply":
      case "vote-reply":
        return `${message.type} term=${message.term} granted=${message.granted} holder=${this.#showHolder(message.holder)} released=${message.isReleased}${message.boundMs > 0 ? ` bound=${round(message.boundMs)}` : ""}`;
      case "round":
        return `round term=${message.term} round=${message.round} entry=${showEntry(message.entry)} committed=${message.committedIndex} holder=${this.#showHolder(message.holder)} heard=${message.heard}`;
      case "round-reply":
        return `round-reply term=${message.term} round=${message.round} answer=${message.answer - this.#answersFrom} accepted=${message.accepted} stored=${message.stored.term}.${message.stored.index} knows=${message.knowsHolder} applied=${message.appliedIndex}${message.isVoter ? "" : " voter=false"}${message.isFit ? "" : " fit=false"}`;
      case "released":
        return `released secret=${message.secret}`;
      case "leaving":
        return `leaving term=${message.term}${message.stops ? "" : " stops=false"}`;
      case "prepare-transfer":
      case "transfer-ready":
        return `${message.type} term=${message.term}`;
    }
  }

  #readHolder(text: string | undefined): HolderRecord | null {
    if (text === undefined || text === "-") return null;
    const [nodeId, term, secret = "", closeBoundMs = "2500"] = text.split(".");
    return {
      nodeId: Number(nodeId),
      term: Number(term),
      releaseHash: this.#hash(secret),
      closeBoundMs: Number(closeBoundMs),
    };
  }

  #showHolder(holder: HolderRecord | null): string {
    if (holder === null) return "-";
    const bound = holder.closeBoundMs === 2500 ? "" : `.${holder.closeBoundMs}`;
    return `${holder.nodeId}.${holder.term}.${this.#names.get(holder.releaseHash) ?? "?"}${bound}`;
  }

  #readEntry(text: string | undefined): Entry | null {
    if (text === undefined || text === "-") return null;
    const [id, content] = splitOnce(text, ":");
    const [value, lists] = splitOnce(content, "@");
    const [members = "", before] = lists.split("<");
    return {
      ...readId(id),
      value: value === "" ? null : value,
      members: readIds(members),
      before: before === undefined ? null : readIds(before),
    };
  }

  #hash(secret: string): string {
    const hash = createHash("sha256").update(secret, "utf8").digest("hex");
    this.#names.set(hash, secret);
    return hash;
  }
}

function showEntry(entry: Entry | null): string {
  if (entry === null) return "-";
  const value = typeof entry.value === "string" ? entry.value : "";
  const before = entry.before === null ? "" : `<${entry.before.join(",")}`;
  const lists = entry.members.length === 0 ? "" : `@${entry.members.join(",")}${before}`;
  return `${entry.term}.${entry.index}${value + lists === "" ? "" : ":"}${value}${lists}`;
}

function readIds(text: string): number[] {
  return text === "" ? [] : text.split(",").map(Number);
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

function readId(text: string | undefined): { term: number; index: number } {
  const [term, index] = (text ?? "0.0").split(".");
  return { term: Number(term), index: Number(index) };
}

function splitOnce(text: string, at: string): [string, string] {
  const index = text.indexOf(at);
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + at.length)];
}
