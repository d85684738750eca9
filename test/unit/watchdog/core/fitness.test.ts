import { describe, expect, it } from "vitest";
import {
  fitnessWakeAtMs,
  hasLink,
  LINK_SETTLE_MS,
  parseLink,
  startFitness,
  stepFitness,
  testCommand,
  trustedServersOf,
  type FitnessEvent,
  type FitnessRules,
} from "../../../../src/watchdog/core/fitness/index.ts";

const NOTHING: FitnessRules = {
  selfId: 0,
  peerIds: [1, 2],
  intervalMs: 10_000,
  lifePoints: 3,
  asksProxies: false,
  trustedServers: [],
  watchedLinks: [],
};
const QUERY: FitnessRules = { ...NOTHING, asksProxies: true };
const TRUST: FitnessRules = { ...NOTHING, trustedServers: ["gateway", "10.0.0.2"] };
const LINKS: FitnessRules = { ...NOTHING, watchedLinks: ["e0", "e1"] };

const tick: FitnessEvent = { type: "tick" };

function asked(id: number, isAnswered: boolean): FitnessEvent {
  return { type: "proxy-asked", id, isAnswered };
}

function tested(outcome: "reachable" | "unreachable" | "unknown"): FitnessEvent {
  return { type: "servers-tested", outcome };
}

function seen(isUp: boolean): FitnessEvent {
  return { type: "links-seen", hasLink: isUp };
}

type Story = readonly (readonly [atMs: number, event: FitnessEvent, told: readonly string[]])[];

/** Actions as words: `ask 1`, `test`, `unfit CAUSE`, `fit`. */
function tell(rules: FitnessRules, story: Story): void {
  let state = startFitness(rules, 0);
  for (const [atMs, event, told] of story) {
    const stepped = stepFitness(state, event, atMs);
    state = stepped.state;
    const words = stepped.actions.map((action) => {
      if (action.type === "ask-proxy") return `ask ${action.id}`;
      if (action.type === "test-servers") return "test";
      return action.unfit === null ? "fit" : `unfit ${action.unfit.cause}`;
    });
    expect(words, `at ${atMs} ms, ${JSON.stringify(event)}`).toEqual(told);
  }
}

describe("a round", () => {
  it("asks every proxy each wd_interval, none of them twice at a time", () => {
    tell(QUERY, [
      [9999, tick, []],
      [10_000, tick, ["ask 0", "ask 1", "ask 2"]],
      [10_001, tick, []],
      [10_100, asked(0, true), []],
      [20_000, tick, ["ask 0"]],
      [20_001, asked(1, true), []],
      [30_000, tick, ["ask 1"]],
    ]);
  });

  it("tests the trusted servers each wd_interval, when there are any", () => {
    tell(TRUST, [
      [10_000, tick, ["test"]],
      [20_000, tick, []],
      [20_001, tested("reachable"), []],
      [30_000, tick, ["test"]],
    ]);
    tell(NOTHING, [[10_000, tick, []]]);
  });

  it("names its next moment, and none where nothing is to be done", () => {
    expect(fitnessWakeAtMs(startFitness(QUERY, 5))).toBe(10_005);
    expect(fitnessWakeAtMs(startFitness(TRUST, 5))).toBe(10_005);
    expect(fitnessWakeAtMs(startFitness(NOTHING, 5))).toBeNull();
    const down = stepFitness(startFitness(LINKS, 0), seen(false), 7).state;
    expect(fitnessWakeAtMs(down)).toBe(7 + LINK_SETTLE_MS);
    expect(fitnessWakeAtMs(stepFitness(down, tick, 7 + LINK_SETTLE_MS).state)).toBeNull();
  });
});

describe("a node whose own proxy fails", () => {
  it("is unfit after wd_life_point failures in a row, when another's answers", () => {
    tell(QUERY, [
      [1, asked(1, true), []],
      [2, asked(0, false), []],
      [3, asked(0, false), []],
      [4, asked(0, true), []],
      [5, asked(0, false), []],
      [6, asked(0, false), []],
      [7, asked(0, false), ["unfit proxy"]],
      [8, asked(0, false), []],
      [9, asked(0, true), ["fit"]],
    ]);
  });

  it("stays fit while no proxy at all answers, for somebody must lead out of it", () => {
    tell(QUERY, [
      [1, asked(1, false), []],
      [2, asked(0, false), []],
      [3, asked(0, false), []],
      [4, asked(0, false), []],
      [5, asked(2, true), ["unfit proxy"]],
      [6, asked(2, false), ["fit"]],
    ]);
  });
});

describe("a node that reaches no trusted server", () => {
  it("is unfit until one answers", () => {
    tell(TRUST, [
      [1, tested("unreachable"), ["unfit trusted-servers"]],
      [2, tested("unreachable"), []],
      [3, tested("reachable"), ["fit"]],
    ]);
  });

  it("is taken for what it was while the command cannot be run", () => {
    tell(TRUST, [
      [1, tested("unknown"), []],
      [2, tested("unreachable"), ["unfit trusted-servers"]],
      [3, tested("unknown"), []],
    ]);
  });
});

