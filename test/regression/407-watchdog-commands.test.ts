import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Secret } from "../../src/base/index.ts";
import type { Report } from "../../src/watchdog/core/commands/index.ts";
import { openCommandSocket, type CommandSocket } from "../../src/watchdog/driver/command-socket.ts";
import { encodeIpcFrame, encodeNodesRequest } from "../../src/wire/watchdog/index.ts";
import { threeNodes } from "../support/pcp-views.ts";
import { freePorts } from "../support/ports.ts";
import { buildPrograms, oracle, run, testDirectory, type Ended } from "../support/programs.ts";
import { RecordedLog } from "../support/recorded-log.ts";

/**
 * The watchdog's command socket and wd_cli, each against the other and against Debian's
 * Pgpool-II: its client on our socket, our client on its socket.
 */
const KEY = "open sesame, open wide";
const PORT = 9000;
const reports: Report[] = [];
const log = new RecordedLog();
let directory: Awaited<ReturnType<typeof testDirectory>>;
let socket: CommandSocket;
let configFile: string;

async function openSocket(own: { readonly timeoutMs?: number } = {}): Promise<CommandSocket> {
  const opened = await openCommandSocket({
    directory: directory.path,
    port: PORT,
    key: new Secret(KEY),
    log,
    facts: () => ({ view: threeNodes, layout: "4.3", leaderData: null }),
    onReport: (report) => reports.push(report),
    ...(own.timeoutMs === undefined ? {} : { requestTimeoutMs: own.timeoutMs }),
  });
  if (!opened.ok) throw new Error(opened.error.message);
  return opened.value;
}

/** What a node needs to know, for both programs. */
function writeConfig(
  path: string,
  own: { readonly wdPort: number; readonly socketDirectory: string; readonly more?: string },
): void {
  writeFileSync(
    path,
    `use_watchdog = on
wd_authkey = '${KEY}'
wd_ipc_socket_dir = '${own.socketDirectory}'
hostname0 = '127.0.0.1'
wd_port0 = ${own.wdPort}
pgpool_port0 = 9999
heartbeat_hostname0 = '127.0.0.1'
heartbeat_port0 = 9694
backend_hostname0 = '127.0.0.1'
backend_port0 = 5999
${own.more ?? ""}`,
  );
}

function theirs(...args: readonly string[]): Promise<Ended> {
  return run(oracle("wd_cli"), ["-f", configFile, ...args]);
}

function ours(...args: readonly string[]): Promise<Ended> {
  return run(join(directory.path, "bin/wd_cli"), ["-f", configFile, ...args]);
}

beforeAll(async () => {
  directory = await testDirectory();
  await buildPrograms(directory.path, { "wd-cli": "src/cli/wd-cli.ts" }, ["wd_cli"]);
  configFile = join(directory.path, "pgpool.conf");
  writeConfig(configFile, { wdPort: PORT, socketDirectory: directory.path });
  writeFileSync(join(directory.path, "pgpool_node_id"), "0\n");
  socket = await openSocket();
});

afterAll(async () => {
  await socket.stop();
  await directory.remove();
});

afterEach(() => {
  reports.length = 0;
});

