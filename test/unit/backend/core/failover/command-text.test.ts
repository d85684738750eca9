import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { formatCommand, type CommandFacts } from "../../../../../src/backend/index.ts";

function facts(change: Partial<CommandFacts> = {}): CommandFacts {
  const server = { mayFailover: true, alwaysPrimary: false };
  const old = { id: 0, hostname: "10.0.0.1", port: 5432, dataDirectory: "/data/0", ...server };
  const next = { id: 2, hostname: "db2.example", port: 5433, dataDirectory: "/data/2", ...server };
  return {
    backend: old,
    newMain: next,
    oldMainId: 0,
    oldPrimary: old,
    oldPrimaryId: 0,
    ...change,
  };
}

const ALL = "%d %h %p %D %m %H %M %P %r %R %N %S %%";

describe("the text of a failover command", () => {
  it("has every placeholder filled in", () => {
    expect(formatCommand(ALL, facts())).toBe(
      "0 10.0.0.1 5432 /data/0 2 db2.example 0 0 5433 /data/2 10.0.0.1 5432 %",
    );
  });

  it("has -1 and empty words where there is no server", () => {
    const none = facts({ newMain: null, oldPrimary: null, oldPrimaryId: null, oldMainId: null });
    expect(formatCommand(ALL, none)).toBe('0 10.0.0.1 5432 /data/0 -1 "" -1 -1 "" "" "" "" %');
  });

  it("loses letters without a meaning, and a percent sign at the end", () => {
    expect(formatCommand("a %x%z b %", facts())).toBe("a  b ");
  });

  it("keeps the words behind an empty data directory in their places", () => {
    const { backend } = facts();
    const text = formatCommand("f %D %m", facts({ backend: { ...backend, dataDirectory: "" } }));
    expect(text).toBe('f "" 2');
  });

  const NASTY = ["a b", "$(id)", "`id`", "it's", 'say "x"', "a;b", "a\\b", "*", "&& true", "x\ny"];
  const TEMPLATES = [
    "printf %%s %D",
    'printf %%s "%D"',
    "printf %%s '%D'",
    'printf %%s "$(printf %%s %D)"',
    'printf %%s "$(printf %%s "%D")"',
    "printf %%s \\''%D'\"%D\"%D",
  ];

  it.each(TEMPLATES)("is read by the shell as the very value, whatever it is: %s", (template) => {
    for (const value of NASTY) {
      const backend = { ...facts().backend, dataDirectory: value };
      const text = formatCommand(template, facts({ backend }));
      const { stdout } = spawnSync("/bin/sh", ["-c", text], { encoding: "utf8" });
      const expected = template.startsWith("printf %%s \\'") ? `'${value.repeat(3)}` : value;
      expect(stdout).toBe(expected);
    }
  });
});
