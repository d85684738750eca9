import { LEAVES, type SqlClass } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import { carryOver } from "./carry-over.ts";
import type { Conversation } from "./conversation.ts";
import { probeQuery, readProbe } from "./session-probe.ts";
import { SessionStates, SETTINGS_MAX, type SessionState } from "./session-state.ts";

/** These are asked for by name, and can be said again elsewhere. */
const CARRIED = LEAVES.settings | LEAVES.role;

/** They are nobody's business but the primary's, where such statements go anyhow. */
const UNCONCERNED =
  LEAVES.listening | LEAVES.advisoryLocks | LEAVES.cursors | LEAVES.prepared | LEAVES.temporary;

/**
 * What a session with connections of its own has SET, for a standby that is connected
 * after that: the session's first server is asked for it then, and it is said again. Where it is
 * not known what to ask for, as after a DO, the session does without such a standby.
 */
export class LateState {
  readonly #talk: Conversation;
  #leaves = 0;
  #names = new Set<string>();
  /** Something cannot be carried over. */
  #isTied = false;
  #bringsTo: BackendLink | null = null;
  /** As it was found out; null: not since the last change. */
  #state: SessionState | null = null;

  constructor(talk: Conversation) {
    this.#talk = talk;
  }

  /** A statement was sent that changes what the session is, or takes back what others have changed. */
  ran(sql: SqlClass): void {
    const touches = sql.leaves | sql.clears;
    const leaves = touches & ~UNCONCERNED;
    // What changes the session in a way that is not known, a DO, a LOAD.
    if ((sql.changesSession && touches === 0) || (leaves & ~CARRIED) !== 0) this.#isTied = true;
    if ((leaves & CARRIED) === 0) return;
    this.#state = null;
    this.#leaves |= leaves & CARRIED;
    for (const name of sql.settingNames ?? []) this.#names.add(name);
    // A RESET has no names, and makes none that must be asked for; a set_config may.
    if (sql.settingNames === null && sql.destination !== "both") this.#isTied = true;
    if (this.#names.size > SETTINGS_MAX) this.#isTied = true;
  }

  /** It was found out, and nothing was said since; or there is nothing to be found out. */
  get isKnown(): boolean {
    return !this.#isTied && (this.#state !== null || this.#leaves === 0);
  }

  /** Nobody can know. */
  get isTied(): boolean {
    return this.#isTied;
  }

  /**
   * Finds out what it is; `Conversation.goOn("probed")` follows. Nothing runs, and no transaction is
   * open.
   *
   * @param speaker a link that knows it.
   */
  find(speaker: BackendLink): void {
    const states = new SessionStates();
    const suspicion = { leaves: this.#leaves, names: [...this.#names] };
    const before = states.initial;
    this.#talk.statements.unnamedLost(speaker.bit);
    speaker.ask([probeQuery(suspicion, before)], ({ rows, error, isCut }) => {
      const found = readProbe(states, { rows, suspicion, before, base: before });
      this.#isTied = error !== null || isCut || found.reasons !== 0;
      this.#state = found.session;
      this.#talk.goOn("probed");
    });
  }

  /**
   * Says it again on a link that is new.
   *
   * @param failed that server does not take it; the link is gone.
   * @returns false: `Conversation.goOn("carried")` follows.
   */
  bring(link: BackendLink, failed: () => void): boolean {
    const over = this.#state === null ? null : carryOver(new SessionStates().initial, this.#state);
    if (over === null) return true;
    this.#bringsTo = link;
    link.ask(over.queries, ({ error }) => {
      this.#bringsTo = null;
      if (error !== null) {
        this.#talk.drop(link, "the session's state could not be brought over");
        failed();
      }
      this.#talk.goOn("carried");
    });
    return false;
  }

  /** A link is gone. */
  lost(link: BackendLink): void {
    if (this.#bringsTo !== link) return;
    this.#bringsTo = null;
    this.#talk.goOn("carried");
  }
}
