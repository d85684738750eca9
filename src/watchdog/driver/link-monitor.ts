import type { Ms } from "../../base/index.ts";
import { runCommand, type Log } from "../../os/index.ts";
import { hasLink, parseLink, type Link } from "../core/fitness/index.ts";

export interface LinkMonitorOptions {
  /** wd_monitoring_interfaces_list. */
  readonly watched: readonly string[];
  readonly log: Log;
  /** Told whenever the kernel said something of its devices, and from time to time. */
  readonly onSeen: (hasLink: boolean) => void;
}

export interface LinkMonitor {
  stop(): Promise<void>;
}

const LOOK_TIMEOUT_MS: Ms = 5000;
/** One change of a device comes as several messages. */
const GATHER_MS: Ms = 20;
/** In case a message was missed. */
const LOOK_EVERY_MS: Ms = 10_000;
const RESTART_AFTER_MS: Ms = 2000;
const LINKS_MAX = 4096;

/**
 * Watches the links of this host's network devices: `ip monitor link` says that something changed,
 * `ip -o link` how things are now.
 */
export function watchLinks(options: LinkMonitorOptions): LinkMonitor {
  return new Monitor(options);
}

class Monitor implements LinkMonitor {
  readonly #options: LinkMonitorOptions;
  readonly #stopping = new AbortController();
  readonly #listening: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #gathering: NodeJS.Timeout | null = null;
  #isLooking = false;
  /** Something changed while the look that runs now was under way. */
  #isStale = false;
  #hasComplained = false;

  constructor(options: LinkMonitorOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
    this.#listening = this.#listen();
    void this.#look();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#stopping.abort();
    await this.#listening;
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #listen(): Promise<void> {
    while (!this.#isStopped) {
      const ended = await runCommand({
        command: ["ip", "-o", "monitor", "link"],
        timeoutMs: 0,
        onLine: () => this.#onChange(),
        signal: this.#stopping.signal,
        killGroup: true,
      });
      if (this.#isStopped) return;
      this.#complain("ip monitor link", ended.startError ?? ended.lines.slice(-3).join(" "));
      await this.#pause();
      void this.#look();
    }
  }

  #onChange(): void {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = null;
      void this.#look();
    }, GATHER_MS);
  }

  async #look(): Promise<void> {
    this.#isStale = this.#isLooking;
    if (this.#isLooking || this.#isStopped) return;
    this.#isLooking = true;
    const links: Link[] = [];
    const shown = await runCommand({
      command: ["ip", "-o", "link", "show"],
      timeoutMs: LOOK_TIMEOUT_MS,
      onLine: (line) => {
        const link = parseLink(line);
        if (link !== null && links.length < LINKS_MAX) links.push(link);
      },
    });
    this.#isLooking = false;
    if (this.#isStopped) return;
    if (shown.exitCode === 0) this.#options.onSeen(hasLink(links, this.#options.watched));
    else this.#complain("ip -o link show", shown.startError ?? shown.lines.slice(-3).join(" "));
    if (this.#isStale) void this.#look();
  }

  #complain(what: string, why: string): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#options.log.write("warning", `"${what}" has failed: links may be watched late`, {
      detail: why,
      hint: "Is the package iproute2 installed?",
    });
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RESTART_AFTER_MS);
      this.#stopping.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
