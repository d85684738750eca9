import { expect, test } from "vitest";
import {
  formatFindings,
  loadConfig,
  notActingYet,
  withoutMeaning,
} from "../../../src/config/index.ts";
import { complaints, configOf, load, NODE_ID_1, ONE_BACKEND, THREE_NODES } from "./load-text.ts";

test("a missing main file is an error that says what to do", () => {
  const readText = () => ({ ok: false, error: "no such file" }) as const;
  const { config, findings } = loadConfig({ configFile: "/x/pgpool.conf", readText });
  expect(config).toBeNull();
  expect(formatFindings(findings)).toContain(
    "/x/pgpool.conf: error: cannot read the configuration file: no such file (name a file that can be read with -f, or create this one)\n",
  );
});

test("an empty file gives the initial values", () => {
  const config = configOf("");
  expect(config).toMatchObject({
    port: 9999,
    listen_addresses: ["localhost"],
    reset_query_list: ["ABORT", "DISCARD ALL"],
    log_line_prefix: "%m: %a pid %p: ",
    backend_clustering_mode: "streaming_replication",
    pgpool_compat_version: "4.7",
    backends: [],
    nodes: [],
    nodeId: null,
  });
  expect(config.wd_authkey.isEmpty).toBe(true);
  expect(config.set.size).toBe(0);
});

test("values have the units of their parameters", () => {
  const config = configOf("authentication_timeout = 2min\nconnect_timeout = 3s\nport = 5433\n");
  expect(config.authentication_timeout).toBe(120);
  expect(config.connect_timeout).toBe(3000);
  expect(config.port).toBe(5433);
});

test("every mistake is named, with file, line and what was expected", () => {
  const text = `${ONE_BACKEND}num_init_childern = 10
max_pool = four
log_connections = maybe
port = 10.0.0.1
backend_port = 5432
load_balance_mode = on
`;
  expect(complaints(text)).toEqual([
    'pgpool.conf:4: warning: unknown parameter "num_init_childern" is ignored (did you mean "num_init_children"?)',
    'pgpool.conf:5: error: invalid value "four" for "max_pool" (expected a whole number from 0 to 2147483647)',
    'pgpool.conf:6: error: invalid value "maybe" for "log_connections" (expected on or off)',
    'pgpool.conf:7: error: syntax error behind the value of port at ".0.1" (values with other characters than letters and digits need single quotes)',
    'pgpool.conf:8: error: "backend_port" needs a number, as in backend_port0',
  ]);
  expect(load(text).config).toBeNull();
});

test("the later line wins", () => {
  expect(configOf("port = 1111\nport = 2222\n").port).toBe(2222);
});

test("an older name is taken as the newer one, with a warning", () => {
  const text = `${ONE_BACKEND}socket_dir = '/run/pg'\nlogdir = '/var/x'\n`;
  expect(configOf(text)).toMatchObject({
    unix_socket_directories: ["/run/pg"],
    work_dir: "/var/x",
  });
  expect(complaints(text)).toEqual([
    'pgpool.conf:4: warning: "socket_dir" is an older name and is taken as "unix_socket_directories" (write "unix_socket_directories")',
    'pgpool.conf:5: warning: "logdir" is an older name and is taken as "work_dir" (write "work_dir")',
  ]);
});

test("a wrong secret is not repeated", () => {
  const lines = complaints(`${ONE_BACKEND}sr_check_password = 'AEShidden'\n`);
  expect(lines).toEqual([
    'pgpool.conf:4: error: invalid value for "sr_check_password" (encrypted passwords are not supported yet)',
  ]);
});

