/**
 * SASLprep of a password, as PostgreSQL does it: where the profile forbids the text, the text is
 * taken as it is, so that both sides still agree.
 *
 * Source: RFC 4013; PostgreSQL's pg_saslprep. The tables are those of today's Unicode rather than
 * of version 3.2: only characters that are newer and have a compatibility form can differ.
 */
export function saslPrep(password: string): string {
  if (ASCII_ONLY.test(password)) return password;
  const mapped = password.replace(NON_ASCII_SPACE, " ").replace(MAPPED_TO_NOTHING, "");
  const normalized = mapped.normalize("NFKC");
  if (normalized === "" || PROHIBITED.test(normalized) || breaksBidi(normalized)) return password;
  return normalized;
}

/* oxlint-disable no-control-regex -- control characters are what these sets are about */
const ASCII_ONLY = /^[\x00-\x7f]*$/;
const NON_ASCII_SPACE = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
const MAPPED_TO_NOTHING =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;
const PROHIBITED =
  /[\p{Cc}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\u0340\u0341\u06dd\u070f\u180e\u200e\u200f\u202a-\u202e\u2061-\u2063\u206a-\u206f\u2ff0-\u2ffb\ufff9-\ufffd\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u;
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
const LEFT_TO_RIGHT = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}]/u;

/** RFC 3454 section 6: right-to-left text is not mixed, and starts and ends as such. */
function breaksBidi(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return false;
  const chars = Array.from(text);
  const ends = [chars[0] ?? "", chars.at(-1) ?? ""];
  return LEFT_TO_RIGHT.test(text) || !ends.every((char) => RIGHT_TO_LEFT.test(char));
}
