/**
 * Part of the supervisor's root: wishes of administrators on their way to the leader. Who agrees
 * says nothing; who does not agree says so within moments.
 */
import { fail, succeed, type Ms, type Result } from "../base/index.ts";
import type { Config } from "../config/index.ts";
import type { ClusterRequest } from "../wire/ipc/index.ts";

export interface ClusterRequestsOptions {
  readonly config: () => Config;
  readonly vote: (request: ClusterRequest) => void;
  readonly whyNotAttach: (id: number) => Promise<string | null>;
}

/** An answer that does not come is a request that goes on: the administrator is told so. */
const VERDICT_WAIT_MS: Ms = 400;

export class ClusterRequests {
  readonly #options: ClusterRequestsOptions;
  readonly #waiting = new Set<(request: ClusterRequest, why: string) => void>();

  constructor(options: ClusterRequestsOptions) {
    this.#options = options;
  }

  /**
   * Sends a wish to the leader. Errors: no such backend, a server that must not be attached, or no
   * quorum to decide it.
   */
  async ask(request: ClusterRequest): Promise<Result<void, string>> {
    const { config, vote, whyNotAttach } = this.#options;
    const { backends } = config();
    const isKnown = request.backendIds.every((id) => backends.some((b) => b.id === id));
    if (!isKnown) return fail(`invalid node ID : ${request.backendIds.join(", ")}`);
    for (const id of request.kind === "attach" ? request.backendIds : []) {
      const why = await whyNotAttach(id);
      if (why !== null) return fail(why);
    }
    return await new Promise((resolve) => {
      const refused = (which: ClusterRequest, why: string): void => {
        if (which.reason === request.reason && which.kind === request.kind) end(fail(why));
      };
      const timer = setTimeout(() => end(succeed(undefined)), VERDICT_WAIT_MS);
      const end = (outcome: Result<void, string>): void => {
        clearTimeout(timer);
        this.#waiting.delete(refused);
        resolve(outcome);
      };
      this.#waiting.add(refused);
      vote(request);
    });
  }

  onRefused(request: ClusterRequest, why: string): void {
    for (const refused of this.#waiting) refused(request, why);
  }
}
