/**
 * States a promise of the code. A broken one is a bug: the process ends and is started again.
 *
 * @param message the broken promise, with the values needed to find the cause.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/** Marks the branch of a `switch` over a union that cannot be reached. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable value: ${JSON.stringify(value)}`);
}

export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}
