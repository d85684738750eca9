import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  md5Password,
  md5Response,
  parsePcpConf,
  parsePoolPasswd,
  pcpMd5Response,
  pcpStoredHash,
  scramVerifier,
  verifyCleartext,
  verifyMd5,
  verifyPcp,
  type PoolSecret,
} from "../../../src/auth/index.ts";
import { Secret } from "../../../src/base/index.ts";

const SALT = Buffer.from([1, 2, 3, 4]);
const VERIFIER = scramVerifier(new Secret("pencil"), Buffer.alloc(16, 5), 10).reveal();

describe("pool_passwd", () => {
  const kindOf = (line: string) => {
    const entry = parsePoolPasswd(line).users.get("alice");
    return entry && [entry.secret.kind, entry.secret.secret.reveal()];
  };

  test.each([
    ["alice:md5b52328d7451bfeace80c4b8c338106f9", "md5", "md5b52328d7451bfeace80c4b8c338106f9"],
    ["alice:md5short", "text", "md5short"],
    ["alice:AESabc==", "aes", "abc=="],
    ["alice:TEXTpencil", "text", "pencil"],
    ["alice:pencil", "text", "pencil"],
    ["alice:pen cil#", "text", "pen cil#"],
    ["alice:", "text", ""],
    ["alice:pen\\:cil", "text", "pen:cil"],
    [`alice:${VERIFIER}`, "scram", VERIFIER],
  ])("%s holds the secret as %s", (line, kind, secret) => {
    expect(kindOf(line)).toEqual([kind, secret]);
  });

  test("may name another login towards the backends", () => {
    const { users } = parsePoolPasswd(`a:x:b:TEXTy\nc:${VERIFIER}:d:${VERIFIER}`);
    expect(users.get("a")?.backend).toMatchObject({ user: "b", secret: { kind: "text" } });
    expect(users.get("c")?.secret.secret.reveal()).toBe(VERIFIER);
    expect(users.get("c")?.backend?.user).toBe("d");
    expect(users.get("c")?.backend?.secret.secret.reveal()).toBe(VERIFIER);
  });

  test("gives a user's first line, skips comments, and unescapes names", () => {
    const { users, findings } = parsePoolPasswd("# note: this\n\na:1\r\na:2\nb\\:c:3\n");
    expect(findings).toEqual([]);
    expect([...users.keys()]).toEqual(["a", "b:c"]);
    expect(users.get("a")).toMatchObject({ line: 3 });
    expect(users.get("a")?.secret.secret.reveal()).toBe("1");
  });

  test("reports what it cannot read without quoting it", () => {
    const { users, findings } = parsePoolPasswd(`hunter2\n:x\n${"u".repeat(200)}:x`, "/etc/pp");
    expect(users.size).toBe(0);
    expect(findings.map((finding) => [finding.file, finding.line])).toEqual([
      ["/etc/pp", 1],
      ["/etc/pp", 2],
      ["/etc/pp", 3],
    ]);
    expect(JSON.stringify(findings)).not.toContain("hunter2");
  });

  test("shows no secret when it is printed", () => {
    const { users } = parsePoolPasswd("a:hunter2\nb:TEXThunter2:c:hunter2");
    expect(inspect(users, { depth: 9 }) + JSON.stringify([...users])).not.toContain("hunter2");
  });
});

