/**
 * Draws scripts and runs them. Everything follows from the seed, so that execution N of seed S is
 * the same script each time: a hang, which cannot report itself, is found again by its number.
 */
import { Random } from "../sim/random.ts";
import { Features } from "./features.ts";
import { mutate } from "./mutate.ts";
import type { Script, Step } from "./script.ts";
import { shrinkScript } from "./shrink.ts";
import type { Target } from "./target.ts";

/** A run that takes more processor time counts as a hang. */
const RUN_MS_MAX = 1000;
const POOL_MAX = 400;

export interface Finding {
  readonly script: Script;
  /** The promise that was broken. */
  readonly why: string;
  readonly execution: number;
}

export interface EngineOptions {
  readonly seed: number;
  readonly targets: readonly Target[];
  /** Milliseconds of processor time: others may keep the machine busy. */
  readonly nowMs: () => number;
  /** Called before a script is run, also while a finding is made small. */
  readonly onRun: () => void;
}

interface Pool {
  readonly target: Target;
  readonly features: Features;
  /** Scripts that reached something new, oldest first. */
  readonly scripts: (readonly Step[])[];
}

export class Engine {
  readonly #random: Random;
  readonly #o: EngineOptions;
  readonly #pools: readonly Pool[];
  #executions = 0;

  constructor(o: EngineOptions) {
    this.#random = new Random(o.seed);
    this.#o = o;
    this.#pools = o.targets.map((target) => ({ target, features: new Features(), scripts: [] }));
  }

  get executions(): number {
    return this.#executions;
  }

  /** Situations seen, by target. */
  coverage(): ReadonlyMap<string, number> {
    return new Map(this.#pools.map(({ target, features }) => [target.name, features.count]));
  }

  /** Starts from what is known to be of interest. */
  adopt(script: Script): void {
    const pool = this.#pools.find(({ target }) => target.name === script.target);
    pool?.scripts.push(script.steps);
  }

  /** The next script, which `run` then executes. */
  draw(): Script {
    this.#executions += 1;
    const pool = this.#pools[this.#executions % this.#pools.length] as Pool;
    return { target: pool.target.name, steps: this.#drawFrom(pool) };
  }

  run(script: Script): Finding | null {
    const pool = this.#pools.find(({ target }) => target.name === script.target) as Pool;
    const before = pool.features.count;
    const startMs = this.#o.nowMs();
    this.#o.onRun();
    const why = whyBroken(pool.target, script.steps, pool.features);
    const tookMs = this.#o.nowMs() - startMs;
    const { executions: execution } = this;
    if (why !== null) {
      const small = this.#shrunk(pool, script);
      return {
        script: small,
        why: whyBroken(pool.target, small.steps, pool.features) ?? why,
        execution,
      };
    }
    if (tookMs > RUN_MS_MAX) {
      return { script, why: `took ${Math.round(tookMs)} ms`, execution };
    }
    if (pool.features.count > before) {
      pool.scripts.push(script.steps);
      if (pool.scripts.length > POOL_MAX) pool.scripts.splice(0, 1);
    }
    return null;
  }

  #drawFrom(pool: Pool): Step[] {
    const random = this.#random;
    const { target, scripts } = pool;
    if (scripts.length === 0 || random.chance(0.35)) {
      const fresh = target.generate(random);
      return random.chance(0.4) ? this.#mutated(pool, fresh) : fresh;
    }
    return this.#mutated(pool, random.pick(scripts));
  }

  #mutated(pool: Pool, steps: readonly Step[]): Step[] {
    const other = pool.scripts.length === 0 ? [] : this.#random.pick(pool.scripts);
    const { mutatesBytes } = pool.target;
    return mutate(steps, { random: this.#random, mutatesBytes, other });
  }

  #shrunk(pool: Pool, script: Script): Script {
    const { target } = pool;
    const features = new Features();
    const steps = shrinkScript(script.steps, target.mutatesBytes, (candidate) => {
      this.#o.onRun();
      return whyBroken(target, candidate, features) !== null;
    });
    return { ...script, steps };
  }
}

/** The promise that a run breaks, or null. */
export function whyBroken(
  target: Target,
  steps: readonly Step[],
  features: Features,
): string | null {
  try {
    target.run(steps, features);
    return null;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
