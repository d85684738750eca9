import type { Ms } from "../../base/index.ts";
import type { Log } from "../../os/index.ts";
import type { FromWatchdog, WatchdogView } from "../../wire/ipc/index.ts";
import type { State } from "../core/consensus/index.ts";
import { glanceAt, looksTheSame, ownStateLines, type Glance } from "../core/view.ts";

export interface ViewPublisherOptions {
  readonly log: Log;
  readonly tell: (message: FromWatchdog) => void;
  /**
   * `knownUntilMs` moves with every round; by itself it is told only when less than this is left
   * of what was told last. Shorter than the lease.
   */
  readonly refreshMs: Ms;
}

/**
 * What others than consensus have changed is published when they say so, and seen so late at the
 * latest.
 */
const VIEW_EVERY_MS: Ms = 1000;

/** Tells the supervisor and the log what has changed in this node's view of the cluster. */
export class ViewPublisher {
  readonly #options: ViewPublisherOptions;
  #published: WatchdogView | null = null;
  #publishedText = "";
  #glance: Glance | null = null;
  #viewedAtMs: Ms = 0;

  constructor(options: ViewPublisherOptions) {
    this.#options = options;
  }

  /** Cheap: asked after each step, which seldom changes what is seen. True: make the view. */
  isDue(state: State, nowMs: Ms): boolean {
    const glance = glanceAt(state, nowMs);
    const isSame = this.#glance !== null && looksTheSame(this.#glance, glance);
    const isRecent = nowMs - this.#viewedAtMs < VIEW_EVERY_MS;
    if (isSame && isRecent && !this.#mustRefresh(glance.knownUntilMs, nowMs)) return false;
    this.#glance = glance;
    this.#viewedAtMs = nowMs;
    return true;
  }

  publish(view: WatchdogView, nowMs: Ms): void {
    const text = JSON.stringify({ ...view, knownUntilMs: null });
    if (text === this.#publishedText && !this.#mustRefresh(view.knownUntilMs, nowMs)) return;
    this.#publishedText = text;
    this.#options.tell({ type: "view", view });
    for (const { message, detail } of ownStateLines(this.#published, view)) {
      this.#options.log.write("log", message, detail === null ? {} : { detail });
    }
    this.#published = view;
  }

  /** What was told last ends soon, and is now known to hold for longer. */
  #mustRefresh(knownUntilMs: Ms | null, nowMs: Ms): boolean {
    const toldUntilMs = this.#published?.knownUntilMs ?? Infinity;
    return toldUntilMs - nowMs < this.#options.refreshMs && (knownUntilMs ?? 0) > toldUntilMs;
  }
}
