import { describe, expect, test } from "vitest";
import { carryOver } from "../../../../../src/proxy/core/session/carry-over.ts";
import {
  parameterChanges,
  ParameterSets,
} from "../../../../../src/proxy/core/session/parameter-set.ts";
import {
  patientProbe,
  probeQuery,
  readProbe,
} from "../../../../../src/proxy/core/session/session-probe.ts";
import {
  SessionStates,
  type SessionState,
} from "../../../../../src/proxy/core/session/session-state.ts";
import { LEAVES } from "../../../../../src/proxy/core/sql/index.ts";
import { buildParameterStatus } from "../../../../../src/wire/postgres/index.ts";

const states = new SessionStates();

function settings(...pairs: readonly (readonly [string, string])[]): SessionState {
  return states.of(new Map(pairs), new Map());
}

function prepared(...pairs: readonly (readonly [string, string])[]): SessionState {
  return states.of(new Map(), new Map(pairs));
}

describe("states", () => {
  test("that are equal are one object, whatever the order", () => {
    expect(settings(["a", "1"], ["b", "2"])).toBe(settings(["b", "2"], ["a", "1"]));
    expect(settings(["a", "1"])).not.toBe(prepared(["a", "1"]));
    expect(settings()).toBe(states.initial);
  });

  test("that were forgotten are equal still", () => {
    const own = new SessionStates();
    const first = own.of(new Map([["a", "1"]]), new Map());
    for (let i = 0; i < 10_000; i += 1) own.of(new Map([["a", `x${i}`]]), new Map());
    const again = own.of(new Map([["a", "1"]]), new Map());
    expect(again).not.toBe(first);
    expect(carryOver(first, again)).toBeNull();
  });

  test("of a start-up packet leave out what is no setting", () => {
    const packet = new Map([
      ["user", "u"],
      ["database", "d"],
      ["options", "-c geqo=off"],
      ["replication", "off"],
      ["DateStyle", "ISO"],
      ["post_auth_delay", "1"],
      ["application_name", "zoë"],
    ]);
    const { state, startOnly } = states.ofStartUp(packet);
    expect(Object.fromEntries(state.settings)).toEqual({
      application_name: "zo\xc3\xab",
      datestyle: "ISO",
    });
    expect([...startOnly]).toEqual([["post_auth_delay", "1"]]);
  });
});

describe("a change of state", () => {
  test("is none between equal states", () => {
    expect(carryOver(settings(["a", "1"]), settings(["a", "1"]))).toBeNull();
  });

  test("sets what differs, resets what is too much, and quotes it", () => {
    const change = carryOver(
      settings(["a", "1"], ["b", "2"], ["c", "3"]),
      settings(["b", "2"], ["c", "'\\"]),
    );
    expect(change).toEqual({
      queries: [
        "SELECT pg_catalog.set_config('a', NULL, false), pg_catalog.set_config('c', " +
          "pg_catalog.convert_from(pg_catalog.decode('275c', 'hex'), pg_catalog.getdatabaseencoding()), false)",
      ],
      isAtomic: true,
    });
  });

  test("leaves the old role first and takes the new one last", () => {
    const change = carryOver(
      settings(["role", "one"], ["a", "1"]),
      settings(["role", "two"], ["b", "2"]),
    );
    const names = [...(change?.queries[0] ?? "").matchAll(/set_config\('(\w+)', ('\w+'|NULL)/g)];
    expect(names.map(([, name, value]) => `${name} ${value}`)).toEqual([
      "role 'none'",
      "a NULL",
      "b '2'",
      "role 'two'",
    ]);
  });

  test("steps out of a role to set something for the same role", () => {
    const change = carryOver(settings(["role", "one"]), settings(["role", "one"], ["b", "2"]));
    expect(change?.queries[0]).toMatch(/'role', 'none'.*'b', '2'.*'role', 'one'/);
  });

  test("prepares each statement in a query of its own", () => {
    const from = prepared(['a"', "prepare a as select 1"], ["b", "prepare b as select 2"]);
    const to = prepared(["b", "prepare b as select 3"], ["c", "prepare c as select 4 -- x"]);
    expect(carryOver(from, to)).toEqual({
      queries: [
        'DEALLOCATE "a"""; DEALLOCATE "b"',
        "prepare b as select 3",
        "prepare c as select 4 -- x",
      ],
      isAtomic: false,
    });
  });
});

describe("a probe", () => {
  test("asks for the suspected alone", () => {
    const query = probeQuery({ leaves: LEAVES.cursors, names: null }, states.initial);
    expect(query).toContain("pg_cursors");
    expect(query).not.toMatch(/pg_settings|pg_locks|UNION/);
  });

  test("that lifts the time limit asks for it before, and nowhere else", () => {
    const asked = patientProbe({ leaves: LEAVES.settings, names: null }, states.initial);
    expect(asked.map((text) => text.includes("statement_timeout"))).toEqual([true, true, true]);
    expect(asked[2]).toMatch(/<>\) ALL \(ARRAY\[[^\]]*'statement_timeout'\]/);
    const named = { leaves: LEAVES.settings, names: ["statement_timeout", "geqo"] };
    expect(patientProbe(named, states.initial)[2]).not.toContain("statement_timeout");
    expect(patientProbe({ leaves: LEAVES.cursors, names: [] }, states.initial)).toHaveLength(2);
  });

  test("hides what a name tries to smuggle in", () => {
    const names = ["a'); drop table t; --"];
    const query = probeQuery({ leaves: LEAVES.settings, names }, states.initial);
    expect(query).toContain("current_setting('a''); drop table t; --', true)");
  });

  test("of an answer that is cut short takes what is whole", () => {
    const before = settings(["geqo", "off"]);
    const suspicion = { leaves: LEAVES.cursors, names: null };
    const rows = Buffer.from("44000000ff000300", "hex");
    const outcome = readProbe(states, { rows, suspicion, before, base: states.initial });
    expect(outcome).toEqual({ connection: before, session: before, reasons: 0 });
  });

  test("finds a session with too many settings unfit to be moved", () => {
    const many = new Map(Array.from({ length: 300 }, (_, i) => [`a.b${i}`, "1"]));
    const before = states.of(many, new Map());
    const suspicion = { leaves: LEAVES.cursors, names: null };
    const rows = Buffer.alloc(0);
    const { reasons } = readProbe(states, { rows, suspicion, before, base: states.initial });
    expect(reasons).toBe(LEAVES.settings);
  });
});

describe("parameters that a client was told", () => {
  test("are told again where the next connection says otherwise", () => {
    const sets = new ParameterSets();
    const one = sets.of(
      new Map([
        ["TimeZone", "UTC"],
        ["DateStyle", "ISO"],
      ]),
    );
    const two = sets.with(one, "TimeZone", "CET");
    expect(parameterChanges(one, two)).toEqual(buildParameterStatus("TimeZone", "CET"));
    expect(sets.with(two, "TimeZone", "UTC")).toBe(one);
    expect(parameterChanges(one, one)).toBeNull();
    expect(parameterChanges(one, new Map(one))).toBeNull();
  });
});
