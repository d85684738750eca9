import { parseArgs } from "node:util";
import { fail, succeed, type Result } from "../../base/index.ts";

export interface Flag {
  readonly type: "boolean" | "string";
  readonly short: string;
}

export interface Arguments {
  /** By long name. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
}

/**
 * Reads arguments as GNU getopt_long does: grouped short options, `-pVALUE`, `--port=VALUE`,
 * unambiguous abbreviations of long names, options behind positional words, `--` as an end.
 *
 * Errors: getopt's own words, without the program's name before them.
 */
export function readArguments(
  argv: readonly string[],
  flags: Readonly<Record<string, Flag>>,
): Result<Arguments, string> {
  const args = argv.map((word) => expand(word, Object.keys(flags)));
  const names = new Map(Object.entries(flags).map(([name, flag]) => [flag.short, name]));
  const parsed = parseArgs({ args, options: flags, strict: false, tokens: true });
  for (const token of parsed.tokens) {
    if (token.kind !== "option") continue;
    const isLong = token.rawName.startsWith("--");
    const flag = flags[isLong ? token.name : (names.get(token.name) ?? token.name)];
    if (flag === undefined) {
      return fail(
        isLong ? `unrecognized option '${token.rawName}'` : `invalid option -- '${token.name}'`,
      );
    }
    if (flag.type === "string" && token.value === undefined) {
      return fail(
        isLong
          ? `option '${token.rawName}' requires an argument`
          : `option requires an argument -- '${flag.short}'`,
      );
    }
    if (flag.type === "boolean" && token.value !== undefined) {
      return fail(`option '${token.rawName}' doesn't allow an argument`);
    }
  }
  return succeed({ values: parsed.values, positionals: parsed.positionals });
}

/** `--verb` becomes `--verbose` when no other option begins so. */
function expand(word: string, names: readonly string[]): string {
  const match = /^--([a-z-]+)(=.*)?$/s.exec(word);
  const prefix = match?.[1];
  if (prefix === undefined || names.includes(prefix)) return word;
  const fitting = names.filter((name) => name.startsWith(prefix));
  return fitting.length === 1 ? `--${fitting[0]}${match?.[2] ?? ""}` : word;
}
