import fc from "fast-check";
import { expect, test } from "vitest";
import { formatFindings, loadConfig, PARAMETERS } from "../../../src/config/index.ts";
import { notActingYet, showPoolStatus } from "../../../src/config/index.ts";
import { cutLines } from "../../../src/config/lexer.ts";

/** Lines that get past the lexer more often than plain noise does. */
const nearlyLine = fc
  .tuple(
    fc.oneof(
      fc.constantFrom(...PARAMETERS.map(({ name }) => name), "include", "constructor", "__proto__"),
      fc.string(),
    ),
    fc.constantFrom("", "0", "1", "7", "127", "128", "99999999999999999999"),
    fc.constantFrom(" ", "=", " = "),
    fc.oneof(
      fc.constantFrom("on", "off", "'x'", "''", "5432", "1min", "'1.5 h'", "-1", "0x", "'\\'"),
      fc.constantFrom("'pgpool.conf'", "'a;b,c'", "'constructor'", "streaming_replication"),
      fc.string({ unit: "binary" }),
      fc.string().map((text) => `'${text}'`),
    ),
  )
  .map((parts) => parts.join(""));

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 2000 }),
  fc.array(nearlyLine, { maxLength: 40 }).map((lines) => lines.join("\n")),
);

test("no text makes reading throw, and a configuration comes if and only if nothing is wrong", () => {
  fc.assert(
    fc.property(anyText, anyText, (main, other) => {
      const { config, findings } = loadConfig({
        configFile: "/etc/pgq/pgpool.conf",
        readText: (path) => ({ ok: true, value: path.endsWith("pgpool.conf") ? main : other }),
      });
      const hasError = findings.some(({ level }) => level === "error");
      expect(config === null).toBe(hasError);
      expect(formatFindings(findings).split("\n").length).toBeGreaterThan(findings.length);
      if (config === null) return;
      expect(showPoolStatus(config, config.pgpool_compat_version).length).toBeGreaterThan(150);
      expect(notActingYet(config).every((name) => config.set.has(name))).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("each line of a text gives one setting, one error or nothing", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const numbers = cutLines(text).map(({ line }) => line);
      expect(new Set(numbers).size).toBe(numbers.length);
      expect(Math.max(0, ...numbers)).toBeLessThanOrEqual(text.split("\n").length);
    }),
    { numRuns: 500 },
  );
});
