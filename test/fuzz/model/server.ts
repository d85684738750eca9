/**
 * PostgreSQL's extended and simple protocol over the few statements of `statements.ts`: what is
 * answered to which message, what is skipped after an error, what a COPY eats, when the replies
 * are sent. It keeps no data, only what belongs to a session, so a statement gives the same answer
 * on every server; whatever a relay changes in the order or the whereabouts of messages shows.
 *
 * Source: postgres.c, portalmem.c and copyfromparse.c of PostgreSQL 15.
 */
import { assert } from "../../../src/base/index.ts";
import { say } from "../../support/raw-client.ts";
import { stringAt } from "./frames.ts";
import { answerTo, isQuestion } from "./questions.ts";
import { behaviourOf, executedBy, type Behaviour, type Effect } from "./statements.ts";

interface Statement {
  readonly text: string;
  /** As they were when it was prepared; of EXECUTE, those of what its name meant then. */
  readonly columns: string | null;
  readonly isFromSql: boolean;
}

interface Portal {
  readonly text: string;
  readonly behaviour: Behaviour | null;
  readonly columns: string | null;
  position: number;
  isDone: boolean;
}

class ModelError extends Error {
  readonly sqlstate: string;

  constructor(sqlstate: string) {
    super(sqlstate);
    this.sqlstate = sqlstate;
  }
}

const NOTHING = Buffer.alloc(0);
/** EXECUTEs that name each other in a circle: PostgreSQL 15 crashes when it describes one. */
const ROUNDS = 1000;

const DONE_BY_EXECUTE = new Set(["set", "prepare", "deallocate", "discard-all"]);

export class ModelServer {
  /** Set when something came that no server could have been sent. */
  isDead = false;
  #input: Buffer = NOTHING;
  #replies: Buffer[] = [];
  #sent: Buffer[] = [];
  readonly #statements = new Map<string, Statement>();
  readonly #portals = new Map<string, Portal>();
  #status: "I" | "T" | "E" = "I";
  #skips = false;
  /** The message that a COPY FROM STDIN belongs to. */
  #copyIn: { readonly isQuery: boolean; readonly rest: readonly string[] } | null = null;
  #copyFails = false;

  /** All that is left of the input must be whole messages in the end. */
  get heldBytes(): number {
    return this.#input.length;
  }

