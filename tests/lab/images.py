# SPDX-License-Identifier: MIT
"""Tiny images, built on the spot from the statically linked busybox: what a service can do to those who deploy it."""
import io
import json
import os
import tarfile

from .util import LabError

BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"]
APPLETS = ["sh", "cat", "echo", "env", "false", "httpd", "kill", "ls", "mkdir", "nc", "printf", "sleep", "sort", "stat",
           "tee", "touch", "true", "wget"]

# Serves its environment at /env, and says its version at /version; ends at once when told to.
SERVER = """#!/bin/sh
mkdir -p /www
env | sort > /www/env
echo "${APP_VERSION:-0}" > /www/version
echo "server ${APP_VERSION:-0} starts"
trap 'kill $p; exit 0' TERM INT
httpd -f -p "${PORT:-80}" -h /www & p=$!
wait $p
"""
CRASH = """#!/bin/sh
echo "cannot start: the lab wants it so" >&2
exit 1
"""
SHORT_LIVED = """#!/bin/sh
trap 'exit 0' TERM INT
sleep "${LIFETIME:-2}" & wait $!
echo "dies as planned" >&2
exit 3
"""
ONE_SHOT = """#!/bin/sh
echo "work done"
exit 0
"""
STUBBORN = """#!/bin/sh
trap '' TERM
while :; do sleep 1; done
"""
SCRIPTS = {"server": SERVER, "crash": CRASH, "short-lived": SHORT_LIVED, "one-shot": ONE_SHOT, "stubborn": STUBBORN}
KINDS = [*SCRIPTS, "unhealthy"]


def busybox_path():
    for path in BUSYBOX:
        if os.path.exists(path):
            return path
    raise LabError("no static busybox: install busybox-static")


def root_archive():
    """The one root file system of all images, as tar; the same bytes each time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        def add(name, kind=tarfile.REGTYPE, data=b"", target="", mode=0o755):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.linkname, info.size = kind, mode, target, len(data)
            tar.addfile(info, io.BytesIO(data))

        for folder in ["bin", "etc", "proc", "sys", "dev", "run", "www", "data"]:
            add(folder, tarfile.DIRTYPE)
        add("tmp", tarfile.DIRTYPE, mode=0o1777)
        with open(busybox_path(), "rb") as f:
            add("bin/busybox", data=f.read())
        for applet in APPLETS:
            add(f"bin/{applet}", tarfile.SYMTYPE, target="busybox")
        for name, script in SCRIPTS.items():
            add(f"bin/lab-{name}", data=script.encode())
    return out.getvalue()


def build(lab, tag, kind="server", version="1"):
    """Makes an image in the lab's store: `kind` is what it does, `version` makes its id another one. Returns the id."""
    script = "server" if kind == "unhealthy" else kind
    changes = [f"CMD {json.dumps(['/bin/lab-' + script])}", f"ENV APP_VERSION={version}", "ENV PATH=/bin",
               f"LABEL lab.version={version}"]
    args = [arg for change in changes for arg in ("--change", change)]
    lab.podman("import", "-q", *args, "-", tag, input=lab.root_archive)
    if kind == "unhealthy":  # only Docker's image format has health checks, and only a build can set one
        text = f"FROM {tag}\nHEALTHCHECK --interval=1s --retries=1 CMD /bin/false\n"
        lab.podman("build", "-q", "--format", "docker", "-t", tag, "-f", "-", lab.empty_dir, input=text.encode())
    return lab.podman("image", "inspect", "--format", "{{.Id}}", tag).stdout.strip()
