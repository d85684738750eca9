import type { SocketProblem } from "./unix-socket.ts";

/**
 * Why clients cannot be listened for, and what to do.
 *
 * @param name of the address, as a person would say it.
 * @param path of a Unix socket, else null.
 */
export function clientPortProblem(name: string, code: string, path: string | null): SocketProblem {
  const message = `could not listen on ${name}: ${code}`;
  if (code === "EADDRINUSE") {
    const hint =
      path === null
        ? "Is another pgpool, or PostgreSQL itself, running on that port? Stop it, or change port."
        : `Is another pgpool running? If not, remove the file "${path}".`;
    return { message, hint };
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    const hint = "The address is not one of this machine's: change listen_addresses.";
    return { message, hint };
  }
  if (code === "EACCES" || code === "ENOENT") {
    const hint =
      path === null
        ? "This user may not listen on that port: change port."
        : "The directory must exist and be writable for the user that pgpool runs as: change unix_socket_directories.";
    return { message, hint };
  }
  return { message, hint: "Change listen_addresses, port or unix_socket_directories." };
}
