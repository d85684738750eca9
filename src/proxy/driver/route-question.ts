import { failure } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import { ownPassword } from "../../os/index.ts";
import type { ClusterView, RouteItem, RouteQuestion } from "../../wire/ipc/index.ts";
import { answerRouteQuestion, type CatalogNames } from "../core/routing/index.ts";
import { catalogQuery, readCatalogAnswer } from "../core/session/index.ts";
import { BackendConnection } from "./backend-connection.ts";
import type { WorkerContext } from "./worker-context.ts";

export type RouteContext = Pick<
  WorkerContext,
  "io" | "known" | "catalogs" | "mutations" | "classify" | "settings" | "view"
>;

const LOOK_UP_WITHIN_MS = 3000;

/**
 * `pgquorum explain-routing`. What the statement names is looked up on the primary, by a connection
 * of its own, unless it is known; when that fails, the answer says so.
 *
 * @param done called once, never at once.
 */
export function explainRouting(
  context: RouteContext,
  question: RouteQuestion,
  done: (items: readonly RouteItem[]) => void,
): void {
  const { rules, config } = context.settings();
  const catalog = context.catalogs.of(question.database);
  const bytes = Buffer.from(question.sql);
  const sql = context.classify(bytes, 0, bytes.length);
  const names = rules.judgeFor(catalog).namesToExplain(sql);
  const answer = (problem: string | null): void => {
    const view = context.view();
    const mutations = context.mutations.wantedBy(rules, question.database);
    const isConsistent = config.read_consistency === "session";
    const facts = { rules, catalog, mutations, view, randomUnit: Math.random(), isConsistent };
    const items = answerRouteQuestion(question, sql, facts);
    done(problem === null ? items : [...items, ["the catalogs were not asked", problem]]);
  };
  if (names.relations.length + names.functions.length === 0) return void setImmediate(answer, null);
  const { drops } = catalog;
  ask(context, config, question.database, names, (rows, problem) => {
    if (rows !== null) catalog.learn(names, readCatalogAnswer(names, rows), drops);
    answer(problem);
  });
}

/** @param done called once, never at once; with rows, or with the problem. */
function ask(
  { io, known, view }: RouteContext,
  config: Config,
  database: string,
  names: CatalogNames,
  done: (rows: Buffer | null, problem: string | null) => void,
): void {
  const target = primaryOf(view());
  if (target === null) return void setImmediate(done, null, failure("no-primary").message);
  const user = config.sr_check_user === "" ? "postgres" : config.sr_check_user;
  const secret = ownPassword(config, user, config.sr_check_password);
  let isOver = false;
  const end = (rows: Buffer | null, problem: string | null): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    connection.close();
    setImmediate(done, rows, problem);
  };
  const connection: BackendConnection = new BackendConnection({
    io,
    target,
    key: "",
    sets: known.sets,
    parameters: new Map([
      ["user", user],
      ["database", database],
    ]),
    connectTimeoutMs: LOOK_UP_WITHIN_MS,
    listener: {
      asked: () => connection.proceed(secret.isEmpty ? null : { kind: "text", secret }),
      opened: () => {
        connection.use({
          received: (_, received) => void connection.link.push(received),
          drained: () => undefined,
          closed: () => end(null, "the server closed the connection"),
        });
        connection.link.ask([catalogQuery(names)], ({ rows, error }) =>
          end(error === null ? rows : null, error?.get("M") ?? null),
        );
      },
      refused: (_, fields) => end(null, `sr_check_user ${user}: ${fields.get("M") ?? ""}`),
      failed: (why) => end(null, `${why.message}: ${why.detail ?? ""}`),
    },
  });
  const timer = setTimeout(() => end(null, "the primary did not answer"), LOOK_UP_WITHIN_MS);
}

function primaryOf({ backends, primaryId }: ClusterView): {
  readonly backendId: number;
  readonly hostname: string;
  readonly port: number;
} | null {
  const primary = backends.find(({ id }) => id === primaryId);
  if (primary === undefined) return null;
  return { backendId: primary.id, hostname: primary.hostname, port: primary.port };
}
