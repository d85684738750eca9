import { describe, expect, it } from "vitest";
import { findPassword } from "../../../../src/cli/pcp/passfile.ts";

const FILE = `# host:port:user:password
db1:9898:pcp:first
db1:9898:pcp:never reached
*:9899:*:by port
localhost:*:pcp:local:with:colons
db\\:6:9898:pcp:back\\\\slash\\:colon
broken line
*:*:guest:
`;

function look(host: string, port: number, user: string): string | null {
  return findPassword(FILE, { host, port, user })?.reveal() ?? null;
}

describe(".pcppass", () => {
  it("gives the first line that fits", () => {
    expect(look("db1", 9898, "pcp")).toBe("first");
  });

  it("lets a star stand for everything", () => {
    expect(look("anything", 9899, "anybody")).toBe("by port");
  });

  it("looks for a local socket under the name localhost", () => {
    expect(look("", 1, "pcp")).toBe("local:with:colons");
    expect(look("/tmp", 1, "pcp")).toBe("local:with:colons");
    expect(look("/run", 1, "pcp")).toBeNull();
  });

  it("takes a backslash before a colon or a backslash", () => {
    expect(look("db:6", 9898, "pcp")).toBe("back\\slash:colon");
  });

  it("knows empty passwords, and gives none for a stranger", () => {
    expect(look("db9", 1, "guest")).toBe("");
    expect(look("db9", 1, "stranger")).toBeNull();
    expect(look("# host", 0, "user")).toBeNull();
  });
});
