import type { Log } from "../../os/index.ts";
import type { FromWatchdog, WatchdogView } from "../../wire/ipc/index.ts";
import { ownStateLines } from "../core/view.ts";

/** Tells the supervisor and the log what has changed in this node's view of the cluster. */
export class ViewPublisher {
  readonly #log: Log;
  readonly #tell: (message: FromWatchdog) => void;
  #published: WatchdogView | null = null;
  #publishedText = "";

  constructor(log: Log, tell: (message: FromWatchdog) => void) {
    this.#log = log;
    this.#tell = tell;
  }

  publish(view: WatchdogView): void {
    const text = JSON.stringify(view);
    if (text === this.#publishedText) return;
    this.#publishedText = text;
    this.#tell({ type: "view", view });
    for (const { message, detail } of ownStateLines(this.#published, view)) {
      this.#log.write("log", message, detail === null ? {} : { detail });
    }
    this.#published = view;
  }
}
