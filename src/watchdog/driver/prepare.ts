import { fail, succeed, type Result } from "../../base/index.ts";
import { formatFindings, type Config } from "../../config/index.ts";
import { loadProcessConfig, monotonicNowMs, openProcessLog, type Log } from "../../os/index.ts";
import { NO_FENCE, startState, type State, type Timing } from "../core/consensus/index.ts";
import { readMembership, type Membership } from "./member.ts";
import { openStateFile, type StateFile } from "./state-file.ts";
import type { Refusal } from "./supervisor-link.ts";

/** What a watchdog has read before it talks to anybody. */
export interface Prepared {
  readonly config: Config;
  readonly log: Log;
  readonly membership: Membership;
  readonly stateFile: StateFile;
}

/** Errors: a mistake in the configuration, a node that is no member, a state that is unusable. */
export async function prepare(env: NodeJS.ProcessEnv): Promise<Result<Prepared, Refusal>> {
  const { config, findings } = loadProcessConfig(env);
  if (config === null) {
    return fail({ message: formatFindings(findings), hint: "Run pgquorum check-config." });
  }
  const log = openProcessLog(config, "watchdog");
  const membership = readMembership(config);
  if (!membership.ok) {
    const hint = "The file pgpool_node_id names one of hostnameN.";
    return fail({ message: membership.error, hint });
  }
  const stateFile = await openStateFile(config.work_dir, membership.value.self.id);
  if (!stateFile.ok) return stateFile;
  const { damaged } = stateFile.value;
  if (damaged !== null) log.write("error", damaged.message, { hint: damaged.hint });
  return succeed({ config, log, membership: membership.value, stateFile: stateFile.value });
}

/** The state that consensus begins with: what is on disk, and silence. */
export function initialState(prepared: Prepared, timing: Timing): State {
  const { config, membership, stateFile } = prepared;
  return startState(
    {
      selfId: membership.self.id,
      nodeIds: config.nodes.map((node) => node.id),
      timing,
      fence: NO_FENCE,
      halfVotes: config.enable_consensus_with_half_votes,
      mute: stateFile.damaged?.message ?? null,
      durable: stateFile.initial,
      ownReleaseHash: null,
      seed: Number.parseInt(membership.bootId.slice(0, 7), 16),
    },
    monotonicNowMs(),
  );
}
