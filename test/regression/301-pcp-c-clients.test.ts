/**
 * Debian's C clients (4.3.5) against our admin server: what they print is what scripts read. The
 * expected texts were seen with the same clients on a Pgpool-II 4.3.5.
 */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatLocalTime } from "../../src/os/index.ts";
import { PCP_CONNECTIONS_MAX, startPcpServer } from "../../src/pcp/driver/index.ts";
import {
  cannedHandlers,
  keepingLog,
  startTestPcpServer,
  type TestPcpServer,
} from "../support/pcp-server.ts";
import { freePort } from "../support/ports.ts";
import { oracle, run, testDirectory, type Ended } from "../support/programs.ts";

const CHANGED = formatLocalTime(1795305127_000);
let directory: Awaited<ReturnType<typeof testDirectory>>;
let pcp: TestPcpServer;

beforeAll(async () => {
  directory = await testDirectory();
  pcp = await startTestPcpServer(directory.path, "4.3");
});

afterAll(async () => {
  await pcp.server.stop();
  await directory.remove();
});

function ask(name: string, ...args: readonly string[]): Promise<Ended> {
  return run(oracle(name), [...pcp.options, ...args], { env: { PCPPASSFILE: pcp.passFile } });
}

describe("Pgpool-II's own clients", () => {
  it("print the backends", async () => {
    const lines = [
      `127.0.0.1 23902 2 0.333333 up up primary primary 0 none none ${CHANGED}\n`,
      `127.0.0.1 23903 2 0.666667 up up standby standby 30 streaming async ${CHANGED}\n`,
    ];
    expect(await ask("pcp_node_info")).toEqual({ exitCode: 0, stdout: lines.join(""), stderr: "" });
    expect((await ask("pcp_node_info", "-n", "1")).stdout).toBe(lines[1]);
    expect((await ask("pcp_node_info", "-v", "1")).stdout).toBe(`Hostname               : 127.0.0.1
Port                   : 23903
Status                 : 2
Weight                 : 0.666667
Status Name            : up
Backend Status Name    : up
Role                   : standby
Backend Role           : standby
Replication Delay      : 30
Replication State      : streaming
Replication Sync State : async
Last Status Change     : ${CHANGED}

`);
  });

  it("print the error for a backend that does not exist, and exit with 0 as ever", async () => {
    expect(await ask("pcp_node_info", "7")).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "ERROR:  informing node info failed\nDETAIL:  invalid node ID : 7\n\n",
    });
  });

  it("print the number of backends and the worker processes", async () => {
    expect((await ask("pcp_node_count")).stdout).toBe("2\n");
    expect((await ask("pcp_node_count", "-v")).stdout).toBe("Node Count\n____________\n 2\n");
    expect((await ask("pcp_proc_count")).stdout).toBe("6030 6031 6032 \n");
    expect((await ask("pcp_proc_count", "-v")).stdout).toContain("Total Processes:3\n");
  });

  it("print the watchdog cluster, and do not mind the key that only we send", async () => {
    expect(await ask("pcp_watchdog_info")).toEqual({
      exitCode: 0,
      stdout: `3 3 YES n1:9999 Linux n1 n1

n1:9999 Linux n1 n1 9999 9000 4 LEADER 0 MEMBER
n2:9999 Linux n2 n2 9999 9000 7 STANDBY 0 MEMBER
Not_Set n3 9999 9000 0 DEAD 0 MEMBER
`,
      stderr: "",
    });
    const { stdout } = await ask("pcp_watchdog_info", "-v", "-n", "1");
    expect(stdout).toBe(`Watchdog Cluster Information 
Total Nodes              : 3
Remote Nodes             : 2
Member Remote Nodes      : 2
Alive Remote Nodes       : 1
Nodes required for quorum: 2
Quorum state             : QUORUM EXIST
Local node escalation    : YES
Leader Node Name         : n1:9999 Linux n1
Leader Host Name         : n1

Watchdog Node Information 
Node Name         : n2:9999 Linux n2
Host Name         : n2
Delegate IP       : 10.77.0.100
Pgpool port       : 9999
Watchdog port     : 9000
Node priority     : 2
Status            : 7
Status Name       : STANDBY
Membership Status : MEMBER

`);
  });

  it("print a node that does not exist as Pgpool-II would", async () => {
    const { stdout } = await ask("pcp_watchdog_info", "-n", "7");
    expect(stdout.split("\n")[2]).toBe("Not_Set Not_Set 0 0 -1 Not_Set -1 Not_Set");
  });

  it("print the configuration, empty values too", async () => {
    expect((await ask("pcp_pool_status")).stdout).toBe(`name : backend_clustering_mode
value: 1
desc : clustering mode

name : port
value: 9999
desc : port the node listens on

name : logdir
value: 
desc : 

`);
  });

  it("change things, each by its own request", async () => {
    const commands: readonly (readonly [string, readonly string[], string])[] = [
      ["pcp_attach_node", ["1"], "attach 1"],
      ["pcp_detach_node", ["-n", "1"], "detach 1"],
      ["pcp_detach_node", ["-n", "1", "-g"], "detach 1 gracefully"],
      ["pcp_recovery_node", ["1"], "recover 1"],
      ["pcp_promote_node", ["1"], "promote 1"],
      ["pcp_promote_node", ["-s", "1"], "promote 1 switchover"],
      ["pcp_promote_node", ["-g", "1"], "promote 1 gracefully"],
      ["pcp_reload_config", [], "reload local"],
      ["pcp_reload_config", ["-s", "cluster"], "reload cluster"],
      ["pcp_stop_pgpool", [], "stop smart local"],
      ["pcp_stop_pgpool", ["-m", "f", "-s", "c"], "stop fast cluster"],
    ];
    for (const [name, args, call] of commands) {
      pcp.calls.length = 0;
      const ended = await ask(name, ...args);
      expect(ended).toEqual({
        exitCode: 0,
        stdout: `${name} -- Command Successful\n`,
        stderr: "",
      });
      expect(pcp.calls).toEqual([call]);
    }
  });

  it("print why a promotion was refused", async () => {
    expect(await ask("pcp_promote_node", "7")).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "ERROR:  could not process promote request\nDETAIL:  node id 7 is not valid\n\n",
    });
  });

  it("exit with 1 for a wrong password, and the log tells of it", async () => {
    const ended = await run(oracle("pcp_node_count"), pcp.options, {
      env: { PCPPASSFILE: "/dev/null/absent", HOME: directory.path },
    });
    expect(ended).toEqual({
      exitCode: 1,
      stdout: "",
      stderr:
        'FATAL:  authentication failed for user "pcp"\nDETAIL:  username and/or password does not match\n\n',
    });
    expect(pcp.log).toContain('fatal: authentication failed for user "pcp"');
  });

  it("come in by the Unix socket too", async () => {
    const options = ["-h", directory.path, "-p", String(pcp.port), "-U", "pcp", "-w"];
    const env = { PCPPASSFILE: pcp.passFile };
    expect((await run(oracle("pcp_node_count"), options, { env })).stdout).toBe("2\n");
  });
});

