/** The control socket, stale socket files and the pid file, on the real system. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fail, succeed } from "../../src/base/index.ts";
import {
  isPgpoolAlive,
  prepareUnixSocketPath,
  readPidFile,
  removePidFile,
  writePidFile,
} from "../../src/os/index.ts";
import {
  askControlSocket,
  startControlServer,
  type ControlServer,
} from "../../src/pcp/driver/index.ts";
import { CONTROL_REQUEST_BYTES_MAX } from "../../src/wire/ipc/index.ts";
import { keepingLog } from "../support/pcp-server.ts";
import { testDirectory } from "../support/programs.ts";

let directory: Awaited<ReturnType<typeof testDirectory>>;

beforeEach(async () => {
  directory = await testDirectory();
});

afterEach(async () => {
  await directory.remove();
});

describe("the control socket", () => {
  let path: string;
  let server: ControlServer;

  beforeEach(async () => {
    path = join(directory.path, ".s.PGQUORUM.9898");
    const started = await startControlServer({
      path,
      handle: (request) =>
        Promise.resolve(
          request.command === "resume"
            ? fail("there is no such backend")
            : succeed({ asked: request.command, text: "a\nb é" }),
        ),
      log: keepingLog(),
    });
    if (!started.ok) throw new Error(started.error.message);
    server = started.value;
  });

  afterEach(async () => {
    await server.stop();
  });

  /** Sends raw bytes; gives what comes back until the node closes. */
  function talk(bytes: Buffer | string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => socket.write(bytes));
      let text = "";
      socket.on("data", (chunk) => (text += String(chunk)));
      socket.on("error", reject);
      socket.on("close", () => resolve(text));
    });
  }

  it("answers, and only its own user may ask", async () => {
    expect(await askControlSocket(path, { command: "status" })).toEqual({
      ok: true,
      value: { ok: true, value: { asked: "status", text: "a\nb é" } },
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("says no to what cannot be done", async () => {
    expect(await askControlSocket(path, { command: "resume", backendId: 7 })).toEqual({
      ok: true,
      value: { ok: false, error: "there is no such backend" },
    });
    const pauses = [
      ['{"command":"pause"}', "backendId must be"],
      ['{"command":"pause","backendId":-1,"forMs":1}', "backendId must be"],
      ['{"command":"pause","backendId":1.5,"forMs":1}', "backendId must be"],
      ['{"command":"pause","backendId":0}', "forMs must be"],
      ['{"command":"pause","backendId":0,"forMs":86400001}', "forMs must be"],
    ] as const;
    for (const [line, why] of pauses) expect(await talk(`${line}\n`)).toContain(why);
    expect(await talk('{"command":"pause","backendId":0,"forMs":1}\n')).toContain('"ok":true');
  });

  it("refuses what is no request, and a line without an end", async () => {
    expect(await talk("nonsense\n")).toContain('"ok":false');
    expect(await talk(Buffer.alloc(CONTROL_REQUEST_BYTES_MAX + 1, "x"))).toContain(
      `a line is longer than ${CONTROL_REQUEST_BYTES_MAX} bytes`,
    );
  });

  it("survives a client that leaves in the middle", async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(path, () => socket.write('{"comm', () => socket.destroy()));
      socket.on("close", () => resolve());
    });
    expect(await askControlSocket(path, { command: "nodes" })).toMatchObject({ ok: true });
  });

  it("leaves no file when it is stopped, and then nobody answers", async () => {
    await server.stop();
    expect(existsSync(path)).toBe(false);
    expect(await askControlSocket(path, { command: "status" })).toEqual({
      ok: false,
      error: { code: "ENOENT", message: "No such file or directory" },
    });
  });
});

describe("a socket path", () => {
  it("that a killed process left behind is made free", async () => {
    const path = join(directory.path, "stale");
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script]);
    expect(existsSync(path)).toBe(true);
    expect(await prepareUnixSocketPath(path)).toEqual({ ok: true, value: undefined });
    expect(existsSync(path)).toBe(false);
  });

  it("that somebody serves stays, and is named", async () => {
    const path = join(directory.path, "served");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(await prepareUnixSocketPath(path)).toMatchObject({
      ok: false,
      error: { message: `another process serves the socket "${path}"` },
    });
    expect(existsSync(path)).toBe(true);
    server.close();
  });

  it("that is another file stays, and is named", async () => {
    const path = join(directory.path, "file");
    writeFileSync(path, "precious");
    expect(await prepareUnixSocketPath(path)).toMatchObject({
      ok: false,
      error: { message: `"${path}" exists and is no socket` },
    });
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  it("that is too long for the system is named", async () => {
    const path = join(directory.path, "x".repeat(100));
    expect(await prepareUnixSocketPath(path)).toMatchObject({
      ok: false,
      error: { message: `the socket path "${path}" is longer than 107 bytes` },
    });
  });
});

describe("the pid file", () => {
  it("holds the number and a NUL, for its owner alone, and is removed by its owner alone", () => {
    const path = join(directory.path, "pgpool.pid");
    expect(writePidFile(path, 4711)).toEqual({ ok: true, value: undefined });
    expect(readFileSync(path, "latin1")).toBe("4711\0");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readPidFile(path)).toEqual({ ok: true, value: 4711 });
    removePidFile(path, 4712);
    expect(existsSync(path)).toBe(true);
    removePidFile(path, 4711);
    expect(existsSync(path)).toBe(false);
  });

  it("is written shorter over a longer one", () => {
    const path = join(directory.path, "pgpool.pid");
    writePidFile(path, 1234567);
    writePidFile(path, 12);
    expect(readFileSync(path, "latin1")).toBe("12\0");
  });

  it.each(["", "abc", "-5", "0", "1 2", "99999999999"])(
    "that holds %j names no process",
    (text) => {
      const path = join(directory.path, "pgpool.pid");
      writeFileSync(path, text);
      expect(readPidFile(path)).toEqual({
        ok: false,
        error: `the pid file "${path}" holds no process id`,
      });
    },
  );

  it("that cannot be written is named", () => {
    const path = join(directory.path, "absent/pgpool.pid");
    expect(writePidFile(path, 1)).toEqual({
      ok: false,
      error: `could not write the pid file "${path}": No such file or directory`,
    });
  });

  it("counts only for a process that lives and is a pgpool", async () => {
    const other = spawn("sleep", ["60"]);
    const ours = spawn(process.execPath, [
      "-e",
      'process.title = "pgpool"; console.log("up"); setInterval(() => 0, 1000)',
    ]);
    await new Promise((resolve) => ours.stdout.once("data", resolve));
    expect(isPgpoolAlive(other.pid ?? 0)).toBe(false);
    expect(isPgpoolAlive(ours.pid ?? 0)).toBe(true);
    for (const child of [other, ours]) {
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("exit", resolve));
    }
    expect(isPgpoolAlive(ours.pid ?? 0)).toBe(false);
  });
});