describe("our socket and both programs wd_cli", () => {
  it.each([
    [["-i"]],
    [["--info", "--all"]],
    [["-i", "-a", "-v"]],
    [["-i", "-n", "1"]],
    [["-i", "--node-id=2", "--verbose"]],
    [["-i", "-N", "N2:9999 linux n2"]],
    [["-i", "-H", "n3", "-v"]],
    [["-i", "-n", "0", "-N", "n1:9999 Linux n1", "-H", "n1", "-P", "9000"]],
    [["-i", "-a", "-k", KEY]],
    [["-i", "-a", "-p", String(PORT)]],
    [["-i", "-n", "1", "-d"]],
    [["-i", "-a", "-d", "-v"]],
    [["-i", "-n", "9"]],
    [["-i", "-n", "1", "-P", "9001"]],
    [["-i", "-I", "DEAD", "-n", "1"]],
    [["-n", "x", "-i"]],
    [["-P", "x", "-i"]],
    [["-p", "x", "-i"]],
  ])("print the same for %j", async (args) => {
    const [oracleSays, weSay] = await Promise.all([theirs(...args), ours(...args)]);
    expect(weSay).toEqual(oracleSays);
  });

  it("print the nodes as a table of lines, or one below the other", async () => {
    expect((await ours("-i", "-n", "1")).stdout).toBe(
      'Total Watchdog nodes configured for lifecheck:    3\n1 0 "STANDBY""n2:9999 Linux n2""n2" 9000 9999\n',
    );
  });

  it.each([
    [["-I", "DEAD", "-n", "1", "-m", "it is gone"], { nodeId: 1, isAlive: false }],
    [["--inform=alive", "-H", "n2", "-m", "it is gone"], { nodeId: 1, isAlive: true }],
    [["-I", "DEAD", "-N", "n1:9999 Linux n1", "-m", "it is gone"], { nodeId: 0, isAlive: false }],
  ])("report with %j", async (args, report) => {
    for (const program of [theirs, ours]) {
      reports.length = 0;
      const ended = await program(...args);
      expect(ended.exitCode).toBe(0);
      expect(ended.stderr).toContain("INFO: informed watchdog about node id");
      // Pgpool-II's program is gone before its report is read.
      await expect.poll(() => reports).toEqual([{ ...report, message: "it is gone" }]);
    }
  });

  it("with a wrong key get nothing, and only ours says why", async () => {
    const [oracleSays, weSay] = await Promise.all([
      theirs("-i", "-a", "-k", "guess"),
      ours("-i", "-a", "-k", "guess"),
    ]);
    expect(oracleSays).toMatchObject({ exitCode: 255, stdout: "" });
    expect(weSay).toEqual({
      exitCode: 255,
      stdout: "",
      stderr: "ERROR: authentication failed: invalid KEY\n",
    });
    expect(log.lines.join("\n")).toContain("refused | authentication failed: invalid KEY");
    expect(log.lines.join("\n")).not.toContain("guess");
    for (const program of [theirs, ours]) await program("-I", "DEAD", "-n", "1", "-k", "guess");
    expect(reports).toEqual([]);
  });
});

describe("our wd_cli, where Pgpool-II's fails", () => {
  it("takes the socket's directory, port and key as arguments, without any configuration", async () => {
    const program = join(directory.path, "bin/wd_cli");
    const args = ["-i", "-n", "1", "-s", directory.path, "-p", String(PORT), "-k", KEY];
    expect((await run(program, args)).stdout).toContain('1 0 "STANDBY"');
  });

  it("writes each line on its own, and carries any text", async () => {
    const message = 'say "it\'s gone" \\ 100 %';
    const ended = await ours("-I", "DEAD", "-n", "1", "-m", message);
    expect(ended).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: `INFO: informing the node status change to watchdog
INFO: node id :1 status = "NODE DEAD" message:"${message}"
INFO: informed watchdog about node id 1 is dead
`,
    });
    expect(reports).toEqual([{ nodeId: 1, isAlive: false, message }]);
  });

  it("shows all nodes that fit, where Pgpool-II's shows the first", async () => {
    const [oracleSays, weSay] = await Promise.all([
      theirs("-i", "-P", "9000"),
      ours("-i", "-P", "9000"),
    ]);
    expect(oracleSays.stdout.split("\n").length).toBe(3);
    expect(weSay.stdout.split("\n").length).toBe(5);
  });

  it("reports no node that was not named, nor one of several", async () => {
    const nobody = await ours("-I", "DEAD");
    expect(nobody).toMatchObject({
      exitCode: 1,
      stderr: "ERROR: Missing node search criteria: which node is it, by -n, -N or -H?\n",
    });
    const many = await ours("-I", "DEAD", "-P", "9000");
    expect(many).toMatchObject({
      exitCode: 1,
      stderr: "ERROR: the criteria fit the nodes 0, 1, 2: name one of them with -n\n",
    });
    expect(reports).toEqual([]);
  });

  it.each([
    [["-p", "1", "-i"], 1, 'Invalid port number "1", must be between 1024 and 65535'],
    [["-p", "39999", "-i"], 255, "it does not exist; is the node up"],
    [["-s", "/nowhere", "-i"], 255, '"/nowhere/.s.PGPOOLWD_CMD.9000": it does not exist'],
    [["-I", "GONE", "-n", "1"], 1, "Allowed options are DEAD or ALIVE"],
    [["-I", "DEAD", "-a"], 1, 'Invalid option "-a --all" for inform'],
    [[], 1, "Missing operation"],
    [["-n"], 1, "option requires an argument -- 'n'"],
    [["-h"], 0, "Watchdog CLI for pgquorum"],
    [["--help"], 0, "-m, --message=message string"],
    [["-V"], 0, "wd_cli for pgquorum version"],
  ])("with %j exits with %i and says %s", async (args, exitCode, text) => {
    const ended = await ours(...args);
    expect(ended.exitCode).toBe(exitCode);
    expect(ended.stderr).toContain(text);
  });

  it("says so when the configuration cannot be read", async () => {
    const ended = await run(join(directory.path, "bin/wd_cli"), ["-i", "-f", "/absent.conf"]);
    expect(ended.exitCode).toBe(1);
    expect(ended.stderr).toContain("/absent.conf");
    expect(ended.stderr).toContain("Unable to get configuration");
  });
});

