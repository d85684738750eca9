/**
 * Answers SHOW POOL_* from values it is given. It asks nobody, formats no time itself and sends
 * nothing: the session puts the rows on the wire.
 */
export { isOwnKind, parseOwnCommand, type OwnCommand } from "./command.ts";
export { columnsOf } from "./columns.ts";
export { answerParameter, type ParameterCommand } from "./parameters.ts";
export { healthStatsRows } from "./nodes.ts";
export { maintenanceText } from "./maintenance.ts";
export { poolCells, poolRows } from "./processes.ts";
export {
  answerCacheDelete,
  answerShow,
  needsList,
  type ShowAnswer,
  type ShowData,
} from "./show.ts";
