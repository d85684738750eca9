import { Secret } from "../../src/base/index.ts";
import type { FailoverRunnerSettings } from "../../src/backend/index.ts";

/** For runners of failovers in tests where nothing is recovered. */
export const NO_RECOVERY: FailoverRunnerSettings["recovery"] = {
  method: "extension",
  login: { user: "", password: new Secret(""), database: "" },
  firstStageCommand: "",
  timeoutMs: 1000,
  connectTimeoutMs: 1000,
};
