import { execFile } from "node:child_process";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";

const NFT_TIMEOUT_MS: Ms = 5000;
const OUTPUT_BYTES_MAX = 1024 * 1024;
const COMPLAINT_MAX = 400;

/** Runs `nft` with this text as one transaction: all of it happens, or nothing. */
export async function loadNft(text: string): Promise<Result<void, string>> {
  const ran = await runNft(["-f", "-"], text);
  return ran.ok ? succeed(undefined) : ran;
}

/** What `nft -j list table` prints. */
export async function listNftTable(table: string): Promise<Result<string, string>> {
  return await runNft(["-j", "list", "table", "netdev", table], "");
}

function runNft(args: readonly string[], input: string): Promise<Result<string, string>> {
  return new Promise((resolve) => {
    const options = {
      timeout: NFT_TIMEOUT_MS,
      killSignal: "SIGKILL" as const,
      maxBuffer: OUTPUT_BYTES_MAX,
    };
    const child = execFile("nft", args, options, (error, output, complaint) => {
      if (error === null) return resolve(succeed(output));
      const said = complaint.trim().replaceAll(/\s*\n\s*/g, " ");
      const why = said === "" ? error.message : said;
      resolve(fail(why.slice(0, COMPLAINT_MAX)));
    });
    child.stdin?.on("error", () => undefined); // Its exit says the same.
    child.stdin?.end(input);
  });
}
