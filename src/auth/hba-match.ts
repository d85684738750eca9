import type { HbaClient, HbaRule } from "./types.ts";
export function matchHba(_rules: readonly HbaRule[], _client: HbaClient): HbaRule | null {
  throw new Error("not built");
}
