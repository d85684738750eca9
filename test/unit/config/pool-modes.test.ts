import { expect, test } from "vitest";
import { poolModeOf } from "../../../src/config/index.ts";

const LIST = ["app/*:transaction", "*/old:session", "*/a:b:transaction"];

test.each([
  ["app", "shop", "transaction"],
  ["app", "old", "transaction"],
  ["other", "old", "session"],
  ["other", "a:b", "transaction"],
  ["other", "shop", "session"],
])("user %s and database %s: the first entry that fits, else pool_mode", (user, database, mode) => {
  expect(poolModeOf({ user, database }, { mode: "session", list: LIST })).toBe(mode);
});
