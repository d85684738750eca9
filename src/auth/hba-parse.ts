/**
 * pool_hba.conf: one rule a line, the first that matches decides.
 *
 *     local   DATABASE  USER                    METHOD  [NAME=VALUE ...]
 *     host    DATABASE  USER  ADDRESS [MASK]    METHOD  [NAME=VALUE ...]
 *
 * A table with an error yields no rules at all: a hole where the broken line stood could admit
 * those whom it was to keep out.
 */
import { fail, succeed, type Result } from "../base/index.ts";
import { maskedNetwork, parseAddress, parseNetwork } from "./address.ts";
import { splitFields, type HbaToken } from "./hba-tokens.ts";
import type { AuthFinding, HbaAddress, HbaName, HbaRule } from "./types.ts";

export interface HbaParseOptions {
  /** The name used in findings. */
  readonly file?: string;
  /** Reads the file of an `@file` item, by the name as written. */
  readonly readFile?: (name: string) => Result<string, string>;
}

/** Files that name files that name files: deeper than this is a loop. */
const INCLUDE_DEPTH_MAX = 10;

const METHODS = ["trust", "reject", "scram-sha-256", "md5", "password"] as const;
const REFUSED_METHODS: ReadonlyMap<string, string> = new Map([
  ["pam", "PAM authentication is not available"],
  ["ldap", "LDAP authentication is not available"],
  ["cert", "certificate authentication is not available"],
]);

/** What a line lacks, and how to write it. */
interface Complaint {
  readonly message: string;
  readonly hint: string | null;
}

/**
 * Source: Pgpool-II manual, "The pool_hba.conf File". Different: `localhost` is the only host
 * name understood, and names that Pgpool-II would silently never match are reported.
 */
export function parseHba(
  text: string,
  options: HbaParseOptions = {},
): { readonly rules: readonly HbaRule[]; readonly findings: readonly AuthFinding[] } {
  const file = options.file ?? "pool_hba.conf";
  const rules: HbaRule[] = [];
  const findings: AuthFinding[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const at = { file, line: index + 1 };
    const fields = splitFields(line);
    if (!fields.ok) {
      findings.push({ level: "error", ...at, message: fields.error, hint: null });
    } else if (fields.value.length > 0) {
      const rule = parseRule(fields.value, at.line, options);
      if (!rule.ok) findings.push({ level: "error", ...at, ...rule.error });
      else {
        rules.push(rule.value);
        findings.push(...namesWithoutMeaning(rule.value).map((found) => ({ ...found, ...at })));
      }
    }
  }
  const isBroken = findings.some((finding) => finding.level === "error");
  return { rules: isBroken ? [] : rules, findings };
}

function parseRule(
  fields: readonly HbaToken[][],
  line: number,
  options: HbaParseOptions,
): Result<HbaRule, Complaint> {
  const connection = fields[0]?.map((token) => token.text).join(",") ?? "";
  if (!isConnection(connection)) {
    return complain(
      `unknown connection type "${connection}"`,
      "Write local, host, hostssl or hostnossl.",
    );
  }
  if (fields.length < 3) return complain("the line ends before the database and user", FORM);
  const databases = parseNames(fields[1] ?? [], "database", options);
  if (!databases.ok) return databases;
  const users = parseNames(fields[2] ?? [], "user", options);
  if (!users.ok) return users;

  const address = connection === "local" ? LOCAL : parseRuleAddress(fields);
  if (!address.ok) return address;
  const action = parseAction(fields[address.value.next]);
  if (!action.ok) return action;
  const ruleOptions = parseOptions(fields.slice(address.value.next + 1), action.value);
  if (!ruleOptions.ok) return ruleOptions;
  return succeed({
    line,
    connection,
    databases: databases.value,
    users: users.value,
    address: address.value.address,
    action: action.value,
    options: ruleOptions.value,
  });
}

const FORM = "The form is: TYPE DATABASE USER [ADDRESS] METHOD.";
const LOCAL = succeed({ address: null, next: 3 });

function isConnection(text: string): text is HbaRule["connection"] {
  return text === "local" || text === "host" || text === "hostssl" || text === "hostnossl";
}

function parseNames(
  tokens: readonly HbaToken[],
  of: "database" | "user",
  options: HbaParseOptions,
  depth = 0,
): Result<readonly HbaName[], Complaint> {
  const names: HbaName[] = [];
  for (const token of tokens) {
    if (!token.quoted && token.text.startsWith("@") && token.text.length > 1) {
      const included = readNames(token.text.slice(1), of, options, depth + 1);
      if (!included.ok) return included;
      names.push(...included.value);
    } else if (!token.quoted && token.text === "all") names.push({ kind: "all" });
    else if (!token.quoted && token.text === "sameuser" && of === "database") {
      names.push({ kind: "sameuser" });
    } else names.push({ kind: "name", name: token.text });
  }
  return succeed(names);
}

