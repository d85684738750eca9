/** What the nodes wrote into their logs since a moment. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { files, type Host } from "../../../scripts/lab.d/layout.ts";

export interface LogLine {
  readonly host: string;
  /** Wall clock, milliseconds since 1970. */
  readonly wallMs: number;
  readonly text: string;
}

/** Reads on from where the logs ended when it was made. */
export class NodeLogs {
  readonly #hosts: readonly Host[];
  readonly #offsets = new Map<string, number>();
  readonly #lines: LogLine[] = [];
  readonly #rests = new Map<string, string>();

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
    for (const host of hosts) this.#offsets.set(host.name, sizeOf(files.nodeLog(host)));
  }

  /** All lines since the beginning, in the order of their moments. */
  read(): readonly LogLine[] {
    for (const host of this.#hosts) {
      const offset = this.#offsets.get(host.name) ?? 0;
      const text = textFrom(files.nodeLog(host), offset);
      this.#offsets.set(host.name, offset + Buffer.byteLength(text));
      const parts = ((this.#rests.get(host.name) ?? "") + text).split("\n");
      this.#rests.set(host.name, parts.pop() ?? "");
      for (const part of parts) {
        const line = parseLine(host.name, part);
        if (line !== null) this.#lines.push(line);
      }
    }
    return this.#lines.toSorted((one, other) => one.wallMs - other.wallMs);
  }

  /** The first line of any of the hosts that fits, or null. */
  first(pattern: RegExp, host?: Host): LogLine | null {
    const fits = (line: LogLine): boolean =>
      pattern.test(line.text) && (host === undefined || line.host === host.name);
    return this.read().find(fits) ?? null;
  }
}

/** `2026-01-02 03:04:05.678: main pid 7: LOG:  text`; null for a line that goes on. */
export function parseLine(host: string, line: string): LogLine | null {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}): (.*)$/.exec(line);
  if (match === null) return null;
  const wallMs = new Date(`${match[1]}T${match[2]}`).getTime();
  return { host, wallMs, text: match[3] ?? "" };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

function textFrom(path: string, offset: number): string {
  const length = sizeOf(path) - offset;
  if (length <= 0) return "";
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    const count = readSync(file, bytes, 0, length, offset);
    return bytes.toString("utf8", 0, count);
  } finally {
    closeSync(file);
  }
}
