/**
 * The one loop between a core and the world: events in, actions out, in order. Timers live here,
 * so that no core needs one.
 */
import { assert, type Core, type Ms } from "../base/index.ts";
import { monotonicNowMs } from "./clock.ts";

/** What a core is told when the moment it named with `wakeAtMs` has come. */
export interface Tick {
  readonly type: "tick";
}

export interface CoreRunnerOptions<S, E, A> {
  /**
   * Does one action. The next action (and event) waits for the promise, so what takes long is
   * only started here and reports its end as an event. It must not reject. An event as the answer
   * says that the action failed: what stands on it in the same step is not done, and the event is
   * stepped before all that came in meanwhile, since the state believes that it was done.
   */
  readonly perform: (action: A) => E | void | Promise<E | void>;
  /** Told after each step that changed the state, before its actions are performed. */
  readonly onState?: (state: S) => void;
  readonly nowMs?: () => Ms;
}

/** More events than this waiting means that the actions do not end: a bug. */
const INBOX_EVENTS_MAX = 100_000;
/** The longest delay that a timer of Node takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const TICK: Tick = { type: "tick" };

export class CoreRunner<S, E, A> {
  readonly #core: Core<S, E | Tick, A>;
  readonly #options: CoreRunnerOptions<S, E, A>;
  readonly #nowMs: () => Ms;
  #state: S;
  #inbox: (E | Tick)[] = [];
  #failure: E | null = null;
  #isRunning = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer fires. */
  #timerAtMs: Ms = Infinity;

  constructor(core: Core<S, E | Tick, A>, initial: S, options: CoreRunnerOptions<S, E, A>) {
    this.#core = core;
    this.#state = initial;
    this.#options = options;
    this.#nowMs = options.nowMs ?? monotonicNowMs;
    this.#setTimer();
  }

  get state(): S {
    return this.#state;
  }

  /** Puts the event behind those that wait. Events delivered by an action are stepped after it. */
  deliver(event: E | Tick): void {
    if (this.#isStopped) return;
    assert(this.#inbox.length < INBOX_EVENTS_MAX, "a core's actions must end");
    this.#inbox.push(event);
    if (!this.#isRunning) void this.#run();
  }

  /** No event is stepped any more; an action that runs is not broken off. */
  stop(): void {
    this.#isStopped = true;
    this.#inbox = [];
    this.#clearTimer();
  }

  /** A rejection is a bug in an action; left unhandled, it ends the process. */
  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let event = this.#next(null); event !== undefined; event = this.#next(event)) {
      const { state, actions } = this.#core.step(this.#state, event, this.#nowMs());
      const isChanged = state !== this.#state;
      this.#state = state;
      if (isChanged) this.#options.onState?.(state);
      for (const action of actions) {
        const ending = this.#options.perform(action);
        const failure = ending instanceof Promise ? await ending : ending;
        if (this.#isStopped) return;
        if (failure === undefined) continue;
        this.#failure = failure;
        break;
      }
    }
    this.#isRunning = false;
    this.#setTimer();
  }

  /** A tick that is due goes before what waits, so that a flood of events delays no deadline. */
  #next(previous: E | Tick | null): E | Tick | undefined {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) return failure;
    const waiting = this.#inbox[0];
    if (waiting !== undefined && waiting !== TICK && previous !== TICK) {
      const wakeAtMs = this.#core.wakeAtMs(this.#state);
      if (wakeAtMs !== null && wakeAtMs <= this.#nowMs()) return TICK;
    }
    return this.#inbox.shift();
  }

  /** A timer that fires before it has to is left alone: most deadlines are put off again and again. */
  #setTimer(): void {
    if (this.#isStopped) return;
    const wakeAtMs = this.#core.wakeAtMs(this.#state);
    if (wakeAtMs === null || (this.#timer !== null && this.#timerAtMs <= wakeAtMs)) return;
    this.#clearTimer();
    const nowMs = this.#nowMs();
    const delayMs = Math.min(Math.max(Math.ceil(wakeAtMs - nowMs), 1), TIMER_MS_MAX);
    this.#timerAtMs = nowMs + delayMs;
    this.#timer = setTimeout(() => this.#onTimer(), delayMs);
  }

  #onTimer(): void {
    this.#timer = null;
    if (this.#isRunning) return; // What is due is stepped by the run, and the rest set at its end.
    const wakeAtMs = this.#core.wakeAtMs(this.#state);
    if (wakeAtMs !== null && wakeAtMs <= this.#nowMs()) this.deliver(TICK);
    else this.#setTimer();
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
