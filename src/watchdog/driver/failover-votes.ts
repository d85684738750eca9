import { monotonicNowMs, type Log } from "../../os/index.ts";
import type { ClusterRequest, FromWatchdog } from "../../wire/ipc/index.ts";
import type { FailoverVerdict, PeerMessage } from "../../wire/watchdog/index.ts";
import { countVote, startVotes, type VoteRules, type VotesState } from "../core/failover/index.ts";

/** What this node is to the cluster at the moment. */
export interface Standing {
  readonly selfId: number;
  readonly leaderId: number | null;
  readonly isLeader: boolean;
  readonly hasQuorum: boolean;
  readonly members: readonly number[];
}

export interface FailoverVotesOptions {
  readonly rules: VoteRules;
  readonly log: Log;
  readonly standing: () => Standing;
  readonly tell: (message: FromWatchdog) => void;
  /** False: the peer cannot be reached. */
  readonly send: (to: number, message: PeerMessage) => boolean;
}

/** Brings this node's wishes for a failover to the leader, and counts them where that is us. */
export class FailoverVotes {
  readonly #options: FailoverVotesOptions;
  #votes: VotesState;

  constructor(options: FailoverVotesOptions) {
    this.#options = options;
    this.#votes = startVotes(options.rules);
  }

  /** Our supervisor wants it. */
  cast(request: ClusterRequest): void {
    const { selfId, leaderId, isLeader } = this.#options.standing();
    const mayForward = !isLeader && leaderId !== null;
    if (mayForward && this.#options.send(leaderId, { type: "failover-vote", request })) return;
    this.onVerdict(request, this.#count(selfId, request));
  }

  onPeerVote(from: number, request: ClusterRequest): void {
    const verdict = this.#count(from, request);
    this.#options.send(from, { type: "failover-verdict", request, verdict });
  }

  /** The leader has counted our vote. What was granted is for its own supervisor to do. */
  onVerdict(request: ClusterRequest, verdict: FailoverVerdict["verdict"]): void {
    if (verdict !== "granted") this.#options.tell({ type: "not-granted", request, why: verdict });
  }

  #count(from: number, request: ClusterRequest): FailoverVerdict["verdict"] {
    const { isLeader, hasQuorum, members } = this.#options.standing();
    if (!isLeader || !hasQuorum) return "no-quorum";
    const counted = countVote(this.#votes, { from, request, members }, monotonicNowMs());
    this.#votes = counted.state;
    const ids = request.backendIds.join(", ");
    this.#options.log.write(
      "log",
      `${request.kind} request for backend node ${ids} from watchdog node ${from}`,
      { detail: `${counted.verdict}: ${request.reason}` },
    );
    if (counted.verdict === "granted") {
      this.#options.tell({ type: "granted", request, votes: counted.votes });
    }
    return counted.verdict;
  }
}
