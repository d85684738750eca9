import { expect, test } from "vitest";
import { withoutPasswords } from "../../../../../src/proxy/core/sql/index.ts";

test.each([
  ["select 1", "select 1"],
  [
    "alter role a password 'se''cret' valid until 'x'",
    "alter role a password '*****' valid until 'x'",
  ],
  ["ALTER ROLE a PASSWORD E'a\\'b'", "ALTER ROLE a PASSWORD '*****'"],
  ["alter role a password $$secret$$", "alter role a password '*****'"],
  ["alter role a password $q$se$$cret$q$", "alter role a password '*****'"],
  ["alter role a password u&'secret'", "alter role a password u&'*****'"],
  ["alter role a password /* 'x' */ 'secret'", "alter role a password /* 'x' */ '*****'"],
  ["alter role a password 'not closed", "alter role a password '*****'"],
  [
    "create user mapping for a server s options (user 'b', password 'c')",
    "create user mapping for a server s options (user 'b', password '*****')",
  ],
  [
    "create subscription s connection 'host=h password=secret user=u' publication p",
    "create subscription s connection 'host=h password=***** user=u' publication p",
  ],
  [
    "select dblink_connect('password=''a b'' host=h')",
    "select dblink_connect('password=***** host=h')",
  ],
  ["select password, 'x' from users", "select password, 'x' from users"],
  ["alter role a password null", "alter role a password null"],
])("%s", (text, shown) => {
  expect(withoutPasswords(text)).toBe(shown);
});
