import { buildParameterStatus } from "../../../wire/postgres/index.ts";

/** Sets that are known by their content at a time. */
const SETS_MAX = 4096;

/** Name and value of every ParameterStatus, as a connection last said it. Immutable. */
export type ParameterSet = ReadonlyMap<string, string>;

/** The sets that a worker has met: equal ones are mostly one object. */
export class ParameterSets {
  #byContent = new Map<string, ParameterSet>();

  of(parameters: ReadonlyMap<string, string>): ParameterSet {
    const pairs = [...parameters].map(([name, value]) => `${name}\0${value}`);
    const content = pairs.sort().join("\0");
    const known = this.#byContent.get(content);
    if (known !== undefined) return known;
    if (this.#byContent.size >= SETS_MAX) this.#byContent = new Map();
    const set = new Map(parameters);
    this.#byContent.set(content, set);
    return set;
  }

  /** The set after one ParameterStatus. */
  with(set: ParameterSet, name: string, value: string): ParameterSet {
    return set.get(name) === value ? set : this.of(new Map(set).set(name, value));
  }
}

/**
 * What a client must be told whose session moves to another connection.
 *
 * @param told what the client was told last.
 * @returns ParameterStatus messages; null when there is nothing to tell.
 */
export function parameterChanges(told: ParameterSet, actual: ParameterSet): Buffer | null {
  if (told === actual) return null;
  const changed: Buffer[] = [];
  for (const [name, value] of actual) {
    if (told.get(name) !== value) changed.push(buildParameterStatus(name, value));
  }
  return changed.length === 0 ? null : Buffer.concat(changed);
}
