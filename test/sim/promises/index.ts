/** What is promised whatever fails, one checker a promise. */
import type { ClusterState } from "../../../src/backend/core/status/index.ts";
import type { Entry } from "../../../src/wire/watchdog/index.ts";
import type { Host } from "../model/host.ts";
import type { Judge } from "./broken-promise.ts";
import { CommitsStay } from "./commits-stay.ts";
import { NoStaleWrite } from "./no-stale-write.ts";
import { NothingLost } from "./nothing-lost.ts";
import { OneCommand } from "./one-command.ts";
import { eventIdsOf, OneIntent } from "./one-intent.ts";
import { OneLeader } from "./one-leader.ts";
import { OneLease } from "./one-lease.ts";
import { OneOpenVip } from "./one-open-vip.ts";
import { OneSuccessor } from "./one-successor.ts";
import { OneVote } from "./one-vote.ts";

export { BrokenPromise, type Judge } from "./broken-promise.ts";

/** As the model's servers begin. */
const FIRST_PRIMARY_ID = 0;

export class Promises {
  readonly oneOpenVip: OneOpenVip;
  readonly oneLeader: OneLeader;
  readonly oneLease: OneLease;
  readonly oneVote: OneVote;
  readonly commitsStay: CommitsStay;
  readonly oneIntent: OneIntent;
  readonly oneCommand: OneCommand;
  readonly oneSuccessor: OneSuccessor;
  readonly noStaleWrite: NoStaleWrite;
  readonly nothingLost: NothingLost;
  readonly #committedEvents = new Set<string>();
  #isNaming = false;

  constructor(judge: Judge, hosts: () => readonly Host[]) {
    this.oneOpenVip = new OneOpenVip(judge, hosts);
    this.oneLeader = new OneLeader(judge);
    this.oneLease = new OneLease(judge);
    this.oneVote = new OneVote(judge);
    this.commitsStay = new CommitsStay(judge);
    this.oneIntent = new OneIntent(judge, (eventId) => this.#committedEvents.has(eventId));
    this.oneCommand = new OneCommand(judge);
    this.oneSuccessor = new OneSuccessor(judge, FIRST_PRIMARY_ID);
    this.noStaleWrite = new NoStaleWrite(judge);
    this.nothingLost = new NothingLost(judge);
  }

  onCommit(nodeId: number, entry: Entry): void {
    this.commitsStay.onCommit(nodeId, entry);
    this.oneSuccessor.onCommit(nodeId, entry);
    const state = entry.value as ClusterState | null;
    const isNaming = state?.intent?.kind === "promote";
    if (isNaming || this.#isNaming) this.nothingLost.onPrimaryNamed();
    this.#isNaming = isNaming;
    for (const eventId of eventIdsOf(entry)) this.#committedEvents.add(eventId);
  }
}
