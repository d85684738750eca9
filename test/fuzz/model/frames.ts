/** Cuts bytes into messages that can be compared one by one. */
import { assert } from "../../../src/base/index.ts";

/** ParameterStatus is left out: it may come at any time. */
export function framesOf(bytes: Buffer): string[] {
  const found: string[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    assert(end > at + 4 && end <= bytes.length, "the client gets whole messages");
    if (bytes[at] !== 0x53)
      found.push(bytes.toString("latin1", at, at + 1) + bytes.toString("latin1", at + 5, end));
    at = end;
  }
  assert(at === bytes.length, "the client gets whole messages");
  return found;
}

/** Where two lists of answers part, for a person to read; null when they do not. */
export function difference(direct: readonly string[], proxied: readonly string[]): string | null {
  const length = Math.max(direct.length, proxied.length);
  let at = 0;
  while (at < length && direct[at] === proxied[at]) at += 1;
  if (at === length) return null;
  const show = (list: readonly string[]): string =>
    list
      .slice(Math.max(0, at - 4), at + 5)
      .map((one) => JSON.stringify(one))
      .join(" ");
  return `answer ${at} of ${direct.length}:\n  direct  ${show(direct)}\n  proxied ${show(proxied)}`;
}

/** The zero-terminated string with this many others before it. */
export function stringAt(body: Buffer, ahead: number): string {
  let start = 0;
  for (let i = 0; i < ahead; i += 1) start = body.indexOf(0, start) + 1;
  const end = body.indexOf(0, start);
  assert(end !== -1, "a server gets strings that end");
  return body.toString("latin1", start, end);
}
