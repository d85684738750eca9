import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  SCRAM_REASONS,
  scramSaltFor,
  scramVerifier,
  startScramClient,
  startScramServer,
  type ScramServerSecret,
} from "../../../src/auth/index.ts";
import { rememberedScramKeys, scramKeys } from "../../../src/auth/scram-keys.ts";
import { Secret } from "../../../src/base/index.ts";

const NONCE = Buffer.alloc(18, 7);
const SALT = Buffer.alloc(16, 9);

/** RFC 7677 section 3: user "user", password "pencil". */
const RFC = {
  clientNonce: "rOprNGfwEbeRWgbNEkqO",
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverFirst:
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal:
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

function server(secret: ScramServerSecret | null, iterations = 4096) {
  return startScramServer({ secret, nonceBytes: NONCE, saltBytes: SALT, iterations });
}

function client(password: string, user = "") {
  return startScramClient({
    user,
    password: new Secret(password),
    nonceBytes: Buffer.alloc(18, 3),
  });
}

const textSecret = (password: string): ScramServerSecret => ({
  kind: "text",
  password: new Secret(password),
});
const verifierSecret = (text: string): ScramServerSecret => ({
  kind: "scram-verifier",
  verifier: new Secret(text),
});

/** "ok", or why the client or the server ended the exchange. */
function logIn(secret: ScramServerSecret | null, password: string): string {
  const [them, us] = [client(password), server(secret, 10)];
  const serverFirst = us.first(them.first());
  if (!serverFirst.ok) return serverFirst.error;
  const clientFinal = them.onServerFirst(serverFirst.value);
  if (!clientFinal.ok) return clientFinal.error;
  const final = us.final(clientFinal.value);
  if (!final.ok) return final.error;
  const end = them.onServerFinal(final.value.serverFinal);
  return end.ok ? "ok" : end.error;
}

describe("the example of RFC 7677", () => {
  const rfcClient = () =>
    startScramClient({
      user: "user",
      password: new Secret("pencil"),
      nonceBytes: Buffer.from(RFC.clientNonce, "base64"),
    });

  test("is reproduced by the client", () => {
    const them = rfcClient();
    expect(them.first().toString()).toBe(RFC.clientFirst);
    const final = them.onServerFirst(Buffer.from(RFC.serverFirst));
    expect(final.ok && final.value.toString()).toBe(RFC.clientFinal);
    expect(them.onServerFinal(Buffer.from(RFC.serverFinal))).toEqual({ ok: true, value: null });
  });

  test("fails when the server's signature is another", () => {
    const them = rfcClient();
    them.onServerFirst(Buffer.from(RFC.serverFirst));
    const other = `v=${Buffer.alloc(32, 1).toString("base64")}`;
    expect(them.onServerFinal(Buffer.from(other))).toEqual({
      ok: false,
      error: "server-signature-mismatch",
    });
  });
});

describe("a verifier as PostgreSQL 15 stored it", () => {
  test.each([
    [
      "pencil",
      "ZLlVwToEd7B3si1ExLY8Rg==",
      "KTfTFUTu18IwVugh9rc4EoSZIFwnkHkRXRjy8ShZ/r4=:xJjfHC0gVfI/FQCBMmOVkQJHFwZkE2E6iL9YQOYGOSU=",
    ],
    [
      "Ｐäss ﬁwort²",
      "jkXGqHNB7+kTHWkPRECaBA==",
      "kZkuAvgJZoE1cgGor2GpVHN6QOKw2UYr5m38GxkWqzw=:4Dsbo6Vqi3ZszD+N4MWf5lIXhLRttKX9Wzl8cqcWr24=",
    ],
    [
      "🔑é",
      "pBs+7E7LvHRTX3buWnfyZQ==",
      "UMxzvhPFBkZcOK3jjqOp7BuRp5NztI+GPgzh4eBybuw=:B4jZsNSLojTg/QE/G0zV1IGEnuuUG/+l/NeVKb09utM=",
    ],
    [
      "אבא",
      "bxnz3Ix8rOdQPnkXZqcINw==",
      "y8x+bFkyjYZNjEUNoGmvN3e5qyF9q5NNSPmx6cq5P5M=:WdiY0IGy7n4P3SAICqbGrhEVebtW47b1EMzyWBOUFfg=",
    ],
  ])("is made from the password %s, and proven by it", (password, salt, keys) => {
    const stored = `SCRAM-SHA-256$4096:${salt}$${keys}`;
    const made = scramVerifier(new Secret(password), Buffer.from(salt, "base64"), 4096);
    expect(made.reveal()).toBe(stored);
    expect(logIn(verifierSecret(stored), password)).toBe("ok");
    expect(logIn(verifierSecret(stored), `${password}x`)).toBe("password-mismatch");
  });

  test("is proven by a password that SASLprep makes equal", () => {
    const made = scramVerifier(new Secret("Päss fiwort2"), SALT, 10).reveal();
    expect(logIn(verifierSecret(made), "Ｐäss ﬁwort²")).toBe("ok");
    expect(logIn(verifierSecret(made), "Pa\u0308ss\u00a0f\u00adiwort2")).toBe("ok");
  });

  test.each([
    ["SCRAM-SHA-256$0:AAAA$", "iterations of 0"],
    ["SCRAM-SHA-256$9999999:AAAA$", "too many iterations"],
    ["SCRAM-SHA-256$4096:AAAA$", "short keys"],
    ["nonsense", "no form at all"],
  ])("that cannot be read (%s) fails at the end, as a wrong password does", (text) => {
    expect(logIn(verifierSecret(text), "pencil")).toBe("secret-malformed");
  });
});

describe("a login", () => {
  test("with the right password is proven to both sides", () => {
    expect(logIn(textSecret("pencil"), "pencil")).toBe("ok");
  });

  test.each([
    ["a wrong password", textSecret("pencil")],
    ["a user nobody knows", null],
  ])("with %s fails alike", (_, secret) => {
    expect(logIn(secret, "pen")).toBe("password-mismatch");
  });

  test("of a user nobody knows fails even with the password that is hashed for the time it takes", () => {
    expect(logIn(null, "nobody")).toBe("password-mismatch");
  });

  test("gives the key that the client proved to have", () => {
    const [them, us] = [client("pencil"), server(textSecret("pencil"))];
    const serverFirst = us.first(them.first());
    const clientFinal = them.onServerFirst(serverFirst.ok ? serverFirst.value : Buffer.alloc(0));
    const final = us.final(clientFinal.ok ? clientFinal.value : Buffer.alloc(0));
    expect(final.ok && final.value.clientKey).toEqual(
      scramKeys(new Secret("pencil"), SALT, 4096).clientKey,
    );
  });

  test.each([
    ["n", "biws"],
    ["y", "eSws"],
  ])("with the gs2 header %s binds just that", (flag, binding) => {
    const us = server(textSecret("x"));
    const first = us.first(Buffer.from(`${flag},,n=,r=abc`));
    const nonce = /r=([^,]+)/.exec(first.ok ? first.value.toString() : "")?.[1];
    const proof = Buffer.alloc(32).toString("base64");
    expect(us.final(Buffer.from(`c=${binding},r=${nonce},p=${proof}`))).toEqual({
      ok: false,
      error: "password-mismatch",
    });
  });
});

describe("a client's first message is refused", () => {
  test.each([
    ["p=tls-server-end-point,,n=,r=abc", "channel-binding-unsupported"],
    ["n,a=bob,n=,r=abc", "authorization-identity-unsupported"],
    ["n,,m=x,n=,r=abc", "extension-unsupported"],
    ["n,x,n=,r=abc", "message-malformed"],
    ["n,,r=abc", "message-malformed"],
    ["n,,n=,r=", "message-malformed"],
    ["n,,n=,r=a\u0001", "message-malformed"],
    ["", "message-malformed"],
    [`n,,n=,r=${"a".repeat(1020)}`, "message-too-long"],
  ])("%.60s: %s", (text, error) => {
    expect(server(textSecret("x")).first(Buffer.from(text))).toEqual({ ok: false, error });
  });
});

describe("a client's final message is refused", () => {
  const nonce = `abc${NONCE.toString("base64")}`;
  const proof = Buffer.alloc(32).toString("base64");
  test.each([
    [`c=eSws,r=${nonce},p=${proof}`, "channel-binding-unsupported"],
    [`c=biws,r=${nonce}x,p=${proof}`, "nonce-mismatch"],
    [`c=biws,r=abc,p=${proof}`, "nonce-mismatch"],
    [`c=biws,r=${nonce},p=AAAA`, "message-malformed"],
    [`c=biws,r=${nonce},p=${"!".repeat(44)}`, "message-malformed"],
    [`c=biws,r=${nonce}`, "message-malformed"],
    [`r=${nonce},c=biws,p=${proof}`, "message-malformed"],
    [`c=biws,r=${nonce},x=${"a".repeat(1000)},p=${proof}`, "message-too-long"],
    [`c=biws,r=${nonce},x=ignored,p=${proof}`, "password-mismatch"],
  ])("%.60s: %s", (text, error) => {
    const us = server(textSecret("x"), 1);
    us.first(Buffer.from("n,,n=,r=abc"));
    expect(us.final(Buffer.from(text))).toEqual({ ok: false, error });
    expect(us.final(Buffer.from(text))).toEqual({ ok: false, error: "out-of-order" });
  });

  test("when none came before it, and a second first message too", () => {
    expect(server(null).final(Buffer.from("c=biws"))).toEqual({ ok: false, error: "out-of-order" });
    const us = server(null);
    us.first(Buffer.from("n,,n=,r=abc"));
    expect(us.first(Buffer.from("n,,n=,r=abc"))).toEqual({ ok: false, error: "out-of-order" });
  });
});

describe("a hostile backend is refused", () => {
  const nonce = Buffer.alloc(18, 3).toString("base64");
  test.each([
    [`r=${nonce}x,s=AAAA,i=1000001`, "iterations-out-of-range"],
    [`r=${nonce}x,s=AAAA,i=9999999999`, "iterations-out-of-range"],
    [`r=${nonce}x,s=AAAA,i=0`, "message-malformed"],
    [`r=${nonce}x,s=AAAA,i=99999999999`, "message-malformed"],
    [`r=${nonce}x,s=A,i=1`, "message-malformed"],
    [`r=${nonce},s=AAAA,i=1`, "nonce-mismatch"],
    [`r=other,s=AAAA,i=1`, "nonce-mismatch"],
    [`m=x,r=${nonce}x,s=AAAA,i=1`, "extension-unsupported"],
    ["", "message-malformed"],
    [`r=${nonce}${"x".repeat(2000)},s=AAAA,i=1`, "message-too-long"],
  ])("for its first message %.60s: %s", (text, error) => {
    const them = client("x");
    expect(them.onServerFirst(Buffer.from(text))).toEqual({ ok: false, error });
    expect(them.onServerFinal(Buffer.from("v="))).toEqual({ ok: false, error: "out-of-order" });
  });

  test.each([
    ["e=invalid-proof", "server-refused"],
    ["v=AAAA", "message-malformed"],
    ["", "message-malformed"],
  ])("for its final message %s: %s", (text, error) => {
    const them = client("x");
    them.onServerFirst(Buffer.from(`r=${nonce}x,s=AAAA,i=1`));
    expect(them.onServerFinal(Buffer.from(text))).toEqual({ ok: false, error });
  });
});

test("a user's name is escaped in the client's first message", () => {
  expect(client("x", "a=b,c").first().toString()).toMatch(/^n,,n=a=3Db=2Cc,r=/);
});

test("a user's salt stays, and differs from another's and under another seed", () => {
  const seed = Buffer.alloc(16, 1);
  expect(scramSaltFor(seed, "a")).toEqual(scramSaltFor(seed, "a"));
  expect(scramSaltFor(seed, "a")).toHaveLength(16);
  expect(scramSaltFor(seed, "a")).not.toEqual(scramSaltFor(seed, "b"));
  expect(scramSaltFor(seed, "a")).not.toEqual(scramSaltFor(Buffer.alloc(16, 2), "a"));
});

test("a known and an unknown user are asked the same", () => {
  const asked = (secret: ScramServerSecret | null) => server(secret).first(client("x").first());
  expect(asked(null)).toEqual(asked(textSecret("x")));
});

test("no bytes make either side throw, and every reason has a sentence", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 1500 }).map((array) => Buffer.from(array)),
    fc
      .constantFrom("n,,n=,r=abc", "c=biws,r=abc,p=AAAA", "v=AAAA", "r=a,s=AAAA,i=1")
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(bytes, bytes, (first, second) => {
      const us = server(textSecret("x"), 1);
      const them = client("x");
      for (const outcome of [
        us.first(first),
        us.final(second),
        them.onServerFirst(first),
        them.onServerFinal(second),
      ]) {
        if (!outcome.ok) expect(SCRAM_REASONS[outcome.error].length).toBeGreaterThan(10);
      }
    }),
    { numRuns: 1000 },
  );
});

