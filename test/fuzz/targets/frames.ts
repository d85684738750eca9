/** The frame walker: every byte goes one way, and where the chunks were cut makes no difference. */
import { assert } from "../../../src/base/index.ts";
import {
  FrameWalker,
  HELD_BYTES_MAX,
  TAKE,
  type FrameSink,
  type Take,
} from "../../../src/wire/postgres/index.ts";
import type { Random } from "../../sim/random.ts";
import { step, type Step } from "../script.ts";
import type { Target } from "../target.ts";

const TAKES: readonly Take[] = [TAKE.pass, TAKE.passAndTell, TAKE.swallow, TAKE.hold];

/** Writes down what it is told; spans that follow each other are one. */
class Recorder implements FrameSink {
  readonly told: string[] = [];
  passedBytes = 0;
  heldBytesMax = 0;
  #span: Buffer[] = [];

  frameBegan(type: number): Take {
    return TAKES[type & 3] as Take;
  }

  frameEnded(type: number, lastByte: number): void {
    // What was passed on of this frame may be told before or after its end.
    this.told.push(`ended ${type} ${lastByte}`);
  }

  frameHeld(type: number, frame: Buffer): void {
    assert(frame[0] === type, "a held frame begins with its type");
    assert(frame.readUInt32BE(1) + 1 === frame.length, "a held frame is as long as it says");
    this.heldBytesMax = Math.max(this.heldBytesMax, frame.length);
    this.told.push(`held ${frame.toString("latin1")}`);
  }

  passed(input: Buffer, start: number, end: number): void {
    assert(0 <= start && start < end && end <= input.length, "a span lies within its input");
    this.passedBytes += end - start;
    this.#span.push(Buffer.from(input.subarray(start, end)));
  }

  get span(): string {
    return Buffer.concat(this.#span).toString("latin1");
  }
}

function walk(chunks: readonly Buffer[]): { recorder: Recorder; complaint: string | null } {
  const recorder = new Recorder();
  const walker = new FrameWalker(recorder);
  for (const chunk of chunks) {
    const complaint = walker.push(chunk);
    if (complaint !== null) return { recorder, complaint };
  }
  return { recorder, complaint: null };
}

export const frames: Target = {
  name: "frames",
  about: "the walker over the frames of either side",
  mutatesBytes: true,

  generate(random: Random): Step[] {
    return Array.from({ length: 1 + random.below(8) }, () => {
      const body = Buffer.alloc(random.below(random.chance(0.02) ? HELD_BYTES_MAX + 50 : 40), 7);
      const head = Buffer.alloc(5);
      head[0] = random.below(256);
      head.writeUInt32BE(body.length + 4, 1);
      return step("bytes", Buffer.concat([head, body]));
    });
  },

  run(steps, features) {
    const chunks = steps.map(({ bytes }) => bytes);
    const whole = Buffer.concat(chunks);
    const first = walk(chunks);
    const second = walk([whole]);
    const single = whole.length < 5000 ? walk([...whole].map((byte) => Buffer.of(byte))) : second;
    for (const other of [second, single]) {
      assert(first.complaint === other.complaint, "the complaint does not depend on the chunks");
      assert(first.recorder.span === other.recorder.span, "the same bytes are passed on");
      assert(
        first.recorder.told.join("\n") === other.recorder.told.join("\n"),
        "the same frames are told",
      );
    }
    assert(first.recorder.heldBytesMax <= HELD_BYTES_MAX + 1, "no more is held than the bound");
    assert(first.recorder.passedBytes <= whole.length, "no byte is passed on twice");
    features.see(first.complaint === null ? 0 : 1, first.recorder.told.length, whole.length & 15);
  },
};
