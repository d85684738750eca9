/** What the files and exchanges of this module consist of. */
import type { Secret } from "../base/index.ts";

/** Something wrong or surprising in a file; the same shape as the findings of `config`. */
export interface AuthFinding {
  readonly level: "error" | "warning" | "notice";
  readonly file: string;
  readonly line: number | null;
  readonly message: string;
  readonly hint: string | null;
}

export type HbaMethod = "trust" | "reject" | "scram-sha-256" | "md5" | "password";

/** A database or user as a rule names it. Quoted names are never keywords. */
export type HbaName =
  | { readonly kind: "all" }
  | { readonly kind: "sameuser" }
  | { readonly kind: "name"; readonly name: string };

export type HbaAddress =
  | { readonly kind: "all" }
  | { readonly kind: "samehost" }
  | { readonly kind: "samenet" }
  /** Networks of which one must contain the client; bytes are already masked. */
  | { readonly kind: "networks"; readonly networks: readonly Network[] };

export interface Network {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** As long as `address`. */
  readonly mask: Uint8Array;
}

/** One line of pool_hba.conf. */
export interface HbaRule {
  readonly line: number;
  readonly connection: "local" | "host" | "hostssl" | "hostnossl";
  readonly databases: readonly HbaName[];
  readonly users: readonly HbaName[];
  /** Null for `local`. */
  readonly address: HbaAddress | null;
  /**
   * How the client proves itself. `refuse` is a method of Pgpool-II that is not offered here: the
   * client is refused, and told `reason`.
   */
  readonly action:
    | { readonly kind: "method"; readonly method: HbaMethod }
    | { readonly kind: "refuse"; readonly method: string; readonly reason: string };
  readonly options: ReadonlyMap<string, string>;
}

export interface HbaClient {
  readonly type: "local" | "host";
  readonly tls: boolean;
  /** IPv4 or IPv6 as text; `::ffff:1.2.3.4` counts as 1.2.3.4. Null: unknown, or a local socket. */
  readonly address: string | null;
  readonly database: string;
  readonly user: string;
  /** This machine's addresses as `10.0.0.1/24`; without a prefix length the host alone. */
  readonly ownAddresses: readonly string[];
}

/** What pool_passwd knows of a user. */
export type PoolSecret =
  /** The password itself. */
  | { readonly kind: "text"; readonly secret: Secret }
  /** `md5` and 32 hex digits: md5(password || user), as PostgreSQL stores it. */
  | { readonly kind: "md5"; readonly secret: Secret }
  /** Base64 of the encrypted password, without the prefix `AES`. */
  | { readonly kind: "aes"; readonly secret: Secret }
  | ScramSecret;

/** `SCRAM-SHA-256$...`, as PostgreSQL stores it. */
export interface ScramSecret {
  readonly kind: "scram";
  readonly secret: Secret;
  /**
   * In base64, when a client has proven to have it: with this key one can log in wherever the same
   * verifier is stored. No file has it, and it lives as long as the client's connection.
   */
  readonly clientKey?: Secret;
}

export interface PoolPasswdEntry {
  readonly line: number;
  readonly user: string;
  readonly secret: PoolSecret;
  /** The third and fourth field: another login towards the backends. Null when not written. */
  readonly backend: { readonly user: string; readonly secret: PoolSecret } | null;
}

/** Why a SCRAM exchange ended; `SCRAM_REASONS` has a sentence for each. */
export type ScramReason =
  | "out-of-order"
  | "message-too-long"
  | "message-malformed"
  | "channel-binding-unsupported"
  | "authorization-identity-unsupported"
  | "extension-unsupported"
  | "nonce-mismatch"
  | "iterations-out-of-range"
  | "secret-malformed"
  | "verifier-differs"
  | "password-mismatch"
  | "server-signature-mismatch"
  | "server-refused";

export type ScramServerSecret =
  | { readonly kind: "text"; readonly password: Secret }
  /** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. */
  | { readonly kind: "scram-verifier"; readonly verifier: Secret };
