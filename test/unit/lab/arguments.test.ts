import { describe, expect, it } from "vitest";
import { parseArguments } from "../../../scripts/lab.d/arguments.ts";

const parse = (line: string) => parseArguments(line.split(" ").filter(Boolean));

describe("the words after scripts/lab", () => {
  it("are help when there are none", () => {
    expect(parse("").command).toEqual({ name: "help" });
  });

  it("make a lab of the size and profile that are asked for", () => {
    expect(parse("up --nodes 5 --profile default").command).toEqual({
      name: "up",
      nodesCount: 5,
      profile: "default",
      settings: [],
      isWithoutNodes: false,
      isDatabaseApart: null,
    });
  });

  it("choose the fence by its parameter, and may put the database apart", () => {
    expect(parse("up --fence none --profile lan --database-apart").command).toMatchObject({
      profile: "lan",
      settings: ["vip_fence = 'none'"],
      isDatabaseApart: true,
    });
  });

  it("freeze and thaw a whole node unless a part is named", () => {
    const all = { name: "kill", host: "n1", part: "all" };
    expect(parse("freeze n1").command).toEqual({ ...all, signal: "STOP" });
    expect(parse("thaw n1").command).toEqual({ ...all, signal: "CONT" });
    expect(parse("freeze n1 watchdog").command).toMatchObject({ part: "watchdog" });
  });

  it("cut both ways from everybody unless a way or a party is named", () => {
    expect(parse("cut n1").command).toEqual({
      name: "cut",
      host: "n1",
      cut: { ways: ["in", "out"], from: "everybody" },
    });
    expect(parse("cut LEADER --one-way in --from peers").command).toEqual({
      name: "cut",
      host: "LEADER",
      cut: { ways: ["in"], from: "peers" },
    });
  });

  it("switch over to a host, or to whom the nodes choose", () => {
    expect(parse("switchover --to n2").command).toEqual({
      name: "switchover",
      to: "n2",
      isDryRun: false,
    });
    expect(parse("switchover --dry-run").command).toMatchObject({ to: null, isDryRun: true });
  });

  it("lose frames, flap links and shift clocks by whole numbers", () => {
    expect(parse("loss n1 30").command).toEqual({ name: "loss", host: "n1", percent: 30 });
    expect(parse("flap n1 --down 200 --times 3").command).toEqual({
      name: "flap",
      host: "n1",
      times: 3,
      downMs: 200,
    });
    expect(parse("start n1 node --clock -3600").command).toMatchObject({
      clockOffsetSeconds: -3600,
    });
  });

  it("add lines to pgpool.conf", () => {
    const { command } = parseArguments(["up", "--set", "max_pool = 8", "--no-nodes"]);
    expect(command).toMatchObject({ settings: ["max_pool = 8"], isWithoutNodes: true });
  });

  it("kill with KILL unless another signal is named, wherever it stands", () => {
    const expected = { name: "kill", host: "LEADER", part: "node", signal: "STOP" };
    expect(parse("kill LEADER node").command).toEqual({ ...expected, signal: "KILL" });
    expect(parse("kill --signal STOP LEADER node").command).toEqual(expected);
    expect(parse("kill LEADER node --signal SIGSTOP").command).toEqual(expected);
  });

  it("pass what belongs to psql and to a host's command on as it is", () => {
    expect(parse("psql --help -c x").command).toEqual({
      name: "psql",
      words: ["--help", "-c", "x"],
    });
    const words = ["ls", "--help", "--"];
    expect(parseArguments(["exec", "n1", "--", ...words]).command).toEqual({
      name: "exec",
      host: "n1",
      words,
    });
  });

  it("may ask for the loopback before or after the command", () => {
    for (const line of ["--loopback demo --json", "demo --json --loopback"]) {
      expect(parse(line)).toEqual({
        isLoopback: true,
        command: { name: "demo", isJson: true, isKept: false },
      });
    }
  });

  it.each([
    ["fly", 'unknown command "fly"'],
    ["up --nodes 99", "--nodes needs a number from 1 to 15"],
    ["up --nodes", "--nodes needs a number"],
    ["up --profile slow", "--profile is lan, fast or default"],
    ["up --fence wall", "--fence is auto, nft, lifetime or none"],
    ["freeze n1 everything", "freeze: needs HOST, and may name one of postgres"],
    ["cut n1 --one-way up", '--one-way is in or out, not "up"'],
    ["cut n1 --from", '--from is peers, postgres or clients, not ""'],
    ["cut n1 n2", 'cut: unknown option "n2"'],
    ["loss n1 101", "PERCENT needs a number from 1 to 100"],
    ["flap n1 --times 0", "--times needs a number from 1 to 100"],
    ["start n1 postgres --clock 5", "--clock is for a node"],
    ["up --fast", 'unknown option "--fast"'],
    ["up --set max_pool", "--set needs 'NAME = VALUE'"],
    ["kill n1 everything", "kill: needs HOST and one of postgres"],
    ["kill n1 node --signal HUP", "--signal is one of KILL"],
    ["start n1 guardian", "start: needs HOST and postgres or node"],
    ["exec n1", "exec: needs HOST -- CMD"],
    ["cut", "cut: needs one HOST"],
    ["down now", 'unknown option "now"'],
    ["status --xml", 'unknown option "--xml"'],
  ])("say what is wrong with `%s`", (line, message) => {
    expect(() => parse(line)).toThrow(message);
  });
});
