/**
 * A password or key that no log, inspection or JSON prints. Read it with `reveal()` at the one
 * place that needs it.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  get isEmpty(): boolean {
    return this.#value === "";
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return this.#value === "" ? "" : "*****";
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}
