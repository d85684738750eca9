/**
 * The shape of every decision: values in, values out. A core knows no socket, file, clock or log.
 * Time comes in as monotonic milliseconds; a wish to be woken goes out through `wakeAtMs`.
 */
export interface Step<S, A> {
  readonly state: S;
  /** To be performed in this order; a failed action comes back as an event. */
  readonly actions: readonly A[];
}

export interface Core<S, E, A> {
  step(state: S, event: E, nowMs: Ms): Step<S, A>;
  /** The moment at which a `tick` event is due, or null when only events matter. */
  wakeAtMs(state: S): Ms | null;
}

/** Milliseconds: of a monotonic clock when it names a moment, plain when it names a length. */
export type Ms = number;
