/**
 * The planted mistakes: what a hurried hand could change in the core, in its drivers or in the
 * settings, one at a time. Each has to break a promise within 500 seeds.
 */
import type { Planted } from "../planted.ts";
import {
  choosesAnew,
  forgetsInheritance,
  forgetsIntent,
  keepsEpoch,
  repeatsEnded,
  trustsCommand,
  trustsInherited,
} from "./wrong-conductors.ts";
import {
  acceptsAnyProof,
  appliesAtCommit,
  believesAnyAck,
  believesAnyStore,
  believesAnyWord,
  countsUncommittedMembers,
  electsOldLogs,
  forgetsPromise,
  renewsAlways,
  settlesAtOnce,
  skipsPreVote,
} from "./wrong-steps.ts";

interface Canary {
  /** What is wrong. */
  readonly about: string;
  readonly planted: Planted;
}

export const CANARIES: Readonly<Record<string, Canary>> = {
  "no-pre-vote": { about: "stands without asking first", planted: { step: skipsPreVote } },
  "vote-not-stored": {
    about: "stores its term and forgets its vote",
    planted: { stored: (durable) => ({ ...durable, votedFor: null }) },
  },
  "stored-after-answer": {
    about: "answers first and stores then",
    planted: {
      order: (actions) => [
        ...actions.filter(({ type }) => type !== "persist"),
        ...actions.filter(({ type }) => type === "persist"),
      ],
    },
  },
  "no-boot-silence": {
    about: "votes at once after a start",
    planted: {
      startState: (state) => ({
        ...state,
        silentUntilMs: 0,
        electionAtMs: state.electionAtMs - state.timing.promiseMs,
      }),
    },
  },
  "kernel-lease-over-half-T": {
    about: "opens the kernel for 0.8 T at each renewal",
    planted: {
      fence: (fence, { leaseMs }) =>
        fence.kernelLeaseMs === null ? fence : { ...fence, kernelLeaseMs: 0.8 * leaseMs },
    },
  },
  "revivable-lease": {
    about: "a renewal opens what has run out",
    planted: { isRevivable: true },
  },
  "wall-clock": { about: "measures by the wall clock", planted: { usesWallClock: true } },
  "proof-before-deletion": {
    about: "says that the VIP is released while the address is still there",
    planted: { provesEarly: true },
  },
  "renews-on-waking": {
    about: "a paused process arms and renews before it asks",
    planted: { renewsOnWaking: true },
  },
  "arming-opens": {
    about: "the permit that a child sets, however late, opens",
    planted: { armOpens: true },
  },
  "renewal-for-an-old-round": {
    about: "renews at every tick, whatever a quorum has answered",
    planted: { step: renewsAlways },
  },
  "members-not-committed": {
    about: "counts the quorum on a list that was only written",
    planted: { step: countsUncommittedMembers },
  },
  "intent-not-committed": {
    about: "acts on an intent when it is proposed",
    planted: { actsOnUncommitted: true },
  },
  "command-again-on-retry": {
    about: "starts a slow command a second time",
    planted: { repeatsCommand: true },
  },
  "command-without-probe": {
    about: "runs an inherited intent's command without looking first",
    planted: { neverProbes: true },
  },
  "command-outlives-lead": {
    about: "lets its command run on when it leads no longer",
    planted: { neverKills: true },
  },
  "inherited-is-done": {
    about: "takes the candidate of an inherited intent for promoted",
    planted: { conduct: trustsInherited },
  },
  "command-is-believed": {
    about: "takes the candidate for promoted when its command has ended",
    planted: { conduct: trustsCommand },
  },
  "candidate-chosen-anew": {
    about: "chooses another candidate for an inherited intent, unseen what was done",
    planted: { conduct: choosesAnew },
  },
  "inherited-in-its-epoch": {
    about: "runs the command of an inherited intent in the epoch of the leader before",
    planted: { conduct: keepsEpoch },
  },
  "command-again-after-its-end": {
    about: "runs a command once more that has ended well",
    planted: { conduct: repeatsEnded },
  },
  "epoch-not-checked": {
    about: "a worker forwards without a routing lease",
    planted: { ignoresLease: true },
  },
  "settled-at-commit": {
    about: "promotes before all have left the old epoch",
    planted: { step: settlesAtOnce },
  },
  "applied-when-heard": {
    about: "says that it has applied what it has only heard of",
    planted: { step: appliesAtCommit },
  },
  "drain-not-held": {
    about: "lets writes begin on a primary that a switchover drains",
    planted: { ignoresDrain: true },
  },
  "promoted-behind": {
    about: "does not wait until the target of a switchover has replayed everything",
    planted: { believesReplay: true },
  },
  "proof-of-another-term": {
    about: "takes any secret for the holder's",
    planted: { step: acceptsAnyProof },
  },
  "lease-over-promise": {
    about: "T is 1.3 P",
    planted: { timing: (timing) => ({ ...timing, leaseMs: timing.promiseMs * 1.3 }) },
  },
  "promise-forgotten": {
    about: "votes while it is bound to a leader",
    planted: { step: forgetsPromise },
  },
  "unheard-acknowledgement": {
    about: "counts a round as acknowledged when it is sent",
    planted: { step: believesAnyAck },
  },
  "unheard-storage": {
    about: "counts an entry as stored when it is sent",
    planted: { step: believesAnyStore },
  },
  "old-log-elected": {
    about: "votes for a candidate that misses committed entries",
    planted: { step: electsOldLogs },
  },
  "kernel-not-waited-for": {
    about: "takes over without waiting for an address that runs out late",
    planted: { fence: (fence) => ({ ...fence, closeBoundMs: 0 }) },
  },
  "damaged-file-is-empty": {
    about: "takes a damaged state file for a new one",
    planted: { forgetsDamagedFile: true },
  },
};

/** Mistakes that take more than one loss at once to be seen. */
export const RARE_CANARIES: Readonly<Record<string, Canary>> = {
  "applied-is-an-answer": {
    about: "takes the word that a state is applied for the answer to the newest round",
    planted: { step: believesAnyWord },
  },
  "undone-unseen": {
    about:
      "starts the old primary of an inherited switchover, whether the target was promoted or not",
    planted: { conduct: forgetsInheritance },
  },
};

/** Mistakes that break no promise of a moment: the failover just never comes to its end. */
export const STUCK_CANARIES: Readonly<Record<string, Canary>> = {
  "intent-forgotten": {
    about: "drops an inherited intent",
    planted: { conduct: forgetsIntent },
  },
};

export function canaryNames(): readonly string[] {
  return Object.keys(CANARIES);
}

/** @param name null: nothing is planted. */
export function plantedBy(name: string | null): Planted {
  return name === null ? {} : ((CANARIES[name] ?? RARE_CANARIES[name])?.planted ?? {});
}
