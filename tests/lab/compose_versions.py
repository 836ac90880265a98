# SPDX-License-Identifier: MIT
"""Other releases of podman-compose than the installed one, from the machine's own Debian mirror.

apt itself fetches them, with lists and cache of its own in a folder outside the tree, so that Debian's signatures are
checked and the machine's own package state stays as it is.
"""
import glob
import os
import re
import subprocess
import sys

# podman-compose release → the Debian suite that has it
SUITES = {"1.0.6": "bookworm-backports", "1.3.0": "trixie"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "secbox", "podman-compose")


def _script(version):
    return os.path.join(cache_dir(), version, "usr/lib/python3/dist-packages/podman_compose.py")


def mirror():
    """The first Debian archive among apt's sources."""
    for path in ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))]:
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except OSError:
            continue
        for match in re.finditer(r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s+)?)(\S+/debian)/?(?:\s|$)", text, re.M):
            return match.group(1)
    return None


def _apt(folder, *args):
    options = {"Dir::State": f"{folder}/state", "Dir::State::status": "/var/lib/dpkg/status",
               "Dir::Cache": f"{folder}/cache", "Dir::Etc::SourceList": f"{folder}/sources.list",
               "Dir::Etc::SourceParts": "-", "Dir::Etc::Preferences": "-", "Dir::Etc::PreferencesParts": "-",
               "Acquire::Languages": "none", "APT::Sandbox::User": "", "Acquire::Retries": "2"}
    argv = ["apt-get", "-q"] + [item for k, v in options.items() for item in ("-o", f"{k}={v}")]
    return subprocess.run([*argv, *args], cwd=folder, text=True, capture_output=True, check=False)


def fetch(version):
    """Puts a release into the cache. None, or a sentence that says why it cannot be had."""
    if os.path.exists(_script(version)):
        return None
    suite, archive = SUITES.get(version), mirror()
    if suite is None:
        return f"no known Debian suite has podman-compose {version}"
    if archive is None:
        return "apt's sources name no Debian archive"
    folder = os.path.join(cache_dir(), suite)
    for sub in ["state/lists/partial", "cache/archives/partial"]:
        os.makedirs(os.path.join(folder, sub), exist_ok=True)
    with open(os.path.join(folder, "sources.list"), "w", encoding="utf-8") as f:
        f.write(f"deb [signed-by={KEYRING}] {archive} {suite} main\n")
    for args in (["update"], ["download", "podman-compose"]):
        p = _apt(folder, *args)
        if p.returncode:
            return f"apt-get {args[0]} for {suite}: {p.stderr.strip().splitlines()[-1:]}"
    found = glob.glob(os.path.join(folder, f"podman-compose_{version}-*.deb"))
    if not found:
        return f"{suite} has no podman-compose {version} any more"
    target = os.path.join(cache_dir(), version)
    p = subprocess.run(["dpkg", "-x", found[0], target], text=True, capture_output=True, check=False)
    return None if p.returncode == 0 else p.stderr.strip()


def command(version=None):
    """(argument vector, extra environment) of a release; None is the installed one. KeyError when it is not cached."""
    if version is None:
        return ["podman-compose"], {}
    script = _script(version)
    if not os.path.exists(script):
        raise KeyError(version)
    return ["/usr/bin/python3", script], {"PYTHONPATH": os.path.dirname(script)}


def is_cached(version):
    return os.path.exists(_script(version))


if __name__ == "__main__":
    for wanted in sys.argv[1:] or SUITES:
        print(f"podman-compose {wanted}: {fetch(wanted) or _script(wanted)}")
