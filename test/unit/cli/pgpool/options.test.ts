import { describe, expect, it } from "vitest";
import { parsePgpoolOptions, pgpoolUsage } from "../../../../src/cli/pgpool/options.ts";

function parse(line: string): unknown {
  const options = parsePgpoolOptions(line.split(" ").filter(Boolean));
  return options.ok ? options.value : options.error;
}

describe("the arguments of pgpool", () => {
  it("start a node in the background unless told otherwise", () => {
    expect(parse("")).toEqual({
      action: "start",
      configFile: undefined,
      hbaFile: undefined,
      pcpFile: undefined,
      keyFile: undefined,
      stopMode: "smart",
      foreground: false,
      discardStatus: false,
      clearOidMaps: false,
      debug: false,
    });
  });

  it("take every option of Pgpool-II, short and long", () => {
    const expected = {
      action: "start",
      configFile: "/a/pgpool.conf",
      hbaFile: "/a/pool_hba.conf",
      pcpFile: "/a/pcp.conf",
      keyFile: "/a/key",
      foreground: true,
      discardStatus: true,
      clearOidMaps: true,
      debug: true,
    };
    const short = "-f /a/pgpool.conf -a /a/pool_hba.conf -F /a/pcp.conf -k /a/key -nDCdx";
    const long =
      "--config-file=/a/pgpool.conf --hba-file /a/pool_hba.conf --pcp-file=/a/pcp.conf --key-file=/a/key" +
      " --dont-detach --discard-status --clear-oidmaps --debug --debug-assertions";
    expect(parse(short)).toMatchObject(expected);
    expect(parse(long)).toMatchObject(expected);
  });

  it("make paths absolute", () => {
    expect(parse("-f etc/pgpool.conf")).toMatchObject({
      configFile: `${process.cwd()}/etc/pgpool.conf`,
    });
  });

  it.each([
    ["-m fast stop", "stop", "fast"],
    ["stop -m immediate", "stop", "immediate"],
    ["-m s stop", "stop", "smart"],
    ["-m fish stop", "stop", "fast"],
    ["reload", "reload", "smart"],
    ["-h", "help", "smart"],
    ["--version", "version", "smart"],
  ])("mean by %j the action %s", (line, action, stopMode) => {
    expect(parse(line)).toMatchObject({ action, stopMode });
  });

  it.each(["start", "stop now", "-m quick stop", "--foo", "-c", "-f"])(
    "are refused: %j",
    (line) => {
      expect(typeof parse(line)).toBe("string");
    },
  );

  it("are told by the usage text, with the version first", () => {
    expect(pgpoolUsage("pgpool-II version 1").split("\n")[0]).toBe("pgpool-II version 1,");
    for (const option of ["-a", "-f", "-k", "-F", "-h", "-C", "-n", "-x", "-D", "-d", "-m"]) {
      expect(pgpoolUsage("")).toContain(`  ${option}, --`);
    }
  });
});
