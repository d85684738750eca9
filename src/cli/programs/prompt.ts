/** The longest password that is read; Pgpool-II's own limit is below it. */
const LINE_CHARACTERS_MAX = 1024;

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const BACKSPACES = new Set(["\u0008", "\u007f"]);

/**
 * Asks for a password on standard error and reads it from standard input, without echo when that
 * is a terminal. Null when the input ends or is broken off.
 */
export async function promptPassword(question: string): Promise<string | null> {
  process.stderr.write(question);
  const { stdin } = process;
  if (!stdin.isTTY) return readLine();
  stdin.setRawMode(true);
  try {
    return await readLine();
  } finally {
    stdin.setRawMode(false);
    process.stderr.write("\n");
  }
}

async function readLine(): Promise<string | null> {
  process.stdin.setEncoding("utf8");
  let line = "";
  for await (const chunk of process.stdin as AsyncIterable<string>) {
    for (const character of chunk) {
      if (character === "\n" || character === "\r") return line;
      if (character === CTRL_C || character === CTRL_D) return null;
      if (BACKSPACES.has(character)) line = line.slice(0, -1);
      else if (line.length < LINE_CHARACTERS_MAX) line += character;
    }
  }
  return line === "" ? null : line;
}
