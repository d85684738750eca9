/** How the system shares its processors: who must notice trouble goes before those who serve. */
import { getPriority, setPriority } from "node:os";

/** Of this process before it was raised; null while it is as it was started. */
let usual: number | null = null;

/**
 * Raises the priority of this process. What it starts from then on is to get the usual one back.
 *
 * @returns whether it may; without CAP_SYS_NICE all goes on as it was.
 */
export function raisePriority(niceness: number): boolean {
  try {
    const before = getPriority();
    if (niceness >= before) return true;
    setPriority(niceness);
    usual = before;
    return true;
  } catch {
    return false;
  }
}

/** Gives a child that was just started, before it has threads or children, the usual priority. */
export function leaveUnraised(child: { readonly pid?: number | undefined }): void {
  if (usual === null || child.pid === undefined) return;
  try {
    setPriority(child.pid, usual);
  } catch {
    // It has ended already.
  }
}
