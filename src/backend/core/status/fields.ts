/** Values that came from outside this process, read field by field; the first wrong one throws. */
import { BACKENDS_MAX } from "./cluster-state.ts";

/** Caught by the decoders of this folder, never beyond. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

/** One object, read field by field. */
export class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #what: string;

  constructor(value: unknown, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new DecodeError(`${what} must be an object`);
    }
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#what = what;
  }

  value(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  number(name: string): number {
    const value = this.value(name);
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrong(name, "a number");
    return value;
  }

  /** A natural number. */
  integer(name: string): number {
    const value = this.number(name);
    if (!Number.isSafeInteger(value) || value < 0) throw this.#wrong(name, "a natural number");
    return value;
  }

  id(name: string): number {
    const value = this.integer(name);
    if (value >= BACKENDS_MAX) throw this.#wrong(name, `below ${BACKENDS_MAX}`);
    return value;
  }

  optionalId(name: string): number | null {
    return this.value(name) === null ? null : this.id(name);
  }

  ids(name: string): readonly number[] {
    return this.list(name, BACKENDS_MAX, (id) => new Fields({ id }, name).id("id"));
  }

  boolean(name: string): boolean {
    const value = this.value(name);
    if (typeof value !== "boolean") throw this.#wrong(name, "true or false");
    return value;
  }

  text(name: string, charactersMax: number): string {
    const value = this.value(name);
    if (typeof value !== "string" || value.length > charactersMax) {
      throw this.#wrong(name, `a text of at most ${charactersMax} characters`);
    }
    return value;
  }

  oneOf<Word extends string>(name: string, words: readonly Word[]): Word {
    const found = words.find((word) => word === this.value(name));
    if (found === undefined) throw this.#wrong(name, `one of ${words.join(", ")}`);
    return found;
  }

  optional<T>(name: string, decode: (value: unknown) => T): T | null {
    const value = this.value(name);
    return value === null ? null : decode(value);
  }

  list<T>(name: string, itemsMax: number, decode: (value: unknown) => T): readonly T[] {
    const value = this.value(name);
    if (!Array.isArray(value) || value.length > itemsMax) {
      throw this.#wrong(name, `a list of at most ${itemsMax}`);
    }
    return value.map(decode);
  }

  #wrong(name: string, expected: string): DecodeError {
    return new DecodeError(`${name} of ${this.#what} must be ${expected}`);
  }
}
