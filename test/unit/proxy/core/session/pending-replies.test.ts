import { describe, expect, test } from "vitest";
import {
  HIDDEN,
  INJECTED,
  PendingReplies,
  SENT,
  type ReplyWatcher,
} from "../../../../../src/proxy/core/session/pending-replies.ts";

const REPLY = (letter: string): number => letter.codePointAt(0) ?? 0;

function sent(...kinds: (keyof typeof SENT)[]): PendingReplies {
  const pending = new PendingReplies();
  for (const kind of kinds) pending.sent(SENT[kind]);
  return pending;
}

function replies(pending: PendingReplies, letters: string): void {
  for (const letter of letters) pending.replied(REPLY(letter));
}

describe("replies that are awaited", () => {
  test("each reply ends the message it belongs to", () => {
    const pending = sent("parse", "bind", "describe", "execute", "close", "sync", "query");
    replies(pending, "12TDDC3");
    expect(pending.count).toBe(2);
    replies(pending, "ZTDCZ");
    expect(pending.isIdle).toBe(true);
  });

  test("an error skips to the next Sync that is on its way, or to one yet to be sent", () => {
    const known = sent("bind", "execute", "query", "functionCall", "sync", "query");
    replies(known, "E");
    expect(known.count).toBe(2);
    replies(known, "ZCZ");
    expect(known.isIdle).toBe(true);
    const later = sent("bind", "execute");
    replies(later, "E");
    expect(later.isSkipping).toBe(true);
    later.sent(SENT.query);
    expect(later.count).toBe(0);
    later.sent(SENT.sync);
    later.sent(SENT.query);
    expect(later.count).toBe(2);
    expect(later.isSkipping).toBe(false);
  });

  test("an error in a Query, a FunctionCall or a Sync skips nothing", () => {
    for (const kind of ["query", "functionCall", "sync"] as const) {
      const pending = sent(kind, "parse", "sync");
      replies(pending, "EZ");
      expect(pending.count).toBe(2);
    }
  });

  test("a COPY eats the Syncs behind it, until its data ends", () => {
    const pending = sent("execute", "sync", "sync");
    replies(pending, "G");
    expect([pending.count, pending.isCopyIn, pending.isUnsynced]).toEqual([1, true, true]);
    pending.sent(SENT.sync);
    pending.sent(SENT.copyEnd);
    pending.sent(SENT.sync);
    replies(pending, "CZ");
    expect(pending.isIdle).toBe(true);
  });

  test("data that was sent ahead of the server's word ends the COPY in its place", () => {
    const pending = sent("execute", "sync", "copyEnd", "sync");
    replies(pending, "GCZ");
    expect(pending.isIdle).toBe(true);
    const plain = sent("execute", "copyEnd", "sync");
    replies(plain, "CZ");
    expect(plain.isIdle).toBe(true);
  });

  test("a COPY that fails is over, whatever the client still sends", () => {
    const pending = sent("query");
    replies(pending, "GE");
    expect(pending.isCopyIn).toBe(false);
    pending.sent(SENT.copyEnd);
    replies(pending, "Z");
    expect(pending.isIdle).toBe(true);
  });

  test("hidden replies are hidden, injected ones only when they succeed", () => {
    const pending = new PendingReplies();
    pending.sent(SENT.query, HIDDEN);
    expect(["C", "E", "Z"].map((letter) => pending.replied(REPLY(letter)))).toEqual([
      true,
      true,
      true,
    ]);
    pending.sent(SENT.parse, INJECTED);
    pending.sent(SENT.bind);
    expect(["1", "2"].map((letter) => pending.replied(REPLY(letter)))).toEqual([true, false]);
    pending.sent(SENT.parse, INJECTED);
    expect(pending.replied(REPLY("E"))).toBe(false);
  });

  test("watchers hear of success, failure and being skipped, in order", () => {
    const heard: string[] = [];
    const watch = (name: string): ReplyWatcher => ({
      failed: (wasSkipped) => heard.push(`${name} ${wasSkipped ? "skipped" : "failed"}`),
      ended: () => heard.push(`${name} ended`),
    });
    const pending = new PendingReplies();
    pending.sent(SENT.parse, 0, watch("a"));
    pending.sent(SENT.parse, 0, watch("b"));
    pending.sent(SENT.parse, 0, watch("c"));
    pending.sent(SENT.sync, 0, watch("sync"));
    pending.sent(SENT.query, 0, watch("query"));
    replies(pending, "1EZEZ");
    expect(heard).toEqual([
      "a ended",
      "b failed",
      "c skipped",
      "sync failed",
      "sync ended",
      "query failed",
      "query ended",
    ]);
  });

  test("many messages keep their order while the ring grows", () => {
    const pending = new PendingReplies();
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 1000; i += 1) pending.sent(i % 2 === 0 ? SENT.parse : SENT.bind);
      replies(pending, "12".repeat(400));
    }
    expect(pending.count).toBe(600);
    replies(pending, "12".repeat(300));
    expect(pending.count).toBe(0);
  });
});
