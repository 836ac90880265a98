# SPDX-License-Identifier: MIT
"""An update that is killed, pruned, cut off from its registry or out of disk space in the middle: what runs is the old or the
new, whole, and what is remembered fits."""
# pylint: disable=redefined-outer-name
import json
import os
import subprocess
import threading

import pytest

from tests.lab.agent_socket import AgentSocket
from tests.lab.kill_point import KillPoint
from tests.lab.podman_lab import PodmanLab
from tests.lab.two_service_box import WEB
from tests.lab.util import wait_until
from tests.system.shop import opened

OLD, NEW = "old", "new"


def phase(name):
    return f'"phase":"{name}","state":"started"'


@pytest.fixture(scope="module")
def shop(lab, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("shop"))
    kill_point = KillPoint(folder)
    with opened(lab, folder, front=True, args=["--settle=1"], process_env=kill_point.env) as it:
        it.kill_point = kill_point
        it.box.start_agent()
        it.restock()
        yield it


@pytest.fixture
def stock(shop):
    """Whatever good version runs, and nothing else to be had."""
    runs = shop.version_of("web")
    shop.registry.move_tag(WEB, f"server-{runs}", "latest")
    shop.ctl("update", "--forget", "all")
    yield shop
    shop.kill_point.disarm()


def other(stock):
    return {"1": "2", "2": "1"}[stock.version_of("web")]


def kill_at(stock, point):
    """Starts an update, which ends with the agent; starts the agent again, which puts things right."""
    stock.kill_point.arm(*point)
    stock.box.ctl("update")
    wait_until(lambda: stock.box.agent.process.poll() is not None, "mgmt-agent is killed")
    assert not stock.kill_point.is_armed()
    stock.box.start_agent()
    wait_until(lambda: not stock.box.status_pending(), "things are put right", stock.box.agent.death)


def check(stock, before, version, outcome):
    after = stock.box.containers()
    assert stock.version_of("web") == version and stock.box.running() == {"web", "db"}
    assert (stock.box.ids()["web"] == before["web"]) == (outcome == OLD) and stock.box.ids()["db"] == before["db"]
    assert len(stock.lab.containers()) == 2, "nothing is left over"
    assert stock.lab.image_id(stock.web) == after["web"]["Image"], "the name means what runs"
    assert stock.lab.networks() - {"podman"} == {"secbox_default"}


POINTS = {
    "verify": (("write", "after", phase("verify")), OLD),
    "pull": (("write", "after", phase("pull")), OLD),
    "journaled": (("rename", "after", '"state":"applying"'), OLD),
    "set-aside": (("send", "before", "/rename?"), OLD),
    "made": (("rename", "before", '"state":"proving"'), OLD),
    "prove": (("write", "after", phase("prove")), OLD),
    "committing": (("rename", "after", '"state":"committing"'), NEW),
    "named": (("send", "before", "/tag?repo=127"), NEW),
    "old-removed": (("send", "before", "DELETE /v4"), NEW),
    "done": (("write", "before", '"type":"compose.result"'), NEW),
}


@pytest.mark.parametrize("name", POINTS)
def test_f13_killed(stock, name):
    point, outcome = POINTS[name]
    before, version = stock.box.ids(), stock.version_of("web")
    new = other(stock)
    stock.registry.move_tag(WEB, f"server-{new}", "latest")
    kill_at(stock, point)
    check(stock, before, new if outcome == NEW else version, outcome)
    last = stock.box.history()["entries"][0]
    assert last["kind"] == "update" and (last["outcome"] == "done") == (outcome == NEW), last
    assert not stock.updates()["failed"], "that it was killed says nothing against the image"
    if name == "prove":
        stock.take("web")
        check(stock, before, new, NEW)


ROLLING_BACK = {
    "begun": ("write", "after", phase("rolling-back")),
    "new-removed": ("send", "before", "/rename?", 2),
    "told": ("write", "before", '"type":"compose.result"'),
}


@pytest.mark.parametrize("name", ROLLING_BACK)
def test_killed_while_a_bad_image_is_taken_back(stock, name):
    before, version = stock.box.ids(), stock.version_of("web")
    digest = stock.registry.move_tag(WEB, "crash-1", "latest")
    kill_at(stock, ROLLING_BACK[name])
    check(stock, before, version, OLD)
    failed = stock.updates()["failed"]
    assert [(f["digest"], f["times"]) for f in failed] == [(digest, 1)] and failed[0]["error"]["id"] == "prove.died"
    assert failed[0]["log"]
    assert not stock.take()[0], "it is not tried again"


