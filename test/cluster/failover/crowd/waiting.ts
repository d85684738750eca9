/** Sessions that do nothing while the cluster suffers: idle ones, and open transactions. */
import { LEDGER, OPEN_WRITERS_FROM, type CrowdOptions, type SessionsReport } from "./messages.ts";
import { ErrorTally, isTold, Session, type Told } from "./session.ts";

const WORK_MEM = "4321kB";
/** A session that meets more than this is not waited for any longer. */
const ERRORS_MAX = 5;
const CONNECT_TRIES_MAX = 3;

/** A session between transactions, with a setting and a prepared statement of its own. */
class IdleSession {
  readonly session: Session;
  #hadConnection = false;

  constructor(options: CrowdOptions, name: string) {
    this.session = new Session(options, name);
  }

  async prepare(): Promise<void> {
    await this.session.connect(stopAfter(CONNECT_TRIES_MAX));
    this.#hadConnection = this.session.isConnected;
    await this.session.ask(`SET work_mem = '${WORK_MEM}'`);
    await this.session.ask(NAMED);
  }

  async goOn(errors: ErrorTally): Promise<Meeting> {
    const met = { errorsCount: 0, isStateLost: false, isConnectionLost: false };
    if (!this.#hadConnection) return met;
    for (const statement of ["SHOW work_mem", NAMED]) {
      const answer = await this.session.ask(statement);
      if (isTold(answer)) {
        errors.add(answer);
        met.errorsCount += 1;
      } else if (statement === "SHOW work_mem" && answer[0]?.["work_mem"] !== WORK_MEM) {
        met.isStateLost = true;
      }
      if (!this.session.isConnected) break;
    }
    met.isConnectionLost = !this.session.isConnected;
    return met;
  }
}

const NAMED = { name: "idle_one", text: "SELECT $1::int + 1 AS sum", values: [1] };

/** A transaction that has written a row and was not ended when it happened. */
class OpenTransaction {
  readonly session: Session;
  readonly #writer: number;
  #number = 0;
  #isOpen = false;

  constructor(options: CrowdOptions, writer: number, name: string) {
    this.session = new Session(options, name);
    this.#writer = writer;
  }

  close(): void {
    this.#isOpen = false;
    this.session.drop();
  }

  async prepare(round: number): Promise<void> {
    await this.session.connect(stopAfter(CONNECT_TRIES_MAX));
    const begun = await this.session.ask("BEGIN");
    this.#isOpen = !isTold(begun) && !isTold(await this.#insert(round));
  }

  /** Goes on with its transaction, and after an error with a new one. */
  async goOn(round: number, errors: ErrorTally): Promise<Meeting> {
    const met = { errorsCount: 0, isStateLost: false, isConnectionLost: false };
    if (!this.#isOpen) return met;
    const meet = (told: Told): void => {
      errors.add(told);
      met.errorsCount += 1;
    };
    let step = await this.#insert(round);
    if (!isTold(step)) step = await this.session.ask("COMMIT");
    while (isTold(step) && met.errorsCount < ERRORS_MAX) {
      meet(step);
      if (!this.session.isConnected) {
        met.isConnectionLost = true;
        await this.session.connect(stopAfter(CONNECT_TRIES_MAX));
      } else {
        const rolledBack = await this.session.ask("ROLLBACK");
        if (isTold(rolledBack)) meet(rolledBack);
      }
      step = await this.#insert(round);
    }
    return met;
  }

  #insert(round: number): ReturnType<Session["ask"]> {
    this.#number += 1;
    const row = `${round}, ${this.#writer}, ${this.#number}, 0`;
    const columns = "round, writer, number, delta";
    return this.session.ask(`INSERT INTO ${LEDGER} (${columns}) VALUES (${row})`);
  }
}

interface Meeting {
  readonly errorsCount: number;
  readonly isStateLost: boolean;
  readonly isConnectionLost: boolean;
}

export class WaitingSessions {
  readonly #idle: readonly IdleSession[];
  readonly #open: readonly OpenTransaction[];
  #round = 0;

  constructor(options: CrowdOptions) {
    this.#idle = Array.from(
      { length: options.idleCount },
      (_, index) => new IdleSession(options, `idle ${index}`),
    );
    this.#open = Array.from(
      { length: options.openCount },
      (_, index) => new OpenTransaction(options, OPEN_WRITERS_FROM + index, `open ${index}`),
    );
  }

  async begin(round: number, hasOpen: boolean): Promise<void> {
    this.#round = round;
    for (const each of this.#open) each.close();
    const preparing = [
      ...this.#idle.map((each) => each.prepare()),
      ...(hasOpen ? this.#open.map((each) => each.prepare(round)) : []),
    ];
    await Promise.all(preparing);
  }

  async end(): Promise<{ readonly idle: SessionsReport; readonly open: SessionsReport }> {
    const idleErrors = new ErrorTally();
    const openErrors = new ErrorTally();
    const [idle, open] = await Promise.all([
      Promise.all(this.#idle.map((each) => each.goOn(idleErrors))),
      Promise.all(this.#open.map((each) => each.goOn(this.#round, openErrors))),
    ]);
    return { idle: reportOf(idle, idleErrors), open: reportOf(open, openErrors) };
  }
}

function reportOf(meetings: readonly Meeting[], errors: ErrorTally): SessionsReport {
  return {
    count: meetings.length,
    errorsOfEach: meetings.map(({ errorsCount }) => errorsCount),
    connectionsLost: meetings.filter(({ isConnectionLost }) => isConnectionLost).length,
    statesLost: meetings.filter(({ isStateLost }) => isStateLost).length,
    errors: errors.take(),
  };
}

/** For a wait that may be given up: true when it was asked so often. */
function stopAfter(tries: number): () => boolean {
  let asked = 0;
  return () => {
    asked += 1;
    return asked > tries;
  };
}