test("plain health check values hold for each backend that has none of its own", () => {
  const config = configOf(`health_check_period = 5
health_check_user = 'all'
connect_timeout = 1s
backend_port0 = 5432
backend_hostname0 = 'a'
backend_port3 = 5433
backend_hostname3 = 'b'
health_check_period3 = 1min
connect_timeout3 = 250
health_check_password3 = 'three'
`);
  expect(config.health_check_period).toBe(5);
  expect(config.backends.map(({ id, healthCheck }) => ({ id, ...healthCheck }))).toMatchObject([
    { id: 0, period: 5, user: "all", connectTimeout: 1000, timeout: 20, retryDelay: 1 },
    { id: 3, period: 60, user: "all", connectTimeout: 250, database: "postgres" },
  ]);
  expect(config.backends[1]?.healthCheck.password.reveal()).toBe("three");
});

test("a backend has what is written, the socket directory without host name, and its flags", () => {
  const config = configOf(`backend_port1 = 5432
backend_weight1 = 0.5
backend_data_directory1 = '/data'
backend_flag1 = 'DISALLOW_TO_FAILOVER | ALWAYS_PRIMARY'
backend_application_name1 = 'one'
backend_port0 = 0
`);
  expect(config.backends).toMatchObject([
    {
      id: 1,
      hostname: "/tmp",
      port: 5432,
      weight: 0.5,
      dataDirectory: "/data",
      applicationName: "one",
      mayFailover: false,
      alwaysPrimary: true,
    },
  ]);
});

test("watchdog nodes come with their heartbeat addresses, hostnameN where none is given", () => {
  const config = configOf(ONE_BACKEND + THREE_NODES, NODE_ID_1);
  expect(config.nodeId).toBe(1);
  expect(config.nodes).toEqual([
    {
      id: 0,
      hostname: "server1",
      pgpoolPort: 9999,
      wdPort: 9000,
      heartbeats: [{ hostname: "server1", port: 9694, device: "" }],
    },
    {
      id: 1,
      hostname: "server2",
      pgpoolPort: 9999,
      wdPort: 9000,
      heartbeats: [
        { hostname: "server2", port: 9694, device: "" },
        { hostname: "10.1.0.12", port: 9694, device: "eth1" },
      ],
    },
    {
      id: 2,
      hostname: "server3",
      pgpoolPort: 9999,
      wdPort: 9000,
      heartbeats: [{ hostname: "server3", port: 9694, device: "" }],
    },
  ]);
});

test("files are absolute, taken from the directory of pgpool.conf unless named", () => {
  const config = configOf("pid_file_name = '../run/x.pid'\npool_passwd = 'sub/passwd'\n");
  expect(config.files).toEqual({
    config: "/etc/pgq/pgpool.conf",
    directory: "/etc/pgq",
    hba: "/etc/pgq/pool_hba.conf",
    pcp: "/etc/pgq/pcp.conf",
    poolPasswd: "/etc/pgq/sub/passwd",
    nodeId: "/etc/pgq/pgpool_node_id",
  });
  expect(config.pid_file_name).toBe("/etc/run/x.pid");
  expect(configOf("pool_passwd = ''\n").files.poolPasswd).toBeNull();
  const named = loadConfig({
    configFile: "/a/pgpool.conf",
    hbaFile: "/b/hba",
    pcpFile: "/c/pcp",
    readText: () => ({ ok: true, value: "" }),
  });
  expect(named.config?.files).toMatchObject({ hba: "/b/hba", pcp: "/c/pcp" });
});

test("the configuration says which names were set, so that defaults can be told apart", () => {
  const config = configOf(
    "delegate_IP = ''\nif_up_cmd = 'x $_IP_$'\nif_down_cmd = 'y'\nhostname0=''",
  );
  expect([...config.set].sort()).toEqual(["delegate_ip", "hostname0", "if_down_cmd", "if_up_cmd"]);
});

test("names that are set but do nothing yet are listed, unless they have the initial value", () => {
  const config = configOf(`ssl = on
memory_cache_enabled = off
port = 5433
wd_lifecheck_method = heartbeat
memqcache_expire = 1000
serialize_accept = on
`);
  expect(withoutMeaning(config)).toEqual(["serialize_accept"]);
  expect(notActingYet(config)).toEqual(["memqcache_expire", "ssl"]);
});

