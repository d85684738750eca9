import type { Result } from "../base/index.ts";
import type { AuthFinding, HbaRule } from "./types.ts";
export function parseHba(
  _text: string,
  _options: {
    readonly file?: string;
    readonly readFile?: (name: string) => Result<string, string>;
  } = {},
): { readonly rules: readonly HbaRule[]; readonly findings: readonly AuthFinding[] } {
  throw new Error("not built");
}