/** Sends bytes and gives all that comes back until the other end closes. */
function talk(bytes: Buffer, own: { readonly half?: boolean } = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const client = connect(socket.path, () => {
      if (own.half === true) client.write(bytes);
      else client.end(bytes);
    });
    client.on("data", (chunk) => chunks.push(chunk));
    client.on("error", reject);
    client.on("close", () => resolve(Buffer.concat(chunks)));
  });
}

describe("the socket", () => {
  it("is for the user that runs the node alone", () => {
    expect(statSync(socket.path).mode & 0o777).toBe(0o700);
  });

  it.each<readonly [what: string, answer: string, bytes: Buffer]>([
    ["nothing", "", Buffer.alloc(0)],
    ["half a request", "", encodeNodesRequest(-1, KEY).subarray(0, 20)],
    ["a request of 2 GB", "length of the request", Buffer.from("3\x7f\xff\xff\xff", "latin1")],
    ["another protocol", "length of the request", Buffer.from("GET / HTTP/1.0\r\n\r\n")],
    ["no JSON", "authentication failed: invalid data", encodeIpcFrame("3", "{")],
    ["an unknown request", "unknown IPC", encodeIpcFrame("x", `{"IPCAuthKey":"${KEY}"}`)],
  ])("sent %s answers '%s' and goes on", async (_what, text, bytes) => {
    expect((await talk(bytes)).toString("latin1")).toContain(text);
    expect((await talk(encodeNodesRequest(-1, KEY))).toString("latin1", 0, 1)).toBe("7");
  });

  it("answers 8 to whoever does not finish the request in time, and serves others meanwhile", async () => {
    await socket.stop();
    socket = await openSocket({ timeoutMs: 300 });
    const slow = talk(encodeNodesRequest(-1, KEY).subarray(0, 20), { half: true });
    expect((await talk(encodeNodesRequest(-1, KEY))).toString("latin1", 0, 1)).toBe("7");
    expect((await slow).toString("latin1")).toBe("8\0\0\0\0");
  });

  it("does not serve more at a time than a host needs", async () => {
    const held = Array.from({ length: 40 }, () => connect(socket.path));
    const open = await Promise.all(
      held.map(
        (client) =>
          new Promise<boolean>((resolve) => {
            client.on("error", () => resolve(false));
            client.on("close", () => resolve(false));
            client.on("connect", () => setTimeout(() => resolve(!client.destroyed), 100));
          }),
      ),
    );
    expect(open.filter(Boolean).length).toBe(32);
    for (const client of held) client.destroy();
    await expect
      .poll(async () => (await talk(encodeNodesRequest(-1, KEY)).catch(() => "")).toString())
      .toContain("WatchdogNodes");
  });

  it("replaces what a killed process left, but not what another serves", async () => {
    const second = await openCommandSocket({
      directory: directory.path,
      port: PORT,
      key: new Secret(KEY),
      log,
      facts: () => ({ view: threeNodes, layout: "4.3", leaderData: null }),
      onReport: () => undefined,
    });
    expect(second.ok ? "" : second.error.message).toContain("another process serves the socket");
    await socket.stop();
    expect(existsSync(socket.path)).toBe(false);
    const holder = spawn(process.execPath, [
      "-e",
      `require("node:net").createServer().listen(${JSON.stringify(socket.path)}, () => console.log("up"))`,
    ]);
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const gone = new Promise((resolve) => holder.once("exit", resolve));
    holder.kill("SIGKILL");
    await gone;
    expect(existsSync(socket.path)).toBe(true);
    socket = await openSocket();
    expect((await ours("-i", "-a")).exitCode).toBe(0);
  });
});

