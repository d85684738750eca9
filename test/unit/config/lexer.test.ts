import { expect, test } from "vitest";
import { cutLines } from "../../../src/config/lexer.ts";

/** `name=text` for a setting, the message for an error. */
function cut(text: string): readonly string[] {
  return cutLines(text).map((line) =>
    line.kind === "setting" ? `${line.name}=${line.text}` : line.message,
  );
}

const SETTINGS = [
  ["the equals sign may be left out", "port 5433", "port=5433"],
  ["blanks around it are free", "\t port\t=  5433  ", "port=5433"],
  ["no blanks are needed", "port=5433", "port=5433"],
  ["a comment ends the line", "port = 5433 # the port", "port=5433"],
  ["a comment may follow at once", "port = 5433# the port", "port=5433"],
  ["a # in a string is no comment", "a = 'x#y'", "a=x#y"],
  ["an empty string is a value", "a = ''", "a="],
  ["a backslash before a quote keeps both", "a = 'x\\'y'", "a=x\\'y"],
  ["a backslash at the end of a string closes it", "a = 'x\\'", "a=x\\"],
  ["other backslashes pass through", "a = '\\d+\\.'", "a=\\d+\\."],
  ["a bare word may hold . _ : / -", "a = b.c_d:e/f-g", "a=b.c_d:e/f-g"],
  ["a number may carry a unit", "a = 10min", "a=10min"],
  ["numbers may be hexadecimal", "a = 0x1F", "a=0x1F"],
  ["numbers may have a sign and a fraction", "a = -1.5", "a=-1.5"],
  ["a carriage return ends the line", "port = 5433\r", "port=5433"],
  ["a byte order mark is no part of the name", "\uFEFFport = 5433", "port=5433"],
  ["letters beyond ASCII are letters", "größe = groß", "größe=groß"],
] as const;

test.each(SETTINGS)("%s", (_name, text, expected) => {
  expect(cut(text)).toEqual([expected]);
});

const ERRORS = [
  ["a name alone", "port", "port has no value"],
  ["a name and an equals sign alone", "port = # 5433", "port has no value"],
  ["a string without end", "a = 'x", "the string of a has no closing quote"],
  ["a string with doubled quotes", "a = 'x''y'", `syntax error behind the value of a at "'…"`],
  ["an unquoted address", "a = 10.0.0.1", 'syntax error behind the value of a at ".0.1"'],
  ["a second value", "a = 1 2", 'syntax error behind the value of a at "2"'],
  ["double quotes", 'a = "x"', 'syntax error in the value of a at ""x""'],
  ["no name", "= 1", 'syntax error at "= 1"'],
] as const;

test.each(ERRORS)("%s is an error", (_name, text, expected) => {
  expect(cut(text)).toEqual([expected]);
});

test("empty lines and comments say nothing, and lines are counted from 1", () => {
  expect(cutLines("\n# x\n  \nport = 1\n")).toEqual([
    { kind: "setting", line: 4, name: "port", text: "1" },
  ]);
});

test("a line after a wrong one is read", () => {
  expect(cut("port\nmax_pool = 2")).toEqual(["port has no value", "max_pool=2"]);
});

test("an error never repeats what stands in quotes, which may be a password", () => {
  expect(cut("wd_authkey = 'se''cret'").join()).not.toContain("cret");
});

test("a long run of backslashes without closing quote takes no time", () => {
  expect(cut(`a = '${"\\".repeat(100_000)}`)).toEqual(["the string of a has no closing quote"]);
});
