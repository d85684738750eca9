/**
 * The crowd: one process on the client host with all clients of the rounds. Read `messages.ts`
 * first; `writing.ts` are those that write, `waiting.ts` those that do not.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicNowMs } from "../../../../src/os/index.ts";
import { longestGap } from "../../../../scripts/lab.d/demo/load-messages.ts";
import { CancelStorm } from "./cancel-storm.ts";
import type { CrowdOptions, FromCrowd, RoundReport, StormReport, ToCrowd } from "./messages.ts";
import { ErrorTally } from "./session.ts";
import { WaitingSessions } from "./waiting.ts";
import { RowWriter, Teller, type Crowd, type WritingClient } from "./writing.ts";

const REST_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 5;

export async function runCrowd(): Promise<void> {
  let crowd: Clients | null = null;
  for await (const line of createInterface({ input: process.stdin })) {
    const message = JSON.parse(line) as ToCrowd;
    if (message.type === "start") crowd = new Clients(message.options);
    else await crowd?.hear(message);
  }
  process.exit(0); // The harness is gone.
}

function tell(message: FromCrowd): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

class Clients implements Crowd {
  readonly options: CrowdOptions;
  readonly errors = new ErrorTally();
  round = 0;
  isResting = false;
  readonly #writing: readonly WritingClient[];
  readonly #waiting: WaitingSessions;
  #storms: CancelStorm[] = [];
  #startedCount = 0;
  #awaitedMs: number | null = null;
  #acknowledgedMs: number[] = [];

  constructor(options: CrowdOptions) {
    this.options = options;
    this.#waiting = new WaitingSessions(options);
    const { tellersCount, writersCount } = options;
    this.#writing = Array.from({ length: tellersCount + writersCount }, (_, writer) =>
      writer < tellersCount
        ? new Teller(this, writer, `teller ${writer}`)
        : new RowWriter(this, writer, `writer ${writer - tellersCount}`),
    );
    for (const client of this.#writing) void client.run();
    if (this.#writing.length === 0) tell({ type: "running" });
  }

  onFirst(): void {
    this.#startedCount += 1;
    if (this.#startedCount === this.#writing.length) tell({ type: "running" });
  }

  onRowAcknowledged(sentMs: number, atMs: number): void {
    this.#acknowledgedMs.push(atMs);
    if (this.#awaitedMs === null || sentMs < this.#awaitedMs) return;
    tell({ type: "written", afterMs: this.#awaitedMs, atMs });
    this.#awaitedMs = null;
  }

  async hear(message: Exclude<ToCrowd, { type: "start" }>): Promise<void> {
    switch (message.type) {
      case "begin-round":
        await this.#rest();
        this.#takeWrites();
        this.errors.take();
        await this.#waiting.begin(message.round, message.hasOpen);
        this.round = message.round;
        this.#acknowledgedMs = [monotonicNowMs()];
        this.isResting = false;
        return tell({ type: "round-begun" });
      case "await-write":
        this.#awaitedMs = message.afterMs;
        return;
      case "end-round":
        return tell({ type: "round-ended", ...(await this.#endRound()) });
      case "rest":
        await this.#rest();
        return tell({ type: "resting" });
      case "storm": {
        const storm = new CancelStorm(this.options, message.options);
        this.#storms.push(storm);
        await storm.rage();
        return tell({ type: "stormed" });
      }
      case "end-storms":
        return tell({ type: "storms-ended", storms: await this.#endStorms() });
    }
  }

  async #endRound(): Promise<RoundReport> {
    const waiting = await this.#waiting.end();
    // All that was sent has an answer then, so no row's fate falls between two rounds.
    await this.#rest();
    const taken = this.#takeWrites();
    const stall = longestGap(this.#acknowledgedMs);
    return {
      writes: taken.map(({ writes }) => writes),
      stallMs: stall.gapMs,
      stallFromMs: stall.fromMs,
      acknowledgedCount: taken.reduce((sum, { writes }) => sum + writes.acknowledged.length, 0),
      errors: this.errors.take(),
      errorsOfOneMax: Math.max(0, ...taken.map(({ errorsCount }) => errorsCount)),
      connectionsLost: taken.reduce((sum, { lostCount }) => sum + lostCount, 0),
      ...waiting,
    };
  }

  async #endStorms(): Promise<StormReport[]> {
    const storms = this.#storms.splice(0);
    return Promise.all(
      storms.map(async (storm) => ({ writes: await storm.end(), errors: storm.errors.take() })),
    );
  }

  #takeWrites(): ReturnType<WritingClient["take"]>[] {
    return this.#writing.map((client) => client.take());
  }

  async #rest(): Promise<void> {
    this.isResting = true;
    const endMs = monotonicNowMs() + REST_WITHIN_MS;
    while (this.#writing.some(({ isAtWork }) => isAtWork) && monotonicNowMs() < endMs) {
      await sleep(LOOK_EVERY_MS);
    }
  }
}
