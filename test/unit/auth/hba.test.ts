import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchHba, parseHba, type HbaClient } from "../../../src/auth/index.ts";
import { fail, succeed } from "../../../src/base/index.ts";

function client(own: Partial<HbaClient> = {}): HbaClient {
  return {
    type: "host",
    tls: false,
    address: "10.0.0.5",
    database: "app",
    user: "alice",
    ownAddresses: ["10.0.0.1/24", "fd00::1/64", "127.0.0.1/8"],
    ...own,
  };
}

/** The line of the rule that decides, or null. */
function deciding(text: string, own: Partial<HbaClient> = {}): number | null {
  const { rules, findings } = parseHba(text);
  expect(findings).toEqual([]);
  return matchHba(rules, client(own))?.line ?? null;
}

describe("the first rule that fits decides", () => {
  test.each<[string, Partial<HbaClient>, boolean]>([
    ["host all all all trust", {}, true],
    ["host all all all trust", { address: "fd00::9" }, true],
    ["host all all all trust", { type: "local", address: null }, false],
    ["local all all trust", { type: "local", address: null }, true],
    ["local all all trust", {}, false],
    ["hostssl all all all trust", { tls: true }, true],
    ["hostssl all all all trust", {}, false],
    ["hostnossl all all all trust", {}, true],
    ["hostnossl all all all trust", { tls: true }, false],
    ["host app,other alice all trust", {}, true],
    ["host app , other bob , alice all trust", {}, true],
    ["host other alice all trust", {}, false],
    ["host app bob all trust", {}, false],
    ["host sameuser all all trust", { database: "alice" }, true],
    ["host sameuser all all trust", {}, false],
    ['host "all" all all trust', {}, false],
    ['host "all" all all trust', { database: "all" }, true],
    ['host "my db" "a,b" all trust', { database: "my db", user: "a,b" }, true],
    ["host all all 10.0.0.0/8 trust", {}, true],
    ["host all all 10.0.0.0/30 trust", {}, false],
    ["host all all 10.0.0.4/30 trust", {}, true],
    ["host all all 10.0.0.99/24 trust", {}, true],
    ["host all all 10.0.0.0 255.255.255.0 trust", {}, true],
    ["host all all 10.0.1.0 255.255.255.0 trust", {}, false],
    ["host all all 0.0.0.0/0 trust", {}, true],
    ["host all all 0.0.0.0/0 trust", { address: "::1" }, false],
    ["host all all ::/0 trust", {}, false],
    ["host all all ::1/128 trust", { address: "::1" }, true],
    ["host all all fd00::/ffff trust".replace("/ffff", "/16"), { address: "fd00:1::2" }, true],
    ["host all all fd00:: ffff:: trust", { address: "fd00:1::2" }, true],
    ["host all all fe80::/10 trust", { address: "fe80::1%eth0" }, true],
    ["host all all 10.0.0.5/32 trust", { address: "::ffff:10.0.0.5" }, true],
    ["host all all localhost trust", { address: "127.0.0.1" }, true],
    ["host all all localhost trust", { address: "::1" }, true],
    ["host all all localhost trust", {}, false],
    ["host all all samehost trust", { address: "10.0.0.1" }, true],
    ["host all all samehost trust", {}, false],
    ["host all all samenet trust", {}, true],
    ["host all all samenet trust", { address: "10.0.1.5" }, false],
    ["host all all samenet trust", { address: "fd00::77" }, true],
    ["host all all 0.0.0.0/0 trust", { address: null }, false],
    ["host all all 0.0.0.0/0 trust", { address: "not an address" }, false],
  ])("%s, for %o: %s", (text, own, fits) => {
    expect(deciding(text, own)).toBe(fits ? 1 : null);
  });

  test("and none after it", () => {
    const text = [
      "# comment",
      "",
      "host all alice 10.0.0.0/8 reject # not she",
      "host all all 10.0.0.0/8 scram-sha-256",
    ].join("\r\n");
    expect(deciding(text)).toBe(3);
    expect(deciding(text, { user: "bob" })).toBe(4);
    expect(deciding(text, { address: "11.0.0.1" })).toBeNull();
  });
});

