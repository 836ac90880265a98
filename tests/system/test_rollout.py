# SPDX-License-Identifier: MIT
"""Rollouts over 200 boxes. Each box is a real mgmt-agent, mgmt-link and (while something changes) mgmt-worker in a folder of its
own, with real tunnels to a real gateway on a real PostgreSQL; only podman and podman-compose behind them are imitated, by
tests/lab/fake_podman.py. So plans, journals, proofs, rollbacks and confirmations are the real ones; containers are not."""
import os
import shutil

import pytest

from tests.conftest import require_programs
from tests.lab import isolate
from tests.lab.fake_podman import FakePodman, image_id
from tests.lab.preload import compile_library
from tests.lab.util import Daemon, LabError, program, read_text, wait_until

BOXES = 200
IMAGE = "registry.example/web:1"
COMPOSE = f"services:\n  web:\n    image: {IMAGE}\n    restart: always\n"
FOLDERS = ("etc/tucomunidad", "var/lib/tucomunidad", "run/tucomunidad")


def digest(n):
    return f"sha256:{n:064x}"


class RealBox:
    def __init__(self, podman, gateway, folder, name, quiet):
        self.id = name
        self.root = os.path.join(folder, name)
        for inside in FOLDERS:
            os.makedirs(os.path.join(self.root, inside))
        path = os.path.join(self.root, "etc/tucomunidad/mgmt-agent.env")
        with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.writelines(f"{k}={v}\n" for k, v in {**gateway.enroll(name), "PODMAN_USER": "root",
                                                   "COMPOSE_ENGINE": "podman-compose"}.items())
        self.podman = podman.box(self.root)
        env = {"PATH": os.environ["PATH"], "HOME": self.root, "LANG": "C.UTF-8", "LD_PRELOAD": quiet}
        self.daemons = [Daemon(f"{name}: {argv[0]}", [program(argv[0]), "--root", self.root, *argv[1:]],
                               os.path.join(self.root, argv[0] + ".log"), env)
                        for argv in (["mgmt-agent", "--podman-compose", podman.compose, "--settle", "1"], ["mgmt-link"])]

    def image(self):
        """What its one container runs; another one beside it would be a leftover."""
        running = [c["Image"] for c in self.podman.containers.values() if c["State"]["Status"] == "running"]
        assert len(running) == len(self.podman.containers) == 1, f"{self.id}: {self.podman.containers}\n{self.log()}"
        return running[0]

    def log(self):
        return read_text(os.path.join(self.root, "mgmt-agent.log"))


class RealFleet:
    def __init__(self, podman, gateway, folder):
        self.gateway = gateway
        self.boxes = {}
        quiet = compile_library("no-inotify", folder)
        try:
            for i in range(BOXES):
                box = RealBox(podman, gateway, folder, f"box-{i}", quiet)
                self.boxes[box.id] = box
            wait_until(self.all_connected, "all boxes are connected")
        except BaseException:
            self.close()
            raise

    def all_connected(self):
        answer = self.gateway.request("GET", "/v1/devices")
        # `state` is what its agent has reported
        return answer.status == 200 and sum(d["connected"] and "state" in d for d in answer.json["devices"]) == BOXES

    def kill_gateway(self):
        self.gateway.daemon.kill()
        self.gateway.start()

    def start(self, **more):
        answer = self.gateway.request("POST", "/v1/rollouts", {"soakSeconds": 0, **more})
        assert answer.status == 201, answer
        return answer.json["rollout"]["id"]

    def show(self, rollout):
        answer = self.gateway.request("GET", f"/v1/rollouts/{rollout}")
        return answer.json["rollout"] if answer.status == 200 else None  # 503 while the gateway starts

    def wait(self, rollout, fact, what):
        def there():
            now = self.show(rollout)
            return now if now and fact(now) else None

        return wait_until(there, what, self.gateway.daemon.death)

    def close(self):
        for box in self.boxes.values():
            for daemon in box.daemons:
                daemon.process.terminate()
        for box in self.boxes.values():
            for daemon in box.daemons:
                daemon.stop()


def total(rollout, *keys):
    return sum(group[key] for group in rollout["groups"] for key in keys)


def ended(rollout):
    return total(rollout, "done", "failed", "rolledBack")


