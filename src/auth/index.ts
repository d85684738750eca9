/**
 * Who may come in, and how it is proven: pool_hba.conf rules, pool_passwd and pcp.conf lines, the
 * md5 and SCRAM-SHA-256 exchanges in both directions. It reads no file, opens no socket and draws
 * no random number: text and random bytes come in, messages and verdicts go out. Secrets stay
 * wrapped. Read `types.ts` first, then `scram-server.ts`.
 */
export type {
  AuthFinding,
  HbaAddress,
  HbaClient,
  HbaMethod,
  HbaName,
  HbaRule,
  Network,
  PoolPasswdEntry,
  PoolSecret,
  ScramReason,
  ScramSecret,
  ScramServerSecret,
} from "./types.ts";
export { parseHba } from "./hba-parse.ts";
export { matchHba } from "./hba-match.ts";
export { parsePoolPasswd } from "./pool-passwd.ts";
export {
  rememberSalted,
  SCRAM_ITERATIONS,
  SCRAM_MESSAGE_BYTES_MAX,
  SCRAM_REASONS,
  scramHashInput,
  scramSaltFor,
  scramVerifier,
  type ScramHashing,
} from "./scram-keys.ts";
export { startScramServer, type ScramServer } from "./scram-server.ts";
export { longHashing, startScramClient, type ScramClient } from "./scram-client.ts";
export { md5Password, md5Response, verifyCleartext, verifyMd5 } from "./md5.ts";
export { parsePcpConf, pcpMd5Response, pcpStoredHash, verifyPcp } from "./pcp.ts";
