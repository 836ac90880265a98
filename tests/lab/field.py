# SPDX-License-Identifier: MIT
"""The compose files of tests/field, after the kinds that people have, and what each of them has to come to.

Beside FILE.yml, or beside a folder of several files, stands FILE.expect:
  allow         the entries of policy.json that it needs, by service; without them it is refused
  engine        "libpod" where podman-compose cannot make it
  show          {service: {fact: value}}, what podman has to show: see facts()
  refused       the id of the error that `secbox-fleet check` has to give, and `why`
  box_refuses   the id of the error that a box has to give, and `why`
  missing       what SecBox does not do yet: the file ought to be accepted, and may be refused for that alone
  offline       why the laboratory cannot run it: it is only checked
  args          options of secbox-fleet that choose files, profiles
  env, files, volumes_env, host, host_sockets   what the box has: secbox.env, what lies in its volumes, paths, sockets
  once, absent  services that end by themselves; services that are not made
"""
import glob
import json
import os
import signal
import subprocess

import yaml

from .util import program

FOLDER = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "field"))
WORDS = {"allow", "engine", "show", "refused", "box_refuses", "why", "missing", "offline", "args", "env", "files", "volumes_env",
         "host", "host_sockets", "once", "absent"}


class Case:
    def __init__(self, path):
        self.base = path.removesuffix(".expect")
        self.name = os.path.relpath(self.base, FOLDER)
        with open(path, encoding="utf-8") as f:
            self.expect = yaml.safe_load(f) or {}

    def fleet(self, verb, *options):
        """One verb of secbox-fleet on the file, or in the folder."""
        stack = os.path.isdir(self.base)
        argv = [program("secbox-fleet"), verb, *options, *self.expect.get("args", [])]
        return subprocess.run([*argv, *([] if stack else [f"{self.base}.yml"])], cwd=self.base if stack else FOLDER,
                              env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)

    def check(self):
        """What `secbox-fleet check` says, as its JSON has it."""
        return json.loads(self.fleet("check", "--json").stdout)["files"][0]

    def policy(self):
        return {"services": self.expect["allow"]} if "allow" in self.expect else None


def cases():
    return [Case(path) for path in sorted(glob.glob(f"{FOLDER}/*/*.expect"))]


def _mounts(info, volumes):
    for m in info["Mounts"]:
        source = m["Name"] if m["Type"] == "volume" else m["Source"]
        yield m["Destination"], f"@{source[len(volumes) + 1:]}" if source.startswith(volumes + "/") else source, m["RW"]


def _ports(host):
    for port, bindings in (host["PortBindings"] or {}).items():
        for b in bindings or []:
            yield port, f"{b['HostIp']}:{b['HostPort']}" if b["HostIp"] not in ("", "::") else b["HostPort"]


def _signal(shown):
    return shown if isinstance(shown, str) and not shown.isdigit() else signal.Signals(int(shown)).name


def facts(info, volumes):
    """What a container's inspection says, in short; `volumes` is the box's folder for them, "@NAME" what lies in it."""
    config, host, networks = info["Config"], info["HostConfig"], info["NetworkSettings"].get("Networks") or {}
    mounts = list(_mounts(info, volumes))
    health = config.get("Healthcheck") or {}
    return {
        "name": info["Name"], "command": config["Cmd"] or [],
        "entrypoint": config["Entrypoint"] if isinstance(config["Entrypoint"], list) else (config["Entrypoint"] or "").split(),
        "env": dict(e.split("=", 1) for e in config["Env"] or []), "labels": config["Labels"] or {},
        "user": config["User"], "hostname": config["Hostname"], "tty": config["Tty"], "stdin": config["OpenStdin"],
        "stop_signal": _signal(config["StopSignal"]), "stop_timeout": config["StopTimeout"],
        "health": health.get("Test"), "health_interval": health.get("Interval", 0) // 10**9,
        "mounts": {target: source for target, source, _ in mounts},
        "read_only_mounts": [target for target, _, writable in mounts if not writable],
        "tmpfs": host["Tmpfs"] or {}, "ports": dict(_ports(host)), "devices": [d["PathInContainer"] for d in host["Devices"] or []],
        "caps": [c.removeprefix("CAP_") for c in host["CapAdd"] or []], "security": host["SecurityOpt"] or [],
        "privileged": host["Privileged"], "read_only": host["ReadonlyRootfs"], "init": bool(host.get("Init")),
        "restart": host["RestartPolicy"]["Name"] + (f":{host['RestartPolicy']['MaximumRetryCount']}"
                                                    if host["RestartPolicy"].get("MaximumRetryCount") else ""),
        "network_mode": host["NetworkMode"], "networks": sorted(networks), "pid": host["PidMode"], "ipc": host["IpcMode"],
        "aliases": [a for n in networks.values() for a in n.get("Aliases") or []],
        "addresses": {name: n["IPAddress"] for name, n in networks.items()},
        "macs": {name: n["MacAddress"] for name, n in networks.items()},
        "shm": host["ShmSize"], "memory": host["Memory"], "memory_swap": host["MemorySwap"], "cpus": host["NanoCpus"] / 10**9,
        "pids": host["PidsLimit"], "hosts": host["ExtraHosts"] or [], "log_driver": host["LogConfig"]["Type"],
        "sysctls": {}, "ulimits": {u["Name"].removeprefix("RLIMIT_").lower(): f"{u['Soft']}:{u['Hard']}"
                                                         for u in host["Ulimits"] or []},
    }


# of these podman shows more than a file says
PARTS = {"env", "labels", "ports", "mounts", "read_only_mounts", "tmpfs", "ulimits", "sysctls", "aliases", "security", "hosts",
         "caps", "devices", "addresses", "macs"}


def matches(fact, wanted, shown):
    if fact == "entrypoint":  # podman 4 shows it as one text
        return " ".join(wanted) == " ".join(shown)
    if fact not in PARTS or not wanted:
        return wanted == shown
    if isinstance(wanted, list):
        return set(wanted) <= set(shown)
    return all(str(shown.get(k, "")).startswith(str(v)) if fact in ("tmpfs", "mounts") and k in shown else shown.get(k) == v
               for k, v in wanted.items())
