import type { BackendConnection } from "./backend-connection.ts";

/** A server that takes longer for what we ask has other troubles. */
const WITHIN_MS = 10_000;

/** Waits for the answers to what we asked last for a session that has ended. One of the two is called. */
export function awaitLastAnswers(
  connection: BackendConnection,
  o: { readonly answered: () => void; readonly broken: () => void },
): void {
  const timer = setTimeout(o.broken, WITHIN_MS);
  const over = (how: () => void): void => {
    clearTimeout(timer);
    how();
  };
  connection.use({
    received: ({ link }, bytes) => {
      if (link.push(bytes) !== null || link.lastWords !== null) over(o.broken);
      else if (link.isQuiet) over(o.answered);
    },
    drained: () => undefined,
    closed: () => over(o.broken),
  });
}
