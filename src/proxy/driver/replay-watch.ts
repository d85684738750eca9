import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log } from "../../os/index.ts";
import type { BackendView, ClusterView } from "../../wire/ipc/index.ts";
import {
  parseLsn,
  PRIMARY_QUERY,
  ReplayClock,
  STANDBY_PROOF_QUERY,
  STANDBY_QUERY,
} from "../core/replay/index.ts";
import type { ParameterSets } from "../core/session/index.ts";
import type { SocketIo } from "./byte-socket.ts";
import { QuestionLine, type OwnLogin } from "./question-line.ts";

const ANSWER_WITHIN_MS = 2000;
/** What a standby said last is believed for so long. */
const BELIEVED_MS = 10_000;
/** After a question that failed. */
const RETRY_MS = 1000;
/** A standby that is waited for is asked again after a fifth of the time for which it was. */
const ASK_AGAIN_MIN_MS = 1;
const ASK_AGAIN_MAX_MS = 20;
/** One that nobody waits for, because that is of no use, is asked so often while sessions want it. */
const ASK_IN_VAIN_MS = 100;
const WANTED_MS = 1000;
const WARN_EVERY_MS = 60_000;

/** A session that waits for a standby. */
export interface ReplayWaiter {
  /** The question to the primary whose answer it needs; 0 when it has that. */
  readonly replayQuestion: number;
  /** The standby is not known to have what it needs. */
  isBehind(backendId: number): boolean;
  /** It need not wait any more: the standby is there, or the time is over. */
  waited(): void;
}

interface Wait {
  readonly backendId: number;
  readonly sinceMs: Ms;
  readonly untilMs: Ms;
}

interface Server {
  line: QuestionLine | null;
  /** Of its last question. */
  askedAtMs: Ms;
  /** Of the last one that failed. */
  failedAtMs: Ms;
  /** So long sessions would like to read there, though they do not wait. */
  wantedUntilMs: Ms;
}

export interface ReplayWatchOptions {
  readonly io: SocketIo;
  readonly sets: ParameterSets;
  readonly log: Log;
  readonly login: () => OwnLogin;
  /** How long a read waits for a standby. */
  readonly waitMs: () => Ms;
  /** This backend gave no answer. */
  readonly failed: (backendId: number) => void;
}

/**
 * Asks the primary and the standbys for their positions, over connections of its own, while
 * sessions want to know: one question at a time to each, whatever the number of sessions.
 */
export class ReplayWatch {
  readonly clock = new ReplayClock();
  readonly #o: ReplayWatchOptions;
  readonly #servers = new Map<number, Server>();
  readonly #waits = new Map<ReplayWaiter, Wait>();
  /** Their time was over: the next answer to `mayWait` is no. */
  readonly #inVain = new WeakSet<ReplayWaiter>();
  #askers: { readonly question: number; readonly done: (lsn: number | null) => void }[] = [];
  #view: ClusterView | null = null;
  #timer: NodeJS.Timeout | null = null;
  #warnedAtMs = -WARN_EVERY_MS;

  constructor(o: ReplayWatchOptions) {
    this.#o = o;
  }

  viewTaken(view: ClusterView): void {
    const before = this.#view;
    this.#view = view;
    if (before !== null && before.primaryId !== view.primaryId) this.clock.primaryLost();
    for (const [id, server] of this.#servers) {
      const backend = view.backends.find((one) => one.id === id);
      const isUp = backend?.state === "up" || backend?.state === "waiting";
      const { hostname, port } = server.line?.target ?? {};
      if (isUp && backend.hostname === hostname && backend.port === port) continue;
      server.line?.close();
      this.#servers.delete(id);
      this.clock.standbyLost(id);
    }
    this.#goOn();
  }

