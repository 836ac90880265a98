# SPDX-License-Identifier: MIT
"""Images that nothing needs any more leave the disk, whatever became of them; all others stay."""
# pylint: disable=redefined-outer-name,unused-import
import json
import os
import shutil
import tempfile

from tests.lab.two_service_box import WEB
from tests.lab.util import LabError, wait_until
from tests.system.shop import shop, stock


def publish(shop, kind="server:2", tag="latest"):
    """A tag becomes an image that was never on this box; its id."""
    folder = tempfile.mkdtemp(prefix="secbox-fresh-")
    with open(os.path.join(folder, "more"), "wb") as f:
        f.write(os.urandom(50000))
    with open(os.path.join(folder, "Containerfile"), "w", encoding="utf-8") as f:
        f.write(f"FROM localhost/{kind}\nCOPY more /more\n")
    shop.lab.podman("build", "-q", "-t", "localhost/passing:1", folder)
    identifier = shop.lab.podman("image", "inspect", "--format", "{{.Id}}", "localhost/passing:1").stdout.strip()
    shop.registry.push("localhost/passing:1", WEB, "passing")
    shop.lab.podman("rmi", "localhost/passing:1")
    shutil.rmtree(folder)
    assert identifier not in here(shop)
    shop.registry.move_tag(WEB, "passing", tag)  # at last: from here on the box may pull it at any moment
    return identifier


def here(shop):
    """Podman's list fails while another podman is just removing one of them."""
    def listed():
        try:
            return listing(shop)
        except LabError:
            return None

    return wait_until(listed, "podman lists its images")


def listing(shop):
    return set(shop.lab.podman("images", "-a", "-q", "--no-trunc", "--format", "{{.Id}}").stdout.replace("sha256:", "").split())


def test_u09_releases_taken_one_after_the_other(stock):
    releases = []
    for _ in range(4):
        releases.append(publish(stock))
        results, _ = stock.take("web")
        assert results["web"]["outcome"] == "done", results
    assert stock.box.containers()["web"]["Image"] == releases[-1]
    assert [r for r in releases if r in here(stock)] == releases[-2:], "the one that runs, and the last good one before it"


def test_u09_releases_that_failed(stock):
    before = stock.box.containers()["web"]["Image"]
    releases = []
    for _ in range(3):
        releases.append(publish(stock, "crash:1"))
        results, _ = stock.take("web")
        assert results["web"]["outcome"] == "rolled-back", results
    assert not here(stock) & set(releases) and before in here(stock)


def test_u09_releases_that_are_held_back(stock):
    stock.box.write_env("mgmt-agent.env", {**stock.box.agent_env, "UPDATE_COOL_DOWN": "100h"})
    stock.restart("--poll-interval=1")
    releases = []
    for _ in range(3):
        releases.append(publish(stock))
        wait_until(lambda: releases[-1] in here(stock), "it was pulled to see its age", stock.box.agent.death)
    wait_until(lambda: not here(stock) & set(releases[:-1]), "those before it are gone", stock.box.agent.death)
    assert releases[-1] in here(stock), "the one that may still be taken is not pulled twice"
    stock.box.write_env("mgmt-agent.env", stock.box.agent_env)
    wait_until(lambda: stock.box.containers().get("web", {}).get("Image") == releases[-1], "it is taken", stock.box.agent.death)
    wait_until(lambda: not stock.box.status_pending(), "it is kept", stock.box.agent.death)
    stock.restart()


def test_f20_what_a_rollback_may_return_to_stays(stock):
    """Pushes with a tag of their own each, then back to the one before."""
    ids = []
    for n in range(4):
        ids.append(publish(stock, tag=f"v{n}"))
        text = stock.compose().replace(":latest", f":v{n}")
        result = stock.box.apply(text)
        assert result["outcome"] == "done", result
    assert set(ids) <= here(stock)
    for n in range(6):  # snapshots come and go
        text = stock.compose(web=f"    labels:\n      n: '{n}'\n").replace(":latest", ":v3")
        result = stock.box.apply(text)
        assert result["outcome"] == "done", result
    assert [i for i in ids if i in here(stock)] == ids[-2:], "what no snapshot has any more is gone"


def test_what_somebody_else_brought_stays(stock):
    theirs = publish(stock)
    stock.lab.podman("pull", "-q", "--tls-verify=false", stock.web)
    stock.lab.podman("tag", theirs, "localhost/mine:1")
    ours = publish(stock)
    stock.take("web")
    stock.lab.podman("tag", ours, "localhost/named-by-hand:1")
    for _ in range(3):
        publish(stock)
        stock.take("web")
    assert {theirs, ours} <= here(stock)
    stock.lab.podman("rmi", "localhost/mine:1", "localhost/named-by-hand:1")


def test_f16_an_image_that_a_power_cut_has_emptied(stock):
    """Podman takes it for whole, and brings nothing of it again, however often it is asked."""
    wanted, name = publish(stock, tag="cut"), stock.web.replace(":latest", ":cut")

    def content():
        upper = stock.lab.podman("image", "inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", name).stdout.strip()
        return os.path.join(upper, "more")

    stock.lab.podman("pull", "-q", "--tls-verify=false", name)
    os.unlink(content())
    stock.lab.podman("pull", "-q", "--tls-verify=false", name)
    assert not os.path.exists(content())
    stock.box.write("var/lib/tucomunidad/mgmt-agent/pulling.json", json.dumps({"images": [name], "bootId": "another-boot"}))
    result = stock.box.apply(stock.compose().replace(":latest", ":cut"))
    assert result["outcome"] == "done", result
    assert os.path.getsize(content()) == 50000 and stock.box.containers()["web"]["Image"] == wanted
