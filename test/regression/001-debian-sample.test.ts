import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fail, succeed } from "../../src/base/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import type { LoadedConfig, ReadText } from "../../src/config/index.ts";

/** What Debian's package of Pgpool-II 4.3.5 installs. */
const SAMPLES = [
  "/etc/pgpool2/pgpool.conf",
  "/usr/share/pgpool2/pgpool.conf",
  "/usr/share/doc/pgpool2/examples/pgpool.conf.sample",
];

const readText: ReadText = (path) => {
  if (!existsSync(path)) return fail("no such file");
  return succeed(readFileSync(path, "utf8"));
};

function worse(loaded: LoadedConfig): readonly string[] {
  return loaded.findings.filter(({ level }) => level !== "notice").map(({ message }) => message);
}

test("the pgpool2 package is installed, so that the samples below are really read", () => {
  expect(SAMPLES.filter((path) => existsSync(path))).toContain("/usr/share/pgpool2/pgpool.conf");
});

test.each(SAMPLES.filter((path) => existsSync(path)))("%s loads without complaint", (path) => {
  const loaded = loadConfig({ configFile: path, readText });
  expect(worse(loaded)).toEqual(["no PostgreSQL server is configured"]);
  expect(loaded.config?.backend_clustering_mode).toBe("streaming_replication");
});

test.each(SAMPLES.filter((path) => existsSync(path)))(
  "%s with every commented line taken in names only what has a newer name",
  (path) => {
    const text = readFileSync(path, "utf8").replaceAll(/^#(?=[a-zA-Z_0-9]+ *=)/gm, "");
    const loaded = loadConfig({
      configFile: path,
      readText: (asked) => (asked === path ? succeed(text) : fail("no such file")),
    });
    expect(worse(loaded).toSorted()).toEqual([
      '"delegate_IP" is an older name and is taken as "delegate_ip"',
      '"logdir" is an older name and is taken as "work_dir"',
      '"socket_dir" is an older name and is taken as "unix_socket_directories"',
    ]);
    expect(loaded.config?.backends.map(({ hostname }) => hostname)).toEqual(["host1", "host2"]);
    expect(loaded.config?.set.size).toBeGreaterThan(180);
  },
);

test("three mistakes in a copy are all named", () => {
  const sample = readFileSync("/usr/share/pgpool2/pgpool.conf", "utf8");
  const wrong = "max_pools = 3\nport = 99999\nuse_watchdog = perhaps\n";
  const { config, findings } = loadConfig({
    configFile: "/tmp/pgpool.conf",
    readText: (path) => (path === "/tmp/pgpool.conf" ? succeed(sample + wrong) : fail("no")),
  });
  const messages = findings.map(({ message }) => message);
  expect(config).toBeNull();
  expect(messages).toContain('unknown parameter "max_pools" is ignored');
  expect(messages).toContain('invalid value "99999" for "port"');
  expect(messages).toContain('invalid value "perhaps" for "use_watchdog"');
});
