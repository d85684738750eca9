import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  buildMessage,
  FrameWalker,
  HELD_BYTES_MAX,
  TAKE,
  type FrameSink,
  type Take,
} from "../../../../src/wire/postgres/index.ts";

/** Takes each type of frame as `takes` says and remembers what came. */
class Recorder implements FrameSink {
  readonly passedBytes: number[] = [];
  readonly held: Buffer[] = [];
  readonly ended: [number, number][] = [];
  readonly calls: string[] = [];
  readonly #takes: ReadonlyMap<number, Take>;

  constructor(takes: ReadonlyMap<number, Take>) {
    this.#takes = takes;
  }

  frameBegan(type: number): Take {
    return this.#takes.get(type) ?? TAKE.pass;
  }

  frameEnded(type: number, lastByte: number): void {
    this.ended.push([type, lastByte]);
  }

  frameHeld(_type: number, frame: Buffer): void {
    this.held.push(Buffer.from(frame));
    this.calls.push("held");
  }

  frameShown(_type: number, frame: Buffer): void {
    this.calls.push(`shown ${frame.toString("utf8", 5)}`);
  }

  passed(input: Buffer, start: number, end: number): void {
    this.passedBytes.push(...input.subarray(start, end));
    this.calls.push(`passed ${end - start}`);
  }
}

const PASS = 0x44;
const TELL = 0x5a;
const SWALLOW = 0x31;
const HOLD = 0x45;
const TAKES = new Map<number, Take>([
  [PASS, TAKE.pass],
  [TELL, TAKE.passAndTell],
  [SWALLOW, TAKE.swallow],
  [HOLD, TAKE.hold],
]);

const frames = fc.array(
  fc.tuple(fc.constantFrom(PASS, TELL, SWALLOW, HOLD), fc.uint8Array({ maxLength: 40 })),
  { maxLength: 20 },
);

describe("a frame walker", () => {
  test("gives the same frames wherever the stream is cut", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 30 })), (sent, cuts) => {
        const messages = sent.map(([type, body]) => buildMessage(type, Buffer.from(body)));
        const stream = Buffer.concat(messages);
        const recorder = new Recorder(TAKES);
        const walker = new FrameWalker(recorder);
        let at = 0;
        for (let i = 0; at < stream.length; i += 1) {
          const next = Math.min(stream.length, at + (cuts[i % (cuts.length || 1)] ?? 7));
          // The read buffer is overwritten after every push, as a socket does.
          const chunk = Buffer.from(stream.subarray(at, next));
          expect(walker.push(chunk)).toBeNull();
          chunk.fill(0xee);
          at = next;
        }
        const ofTypes = (...types: number[]): Buffer =>
          Buffer.concat(messages.filter((message) => types.includes(message[0] ?? 0)));
        expect(Buffer.from(recorder.passedBytes)).toEqual(ofTypes(PASS, TELL));
        expect(Buffer.concat(recorder.held)).toEqual(ofTypes(HOLD));
        expect(recorder.ended).toEqual(
          messages
            .filter((message) => message[0] === TELL || message[0] === SWALLOW)
            .map((message) => [message[0], message.at(-1)]),
        );
        expect(walker.isBetweenFrames).toBe(true);
      }),
    );
  });

  test("hands neighbours on in one span, before and after what is held", () => {
    const recorder = new Recorder(TAKES);
    const row = buildMessage(PASS, Buffer.alloc(5));
    const held = buildMessage(HOLD, Buffer.alloc(3));
    new FrameWalker(recorder).push(Buffer.concat([row, row, held, row]));
    expect(recorder.calls).toEqual(["passed 20", "held", "passed 10"]);
  });

  test("shows what lies whole and hands it on with its neighbours, and holds what does not", () => {
    const recorder = new Recorder(new Map([[HOLD, TAKE.show]]));
    const row = buildMessage(PASS, Buffer.alloc(5));
    const shown = buildMessage(HOLD, Buffer.from("abc"));
    const walker = new FrameWalker(recorder);
    const stream = Buffer.concat([row, shown, row]);
    walker.push(stream);
    expect(recorder.calls).toEqual(["shown abc", "passed 28"]);
    for (let at = row.length + 1; at < row.length + shown.length; at += 1) {
      recorder.calls.length = 0;
      recorder.held.length = 0;
      walker.push(stream.subarray(0, at));
      walker.push(stream.subarray(at));
      expect(recorder.calls).toEqual(["passed 10", "held", "passed 10"]);
      expect(recorder.held).toEqual([shown]);
    }
  });

  test("refuses a length that no message can have", () => {
    const walker = (): FrameWalker => new FrameWalker(new Recorder(TAKES));
    expect(walker().push(Buffer.from([PASS, 0, 0, 0, 3]))).toContain("claims 3 bytes");
    expect(walker().push(Buffer.from([PASS, 0xff, 0xff, 0xff, 0xff]))).toContain("claims");
    const slow = walker();
    for (const byte of [PASS, 0x7f, 0xff, 0xff]) expect(slow.push(Buffer.from([byte]))).toBeNull();
    expect(slow.push(Buffer.from([0xff]))).toContain("2147483647 bytes");
  });

  test("passes on what is too long to be held", () => {
    const recorder = new Recorder(TAKES);
    const error = buildMessage(HOLD, Buffer.alloc(HELD_BYTES_MAX, 7));
    const walker = new FrameWalker(recorder);
    walker.push(error.subarray(0, 1000));
    expect(walker.isInPassedFrame).toBe(true);
    walker.push(error.subarray(1000));
    expect(recorder.passedBytes).toHaveLength(error.length);
    expect(recorder.ended).toEqual([[HOLD, 7]]);
    expect(walker.isInPassedFrame).toBe(false);
  });
});
