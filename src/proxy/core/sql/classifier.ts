import type { SqlClass } from "./class.ts";
export interface ClassifierOptions {
  /** PostgreSQL's raw parser; throws when the grammar refuses the text. */
  readonly parse: (sql: string) => unknown;
  readonly cacheEntriesMax: number;
  /** Longer texts are decided by the lexer alone: a write when it is not sure. */
  readonly parseBytesMax: number;
}
export interface Classifier {
  classify(text: string): SqlClass;
}
export function createClassifier(_options: ClassifierOptions): Classifier {
  throw new Error("not built");
}
