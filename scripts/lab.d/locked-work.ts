import { takeLock } from "./lab-directory.ts";
import type { LabMode } from "./layout.ts";
import { endInterruption, interrupt } from "./shell.ts";

/** Does the work while no other command makes or removes a lab. */
export async function locked<T>(mode: LabMode, work: () => Promise<T>): Promise<T> {
  const release = takeLock(mode);
  process.on("exit", release);
  try {
    return await work();
  } finally {
    process.off("exit", release); // By then the lock may be somebody else's.
    release();
  }
}

/** Does the work; when it fails or Ctrl-C is pressed, cleans up before the failure is told. */
export async function undoing<T>(work: () => Promise<T>, cleanUp: () => Promise<void>): Promise<T> {
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  try {
    return await work();
  } catch (error) {
    endInterruption();
    await cleanUp();
    throw error;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}
