import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { NftFence } from "./nft-fence.ts";

const PROBE_LEASE_MS: Ms = 1000;

/**
 * Whether the fence works here, by trying it on an address of `lo`: a table with both hooks loads,
 * a permit alone opens nothing, and a renewal of this user opens. Errors: in the words of nft, or
 * what did not happen.
 */
export async function probeNft(table: string, isIPv6: boolean): Promise<Result<void, string>> {
  const opened = await NftFence.open({
    table: `${table}_probe`,
    vip: isIPv6 ? "::1" : "127.0.0.1",
    leaseMs: PROBE_LEASE_MS,
    devices: () => Promise.resolve(succeed([])),
    onBypassed: () => undefined,
  });
  if (!opened.ok) return opened;
  try {
    const armed = await opened.value.arm();
    if (!armed.ok) return armed;
    const before = await opened.value.look();
    if (!before.ok) return before;
    opened.value.renew();
    const after = await opened.value.look();
    if (!after.ok) return after;
    if (before.value.isOpen) return fail("the filter opens without a renewal");
    return after.value.isOpen
      ? succeed(undefined)
      : fail("the filter ignores renewals; is the device lo up?");
  } finally {
    await opened.value.remove();
  }
}
