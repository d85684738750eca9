/** What the shared file of `counted-failover` says about the runs of failover_command. Pure. */
export interface CommandNote {
  readonly wallMs: number;
  readonly what: string;
  readonly on: string;
  readonly epoch: number;
  readonly event: string;
  /** The server that was lost. */
  readonly failed: number;
  /** The server that takes over. */
  readonly newMain: number;
  readonly pid: number;
  readonly isAlone: boolean;
  /** Of its work, once that is done. */
  readonly exit: number | null;
}

export interface CommandRuns {
  readonly begun: number;
  readonly ended: number;
  /** Runs that began while another one had not ended. */
  readonly concurrent: number;
  /** Epochs in which more than one run began. */
  readonly epochsTwice: number;
  /** Runs that began although the same failover's work had been done. */
  readonly afterDone: number;
  /** Runs beyond the first of their failover: the one before was killed, or has failed. */
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
        failed: Number(fields.get("failed")),
        newMain: Number(fields.get("new_main")),
        pid: Number(fields.get("pid")),
        isAlone: fields.get("alone") !== "no",
        exit: fields.has("exit") ? Number(fields.get("exit")) : null,
      };
    });
}

export function countRuns(notes: readonly CommandNote[]): CommandRuns {
  const named = (what: string): readonly CommandNote[] =>
    notes.filter((note) => note.what === what);
  const begun = named("begin");
  const times = (pick: (note: CommandNote) => string): number[] => {
    const values = begun.map(pick);
    return [...new Set(values)].map((value) => values.filter((one) => one === value).length);
  };
  const events = [...new Set(begun.map(({ event }) => event))];
  const afterDone = events.map((event) => {
    const own = notes.filter((note) => note.event === event);
    const done = own.findIndex(({ what, exit }) => what === "done" && exit === 0);
    return done < 0 ? 0 : own.slice(done).filter(({ what }) => what === "begin").length;
  });
  return {
    begun: begun.length,
    ended: named("end").length,
    concurrent: begun.filter(({ isAlone }) => !isAlone).length,
    // One failover of several servers runs its command for each of them.
    epochsTwice: times(({ epoch, failed }) => `${epoch} ${failed}`).filter((count) => count > 1)
      .length,
    afterDone: afterDone.reduce((sum, count) => sum + count, 0),
    again: begun.length - events.length,
    events,
  };
}
