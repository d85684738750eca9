/** Small damages to a script, drawn from a seed. */
import type { Random } from "../sim/random.ts";
import { step, type Step } from "./script.ts";

const STEPS_MAX = 400;
const BYTES_MAX = 200_000;
const LENGTHS = [
  0, 1, 3, 4, 5, 8, 9999, 10_000, 10_001, 65_536, 0x3fffffff, 0x40000000, 0x7fffffff,
];

export interface MutateOptions {
  readonly random: Random;
  readonly mutatesBytes: boolean;
  /** Another script, parts of which may be put in. */
  readonly other: readonly Step[];
}

export function mutate(steps: readonly Step[], o: MutateOptions): Step[] {
  const { random } = o;
  let result = [...steps];
  const rounds = 1 + random.below(random.chance(0.2) ? 12 : 3);
  for (let round = 0; round < rounds; round += 1) {
    const isAtBytes = o.mutatesBytes && result.length > 0 && random.chance(0.6);
    if (isAtBytes) {
      const at = random.below(result.length);
      const old = result[at] as Step;
      result[at] = { ...old, bytes: mutateBytes(old.bytes, random) };
    } else {
      result = mutateOrder(result, o);
    }
  }
  return result.slice(0, STEPS_MAX);
}

function mutateOrder(steps: readonly Step[], o: MutateOptions): Step[] {
  const { random, other } = o;
  const result = [...steps];
  const at = random.below(result.length + 1);
  const length = 1 + random.below(4);
  switch (random.below(o.mutatesBytes ? 7 : 5)) {
    case 0:
      result.splice(at, length);
      break;
    case 1:
      result.splice(at, 0, ...result.slice(at, at + length));
      break;
    case 2: {
      const moved = result.splice(at, length);
      result.splice(random.below(result.length + 1), 0, ...moved);
      break;
    }
    case 3: {
      const from = random.below(other.length + 1);
      result.splice(at, 0, ...other.slice(from, from + length * 2));
      break;
    }
    case 4: {
      const old = result[at];
      if (old !== undefined) result[at] = { ...old, number: random.below(1 << random.below(12)) };
      break;
    }
    case 5:
      splitStep(result, at, random);
      break;
    default:
      joinSteps(result, at);
  }
  return result;
}

function splitStep(steps: Step[], at: number, random: Random): void {
  const old = steps[at];
  if (old === undefined || old.bytes.length < 2) return;
  const cut = 1 + random.below(old.bytes.length - 1);
  const halves = [old.bytes.subarray(0, cut), old.bytes.subarray(cut)];
  steps.splice(at, 1, ...halves.map((bytes) => step(old.what, bytes, old.number)));
}

function joinSteps(steps: Step[], at: number): void {
  const [first, second] = [steps[at], steps[at + 1]];
  if (first === undefined || second?.what !== first.what) return;
  steps.splice(at, 2, { ...first, bytes: Buffer.concat([first.bytes, second.bytes]) });
}

function mutateBytes(old: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(old);
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(8);
  switch (random.below(8)) {
    case 0:
      return flip(bytes, at, 1 << random.below(8));
    case 1:
      return flip(bytes, at, 1 + random.below(255));
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3: {
      const noise = Buffer.from(Array.from({ length }, () => random.below(256)));
      return bounded(Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]));
    }
    case 4:
      return bounded(Buffer.concat([bytes, bytes.subarray(at, at + length * 16)]));
    case 5:
      return bytes.subarray(0, at);
    case 6:
      // The second byte of a message begins its length; elsewhere a word is as good.
      return writeWord(bytes, random.chance(0.6) ? 1 : at, random.pick(LENGTHS));
    default:
      return writeWord(bytes, 1, (bytes.length + random.below(9) - 5) >>> 0);
  }
}

function flip(bytes: Buffer, at: number, bits: number): Buffer {
  if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ bits;
  return bytes;
}

function writeWord(bytes: Buffer, at: number, value: number): Buffer {
  if (at + 4 <= bytes.length) bytes.writeUInt32BE(value, at);
  return bytes;
}

function bounded(bytes: Buffer): Buffer {
  return bytes.subarray(0, BYTES_MAX);
}
