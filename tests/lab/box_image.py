# SPDX-License-Identifier: MIT
"""The root file systems of whole machines: Debian 12 (or what BOX_SUITE names) with systemd and what SecBox runs on, made by
debootstrap from the machine's own mirror into a cache outside the tree. A changed list of packages makes another one.

    python3 -m tests.lab.box_image
"""
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

from .isolate import unmount_below
from .util import ROOT

SUITE = os.environ.get("BOX_SUITE", "bookworm")
VERSIONS = {"bookworm": "12", "trixie": "13"}
SYSTEM = ["systemd", "systemd-sysv", "procps", "iproute2"]
# what whoever follows the README has before: of a Debian server's standard programs those that its commands take
STANDARD = [*SYSTEM, "sudo", "ca-certificates", "openssh-client"]
# kind: what was there, and the groups of deps.sh that were installed. Onto the first only programs are copied; the others
# are the machines of the README, which build what they run.
KINDS = {"copied": (SYSTEM, ["box"]),
         "box": (STANDARD, ["build", "run", "images"]),
         "gateway": ([*STANDARD, "postgresql", "nginx", "haproxy", "caddy"], ["build"]),
         "operator": (STANDARD, ["build"]),
         "bare": (SYSTEM, [])}
# those of make check
USUAL = [kind for kind in KINDS if kind != "bare"]
# part of the key: what is done to the tree beside the packages
SHED = ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man", "etc/machine-id",
        "etc/resolv.conf", "etc/hostname"]
NEEDED_BYTES = 2 << 30


def packages(kind="copied"):
    there, groups = KINDS[kind]
    words = [os.path.join(ROOT, "installer/deps.sh"), "-n", *groups]
    env = {**os.environ, "DEBIAN": VERSIONS[SUITE]}
    names = subprocess.run(words, env=env, check=True, text=True, capture_output=True).stdout.split() if groups else []
    return sorted({*there, *names})


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "secbox", "whole-box")


def path(kind="copied"):
    """Where the tree for today's list of packages is, or would be."""
    key = hashlib.sha256("\n".join([SUITE, *packages(kind), *SHED]).encode()).hexdigest()[:16]
    return os.path.join(cache_dir(), f"{SUITE}-{key}")


def mirrors():
    """What apt's sources name, in their order; debootstrap finds out which of them is a Debian archive."""
    found = []
    for source in ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))]:
        try:
            with open(source, encoding="utf-8") as f:
                text = f.read()
        except OSError:
            continue
        for match in re.finditer(r"^(?:URIs:|deb\s+(?:\[[^]]*\])?)\s*(\S+)", text, re.M):
            if match.group(1) not in found:
                found.append(match.group(1))
    return found


def _debootstrap(kind, target):
    """None, or why no mirror gave a system."""
    why = "apt's sources name no mirror"
    wanted = ",".join(packages(kind))
    for mirror in mirrors():
        p = subprocess.run(["unshare", "--mount", "debootstrap", "--variant=minbase", f"--include={wanted}", SUITE, target,
                            mirror], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if p.returncode == 0:
            return None
        why = f"debootstrap from {mirror}: {' '.join(p.stdout.strip().splitlines()[-1:])}"
        _remove(target)
    return why


def _remove(folder):
    unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _shed(target):
    for inside in SHED:
        name = os.path.join(target, inside)
        if os.path.isdir(name):
            shutil.rmtree(name)
            os.mkdir(name)
        elif os.path.lexists(name):
            os.unlink(name)
    # empty, not absent: systemd then makes a new one instead of taking this for a first boot
    with open(os.path.join(target, "etc/machine-id"), "w", encoding="utf-8"):
        pass


def prepare(kind="copied"):
    """Makes the tree unless it is there; needs root and a network. None, or a sentence that says why it cannot be had."""
    if os.path.isdir(path(kind)):
        return None
    if os.geteuid() != 0:
        return "only root can make it"
    if not shutil.which("debootstrap"):
        return "debootstrap is not installed: installer/deps.sh test"
    os.makedirs(cache_dir(), exist_ok=True)
    if shutil.disk_usage(cache_dir()).free < NEEDED_BYTES:
        return f"{cache_dir()} has less than {NEEDED_BYTES >> 30} GiB free"
    with open(os.path.join(cache_dir(), "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(path(kind)):  # another run has made it meanwhile
            return None
        for old in glob.glob(os.path.join(cache_dir(), "*.making")):
            _remove(old)
        making = f"{path(kind)}.making"
        why = _debootstrap(kind, making)
        if why:
            _remove(making)
            return why
        _shed(making)
        os.rename(making, path(kind))
    return None


if __name__ == "__main__":
    wanted = sys.argv[1:] or USUAL
    troubles = [prepare(name) for name in wanted]
    print("\n".join(trouble or path(name) for name, trouble in zip(wanted, troubles)))
    sys.exit(1 if any(troubles) else 0)