  receive(bytes: Buffer): void {
    this.#input = Buffer.concat([this.#input, bytes]);
    while (this.#input.length >= 5 && !this.isDead) {
      const length = this.#input.readUInt32BE(1);
      assert(length >= 4 && length < 1 << 30, `a server gets no length of ${length}`);
      if (this.#input.length < length + 1) return;
      const body = this.#input.subarray(5, length + 1);
      const type = this.#input.toString("latin1", 0, 1);
      this.#input = this.#input.subarray(length + 1);
      this.#message(type, body);
    }
  }

  /** What the server has sent since it was asked last. */
  take(): Buffer {
    const sent = this.#sent.length === 1 ? (this.#sent[0] ?? NOTHING) : Buffer.concat(this.#sent);
    this.#sent = [];
    return sent;
  }

  #message(type: string, body: Buffer): void {
    if (this.#copyIn !== null) return this.#copyMessage(type, body);
    if (this.#skips && type !== "S" && type !== "X") return;
    if (type === "S") {
      this.#skips = false;
      return this.#ready();
    }
    try {
      this.#dispatch(type, body);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#failed(error.sqlstate);
      if (type === "Q" || type === "F") this.#ready();
      else this.#skips = true;
    }
  }

  #dispatch(type: string, body: Buffer): void {
    switch (type) {
      case "Q":
        return this.#query(stringAt(body, 0));
      case "P":
        return this.#parse(stringAt(body, 0), stringAt(body, 1));
      case "B":
        return this.#bind(stringAt(body, 0), stringAt(body, 1));
      case "D":
        return this.#describe(body.toString("latin1", 0, 1), stringAt(body.subarray(1), 0));
      case "E":
        return this.#execute(stringAt(body, 0), body.readInt32BE(body.length - 4));
      case "C":
        return this.#close(body.toString("latin1", 0, 1), stringAt(body.subarray(1), 0));
      case "H":
        return this.#flush();
      case "F":
        throw new ModelError("42883");
      case "d":
      case "c":
      case "f":
        return; // Left over from a COPY that has ended.
      case "X":
        this.isDead = true;
        return;
      default:
        throw new Error(`a server got a message of type ${type}`);
    }
  }

  // ---- the simple protocol ----------------------------------------------------------------

  #query(text: string): void {
    this.#statements.delete("");
    const parts = text.split(";").map((part) => part.trim());
    const statements = parts.filter((part) => part !== "");
    if (statements.length === 0) {
      this.#reply("I");
      return this.#ready();
    }
    // The whole text is read first.
    if (statements.some((one) => this.#isSyntaxError(one))) throw new ModelError("42601");
    this.#runAll(statements);
  }

  #runAll(statements: readonly string[]): void {
    for (const [index, text] of statements.entries()) {
      const behaviour = behaviourOf(text);
      this.#refuseIfFailed(behaviour);
      if (behaviour.fails !== null) throw new ModelError(behaviour.fails.sqlstate);
      this.#portals.delete("");
      if (behaviour.effect?.kind === "copy-in") {
        this.#beginCopy({ isQuery: true, rest: statements.slice(index + 1) });
        return;
      }
      const rows = this.#rowsOf(text);
      if (rows !== null) {
        this.#reply("T", this.#columnsOf(text) ?? "");
        for (const row of rows) this.#reply("D", row);
      }
      this.#complete(text, rows?.length ?? 0);
    }
    this.#ready();
  }

  // ---- the extended protocol --------------------------------------------------------------

  #parse(name: string, text: string): void {
    if (name === "") this.#statements.delete("");
    const behaviour = text === "" ? null : behaviourOf(text);
    if (text.includes(";")) throw new ModelError("42601");
    if (behaviour !== null && behaviour.fails?.sqlstate === "42601") throw new ModelError("42601");
    if (behaviour !== null) this.#refuseIfFailed(behaviour);
    if (behaviour?.fails?.at === "parse") throw new ModelError(behaviour.fails.sqlstate);
    if (name !== "" && this.#statements.has(name)) throw new ModelError("42P05");
    this.#statements.set(name, { text, columns: this.#columnsOf(text), isFromSql: false });
    this.#reply("1");
  }

  #bind(portal: string, name: string): void {
    const statement = this.#statements.get(name);
    if (statement === undefined) throw new ModelError("26000");
    const { text } = statement;
    const behaviour = text === "" ? null : behaviourOf(text);
    // Also one without text, although it may be parsed.
    if (this.#status === "E" && behaviour?.endsTransaction !== true) throw new ModelError("25P02");
    if (portal !== "" && this.#portals.has(portal)) throw new ModelError("42P03");
    if (behaviour?.fails?.at === "bind") throw new ModelError(behaviour.fails.sqlstate);
    const columns = this.#columnsOf(text);
    this.#portals.set(portal, { text, behaviour, columns, position: 0, isDone: false });
    this.#reply("2");
  }

  #describe(kind: string, name: string): void {
    const described = kind === "S" ? this.#statements.get(name) : this.#portals.get(name);
    if (described === undefined) throw new ModelError(kind === "S" ? "26000" : "34000");
    const { text, columns } = described;
    if (this.#status === "E" && columns !== null) throw new ModelError("25P02");
    // For an EXECUTE, or where all has failed for what has no columns, one without text may stand in.
    const mayBeAnother = executedBy(text) !== null || this.#status === "E";
    if (kind === "S") this.#reply("t", mayBeAnother ? "" : text);
    if (columns !== null) this.#findTargets(described);
    this.#reply(columns === null ? "n" : "T", columns ?? "");
  }

  /** Source: UtilityReturnsTuples of PostgreSQL 15; what an EXECUTE names need not be there. */
  #columnsOf(text: string): string | null {
    const executed = executedBy(text);
    if (executed !== null) return this.#statements.get(executed)?.columns ?? null;
    return text !== "" && behaviourOf(text).rows !== null ? text : null;
  }

  /** Where columns come from is looked up once more. Source: FetchStatementTargetList. */
  #findTargets(described: Pick<Statement, "text" | "columns">): void {
    let statement: typeof described | undefined = described;
    for (let depth = 0; statement.columns !== null; depth += 1) {
      const executed = executedBy(statement.text);
      if (executed === null) return;
      statement = this.#statements.get(executed);
      if (statement === undefined) throw new ModelError("26000");
      if (depth === ROUNDS) {
        this.isDead = true;
        return;
      }
    }
  }