def test_f22_confirmed_by_the_tunnel_that_comes_back(stock):
    """Where the tunnel was up before, the new image has to let it come up again; nobody else has to confirm."""
    before, version, new = stock.box.ids(), stock.version_of("web"), other(stock)
    stock.registry.move_tag(WEB, f"server-{new}", "latest")
    with AgentSocket(stock.box, link=True) as link:
        link.connected("2026-01-02T03:04:05.000Z")
        taking = threading.Thread(target=stock.take, daemon=True)
        taking.start()
        assert link.next("link.cycle")
        assert (stock.box.status()["pending"] or {}).get("phase") == "confirm"
        link.connected("2026-01-02T03:04:05.000Z")  # still the old one
        link.send({"type": "status.get", "id": "still"})
        assert link.next("status.report")["status"]["pending"]["phase"] == "confirm"
        link.connected("2026-01-02T03:05:00.000Z")
        taking.join()
    check(stock, before, new, NEW)

    # it does not come back: as if the whole time had gone by
    before = stock.box.ids()
    digest = stock.registry.move_tag(WEB, f"server-{version}", "latest")
    with AgentSocket(stock.box, link=True) as link:
        link.connected("2026-01-02T03:06:00.000Z")
        threading.Thread(target=stock.box.ctl, args=["update"], daemon=True).start()
        assert link.next("link.cycle")
        stock.box.agent.kill()
    path = stock.box.path("var/lib/tucomunidad/mgmt-agent/journal.json")
    with open(path, encoding="utf-8") as f:
        journal = json.load(f)
    assert journal["state"] == "confirming" and journal["byConnection"]
    with open(path, "w", encoding="utf-8") as f:
        json.dump({**journal, "deadlineUsec": "1"}, f)
    stock.box.start_agent()
    wait_until(lambda: not stock.box.status_pending(), "it is taken back", stock.box.agent.death)
    check(stock, before, new, OLD)
    last = stock.box.history()["entries"][0]
    assert (last["outcome"], last["error"]["id"]) == ("rolled-back", "confirm.deadline") and "tunnel" in last["error"]["message"]
    assert [f["digest"] for f in stock.updates()["failed"]] == [digest]
    assert stock.take()[0]["web"]["outcome"] == "done", "it may have been the network, so it is tried again"


def while_proving(stock, doing):
    """Does it when the next update has just begun to be proved."""
    seen = stock.box.log().count("[image-update] phase prove")

    def run():
        wait_until(lambda: stock.box.log().count("[image-update] phase prove") > seen, "it is being proved")
        doing()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("prune", ["-f", "-af"])
def test_f20_pruned_between_update_and_proof(stock, prune):
    before, version, new = stock.box.ids(), stock.version_of("web"), other(stock)
    stock.registry.move_tag(WEB, "unhealthy-1", "latest")
    pruning = while_proving(stock, lambda: stock.lab.podman("image", "prune", prune))
    assert stock.take()[0]["web"]["outcome"] == "rolled-back"
    pruning.join()
    check(stock, before, version, OLD)
    stock.registry.move_tag(WEB, f"server-{new}", "latest")
    pruning = while_proving(stock, lambda: stock.lab.podman("image", "prune", prune))
    assert stock.take()[0]["web"]["outcome"] == "done"
    pruning.join()
    check(stock, before, new, NEW)


def test_f20_the_registry_is_gone_when_it_is_taken_back(stock):
    before, version = stock.box.ids(), stock.version_of("web")
    stock.registry.move_tag(WEB, "unhealthy-1", "latest")

    def refuse(handler):
        handler.close_connection = True
        return True

    def cut():
        stock.front.fault = refuse

    cutting = while_proving(stock, cut)
    assert stock.take()[0]["web"]["outcome"] == "rolled-back"
    cutting.join()
    check(stock, before, version, OLD)
    _, updates = stock.take()
    stock.front.fault = None
    assert stock.entry(updates)["error"]["id"] in ("registry.offline", "registry.bad-answer")


class SmallLab(PodmanLab):
    """A podman whose store can be filled to the last inode, without the memory that filling it with bytes would take."""

    def _storage_conf(self):
        graph = self._folder("graph")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,nr_inodes=20000", "small", graph], check=True)
        return super()._storage_conf()

    def fill(self):
        folder = os.path.join(self.dir, "graph", "filling")
        os.makedirs(folder, exist_ok=True)
        try:
            for i in range(20000):
                os.close(os.open(os.path.join(folder, str(i)), os.O_CREAT | os.O_WRONLY))
        except OSError:
            pass

    def empty(self):
        folder = os.path.join(self.dir, "graph", "filling")
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))

    def close(self):
        super().close()
        subprocess.run(["umount", "-l", os.path.join(self.dir, "graph")], check=False)


def test_f52_f53_the_disk_is_full_while_it_is_pulled(folder):
    """507, nothing is touched, nothing is held against the image, and it is taken when there is space."""
    kinds = [("server", "1"), ("server", "2")]
    with SmallLab() as lab, opened(lab, os.path.join(folder, "box"), front=True, kinds=kinds) as stock:
        stock.box.start_agent()
        stock.restock()
        before = stock.box.ids()
        stock.publish_fresh()

        def fill(handler):
            if handler.command == "GET" and "/blobs/" in handler.path:
                lab.fill()
            return False

        with stock.front.failing(fill):
            results, updates = stock.take()
        assert (results["web"]["outcome"], results["web"]["status"], results["web"]["error"]["id"]) == \
            ("failed", 507, "pull.no-space"), results
        assert stock.box.ids() == before and stock.box.running() == {"web", "db"} and not updates["failed"]
        lab.empty()
        assert stock.take()[0]["web"]["outcome"] == "done"
