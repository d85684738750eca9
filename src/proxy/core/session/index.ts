/**
 * A client session without its sockets: start-up, login in both directions, then the relay of
 * statements and replies between one client and its backend connections. Streams: `push` bytes
 * in, calls of a port come out. It opens nothing, knows no clock, draws no random number and
 * never decodes a row. Read `session.ts` first, then `pending-replies.ts`.
 */
export { ClientStart, type StartedClient, type StartEvent } from "./client-start.ts";
export {
  ClientLogin,
  PASSWORD_BYTES_MAX,
  type ClientMethod,
  type LoginStep,
} from "./client-login.ts";
export {
  BackendLogin,
  type BackendLoginListener,
  type BackendMethod,
  type LoggedIn,
} from "./backend-login.ts";
export { Session, type SessionOptions } from "./session.ts";
export { BackendLink, NOBODY, type LinkPort } from "./backend-link.ts";
export type { HiddenReply } from "./hidden-questions.ts";
export { loggingOf } from "./statement-log.ts";
export { catalogQuery, readCatalogAnswer } from "./catalog-query.ts";
export { SharedStatements } from "./shared-statements.ts";
export type { SessionPort } from "./port.ts";
export { ParameterSets, type ParameterSet } from "./parameter-set.ts";
export { SessionStates, type SessionState } from "./session-state.ts";
export { type FirstState, type KnownStates } from "./state-carrier.ts";
export { carryOver } from "./carry-over.ts";
