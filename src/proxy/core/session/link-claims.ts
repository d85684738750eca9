import { failure, type Failure } from "../../../base/index.ts";
import { buildError, buildReady, READY } from "../../../wire/postgres/index.ts";
import type { Catalog } from "../routing/index.ts";
import type { SqlClass } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { CatalogLookUp } from "./catalog-look-up.ts";
import type { ClientBatch } from "./client-batch.ts";
import type { Conversation, Cut } from "./conversation.ts";
import type { StateCarrier } from "./state-carrier.ts";
import type { Destination, OpenQuestion, SessionRouting } from "./session-routing.ts";

/** Between two batches, a client with more unanswered messages than this has to wait. */
const PIPELINE_MAX = 1 << 16;

const NO_PRIMARY = failure("no-primary");

/** Links that may be written to now, the one with the visible reply first. */
export type Claimed = BackendLink[] | "wait" | "failed";

/**
 * Gets the links that a statement or batch is to go to: those that are there, or one that has to
 * be opened, or taken from the shared ones, first. Nobody gets one while another link still owes
 * visible replies, while the worker may not forward, or while the primary is being replaced.
 */
export class LinkClaims {
  readonly #talk: Conversation;
  readonly #routing: SessionRouting;
  readonly #carrier: StateCarrier | null;
  readonly #memory: StateCarrier;
  readonly lookUp: CatalogLookUp;
  #openFailure: Failure | null = null;
  #opening: number | null = null;
  /** Standbys that could not be had, until the next view. */
  readonly #without = new Set<number>();
  /** Made once: it is given away with every link that is taken. */
  readonly #notBrought = (why: Failure): void => {
    this.#openFailure = why;
  };
  /** One array for all claims of one link. */
  readonly #single: BackendLink[] = [];

  constructor(o: {
    readonly talk: Conversation;
    readonly routing: SessionRouting;
    readonly carrier: StateCarrier | null;
    /** The same, or what does as much for a session with connections of its own. */
    readonly memory: StateCarrier;
    readonly catalog: Catalog | null;
  }) {
    const { talk, routing, carrier } = o;
    this.#talk = talk;
    this.lookUp = new CatalogLookUp(talk, routing, o.catalog);
    this.#carrier = carrier;
    this.#memory = o.memory;
    this.#routing = routing;
  }

  /** The backend whose link is waited for; null when none is. */
  get opening(): number | null {
    return this.#talk.waitsFor === "opened" ? this.#opening : null;
  }

  /** A link that was asked for cannot be had. */
  openFailed(backendId: number, why: Failure): void {
    const routing = this.#routing;
    if (backendId === routing.view.primaryId) {
      // Else what needs it waits, and asks again.
      if (!this.#talk.port.awaitsPrimary()) this.#openFailure = why;
      return;
    }
    routing.avoid(backendId);
    const hasPrimary = routing.view.primaryId !== null;
    if (hasPrimary || this.#talk.speaker !== null || routing.hasReader)
      this.#without.add(backendId);
    else this.#openFailure = why;
  }

  /** That link is gone: the session does without its server, unless that is the primary. */
  lost(link: BackendLink): void {
    const talk = this.#talk;
    const { backendId } = link;
    const wasPrimary = link === talk.primary || backendId === this.#routing.view.primaryId;
    talk.remove(link);
    if (!talk.isSharing && !wasPrimary) this.#doWithout(backendId);
  }

  viewChanged(): void {
    this.#without.clear();
  }

  /** @returns "failed" when the client was told so, ReadyForQuery included. */
  forStatement(sql: SqlClass, text: string): Claimed {
    const talk = this.#talk;
    const healed = talk.cut === null ? null : this.#heal(talk.cut, sql);
    if (healed === "failed") talk.tellClient(buildReady(talk.status));
    if (healed !== null) return healed;
    const shut = this.#canceled() ?? this.shut(talk.batchLink);
    if (shut === null && talk.batchLink !== null) {
      this.#routing.notRouted();
      return this.#only(talk.batchLink);
    }
    if (shut === null && talk.isReadingAside) return talk.wait("drained");
    const { isInTransaction } = talk;
    this.#routing.isSettled = talk.isSettled;
    const links =
      shut ??
      this.#lookUp(this.#routing.openQuestion(sql, isInTransaction)) ??
      this.#claim(this.#routing.ofStatement(sql, text, isInTransaction));
    if (links !== "wait") this.lookUp.routed();
    if (links === "failed") talk.tellClient(buildReady(talk.status));
    return links;
  }

  /** @returns "failed" when the client was told the error, but not ReadyForQuery. */
  forBatch(batch: ClientBatch, endsWithSync: boolean): Claimed {
    const talk = this.#talk;
    const healed = talk.cut === null ? null : this.#heal(talk.cut, batch.firstBound);
    if (healed !== null) return healed;
    const shut = this.#canceled() ?? this.shut(talk.batchLink);
    if (shut !== null) return shut;
    if (talk.batchLink !== null) {
      const { pending } = talk.batchLink;
      // What is skipped together needs no care: then this is skipped as well.
      const mayDiffer = pending.isUndecided && this.#dependsOnReplies(batch);
      if (mayDiffer && pending.reachesBack) {
        return talk.waitFlushed(talk.batchLink);
      }
      this.#routing.notRouted();
      return this.#only(talk.batchLink);
    }
    if (talk.isReadingAside) return talk.wait("drained");
    // A lone Sync belongs to what runs already.
    const { active } = talk;
    if (batch.count === 0 && active !== null && !active.pending.isIdle) return this.#only(active);
    if (!endsWithSync && talk.isBusy && talk.statements.isUnsettled) return talk.wait("drained");
    if (talk.isBusy && this.#dependsOnReplies(batch)) return talk.wait("drained");
    const { isInTransaction } = talk;
    this.#routing.isSettled = talk.isSettled;
    // A query of ours would drop the statement of before that it names.
    const mayAsk = endsWithSync && !batch.usesOlderUnnamed;
    const open = mayAsk ? this.#routing.openQuestionOfBatch(batch, isInTransaction) : null;
    const links =
      this.#lookUp(open) ??
      this.#claim(this.#routing.ofBatch(batch, endsWithSync, isInTransaction));
    if (links !== "wait") this.lookUp.routed();
    return links;
  }

  /**
   * EXPLAIN ROUTE of such a statement.
   *
   * @returns "wait" when what it names has to be looked up first; "failed" when that cannot be, and
   *   the client was told so, but not ReadyForQuery.
   */
  lookUpToExplain(sql: SqlClass): "wait" | "failed" | null {
    const talk = this.#talk;
    const mayAsk = !talk.isInTransaction && talk.batchLink === null && talk.port.mayForward();
    const looked = mayAsk
      ? this.#lookUp({ names: this.#routing.namesToExplain(sql), asksLevel: false })
      : null;
    if (looked !== "wait") this.lookUp.routed();
    return looked;
  }

  /**
   * What the client had begun is gone: it is told so, once. A transaction counts as failed until
   * the client ends it, by a server that has one which failed; so nothing that the client had meant
   * for it can run by itself.
   *
   * @param sql what comes now.
   * @returns null when that can be routed.
   */
  #heal(cut: Cut, sql: SqlClass | null): "wait" | "failed" | null {
    const talk = this.#talk;
    if (talk.isBusy) return talk.wait("drained");
    const { untold, isTransaction } = cut;
    const isOver = isTransaction && sql?.kind === "commit";
    if (untold !== null && !(isTransaction && sql?.kind === "rollback")) {
      cut.untold = null;
      talk.status = isTransaction && !isOver ? READY.failed : READY.idle;
      if (talk.status === READY.idle) talk.cut = null;
      talk.tellClient(buildError(untold));
      return "failed";
    }
    cut.untold = null;
    talk.status = READY.failed;
    return this.#beginFailing();
  }

  /** A transaction that has failed, on the primary. */
  #beginFailing(): "wait" | "failed" {
    const talk = this.#talk;
    const { primaryId } = this.#routing.view;
    const shut = this.#canceled() ?? this.shut(null);
    if (shut !== null) return shut;
    if (primaryId === null) {
      return talk.port.awaitsPrimary() ? talk.wait("gate") : this.#failStatement(NO_PRIMARY);
    }
    const pause = talk.port.pauseOf(primaryId);
    if (pause !== null) return pause === "wait" ? talk.wait("gate") : this.#failStatement(pause);
    const links = talk.isSharing ? this.#share(primaryId) : this.#claimOwn(talk.primary);
    if (links === "wait" || links === "failed") return links;
    const link = links[0] as BackendLink;
    talk.ask(link, ["BEGIN", `SELECT 1 / 0 AS the_server_of_this_transaction_was_lost`], () => {
      if (link.status === READY.failed) talk.cut = null;
      talk.goOn("carried");
    });
    return talk.wait("carried");
  }

  #claimOwn(primary: BackendLink | null): Claimed {
    return primary === null ? this.#claimPrimary() : this.#claimLinks(this.#only(primary));
  }

  /** Null: the statement can be routed now. */
  #lookUp(open: OpenQuestion | null): "wait" | "failed" | null {
    const talk = this.#talk;
    const { primaryId } = this.#routing.view;
    if (open === null || primaryId === null || !this.lookUp.mayAsk(open)) return null;
    if (talk.isBusy) return talk.wait("drained");
    const claimed = talk.isSharing ? this.#share(primaryId) : talk.primary;
    if (claimed === "wait" || claimed === "failed") return claimed;
    const link = Array.isArray(claimed) ? (claimed[0] ?? null) : claimed;
    if (link === null || link.backendId !== primaryId) return null;
    if (link.status === READY.failed || !link.pending.isIdle) return null;
    talk.active = link;
    talk.wait("known");
    this.lookUp.ask(link, open);
    return "wait";
  }

  /** What has not reached a server yet is canceled here. */
  #canceled(): "wait" | "failed" | null {
    const talk = this.#talk;
    if (!talk.isCanceled) return null;
    talk.isCanceled = false;
    return talk.batchLink === null ? this.#failStatement(failure("canceled")) : null;
  }

  /**
   * Null when the client's bytes may be forwarded now; else they wait, or the statement has failed.
   *
   * @param link where they belong, because their beginning is there already; null when they are
   *   still to be routed.
   */
  shut(link: BackendLink | null): "wait" | "failed" | null {
    const talk = this.#talk;
    if (!talk.port.mayForward()) {
      const refusal = talk.port.forwardRefusal();
      if (refusal === null) return talk.wait("gate");
      const hint = "Another node may hold the majority; try again.";
      return this.#failStatement(failure("no-primary", { message: refusal, hint }));
    }
    // It may be replaced at any moment; what is to be routed finds that out by itself.
    const isReplaced = link !== null && link === talk.primary && this.#routing.view.awaitsPrimary;
    if (!isReplaced) return null;
    if (talk.port.awaitsPrimary()) return talk.wait("gate");
    talk.end(failure("backend-lost", { detail: "The primary is being replaced." }));
    return "wait";
  }

  /** What a statement's name means is not known yet, and more than one server may have to know. */
  #dependsOnReplies(batch: ClientBatch): boolean {
    const { statements, links, isSharing } = this.#talk;
    // If the Parse of an unnamed statement is skipped, a Bind after the next Sync means the one
    // before it, which may live elsewhere. Inside a batch the Bind would be skipped as well.
    if (batch.usesOlderUnnamed && statements.isUnsettled) return true;
    if (!isSharing && links.size === 1 && !statements.isUncertain) return false;
    return batch.usesOpenName || (batch.usesOlderPortal && statements.isAnyOpen);
  }

  #claim(to: Destination | null): Claimed {
    if (to === null) return this.#claimSpeaker();
    const talk = this.#talk;
    switch (to.kind) {
      case "nowhere":
        return talk.port.awaitsPrimary() ? talk.wait("gate") : this.#failStatement(to.failure);
      case "backend": {
        const wanted = this.#besidesLag(to.backendId);
        if (wanted === "wait" || wanted === "failed") return wanted;
        const backendId = this.#besidesPauses(wanted);
        if (talk.isSharing) return this.#share(backendId);
        const held = this.#held(backendId);
        if (held !== null) return held;
        const link = talk.links.get(backendId);
        if (link !== undefined) return this.#claimLinks(this.#only(link));
        if (backendId === this.#routing.view.primaryId) return this.#claimPrimary();
        const opening = this.#openLate(backendId);
        if (opening !== null) return opening;
        return talk.primary === null
          ? this.#claimPrimary()
          : this.#claimLinks(this.#only(talk.primary));
      }
      case "all": {
        // What it leaves behind is carried to other connections, or keeps this one.
        if (talk.isSharing) return this.#share(to.backendIds[0] as number);
        return this.#claimAll(to.backendIds);
      }
    }
  }

  /** A standby without what the session must see is waited for, or done without. */
  #besidesLag(wanted: number): number | "wait" | "failed" {
    const talk = this.#talk;
    const { primaryId } = this.#routing.view;
    const { consistency } = talk;
    if (consistency === null || wanted === primaryId) return wanted;
    if (consistency.mayReadFrom(wanted)) return wanted;
    // What is under way may be a write.
    if (talk.isBusy) return talk.wait("drained");
    if (primaryId === null) {
      const detail = "No standby is known to have what this session has seen.";
      return talk.port.awaitsPrimary()
        ? talk.wait("gate")
        : this.#failStatement(failure("no-primary", { detail }));
    }
    if (consistency.isPrimarysAlone) return primaryId;
    return talk.port.waitForReplay(wanted) ? talk.wait("replayed") : primaryId;
  }

  /** A standby that is paused is done without where the primary is not. */
  #besidesPauses(wanted: number): number {
    const { port, status } = this.#talk;
    const { primaryId } = this.#routing.view;
    if (port.pauseOf(wanted) === null) return wanted;
    // The open transaction goes on, on the primary.
    if (status !== READY.idle) return primaryId ?? wanted;
    return primaryId !== null && port.pauseOf(primaryId) === null ? primaryId : wanted;
  }

  /** Not null: nothing may begin on this backend now. An open transaction goes on. */
  #held(backendId: number): "wait" | "failed" | null {
    const talk = this.#talk;
    const pause = talk.port.pauseOf(backendId);
    if (pause === null || talk.status !== READY.idle) return null;
    // What is under way may be a BEGIN.
    if (talk.isBusy) return talk.wait("drained");
    return pause === "wait" ? talk.wait("gate") : this.#failStatement(pause);
  }

  #claimAll(backendIds: readonly number[]): Claimed {
    const { primaryId } = this.#routing.view;
    for (const id of backendIds) {
      const isNeeded = id === primaryId || primaryId === null;
      const held = isNeeded ? this.#held(id) : this.#leavePaused(id);
      if (held !== null) return held;
    }
    // All of them first, or those that are opened later would not know what it changes.
    for (const id of backendIds) {
      if (this.#talk.links.get(id) !== undefined) continue;
      if (id === primaryId) return this.#claimPrimary();
      const opening = this.#openLate(id);
      if (opening !== null) return opening;
    }
    const links = backendIds.flatMap((id) => this.#talk.links.get(id) ?? []);
    // A session without a primary speaks to what it has.
    return links.length > 0 ? this.#claimLinks(links) : this.#claimSpeaker();
  }

  /** What a paused standby does not learn it must not answer for: the session goes on without it. */
  #leavePaused(backendId: number): "wait" | null {
    const talk = this.#talk;
    if (talk.port.pauseOf(backendId) === null || talk.status !== READY.idle) return null;
    if (talk.isBusy) return talk.wait("drained");
    const link = talk.links.get(backendId);
    if (link !== undefined) talk.drop(link, "it is paused");
    this.#without.add(backendId);
    return null;
  }

  /**
   * A standby is connected when it is first needed, unless the session has a state by then that
   * the new connection cannot be told.
   *
   * @returns null when the session goes on without it.
   */
  #openLate(backendId: number): "wait" | null {
    const talk = this.#talk;
    if (talk.status === READY.failed || this.#without.has(backendId)) return null;
    if (talk.isBusy) return talk.wait("drained");
    return this.#isStateKnown(true) ? this.#open(backendId) : this.#findState();
  }

  #open(backendId: number): "wait" {
    this.#opening = backendId;
    this.#talk.wait("opened");
    this.#talk.port.openLink(backendId);
    return "wait";
  }

  /** Of a session with links of its own: another one can be told all that it must know. */
  #isStateKnown(ofStandby: boolean): boolean {
    const { speaker } = this.#talk;
    if (speaker === null) return true;
    const memory = this.#memory;
    if (memory.isProbing || memory.suspects(speaker)) return false;
    return ofStandby ? !memory.isTied(speaker) : !speaker.isKept;
  }

  /** @returns null when nobody can find it out now. */
  #findState(): "wait" | null {
    const talk = this.#talk;
    const { speaker } = talk;
    const memory = this.#memory;
    if (memory.isProbing) return talk.wait("probed");
    // In a transaction another link might be told what is rolled back in the end.
    if (speaker === null || talk.status !== READY.idle || !memory.suspects(speaker)) return null;
    talk.active = speaker;
    memory.probe(speaker);
    // It may have been tried too often.
    return memory.isProbing ? talk.wait("probed") : null;
  }

  #claimSpeaker(): Claimed {
    const { speaker, isSharing } = this.#talk;
    if (speaker !== null)
      return this.#held(speaker.backendId) ?? this.#claimLinks(this.#only(speaker));
    const backendId = this.#routing.view.primaryId ?? this.#routing.loadBalanceNode;
    return isSharing && backendId !== null ? this.#share(backendId) : this.#claimPrimary();
  }

  /** The session's link to that backend, or a shared connection that becomes it. */
  #share(wanted: number): Claimed {
    const talk = this.#talk;
    const { primaryId } = this.#routing.view;
    const isWithout = this.#without.size > 0 && this.#without.has(wanted);
    const isTied = talk.primary?.tiesSession === true;
    const goesElsewhere = isWithout || isTied || this.#carrier?.needsPrimary === true;
    const backendId = goesElsewhere && primaryId !== null ? primaryId : wanted;
    const why = this.#openFailure;
    this.#openFailure = null;
    if (why !== null) return this.#failStatement(why);
    if (this.#carrier?.isProbing === true) return talk.wait("probed");
    const link = talk.links.get(backendId);
    // Before its state is brought there: answers that another link owes come first.
    const { active } = talk;
    if (active !== null && active !== link && active.pending.count > 0) return talk.wait("drained");
    if (link !== undefined) {
      const held = this.#held(backendId);
      if (held !== null) return held;
      return this.#isBrought(link) ? this.#claimLinks(this.#only(link)) : talk.wait("carried");
    }
    if (backendId === primaryId && talk.port.awaitsPrimary()) return talk.wait("gate");
    const taken = talk.port.openLink(backendId);
    this.#opening = backendId;
    if (taken === null) return talk.wait("opened");
    if (!this.take(taken)) return talk.wait("carried");
    return this.#claimLinks(this.#only(taken));
  }

  /**
   * A link that was asked for is here.
   *
   * @returns false when the session's state must be brought to it first.
   */
  take(link: BackendLink): boolean {
    const talk = this.#talk;
    const { primaryId } = this.#routing.view;
    talk.add(link, link.backendId === primaryId);
    return this.#isBrought(link);
  }

  /** False: the session's state is on its way there. */
  #isBrought(link: BackendLink): boolean {
    const talk = this.#talk;
    // Nobody but this session runs anything there meanwhile.
    if (!link.pending.isIdle || link.status !== READY.idle) return true;
    // What servers differ in themselves is the primary's to tell.
    const { primaryId } = this.#routing.view;
    const tells = primaryId === null || link.backendId === primaryId;
    const isNeeded = talk.isSharing || tells;
    if (isNeeded) talk.active = link;
    const failed = isNeeded ? this.#notBrought : (): void => this.#doWithout(link.backendId);
    return this.#memory.bring(link, tells, failed);
  }

  /** Until the next view. */
  #doWithout(backendId: number): void {
    this.#without.add(backendId);
    this.#routing.avoid(backendId);
  }

  #claimLinks(links: BackendLink[]): BackendLink[] | "wait" {
    const first = links[0] as BackendLink;
    const { active } = this.#talk;
    const mustDrain = active !== null && active !== first && active.pending.count > 0;
    if (mustDrain || first.pending.count > PIPELINE_MAX) {
      return this.#talk.wait("drained");
    }
    this.#talk.active = first;
    if (first.pending.isAskedOnly) first.mayHaveDone = 0;
    const { primary, status } = this.#talk;
    // A standby that says ReadyForQuery out of turn opens no transaction for the primary.
    const isElsewhere = status === READY.inTransaction && first.status === READY.idle;
    first.isAside = isElsewhere && first !== primary;
    return links;
  }

  #claimPrimary(): "wait" | "failed" {
    const talk = this.#talk;
    const { primaryId } = this.#routing.view;
    const why = this.#openFailure;
    this.#openFailure = null;
    if (why !== null) return this.#failStatement(why);
    if (talk.isBusy) return talk.wait("drained");
    if (talk.port.awaitsPrimary()) return talk.wait("gate");
    if (primaryId === null) return this.#failStatement(NO_PRIMARY);
    if (this.#isStateKnown(false)) return this.#open(primaryId);
    const hint = "Connect again.";
    return this.#findState() ?? this.#failStatement(failure("no-primary", { hint }));
  }

  /**
   * The statement cannot run. Inside a transaction its work so far would be lost unseen, so
   * then the session ends.
   */
  #failStatement(why: Failure): "wait" | "failed" {
    const talk = this.#talk;
    if (talk.isBusy) return talk.wait("drained");
    if (talk.status !== READY.idle && talk.cut === null) talk.end({ ...why, severity: "FATAL" });
    else talk.tellClient(buildError(why));
    return "failed";
  }

  #only(link: BackendLink): BackendLink[] {
    this.#single[0] = link;
    return this.#single;
  }
}
