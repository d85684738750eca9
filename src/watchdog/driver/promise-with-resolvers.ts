/**
 * Node 20 lacks `Promise.withResolvers`, which the libp2p packages call. Import this before them.
 * Source: ECMAScript 2024, 27.2.4.9.
 */
interface Resolvers<T> {
  promise: Promise<T>;
  resolve: (value: T | PromiseLike<T>) => void;
  reject: (reason?: unknown) => void;
}

const constructor = Promise as PromiseConstructor & { withResolvers?: unknown };

constructor.withResolvers ??= function withResolvers<T>(): Resolvers<T> {
  let resolve: Resolvers<T>["resolve"] = () => undefined;
  let reject: Resolvers<T>["reject"] = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
};
