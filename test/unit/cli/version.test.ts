import { expect, it } from "vitest";
import packageJson from "../../../package.json" with { type: "json" };
import { VERSION } from "../../../src/cli/programs/version.ts";

it("the programs tell the version of the package", () => {
  expect(VERSION).toBe(packageJson.version);
});
