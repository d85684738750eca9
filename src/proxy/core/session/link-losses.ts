import { failure, type Failure } from "../../../base/index.ts";
import type { ClusterView } from "../../../wire/ipc/index.ts";
import { READY } from "../../../wire/postgres/index.ts";
import { LEAVES } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { ClientStream } from "./client-stream.ts";
import type { Conversation } from "./conversation.ts";
import { reasonWords } from "./session-state.ts";
import type { StateCarrier } from "./state-carrier.ts";

/**
 * What becomes of a session that has lost the connection to a server, because that has crashed,
 * was stopped, or is not the primary any more. Between two transactions the session goes on, and
 * what it had made of the connection is made of the next one.
 */
export class LinkLosses {
  readonly #talk: Conversation;
  readonly #memory: StateCarrier;
  readonly #stream: ClientStream;

  constructor(o: {
    readonly talk: Conversation;
    readonly memory: StateCarrier;
    readonly stream: ClientStream;
  }) {
    this.#talk = o.talk;
    this.#memory = o.memory;
    this.#stream = o.stream;
  }

  /** Why a link is of no use in this view; null when it is. */
  whyToLeave(link: BackendLink, view: ClusterView, oldPrimary: BackendLink | null): string | null {
    const { backendId } = link;
    if (!isUp(view, backendId)) return `backend ${backendId} is down`;
    const { primaryId } = view;
    if (primaryId === null) return null;
    if (link === oldPrimary && primaryId !== backendId) {
      return `the primary is now backend ${primaryId}; it was ${backendId}`;
    }
    // As a standby it was not told of what was PREPAREd.
    const isPromoted = !this.#talk.isSharing && link !== oldPrimary && primaryId === backendId;
    const lacks = isPromoted && link.isQuiet && this.#memory.hasPrepared;
    return lacks ? `backend ${backendId} has become the primary` : null;
  }

  /** @returns false when the session ended with the link. */
  mayGoOn(link: BackendLink, why: string): boolean {
    const talk = this.#talk;
    const isBusy = link === talk.active && !link.pending.isIdle && !link.pending.isAsked;
    const isOpen = link.status !== READY.idle && (talk.isSharing || link === talk.primary);
    const isInside = link === talk.batchLink || this.#stream.isInsideMessageFor(link);
    if (isBusy || isOpen || isInside) {
      const { lastWords } = link;
      const told =
        lastWords === null ? failure("backend-lost", { detail: why }) : inWords(lastWords);
      talk.end(link.saidFatal ? null : told);
      return false;
    }
    const isHolder = talk.isSharing || link === talk.speaker;
    const gone = isHolder ? this.#goneWith(link) : 0;
    if (gone === 0) return true;
    const what = `With it are gone: ${reasonWords(gone).join(", ")}.`;
    talk.end(link.saidFatal ? null : failure("state-lost", { detail: `${why}. ${what}` }));
    return false;
  }

  /** What cannot be had again, in bits of LEAVES. */
  #goneWith(link: BackendLink): number {
    const gone = this.#memory.lost(link);
    const isSayable = this.#talk.isSharing || this.#talk.statements.mayBeSaidAgain;
    return isSayable ? gone : gone | LEAVES.prepared;
  }
}

/** As the server said it. */
function inWords(fields: ReadonlyMap<string, string>): Failure {
  const message = fields.get("M") ?? "";
  return { severity: "FATAL", sqlstate: fields.get("C") ?? "57P01", message };
}

export function isUp(view: ClusterView, backendId: number): boolean {
  const state = view.backends.find((backend) => backend.id === backendId)?.state;
  return state === "up" || state === "waiting";
}
