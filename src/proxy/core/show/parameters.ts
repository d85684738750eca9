import { fail, succeed, type Failure, type Result } from "../../../base/index.ts";
import {
  changedForSession,
  changeForSession,
  showParameter,
  type Config,
  type ParameterFault,
} from "../../../config/index.ts";
import type { OwnCommand } from "./command.ts";
import type { ShowAnswer } from "./show.ts";

/** PGPOOL SHOW, SET or RESET. */
export type ParameterCommand = Extract<
  OwnCommand,
  { readonly kind: "show-parameter" | "set" | "reset" }
>;

export interface ParameterAnswer {
  readonly answer: ShowAnswer;
  /** What holds in this session from now on. */
  readonly config: Config;
}

/**
 * @param config what holds in this session.
 * @param file what the files say.
 * Source: Pgpool-II 4.3.5, whose messages these are; the SQLSTATEs are PostgreSQL's.
 */
export function answerParameter(
  command: ParameterCommand,
  config: Config,
  file: Config,
): Result<ParameterAnswer, Failure> {
  switch (command.kind) {
    case "show-parameter":
      return show(command.name, config);
    case "set":
      return change(command.name, command.value, config, file);
    case "reset":
      return command.name === null
        ? succeed({ answer: tagged("RESET"), config: resetAll(config, file) })
        : change(command.name, null, config, file);
  }
}

function show(name: string, config: Config): Result<ParameterAnswer, Failure> {
  const shown = showParameter(config, name);
  if (!shown.ok) {
    return fail(faultOf(shown.error, `config variable "${name}" not found`, "42704"));
  }
  if (shown.value.kind === "single") {
    const { value } = shown.value;
    return succeed({ answer: { columns: [name], rows: [[value]], tag: "SELECT 1" }, config });
  }
  const rows = shown.value.rows.map(({ item, value, description }) => [item, value, description]);
  const columns = ["item", "value", "description"];
  return succeed({ answer: { columns, rows, tag: `SELECT ${rows.length}` }, config });
}

function change(
  name: string,
  value: string | null,
  config: Config,
  file: Config,
): Result<ParameterAnswer, Failure> {
  const changed = changeForSession(config, file, name, value);
  if (changed.ok) return succeed({ answer: tagged("SET"), config: changed.value });
  switch (changed.error.kind) {
    case "unknown":
      return fail(
        faultOf(changed.error, `unrecognized configuration parameter "${name}"`, "42704"),
      );
    case "wrong-context":
      return fail({
        ...faultOf(
          changed.error,
          `invalid Context, value for parameter "${name}" cannot be changed`,
          "55P02",
        ),
        hint: "Change it in pgpool.conf; docs/parameters.md says which a session may set.",
      });
    case "bad-value":
      return fail({
        ...faultOf(
          changed.error,
          `invalid value for parameter "${name}": "${value ?? ""}"`,
          "22023",
        ),
        hint: `${capital(changed.error.expected)}.`,
      });
  }
}

function resetAll(config: Config, file: Config): Config {
  let reset = config;
  for (const name of changedForSession(config, file)) {
    const one = changeForSession(reset, file, name, null);
    if (one.ok) reset = one.value;
  }
  return reset;
}

function faultOf(fault: ParameterFault, message: string, sqlstate: string): Failure {
  const nearest = fault.kind === "unknown" ? fault.nearest : null;
  const hint = nearest === null ? {} : { hint: `Did you mean "${nearest}"?` };
  return { severity: "ERROR", sqlstate, message, ...hint };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function tagged(tag: string): ShowAnswer {
  return { columns: null, rows: [], tag };
}
