import type { Failure, Result } from "../../../base/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { OwnCommand, ShowAnswer } from "../show/index.ts";

/** The effects that a session asks of its driver. Calls come in the order in which they must act. */
export interface SessionPort {
  /** A view of a read buffer: the port stops its source when it cannot write it at once. */
  toClient(bytes: Buffer, start: number, end: number): void;
  /** Bytes that already came may still be pushed after `pauseClient`. */
  pauseClient(): void;
  resumeClient(): void;
  /**
   * A link to this backend: a shared connection that is idle, at once; or null, and later, never
   * during the call, `Session.linkOpened` or `Session.linkFailed`.
   */
  openLink(backendId: number): BackendLink | null;
  /** The link that `openLink` did not have at once is not wanted any more: nothing follows. */
  giveUpLink(): void;
  /** A shared connection is not the session's any more. */
  releaseLink(link: BackendLink): void;
  /** Nothing of this link's bytes is still being written, in either direction. */
  mayRelease(link: BackendLink): boolean;
  /**
   * The worker's routing lease lasts. Asked right before anything of the client is forwarded; a
   * change from no to yes, or of the two answers below, is told by `Session.gateChanged`.
   */
  mayForward(): boolean;
  /** Asked when it does not last: why statements are refused, or null while they wait. */
  forwardRefusal(): string | null;
  /** A primary will be named soon: what needs one may wait. */
  awaitsPrimary(): boolean;
  /**
   * Null while a statement may begin on this backend; else it waits, and is tried again after
   * `Session.gateChanged`, or it fails.
   */
  pauseOf(backendId: number): "wait" | Failure | null;
  /** Reads no more from this link, or does again. Bytes that already came may still be pushed. */
  holdLink(link: BackendLink, isHeld: boolean): void;
  /** Closes this link's connection; it must not be used again. */
  dropLink(link: BackendLink, why: string): void;
  /** The client said Terminate. */
  terminated(): void;
  /** Tells the client why (null: it knows already) and closes everything. */
  end(failure: Failure | null): void;
  /** Null: others have to be asked, and `Session.ownAnswered` follows, never during the call. */
  answerOwn(command: OwnCommand): Result<ShowAnswer, Failure> | null;
  /** Of its answer; null when that has no rows. */
  columnsOf(command: OwnCommand): readonly string[] | null;
  /** A statement was sent to this backend, and is counted as one of STATISTIC. */
  statementSent(backendId: number, statistic: number): void;
  /**
   * DDL of this session has taken effect: what was looked up in the database's catalogs is void.
   *
   * @param functions there may be other functions or triggers.
   */
  catalogChanged(functions: boolean): void;
  /** A line of the log about this client, and one about a statement that goes to a backend. */
  log(message: string, detail?: string): void;
  logSent(backendId: number, text: string): void;
  /**
   * The next read should go to this standby, which is not known to have what the session must see.
   *
   * @returns whether it waits: then `Session.replayWaited` follows, never during the call.
   */
  waitForReplay(backendId: number): boolean;
  /** A read that failed on a standby, or got no answer, is sent to another server. */
  readMoved(backendId: number, why: string): void;
  /** A connection reported an error; FATAL ones announce its end. */
  backendFailed(link: BackendLink, fields: ReadonlyMap<string, string>): void;
}
