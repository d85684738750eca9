import { failure, type Failure } from "../../../base/index.ts";
import type { Catalog } from "../routing/index.ts";
import { LEAVES, type SqlClass } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { LINK_LOST, type HiddenReply } from "./hidden-questions.ts";
import { carryOver } from "./carry-over.ts";
import type { Conversation } from "./conversation.ts";
import { LEAVING_QUERY, LeavingCalls } from "./leaving-functions.ts";
import { parameterChanges, type ParameterSet, type ParameterSets } from "./parameter-set.ts";
import type { SharedStatements } from "./shared-statements.ts";
import { patientProbe, probeQuery, readProbe, type Suspicion } from "./session-probe.ts";
import {
  parsingScope,
  reasonWords,
  type SessionState,
  type SessionStates,
} from "./session-state.ts";

/** Looking for these by name costs the server next to nothing. */
const QUICKLY_FOUND = LEAVES.settings | LEAVES.role | LEAVES.prepared;
/** A transaction that is rolled back takes them with it. */
const UNDONE = LEAVES.settings | LEAVES.role | LEAVES.listening | LEAVES.temporary | LEAVES.cursors;
/** They are nobody's business but the primary's, where such statements go anyhow. */
const PRIMARYS_ALONE =
  LEAVES.listening | LEAVES.advisoryLocks | LEAVES.cursors | LEAVES.prepared | LEAVES.temporary;

/** After so many that failed, the session keeps its connection for good. */
const PROBES_MAX = 3;
/** After so many that a time limit or a cancel request cut short, it is kept until the next statement. */
const CUT_PROBES_MAX = 20;
/** And so many more after each. */
const CUT_PROBES_LATER = 3;
const CANCELED = "57014";
/** After so many in a row the client is told. */
const INTERRUPTIONS_MAX = 3;

/** What sessions know of states; a worker has one. */
export interface KnownStates {
  readonly states: SessionStates;
  readonly sets: ParameterSets;
  readonly statements: SharedStatements;
}

/** How a session begins. */
export interface FirstState {
  /** What its start-up packet asked for, and its login was answered with. */
  readonly state: SessionState;
  readonly told: ParameterSet;
}

/**
 * What a session has made of its connection, carried from one shared connection to the next:
 *
 *     statement ── may leave something? ──> probe before the link is given back ──> state, reasons
 *     link taken ── its state another? ──> hidden queries first ──> the statement
 *
 * States are interned, so that for most transactions this is a comparison of two references.
 *
 * Where the session has connections of its own the same is done for those that are opened later: of
 * a standby, and of the primary when the first one is lost. What is found quickly is looked for at once,
 * as a server that has crashed tells nothing; the rest when the session is idle for a while.
 */
export class StateCarrier {
  readonly #talk: Conversation;
  readonly #known: KnownStates;
  readonly #calls: LeavingCalls;
  /** What the start-up packet asked for: a RESET goes back to it. */
  readonly #base: SessionState;
  #state: SessionState;
  #told: ParameterSet;
  /** Bits of LEAVES that statements since the last probe may have left. */
  #suspected = 0;
  #where: BackendLink | null = null;
  /** The settings among them; null when they are not known. */
  #names: readonly string[] | null = [];
  /** Those with a dot that were set. */
  #custom: readonly string[] = [];
  #isProbing = false;
  /** What is being looked for, and where. */
  #probedBits = 0;
  #probed: BackendLink | null = null;
  /** Of what is suspected, that which no transaction takes back any more. */
  #lasting = 0;
  /** The server is gone on which functions were called that may have left something. */
  #doubtsCalls = false;
  /** Probes in a row. A cancel request may come late enough to hit one. */
  #failures = 0;
  /** Of those, cut short. */
  #cutProbes = 0;
  /** Of bringing the state over, in a row. */
  #interruptions = 0;
  /** Of all PREPAREs so far. */
  #whenExecuted = 0;
  #namesWhenExecuted: readonly string[] | null = [];
  #customWhenExecuted: readonly string[] = [];

  constructor(talk: Conversation, known: KnownStates, first: FirstState, catalog: Catalog | null) {
    this.#calls = new LeavingCalls(catalog);
    this.#talk = talk;
    this.#known = known;
    this.#base = first.state;
    this.#state = first.state;
    this.#told = first.told;
  }

  /** A statement may have left something on this link, and nobody has looked yet. */
  suspects(link: BackendLink): boolean {
    return this.isSuspicious && this.#where === link;
  }

