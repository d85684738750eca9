/** What the suite prints: a table of the rules, and each difference that nobody expects. */
import type { Compared, Verdict } from "./compare.ts";
import type { Difference } from "./differences.ts";

export interface Judged {
  readonly compared: Compared;
  readonly verdict: Verdict;
}

interface Count {
  readonly rule: string;
  compared: number;
  equal: number;
  documented: number;
  wrong: number;
}

export function formatTable(all: readonly Judged[]): string {
  const counts = new Map<string, Count>();
  const total: Count = { rule: "all", compared: 0, equal: 0, documented: 0, wrong: 0 };
  for (const { compared, verdict } of all) {
    const { rule } = compared.unit;
    const own = counts.get(rule) ?? { rule, compared: 0, equal: 0, documented: 0, wrong: 0 };
    counts.set(rule, own);
    for (const count of [own, total]) {
      count.compared += 1;
      count[verdict.kind] += 1;
    }
  }
  const rows = [...counts.values(), total];
  const width = Math.max(...rows.map(({ rule }) => rule.length), "rule".length);
  const heads = ["compared", "equal", "documented", "wrong"];
  const lines = rows.map((count) => {
    const numbers = [count.compared, count.equal, count.documented, count.wrong];
    const cells = numbers.map((number, at) => String(number).padStart(heads[at]?.length ?? 0));
    return [count.rule.padEnd(width), ...cells].join("  ");
  });
  return [["rule".padEnd(width), ...heads].join("  "), ...lines].join("\n");
}

/** Each wrong statement once, with the configurations and protocols in which it is. */
export function formatWrong(all: readonly Judged[]): string {
  const groups = new Map<string, { where: string[]; judged: Judged }>();
  for (const judged of all) {
    const { compared, verdict } = judged;
    if (verdict.kind !== "wrong") continue;
    const key = `${compared.unit.id}.${compared.index}.${verdict.why}`;
    const group = groups.get(key) ?? { where: [], judged };
    groups.set(key, group);
    group.where.push(`${compared.configuration} ${compared.protocol}`);
  }
  const blocks = [...groups.values()].map(({ where, judged: { compared, verdict } }) => {
    const { unit, index, text } = compared;
    const place = unit.title === null ? unit.rule : `${unit.rule}, "${unit.title}" ${index + 1}`;
    const why = verdict.kind === "wrong" ? verdict.why : "";
    const ends = `${compared.pgpool2.outcome}/${compared.pgquorum.outcome}`;
    return `WRONG ${place}: ${JSON.stringify(text.slice(0, 200))}\n      ${why} (${ends}) [${where.join(", ")}]`;
  });
  return blocks.join("\n");
}

/** Documented differences that nothing showed. */
export function vanished(
  all: readonly Judged[],
  differences: readonly Difference[],
): readonly Difference[] {
  const shown = new Set(
    all.flatMap(({ verdict }) => (verdict.kind === "documented" ? [verdict.difference] : [])),
  );
  return differences.filter((one) => !shown.has(one));
}

/** One line for each statement, for `--log`. */
export function formatLog(all: readonly Judged[]): string {
  const lines = all.map(({ compared, verdict }) => {
    const { configuration, protocol, unit, index, text, pgpool2, pgquorum } = compared;
    const ran = [pgpool2, pgquorum].map(({ place, outcome }) => `${place} ${outcome}`);
    const state = compared.inTransaction ? "in transaction" : "";
    const cells = [verdict.kind, configuration, protocol, unit.rule, unit.title ?? "", index + 1];
    return [...cells, ...ran, state, JSON.stringify(text)].join("\t");
  });
  return `${lines.join("\n")}\n`;
}
