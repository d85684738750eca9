/**
 * `pgquorum …`: the friendlier face of a node. Tables for people, `--json` and exit codes for
 * scripts: 0 done, 1 a mistake or a refusal, 3 the node does not run.
 */
import { randomBytes } from "node:crypto";
import { Command } from "commander";
import { VERSION } from "../base/index.ts";
import { sampleConfig } from "../config/index.ts";
import type {
  ClientRow,
  ClusterView,
  ControlQuestion,
  NodeList,
  NodeStatus,
  QueueRow,
} from "../wire/ipc/index.ts";

import { askNode, EXIT_FAILED } from "./pgquorum/ask-node.ts";
import { checkConfig } from "./pgquorum/check-config.ts";
import { complain } from "./pgquorum/complain.ts";
import { explainRouting, type ExplainOptions } from "./pgquorum/explain-routing.ts";
import { formatClients } from "./pgquorum/format-clients.ts";
import { formatQueues } from "./pgquorum/format-queues.ts";
import { showHistory, type HistoryOptions } from "./pgquorum/history.ts";
import { setMaintenance, type MaintenanceOptions } from "./pgquorum/maintenance.ts";
import { pauseBackend, resumeBackend, type PauseOptions } from "./pgquorum/pause-backend.ts";
import { recover, type RecoverOptions } from "./pgquorum/recover.ts";
import { switchover, type SwitchoverOptions } from "./pgquorum/switchover.ts";
import { formatBackends, formatStatus } from "./pgquorum/format-status.ts";

interface ViewOptions {
  readonly config?: string;
  readonly json?: boolean;
}

const AUTH_KEY_BYTES = 32;

async function show(
  command: ControlQuestion,
  options: ViewOptions,
  format: (value: unknown) => string,
): Promise<void> {
  const answer = await askNode(options.config, { command });
  if (!answer.ok) return complain(answer.error);
  const json = options.json === true;
  process.stdout.write(json ? `${JSON.stringify(answer.value, null, 2)}\n` : format(answer.value));
}

const program = new Command("pgquorum")
  .description("Look at and check a pgquorum node.")
  .version(`pgquorum ${VERSION}`, "-V, --version", "print the version")
  .helpOption("-h, --help", "print this help")
  .showHelpAfterError('(see "pgquorum --help")');

const configOption = ["-f, --config <file>", "pgpool.conf of the node"] as const;
const jsonOption = ["--json", "print JSON"] as const;

program
  .command("status")
  .description("show the node, its watchdog cluster and the backends")
  .option(...configOption)
  .option(...jsonOption)
  .action((options: ViewOptions) =>
    // The reply comes from a node of this very version: its types are those of NodeStatus.
    show("status", options, (value) => formatStatus(value as NodeStatus, Date.now())),
  );

program
  .command("nodes")
  .description("show the backends")
  .option(...configOption)
  .option(...jsonOption)
  .action((options: ViewOptions) =>
    show("nodes", options, (value) => formatBackends(value as ClusterView, Date.now())),
  );

program
  .command("clients")
  .description("show the clients of the node, and who waits for a place")
  .option(...configOption)
  .option(...jsonOption)
  .action((options: ViewOptions) =>
    show("clients", options, (value) => formatClients(value as NodeList<ClientRow>, Date.now())),
  );

program
  .command("queues")
  .description("show what clients wait for: places, and server connections that they share")
  .option(...configOption)
  .option(...jsonOption)
  .action((options: ViewOptions) =>
    show("queues", options, (value) => formatQueues(value as NodeList<QueueRow>)),
  );

const backendArgument = ["<backend>", "number of the backend, as in pgpool.conf"] as const;

program
  .command("pause")
  .description(
    `let nothing begin on a backend, and wait until nothing runs there any more: transactions end as they will, further statements of clients wait; reads of a standby go to the primary meanwhile. End it by "pgquorum resume". Exit code 1: something still ran when the time was over.`,
  )
  .argument(...backendArgument)
  .option(...configOption)
  .option("--timeout <seconds>", "end the pause by itself after so long", "60")
  .action((backend: string, options: PauseOptions) => pauseBackend(backend, options));

