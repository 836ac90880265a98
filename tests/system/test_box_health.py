# SPDX-License-Identifier: MIT
"""What only a process can find out about a machine: real podman's store, and disks that a stand-in for smartctl answers for."""
import json
import os
import subprocess

from tests.lab.util import program, read_text

SMARTCTL = """#!/bin/sh
for disk; do :; done
echo "$disk" >> %s
echo '{"smart_status": {"passed": true}, "temperature": {"current": 34}}'
exit 4
"""
NO_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "nbd", "fd", "zd")


def test_store_and_disks(box):
    asked = box.path("asked")
    box.write("usr/sbin/smartctl", SMARTCTL % asked, 0o755)
    p = subprocess.run([program("mgmt-worker"), "--root", box.root, "health"], input="{}", env=box.env, capture_output=True,
                       text=True, check=False)
    assert p.stdout, p
    answer = json.loads(p.stdout)
    assert answer["type"] == "worker.health" and isinstance(answer["clock"]["synchronised"], bool), answer
    assert set(answer["podmanStore"]) == {"imagesMiB", "writableMiB", "volumesMiB"}, answer
    assert answer["podmanStore"]["imagesMiB"] > 0, "the lab's images are in it"
    disks = {d for d in os.listdir("/sys/block") if not d.startswith(NO_DISKS)}
    assert set(answer.get("smart", {})) == disks
    assert sorted(read_text(asked).split() if disks else []) == sorted(f"/dev/{d}" for d in disks), "each is asked once"
    assert all(d == {"passed": True, "celsius": 34} for d in answer.get("smart", {}).values())
