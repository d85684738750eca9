import { pbkdf2 } from "node:crypto";
import { rememberSalted, scramHashInput, type ScramHashing } from "../../auth/index.ts";
import type { Secret } from "../../base/index.ts";

const KEY_BYTES = 32;

/** Under way, by salt and number of rounds, with who waits for it. */
const running = new WeakMap<Secret, Map<string, (() => void)[]>>();

/**
 * Hashes a password in another thread, once for all that want the same, so that a server that asks
 * for very many rounds holds nobody up. `done` is called when it is remembered.
 */
export function hashElsewhere(hashing: ScramHashing, done: () => void): void {
  const { password, salt, iterations } = hashing;
  const ofPassword = running.get(password) ?? new Map<string, (() => void)[]>();
  running.set(password, ofPassword);
  const key = `${iterations} ${Buffer.from(salt).toString("base64")}`;
  const waiting = ofPassword.get(key);
  if (waiting !== undefined) {
    waiting.push(done);
    return;
  }
  const all = [done];
  ofPassword.set(key, all);
  pbkdf2(scramHashInput(password), salt, iterations, KEY_BYTES, "sha256", (error, salted) => {
    ofPassword.delete(key);
    if (error !== null) throw error; // Its arguments are in range.
    rememberSalted(hashing, salted);
    for (const one of all) one();
  });
}