  #execute(name: string, rowsMax: number): void {
    const portal = this.#portals.get(name);
    if (portal === undefined) throw new ModelError("34000");
    const { behaviour, text } = portal;
    if (behaviour === null) {
      this.#reply("I");
      return;
    }
    this.#refuseIfFailed(behaviour);
    const rows = this.#rowsOf(text);
    if (rows !== null && portal.columns !== null) return this.#fetch(portal, rows, rowsMax);
    if (portal.isDone) throw new ModelError("55000");
    portal.isDone = true;
    // What the EXECUTE names had no columns when it was bound: then nobody gets its rows.
    if (rows !== null) return this.#replyTag(`SELECT ${rows.length}`);
    if (behaviour.fails !== null) throw new ModelError(behaviour.fails.sqlstate);
    if (behaviour.effect?.kind === "copy-in") return this.#beginCopy({ isQuery: false, rest: [] });
    this.#complete(text, 0);
  }

  #fetch(portal: Portal, rows: readonly string[], rowsMax: number): void {
    const limit = rowsMax > 0 ? rowsMax : rows.length + 1;
    const fetched = rows.slice(portal.position, portal.position + limit);
    for (const row of fetched) this.#reply("D", row);
    portal.position += fetched.length;
    if (fetched.length === limit) this.#reply("s");
    else this.#replyTag(`SELECT ${fetched.length}`);
  }

  #close(kind: string, name: string): void {
    if (kind === "S") this.#statements.delete(name);
    else this.#portals.delete(name);
    this.#reply("3");
  }

  // ---- COPY -------------------------------------------------------------------------------

  #beginCopy(copy: { readonly isQuery: boolean; readonly rest: readonly string[] }): void {
    this.#copyIn = copy;
    this.#copyFails = false;
    this.#reply("G");
    this.#flush();
  }

  #copyMessage(type: string, body: Buffer): void {
    if (type === "S" || type === "H") return;
    const copy = this.#copyIn;
    if (type === "d") {
      // Told at the end of the data: a Sync before it is eaten for certain.
      this.#copyFails ||= body.includes("bad");
      return;
    }
    if (type === "f") return this.#endCopy("57014");
    if (type === "c" && this.#copyFails) return this.#endCopy("22P02");
    if (type === "X") {
      this.isDead = true;
      return;
    }
    if (type !== "c") {
      this.#reply("E", "FATAL 08P01");
      this.#flush();
      this.isDead = true;
      return;
    }
    this.#copyIn = null;
    this.#replyTag("COPY 1");
    if (copy?.isQuery !== true) return;
    try {
      this.#runAll(copy.rest);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#failed(error.sqlstate);
      this.#ready();
    }
  }

  #endCopy(sqlstate: string): void {
    const isQuery = this.#copyIn?.isQuery === true;
    this.#copyIn = null;
    this.#failed(sqlstate);
    if (isQuery) this.#ready();
    else this.#skips = true;
  }

  // ---- what commands do -------------------------------------------------------------------

  #complete(text: string, rowCount: number): void {
    const meant = this.#meantBy(text);
    const { effect, tag } = meant === "" ? { effect: null, tag: "" } : behaviourOf(meant);
    // EXECUTE of what belongs to transactions, or copies, is not what this model is for.
    const isDone = effect !== null && (meant === text || DONE_BY_EXECUTE.has(effect.kind));
    const told = isDone ? this.#act(effect) : null;
    this.#replyTag(told ?? (rowCount > 0 ? `SELECT ${rowCount}` : tag));
  }

  /** @returns a tag that differs from the usual one. */
  #act(effect: Effect): string | null {
    switch (effect.kind) {
      case "begin":
        if (this.#status === "T") this.#reply("N", "25001");
        this.#status = "T";
        return null;
      case "commit":
      case "rollback": {
        const hadFailed = this.#status === "E";
        if (this.#status === "I") this.#reply("N", "25P01");
        this.#status = "I";
        this.#portals.clear();
        return hadFailed ? "ROLLBACK" : null;
      }
      case "set":
        this.#reply("S", `DateStyle\0${effect.value}\0`);
        return null;
      case "prepare":
        if (this.#statements.has(effect.name)) throw new ModelError("42P05");
        this.#statements.set(effect.name, {
          text: effect.text,
          columns: effect.text,
          isFromSql: true,
        });
        return null;
      case "deallocate":
        if (effect.name === null) this.#forgetNamed();
        else if (!this.#statements.delete(effect.name)) throw new ModelError("26000");
        return null;
      case "discard-all":
        if (this.#status !== "I") throw new ModelError("25001");
        this.#forgetNamed();
        this.#portals.clear();
        return null;
      case "copy-out":
        this.#reply("H");
        for (let row = 0; row < 3; row += 1) this.#reply("d", `row ${row}\n`);
        this.#reply("c");
        return null;
      case "execute":
      case "copy-in":
        return null;
    }
  }

  /** The unnamed one is not in the list that is dropped. */
  #forgetNamed(): void {
    for (const name of this.#statements.keys()) if (name !== "") this.#statements.delete(name);
  }

  /** What it gives when it is executed now. */
  #rowsOf(text: string): readonly string[] | null {
    if (isQuestion(text)) return answerTo(text, this.#preparedBySql());
    const meant = this.#meantBy(text);
    if (meant === "") return null;
    const { rows, fails } = behaviourOf(meant);
    if (meant !== text && fails !== null) throw new ModelError(fails.sqlstate);
    return rows === null ? null : Array.from({ length: rows }, (_, row) => `${meant} ${row}`);
  }

  /** The text that an EXECUTE of an EXECUTE and so on comes to; of another statement, its own. */
  #meantBy(text: string): string {
    let meant = text;
    for (let depth = 0; depth < ROUNDS; depth += 1) {
      const name = executedBy(meant);
      if (name === null) return meant;
      const named = this.#statements.get(name);
      if (named === undefined) throw new ModelError("26000");
      meant = named.text;
    }
    throw new ModelError("54001");
  }

  #preparedBySql(): Map<string, string> {
    const own = [...this.#statements].filter(([, { isFromSql }]) => isFromSql);
    return new Map(own.map(([name, { text }]) => [name, text]));
  }

  #isSyntaxError(text: string): boolean {
    return behaviourOf(text).fails?.sqlstate === "42601";
  }

  #refuseIfFailed(behaviour: Behaviour): void {
    if (this.#status === "E" && !behaviour.endsTransaction) throw new ModelError("25P02");
  }

  #failed(sqlstate: string): void {
    this.#reply("E", `SERROR\0VERROR\0C${sqlstate}\0Mm\0\0`);
    if (this.#status === "T") this.#status = "E";
    this.#portals.clear();
    this.#flush();
  }

  #ready(): void {
    // An implicit transaction ends here, and with it what it opened.
    if (this.#status === "I") this.#portals.clear();
    this.#reply("Z", this.#status);
    this.#flush();
  }

  /** A relay may read it: it ends with a zero. */
  #replyTag(tag: string): void {
    this.#reply("C", `${tag}\0`);
  }

  #reply(type: string, body = ""): void {
    this.#replies.push(say.any(type, body));
  }

  #flush(): void {
    if (this.#replies.length > 0) this.#sent.push(...this.#replies.splice(0));
  }
}