test("any password logs in with itself and with no other", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", minLength: 1 }),
      fc.string({ minLength: 1 }),
      (password, other) => {
        expect(logIn(textSecret(password), password)).toBe("ok");
        const isSame = password.normalize("NFKC") === other.normalize("NFKC");
        if (!isSame) expect(logIn(textSecret(password), other)).toBe("password-mismatch");
      },
    ),
    { numRuns: 200 },
  );
});

describe("keys that are remembered", () => {
  test("are worked out once for each salt and number of rounds, and are those of the password", () => {
    const password = new Secret("pencil");
    const salts = Array.from({ length: 8 }, (_, i) => Buffer.alloc(16, i));
    const first = salts.map((salt) => rememberedScramKeys(password, salt, 100));
    salts.forEach((salt, i) => {
      expect(first[i]).toEqual(scramKeys(password, salt, 100));
      expect(rememberedScramKeys(password, Buffer.from(salt), 100)).toBe(first[i]);
    });
    expect(rememberedScramKeys(password, SALT, 101)).toEqual(scramKeys(password, SALT, 101));
    expect(rememberedScramKeys(new Secret("other"), SALT, 101)).toEqual(
      scramKeys(new Secret("other"), SALT, 101),
    );
  });

  test("of many salts are forgotten, the oldest first", () => {
    const password = new Secret("pencil");
    const oldest = rememberedScramKeys(password, SALT, 1);
    for (let i = 0; i < 8; i += 1) rememberedScramKeys(password, Buffer.alloc(16, i + 20), 1);
    expect(rememberedScramKeys(password, SALT, 1)).not.toBe(oldest);
  });
});
