# SPDX-License-Identifier: MIT
"""Pushes the files of this folder to a box with real podman and compares what podman shows: see tests/lab/field.py.

    python3 -m tests.lab.isolate python3 -m tests.field.check [--engine auto|libpod] [NAME…]

Prints what is wrong, what is not accepted yet and why, and how many are accepted. Exit status 1 when something is wrong. All
images are one small stand-in, and so are devices that the machine lacks.
"""
import argparse
import collections
import contextlib
import copy
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile

from tests.lab import field, images
from tests.lab.box import Box
from tests.lab.podman_lab import PodmanLab

# what services and their health checks call; the image's own program heeds no argument
STAND_INS = ["curl", "mc", "mysqladmin", "pg_isready", "redis-cli", "healthcheck.sh"]
STAY = "#!/bin/busybox sh\ntrap 'exit 0' TERM INT QUIT\nwhile :; do busybox sleep 1 & wait $!; done\n"
REAL_FOLDERS = ["/mnt"]  # empty, and this run's own


def root_archive():
    out = io.BytesIO(images.root_archive())
    with tarfile.open(fileobj=out, mode="a") as tar:
        def add(name, data, mode=0o755):
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data)
            tar.addfile(info, io.BytesIO(data))

        add("bin/stay", STAY.encode())
        for name in ["bin/bash", "opt/emqx/bin/emqx", *(f"usr/bin/{name}" for name in STAND_INS)]:
            add(name, b"#!/bin/busybox sh\nexit 0\n")
        add("etc/passwd", b"root:x:0:0::/:/bin/sh\nhaproxy:x:99:99::/:/bin/sh\n", 0o644)
        add("etc/group", b"root:x:0:\naudio:x:29:\ndialout:x:20:\n", 0o644)
    return out.getvalue()


def make_images(lab):
    """Tags of the stand-in that stays and of the one that ends at once."""
    for tag, program in (("stays", "/bin/stay"), ("ends", "/bin/true")):
        lab.podman("import", "-q", "--change", f'ENTRYPOINT ["{program}"]', "--change", "ENV PATH=/usr/bin:/bin", "-",
                   f"localhost/{tag}:1", input=root_archive())


def full_name(image):
    name = image.split("@")[0]
    first = name.split("/")[0]
    if "/" in name and (set(".:") & set(first) or first == "localhost"):
        return name
    return f"docker.io/{name if '/' in name else 'library/' + name}"


def absent_devices(policies):
    entries = [entry for service in (policies or {}).values() for entry in service.get("allow", [])]
    return [e.removeprefix("devices:") for e in entries if e.startswith("devices:/") and not os.path.exists(e[8:])]


def with_stand_ins(case):
    """The file's text and its policy, with /dev/null for devices that are not here."""
    text, policy = case.fleet("config").stdout, copy.deepcopy(case.policy())
    for device in absent_devices(case.expect.get("allow")):
        text = re.sub(rf"(?:(?<=- )|(?<=, )|(?<=[\"'\[])){re.escape(device)}(?=:/)", "/dev/null", text)
        text = re.sub(rf"(?:(?<=- )|(?<=, )|(?<=[\"'\[])){re.escape(device)}(?=[\s\"',\]])", f"/dev/null:{device}", text)
        for service in policy["services"].values():
            service["allow"] = ["devices:/dev/null" if e == f"devices:{device}" else e for e in service.get("allow", [])]
    return text, policy


def prepare(box, case, policy):
    expect = case.expect
    if policy:
        box.write_policy(policy)
    box.write_env("secbox.env", {**{k: box.agent_env[k] for k in ("CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP")},
                                 **expect.get("env", {})})
    for name, text in {**expect.get("files", {}), **expect.get("volumes_env", {})}.items():
        box.write(f"var/lib/tucomunidad/volumes/{name}", text)
    for path in expect.get("host", []):
        os.makedirs(path, exist_ok=True)
    for path in expect.get("host_sockets", []):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)


def tag_images(box, lab, case, text):
    services, error = box.render(text)
    if error:
        return
    for name, service in services.items():
        lab.podman("tag", f"localhost/{'ends' if name in case.expect.get('once', []) else 'stays'}:1", full_name(service["image"]))


