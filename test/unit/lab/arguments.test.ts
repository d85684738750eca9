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
    ["up --profile slow", "--profile is fast or default"],
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
