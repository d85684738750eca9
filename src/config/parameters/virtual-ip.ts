import type { ParameterRows } from "./parameter.ts";

/** The address that moves with the leader. The three commands are run only when they are set here; otherwise the node moves the address itself. */
export const VIRTUAL_IP = {
  delegate_ip: {
    type: "string",
    initial: "",
    context: "init",
    since: "4.4",
    olderNames: ["delegate_IP"],
    acts: true,
    about: "The virtual IP address; empty for none.",
  },
  if_cmd_path: {
    type: "string",
    initial: "/sbin",
    context: "init",
    since: "3.5",
    olderNames: ["ifconfig_path"],
    acts: true,
    about:
      "Directory of the programs in if_up_cmd and if_down_cmd when these are written without a path.",
  },
  if_up_cmd: {
    type: "string",
    initial: "/usr/bin/sudo /sbin/ip addr add $_IP_$/24 dev eth0 label eth0:0",
    context: "init",
    since: "3.2",
    acts: true,
    about: "Command that adds the virtual IP; `$_IP_$` is the address.",
  },
  if_down_cmd: {
    type: "string",
    initial: "/usr/bin/sudo /sbin/ip addr del $_IP_$/24 dev eth0",
    context: "init",
    since: "3.2",
    acts: true,
    about: "Command that removes the virtual IP; `$_IP_$` is the address.",
  },
  arping_path: {
    type: "string",
    initial: "/usr/sbin",
    context: "init",
    since: "3.2",
    acts: true,
    about: "Directory of the program in arping_cmd when it is written without a path.",
  },
  arping_cmd: {
    type: "string",
    initial: "/usr/bin/sudo /usr/sbin/arping -U $_IP_$ -w 1 -I eth0",
    context: "init",
    since: "3.2",
    acts: true,
    about: "Command that tells the neighbours about the virtual IP; `$_IP_$` is the address.",
  },
} as const satisfies ParameterRows;