describe("a node that lost its links", () => {
  it("is unfit once they have been down for a while, and fit once they have been up as long", () => {
    tell(LINKS, [
      [5000, seen(false), []],
      [5999, tick, []],
      [6000, tick, ["unfit network"]],
      [7000, seen(true), []],
      [7999, tick, []],
      [8000, tick, ["fit"]],
    ]);
  });

  it("takes no notice of a short flap, in either direction", () => {
    tell(LINKS, [
      [5000, seen(false), []],
      [5900, seen(true), []],
      [9000, tick, []],
      [10_000, seen(false), []],
      [11_000, tick, ["unfit network"]],
      [12_000, seen(true), []],
      [12_900, seen(false), []],
      [20_000, tick, []],
    ]);
  });

  it("is not, when it watches none", () => {
    tell(NOTHING, [
      [5000, seen(false), []],
      [9000, tick, []],
    ]);
  });
});

describe("a node that an external lifecheck reports dead", () => {
  it("is unfit until it is reported alive, and worse causes are told first", () => {
    tell({ ...LINKS, ...TRUST, watchedLinks: ["any"] }, [
      [1, { type: "reported", isAlive: false }, ["unfit reported"]],
      [2, tested("unreachable"), ["unfit trusted-servers"]],
      [3, seen(false), []],
      [1003, tick, ["unfit network"]],
      [1004, seen(true), []],
      [2004, tested("reachable"), ["unfit reported"]],
      [2005, { type: "reported", isAlive: true }, ["fit"]],
    ]);
  });

  it("says what to look at, and shows Pgpool-II's state", () => {
    const unfit = stepFitness(startFitness(TRUST, 0), tested("unreachable"), 1).state.unfit;
    expect(unfit).toEqual({
      cause: "trusted-servers",
      state: "LOST",
      reason: "none of the trusted_servers (gateway, 10.0.0.2) can be reached from here",
    });
    const down = stepFitness(startFitness(LINKS, 0), seen(false), 1).state;
    expect(stepFitness(down, tick, 5000).state.unfit?.state).toBe("IN NETWORK TROUBLE");
  });
});

describe("the links of a host", () => {
  const links = [
    "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT",
    "2: e0@if3: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state LOWERLAYERDOWN",
    "14: bond0.7@bond0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP",
    "4: e2: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN",
  ].flatMap((line) => parseLink(line) ?? []);

  it("are up when they are switched on and have a carrier", () => {
    expect(links.map(({ name, isUp }) => `${name} ${isUp}`)).toEqual([
      "lo true",
      "e0 false",
      "bond0.7 true",
      "e2 false",
    ]);
    expect(parseLink('Command "link" is unknown, try "ip help".')).toBeNull();
    expect(parseLink("    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff")).toBeNull();
  });

  it.each([
    [["e0"], false],
    [["e0", "bond0.7"], true],
    [["e2", "absent"], false],
    [["any"], true],
    [["ANY"], true],
    [["lo"], true],
  ])("watched as %j give %s", (watched, expected) => {
    expect(hasLink(links, watched)).toBe(expected);
  });

  it("do not count loopback for `any`", () => {
    expect(hasLink(links.slice(0, 2), ["any"])).toBe(false);
  });
});

describe("the trusted servers", () => {
  const config = {
    trusted_servers: "gateway, 10.0.0.2,,fe80::1%e0",
    trusted_server_command: "ping -q -c3 %h",
    ping_path: "/bin",
    set: new Set<string>(),
  };

  it("are read from a list with commas, and tested by the command", () => {
    expect(trustedServersOf(config)).toEqual({
      hosts: ["gateway", "10.0.0.2", "fe80::1%e0"],
      command: "ping -q -c3 %h",
    });
    expect(trustedServersOf({ ...config, trusted_servers: "" }).hosts).toEqual([]);
  });

  it("are pinged by the program in ping_path, where a configuration of old names only that", () => {
    const old = { ...config, ping_path: "/opt/it's", set: new Set(["ping_path"]) };
    expect(trustedServersOf(old).command).toBe("'/opt/it'\\''s/ping' -q -c3 %h");
    const both = { ...old, set: new Set(["ping_path", "trusted_server_command"]) };
    expect(trustedServersOf(both).command).toBe("ping -q -c3 %h");
  });

  it("stand in the command where %h does", () => {
    expect(testCommand("ping %h || fping %h", "gateway")).toBe("ping gateway || fping gateway");
  });

  it.each(["", "-f", "a b", "a;reboot", "$(reboot)", "a'b", "a|b", "a\nb", "`reboot`"])(
    "never get as far as a shell as %j",
    (host) => {
      expect(testCommand("ping %h", host)).toBeNull();
    },
  );
});
