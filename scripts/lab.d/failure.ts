/** Something that the person at the terminal can act upon: what failed, and what to do. */
export class LabFailure extends Error {
  readonly hint: string | null;
  readonly exitCode: number;

  constructor(message: string, hint: string | null = null, exitCode = 1) {
    super(message);
    this.name = "LabFailure";
    this.hint = hint;
    this.exitCode = exitCode;
  }
}
