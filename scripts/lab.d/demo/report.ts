/** The figures of the demonstration, what was promised of them, and how a person reads them. */
import { formatTable } from "../table.ts";

export interface DemoFigures {
  /** As each server counted them itself, before anything was killed. */
  readonly readsPerBackend: Readonly<Record<string, number>>;
  readonly primaryFailover: {
    readonly killed: string;
    readonly promoted: string | null;
    /** Every host that led between the kill and the first write; one, unless they changed. */
    readonly leaders: readonly string[];
    /** From the kill to the first acknowledged write. */
    readonly killToFirstWriteMs: number | null;
    readonly commandRuns: number;
    readonly commandRanOn: readonly string[];
  };
  readonly leaderFailover: {
    readonly killed: string;
    /** Null where there is no VIP. */
    readonly vipHolder: string | null | readonly string[];
    readonly newLeader: string | null;
    /** From the kill until another kernel had the address. */
    readonly vipMovedMs: number | null;
    /** The longest time in which no client got an answer from the VIP. */
    readonly vipGapMs: number | null;
    /** The most hosts that had the address at one look. */
    readonly holdersMax: number;
    readonly killToFirstWriteMs: number | null;
    readonly commandRuns: number;
  };
  readonly writes: {
    readonly clients: number;
    readonly acknowledged: number;
    readonly lost: number;
    /** Not acknowledged, so nobody may rely on them; stored or not. */
    readonly unacknowledged: number;
  };
  readonly reads: { readonly count: number; readonly wrong: number };
  readonly seconds: number;
}

export interface DemoPromise {
  readonly promise: string;
  readonly ok: boolean;
  readonly found: string;
}

/** With the fast profile the VIP is on another host before this. */
export const VIP_MOVES_WITHIN_MS = 2_000;
const WRITERS_MIN = 4;

/** @param hasVip false on the loopback, where no address moves. */
export function judge(figures: DemoFigures, hasVip = true): DemoPromise[] {
  const { primaryFailover: primary, leaderFailover: leader, writes, reads } = figures;
  const silent = Object.entries(figures.readsPerBackend).filter(([, count]) => count === 0);
  const vip = leader.vipHolder;
  return [
    {
      promise: "reads are spread over every backend",
      ok: silent.length === 0 && Object.keys(figures.readsPerBackend).length > 1,
      found: Object.entries(figures.readsPerBackend)
        .map(([host, count]) => `${host} ${count}`)
        .join(", "),
    },
    {
      promise: "a standby replaces the dead primary, and writes go on",
      ok:
        primary.promoted !== null &&
        primary.promoted !== primary.killed &&
        primary.killToFirstWriteMs !== null,
      found: `${primary.promoted ?? "nobody"} after ${milliseconds(primary.killToFirstWriteMs)}`,
    },
    {
      promise: "exactly one failover_command ran, on the leader",
      ok:
        primary.commandRuns === 1 &&
        primary.commandRanOn.every((host) => primary.leaders.includes(host)),
      found: `${primary.commandRuns} on ${primary.commandRanOn.join(", ") || "no host"}, leader ${primary.leaders.join(", then ")}`,
    },
    ...(hasVip
      ? [
          {
            promise: "exactly one other host holds the VIP after the leader's death",
            ok: typeof vip === "string" && vip !== leader.killed && leader.holdersMax === 1,
            found: `${typeof vip === "string" ? vip : (vip?.join(" and ") ?? "nobody")}, at most ${leader.holdersMax} at once`,
          },
          {
            promise: `the VIP moves within ${VIP_MOVES_WITHIN_MS / 1000} s`,
            ok: leader.vipMovedMs !== null && leader.vipMovedMs <= VIP_MOVES_WITHIN_MS,
            found: milliseconds(leader.vipMovedMs),
          },
        ]
      : []),
    {
      promise: "writes go on after the leader's death, without another failover_command",
      ok: leader.killToFirstWriteMs !== null && leader.commandRuns === 0,
      found: `after ${milliseconds(leader.killToFirstWriteMs)}, ${leader.commandRuns} runs`,
    },
    {
      promise: "no acknowledged row is lost",
      ok: writes.lost === 0 && writes.acknowledged > 0 && writes.clients >= WRITERS_MIN,
      found: `${writes.lost} of ${writes.acknowledged} by ${writes.clients} clients`,
    },
    {
      promise: "no read gives a wrong value",
      ok: reads.wrong === 0 && reads.count > 0,
      found: `${reads.wrong} of ${reads.count}`,
    },
  ];
}

export function formatReport(figures: DemoFigures, promises: readonly DemoPromise[]): string {
  const { primaryFailover: primary, leaderFailover: leader, writes } = figures;
  const rows = [
    ...Object.entries(figures.readsPerBackend).map(([host, count]) => [
      `reads served by ${host}`,
      String(count),
    ]),
    [
      `primary ${primary.killed} killed: first write after`,
      milliseconds(primary.killToFirstWriteMs),
    ],
    ["failover_command runs", String(primary.commandRuns)],
    ...(leader.holdersMax === 0
      ? []
      : [
          [`leader ${leader.killed} killed: VIP moved after`, milliseconds(leader.vipMovedMs)],
          ["VIP gap seen by clients", milliseconds(leader.vipGapMs)],
        ]),
    [`leader ${leader.killed} killed: first write after`, milliseconds(leader.killToFirstWriteMs)],
    ["acknowledged rows", String(writes.acknowledged)],
    ["acknowledged rows lost", String(writes.lost)],
    ["the whole story took", `${figures.seconds.toFixed(1)} s`],
  ];
  const judged = promises.map(({ ok, promise, found }) => [ok ? "held" : "BROKEN", promise, found]);
  return [
    formatTable(["figure", "value"], rows),
    "",
    formatTable(["", "promise", "found"], judged),
  ].join("\n");
}

function milliseconds(value: number | null): string {
  return value === null ? "-" : `${Math.round(value)} ms`;
}

/** Lines of the history that failover.sh writes, as the host that ran it and what came of it. */
export function parseHistory(text: string): { on: string; failed: number; result: string }[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => ({
      on: field(line, "on"),
      failed: Number(field(line, "failed")),
      result: field(line, "result"),
    }));
}

function field(line: string, name: string): string {
  const word = line.split(" ").find((each) => each.startsWith(`${name}=`));
  return word?.slice(name.length + 1) ?? "";
}
