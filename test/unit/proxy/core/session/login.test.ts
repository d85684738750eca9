import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  md5Password,
  md5Response,
  scramVerifier,
  startScramClient,
  startScramServer,
  type PoolSecret,
} from "../../../../../src/auth/index.ts";
import { Secret } from "../../../../../src/base/index.ts";
import {
  BackendLogin,
  ClientLogin,
  ClientStart,
  type BackendLoginListener,
  type ClientMethod,
} from "../../../../../src/proxy/core/session/index.ts";
import {
  AUTHENTICATION,
  buildAuthentication,
  buildError,
  buildKeyData,
  buildParameterStatus,
  buildPassword,
  buildReady,
  encodeStartUp,
  HEADER_BYTES,
  PROTOCOL_3_0,
  PROTOCOL_3_2,
  READY,
} from "../../../../../src/wire/postgres/index.ts";

const FAILED_WITHOUT_ENTRY =
  'failed password authentication failed: pool_passwd file does not contain an entry for "u"';
const TEXT: PoolSecret = { kind: "text", secret: new Secret("pencil") };
const SALT_SEED = Buffer.alloc(16, 3);
const RANDOM = Buffer.from("0123456789abcdefghijklm");

describe("a client's start", () => {
  const packet = encodeStartUp(new Map([["user", "alice"]]), PROTOCOL_3_0);
  const ssl = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

  test("encryption is refused, then the packet is read, however it is cut", () => {
    const start = new ClientStart();
    expect(start.push(ssl)).toMatchObject({ kind: "answer", bytes: Buffer.from("N") });
    for (const byte of packet.subarray(0, -1)) {
      expect(start.push(Buffer.from([byte])).kind).toBe("more");
    }
    expect(start.push(packet.subarray(-1))).toMatchObject({
      kind: "start-up",
      client: { user: "alice", database: "alice", isReplication: false, negotiation: null },
    });
  });

  test.each([
    [PROTOCOL_3_0, null, 4],
    [PROTOCOL_3_0 + 1, null, 4],
    [PROTOCOL_3_2, null, 32],
    [PROTOCOL_3_0 + 9999, PROTOCOL_3_2, 32],
  ])(
    "of protocol %i: negotiated down to what is spoken, with a key as long",
    (asked, answer, key) => {
      const event = new ClientStart().push(encodeStartUp(new Map([["user", "alice"]]), asked));
      if (event.kind !== "start-up") throw new Error(event.kind);
      expect(event.client.cancelKeyBytes).toBe(key);
      expect(event.client.negotiation?.readInt32BE(5) ?? null).toBe(answer);
    },
  );

  test("bytes behind an SSLRequest are refused: somebody may have put them in", () => {
    const start = new ClientStart();
    expect(start.push(Buffer.concat([ssl, packet]))).toMatchObject({ kind: "refused" });
  });

  test("encryption may be asked for twice, not for ever", () => {
    const start = new ClientStart();
    expect([start.push(ssl).kind, start.push(ssl).kind]).toEqual(["answer", "answer"]);
    expect(start.push(ssl).kind).toBe("refused");
  });

  test("what comes behind the packet is kept", () => {
    const start = new ClientStart();
    start.push(Buffer.concat([packet, Buffer.from("early")]));
    expect(start.rest.toString()).toBe("early");
  });

  test.each([
    ["database", true],
    ["true", true],
    ["off", false],
  ])("replication=%s", (value, isReplication) => {
    const given = new Map([
      ["user", "a"],
      ["replication", value],
    ]);
    const event = new ClientStart().push(encodeStartUp(given, PROTOCOL_3_0));
    expect(event).toMatchObject({ client: { isReplication } });
  });
});

/** Proves itself to us by this password. */
function scram(one: ClientLogin, secret: string): ReturnType<ClientLogin["answered"]> {
  const client = startScramClient({
    user: "u",
    password: new Secret(secret),
    nonceBytes: RANDOM,
  });
  const first = client.first();
  const length = Buffer.alloc(4);
  length.writeInt32BE(first.length, 0);
  const step = one.answered(
    buildPassword(Buffer.concat([Buffer.from("SCRAM-SHA-256\0"), length, first])),
  );
  if (step.kind !== "send") return step;
  const final = client.onServerFirst(step.bytes.subarray(HEADER_BYTES + 4));
  if (!final.ok) throw new Error(final.error);
  return one.answered(buildPassword(final.value));
}