test("an included file is read in place, relative to the including one", () => {
  const config = configOf("port = 1111\ninclude 'sub/a.conf'\nmax_pool = 9\n", {
    "/etc/pgq/sub/a.conf": "port = 2222\ninclude = 'b.conf'\nmax_pool = 8\n",
    "/etc/pgq/sub/b.conf": "pcp_port = 3333\n",
  });
  expect(config).toMatchObject({ port: 2222, pcp_port: 3333, max_pool: 9 });
});

test("a mistake in an included file is told with that file's name", () => {
  const lines = complaints(`${ONE_BACKEND}include 'a.conf'\n`, {
    "/etc/pgq/a.conf": "\nport = x\n",
  });
  expect(lines).toEqual([
    'a.conf:2: error: invalid value "x" for "port" (expected a whole number from 1024 to 65535)',
  ]);
});

test("an included file that is missing is an error", () => {
  expect(complaints(`${ONE_BACKEND}include 'gone.conf'\n`)).toEqual([
    'pgpool.conf:4: error: cannot read the included file "gone.conf": no such file (correct the name; it is relative to the directory of the including file)',
  ]);
});

test("files that include each other are an error, not a loop", () => {
  const lines = complaints(`${ONE_BACKEND}include 'a.conf'\n`, {
    "/etc/pgq/a.conf": "include './../pgq/pgpool.conf'\n",
  });
  expect(lines).toEqual([
    'a.conf:1: error: "pgpool.conf" includes itself: pgpool.conf > a.conf > pgpool.conf (break the loop)',
  ]);
});

function chainOfFiles(length: number): Record<string, string> {
  const files: Record<string, string> = {};
  for (let i = 1; i <= length; i += 1) files[`/etc/pgq/${i}`] = `include '${i + 1}'\n`;
  return { ...files, [`/etc/pgq/${length + 1}`]: "port = 4321\n" };
}

test("files may be included ten levels deep and no deeper", () => {
  expect(configOf("include '1'\n", chainOfFiles(9)).port).toBe(4321);
  expect(complaints(`${ONE_BACKEND}include '1'\n`, chainOfFiles(10))).toEqual([
    '10:1: error: "11" is not included: more than 10 levels and 100 files (include fewer files)',
  ]);
});

test("files that include many others do not multiply without end", () => {
  const many = "include 'a'\ninclude 'b'\ninclude 'c'\n".replaceAll(/'(.)'/g, "'$1X'");
  const files: Record<string, string> = {};
  let names = ["a", "b", "c"];
  for (let depth = 0; depth < 6; depth += 1) {
    for (const name of names) files[`/etc/pgq/${name}`] = many.replaceAll("X", String(depth));
    names = ["a", "b", "c"].map((name) => `${name}${depth}`);
  }
  const { findings } = load("include 'a'\ninclude 'b'\n", files);
  expect(findings.length).toBeLessThan(400);
  expect(formatFindings(findings)).toContain("100 files");
});

test.each([
  ["not a number", "one"],
  ["too large", "128"],
  ["negative", "-1"],
  ["empty", ""],
])("a node id that is %s is an error while the watchdog is on", (_name, id) => {
  const lines = complaints(ONE_BACKEND + THREE_NODES, { "/etc/pgq/pgpool_node_id": id });
  expect(lines).toEqual([
    "pgpool_node_id: error: the file holds no number from 0 to 127 (write this node's number, the N of its hostnameN, into pgpool_node_id)",
  ]);
});

test("a missing node id file is an error while the watchdog is on, and fine while it is off", () => {
  expect(complaints(ONE_BACKEND + THREE_NODES)).toEqual([
    "pgpool_node_id: error: use_watchdog is on and the file cannot be read: no such file (write this node's number, the N of its hostnameN, into pgpool_node_id)",
  ]);
  expect(complaints(ONE_BACKEND)).toEqual([]);
});
