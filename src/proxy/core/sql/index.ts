/**
 * Reads the text of a statement once and says what it is. It decides no target (see
 * `../routing`), keeps no session state and never runs anything. PostgreSQL's grammar comes in as
 * a function. Read `class.ts` first, then `classifier.ts`.
 */
export { LEAVES, type SqlClass, type SqlKind } from "./class.ts";
export {
  createClassifier,
  type Classifier,
  type ClassifierOptions,
  type ClassifyBytes,
} from "./classifier.ts";
export { withoutPasswords } from "./passwords.ts";
export { Lexer } from "./lexer.ts";
