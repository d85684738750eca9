import { describe, expect, it } from "vitest";
import { decodeError, encodeError, pcpError } from "../../../../src/wire/pcp/index.ts";

function payloadOf(bytes: Buffer): Buffer {
  return bytes.subarray(5);
}

describe("an error packet", () => {
  it("has its fields in Pgpool-II's order, and a NUL at the end", () => {
    const bytes = encodeError(
      pcpError("ERROR", "informing node info failed", "invalid node ID : 7", "look again"),
    );
    expect(bytes.toString("latin1", 0, 1)).toBe("E");
    expect(bytes.readInt32BE(1)).toBe(bytes.length - 1);
    expect(payloadOf(bytes).toString().replaceAll("\0", "|")).toBe(
      "SERROR|CXX000|Minforming node info failed|Dinvalid node ID : 7|Hlook again|Fpgquorum|L0||",
    );
  });

  it("is read back as it was written", () => {
    const error = pcpError("FATAL", "authentication failed", "no such user");
    expect(decodeError(payloadOf(encodeError(error)))).toEqual(error);
  });

  it("begins no text with a letter at which C clients cut it", () => {
    const error = decodeError(payloadOf(encodeError(pcpError("ERROR", "Some", "Detail", "Must"))));
    expect(error).toMatchObject({ message: "some", detail: "detail", hint: "must" });
  });

  it("cuts a field at 255 bytes, never within a character", () => {
    const { message } = decodeError(
      payloadOf(encodeError(pcpError("ERROR", `a${"é".repeat(300)}`))),
    );
    expect(message).toBe(`a${"é".repeat(127)}`);
    const { detail } = decodeError(payloadOf(encodeError(pcpError("ERROR", "m", "é".repeat(300)))));
    expect(detail).toBe("é".repeat(127));
  });

  it("that is cut off or empty is read as far as it goes", () => {
    expect(decodeError(Buffer.alloc(0))).toMatchObject({ severity: "", message: "" });
    expect(decodeError(Buffer.from("SERROR\0Mhalf"))).toMatchObject({
      severity: "ERROR",
      message: "half",
    });
  });
});