function readNames(
  name: string,
  of: "database" | "user",
  options: HbaParseOptions,
  depth: number,
): Result<readonly HbaName[], Complaint> {
  if (depth > INCLUDE_DEPTH_MAX) {
    return complain(`"@${name}" is included more than ${INCLUDE_DEPTH_MAX} levels deep`, null);
  }
  const text = options.readFile?.(name) ?? fail("no file can be read here");
  if (!text.ok) return complain(`could not read the list "@${name}": ${text.error}`, null);
  const names: HbaName[] = [];
  for (const line of text.value.split(/\r?\n/)) {
    const fields = splitFields(line);
    if (!fields.ok) return complain(`in the list "@${name}": ${fields.error}`, null);
    const found = parseNames(fields.value.flat(), of, options, depth);
    if (!found.ok) return found;
    names.push(...found.value);
  }
  return succeed(names);
}

function parseRuleAddress(
  fields: readonly HbaToken[][],
): Result<{ readonly address: HbaAddress; readonly next: number }, Complaint> {
  const token = fields[3]?.[0];
  if (token === undefined) return complain("the line ends before the address", FORM);
  const text = token.text;
  if (!token.quoted && (text === "all" || text === "samehost" || text === "samenet")) {
    return succeed({ address: { kind: text }, next: 4 });
  }
  if (text.toLowerCase() === "localhost") {
    const networks = [parseNetwork("127.0.0.1"), parseNetwork("::1")].filter((n) => n !== null);
    return succeed({ address: { kind: "networks", networks }, next: 4 });
  }
  if (text.includes("/")) {
    const network = parseNetwork(text);
    if (network === null) {
      return complain(`"${text}" is no address range`, "Write it like 10.0.0.0/8 or fd00::/64.");
    }
    return succeed({ address: { kind: "networks", networks: [network] }, next: 4 });
  }
  const address = parseAddress(text);
  if (address === null) {
    return complain(
      `host names are not looked up: "${text}"`,
      "Write the address range, like 10.0.0.5/32, or all, samehost, samenet.",
    );
  }
  const mask = parseAddress(fields[4]?.[0]?.text ?? "");
  if (mask === null || mask.length !== address.length) {
    return complain(
      `the address "${text}" has no mask`,
      `Write ${text}/${address.length * 8} for this one host.`,
    );
  }
  const networks = [maskedNetwork(address, mask)];
  return succeed({ address: { kind: "networks", networks }, next: 5 });
}

function parseAction(field: readonly HbaToken[] | undefined): Result<HbaRule["action"], Complaint> {
  const text = field?.[0]?.text;
  if (text === undefined) return complain("the line ends before the method", FORM);
  const method = METHODS.find((known) => known === text);
  if (method !== undefined) return succeed({ kind: "method", method });
  const reason = REFUSED_METHODS.get(text);
  if (reason !== undefined) return succeed({ kind: "refuse", method: text, reason });
  return complain(
    `unknown authentication method "${text}"`,
    `Methods are ${[...METHODS, ...REFUSED_METHODS.keys()].join(", ")}.`,
  );
}

function parseOptions(
  fields: readonly HbaToken[][],
  action: HbaRule["action"],
): Result<ReadonlyMap<string, string>, Complaint> {
  const options = new Map<string, string>();
  for (const { text } of fields.flat()) {
    const equals = text.indexOf("=");
    if (equals <= 0) return complain(`"${text}" is no option of the form name=value`, null);
    // An option that is not honoured could loosen what the rule was to demand.
    if (action.kind === "method") {
      return complain(`the method ${action.method} has no option "${text.slice(0, equals)}"`, null);
    }
    options.set(text.slice(0, equals), text.slice(equals + 1));
  }
  return succeed(options);
}

/**
 * `samerole`, `+group` and regular expressions mean something to PostgreSQL, and to Pgpool-II are
 * names that nobody has. Harmless where a rule admits, an open door where it was to reject.
 */
function namesWithoutMeaning(
  rule: HbaRule,
): { level: "error" | "warning"; message: string; hint: string | null }[] {
  const isReject = rule.action.kind === "method" && rule.action.method === "reject";
  return [...rule.databases, ...rule.users].flatMap((item) => {
    if (item.kind !== "name") return [];
    const { name } = item;
    if (name !== "samerole" && name !== "samegroup" && !/^[+/]./.test(name)) return [];
    return {
      level: isReject ? ("error" as const) : ("warning" as const),
      message: `"${name}" is taken as a plain name and so matches nobody`,
      hint: "Roles and patterns are not known here: list the names.",
    };
  });
}

function complain(message: string, hint: string | null): Result<never, Complaint> {
  return fail({ message, hint });
}
