/** A server that asks for anything while we log in. */
import { startScramServer, type PoolSecret } from "../../../src/auth/index.ts";
import { assert, Secret } from "../../../src/base/index.ts";
import { BackendLogin } from "../../../src/proxy/core/session/index.ts";
import { HEADER_BYTES } from "../../../src/wire/postgres/index.ts";
import type { Random } from "../../sim/random.ts";
import { say } from "../../support/raw-client.ts";
import { step, type Step } from "../script.ts";
import type { Target } from "../target.ts";

const RANDOM = Buffer.alloc(18, 9);
const SALT = Buffer.alloc(16, 3);

const SECRETS: readonly (PoolSecret | null)[] = [
  { kind: "text", secret: new Secret("right") },
  { kind: "md5", secret: new Secret(`md5${"0".repeat(32)}`) },
  { kind: "scram", secret: new Secret("SCRAM-SHA-256$1:AAAA$A:A") },
  null,
];

export const backendLogin: Target = {
  name: "backend-login",
  about: "what a server says until its first ReadyForQuery",
  mutatesBytes: true,

  generate(random: Random): Step[] {
    const steps = [step("secret", Buffer.alloc(0), random.pick([0, 0, 0, 1, 2, 3]))];
    steps.push(...asking(random));
    for (let i = random.below(4); i > 0; i -= 1) steps.push(backend("S", "DateStyle\0ISO\0"));
    if (random.chance(0.2)) steps.push(backend("N", "SNOTICE\0Mhello\0\0"));
    if (random.chance(0.2)) steps.push(backend("v", Buffer.from([0, 3, 0, 0, 0, 0, 0, 0])));
    const keyBytes = random.pick([4, 4, 32, 256, 257, 3, 0]);
    steps.push(backend("K", Buffer.alloc(4 + keyBytes, 1)));
    steps.push(
      random.chance(0.8) ? backend("Z", "I") : backend("E", "SFATAL\0VFATAL\0C28P01\0Mno\0\0"),
    );
    if (random.chance(0.2)) steps.push(backend("Z", "I"));
    return steps;
  },

  run(steps, features) {
    const startMs = performance.now();
    const whole = logIn(steps, false);
    const tookMs = performance.now() - startMs;
    features.see(whole.length, steps.length, whole.at(-1)?.length ?? 0);
    const bytes = steps.reduce((sum, one) => sum + one.bytes.length, 0);
    // Hashing a password a million times is allowed, but once is enough.
    if (bytes > 3000 || tookMs > 100) return;
    const single = logIn(steps, true);
    assert(
      whole.join("\n") === single.join("\n"),
      `pieces change the login:\n${whole.join("\n")}\nor\n${single.join("\n")}`,
    );
  },
};

/** What the listener was told, up to the end of the login. */
function logIn(steps: readonly Step[], inPieces: boolean): string[] {
  const told: string[] = [];
  let isOver = false;
  const over = (line: string): void => {
    assert(!isOver, `a login ends once, and not again with ${line}`);
    isOver = true;
    told.push(line);
  };
  const secret = SECRETS[(steps.find(({ what }) => what === "secret")?.number ?? 0) % 4] ?? null;
  const login: BackendLogin = new BackendLogin({
    user: "u",
    random: RANDOM,
    listener: {
      send: (bytes) => told.push(`send ${bytes.toString("latin1")}`),
      asked: (method) => {
        told.push(`asked ${method}`);
        login.proceed(secret);
      },
      loggedIn: ({ parameters, processId, cancelKey, method }) => {
        assert(cancelKey.length >= 4 && cancelKey.length <= 256, "a cancel key has 4 to 256 bytes");
        over(
          `logged in ${processId} ${cancelKey.length} ${method} ${JSON.stringify([...parameters])}`,
        );
      },
      refused: (bytes) => over(`refused ${bytes.toString("latin1")}`),
      failed: (why) => over(`failed ${why.message} ${why.detail}`),
      hash: (_hashing, done) => done(),
    },
  });
  login.start(new Map([["user", "u"]]));
  for (const { what, bytes } of steps) {
    if (what !== "backend" || isOver) continue;
    const chunks = inPieces ? [...bytes].map((byte) => Buffer.of(byte)) : [bytes];
    for (const chunk of chunks) if (!isOver) login.push(chunk);
  }
  return told;
}

function backend(type: string, body: Buffer | string): Step {
  return step("backend", say.any(type, body));
}

function authentication(code: number, body: Buffer | string = ""): Step {
  const word = Buffer.alloc(4);
  word.writeInt32BE(code, 0);
  return backend("R", Buffer.concat([word, Buffer.from(body)]));
}

function asking(random: Random): Step[] {
  switch (random.below(6)) {
    case 0:
      return [authentication(0)];
    case 1:
      return [authentication(3), authentication(0)];
    case 2:
      return [authentication(5, Buffer.alloc(random.pick([4, 4, 2, 0]), 7)), authentication(0)];
    case 3:
      return [authentication(random.pick([1, 2, 6, 7, 8, 9, 11, 12, 13, -1, 999]))];
    default:
      return scram(random);
  }
}

/** A server that knows the password; its final message is right only when nothing is mutated. */
function scram(random: Random): Step[] {
  const steps = [
    authentication(
      10,
      random.pick(["SCRAM-SHA-256\0\0", "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", "OTHER\0\0"]),
    ),
  ];
  const sent: Buffer[] = [];
  const login: BackendLogin = new BackendLogin({
    user: "u",
    random: RANDOM,
    listener: {
      send: (bytes) => sent.push(bytes),
      asked: () => login.proceed(SECRETS[0] ?? null),
      loggedIn: () => undefined,
      refused: () => undefined,
      failed: () => undefined,
      hash: (_hashing, done) => done(),
    },
  });
  login.push(steps[0]?.bytes ?? Buffer.alloc(0));
  const opening = sent.pop();
  if (opening === undefined) return steps;
  const server = startScramServer({
    secret: { kind: "text", password: new Secret("right") },
    nonceBytes: RANDOM,
    saltBytes: SALT,
    iterations: random.pick([1, 1, 1, 4096, 100_000]),
  });
  const first = server.first(opening.subarray(HEADER_BYTES + "SCRAM-SHA-256\0".length + 4));
  if (!first.ok) return steps;
  const challenge = authentication(11, first.value);
  steps.push(challenge);
  if (random.chance(0.5)) return [...steps, authentication(12, "v=AAAA"), authentication(0)];
  login.push(challenge.bytes);
  const proof = sent.pop();
  const final = proof === undefined ? null : server.final(proof.subarray(HEADER_BYTES));
  if (final?.ok === true) steps.push(authentication(12, final.value.serverFinal));
  return [...steps, authentication(0)];
}
