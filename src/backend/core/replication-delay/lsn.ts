/** `16/B374D848` as a byte position; null when it is none. */
export function parseLsn(text: string | null): bigint | null {
  const parts = text === null ? null : /^([\dA-F]{1,8})\/([\dA-F]{1,8})$/iu.exec(text);
  if (parts === null) return null;
  return (BigInt(`0x${parts[1] ?? ""}`) << 32n) + BigInt(`0x${parts[2] ?? ""}`);
}