program
  .command("resume")
  .description("end the pause of a backend: statements that wait for it go on")
  .argument(...backendArgument)
  .option(...configOption)
  .action((backend: string, options: { config?: string }) => resumeBackend(backend, options));

program
  .command("switchover")
  .description(
    `let a standby take over from the primary: new statements wait, transactions end, the old primary is stopped, the standby promoted, the others follow. What fails before the promotion is undone. Exit code 1: it cannot be done now, or has failed.`,
  )
  .option(...configOption)
  .option(...jsonOption)
  .option("--to <backend>", "the standby; else the one that commits wait for, or is least behind")
  .option("--dry-run", "check everything, change nothing")
  .option(
    "--drain-timeout <seconds>",
    "how long transactions may go on; else switchover_drain_timeout",
  )
  .option(
    "--on-timeout <abort|cancel>",
    "then give it up, or cancel them; else switchover_on_drain_timeout",
  )
  .action((options: SwitchoverOptions) => switchover(options));

program
  .command("maintenance")
  .description(
    `while it is on, the cluster does nothing to a backend by itself: no failover, no failback. What a person asks for is done as ever. Every node and "pgquorum status" show it.`,
  )
  .argument("<on|off>", "whether it begins or ends")
  .option(...configOption)
  .option(...jsonOption)
  .option("--reason <text>", "for those who see it", "")
  .action((turn: string, options: MaintenanceOptions) => setMaintenance(turn, options));

program
  .command("history")
  .description(
    `show what was done to the backends: every failover, failback and promotion with who asked for it, when each step was taken, and what became of the commands. Of a node that is stopped its file is read.`,
  )
  .option(...configOption)
  .option(...jsonOption)
  .option("--limit <count>", "the newest so many", "10")
  .option("--epoch <number>", "only what happened in this epoch")
  .action((options: HistoryOptions) => showHistory(options));

program
  .command("recover")
  .description(
    `make a server that is down anew from the primary and attach it (online recovery): recovery_1st_stage_command and pgpool_remote_start do the work. Exit code 1: it was not recovered.`,
  )
  .argument("<backend>", "its number")
  .option(...configOption)
  .option(...jsonOption)
  .action((backend: string, options: RecoverOptions) => recover(backend, options));

program
  .command("explain-routing")
  .description(
    `tell where the node would send a statement of a new session, by which rule, and what would change that. Functions and tables are looked up on the primary as sr_check_user.`,
  )
  .argument("<sql>", "the statement")
  .option(...configOption)
  .option(...jsonOption)
  .option("--user <name>", "of the client, for user_redirect_preference_list", "postgres")
  .option(
    "--database <name>",
    "of the client, where functions and tables are looked up",
    "postgres",
  )
  .option("--app-name <name>", "of the client, for app_name_redirect_preference_list", "")
  .option("--in-transaction", "as if BEGIN had been sent")
  .option("--after-write", "as if the session had written before")
  .action((sql: string, options: ExplainOptions) => explainRouting(sql, options));

program
  .command("check-config")
  .description("check pgpool.conf and the files beside it, and tell everything that is wrong")
  .option(...configOption)
  .option("-a, --hba-file <file>", "pool_hba.conf; the one beside pgpool.conf unless told")
  .action((options: { config?: string; hbaFile?: string }) => {
    const { text, isUsable } = checkConfig(options);
    process.stdout.write(text);
    if (!isUsable) process.exitCode = EXIT_FAILED;
  });

program
  .command("gen-authkey")
  .description("print a line for pgpool.conf with a random wd_authkey; all nodes share it")
  .option(...jsonOption)
  .action(({ json }: { json?: boolean }) => {
    const wd_authkey = randomBytes(AUTH_KEY_BYTES).toString("hex");
    const text = json === true ? JSON.stringify({ wd_authkey }) : `wd_authkey = '${wd_authkey}'`;
    process.stdout.write(`${text}\n`);
  });

program
  .command("sample-config")
  .description("print a pgpool.conf with every parameter, its default and its meaning")
  .action(() => {
    process.stdout.write(sampleConfig());
  });

await program.parseAsync();