describe("a real Pgpool-II and both programs wd_cli", () => {
  let pgpool: ChildProcess;
  let realConfig: string;
  let output = "";
  let home: Awaited<ReturnType<typeof testDirectory>>;

  beforeAll(async () => {
    home = await testDirectory();
    const [port, pcpPort, wdPort, heartbeatPort, otherPort] = await freePorts(5);
    realConfig = join(home.path, "pgpool.conf");
    writeConfig(realConfig, {
      wdPort: wdPort ?? 0,
      socketDirectory: home.path,
      more: `listen_addresses = '127.0.0.1'
port = ${port}
pgpool_port0 = ${port}
heartbeat_port0 = ${heartbeatPort}
pcp_port = ${pcpPort}
socket_dir = '${home.path}'
pcp_socket_dir = '${home.path}'
pid_file_name = '${home.path}/pgpool.pid'
logdir = '${home.path}'
num_init_children = 1
wd_lifecheck_method = 'external'
hostname1 = '127.0.0.2'
wd_port1 = ${otherPort}
pgpool_port1 = 9999
heartbeat_hostname1 = '127.0.0.2'
heartbeat_port1 = 9694
`,
    });
    writeFileSync(join(home.path, "pgpool_node_id"), "0\n");
    for (const name of ["pcp.conf", "pool_hba.conf"]) writeFileSync(join(home.path, name), "");
    const files = ["-F", join(home.path, "pcp.conf"), "-a", join(home.path, "pool_hba.conf")];
    pgpool = spawn(oracle("pgpool"), ["-n", "-f", realConfig, ...files], { detached: true });
    pgpool.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
    const path = join(home.path, `.s.PGPOOLWD_CMD.${wdPort}`);
    await vi.waitUntil(() => existsSync(path), { timeout: 10_000 });
  });

  afterAll(async () => {
    const ended = new Promise((resolve) => pgpool.once("exit", resolve));
    if (pgpool.exitCode === null) pgpool.kill("SIGINT");
    const tooLong = setTimeout(() => process.kill(-(pgpool.pid ?? 0), "SIGKILL"), 10_000);
    await ended;
    clearTimeout(tooLong);
    await home.remove();
  });

  it.each([[["-i"]], [["-i", "-a", "-v"]], [["-i", "-n", "1", "-d"]], [["-i", "-H", "absent"]]])(
    "print the same for %j",
    async (args) => {
      // Its state changes while it starts: both must have met the same.
      await expect
        .poll(
          async () => {
            const [oracleSays, weSay] = await Promise.all([
              run(oracle("wd_cli"), ["-f", realConfig, ...args]),
              run(join(directory.path, "bin/wd_cli"), ["-f", realConfig, ...args]),
            ]);
            expect(oracleSays.exitCode, output.slice(-2000)).toBe(args.includes("absent") ? 1 : 0);
            return JSON.stringify(weSay) === JSON.stringify(oracleSays) ? "same" : weSay;
          },
          { timeout: 10_000 },
        )
        .toBe("same");
    },
  );

  it("take a report of ours, though Pgpool-II says nothing to it", async () => {
    const program = join(directory.path, "bin/wd_cli");
    const ended = await run(program, ["-f", realConfig, "-I", "DEAD", "-n", "1", "-m", "gone"]);
    expect(ended.exitCode).toBe(0);
    expect(ended.stderr).toContain("INFO: informed watchdog about node id 1 is dead");
    await expect
      .poll(async () => (await run(program, ["-f", realConfig, "-i", "-n", "1"])).stdout)
      .toContain('"LOST"');
  });
});
