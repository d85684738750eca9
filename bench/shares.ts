/** How the processor time of a product's busiest process is shared out, as perf sees it. Pure. */
import type { ProductName } from "./plan.ts";

export const PARTS = ["kernel", "JavaScript", "program", "libraries"] as const;
export type Part = (typeof PARTS)[number];

/** Of 1 in all. */
export type Shares = Readonly<Record<Part, number>>;

export interface SharesOfCell {
  readonly cell: string;
  readonly product: ProductName;
  readonly shares: Shares;
}

/**
 * @param report of `perf report --sort dso`: lines of "12.34%  libc.so.6".
 * @param program the name of the process's own file.
 * @returns null when nothing was seen.
 */
export function parseShares(report: string, program: string): Shares | null {
  const shares: Record<Part, number> = { kernel: 0, JavaScript: 0, program: 0, libraries: 0 };
  let all = 0;
  for (const [, percent = "", object = ""] of report.matchAll(/^\s*([\d.]+)%\s+(\S.*?)\s*$/gm)) {
    all += Number(percent);
    shares[partOf(object, program)] += Number(percent);
  }
  if (all === 0) return null;
  for (const part of PARTS) shares[part] /= all;
  return shares;
}

function partOf(object: string, program: string): Part {
  if (/^\[(kernel|guest\.kernel|vdso|vsyscall)/.test(object)) return "kernel";
  // What V8 compiles lies in no file.
  if (/^(\[JIT\]|perf-\d+\.map|\/\/anon|anon|\[anon|\[unknown\])/.test(object)) return "JavaScript";
  return object === program ? "program" : "libraries";
}