  /** Something is suspected anywhere. */
  get isSuspicious(): boolean {
    return this.#suspected !== 0 || this.#calls.isOpen;
  }

  /** What is suspected there is to be looked for at once. */
  isUrgent(link: BackendLink): boolean {
    if (!this.suspects(link)) return false;
    if (this.#talk.isSharing || this.#calls.isOpen) return true;
    return (this.#suspected & ~QUICKLY_FOUND) === 0 && this.#names !== null;
  }

  /** No transaction is open there, and nothing runs; it is not looked yet what was left. */
  rests(): void {
    this.#lasting = this.#suspected;
  }

  /** Nobody can say what a standby would have to be told. */
  isTied(link: BackendLink): boolean {
    return ((link.keeps | link.keepsForGood) & ~PRIMARYS_ALONE) !== 0;
  }

  /**
   * A link of the session is gone.
   *
   * @returns what went with it and cannot be had again, in bits of LEAVES.
   */
  lost(link: BackendLink): number {
    let gone = link.keeps | link.keepsForGood;
    if (this.#probed === link) gone |= this.#probedBits;
    if (this.#where !== link) return gone;
    // A lock outlives the transaction in which a function took it.
    if (this.#calls.isOpen) {
      const hasLeft = this.#calls.judge();
      this.#doubtsCalls = hasLeft === null;
      if (hasLeft === true) gone |= LEAVES.unknown;
    }
    gone |= this.#suspected & (this.#lasting | ~UNDONE);
    this.#suspected = 0;
    this.#lasting = 0;
    this.#names = [];
    this.#custom = [];
    this.#where = null;
    return gone;
  }

  /** Its transactions are serializable, which a standby refuses. */
  get needsPrimary(): boolean {
    return this.#state.settings.get("default_transaction_isolation") === "serializable";
  }

  /** There are statements that SQL has prepared. */
  get hasPrepared(): boolean {
    return this.#state.prepared.size > 0;
  }

  get statements(): SharedStatements {
    return this.#known.statements;
  }

  /** SQL may have prepared a statement of that name. */
  mayBePrepared(name: string): boolean {
    return (this.#suspected & LEAVES.prepared) !== 0 || this.#state.prepared.has(name);
  }

  /** What a text that is prepared now means; see `SharedStatements.use`. */
  get scope(): string {
    const isUnsure = (this.#suspected & (LEAVES.settings | LEAVES.role | LEAVES.unknown)) !== 0;
    return isUnsure ? this.#known.statements.privateScope() : parsingScope(this.#state);
  }

  /** What the session has made of its connection is being found out: nothing may run meanwhile. */
  get isProbing(): boolean {
    return this.#isProbing;
  }

  /** A statement was sent there. */
  ran(sql: SqlClass, link: BackendLink): void {
    if (this.#cutProbes === CUT_PROBES_MAX) this.#cutProbes -= CUT_PROBES_LATER;
    if (sql.leavesWhenExecuted !== 0) {
      this.#whenExecuted |= sql.leavesWhenExecuted;
      this.#namesWhenExecuted = joined(this.#namesWhenExecuted, sql.settingNames);
      this.#customWhenExecuted = withOthers(this.#customWhenExecuted, sql.customSettings);
    }
    let leaves = sql.leaves;
    if (this.#calls.mayLeave(sql)) leaves |= this.#leftByCall(sql);
    else if (this.#calls.isOpen) this.#where = link;
    if (sql.clears !== 0) leaves |= sql.clears & (link.keeps | this.#carriedBits());
    if (leaves === 0) return this.#maySettle(sql);
    if ((leaves & LEAVES.executes) !== 0) {
      leaves = (leaves & ~LEAVES.executes) | this.#whenExecuted;
      this.#names = joined(this.#names, this.#namesWhenExecuted);
      this.#custom = withOthers(this.#custom, this.#customWhenExecuted);
    }
    this.#suspected |= leaves;
    this.#where = link;
    this.#maySettle(sql);
    if ((leaves & (LEAVES.settings | LEAVES.role | LEAVES.unknown)) === 0) return;
    this.#names = joined(this.#names, sql.settingNames);
    this.#custom = withOthers(this.#custom, sql.customSettings);
  }

  /** Another transaction may be open behind it, with AND CHAIN or in the same text, which takes nothing back. */
  #maySettle(sql: SqlClass): void {
    if (sql.kind === "commit" || sql.multi) this.#lasting |= this.#suspected;
  }

  /** A Close was sent there: it drops what SQL has prepared as well. */
  closed(link: BackendLink): void {
    const carried = this.#carriedBits() | this.#suspected | link.keeps;
    if ((carried & LEAVES.prepared) === 0) return;
    this.#suspected |= LEAVES.prepared;
    this.#where = link;
  }

  /** Functions of users may leave anything. */
  #leftByCall(sql: SqlClass): number {
    if (sql.kind !== "prepare") return LEAVES.unknown;
    this.#whenExecuted |= LEAVES.unknown;
    return 0;
  }

  /** What a statement may clear although no reason of it keeps the link: it is carried. */
  #carriedBits(): number {
    return this.#state.prepared.size > 0 ? LEAVES.prepared : 0;
  }

  /** For the life of the server process; a probe that is under way will tell. */
  mayHaveLoaded(link: BackendLink): boolean {
    return this.suspects(link) && (this.#suspected & (LEAVES.process | LEAVES.unknown)) !== 0;
  }

  /** With this the client was greeted. */
  greeted(parameters: ParameterSet): void {
    this.#told = parameters;
  }

  /** The client saw it. */
  told(name: string, value: string): void {
    this.#told = this.#known.sets.with(this.#told, name, value);
  }

  /**
   * Brings the session's state to a link that nothing runs on.
   *
   * @param tells the client hears of parameters that are others there.
   * @param failed it cannot be brought over, and the link is gone.
   * @returns false when the session has to wait until it is told to go on.
   */
  bring(link: BackendLink, tells: boolean, failed: (why: Failure) => void): boolean {
    // All else is apart: this is asked for every transaction, and closures cost objects.
    if (this.#doubtsCalls) return this.#judgeCalls(link, tells, failed);
    if (link.state === this.#state && (!tells || link.parameters === this.#told)) {
      this.#interruptions = 0;
      return true;
    }
    return this.#carryTo(link, tells, failed);
  }

  #carryTo(link: BackendLink, tells: boolean, failed: (why: Failure) => void): boolean {
    // On a standby that is the session's own nobody executes what was PREPAREd.
    const isWhole = this.#talk.isSharing || tells;
    const state = isWhole ? this.#state : this.#known.states.withoutPrepared(this.#state);
    const over = link.state === null ? null : carryOver(link.state, state);
    if (over === null) {
      this.#interruptions = 0;
      link.state = state;
      if (tells) this.#tell(link);
      return true;
    }
    this.#talk.statements.unnamedLost(link.bit);
    link.ask(over.queries, (reply) => {
      if (reply.error === null) {
        this.#interruptions = 0;
        link.state = state;
        if (tells) this.#tell(link);
      } else if (reply.error === LINK_LOST) {
        if (!this.#isTriedAgain()) failed(failureOf(reply.error));
      } else if (this.#wasInterrupted(reply.error)) {
        // By a time limit, or a late cancel request, of whoever had the connection before.
        this.#talk.drop(link, "the session's state could not be brought over in time");
      } else {
        if (!over.isAtomic) this.#state = this.#known.states.withoutPrepared(state);
        this.#talk.drop(link, "the session's state could not be brought over");
        failed(failureOf(reply.error));
      }
      this.#talk.goOn("carried");
    });
    return false;
  }

  /** The next server has the same functions, and says what those of the last one may have left there. */
  #judgeCalls(link: BackendLink, tells: boolean, failed: (why: Failure) => void): boolean {
    const hasLeft = this.#calls.judge();
    if (hasLeft === null) {
      const { drops } = this.#calls;
      this.#talk.statements.unnamedLost(link.bit);
      link.ask([LEAVING_QUERY], ({ rows, error, isCut }) => {
        if (error === LINK_LOST) {
          if (!this.#isTriedAgain()) failed(failureOf(error));
          return this.#talk.goOn("carried");
        }
        const again = error !== null && this.#wasInterrupted(error);
        if (!again) this.#judged(this.#calls.learn(error !== null || isCut ? null : rows, drops));
        if (!this.#talk.hasEnded && this.bring(link, tells, failed)) this.#talk.goOn("carried");
      });
      return false;
    }
    this.#judged(hasLeft);
    return this.#talk.hasEnded ? false : this.bring(link, tells, failed);
  }

  #judged(hasLeft: boolean): void {
    this.#doubtsCalls = false;
    if (!hasLeft) return;
    const detail = `With it are gone: ${reasonWords(LEAVES.unknown).join(", ")}.`;
    this.#talk.end(failure("state-lost", { detail }));
  }

  #wasInterrupted(error: ReadonlyMap<string, string>): boolean {
    return error.get("C") === CANCELED && this.#isTriedAgain();
  }

  #isTriedAgain(): boolean {
    this.#interruptions += 1;
    return this.#interruptions <= INTERRUPTIONS_MAX;
  }

  /** Finds out what the statements so far have left. Nothing runs, and no transaction is open. */
  probe(link: BackendLink): void {
    if (this.#cutProbes === CUT_PROBES_MAX) return;
    this.rests();
    if (this.#calls.isOpen) return this.#askOfCalls(link);
    const before = link.state ?? this.#state;
    const leaves = this.#suspected | link.keeps;
    const ofCalls = (leaves & LEAVES.unknown) === 0 ? [] : this.#calls.settings;
    const suspicion = { leaves, names: this.#names, customs: withOthers(this.#custom, ofCalls) };
    this.#probedBits = this.#suspected;
    this.#probed = link;
    this.#suspected = 0;
    this.#lasting = 0;
    this.#names = [];
    this.#custom = [];
    this.#isProbing = true;
    const found = (reply: HiddenReply): void => this.#found(link, suspicion, before, reply);
    if (this.#cutProbes > 0) link.askTogether(patientProbe(suspicion, before), found);
    else this.#talk.ask(link, [probeQuery(suspicion, before)], found);
  }

  /** Which functions leave something in this database is not known yet. */
  #askOfCalls(link: BackendLink): void {
    const { drops } = this.#calls;
    this.#isProbing = true;
    this.#talk.ask(link, [LEAVING_QUERY], ({ rows, error, isCut }) => {
      this.#isProbing = false;
      if (error === LINK_LOST) return;
      if (!this.#calls.learn(error !== null || isCut ? null : rows, drops)) return;
      this.#suspected |= LEAVES.unknown;
    });
  }

  #found(link: BackendLink, suspicion: Suspicion, before: SessionState, reply: HiddenReply): void {
    this.#isProbing = false;
    this.#probed = null;
    if (reply.error === LINK_LOST) return;
    if (reply.error?.get("C") === CANCELED) {
      // Asked for more it would take longer yet.
      this.#cutProbes += 1;
      link.keeps |= suspicion.leaves;
      return this.#suspectAgain(link, suspicion);
    }
    this.#cutProbes = 0;
    if (reply.error !== null || reply.isCut) {
      this.#failures += 1;
      link.keeps |= LEAVES.unknown;
      if (this.#failures < PROBES_MAX) this.#suspect(link, suspicion);
      return;
    }
    this.#failures = 0;
    const { states } = this.#known;
    const base = this.#base;
    const outcome = readProbe(states, { rows: reply.rows, suspicion, before, base });
    link.state = outcome.connection;
    this.#state = outcome.session;
    link.keeps = outcome.reasons & ~LEAVES.process;
    link.keepsForGood |= outcome.reasons & LEAVES.process;
  }

  #suspect(link: BackendLink, suspicion: Suspicion): void {
    this.#suspectAgain(link, suspicion);
    this.#suspected |= LEAVES.unknown;
    this.#names = null;
  }

  #suspectAgain(link: BackendLink, suspicion: Suspicion): void {
    this.#suspected |= suspicion.leaves;
    this.#names = joined(this.#names, suspicion.names);
    this.#custom = withOthers(this.#custom, suspicion.customs ?? []);
    this.#where = link;
    this.#lasting = this.#suspected;
  }

  #tell(link: BackendLink): void {
    const changes = parameterChanges(this.#told, link.parameters);
    this.#told = link.parameters;
    if (changes !== null) this.#talk.tellClient(changes);
  }
}

/** PostgreSQL's own words. */
function failureOf(fields: ReadonlyMap<string, string>): Failure {
  const detail = fields.get("D");
  const hint = fields.get("H");
  return {
    severity: "ERROR",
    sqlstate: fields.get("C") ?? "XX000",
    message: fields.get("M") ?? "",
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  };
}

/** Null when the names of one of them are not known. */
function joined(
  names: readonly string[] | null,
  others: readonly string[] | null,
): readonly string[] | null {
  return names === null || others === null ? null : withOthers(names, others);
}

function withOthers(names: readonly string[], others: readonly string[]): readonly string[] {
  return others.length === 0 ? names : [...new Set([...names, ...others])];
}
