/** Texts of statements, as a client may send them: they get a class, quickly, whatever they are. */
import { loadModule, parseSync } from "libpg-query";
import { assert } from "../../../src/base/index.ts";
import { createClassifier } from "../../../src/proxy/core/sql/index.ts";
import type { Random } from "../../sim/random.ts";
import { step, type Step } from "../script.ts";
import type { Target } from "../target.ts";

await loadModule();
const classifier = createClassifier({
  parse: parseSync,
  cacheEntriesMax: 50,
  cacheBytesMax: 10_000,
  parseBytesMax: 2000,
});

const PIECES = [
  "select ",
  "a",
  " from t",
  " where b = ",
  "'x'",
  "E'\\''",
  "$1",
  "$$x$$",
  "$q$ ' $q$",
  "1.5e3",
  "(",
  ")",
  "/* ",
  " */",
  "-- x\n",
  "/*+ hint */",
  ";",
  " insert into t values (1)",
  "with q as (",
  "update t set a = 1",
  " for update",
  "begin",
  "commit",
  "rollback to s",
  "savepoint s",
  "set a.b = 'c'",
  "reset all",
  "discard all",
  "prepare p as ",
  "execute p",
  "deallocate p",
  "deallocate all",
  "listen c",
  "copy t from stdin",
  "create temp table x ()",
  "declare c cursor with hold for ",
  "select pg_advisory_lock(1)",
  "show pool_nodes",
  "pgpool show x",
  "explain analyze ",
  '"q""q"',
  "U&'\\0041'",
  "\u00e9",
  "\0",
  "''''",
  "[",
  "]",
  ",",
  " in ",
  "lock table t",
  "call f()",
  "do $$ begin end $$",
  "select nextval('s')",
  "select set_config('a','b',false)",
];

export const sql: Target = {
  name: "sql",
  about: "texts of statements",
  mutatesBytes: true,

  generate(random: Random): Step[] {
    const count = 1 + random.below(random.chance(0.02) ? 600 : 9);
    const repeated = random.chance(0.02) ? random.pick(PIECES) : null;
    const pieces = Array.from({ length: count }, () => repeated ?? random.pick(PIECES));
    return [step("text", Buffer.from(pieces.join(""), "utf8"))];
  },

  run(steps, features) {
    for (const { bytes } of steps) {
      const text = bytes.toString("utf8");
      const first = classifier.classify(text);
      const again = classifier.classify(text);
      assert(first.kind === again.kind, "a text keeps its class");
      assert(first.destination === again.destination, "a text keeps its destination");
      assert(classifier.parserFault === null, `the parser is sound: ${classifier.parserFault}`);
      features.see(hash(first.kind), hash(first.destination), hash(first.decidedBy));
    }
  },
};

function hash(text: string): number {
  let mixed = 7;
  for (let i = 0; i < text.length; i += 1) mixed = Math.imul(mixed, 31) + text.charCodeAt(i);
  return mixed;
}
