/* SPDX-License-Identifier: MIT */
/* The one form that every service, network and volume has after compose_resolve(), whatever short or long form the file
 * used. There is no code here: this is the reference for code that reads those cJSON values.
 *
 * ComposeService.config — an object; members in alphabetical order; a member is there only when the file sets it, save
 * those marked *. "strings" is an array of strings in the file's order; "set" one that is sorted and has no duplicates;
 * "map" an object with string values, sorted by key; BYTES a decimal number of bytes; N a decimal number, both as strings.
 *
 *   annotations          map
 *   cap_add, cap_drop    set, upper case without CAP_ ("NET_ADMIN", "ALL")
 *   command              strings; a string in the file is split into words as a shell does (quotes, backslashes)
 *   cpu_period, cpu_quota, cpu_shares   N
 *   cpus                 decimal number as a string ("0.5"); also from deploy.resources.limits.cpus
 *   devices              set of "HOST:CONTAINER:PERMISSIONS" ("/dev/dri:/dev/dri:rwm"; paths may have colons, see
 *                        compose/model/device.h) and of CDI names ("nvidia.com/gpu=all"); also from gpus, deploy.resources
 *   entrypoint           strings; split like command
 *   expose               set of "PORT/PROTOCOL"
 *   extra_hosts          set of "NAME:ADDRESS"
 *   healthcheck          {"test": strings, "interval", "timeout", "start_period", "start_interval": "30s" (s, ms, us),
 *                        "retries": N};
 *                        the test's first word is NONE, CMD or CMD-SHELL; a disabled check is {"test": ["NONE"]}
 *   hostname             string
 *   init                 true or false
 *   labels               map
 *   logging              {"driver": string, "options": map}, both optional
 *   mem_limit, mem_reservation   BYTES; also from deploy.resources
 *   network_mode         "host", "none", "service:NAME" or "container:NAME"; then there are no networks, and with "host" no ports
 *   networks *           object: name of a top-level network →
 *                        {"aliases": set, "ipv4_address", "ipv6_address", "mac_address"}, each
 *                        only when set; {"default": {}} when the file names none
 *   pid, ipc             a word, "service:NAME" or "container:NAME"
 *   platform             "linux/ARCHITECTURE[/VARIANT]"
 *   ports                array of {"address", "host", "container", "protocol"}, all strings; address "" means all,
 *                        host "" means any free port; ranges are spread, one entry per port, and of
 *                        a range on the host's side alone resolve_ports() has chosen one
 *   privileged           true or false
 *   read_only            true or false (the root file system)
 *   runtime              string
 *   restart *            as ComposeService.restart
 *   security_opt         strings ("label=disable", "no-new-privileges:true")
 *   shm_size             BYTES
 *   stdin_open, tty      true or false
 *   stop_grace_period    "Ns", whole seconds rounded up
 *   stop_signal          string
 *   sysctls              map
 *   tmpfs                strings ("/run" or "/run:size=64m,mode=755")
 *   ulimits              object: name → {"soft": N, "hard": N}; -1 is unlimited
 *   user                 string
 *                        (`configs` and `secrets` are among the volumes: files, mounted for reading)
 *   volumes              array of {"type", "source", "target", "read_only", "options"}:
 *                          type "bind":   source an absolute, clean host path
 *                          type "volume": source the key of a top-level volume; one without a name has got one
 *                          type "tmpfs":  source ""
 *                        target is an absolute, clean path; read_only true or false; options is there only when there are
 *                        any: strings, for bind one propagation word ("rslave"), for tmpfs "size=BYTES", "mode=OCTAL"
 *   working_dir          string
 *
 * ComposeService.environment — map. No value holds "${" (compose.literal-variable).
 *
 * ComposeService.healthcheck — {"disable": true}, or {"test": strings, "interval_usec", "timeout_usec",
 * "start_period_usec": N as strings, "retries": number}; always all five, with compose's defaults (30 s, 30 s, 0, 3); and
 * "start_interval_usec" when the file has it.
 *
 * ComposeProject.networks — object: key → {"name", "external", "driver", "driver_opts", "internal", "ipam", "labels",
 * "enable_ipv6"}. `name` (the network's real name, PROJECT_KEY unless the file gives one) and `external` (true or false)
 * are always there; driver only when it is not "bridge", internal and enable_ipv6 only when true, driver_opts and labels are
 * maps, ipam is {"driver": string, "config": array of {"subnet", "gateway", "ip_range"}}. Networks that no service uses are
 * left out, save "default".
 *
 * ComposeProject.volumes — object: key → {"name", "external", "driver", "driver_opts", "labels"}, alike; driver only when
 * it is not "local". Volumes that no service uses are left out. */
#pragma once
