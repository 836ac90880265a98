# SPDX-License-Identifier: MIT
"""A rollout from the operator's command line to a box with real podman and a real registry behind it."""
import os
import subprocess

from tests.conftest import DEVICE
from tests.lab.util import program

NAME = "shop/web"


def rollout(gateway, image, digest):
    env = {"PATH": os.environ["PATH"], "HOME": gateway.dir, "LANG": "C.UTF-8", "SECBOX_GATEWAY": gateway.url,
           "SECBOX_TOKEN": gateway.token}
    return subprocess.run([program("secbox-fleet"), "rollout", "start", image, "--to", digest, "--groups", "100%", "--soak", "0",
                           "--wait"], env=env, capture_output=True, text=True, check=False)


def test_a_new_image_and_a_broken_one(lab, gateway, fleet_box, registry):
    image = f"{registry.address}/{NAME}:latest"
    registry.push("localhost/server:1", NAME)
    assert gateway.push(DEVICE, f"services:\n  web:\n    image: {image}\n").status == 200
    first = fleet_box.ids()["web"]

    p = rollout(gateway, image, registry.push("localhost/server:2", NAME, "next"))
    assert p.returncode == 0 and p.stdout.endswith("done\n"), p
    second = fleet_box.containers()["web"]
    assert second["Id"] != first and second["Image"] == lab.image_id("localhost/server:2")

    p = rollout(gateway, image, registry.push("localhost/crash:1", NAME, "broken"))
    assert p.returncode == 1 and f"{DEVICE} (100%), rolled-back: " in p.stdout and "[rollout.halted]" in p.stdout, p
    assert fleet_box.ids()["web"] == second["Id"] and fleet_box.running() == {"web"}
    pushed, brought, broken = reversed(gateway.request("GET", f"/v1/devices/{DEVICE}/deployments").json["deployments"])
    assert [d["kind"] for d in (pushed, brought, broken)] == ["compose", "update", "update"]
    assert [d["state"] for d in (pushed, brought, broken)] == ["done", "done", "rolled-back"]
