/** What the shared file of `counted-failover` says about the runs of failover_command. Pure. */
export interface CommandNote {
  readonly wallMs: number;
  readonly what: string;
  readonly on: string;
  readonly epoch: number;
  readonly event: string;
  readonly pid: number;
  readonly isAlone: boolean;
}

export interface CommandRuns {
  readonly begun: number;
  readonly ended: number;
  /** Runs that began while another one had not ended. */
  readonly concurrent: number;
  /** The most runs of one epoch that did their work. */
  readonly doneOfOneEpochMax: number;
  /** Runs that began again in an epoch whose earlier run was killed before its work was done. */
  readonly again: number;
  readonly events: readonly string[];
}

export function parseCommandNotes(text: string): CommandNote[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [wallMs = "", what = "", ...rest] = line.split(" ");
      const fields = new Map(rest.map((word) => word.split("=", 2) as [string, string]));
      return {
        wallMs: Number(wallMs),
        what,
        on: fields.get("on") ?? "",
        epoch: Number(fields.get("epoch")),
        event: fields.get("event") ?? "",
        pid: Number(fields.get("pid")),
        isAlone: fields.get("alone") !== "no",
      };
    });
}

export function countRuns(notes: readonly CommandNote[]): CommandRuns {
  const named = (what: string): readonly CommandNote[] =>
    notes.filter((note) => note.what === what);
  const begun = named("begin");
  const perEpoch = (some: readonly CommandNote[]): number[] =>
    [...new Set(some.map(({ epoch }) => epoch))].map(
      (epoch) => some.filter((note) => note.epoch === epoch).length,
    );
  return {
    begun: begun.length,
    ended: named("end").length,
    concurrent: begun.filter(({ isAlone }) => !isAlone).length,
    doneOfOneEpochMax: Math.max(0, ...perEpoch(named("done"))),
    again: perEpoch(begun).reduce((sum, count) => sum + count - 1, 0),
    events: [...new Set(begun.map(({ event }) => event))],
  };
}
