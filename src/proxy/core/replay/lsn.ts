/**
 * A position in PostgreSQL's write-ahead log, as it prints it: two hexadecimal numbers of up to eight
 * digits. As a number it is exact up to 2^53 bytes, which is more than any server will ever write.
 *
 * @returns null for what is no such position.
 */
export function parseLsn(text: string): number | null {
  const parts = /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text.trim());
  if (parts === null) return null;
  const lsn = Number.parseInt(parts[1] ?? "", 16) * 2 ** 32 + Number.parseInt(parts[2] ?? "", 16);
  return Number.isSafeInteger(lsn) ? lsn : null;
}

export function formatLsn(lsn: number): string {
  const high = Math.floor(lsn / 2 ** 32);
  return `${high.toString(16)}/${(lsn % 2 ** 32).toString(16)}`.toUpperCase();
}
