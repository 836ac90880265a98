# SPDX-License-Identifier: MIT
"""Healthy boxes of every kind raise no alarm: an hour of theirs, with all periods scaled down alike."""
import contextlib
import os
import threading
import time

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("websockets")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.test_podman_traps import compose, service  # noqa: E402
from tests.lab.box import Box  # noqa: E402
from tests.lab.device import Device  # noqa: E402
from tests.lab.util import wait_until  # noqa: E402

SCALE = 25  # RECOVERY_OFFLINE is 150 s on a box
HOUR_SECONDS = 3600 / SCALE
PERIODS = {"RECOVERY_OFFLINE": 150 // SCALE, "RECOVERY_GRACE": 60 // SCALE, "RECOVERY_INTERVAL": 1,
           "RECOVERY_CLOSE_AFTER": 300 // SCALE}
NO_PODMAN = "/nonexistent"


class DeviceTunnel(threading.Thread):
    """What the container secbox does, as far as the gateway can see: it answers probes, and comes back. Its key is shown to the
    box's mgmt-agent."""

    def __init__(self, gateway, box, env):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.device = Device(gateway.url, lambda path, body, headers: gateway.request("POST", path, body), env["DEVICE_ID"],
                             env["BOOTSTRAP"], "device")
        box.write("run/tucomunidad/secbox/key-offer", self.device.key.thumbprint + "\n", 0o644)
        wait_until(lambda: self.device.claim().status == 201, "the box vouches for its key", box.agent.death)
        self.start()

    def run(self):
        while not self.over.wait(0.2):
            with contextlib.suppress(OSError, Exception):  # the gateway is being started anew
                tunnel = self.device.connect(status=False)
                while (message := tunnel.next()) is not None:
                    if message["type"] == "probe":
                        tunnel.send({"type": "probe.answer", "id": message["id"]})

    def close(self):
        self.over.set()
        self.device.close()


def make_box(stack, lab, folder, gateway, name, process_env=None):
    env = gateway.enroll(name)
    box = stack.enter_context(Box(lab, os.path.join(folder, name), env, agent_args=["--settle", "1"], process_env=process_env))
    os.makedirs(box.path("run/tucomunidad/secbox"), exist_ok=True)  # as a deployment makes it, and mgmt-agent then looks into it
    box.start()
    box.start_recovery(**PERIODS)
    return box


def shown(gateway, name):
    answer = gateway.request("GET", f"/v1/devices/{name}")
    return answer.json["device"].get("recovery") or {} if answer.status == 200 else {}


def alarms(gateway):
    return [e for e in gateway.request("GET", "/v1/audit?limit=1000").json["entries"] if e["alarm"]]


def restart(gateway):
    gateway.stop()
    gateway.start()
    wait_until(lambda: gateway.request("GET", "/healthz").status == 200, "the gateway serves again", gateway.daemon.death)


def services_file(box):
    with open(box.path("run/tucomunidad/service-names"), encoding="utf-8") as f:
        return f.read().splitlines()[1:]


def test_an_hour_without_an_alarm(lab, gateway, folder):
    require_programs("mgmt-agent", "mgmt-worker", "mgmt-link", "recovery-agent", "secboxctl")
    with contextlib.ExitStack() as stack:
        stack.callback(lab.remove_all)
        fresh = make_box(stack, lab, folder, gateway, "fresh")
        bare = make_box(stack, lab, folder, gateway, "no-podman", {"PATH": NO_PODMAN})
        other = make_box(stack, lab, folder, gateway, "no-secbox")
        assert other.apply(compose(service("web")))["status"] == 200
        whole = make_box(stack, lab, folder, gateway, "whole")
        whole.write("run/tucomunidad/service-names", "secbox-services 1\nsecbox\nweb\n", 0o644)
        tunnel = DeviceTunnel(gateway, whole, {**whole.agent_env, "DEVICE_ID": "whole"})
        stack.callback(tunnel.close)
        assert services_file(fresh) == [] and services_file(other) == ["web"]

        boxes = {"fresh": fresh, "no-podman": bare, "no-secbox": other, "whole": whole}
        begin, restarts = time.monotonic(), 0
        while time.monotonic() - begin < HOUR_SECONDS:
            for name, box in boxes.items():
                wait_until(lambda name=name: shown(gateway, name).get("state") == "healthy", f"{name} is healthy",
                           box.recovery.daemon.death)
            if restarts < 3 and time.monotonic() - begin > (restarts + 1) * HOUR_SECONDS / 5:
                restart(gateway)
                restarts += 1
            assert not alarms(gateway), alarms(gateway)
            time.sleep(1)
        assert restarts == 3
        assert not alarms(gateway)
        for name, box in boxes.items():
            assert "main way wedged" not in box.recovery.log(), f"{name}\n{box.recovery.log()}"
            assert shown(gateway, name)["open"] is False


def test_a_box_without_secbox_misses_its_management_tunnel(lab, gateway, folder):
    """There it is the way in: who cannot come in by it has to hear why."""
    require_programs("mgmt-agent", "mgmt-worker", "mgmt-link", "recovery-agent", "secboxctl")
    with contextlib.ExitStack() as stack:
        stack.callback(lab.remove_all)
        box = make_box(stack, lab, folder, gateway, "lonely")
        wait_until(lambda: shown(gateway, "lonely").get("state") == "healthy", "it is healthy", box.recovery.daemon.death)
        box.link.stop()
        wait_until(lambda: shown(gateway, "lonely").get("state") == "wedged", "it is missed", box.recovery.daemon.death)
        found = [e for e in alarms(gateway) if e["device"] == "lonely"]
        assert [e["detail"]["reasons"][0] for e in found] == ["management tunnel: not connected"], box.recovery.log()
        assert shown(gateway, "lonely")["step"] == "none", "no container is there to be started again"
