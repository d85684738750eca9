/** The table that the suite prints: drivers × features, one letter or count a cell. */
import type { Feature } from "./features.ts";

export interface Cell {
  readonly driver: string;
  readonly feature: Feature;
  /** Programs that showed it, at all places of the table, and those of them that differed. */
  readonly runs: number;
  readonly differing: number;
  readonly isSupported: boolean;
}

/** Drivers across, features down: `ok`, `-` where the driver has nothing of the kind, else how many differ. */
export function formatMatrix(
  title: string,
  drivers: readonly string[],
  cells: readonly Cell[],
): string {
  const features = [...new Set(cells.map((cell) => cell.feature))];
  const width = Math.max(...features.map((feature) => feature.length), title.length);
  const head = [title.padEnd(width), ...drivers].join("  ");
  const lines = features.map((feature) => {
    const words = drivers.map((driver) => {
      const cell = cells.find((one) => one.driver === driver && one.feature === feature);
      return word(cell).padEnd(driver.length);
    });
    return [feature.padEnd(width), ...words].join("  ").trimEnd();
  });
  return [head, ...lines].join("\n");
}

function word(cell: Cell | undefined): string {
  if (cell === undefined) return "";
  if (!cell.isSupported) return "-";
  return cell.differing === 0 ? "ok" : `${cell.differing}/${cell.runs}!`;
}

export function formatTotals(cells: readonly Cell[]): string {
  const same = cells.filter((cell) => cell.isSupported && cell.differing === 0).length;
  const differing = cells.filter((cell) => cell.differing > 0).length;
  const none = cells.filter((cell) => !cell.isSupported).length;
  return `${same} ok, ${differing} differ, ${none} not supported by the driver`;
}
