import { matchHba } from "../../auth/index.ts";
import { failure, type Failure } from "../../base/index.ts";
import type { ClientMethod, StartedClient } from "../core/session/index.ts";
import type { Settings } from "./worker-context.ts";

/** How a client has to prove itself. */
export type Door =
  | { readonly kind: "open" }
  | { readonly kind: "prove"; readonly method: ClientMethod }
  /** By whatever method PostgreSQL asks of us. */
  | { readonly kind: "as-backend" }
  | { readonly kind: "shut"; readonly failure: Failure };

/** @param address null for a client on a Unix socket. */
export function doorFor(client: StartedClient, address: string | null, settings: Settings): Door {
  if (!settings.config.enable_pool_hba) return { kind: "as-backend" };
  const rule = matchHba(settings.hbaRules, {
    type: address === null ? "local" : "host",
    tls: false,
    address,
    database: client.database,
    user: client.user,
    ownAddresses: settings.ownAddresses,
  });
  const who = `host "${address ?? "[local]"}", user "${client.user}", database "${client.database}"`;
  if (rule === null) {
    const detail = `no pool_hba.conf entry for ${who}, SSL off`;
    const hint = "Add a line for it to pool_hba.conf, then reload.";
    return { kind: "shut", failure: failure("no-hba-entry", { detail, hint }) };
  }
  if (rule.action.kind === "refuse") {
    const message = `authentication method "${rule.action.method}" is not available`;
    const detail = `pool_hba.conf line ${rule.line}: ${rule.action.reason}`;
    return { kind: "shut", failure: failure("unsupported-method", { message, detail }) };
  }
  switch (rule.action.method) {
    case "trust":
      return { kind: "open" };
    case "reject": {
      const message = `pool_hba.conf rejects connection for ${who}, SSL off`;
      return { kind: "shut", failure: failure("no-hba-entry", { message }) };
    }
    case "md5":
    case "password":
    case "scram-sha-256":
      return { kind: "prove", method: rule.action.method };
  }
}
