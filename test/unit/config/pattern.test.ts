import { describe, expect, test } from "vitest";
import { assert } from "../../../src/base/index.ts";
import { compilePattern } from "../../../src/config/index.ts";

function matches(pattern: string, text: string): boolean {
  const compiled = compilePattern(pattern);
  assert(compiled.ok, `"${pattern}" is a pattern`);
  return compiled.value.matches(text);
}

test.each([
  ["get_.*", "GET_x", "forget_x"],
  ["a|bc", "bc", "abc"],
  ["(a|b)+c", "abac", "ac b"],
  ["a{2}", "aa", "aaa"],
  ["a{2,}", "aaaa", "a"],
  ["a{,2}b", "aab", "aaab"],
  ["a{2,3}", "aaa", "aaaa"],
  ["a{b", "a{b", "ab"],
  ["x?y", "y", "xxy"],
  ["[a-c]+", "BAC", "bad"],
  ["[^a-c]", "d", "B"],
  ["[]a]+", "]a", "b"],
  ["[^]a]", "b", "]"],
  ["[a-]+", "a-", "ab"],
  ["[\\w]+", "w\\", "x"],
  ["[[:digit:]_]+", "1_2", "a"],
  ["select[[:space:]]+\\*", "SELECT \t*", "select*"],
  ["s\\.get", "s.get", "s_get"],
  ["\\w+\\W\\w+", "a b", "ab"],
  ["\\s\\S", " a", "aa"],
  [".*\\<from\\> t", "select from t", "select xfrom t"],
  [".*\\bt", "a t", "at"],
  [".*\\Bt", "at", "a t"],
  ["^a$|^b$", "b", "ab"],
  [".*from T.*", "select *\nfrom t\nwhere", "select * fro t"],
  ["é+", "Éé", "e"],
  ["()*", "", "a"],
  ["a\\;b", "a;b", "a\\;b"],
])("%s matches %j and not %j", (pattern, yes, no) => {
  expect(matches(pattern, yes)).toBe(true);
  expect(matches(pattern, no)).toBe(false);
});

test.each([
  ["(", 'a "(" is not closed'],
  [")", 'a ")" has no "("'],
  ["[a", 'a "[" is not closed'],
  ["*a", 'nothing stands before "*"'],
  ["(?i)a", 'nothing stands before "?"'],
  ["[[:word:]]", 'there is no class "[:word:]"'],
  ["[b-a]", 'the range "b-a" is empty'],
  ["a{3,2}", '"{3,2}" does not count'],
  ["(a)\\1", 'the back reference "\\1" is not supported'],
  ["a\\", "it ends with a backslash"],
  ["((((a{99}){99}){99}){99})", "it is too large"],
  ["((((){999}){999}){999}){999}", "it is too large"],
  ["(".repeat(200), "too many nested groups"],
])("%s is none: %s", (pattern, why) => {
  expect(compilePattern(pattern)).toEqual({ ok: false, error: why });
});

describe("time", () => {
  test("grows with the text, whatever the pattern", () => {
    const text = "select a from b where ".repeat(2000);
    const start = performance.now();
    expect(matches("(.*a.*b.*)+c.*x", text)).toBe(false);
    expect(matches("(a*)*(a*)*b", "a".repeat(40_000))).toBe(false);
    // A backtracking matcher needs hours.
    expect(performance.now() - start).toBeLessThan(2000);
  });
});
