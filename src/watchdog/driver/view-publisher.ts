import type { Ms } from "../../base/index.ts";
import type { Log } from "../../os/index.ts";
import type { FromWatchdog, WatchdogView } from "../../wire/ipc/index.ts";
import { ownStateLines } from "../core/view.ts";

export interface ViewPublisherOptions {
  readonly log: Log;
  readonly tell: (message: FromWatchdog) => void;
  /**
   * `knownUntilMs` moves with every round; by itself it is told only when less than this is left
   * of what was told last. Shorter than the lease.
   */
  readonly refreshMs: Ms;
}

/** Tells the supervisor and the log what has changed in this node's view of the cluster. */
export class ViewPublisher {
  readonly #options: ViewPublisherOptions;
  #published: WatchdogView | null = null;
  #publishedText = "";

  constructor(options: ViewPublisherOptions) {
    this.#options = options;
  }

  publish(view: WatchdogView, nowMs: Ms): void {
    const text = JSON.stringify({ ...view, knownUntilMs: null });
    const isFresh = (this.#published?.knownUntilMs ?? Infinity) - nowMs >= this.#options.refreshMs;
    const isLonger = (view.knownUntilMs ?? 0) > (this.#published?.knownUntilMs ?? 0);
    if (text === this.#publishedText && (isFresh || !isLonger)) return;
    this.#publishedText = text;
    this.#options.tell({ type: "view", view });
    for (const { message, detail } of ownStateLines(this.#published, view)) {
      this.#options.log.write("log", message, detail === null ? {} : { detail });
    }
    this.#published = view;
  }
}
