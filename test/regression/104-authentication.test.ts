import { afterAll, beforeAll, describe, expect, test } from "vitest";
import pg from "pg";
import { scramVerifier } from "../../src/auth/index.ts";
import { Secret } from "../../src/base/index.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { pause, startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create role scrammer login password 'se cret'");
  await postgres.query(0, "create role stranger login password 'other'");
  await postgres.query(
    0,
    "set password_encryption = 'md5'; create role md5er login password 'old'",
  );
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

const PASSWORDS = ["scrammer:TEXTse cret", "md5er:TEXTold"];

async function withWorker(
  options: {
    hba?: readonly string[];
    config?: readonly string[];
    poolPasswd?: readonly string[];
  },
  use: (worker: WorkerHarness) => Promise<void>,
): Promise<void> {
  const worker = await startWorker({ postgres, poolPasswd: PASSWORDS, ...options });
  try {
    await use(worker);
  } finally {
    await worker.stop();
  }
}

async function whoAmI(worker: WorkerHarness, login: pg.ClientConfig): Promise<unknown> {
  const client = await worker.client(login);
  const result = await client.query("select current_user as me");
  await client.end();
  return (result.rows as { me: string }[])[0]?.me;
}

const RIGHT = { user: "scrammer", password: "se cret" };
const WRONG = { user: "scrammer", password: "wrong" };

describe("with enable_pool_hba = off a client proves itself as PostgreSQL asks", () => {
  test("SCRAM: the right password comes in, a wrong one and an unknown user do not", async () => {
    await postgres.setHba(["host all all 127.0.0.1/32 scram-sha-256"]);
    await withWorker({}, async (worker) => {
      expect(await whoAmI(worker, RIGHT)).toBe("scrammer");
      await expect(whoAmI(worker, WRONG)).rejects.toMatchObject({ code: "28P01" });
      const unknown = whoAmI(worker, { user: "stranger", password: "other" });
      await expect(unknown).rejects.toMatchObject({
        code: "28P01",
        detail: 'pool_passwd file does not contain an entry for "stranger"',
      });
    });
  });

  test("a cached connection opens no door for somebody without the password", async () => {
    await postgres.setHba(["host all all 127.0.0.1/32 scram-sha-256"]);
    await withWorker({}, async (worker) => {
      const login = { ...RIGHT, application_name: "same" };
      expect(await whoAmI(worker, login)).toBe("scrammer");
      await pause(200);
      const idle = "select pid from pg_stat_activity where application_name = 'same'";
      const [before] = await postgres.query(0, idle);
      expect(before).toBeDefined();
      await expect(whoAmI(worker, { ...login, password: "wrong" })).rejects.toMatchObject({
        code: "28P01",
      });
      expect(await whoAmI(worker, login)).toBe("scrammer");
      // It was the same connection, so the proof was asked although PostgreSQL asked nothing.
      expect(await postgres.query(0, idle)).toEqual([before]);
    });
  });

  test("md5 and clear text passwords", async () => {
    await postgres.setHba([
      "host all md5er 127.0.0.1/32 md5",
      "host all scrammer 127.0.0.1/32 password",
    ]);
    await withWorker({}, async (worker) => {
      expect(await whoAmI(worker, { user: "md5er", password: "old" })).toBe("md5er");
      const wrong = whoAmI(worker, { user: "md5er", password: "new" });
      await expect(wrong).rejects.toMatchObject({ code: "28P01" });
      expect(await whoAmI(worker, RIGHT)).toBe("scrammer");
      await expect(whoAmI(worker, WRONG)).rejects.toMatchObject({ code: "28P01" });
    });
  });

  test("allow_clear_text_frontend_auth lets a user in whom no file knows", async () => {
    await postgres.setHba(["host all all 127.0.0.1/32 scram-sha-256"]);
    const config = ["allow_clear_text_frontend_auth = on"];
    await withWorker({ config }, async (worker) => {
      expect(await whoAmI(worker, { user: "stranger", password: "other" })).toBe("stranger");
      const wrong = whoAmI(worker, { user: "stranger", password: "wrong" });
      await expect(wrong).rejects.toThrow(/password authentication failed/);
    });
  });
});

