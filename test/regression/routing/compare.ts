/** From what the servers saw to a verdict for each statement: equal, a documented difference, or neither. */
import type { Configuration } from "./configurations.ts";
import { MARK, markOf, textOf, type Protocol, type Unit } from "./corpus.ts";
import type { Difference, Role } from "./differences.ts";
import type { Outcome, Played } from "./replay.ts";
import type { Seen } from "./server-logs.ts";
import type { Lane } from "./stage.ts";

/** Ids of the servers that saw a statement, `0+1`; `none` when it was answered before them. */
export type Place = string;

export interface Ran {
  readonly place: Place;
  readonly outcome: Outcome;
}

/** One statement under one configuration in one protocol. */
export interface Compared {
  readonly configuration: string;
  readonly protocol: Protocol;
  readonly unit: Unit;
  readonly index: number;
  readonly text: string;
  /** Within an explicit transaction of Pgpool-II's session. */
  readonly inTransaction: boolean;
  readonly pgpool2: Ran;
  readonly pgquorum: Ran;
}

/** @returns for each unit and step where it ran. */
export function placesOf(
  lane: Lane,
  played: ReadonlyMap<Unit, readonly Played[]>,
  seen: readonly Seen[],
): (unit: Unit, index: number) => Place {
  const nodes = new Map<string, Set<number>>();
  const note = (mark: string, node: number): void => {
    nodes.set(mark, (nodes.get(mark) ?? new Set()).add(node));
  };
  const units = new Map([...played.keys()].map((unit) => [unit.id, unit]));
  for (const one of seen) {
    if (one.database !== lane.database) continue;
    const mark = MARK.exec(one.parameters)?.[0] ?? MARK.exec(one.text)?.[0];
    if (mark !== undefined) {
      note(mark, one.node);
      continue;
    }
    const unit = units.get(one.application.split(".").at(-1) ?? "");
    if (unit === undefined) continue;
    const index = stepWithoutMark(unit, played.get(unit) ?? [], one);
    if (index !== null) note(markOf(unit, index), one.node);
  }
  return (unit, index) => {
    const found = nodes.get(markOf(unit, index));
    return found === undefined ? "none" : [...found].sort((a, b) => a - b).join("+");
  };
}

/**
 * A bare statement, or what Pgpool-II made of one: it opens the transaction of a standby with a plain
 * BEGIN of its own when the client's asks for what a standby refuses.
 */
function stepWithoutMark(unit: Unit, played: readonly Played[], seen: Seen): number | null {
  const bare = unit.steps.findIndex((step, index) => {
    return step.kind === "statement" && step.isBare && textOf(unit, index) === seen.text;
  });
  if (bare >= 0) return bare;
  if (seen.text !== "BEGIN") return null;
  const index = played.findIndex(
    ({ fromMs, toMs }, at) =>
      /^\s*(?:begin|start)\b/i.test(textOf(unit, at) ?? "") &&
      fromMs - 1 <= seen.atMs &&
      seen.atMs <= toMs + 1,
  );
  return index < 0 ? null : index;
}

/** The primary is node 0, and all standbys are alike. */
export function roleOf(place: Place): Place {
  if (!/\d/.test(place)) return place;
  const nodes = place.split("+");
  const roles = [nodes.includes("0") ? "P" : "", nodes.some((node) => node !== "0") ? "S" : ""];
  return roles.filter((role) => role !== "").join("+");
}

export type Verdict =
  | { readonly kind: "equal" }
  | { readonly kind: "documented"; readonly difference: Difference }
  | { readonly kind: "wrong"; readonly why: string };

export function judge(
  one: Compared,
  configuration: Configuration,
  differences: readonly Difference[],
): Verdict {
  const form = configuration.comparesRoles === true ? roleOf : (place: Place): Place => place;
  const [theirs, ours] = [form(one.pgpool2.place), form(one.pgquorum.place)];
  const isAllPrimary = configuration.readsPrimary?.includes(one.protocol) === true;
  const place = (role: Role): Place => (isAllPrimary && role !== "none" ? "P" : role);
  const expected = differences.find(
    (each) =>
      covers(each, one) &&
      place(each.pgpool2) === roleOf(theirs) &&
      (each.fails !== undefined || place(each.pgpool2) !== place(each.pgquorum)),
  );
  if (expected === undefined) {
    if (theirs !== ours) return { kind: "wrong", why: `Pgpool-II ${theirs}, pgquorum ${ours}` };
    const isWorse = one.pgpool2.outcome === "ok" && one.pgquorum.outcome !== "ok";
    return isWorse ? { kind: "wrong", why: "fails with pgquorum only" } : { kind: "equal" };
  }
  const failsAsExpected = (expected.fails ?? one.pgquorum.outcome) === one.pgquorum.outcome;
  if (roleOf(ours) === place(expected.pgquorum) && failsAsExpected) {
    return { kind: "documented", difference: expected };
  }
  const was = `"${expected.name}" says ${place(expected.pgquorum)}`;
  return { kind: "wrong", why: `Pgpool-II ${theirs}, pgquorum ${ours}, but ${was}` };
}

function covers(each: Difference, one: Compared): boolean {
  const { rules, scripts, statements, configurations, protocols, inTransaction } = each;
  return (
    (rules?.includes(one.unit.rule) ?? true) &&
    (scripts?.test(one.unit.title ?? "") ?? true) &&
    (statements?.test(one.text) ?? true) &&
    (configurations?.includes(one.configuration) ?? true) &&
    (protocols?.includes(one.protocol) ?? true) &&
    (inTransaction ?? one.inTransaction) === one.inTransaction
  );
}