test.each(["trust", "reject", "scram-sha-256", "md5", "password"] as const)(
  "%s is a method",
  (method) => {
    expect(parseHba(`local all all ${method}`).rules[0]?.action).toEqual({
      kind: "method",
      method,
    });
  },
);

test.each(["pam", "ldap", "cert"])("%s makes a rule that refuses with a reason", (method) => {
  const { rules, findings } = parseHba(`local all all ${method} a=b`);
  expect(findings).toEqual([]);
  expect(rules[0]?.action).toMatchObject({ kind: "refuse", method });
  expect(rules[0]?.action).toHaveProperty("reason", expect.stringContaining("not available"));
  expect(rules[0]?.options).toEqual(new Map([["a", "b"]]));
});

describe("a mistake is told with its line, and leaves no rule", () => {
  test.each([
    ["hots all all all trust", 'unknown connection type "hots"'],
    ["host all", "the line ends before the database and user"],
    ["host all all", "the line ends before the address"],
    ["host all all all", "the line ends before the method"],
    ["local all all", "the line ends before the method"],
    ["host all all 10.0.0.0/33 trust", '"10.0.0.0/33" is no address range'],
    ["host all all 10.0.0.1 trust", 'the address "10.0.0.1" has no mask'],
    ["host all all 10.0.0.1 ffff:: trust", 'the address "10.0.0.1" has no mask'],
    ["host all all db.example.com trust", 'host names are not looked up: "db.example.com"'],
    ["host all all .example.com trust", "host names are not looked up"],
    ["host all all all ident", 'unknown authentication method "ident"'],
    ["host all all all trust clientcert=1", 'the method trust has no option "clientcert"'],
    ["host all all all ldap server", '"server" is no option of the form name=value'],
    ['host all "al all trust', "a quoted name has no closing quote"],
    ["host @list all all trust", 'could not read the list "@list"'],
    ["host all +staff all reject", '"+staff" is taken as a plain name and so matches nobody'],
  ])("%s", (line, message) => {
    const { rules, findings } = parseHba(`local all all trust\n${line}`, { file: "/etc/hba" });
    expect(rules).toEqual([]);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ level: "error", file: "/etc/hba", line: 2 });
    expect(findings[0]?.message).toContain(message);
  });
});

test.each(["+staff", "samerole", "/^a"])(
  "the name %s, which matches nobody, is a warning",
  (name) => {
    const { rules, findings } = parseHba(`host all ${name} all trust`);
    expect(rules).toHaveLength(1);
    expect(findings).toMatchObject([{ level: "warning", line: 1 }]);
  },
);

describe("a list in a file", () => {
  const files: Record<string, string> = {
    users: "alice # she\nbob, @more",
    more: '"all"\n',
    loop: "@loop",
  };
  const readFile = (name: string) => {
    const text = files[name];
    return text === undefined ? fail("no such file") : succeed(text);
  };

  test.each([
    ["alice", true],
    ["bob", true],
    ["all", true],
    ["carol", false],
  ])("names %s: %s", (user, fits) => {
    const { rules, findings } = parseHba("host all @users all trust", { readFile });
    expect(findings).toEqual([]);
    expect(matchHba(rules, client({ user })) !== null).toBe(fits);
  });

  test("that is missing, or contains itself, is an error", () => {
    const { findings } = parseHba("host all @none all trust\nhost @loop all all trust", {
      readFile,
    });
    expect(findings.map((finding) => finding.message)).toEqual([
      'could not read the list "@none": no such file',
      '"@loop" is included more than 10 levels deep',
    ]);
  });
});

test("no text makes the parser or the match throw", () => {
  const word = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      "host",
      "local",
      "all",
      "trust",
      "md5",
      "10.0.0.0/8",
      "::1/128",
      "::",
      '"',
      ",",
      "#",
      "@x",
      "a=b",
    ),
  );
  const line = fc.array(word, { maxLength: 8 }).map((words) => words.join(" "));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 4 }), fc.string(), (lines, address) => {
      const { rules } = parseHba(lines.join("\n"));
      matchHba(rules, client({ address, ownAddresses: [address] }));
    }),
    { numRuns: 1000 },
  );
});