def differences(box, case):
    """What podman shows otherwise than it should."""
    volumes = box.path("var/lib/tucomunidad/volumes")
    containers = box.containers()
    with open(box.path("var/lib/tucomunidad/mgmt-agent/current.json"), encoding="utf-8") as f:
        remembered = {s["name"]: s["image"] for s in json.load(f)["services"]}
    for name in case.expect.get("absent", []):
        if name in containers:
            yield f"service {name} is there"
    for name, wanted in case.expect.get("show", {}).items():
        if name not in containers:
            yield f"service {name} is not there"
            continue
        info = containers[name]
        shown = {**field.facts(info, volumes), "image": remembered[name]}
        for folder, owner in wanted.get("owners", {}).items():
            st = os.stat(os.path.join(volumes, folder))
            if f"{st.st_uid}:{st.st_gid}" != owner:
                yield f"{folder} belongs to {st.st_uid}:{st.st_gid}, not to {owner}"
        if "network_of" in wanted:
            shown["network_of"] = next((n for n, c in containers.items() if f"container:{c['Id']}" == shown["network_mode"]), None)
        if "ipc" in wanted:  # podman calls that of the host shareable
            own = os.readlink(f"/proc/{info['State']['Pid']}/ns/ipc")
            shown["ipc"] = "host" if own == os.readlink("/proc/self/ns/ipc") else "private"
        for key in wanted.get("sysctls", {}):
            path = f"/proc/sys/{key.replace('.', '/')}"
            shown["sysctls"][key] = box.lab.podman("exec", info["Id"], "cat", path, check=False).stdout.strip()
        for fact, value in wanted.items():
            if fact != "owners" and not field.matches(fact, value, shown[fact]):
                yield f"{name}: {fact} is {shown[fact]!r}, not {value!r}"


def run(lab, case, engine):
    """("accepted" | "refused" | "not yet", why) or ("wrong", what)."""
    said = case.check()
    expect = case.expect
    if "refused" in expect:
        ids = [e["id"] for e in said["errors"]]
        return ("refused", "") if expect["refused"] in ids else ("wrong", f"check says {ids}")
    if not said["ok"]:
        return ("not yet", expect["missing"]) if "missing" in expect else ("wrong", said["errors"][0]["message"])
    if "offline" in expect or ("missing" in expect and "show" not in expect):
        return "accepted", "not run"
    text, policy = with_stand_ins(case)
    folder = tempfile.mkdtemp(prefix="secbox-field-")
    try:
        with Box(lab, os.path.join(folder, "box"), process_env={}) as box:
            box.agent_env["COMPOSE_ENGINE"] = engine
            box.write_env("mgmt-agent.env", box.agent_env)
            prepare(box, case, policy)
            box.start()
            tag_images(box, lab, case, text)
            result = box.apply(text, "--project", "secbox")  # as such files run on most boxes, whatever they are called
            error = (result.get("error") or {}).get("id")
            if "box_refuses" in expect:
                return ("refused", "") if error == expect["box_refuses"] else ("wrong", f"pushed: {error} {result.get('outcome')}")
            if result.get("outcome") != "done":
                return "wrong", f"pushed: {result.get('error')}"
            wrong = list(differences(box, case))
            return ("wrong", "; ".join(wrong)) if wrong else ("accepted", "")
    finally:
        lab.remove_all()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", choices=["auto", "libpod"], action="append")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    chosen = [c for c in field.cases() if not arguments.names or any(n in c.name for n in arguments.names)]
    failed = False
    for folder in REAL_FOLDERS:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", folder], check=True)
    with PodmanLab() as lab:
        make_images(lab)
        for engine in arguments.engine or ["auto", "libpod"]:
            counts, causes = collections.Counter(), collections.Counter()
            for case in chosen:
                verdict, why = run(lab, case, engine)
                counts[verdict] += 1
                if verdict == "wrong":
                    print(f"WRONG {engine} {case.name}: {why}", flush=True)
                elif why:
                    causes[f"{verdict}: {why}"] += 1
            for cause, n in sorted(causes.items()):
                print(f"  {n} {cause}")
            good = len(chosen) - sum("refused" in c.expect or "box_refuses" in c.expect for c in chosen)
            print(f"{engine}: accepted {counts['accepted']}/{good}, rightly refused {counts['refused']}, "
                  f"not yet {counts['not yet']}, wrong {counts['wrong']}", flush=True)
            failed = failed or counts["wrong"] > 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
