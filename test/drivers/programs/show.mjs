// What the programs in JavaScript share: they show the features that they are asked for, in order.

/** Text of a value that is the same in every run. */
export function text(value) {
  if (value === undefined) return "";
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value))
    return value.length > 40 ? `${value.length} bytes` : value.toString("hex");
  if (Array.isArray(value)) return value.map(text).join(",");
  if (value !== null && typeof value === "object") return JSON.stringify(value);
  return String(value);
}

function print(...values) {
  const words = values
    .map(text)
    .map((word) => word.replaceAll("\r", "\\r").replaceAll("\n", "\\n"));
  process.stdout.write(`${words.join(" ").trimEnd()}\n`);
}

export async function show(features) {
  for (const name of process.argv.slice(2)) {
    process.stdout.write(`## ${name}\n`);
    const feature = features[name];
    if (feature === undefined) print("not supported: the driver has nothing of the kind");
    else if (typeof feature === "string") print(`not supported: ${feature}`);
    else {
      await feature(print).catch((error) => print(`failed: ${error.code ?? ""} ${error.stack}`));
    }
  }
  process.stdout.write("## end\n");
}
