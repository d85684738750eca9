/**
 * What every part may use: outcomes, steps, promises stated in code, secrets, the table of
 * failures. It never touches the world. Read `core.ts` first.
 */
export * from "./result.ts";
export * from "./core.ts";
export * from "./assert.ts";
export * from "./secret.ts";
export * from "./failures.ts";
export * from "./version.ts";
