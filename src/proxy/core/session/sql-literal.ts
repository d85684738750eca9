/**
 * Text for a query of our own, whatever the session has set: standard_conforming_strings,
 * client_encoding and search_path change nothing about it.
 *
 * @param bytes of the database's encoding, one a character.
 */
export function sqlLiteral(bytes: string): string {
  if (/^[ -[\]-~]*$/.test(bytes)) return `'${bytes.replaceAll("'", "''")}'`;
  const hex = Buffer.from(bytes, "latin1").toString("hex");
  return `pg_catalog.convert_from(pg_catalog.decode('${hex}', 'hex'), pg_catalog.getdatabaseencoding())`;
}

/** A quoted identifier; only for names of plain ASCII. */
export function sqlIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Readable and the same in every encoding that a client may have. */
export function isPlainAscii(bytes: string): boolean {
  return /^[\t\n\f\r -~]*$/.test(bytes);
}
