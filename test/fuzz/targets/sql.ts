/** Texts of statements, as a client may send them: they get a class, quickly, whatever they are. */
import { loadModule, parseSync } from "libpg-query";
import { assert } from "../../../src/base/index.ts";
import { createClassifier, LEAVES, type SqlClass } from "../../../src/proxy/core/sql/index.ts";
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
/** Remembers nothing: what it says is of the very text. */
const forgetful = createClassifier({
  parse: parseSync,
  cacheEntriesMax: 1,
  cacheBytesMax: 1,
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
  "select set_config('a.b', 'c', true)",
  "set session authorization x",
  "set role 'x'",
  "set time zone default",
  "declare c cursor for ",
  "select pg_advisory_unlock_all()",
  "unlisten *",
  "into temp x ",
  "discard temp",
  " 17 ",
  "\u00a0",
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
      const first = classifier.classifyBytes(bytes, 0, bytes.length);
      const again = classifier.classifyBytes(bytes, 0, bytes.length);
      assert(first === again || first.kind === again.kind, "a text keeps its class");
      assert(first.destination === again.destination, "a text keeps its destination");
      assert(classifier.parserFault === null, `the parser is sound: ${classifier.parserFault}`);
      const own = forgetful.classifyBytes(bytes, 0, bytes.length);
      // What the grammar refuses may depend on a literal.
      const isComparable = first.kind !== "unparsable" && own.kind !== "unparsable";
      if (isComparable && !bytes.includes(0)) assertAlike(first, own);
      features.see(hash(first.kind), hash(first.destination), hash(first.decidedBy));
      features.see(first.leaves, first.clears, first.settingNames?.length ?? 9);
    }
  },
};

/** A class that is kept for all texts of one template is right for each of them. */
function assertAlike(kept: SqlClass, own: SqlClass): void {
  assert(kept.kind === own.kind, `kind ${kept.kind} and ${own.kind}`);
  assert(kept.destination === own.destination, "the same destination");
  assert(kept.multi === own.multi, "as many statements");
  // The word "temp" in a literal is suspicious, but no reason.
  const differing = (kept.leaves ^ own.leaves) & ~LEAVES.temporary;
  assert(differing === 0, `leaves ${kept.leaves} and ${own.leaves}`);
  assert(kept.clears === own.clears, `clears ${kept.clears} and ${own.clears}`);
  const [names, ownNames] = [kept, own].map((one) => JSON.stringify(one.settingNames));
  assert(names === ownNames, `settings ${names} and ${ownNames}`);
}

function hash(text: string): number {
  let mixed = 7;
  for (let i = 0; i < text.length; i += 1) mixed = Math.imul(mixed, 31) + text.charCodeAt(i);
  return mixed;
}