describe("with enable_pool_hba = on pool_hba.conf decides", () => {
  const config = ["enable_pool_hba = on"];

  test("trust, reject, scram-sha-256, md5 and no line at all", async () => {
    await postgres.setHba(["host all all 127.0.0.1/32 scram-sha-256"]);
    const hba = [
      "host nowhere all 127.0.0.1/32 reject",
      "host all postgres 127.0.0.1/32 trust",
      "host all scrammer 127.0.0.1/32 scram-sha-256",
      "host all md5er 127.0.0.1/32 md5",
    ];
    await postgres.query(0, "alter role md5er password null");
    await postgres.query(
      0,
      "set password_encryption='scram-sha-256'; alter role md5er password 'old'",
    );
    await postgres.caughtUp();
    await withWorker({ config, hba }, async (worker) => {
      expect(await whoAmI(worker, { user: "postgres" })).toBe("postgres");
      expect(await whoAmI(worker, RIGHT)).toBe("scrammer");
      await expect(whoAmI(worker, WRONG)).rejects.toMatchObject({ code: "28P01" });
      expect(await whoAmI(worker, { user: "md5er", password: "old" })).toBe("md5er");
      const rejected = whoAmI(worker, { user: "postgres", database: "nowhere" });
      await expect(rejected).rejects.toThrow(/pool_hba.conf rejects connection/);
      const unlisted = whoAmI(worker, { user: "stranger", password: "other" });
      await expect(unlisted).rejects.toMatchObject({
        code: "28000",
        detail: expect.stringContaining('no pool_hba.conf entry for host "127.0.0.1"'),
      });
    });
  });
});

describe.each(["session", "transaction"])("in %s mode", (mode) => {
  const own = [`pool_mode = ${mode}`, "connection_cache = off"];

  async function verifierOf(user: string): Promise<string> {
    const text = `select rolpassword as text from pg_authid where rolname = '${user}'`;
    const [row] = await postgres.query(0, text);
    return String(row?.text);
  }

  test.each(["on", "off"])(
    "a SCRAM verifier opens the backends for a client that has proven itself (enable_pool_hba = %s)",
    async (isGuarded) => {
      await postgres.setHba(["host all all 127.0.0.1/32 scram-sha-256"]);
      const verifier = await verifierOf("scrammer");
      expect(verifier).toMatch(/^SCRAM-SHA-256\$4096:/);
      const hba = ["host all all 127.0.0.1/32 scram-sha-256"];
      const config = [...own, `enable_pool_hba = ${isGuarded}`];
      const poolPasswd = [`scrammer:${verifier}`];
      await withWorker({ config, hba, poolPasswd }, async (worker) => {
        const both = await Promise.all([whoAmI(worker, RIGHT), whoAmI(worker, RIGHT)]);
        expect(both).toEqual(["scrammer", "scrammer"]);
        await expect(whoAmI(worker, WRONG)).rejects.toMatchObject({ code: "28P01" });
        expect(await whoAmI(worker, RIGHT)).toBe("scrammer");

        // The same password, stored anew with another salt.
        await postgres.query(0, "alter role scrammer password 'se cret'");
        await postgres.caughtUp();
        const ofScrammer = "from pg_stat_activity where usename = 'scrammer'";
        for (const server of postgres.servers.keys()) {
          await postgres.query(server, `select pg_terminate_backend(pid, 5000) ${ofScrammer}`);
        }
        await expect(whoAmI(worker, { ...RIGHT, application_name: mode })).rejects.toMatchObject({
          code: "28P01",
          detail: expect.stringContaining("the server has another SCRAM secret of this user"),
          hint: expect.stringContaining("rolpassword of pg_authid"),
        });
        expect(worker.log()).not.toContain(verifier.slice(-40));
      });
    },
  );

  test("a verifier opens a backend also for a client that says its password, not for a trusted one", async () => {
    await postgres.setHba(["host all all 127.0.0.1/32 scram-sha-256"]);
    const config = [...own, "enable_pool_hba = on"];
    const poolPasswd = [`scrammer:${await verifierOf("scrammer")}`];
    const passwords = ["host all all 127.0.0.1/32 password"];
    await withWorker({ config, poolPasswd, hba: passwords }, async (worker) => {
      expect(await whoAmI(worker, RIGHT)).toBe("scrammer");
    });
    const trust = ["host all all 127.0.0.1/32 trust"];
    await withWorker({ config, poolPasswd, hba: trust }, async (worker) => {
      await expect(whoAmI(worker, { user: "scrammer" })).rejects.toMatchObject({
        code: "28P01",
        hint: expect.stringContaining("only for a client that has proven itself"),
      });
    });
  });

  test("a server may ask for many rounds of hashing, and nobody else has to wait", async () => {
    const rounds = 400_000;
    const slow = scramVerifier(new Secret("slow"), Buffer.alloc(16, 5), rounds).reveal();
    await postgres.query(0, `drop role if exists slow; create role slow login password '${slow}'`);
    await postgres.caughtUp();
    await postgres.setHba([
      "host all slow 127.0.0.1/32 scram-sha-256",
      "host all all 127.0.0.1/32 trust",
    ]);
    const config = [...own, "enable_pool_hba = on"];
    const hba = ["host all all 127.0.0.1/32 trust"];
    await withWorker({ config, hba, poolPasswd: ["slow:TEXTslow"] }, async (worker) => {
      const other = await worker.client();
      const inside: unknown[] = [];
      const slowOne = whoAmI(worker, { user: "slow" }).then((me) => inside.push(me));
      let answered = 0;
      let longestMs = 0;
      while (inside.length === 0) {
        const startMs = performance.now();
        await other.query("select 1");
        longestMs = Math.max(longestMs, performance.now() - startMs);
        answered += 1;
      }
      await slowOne;
      expect(inside).toEqual(["slow"]);
      // It takes a processor about 200 ms.
      expect(answered).toBeGreaterThan(3);
      expect(longestMs).toBeLessThan(150);
      await other.end();
    });
  });
});