  /**
   * A session's next statement would go to a standby that is not known to have what it needs.
   *
   * @returns false: it should not wait, and go to the primary. Else `waited` follows, never at once.
   */
  mayWait(waiter: ReplayWaiter, backendId: number): boolean {
    const nowMs = monotonicNowMs();
    const server = this.#serverOf(backendId);
    const waitMs = this.#o.waitMs();
    server.wantedUntilMs = nowMs + WANTED_MS;
    const isOver = this.#inVain.delete(waiter);
    const isTooFar = this.clock.lagMs(backendId, nowMs, WANTED_MS) > waitMs;
    const isMute = isMuteNow(server, nowMs, waitMs) || this.#isPrimaryMute(nowMs);
    const waits = !isOver && !isTooFar && !isMute && waitMs > 0;
    if (waits) this.#waits.set(waiter, { backendId, sinceMs: nowMs, untilMs: nowMs + waitMs });
    this.#goOn();
    return waits;
  }

  /** It is gone, or does something else. */
  leave(waiter: ReplayWaiter): void {
    this.#waits.delete(waiter);
  }

  /** A position behind all that anybody was told of by now; null when the primary does not say. */
  askPrimary(done: (lsn: number | null) => void): void {
    this.#askers.push({ question: this.clock.next, done });
    this.#goOn();
  }

  /** Once a second. */
  look(): void {
    this.clock.forgetOlder(monotonicNowMs(), BELIEVED_MS);
  }

  // ---- who is asked when ------------------------------------------------------------------

  /** Asks whoever should be asked now, and comes again when somebody should be. */
  #goOn(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const nowMs = monotonicNowMs();
    let wakeAtMs = this.#endWaits(nowMs);
    const primaryId = this.#view?.primaryId ?? null;
    if (primaryId === null || this.#isPrimaryMute(nowMs)) this.#tellAskers(null);
    else if (this.#needsPosition) this.#askPrimary(primaryId, nowMs);
    for (const [id, server] of this.#servers) {
      const dueAtMs =
        id === primaryId ? Number.POSITIVE_INFINITY : this.#dueAtMs(id, server, nowMs);
      if (dueAtMs <= nowMs) this.#askStandby(id, server, nowMs);
      else wakeAtMs = Math.min(wakeAtMs, dueAtMs);
    }
    if (wakeAtMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#goOn(), Math.max(1, wakeAtMs - nowMs));
  }

  /** @returns when the next one ends. */
  #endWaits(nowMs: Ms): Ms {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [waiter, wait] of this.#waits) {
      const isBehind = waiter.isBehind(wait.backendId);
      if (isBehind && nowMs < wait.untilMs) {
        nextMs = Math.min(nextMs, wait.untilMs);
        continue;
      }
      this.#waits.delete(waiter);
      if (isBehind) this.#inVain.add(waiter);
      setImmediate(() => waiter.waited());
    }
    return nextMs;
  }

  get #needsPosition(): boolean {
    if (this.#askers.length > 0) return true;
    if (this.#waits.size > 0 && this.clock.isBlind) return true;
    for (const waiter of this.#waits.keys()) if (waiter.replayQuestion > 0) return true;
    return false;
  }

  /** The more often the shorter somebody has waited; seldom when sessions would wait in vain. */
  #dueAtMs(id: number, server: Server, nowMs: Ms): Ms {
    if (server.line?.isBusy === true || this.clock.isBlind) return Number.POSITIVE_INFINITY;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const [waiter, wait] of this.#waits) {
      const asks = wait.backendId === id && waiter.replayQuestion === 0;
      if (asks) sinceMs = Math.min(sinceMs, wait.sinceMs);
    }
    if (sinceMs !== Number.POSITIVE_INFINITY) {
      const pauseMs = Math.min(ASK_AGAIN_MAX_MS, (nowMs - sinceMs) / 5);
      return server.askedAtMs + Math.max(ASK_AGAIN_MIN_MS, pauseMs);
    }
    const isWanted = nowMs < server.wantedUntilMs;
    return isWanted ? server.askedAtMs + ASK_IN_VAIN_MS : Number.POSITIVE_INFINITY;
  }

  // ---- questions --------------------------------------------------------------------------

