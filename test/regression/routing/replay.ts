/** Plays one session through one lane, message by message, and notes how each statement ended. */
import { errorFields, RawClient, say } from "../../support/raw-client.ts";
import { isSkipped, markOf, textOf, type Unit } from "./corpus.ts";
import { USER, type Lane } from "./stage.ts";

/** `ok`, a SQLSTATE, `closed` when the session ended, `silent` when no answer came. */
export type Outcome = string;

export interface Played {
  readonly outcome: Outcome;
  /** A transaction was open before it, failed or not, as the client was told. */
  readonly inTransaction: boolean;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Longer than any statement of the corpus takes. */
const SILENT_AFTER_MS = 5000;

/** @param settle waits until the standbys have what was written. */
export async function play(
  lane: Lane,
  unit: Unit,
  settle: () => Promise<void>,
): Promise<readonly Played[]> {
  const application = [unit.application, unit.id].filter((part) => part !== null).join(".");
  const played: Played[] = [];
  let client: RawClient | null = null;
  let inTransaction = false;
  for (const [index, step] of unit.steps.entries()) {
    const fromMs = Date.now();
    let outcome: Outcome;
    if (step.kind === "settle" || isSkipped(step, lane.protocol)) {
      if (step.kind === "settle") await settle();
      outcome = "ok";
    } else {
      try {
        client ??= await open(lane, application);
        outcome = await playStep(client, lane, { unit, index });
      } catch {
        outcome = client?.isClosed === false ? "silent" : "closed";
      }
    }
    played.push({ outcome, inTransaction, fromMs, toMs: Date.now() });
    const status = client?.frames.findLast((frame) => frame.type === "Z")?.body.toString();
    if (status !== undefined) inTransaction = status !== "I";
    if (outcome === "silent") client?.destroy(); // What follows would get the late answer.
  }
  if (client?.isClosed === false) {
    client.send(say.terminate());
    await client.closed().catch(() => client?.destroy());
  }
  return played;
}

/**
 * A session in which one read was answered: a new process of Pgpool-II asks for the version of PostgreSQL
 * then, and doing so within the client's first statement it would spoil a BEGIN ISOLATION LEVEL.
 */
async function open(lane: Lane, application: string): Promise<RawClient> {
  const client = await RawClient.login(lane.port, {
    user: USER,
    database: lane.database,
    application_name: application,
  });
  client.send(say.query("select from t limit 0"));
  await client.ready();
  return client;
}

async function playStep(
  client: RawClient,
  lane: Lane,
  { unit, index }: { readonly unit: Unit; readonly index: number },
): Promise<Outcome> {
  if (client.isClosed) return "closed";
  client.frames.length = 0;
  client.send(...messagesOf(lane, unit, index));
  await client.until(() => isAnswered(client), "an answer", SILENT_AFTER_MS);
  if (client.count("Z") === 0) {
    // A COPY FROM STDIN: no rows. A Sync that came before its end was not heard.
    client.send(say.copyDone(), ...(lane.protocol === "simple" ? [] : [say.sync()]));
    await client.until(() => client.count("Z") > 0, "the end of COPY", SILENT_AFTER_MS);
  }
  const error = client.frames.find((frame) => frame.type === "E");
  return error === undefined ? "ok" : (errorFields(error)["C"] ?? "?");
}

function isAnswered(client: RawClient): boolean {
  return client.count("Z") > 0 || client.count("G") > 0;
}

function messagesOf(lane: Lane, unit: Unit, index: number): readonly Buffer[] {
  const step = unit.steps[index];
  // What has one name in the whole cluster, such as a prepared transaction, is named after the lane.
  const text = (textOf(unit, index) ?? "").replaceAll("{lane}", lane.database);
  if (step?.kind === "parse") return [say.parse(step.name, text), say.sync()];
  if (step?.kind === "run") return executing(step.name, [markOf(unit, index)]);
  return lane.protocol === "simple"
    ? [say.query(text)]
    : [say.parse("", text), ...executing("", [])];
}

function executing(name: string, values: readonly string[]): readonly Buffer[] {
  return [say.bind("", name, values), say.describe("P", ""), say.execute(), say.sync()];
}
