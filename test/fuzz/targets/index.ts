import type { Target } from "../target.ts";
import { backendLogin } from "./backend-login.ts";
import { clientLogin } from "./client-login.ts";
import { frames } from "./frames.ts";
import { hostileBackend, hostileClient } from "./hostile-session.ts";
import { session } from "./session.ts";
import { sql } from "./sql.ts";
import { startUp } from "./start-up.ts";

export const targets: readonly Target[] = [
  frames,
  startUp,
  clientLogin,
  backendLogin,
  sql,
  session,
  hostileClient,
  hostileBackend,
];
