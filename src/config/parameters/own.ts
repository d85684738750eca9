import type { ParameterRows } from "./parameter.ts";

/** Parameters that Pgpool-II does not have. */
export const OWN = {
  num_workers: {
    type: "int",
    initial: 0,
    max: 1024,
    context: "init",
    since: "pgquorum",
    acts: true,
    about: "Worker processes that serve clients; 0 takes the number of processors.",
  },
  pgpool_compat_version: {
    type: "enum",
    values: ["4.3", "4.4", "4.5", "4.6", "4.7"],
    ordinals: "names",
    initial: "4.7",
    context: "init",
    since: "pgquorum",
    acts: true,
    about: "Release of Pgpool-II whose SHOW and PCP layouts are spoken.",
  },
  wd_cluster_name: {
    type: "string",
    initial: "pgquorum",
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "Name of the watchdog cluster; nodes of another name are refused even with the same key.",
  },
  wd_lease_time: {
    type: "int",
    unit: "ms",
    initial: 3000,
    min: 300,
    max: 600_000,
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "How long the nodes that heard the leader elect no other. Shorter moves the virtual IP sooner but bears less delay. The same on all nodes.",
  },
  vip_fence: {
    type: "enum",
    values: ["auto", "nft", "lifetime", "none"],
    ordinals: "names",
    initial: "auto",
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "How the kernel takes the virtual IP out of use when the process that holds it freezes: a packet filter, the address's own lifetime, or not at all; `auto` takes the first that works here.",
  },
  vip_interface: {
    type: "string",
    initial: "",
    context: "init",
    since: "pgquorum",
    acts: true,
    about:
      "Network device that gets the virtual IP; empty takes the one with this node's hostnameN address.",
  },
} as const satisfies ParameterRows;
