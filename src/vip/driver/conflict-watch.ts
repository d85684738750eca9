import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log } from "../../os/index.ts";

/**
 * Notices when another host claims the virtual IP: a machine that somebody gave the same address,
 * or an old holder that nothing fences. It asks on the network (`probe`), and reads a little later
 * who answered or spoke unasked. Who is right was decided by a quorum; so it only says loudly what
 * it sees, and while the lease is held tells the neighbours again where the address is, rarely
 * enough that two hosts never shout each other down.
 */
export interface ConflictWatchOptions {
  readonly vip: string;
  readonly probe: () => void;
  /** Hardware addresses that claimed the virtual IP lately; null: could not be read. */
  readonly rivals: () => Promise<readonly string[] | null>;
  /** Hardware addresses of this host. */
  readonly own: () => ReadonlySet<string>;
  readonly isHeld: () => boolean;
  /** Tells the neighbours again. */
  readonly defend: () => void;
  readonly log: Log;
  readonly onChange: () => void;
  /** From one question to the next while the address is held. */
  readonly everyMs: Ms;
}

/** Most answers are there by then; reading them costs a process, which must not delay the opening. */
const FIRST_MS: Ms = 20;
/** Answers come within this. */
const ANSWER_MS: Ms = 100;
/** Source: RFC 5227 2.4, DEFEND_INTERVAL. */
const DEFEND_EVERY_MS: Ms = 10_000;
const SAY_EVERY_MS: Ms = 60_000;

export class ConflictWatch {
  readonly #options: ConflictWatchOptions;
  #conflict: string | null = null;
  #defendedAtMs: Ms = -Infinity;
  #saidAtMs: Ms = -Infinity;
  #timer: NodeJS.Timeout | null = null;
  #isReading = false;

  constructor(options: ConflictWatchOptions) {
    this.#options = options;
  }

  /** The hardware address of another that claims the virtual IP; null: nobody does. */
  get conflict(): string | null {
    return this.#conflict;
  }

  /** Asks now, looks at the answers soon and a moment later, and goes on doing so. */
  start(): void {
    this.stop();
    this.#options.probe();
    this.#timer = setTimeout(() => {
      void this.#read();
      this.#askLater(ANSWER_MS);
    }, FIRST_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #askLater(answerMs: Ms): void {
    this.#timer = setTimeout(() => {
      void this.#read();
      this.#timer = setTimeout(() => {
        this.#options.probe();
        this.#askLater(ANSWER_MS);
      }, this.#options.everyMs - ANSWER_MS);
      this.#timer.unref();
    }, answerMs);
    this.#timer.unref();
  }

  async #read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const rivals = await this.#options.rivals();
    this.#isReading = false;
    if (rivals === null) return;
    const own = this.#options.own();
    this.#judge(rivals.map((each) => each.toLowerCase()).find((each) => !own.has(each)) ?? null);
  }

  #judge(rival: string | null): void {
    const { vip, log, onChange, isHeld, defend } = this.#options;
    const nowMs = monotonicNowMs();
    const isNew = rival !== this.#conflict;
    const before = this.#conflict;
    this.#conflict = rival;
    if (rival === null) {
      if (before !== null) log.write("log", `${before} claims the virtual IP ${vip} no more`);
    } else if (isNew || nowMs - this.#saidAtMs >= SAY_EVERY_MS) {
      this.#saidAtMs = nowMs;
      log.write("error", `another host claims the virtual IP ${vip}: ${rival}`, {
        detail:
          "This node has it by the vote of a quorum; clients may reach the other host instead.",
        hint: `Take ${vip} from the host with the hardware address ${rival}.`,
      });
    }
    if (isNew) onChange();
    if (rival === null || !isHeld() || nowMs - this.#defendedAtMs < DEFEND_EVERY_MS) return;
    this.#defendedAtMs = nowMs;
    defend();
  }
}
