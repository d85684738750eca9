import type { Ms } from "../../../src/base/index.ts";

/** One of the promises did not hold; the run ends here. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
  readonly promise: string;
  readonly atMs: Ms;

  constructor(promise: string, detail: string, atMs: Ms) {
    super(detail);
    this.promise = promise;
    this.atMs = atMs;
  }
}

/** Tells a checker the time, and takes what it finds. */
export interface Judge {
  readonly nowMs: Ms;
  broken(promise: string, detail: string): never;
}
