import { describe, expect, it } from "vitest";
import { HELP, parseOptions, type RelayOptions } from "../../../bench/options.ts";
import { CELLS, PRODUCTS } from "../../../bench/plan.ts";

function parsed(...words: readonly string[]): RelayOptions {
  const options = parseOptions(words);
  if (!options.ok || options.value === "help") throw new Error(JSON.stringify(options));
  return options.value;
}

describe("the options of the bench", () => {
  it("are small unless told otherwise, and compare with no other commit", () => {
    const options = parsed();
    expect(options).toMatchObject({ seconds: 2, rounds: 2, against: null, isJson: false });
    expect(options.cells.map((cell) => cell.name)).toContain("connect");
    expect(options.products).not.toContain("against");
  });

  it("take values as words of their own or behind an equals sign", () => {
    const options = parsed("--seconds=5", "--rounds", "3", "--json");
    expect(options).toMatchObject({ seconds: 5, rounds: 3, isJson: true });
  });

  it("keep the order of the table, whatever the order of the words", () => {
    const options = parsed("--cells", "connect,simple-8", "--products=pgquorum,direct");
    expect(options.cells.map((cell) => cell.name)).toEqual(["simple-8", "connect"]);
    expect(options.products).toEqual(["direct", "pgquorum"]);
  });

  it("measure every cell unless told otherwise, and all that begin alike by a star", () => {
    expect(parsed().cells).toEqual(CELLS);
    const names = parsed("--cells", "split-simple*").cells.map((cell) => cell.name);
    expect(names).toEqual(["split-simple", "split-simple-1"]);
  });

  it("keep the figures under the name of those in the documentation when they go there", () => {
    expect(parsed()).toMatchObject({ name: "last", writesDocs: false });
    expect(parsed("--write-docs")).toMatchObject({ name: "relay", writesDocs: true });
  });

  it("are a short way to a first look", () => {
    expect(parsed("--quick")).toMatchObject({ rounds: 1, seconds: 1 });
  });

  it("measure another commit beside the chosen products", () => {
    const options = parsed("--against", "main~3", "--products", "pgquorum");
    expect(options).toMatchObject({ against: "main~3", products: ["pgquorum", "against"] });
  });

  it.each(["--help", "-h"])("ask for help by %s", (word) => {
    expect(parseOptions([word])).toEqual({ ok: true, value: "help" });
  });

  it.each([
    [["--second", "2"], '"--second"'],
    [["simple-32"], '"simple-32"'],
    [["--seconds"], "--seconds needs a value"],
    [["--rounds="], "--rounds needs a value"],
    [["--seconds", "0"], "from 1 to 60"],
    [["--seconds", "1.5"], "from 1 to 60"],
    [["--rounds", "21"], "from 1 to 20"],
    [["--cells", "simple-33"], "simple-32"],
    [["--cells", "none*"], "simple-32"],
    [["--products", "pgcat"], "pgquorum"],
    [["--name", "../relay"], "no name"],
    [["--products", "against"], "none of"],
    [["--against", "--output=x"], "no name of a commit"],
    [["--against", "main;id"], "no name of a commit"],
  ])("refuse %j and say what was expected", (words, reason) => {
    expect(parseOptions(words)).toEqual({ ok: false, error: expect.stringContaining(reason) });
  });

  it("are all in the help", () => {
    for (const { name } of [...CELLS, ...PRODUCTS]) expect(HELP).toContain(name);
  });
});