@pytest.fixture(scope="module", name="fleet")
def fleet_fixture(gateway):
    """200 boxes that run the same compose file; it was rolled out to them."""
    require_programs("mgmt-agent", "mgmt-link", "mgmt-worker", "secbox-gateway")
    if not isolate.is_isolated() or not os.path.exists("/usr/bin/podman"):
        pytest.skip("the imitated podman takes the place of /usr/bin/podman in a mount namespace: run through tests.lab.isolate")
    folder = "/dev/shm/fleet"  # in memory: 200 boxes that sync their journals would keep a disk busy, which is not what is tested
    os.makedirs(folder)
    try:
        with FakePodman(folder) as podman:
            podman.mount()
            fleet = RealFleet(podman, gateway, folder)
            try:
                rollout = fleet.start(compose=COMPOSE, groups="canary=1,5%,100%", haltAt="10%", reason="the first")
                done = fleet.wait(rollout, lambda r: r["state"] in ("done", "halted"), "the compose file is rolled out")
                assert [g["done"] for g in done["groups"]] == [1, 9, 190], done["failures"][:3]
                yield fleet
            finally:
                fleet.close()
    except LabError as e:
        pytest.skip(f"podman cannot be imitated here: {e}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_compose_file_runs_on_all_boxes(fleet):
    for box in fleet.boxes.values():
        assert box.image() == image_id(IMAGE) and box.podman.made == [image_id(IMAGE)]


def test_a_bad_image_stops_at_the_canary(fleet):
    bad = image_id(digest(1))
    for box in fleet.boxes.values():
        box.podman.bad.add(bad)
    rollout = fleet.start(image=IMAGE, digest=digest(1))
    halted = fleet.wait(rollout, lambda r: r["state"] == "halted", "the rollout halts")
    assert [g["boxes"] for g in halted["groups"]] == [1, 9, 40, 150]
    assert total(halted, "rolledBack") == 1 and total(halted, "waiting") == BOXES - 1 and halted["group"] == 0
    failure = halted["failures"][0]
    assert failure["error"]["id"] == "prove.died" and "exited with status 1" in failure["error"]["message"]
    for box in fleet.boxes.values():
        tried = box.podman.made == [image_id(IMAGE), bad]
        assert tried == (box.id == failure["device"]) and box.image() == image_id(IMAGE)
    alarms = [e for e in fleet.gateway.request("GET", "/v1/audit?limit=1000").json["entries"] if e["alarm"]]
    assert [(e["action"], e["detail"]["rollout"]) for e in alarms] == [("rollout.halted", rollout)]
    assert fleet.gateway.request("POST", f"/v1/rollouts/{rollout}/abort").status == 200


def test_an_image_bad_on_three_percent_and_a_gateway_that_is_killed(fleet):
    """Six boxes cannot run it, the first of them somewhere in the last group: a few failures are borne before it halts."""
    rollout = fleet.start(image=IMAGE, digest=digest(2), haltAt="2%", groups="canary=1,5%,25%,100%", parallel=50)
    rows = fleet.gateway.postgres.sql(f"SELECT device FROM rollout_boxes WHERE rollout = '{rollout}' ORDER BY position")
    order = [fleet.boxes[row[0]] for row in rows]
    bad = [order[i] for i in (60, 105, 111, 117, 123, 129)]
    for box in bad:
        box.podman.bad.add(image_id(digest(2)))
    for limit in (15, 75):
        fleet.wait(rollout, lambda r, limit=limit: ended(r) >= limit or r["state"] == "halted", f"{limit} boxes have ended")
        fleet.kill_gateway()
    halted = fleet.wait(rollout, lambda r: r["state"] == "halted" and total(r, "sent") == 0, "the rollout halts")
    failed = total(halted, "failed", "rolledBack")
    assert 1 < failed <= BOXES * 2 // 100, f"{failed} boxes failed: {halted['error']}"
    assert total(halted, "done") > 75 and total(halted, "waiting") > 50
    assert [f["error"]["id"] for f in halted["failures"]] == ["prove.died"] * failed

    # nothing of it was done twice, and nothing is lost: the others get their turn, too
    def go_on():
        now = fleet.show(rollout)
        if now["state"] == "halted":
            fleet.gateway.request("POST", f"/v1/rollouts/{rollout}/resume")
        return now if now["state"] == "done" else None

    done = wait_until(go_on, "the rollout is done", fleet.gateway.daemon.death)
    assert total(done, "done") == BOXES - len(bad) and {f["device"] for f in done["failures"]} == {box.id for box in bad}
    for box in fleet.boxes.values():
        assert box.podman.made.count(image_id(digest(2))) == 1, f"{box.id}:\n{box.log()}"
        assert box.image() == image_id(IMAGE if box in bad else digest(2))
    made = fleet.gateway.postgres.sql(f"SELECT state, count(*), count(DISTINCT device) FROM deployments WHERE rollout = '{rollout}'"
                                      " AND state IN ('done', 'rolled-back', 'open') GROUP BY state ORDER BY state")
    assert made == [["done", "194", "194"], ["rolled-back", "6", "6"]]
