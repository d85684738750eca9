/** Random messages of a client, one pipeline long: valid ones, in orders that no driver sends. */
import type { Random } from "../../sim/random.ts";
import { say } from "../../support/raw-client.ts";
import { MODEL_OTHERS, MODEL_READS } from "./statements.ts";

export function drawMessages(random: Random, count: number): Buffer[] {
  const text = (): string => random.pick(random.chance(0.55) ? MODEL_READS : MODEL_OTHERS);
  const name = (): string => random.pick(["", "", "s1", "s2"]);
  const portal = (): string => random.pick(["", "", "p"]);
  const messages: Buffer[] = [];
  while (messages.length < count) {
    switch (random.below(16)) {
      case 0:
      case 1:
        messages.push(say.query(random.chance(0.2) ? `${text()}; ${text()}` : text()));
        break;
      case 2:
      case 3:
        messages.push(say.parse(name(), text()));
        break;
      case 4: {
        const at = portal();
        messages.push(say.bind(at, name()), say.execute(at, random.pick([0, 0, 3])));
        break;
      }
      case 5:
        messages.push(say.bind(portal(), name()));
        break;
      case 6:
        messages.push(say.describe(random.pick(["S", "P"]), name()));
        break;
      case 7:
        messages.push(say.close(random.pick(["S", "S", "P"]), name()));
        break;
      case 8:
        messages.push(say.flush());
        break;
      case 9:
        messages.push(say.execute(portal(), random.pick([0, 2])));
        break;
      case 10:
        messages.push(say.functionCall(1));
        break;
      case 11:
        messages.push(...copying(random));
        break;
      case 12:
        messages.push(say.parse("", text()), say.bind("", ""), say.execute(), say.sync());
        break;
      default:
        messages.push(say.sync());
    }
  }
  return messages;
}

/** Only data, its end, Sync and Flush may come in a COPY; a server hangs up at anything else. */
function copying(random: Random): Buffer[] {
  const sql = "copy t from stdin";
  const extended = [say.parse("copier", sql), say.bind("", "copier"), say.execute()];
  const start = random.pick([[say.query(sql)], extended, [...extended, say.sync()], []]);
  const data = say.copyData(random.chance(0.2) ? "bad" : "1\n");
  const end = random.chance(0.25) ? say.copyFail("no") : say.copyDone();
  return [...start, data, ...(random.chance(0.2) ? [say.flush()] : []), data, end];
}

/** Brings any session to an end that can be seen: no COPY, no transaction, nothing skipped. */
export const CLOSING: readonly Buffer[] = [
  say.copyFail("end"),
  say.sync(),
  say.query("rollback"),
  say.query("select 1"),
];