/** Sends bytes and gives all that comes back until the server closes. */
function talk(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}

describe("a client that misbehaves", () => {
  it.each([
    ["another protocol", Buffer.from("GET / HTTP/1.0\r\n\r\n"), "invalid PCP packet"],
    ["a packet of 2 GB", Buffer.from("M\x7f\xff\xff\xff", "latin1"), "invalid PCP packet"],
    ["a request before the login", Buffer.from("L\0\0\0\x04"), "authentication failed for new PCP"],
  ])("by sending %s is told so and cut off", async (_what, bytes, text) => {
    expect(await talk(pcp.port, bytes)).toContain(text);
  });

  it("by saying nothing is cut off in time", async () => {
    const impatient = await startTestPcpServer(directory.path, "4.3", 50);
    expect(await talk(impatient.port, Buffer.alloc(0))).toContain("authentication timeout");
    await impatient.server.stop();
  });

  it("by opening very many connections does not get more than there are", async () => {
    const crowded = await startTestPcpServer(directory.path, "4.3");
    const sockets = Array.from({ length: PCP_CONNECTIONS_MAX }, () => connect(crowded.port));
    await Promise.all(
      sockets.map((socket) => new Promise((resolve) => socket.on("connect", resolve))),
    );
    expect(await talk(crowded.port, Buffer.alloc(0))).toBe("");
    for (const socket of sockets) socket.destroy();
    await crowded.server.stop();
  });
});

describe("a place that cannot be listened on", () => {
  const options = {
    layout: "4.3",
    handlers: cannedHandlers([]),
    readPcpConf: () => ({ ok: true, value: "" }) as const,
    authenticationTimeoutMs: 0,
    log: keepingLog(),
  } as const;

  it("is named with the remedy when the port is taken", async () => {
    const listen = { addresses: ["127.0.0.1"], port: pcp.port, socketDirectories: [] };
    expect(await startPcpServer({ ...options, listen })).toEqual({
      ok: false,
      error: {
        message: `could not listen on 127.0.0.1 port ${pcp.port}: Address already in use`,
        hint: "Another process listens there: stop it, or change pcp_port.",
      },
    });
  });

  it("is named when the address is another machine's, or the name is nobody's", async () => {
    const foreign = { addresses: ["192.0.2.1"], port: pcp.port, socketDirectories: [] };
    expect(await startPcpServer({ ...options, listen: foreign })).toMatchObject({
      ok: false,
      error: {
        message: `could not listen on 192.0.2.1 port ${pcp.port}: Address not available`,
        hint: "Is 192.0.2.1 an address of this machine, and may this user listen on the port?",
      },
    });
    const nobody = { addresses: ["no.such.host.invalid"], port: pcp.port, socketDirectories: [] };
    const started = await startPcpServer({ ...options, listen: nobody });
    expect(started.ok ? "" : started.error.message).toContain(
      'could not find the address of "no.such.host.invalid"',
    );
  });

  it.each(["localhost", "*"])("is none when all that %s means can be listened on", async (name) => {
    const listen = { addresses: [name], port: await freePort(), socketDirectories: [] };
    const started = await startPcpServer({ ...options, listen });
    if (!started.ok) throw new Error(started.error.message);
    expect(await talk(listen.port, Buffer.from("X\0\0\0\x04", "latin1"))).toBe("");
    await started.value.stop();
  });

  it("is named when the socket is served by another", async () => {
    const listen = { addresses: [], port: pcp.port, socketDirectories: [directory.path] };
    const started = await startPcpServer({ ...options, listen });
    expect(started).toMatchObject({
      ok: false,
      error: {
        message: `another process serves the socket "${directory.path}/.s.PGSQL.${pcp.port}"`,
      },
    });
  });

  it("is named when its directory is missing", async () => {
    const absent = `${directory.path}/absent`;
    const listen = { addresses: [], port: 9898, socketDirectories: [absent] };
    expect(await startPcpServer({ ...options, listen })).toMatchObject({
      ok: false,
      error: {
        message: `could not use the socket directory "${absent}": No such file or directory`,
      },
    });
  });
});
