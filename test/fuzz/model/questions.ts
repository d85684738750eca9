/** What a session asks a server, unseen by its client, to find out what it has left there. */

/** See `probeQuery`; the texts of the model's clients begin with small letters. */
export function isQuestion(text: string): boolean {
  return text.startsWith("SELECT '");
}

/**
 * Bodies of DataRow messages. Of what a model keeps, only statements that PREPARE made are asked for.
 *
 * @param prepared their names and texts.
 */
export function answerTo(question: string, prepared: ReadonlyMap<string, string>): string[] {
  if (!question.includes("pg_prepared_statements")) return [];
  return [...prepared].map(([name, text]) =>
    rowOf(["p", hex(name), hex(`prepare ${name} as ${text}`)]),
  );
}

function hex(text: string): string {
  return Buffer.from(text).toString("hex");
}

/** Of texts that are short. */
function rowOf(values: readonly string[]): string {
  const parts = values.map((value) => `\0\0\0${String.fromCodePoint(value.length)}${value}`);
  return `\0${String.fromCodePoint(values.length)}${parts.join("")}`;
}