describe("md5", () => {
  // As PostgreSQL 15 stores the password "secret" of the user "m".
  const stored = "md5b52328d7451bfeace80c4b8c338106f9";
  const secrets: [string, PoolSecret | null, boolean][] = [
    ["the password", { kind: "text", secret: new Secret("secret") }, true],
    ["the stored form", { kind: "md5", secret: new Secret(stored) }, true],
    ["another password", { kind: "text", secret: new Secret("secrets") }, false],
    ["a verifier", { kind: "scram", secret: new Secret(VERIFIER) }, false],
    ["an encrypted password", { kind: "aes", secret: new Secret("secret") }, false],
    ["nothing", null, false],
  ];

  test("stores as PostgreSQL does", () => {
    expect(md5Password(new Secret("secret"), "m").reveal()).toBe(stored);
  });

  test.each(secrets)("is proven against %s", (_, secret, proven) => {
    const response = md5Response(new Secret(stored), SALT);
    expect(verifyMd5({ secret, user: "m", salt: SALT, response })).toBe(proven);
    expect(verifyMd5({ secret, user: "m", salt: Buffer.from([1, 2, 3, 5]), response })).toBe(false);
  });

  test("of an unknown user is not proven by the hash that stands in for his", () => {
    const response = md5Response(new Secret(`md5${"0".repeat(32)}`), SALT);
    expect(verifyMd5({ secret: null, user: "m", salt: SALT, response })).toBe(false);
  });

  test.each([
    ["text", new Secret("pencil"), true],
    ["md5", md5Password(new Secret("pencil"), "m"), true],
    ["scram", new Secret(VERIFIER), true],
    ["scram", new Secret("SCRAM-SHA-256$x"), false],
    ["aes", new Secret("pencil"), false],
  ] as const)(
    "a password in the clear is compared with a secret of kind %s",
    (kind, secret, known) => {
      const check = (password: string) =>
        verifyCleartext({ secret: { kind, secret }, user: "m", password: new Secret(password) });
      expect(check("pencil")).toBe(known);
      expect(check("pencils")).toBe(false);
      expect(verifyCleartext({ secret: null, user: "m", password: new Secret("") })).toBe(false);
    },
  );
});

describe("pcp.conf", () => {
  const hash = pcpStoredHash(new Secret("secret")).reveal();

  test("holds what pg_md5 prints", () => {
    expect(hash).toBe("5ebe2294ecd0e0f08eab7690d2a6ee69");
  });

  test("opens to a user's right answer, by any of the user's lines", () => {
    const text = `# admin:x\nadmin:${"0".repeat(32)}\nadmin:${hash.toUpperCase()}\n\nother:${hash}\n`;
    const { users, findings } = parsePcpConf(text);
    expect(findings).toEqual([]);
    const answer = pcpMd5Response(new Secret(hash), "admin", SALT);
    expect(answer).toMatch(/^[0-9a-f]{32}$/);
    expect(verifyPcp(users, "admin", answer, SALT)).toBe(true);
    expect(verifyPcp(users, "other", answer, SALT)).toBe(false);
    expect(verifyPcp(users, "admin", answer, Buffer.from([0, 0, 0, 0]))).toBe(false);
    expect(verifyPcp(users, "admin", "", SALT)).toBe(false);
  });

  test("opens to nobody by the hash that stands in for an unknown user's", () => {
    const answer = pcpMd5Response(new Secret("0".repeat(32)), "ghost", SALT);
    expect(verifyPcp(new Map(), "ghost", answer, SALT)).toBe(false);
  });

  test("names the lines it cannot read", () => {
    const { users, findings } = parsePcpConf(`admin\nadmin:secret\n:${hash}\nok:${hash}`);
    expect([...users.keys()]).toEqual(["ok"]);
    expect(findings.map((finding) => finding.line)).toEqual([1, 2, 3]);
  });
});

test("no text makes the readers throw", () => {
  const text = fc.oneof(
    fc.string(),
    fc
      .array(fc.constantFrom(":", "\\", "md5", "SCRAM-SHA-256$", "1", "$", "\n", "a"))
      .map((x) => x.join("")),
  );
  fc.assert(
    fc.property(text, (text) => {
      for (const entry of parsePoolPasswd(text).users.values()) {
        const { user, secret } = entry;
        verifyMd5({ secret, user, salt: SALT, response: text });
        verifyCleartext({ secret, user, password: new Secret(text) });
      }
      verifyPcp(parsePcpConf(text).users, text, text, SALT);
    }),
  );
});
