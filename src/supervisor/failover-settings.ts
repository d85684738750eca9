/** Part of the supervisor's root: what of the configuration failovers and recoveries need. */
import {
  failoverSettings,
  type FailoverRunnerOptions,
  type FailoverRunnerSettings,
} from "../backend/index.ts";
import type { Config } from "../config/index.ts";
import { ownPassword } from "../os/index.ts";

type Login = FailoverRunnerOptions["login"];

/** `sr_check_user` and its kin. */
export function replicationLogin(config: Config): Login {
  const { sr_check_user: user, sr_check_password, sr_check_database: database } = config;
  return { user, password: ownPassword(config, user, sr_check_password), database };
}

/** `recovery_user` and its kin. */
function recoveryLogin(config: Config): Login {
  const { recovery_user: user, recovery_password, recovery_database: database } = config;
  return { user, password: ownPassword(config, user, recovery_password), database };
}

export function failoverRunnerSettings(config: Config): FailoverRunnerSettings {
  return {
    settings: failoverSettings(config),
    login: replicationLogin(config),
    connectTimeoutMs: config.connect_timeout,
    recovery: {
      method: config.recovery_method,
      login: recoveryLogin(config),
      firstStageCommand: config.recovery_1st_stage_command,
      timeoutMs: config.recovery_timeout * 1000,
      connectTimeoutMs: config.connect_timeout,
    },
  };
}
