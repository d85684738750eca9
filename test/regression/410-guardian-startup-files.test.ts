/** The guardian is a shell, and nothing that a user's shells do at their start may hold it up. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startGuardian, type Guardian } from "../../src/vip/driver/guardian.ts";
import type { Log } from "../../src/os/index.ts";

const SILENT: Log = { write: () => undefined } as unknown as Log;
let home = "";
let guardian: Guardian | null = null;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "pgquorum-home-"));
});
afterEach(() => {
  guardian?.stop();
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

it.each([
  // As under a service manager, with a socket as its standard input.
  [".bashrc", { SHLVL: undefined, BASH_ENV: undefined }],
  ["env", { SHLVL: "2", BASH_ENV: "env" }],
] as const)("reads no %s", async (name, { SHLVL, BASH_ENV }) => {
  writeFileSync(join(home, name), `touch ${join(home, "was-read")}\n`);
  vi.stubEnv("HOME", home);
  vi.stubEnv("SHLVL", SHLVL);
  vi.stubEnv("BASH_ENV", BASH_ENV === undefined ? undefined : join(home, BASH_ENV));
  guardian = startGuardian({
    vip: "203.0.113.1",
    peers: [],
    downCommand: [],
    ungateText: "",
    log: SILENT,
    onPid: () => undefined,
  });
  const place = { device: "lo", prefixLength: 32 };
  expect(await guardian.arm({ secret: "x", place, closePort: null })).toBe(true);
  guardian.disarm();
  expect(existsSync(join(home, "was-read"))).toBe(false);
});