describe("a client's login", () => {
  const login = (method: ClientMethod, secret: PoolSecret | null, isRelayed = false): ClientLogin =>
    new ClientLogin({ method, user: "u", secret, isRelayed, random: RANDOM, saltSeed: SALT_SEED });
  const password = (text: string): Buffer => buildPassword(Buffer.from(`${text}\0`));

  test("SCRAM: the right password is accepted, a wrong one and an unknown user are not", () => {
    expect(scram(login("scram-sha-256", TEXT), "pencil").kind).toBe("accepted");
    expect(scram(login("scram-sha-256", TEXT), "pen")).toMatchObject({
      kind: "refused",
      failure: { sqlstate: "28P01", detail: "password does not match" },
    });
    expect(scram(login("scram-sha-256", null), "pencil")).toMatchObject({
      failure: { detail: 'pool_passwd file does not contain an entry for "u"' },
    });
  });

  test("SCRAM: garbage instead of a message is refused", () => {
    for (const body of [
      "",
      "SCRAM-SHA-256",
      "SCRAM-SHA-256\0\0\0",
      "PLAIN\0\0\0\0\0",
      "x\0".repeat(9),
    ]) {
      const step = login("scram-sha-256", TEXT).answered(buildPassword(Buffer.from(body)));
      expect(step.kind).toBe("refused");
    }
  });

  test("md5 is answered to this question's salt", () => {
    const one = login("md5", TEXT);
    const salt = one.start().subarray(HEADER_BYTES + 4);
    const response = md5Response(md5Password(new Secret("pencil"), "u"), salt);
    expect(one.answered(password(response)).kind).toBe("accepted");
    expect(login("md5", TEXT).answered(password("md5" + "0".repeat(32))).kind).toBe("refused");
  });

  test("a clear password is compared, or handed on when the backend shall judge", () => {
    expect(login("password", TEXT).answered(password("pencil")).kind).toBe("accepted");
    expect(login("password", TEXT).answered(password("pen")).kind).toBe("refused");
    expect(login("password", null).answered(password("pencil")).kind).toBe("refused");
    const relayed = login("password", null, true).answered(password("any"));
    expect(relayed.kind === "accepted" && relayed.shown?.secret.reveal()).toBe("any");
    expect(login("password", null, true).answered(password("")).kind).toBe("refused");
  });
});

