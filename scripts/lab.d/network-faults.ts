/**
 * What goes wrong between the hosts: cut cables, lost frames, links that flap. All of it happens in
 * the switch, so that a host's own kernel knows nothing of it, except that a flap takes the carrier.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "./failure.ts";
import { SWITCH_NAMESPACE } from "./layout.ts";
import { run, tryRun } from "./shell.ts";

/** Seen from the host: `in` are the frames to it, `out` those from it. */
export const WAYS = ["in", "out"] as const;
export type Way = (typeof WAYS)[number];

/** Whose frames: those of the other nodes' watchdogs, of PostgreSQL, of the client, or all. */
export const CUT_PARTIES = ["peers", "postgres", "clients"] as const;
export type CutParty = (typeof CUT_PARTIES)[number] | "everybody";

export interface Cut {
  readonly ways: readonly Way[];
  readonly from: CutParty;
}

const TABLE = "bridge pgquorum_lab";
const WATCHDOG_PORTS = "{ 9000, 9694 }";
const POSTGRES_PORT = "5432";
const MATCHES: Readonly<Record<CutParty, readonly string[]>> = {
  everybody: [""],
  peers: [
    `meta l4proto { tcp, udp } th dport ${WATCHDOG_PORTS} `,
    `meta l4proto { tcp, udp } th sport ${WATCHDOG_PORTS} `,
  ],
  postgres: [`tcp dport ${POSTGRES_PORT} `, `tcp sport ${POSTGRES_PORT} `],
  clients: [""],
};
const PARTIES = ["everybody", ...CUT_PARTIES] as const;

function setName(party: CutParty, way: Way): string {
  return `${party}_${way}`;
}

function rulesOf(party: CutParty): string[] {
  const [away, back] = party === "clients" ? [`oifname "client" `, `iifname "client" `] : ["", ""];
  return MATCHES[party].flatMap((match) => [
    `    iifname @${setName(party, "out")} ${away}${match}counter drop`,
    `    ${back}oifname @${setName(party, "in")} ${match}counter drop`,
  ]);
}

/** A port in a set loses the frames that the set is for; the cable's link stays up. */
const FAULTS_TABLE = `table ${TABLE} {
${PARTIES.flatMap((party) => WAYS.map((way) => `  set ${setName(party, way)} { type ifname; }`)).join("\n")}
  map lossy { type ifname : verdict; }
  chain forward {
    type filter hook forward priority 0; policy accept;
${PARTIES.flatMap((party) => rulesOf(party)).join("\n")}
    iifname vmap @lossy
    oifname vmap @lossy
  }
}
`;

export async function makeFaultsTable(): Promise<void> {
  await nft(FAULTS_TABLE);
}

/** From now on these frames of the port do not pass the switch. */
export async function cutPort(port: string, { ways, from }: Cut): Promise<void> {
  await nft(ways.map((way) => add(setName(from, way), port)).join(""));
}

/** Of the frames from and to the port, each is lost with this chance. */
export async function losePort(port: string, percent: number): Promise<void> {
  const chain = lossChain(port);
  await nft(`add chain ${TABLE} ${chain}
flush chain ${TABLE} ${chain}
add rule ${TABLE} ${chain} numgen random mod 100 < ${percent} counter drop
add element ${TABLE} lossy { "${port}" : jump ${chain} }
`);
}

/** Takes the cable of the port out and puts it back, so many times, for so long each. */
export async function flapPort(port: string, times: number, downMs: number): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    if (count > 0) await sleep(downMs);
    await setLink(port, "down");
    await sleep(downMs);
    await setLink(port, "up");
  }
}

/** Lets the frames of one port, or of all, pass again. Healing what was never cut is no mistake. */
export async function healPort(port: string | null): Promise<void> {
  const sets = PARTIES.flatMap((party) => WAYS.map((way) => setName(party, way)));
  if (port === null) {
    const flushes = sets.map((set) => `flush set ${TABLE} ${set}\n`);
    await nft(`${flushes.join("")}flush map ${TABLE} lossy\n`);
    return;
  }
  // Nothing can be deleted that is not there, so each is added first, all in one transaction.
  const chain = lossChain(port);
  await nft(`${sets.map((set) => add(set, port) + add(set, port, "delete")).join("")}
add chain ${TABLE} ${chain}
add element ${TABLE} lossy { "${port}" : jump ${chain} }
delete element ${TABLE} lossy { "${port}" : jump ${chain} }
`);
}

function lossChain(port: string): string {
  return `loss_${port}`;
}

function add(set: string, port: string, verb: "add" | "delete" = "add"): string {
  return `${verb} element ${TABLE} ${set} { "${port}" }\n`;
}

async function setLink(port: string, how: "up" | "down"): Promise<void> {
  await run(["ip", "-n", SWITCH_NAMESPACE, "link", "set", port, how]);
}

async function nft(input: string): Promise<void> {
  const words = ["ip", "netns", "exec", SWITCH_NAMESPACE, "nft", "-f", "-"];
  const ran = await tryRun(words, { input });
  if (ran.code === 0) return;
  throw new LabFailure(
    `the switch refuses: ${ran.stderr.trim()}`,
    "A lab of an older version is made anew by `scripts/lab down` and `scripts/lab up`.",
  );
}