describe("a client that does not behave during login", () => {
  const config = ["authentication_timeout = 1"];

  test("says nothing: it is told so and closed, also in the middle of SCRAM", async () => {
    await postgres.setHba(["host all all 127.0.0.1/32 scram-sha-256"]);
    await withWorker({ config }, async (worker) => {
      const silent = await RawClient.open(worker.port);
      const halfway = await RawClient.open(worker.port);
      halfway.send(say.startUp({ user: "scrammer", database: "bench" }));
      await halfway.until(() => halfway.count("R") === 1, "the question");
      await Promise.all([silent.closed(), halfway.closed()]);
      expect(silent.error()).toMatchObject({ V: "FATAL", M: "authentication timeout" });
      expect(halfway.error()).toMatchObject({ V: "FATAL", M: "authentication timeout" });
    });
  });

  test("speaks another protocol, claims 2 GB, or names no user", async () => {
    await withWorker({}, async (worker) => {
      const http = await RawClient.open(worker.port);
      http.send(Buffer.from("GET / HTTP/1.1\r\nHost: example\r\n\r\n"));
      await http.closed();
      expect(http.error()).toMatchObject({ V: "FATAL", C: "08P01" });

      const huge = await RawClient.open(worker.port);
      huge.send(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]));
      await huge.closed();
      expect(huge.error()).toMatchObject({ V: "FATAL", C: "08P01" });

      const nobody = await RawClient.open(worker.port);
      nobody.send(say.startUp({ database: "bench" }));
      await nobody.closed();
      expect(nobody.error()).toMatchObject({ C: "28000" });

      const old = await RawClient.open(worker.port);
      old.send(say.startUp({ user: "postgres" }, 0x20000));
      await old.closed();
      expect(old.error()).toMatchObject({ C: "0A000" });

      const client = await worker.client();
      expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
      await client.end();
    });
  });

  test("asks for encryption or for a newer protocol: both are negotiated", async () => {
    await withWorker({}, async (worker) => {
      const client = await RawClient.open(worker.port, false);
      client.send(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])); // SSLRequest
      await client.until(() => client.rest.length === 1, "the answer to SSLRequest");
      expect(client.rest.toString()).toBe("N");
      client.startFrames();
      const parameters = { user: "postgres", database: "bench", "_pq_.unknown": "1" };
      client.send(say.startUp(parameters, 0x30002));
      await client.ready();
      const [first] = client.frames;
      expect(first?.type).toBe("v");
      expect(first?.body.readInt32BE(0)).toBe(0x30002);
      expect(first?.body.toString()).toContain("_pq_.unknown");
      client.destroy();
    });
  });

  test("one too many: it waits before it is asked for anything, and comes in when another has left", async () => {
    const config = ["num_init_children = 2"];
    await withWorker({ config }, async (worker) => {
      const first = await worker.client();
      const second = await worker.client();
      const third = await RawClient.open(worker.port);
      third.send(say.startUp({ user: "postgres", database: "bench" }));
      await worker.message(({ type }) => type === "place-wanted");
      expect(third.frames).toEqual([]);
      await first.end();
      await third.ready();
      third.destroy();
      await second.end();
    });
  });
});
