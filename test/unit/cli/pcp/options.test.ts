import { describe, expect, it } from "vitest";
import { parseOptions } from "../../../../src/cli/pcp/options.ts";
import { PCP_TOOLS, usage, type PcpTool } from "../../../../src/cli/pcp/tools.ts";

function tool(name: string): PcpTool {
  const found = PCP_TOOLS.find((known) => known.name === name);
  if (found === undefined) throw new Error(`no tool ${name}`);
  return found;
}

function request(name: string, ...args: readonly string[]): unknown {
  const options = parseOptions(tool(name), args);
  return options.ok ? tool(name).request(options.value) : options.error;
}

describe("the arguments of a pcp_* program", () => {
  it("are read in every form that getopt takes", () => {
    const expected = {
      host: "db",
      port: 9899,
      user: "pcp",
      password: "file-only",
      verbose: true,
      id: 1,
    };
    for (const line of [
      "-h db -p 9899 -U pcp -w -v -n 1",
      "-hdb -p9899 -Upcp -wvn1",
      "1 --host=db --port 9899 --username=pcp --no-password --verbose",
      "--ho db --po=9899 --user pcp --no-p --verb --node=1",
    ]) {
      const options = parseOptions(tool("pcp_detach_node"), line.split(" "));
      expect(options).toMatchObject({ ok: true, value: expected });
    }
  });

  it("have Pgpool-II's defaults", () => {
    expect(parseOptions(tool("pcp_node_info"), [])).toMatchObject({
      ok: true,
      value: { host: "", port: 9898, password: "file-then-prompt", id: null, verbose: false },
    });
  });

  it("become the request", () => {
    expect(request("pcp_node_info")).toEqual({ type: "node-info", backendId: -1 });
    expect(request("pcp_node_info", "0")).toEqual({ type: "node-info", backendId: 0 });
    expect(request("pcp_node_info", "-a", "-n", "0")).toEqual({ type: "node-info", backendId: -1 });
    expect(request("pcp_watchdog_info", "2")).toEqual({ type: "watchdog-info", nodeId: 2 });
    expect(request("pcp_promote_node", "-s", "-g", "1")).toEqual({
      type: "promote",
      backendId: 1,
      graceful: true,
      switchover: true,
    });
    expect(request("pcp_stop_pgpool", "-m", "i", "-s", "c")).toEqual({
      type: "stop",
      mode: "immediate",
      scope: "cluster",
    });
    expect(request("pcp_reload_config")).toEqual({ type: "reload", scope: "local" });
  });

  it.each([
    ["pcp_attach_node", "", 'pcp_attach_node: missing node-id\nTry "pcp_attach_node --help"', 1],
    ["pcp_attach_node", "-n abc", 'invalid node-id "abc"', 1],
    ["pcp_attach_node", "1x", 'invalid node-id "1x"', 1],
    ["pcp_node_info", "--foo", "pcp_node_info: unrecognized option '--foo'", 1],
    ["pcp_node_info", "-g", "invalid option -- 'g'", 1],
    ["pcp_node_info", "-p", "option requires an argument -- 'p'", 1],
    ["pcp_node_info", "--port", "option '--port' requires an argument", 1],
    ["pcp_node_info", "--all=yes", "option '--all' doesn't allow an argument", 1],
    ["pcp_stop_pgpool", "-m q", 'Invalid shutdown mode "q", must be either', 1],
    ["pcp_stop_pgpool", "-s q", 'Invalid command scope "q", must be either', 1],
    ["pcp_node_info", "-p 1", 'Invalid port number "1", must be between 1024 and 65535', 0],
    ["pcp_node_info", "-p 65536", 'Invalid port number "65536"', 0],
  ])("of %s refuse %j", (name, line, text, exitCode) => {
    const options = parseOptions(tool(name), line.split(" ").filter(Boolean));
    expect(options).toMatchObject({
      ok: false,
      error: { text: expect.stringContaining(text) as string, exitCode },
    });
  });

  it("that are too many are warned of and ignored", () => {
    const warnings = ["1", "2"].map(
      (word) => `pcp_node_info: Warning: extra command-line argument "${word}" ignored`,
    );
    expect(parseOptions(tool("pcp_node_info"), ["0", "1", "2"])).toMatchObject({
      ok: true,
      value: { id: 0, warnings },
    });
    expect(parseOptions(tool("pcp_node_info"), ["-n", "0", "1", "2"])).toMatchObject({
      ok: true,
      value: { id: 0, warnings },
    });
  });
});

describe("the usage text", () => {
  it.each(PCP_TOOLS.map((known) => [known.name, known] as const))(
    "of %s names its options",
    (name, known) => {
      const text = usage(known);
      expect(text).toContain(`${name} - `);
      expect(/-[nP], --/.test(text)).toBe(known.idFlag !== null);
      for (const option of known.options)
        if (option !== "id") expect(text).toContain(`--${option}`);
    },
  );
});
