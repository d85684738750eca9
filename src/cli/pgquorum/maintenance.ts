import type { Maintenance } from "../../wire/ipc/index.ts";
import { askNode } from "./ask-node.ts";
import { complain, mistake, userName } from "./complain.ts";
import { formatMaintenance } from "./format-status.ts";

export interface MaintenanceOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly reason: string;
}

const REASON_MAX = 200;

/** `pgquorum maintenance on|off`: resolves when the cluster has agreed. */
export async function setMaintenance(turn: string, options: MaintenanceOptions): Promise<void> {
  const { config, reason } = options;
  if (turn !== "on" && turn !== "off") {
    return complain(mistake(`say "on" or "off", not "${turn}"`));
  }
  if (reason.length > REASON_MAX) {
    return complain(mistake(`the reason must have ${REASON_MAX} characters at most`));
  }
  const request = { command: "maintenance", isOn: turn === "on", reason, by: userName() } as const;
  const answer = await askNode(config, request);
  if (!answer.ok) return complain(answer.error);
  const maintenance = answer.value as Maintenance | null;
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ maintenance }, null, 2)}\n`);
  } else if (maintenance === null) {
    process.stdout.write("maintenance is off\n");
  } else {
    process.stdout.write(formatMaintenance(maintenance, Date.now()));
  }
  return undefined;
}
