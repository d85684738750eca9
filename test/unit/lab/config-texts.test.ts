import { describe, expect, it } from "vitest";
import { pgHbaConf, pgpoolConf, postgresqlConf } from "../../../scripts/lab.d/config-texts.ts";
import { hostsOf, type LabPlan } from "../../../scripts/lab.d/layout.ts";
import { loadConfig } from "../../../src/config/index.ts";
import { fail, succeed } from "../../../src/base/index.ts";

function planOf(mode: LabPlan["mode"], profile: LabPlan["profile"]): LabPlan {
  const paths = { directory: "/lab", postgresBin: "/usr/bin", repository: "/repository" };
  return { ...paths, mode, profile, nodesCount: 3, isDatabaseApart: false };
}

const secrets = { authkey: "0123456789abcdef", password: "secret" };

function load(mode: LabPlan["mode"], profile: LabPlan["profile"], extra: string[] = []) {
  const plan = planOf(mode, profile);
  const hosts = hostsOf(plan);
  const [, second] = hosts;
  if (second === undefined) throw new Error("three hosts were asked for");
  const text = pgpoolConf(plan, second, hosts, secrets, extra);
  return loadConfig({
    configFile: `${second.etc}/pgpool.conf`,
    readText: (path) =>
      path.endsWith("pgpool.conf")
        ? succeed(text)
        : path.endsWith("pgpool_node_id")
          ? succeed("1\n")
          : fail("No such file or directory"),
  });
}

describe("the lab's pgpool.conf", () => {
  it.each([
    ["namespaces", "fast"],
    ["namespaces", "default"],
    ["loopback", "fast"],
  ] as const)("loads without an error (%s, %s)", (mode, profile) => {
    const { config, findings } = load(mode, profile);
    expect(findings.filter((finding) => finding.level === "error")).toEqual([]);
    expect(config?.backends.map((backend) => backend.applicationName)).toEqual(["n1", "n2", "n3"]);
    expect(config?.nodes).toHaveLength(3);
    expect(config?.nodeId).toBe(1);
  });

  it("gives every placeholder to the failover script", () => {
    const { config } = load("namespaces", "fast");
    expect(config?.failover_command).toBe(
      '/repository/scripts/failover.sh %d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S',
    );
  });

  it("has a virtual IP only where hosts are namespaces", () => {
    expect(load("namespaces", "fast").config?.delegate_ip).toBe("10.77.0.100");
    expect(load("loopback", "fast").config?.delegate_ip).toBe("");
  });

  it("ends with the lines that `up --set` adds, which win", () => {
    expect(load("namespaces", "fast", ["num_init_children = 9"]).config?.num_init_children).toBe(9);
  });
});

describe("the lab's PostgreSQL", () => {
  it("waits for the next in line for promotion", () => {
    const hosts = hostsOf(planOf("namespaces", "fast"));
    const text = hosts.map((host) => postgresqlConf(host, hosts));
    expect(text[0]).toContain("synchronous_standby_names = 'FIRST 1 (n1, n2, n3)'");
    expect(text[1]).toContain("cluster_name = 'n2'");
  });

  it("trusts nobody who comes over the loopback", () => {
    const overNetwork = (mode: LabPlan["mode"]) =>
      pgHbaConf(planOf(mode, "fast"))
        .split("\n")
        .filter((line) => line.startsWith("host") && line.includes("trust"));
    expect(overNetwork("loopback")).toEqual([]);
    expect(overNetwork("namespaces").every((line) => line.includes("10.77.0.0/24"))).toBe(true);
  });
});
