import { assert } from "../../../base/index.ts";

/** Above its share a worker may have so many, and this part of the share. */
const SLACK_CONNECTIONS = 2;
const SLACK_PART = 0.05;

/**
 * Whether this worker keeps a client that it accepted. The kernel gives a connection to whichever
 * worker comes first, which is a matter of luck and load. So a worker that is clearly above the mean
 * passes new ones on. As long as workers are about even, and clients come and go, none is passed:
 * the way by the supervisor costs several times as much as accepting.
 */
export class FairShare {
  #othersCount = 0;
  #othersConnections = 0;
  /** As the supervisor knows it. */
  #told = 0;

  othersTold(count: number, connections: number): void {
    this.#othersCount = count;
    this.#othersConnections = connections;
  }

  /** @param own connections, the new one included. */
  mayKeep(own: number): boolean {
    if (this.#othersCount === 0) return true;
    const mean = (own + this.#othersConnections) / (this.#othersCount + 1);
    return own <= mean + slackOf(mean);
  }

  /** Whether the others should know; a worker alone has nobody to tell. */
  isNews(own: number): boolean {
    return this.#othersCount > 0 && Math.abs(own - this.#told) > slackOf(own) / 2;
  }

  told(own: number): void {
    assert(own >= 0, "nobody has fewer than no connections");
    this.#told = own;
  }
}

function slackOf(share: number): number {
  return SLACK_CONNECTIONS + share * SLACK_PART;
}
