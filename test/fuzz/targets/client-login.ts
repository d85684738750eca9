/** A client that proves itself, or pretends to. */
import { scramVerifier, startScramClient, type PoolSecret } from "../../../src/auth/index.ts";
import { assert, Secret } from "../../../src/base/index.ts";
import { ClientLogin, type ClientMethod } from "../../../src/proxy/core/session/index.ts";
import { HEADER_BYTES } from "../../../src/wire/postgres/index.ts";
import type { Random } from "../../sim/random.ts";
import { say } from "../../support/raw-client.ts";
import { step, type Step } from "../script.ts";
import type { Target } from "../target.ts";

const SALT = Buffer.alloc(16, 3);
/** Few iterations: what is fuzzed are the messages. */
const VERIFIER = scramVerifier(new Secret("right"), SALT, 2);
const METHODS: readonly ClientMethod[] = ["password", "md5", "scram-sha-256"];
const RANDOM = Buffer.alloc(22, 9);

/** Two of three know the password that the generator uses. */
const SECRETS: readonly PoolSecret[] = [
  { kind: "scram", secret: VERIFIER },
  { kind: "text", secret: new Secret("right") },
  { kind: "scram", secret: scramVerifier(new Secret("wrong"), SALT, 2) },
];
const WRONG = 2;

export const clientLogin: Target = {
  name: "client-login",
  about: "passwords, md5 and SCRAM answers of a client",
  mutatesBytes: true,

  generate(random: Random): Step[] {
    const method = random.below(METHODS.length);
    const steps = [
      step("method", Buffer.alloc(0), method),
      step("secret", Buffer.alloc(0), random.pick([0, 0, WRONG])),
    ];
    if (METHODS[method] !== "scram-sha-256") {
      const text = random.pick(["right\0", "md5" + "0".repeat(32) + "\0", "", "\0", "right"]);
      return [...steps, step("answer", Buffer.from(text))];
    }
    return [...steps, ...conversation(random)];
  },

  run(steps, features) {
    const method = METHODS[numberOf(steps, "method") % METHODS.length] ?? "password";
    const secretIndex = numberOf(steps, "secret") % SECRETS.length;
    const login = loginWith(method, secretIndex);
    assert(login.start().length > 0, "a login begins with a question");
    let answers = 0;
    for (const { what, bytes } of steps) {
      if (what !== "answer") continue;
      const outcome = login.answered(say.any("p", bytes));
      answers += 1;
      features.see(METHODS.indexOf(method), answers, outcome.kind.length + (bytes.length % 8) * 16);
      assert(
        outcome.kind !== "accepted" || secretIndex !== WRONG,
        "nobody is let in without the password",
      );
      if (outcome.kind !== "send") return;
    }
  },
};

function numberOf(steps: readonly Step[], what: string): number {
  return steps.find((one) => one.what === what)?.number ?? 0;
}

function loginWith(method: ClientMethod, secretIndex: number): ClientLogin {
  return new ClientLogin({
    method,
    user: "u",
    secret: SECRETS[secretIndex] ?? null,
    isRelayed: false,
    random: RANDOM,
    saltSeed: SALT,
  });
}

/** The answers of a client that knows the password. */
function conversation(random: Random): Step[] {
  const client = startScramClient({
    user: random.pick(["u", "", "a=b,c"]),
    password: new Secret("right"),
    nonceBytes: Buffer.alloc(18, random.below(256)),
  });
  const first = client.first();
  const length = Buffer.alloc(4);
  length.writeInt32BE(random.chance(0.9) ? first.length : -1, 0);
  const mechanism = random.pick(["SCRAM-SHA-256", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", ""]);
  const opening = Buffer.concat([Buffer.from(`${mechanism}\0`), length, first]);
  const login = loginWith("scram-sha-256", 0);
  const reply = login.answered(say.any("p", opening));
  const steps = [step("answer", opening)];
  if (reply.kind !== "send") return steps;
  const final = client.onServerFirst(reply.bytes.subarray(HEADER_BYTES + 4));
  return final.ok ? [...steps, step("answer", final.value)] : steps;
}