describe("a login to a backend", () => {
  function open(): { login: BackendLogin; events: string[]; sent: Buffer[] } {
    const events: string[] = [];
    const sent: Buffer[] = [];
    const listener: BackendLoginListener = {
      send: (bytes) => {
        sent.push(bytes);
        events.push(`send ${bytes.toString("latin1", 0, 1)}`);
      },
      asked: (method) => events.push(`asked ${method}`),
      loggedIn: ({ parameters, processId }) =>
        events.push(`in ${processId} ${parameters.get("TimeZone")}`),
      refused: (_, fields) => events.push(`refused ${fields.get("C")}`),
      failed: (why) => events.push(`failed ${why.message}: ${why.detail}`),
      hash: ({ iterations }, done) => {
        events.push(`hash ${iterations}`);
        setImmediate(done);
      },
    };
    return { login: new BackendLogin({ user: "u", random: RANDOM, listener }), events, sent };
  }

  const WELCOME = Buffer.concat([
    buildAuthentication(AUTHENTICATION.ok),
    buildParameterStatus("TimeZone", "UTC"),
    buildKeyData(42, Buffer.from([0, 0, 0, 7])),
    buildReady(READY.idle),
  ]);

  test("trust: parameters and key are taken, in whatever pieces they come", () => {
    const { login, events } = open();
    for (const byte of WELCOME) login.push(Buffer.from([byte]));
    expect(events).toEqual(["in 42 UTC"]);
  });

  test("a password goes out only when it is asked for and known", () => {
    const { login, events } = open();
    login.push(buildAuthentication(AUTHENTICATION.cleartext));
    login.proceed(TEXT);
    login.push(WELCOME);
    expect(events).toEqual(["asked password", "send p", "in 42 UTC"]);
    const unknown = open();
    unknown.login.push(buildAuthentication(AUTHENTICATION.cleartext));
    unknown.login.proceed(null);
    expect(unknown.events).toEqual(["asked password", FAILED_WITHOUT_ENTRY]);
  });

  test("SCRAM: a server that skips its own proof is not believed", () => {
    const { login, events } = open();
    login.push(buildAuthentication(AUTHENTICATION.sasl, Buffer.from("SCRAM-SHA-256\0\0")));
    login.proceed(TEXT);
    login.push(WELCOME);
    expect(events).toEqual([
      "asked scram-sha-256",
      "send p",
      "failed the backend did not prove that it knows the password: ",
    ]);
  });

  /** Runs the exchange with a server that has this verifier, up to what it says of it. */
  function logIn(
    secret: PoolSecret,
    verifier: Secret,
    iterations: number,
  ): { events: string[]; goOn: () => void } {
    const { login, events, sent } = open();
    login.push(buildAuthentication(AUTHENTICATION.sasl, Buffer.from("SCRAM-SHA-256\0\0")));
    login.proceed(secret);
    if (sent.length === 0) return { events, goOn: () => undefined };
    const server = startScramServer({
      secret: { kind: "scram-verifier", verifier },
      nonceBytes: RANDOM,
      saltBytes: SALT_SEED,
      iterations,
    });
    const start = HEADER_BYTES + "SCRAM-SHA-256\0".length + 4;
    const first = server.first((sent[0] as Buffer).subarray(start));
    if (!first.ok) throw new Error(first.error);
    login.push(buildAuthentication(AUTHENTICATION.saslContinue, first.value));
    const goOn = (): void => {
      const [, answer] = sent;
      if (answer === undefined) return;
      const final = server.final(answer.subarray(HEADER_BYTES));
      if (!final.ok) throw new Error(final.error);
      login.push(buildAuthentication(AUTHENTICATION.saslFinal, final.value.serverFinal));
      login.push(WELCOME);
    };
    return { events, goOn };
  }

  const VERIFIER = scramVerifier(new Secret("pencil"), SALT_SEED, 4096);

  test("SCRAM: the key that a client has shown opens the server that has the same verifier", () => {
    const of = { kind: "scram", secret: VERIFIER } as const;
    const proven = scram(
      new ClientLogin({
        method: "scram-sha-256",
        user: "u",
        secret: of,
        isRelayed: false,
        random: RANDOM,
        saltSeed: SALT_SEED,
      }),
      "pencil",
    );
    if (proven.kind !== "accepted" || proven.shown === null) throw new Error(proven.kind);
    const { events, goOn } = logIn(proven.shown, VERIFIER, 4096);
    goOn();
    expect(events).toEqual(["asked scram-sha-256", "send p", "send p", "in 42 UTC"]);
    expect(inspect(proven.shown)).not.toMatch(/[A-Za-z0-9+/]{30}/);

    const other = scramVerifier(new Secret("pencil"), Buffer.alloc(16, 4), 4096);
    expect(logIn(proven.shown, other, 4096).events.at(-1)).toBe(
      "failed SCRAM exchange with the backend failed: the server has another SCRAM secret of this user than the one that is stored here",
    );
    expect(logIn(of, VERIFIER, 4096).events.at(-1)).toContain("is of kind scram");
  });

  test("SCRAM: many rounds are hashed elsewhere, and known at the next login", async () => {
    const rounds = 20_000;
    const verifier = scramVerifier(new Secret("pencil"), SALT_SEED, rounds);
    const slow: PoolSecret = { kind: "text", secret: new Secret("pencil") };
    const first = logIn(slow, verifier, rounds);
    expect(first.events).toEqual(["asked scram-sha-256", "send p", "hash 20000"]);
    await new Promise(setImmediate);
    first.goOn();
    expect(first.events.slice(3)).toEqual(["send p", "in 42 UTC"]);
    const second = logIn(slow, verifier, rounds);
    second.goOn();
    expect(second.events).toEqual(["asked scram-sha-256", "send p", "send p", "in 42 UTC"]);
  });

  test("an md5 entry cannot answer SCRAM, and says so", () => {
    const { login, events } = open();
    login.push(buildAuthentication(AUTHENTICATION.sasl, Buffer.from("SCRAM-SHA-256\0\0")));
    login.proceed({ kind: "md5", secret: new Secret(`md5${"0".repeat(32)}`) });
    expect(events.at(-1)).toBe(
      'failed password authentication failed: the entry of "u" in pool_passwd is of kind md5; the backend asks for scram-sha-256',
    );
  });

  test("PostgreSQL's refusal is kept word for word, and a strange method named", () => {
    const refused = open();
    refused.login.push(buildError({ severity: "FATAL", sqlstate: "3D000", message: "no" }));
    expect(refused.events).toEqual(["refused 3D000"]);
    const strange = open();
    strange.login.push(buildAuthentication(7));
    expect(strange.events).toEqual([
      "failed unsupported auth kind received from backend: authkind:7: trust, password, md5 and scram-sha-256 are supported",
    ]);
    const garbage = open();
    garbage.login.push(Buffer.from("HTTP/1.1 400"));
    expect(garbage.events[0]).toMatch(/^failed/);
  });
});