  #askPrimary(id: number, nowMs: Ms): void {
    const server = this.#serverOf(id);
    if (server.line?.isBusy === true) return;
    const question = this.clock.primaryAsked();
    this.#ask(id, server, PRIMARY_QUERY, (values) => {
      const lsn = parseLsn(values[0] ?? "");
      const timeline = Number.parseInt(values[1] ?? "", 16);
      if (lsn === null || this.#view?.primaryId !== id) return;
      this.clock.primaryAnswered(question, lsn, timeline, nowMs);
      this.#tellAskers(question);
    });
  }

  #askStandby(id: number, server: Server, nowMs: Ms): void {
    const proves = this.clock.mustProve(id);
    this.#ask(id, server, proves ? STANDBY_PROOF_QUERY : STANDBY_QUERY, ([lsn, ...timelines]) => {
      const known = timelines.flatMap((timeline) => (timeline === null ? [] : [Number(timeline)]));
      this.clock.standbyAnswered(id, parseLsn(lsn ?? ""), proves ? known : null, nowMs);
    });
  }

  #ask(
    id: number,
    server: Server,
    query: string,
    answered: (values: readonly (string | null)[]) => void,
  ): void {
    const backend = this.#view?.backends.find((one) => one.id === id);
    if (backend === undefined) return;
    server.askedAtMs = monotonicNowMs();
    if (server.line === null || server.line.isClosed) server.line = this.#open(backend);
    const { line } = server;
    line.ask(query, (answer) => {
      // Another line may have taken its place.
      if (this.#servers.get(id)?.line !== line) return;
      if (answer.kind === "row") answered(answer.values);
      else this.#failed(id, server, answer.why);
      this.#goOn();
    });
  }

  #open(backend: BackendView): QuestionLine {
    const { io, sets, login } = this.#o;
    return new QuestionLine({
      io,
      sets,
      backend,
      login: login(),
      withinMs: ANSWER_WITHIN_MS,
      closed: () => this.clock.standbyLost(backend.id),
    });
  }

  #failed(id: number, server: Server, why: string): void {
    const nowMs = monotonicNowMs();
    server.failedAtMs = nowMs;
    this.#o.failed(id);
    if (nowMs < this.#warnedAtMs + WARN_EVERY_MS) return;
    this.#warnedAtMs = nowMs;
    this.#o.log.write("warning", `backend ${id} does not say how far it has come`, {
      detail: why,
      hint: "Reads that need to know go to the primary. Can sr_check_user log in there?",
    });
  }

  #isPrimaryMute(nowMs: Ms): boolean {
    const primaryId = this.#view?.primaryId ?? null;
    const server = primaryId === null ? undefined : this.#servers.get(primaryId);
    return server !== undefined && nowMs < server.failedAtMs + RETRY_MS;
  }

  /** @param question the last that was answered; null: none will be soon. */
  #tellAskers(question: number | null): void {
    if (this.#askers.length === 0) return;
    const isTold = (asker: { question: number }): boolean =>
      question === null || asker.question <= question;
    const told = this.#askers.filter(isTold);
    this.#askers = this.#askers.filter((asker) => !isTold(asker));
    for (const { question: asked, done } of told) {
      setImmediate(done, question === null ? null : this.clock.positionOf(asked));
    }
  }

  #serverOf(id: number): Server {
    let server = this.#servers.get(id);
    if (server === undefined) {
      const never = Number.NEGATIVE_INFINITY;
      server = { line: null, askedAtMs: never, failedAtMs: never, wantedUntilMs: never };
      this.#servers.set(id, server);
    }
    return server;
  }
}

/** It gives no answer, or has let a question wait for longer than a session would. */
function isMuteNow({ line, askedAtMs, failedAtMs }: Server, nowMs: Ms, waitMs: Ms): boolean {
  const isSlow = line?.isBusy === true && nowMs - askedAtMs > waitMs;
  return isSlow || nowMs < failedAtMs + RETRY_MS;
}
