# SPDX-License-Identifier: MIT
"""A new image on the cloud's order: proved and confirmed, or taken back, through the same engine as a push."""
# pylint: disable=redefined-outer-name
import contextlib
import json

import pytest

from tests.lab.agent_socket import AgentSocket
from tests.lab.two_service_box import WEB
from tests.lab.util import read_text, wait_until
from tests.system.shop import opened


@pytest.fixture(scope="module")
def shop(lab, tmp_path_factory):
    with opened(lab, str(tmp_path_factory.mktemp("shop"))) as it:
        it.box.start_agent()
        yield it


@contextlib.contextmanager
def connection(shop):
    with AgentSocket(shop.box, link=True) as it:
        it.connected("2026-01-02T03:04:05.000Z")
        result = shop.push(it)
        assert result["outcome"] == "done", result
        if shop.version_of("web") != "1":
            assert shop.update(it, "server:1")["outcome"] == "done"
        yield it


@pytest.fixture
def cloud(shop):
    """Connected, with version 1 of both services running."""
    with connection(shop) as it:
        yield it


def keep_tags(lab):
    return set(lab.podman("images", "--format", "{{.Tag}}", "localhost/tucomunidad-keep").stdout.split())


def test_one_service_gets_the_new_image(shop, cloud):
    before, old = shop.box.ids(), shop.box.containers()["web"]["Image"]
    result = shop.update(cloud, "server:2", image=shop.web.rsplit(":", 1)[0])
    assert (result["outcome"], result["status"], result["kind"]) == ("done", 200, "update"), result
    assert [(u["service"], u["digest"], u["oldImageId"]) for u in result["updates"]] == \
        [("web", shop.digests["server:2"], old)]
    after = shop.box.ids()
    assert after["db"] == before["db"] and after["web"] != before["web"]
    assert shop.version_of("web") == "2" and shop.box.environment("web")["DEVICE"] == "caseta5"
    new = shop.box.containers()["web"]["Image"]
    assert shop.lab.image_id(shop.web) == new, "the name means what runs"
    assert {new[:32], old[:32]} <= keep_tags(shop.lab)
    assert shop.box.history()["entries"][0]["id"] == result["id"]

    same = shop.push(cloud)
    assert same["outcome"] == "done" and same["noop"], "a push of the same file leaves the new image alone"
    assert shop.box.ids() == after

    again = shop.answer(cloud, {**shop.order("server:2"), "id": result["id"]})
    assert again == {**result, "type": "compose.result"}, "asked again, it says what it said"
    noop = shop.update(cloud, "server:2")
    assert noop["outcome"] == "done" and noop["noop"] and shop.box.ids() == after


@pytest.mark.parametrize("image,error", [("crash:1", "prove.died"), ("unhealthy:1", "prove.unhealthy")])
def test_f21_a_bad_image_is_taken_back_and_not_tried_again(shop, cloud, image, error):
    before, facts = shop.box.ids(), shop.box.containers()["web"]
    result = shop.update(cloud, image)
    assert (result["outcome"], result["status"], result["error"]["id"]) == ("rolled-back", 500, error), result
    after = shop.box.containers()["web"]
    assert shop.box.ids() == before and after["Image"] == facts["Image"]
    assert after["Config"] == facts["Config"] and after["State"]["Status"] == "running"
    assert shop.lab.image_id(shop.web) == facts["Image"], "the name never meant the bad one"
    assert shop.digests[image] not in shop.lab.podman("images", "--digests", "--format", "{{.Digest}}").stdout, "it is removed"
    result = shop.update(cloud, image)
    assert (result["outcome"], result["status"], result["error"]["id"]) == ("failed", 422, "update.failed-before"), result
    assert shop.box.ids() == before


def test_what_somebody_took_back_on_the_box_does_not_come_again(shop, cloud):
    assert shop.update(cloud, "server:2")["outcome"] == "done"
    assert shop.ctl("update", "--undo", "web")[-1]["outcome"] == "done" and shop.version_of("web") == "1"
    before = shop.box.ids()
    error = shop.update(cloud, "server:2")["error"]
    assert error["id"] == "update.failed-before" and "taken back by somebody on the box" in error["message"], error
    assert shop.box.ids() == before
    forget = shop.box.ctl(*error["message"].split("secboxctl ")[-1].split())
    assert forget.returncode == 0, forget
    assert shop.update(cloud, "server:2")["outcome"] == "done" and shop.version_of("web") == "2"


def test_it_is_confirmed_by_the_cloud(shop, cloud):
    order = shop.order("server:3", nonce="n" * 32, confirmDeadlineSeconds=600)
    cloud.send(order)
    assert cloud.next("link.cycle")
    wait_until(lambda: (shop.box.status()["pending"] or {}).get("phase") == "confirm", "it waits", shop.box.agent.death)
    cloud.connected("2026-01-02T03:05:00.000Z")
    cloud.send({"type": "compose.confirm", "id": order["id"], "version": order["version"], "nonce": "n" * 32})
    assert shop.end_of(cloud, order)["outcome"] == "done"
    assert shop.version_of("web") == "3"


def test_nobody_confirms(shop, cloud):
    before = shop.box.ids()
    result = shop.update(cloud, "server:3", nonce="n" * 32, confirmDeadlineSeconds=2)
    assert (result["outcome"], result["error"]["id"]) == ("rolled-back", "confirm.deadline")
    assert shop.box.ids() == before and shop.version_of("web") == "1"


REFUSED = {
    "not-here": ({"image": "registry.example/other"}, 404, "update.not-here"),
    "wrong-service": ({"service": "db"}, 404, "update.not-here"),
    "no-digest": ({"digest": "latest"}, 400, "update.bad-digest"),
    "older": ({"version": "1"}, 409, "snapshot.older-version"),
    "other-box": ({"deviceId": "another"}, 422, "snapshot.wrong-device"),
    "unknown": ({"digest": "sha256:" + "0" * 64}, 500, "pull.failed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_touched(shop, cloud, name):
    changed, status, error = REFUSED[name]
    before = shop.box.ids()
    result = shop.update(cloud, "server:2", **changed)
    assert (result["outcome"], result["status"], result["error"]["id"]) == ("failed", status, error), result
    assert shop.box.ids() == before


def test_u08_an_order_for_what_is_never_to_be_pulled(shop, cloud):
    assert shop.push(cloud, web="    pull_policy: never\n")["outcome"] == "done"
    before = shop.box.ids()
    result = shop.update(cloud, "server:2")
    assert (result["outcome"], result["status"], result["error"]["id"]) == ("failed", 422, "update.pull-policy"), result
    assert shop.box.ids() == before
    # an agent from before has not written it down
    kept = "var/lib/tucomunidad/mgmt-agent/current.json"
    current = json.loads(read_text(shop.box.path(kept)))
    assert [service.pop("pullPolicy", None) for service in current["services"] if service["name"] == "web"] == ["never"]
    shop.box.write(kept, json.dumps(current), 0o600)
    result = shop.update(cloud, "server:2")
    assert (result["outcome"], result["status"], result["error"]["id"]) == ("failed", 422, "update.pull-policy"), result
    assert shop.box.ids() == before


def test_u01_an_older_digest_by_order_holds_against_its_tag(shop):
    with connection(shop) as cloud:
        shop.registry.move_tag(WEB, "server-2", "latest")
        assert shop.update(cloud, "server:2")["outcome"] == "done"
        assert shop.update(cloud, "server:1")["outcome"] == "done"
    shop.restart("--poll-interval=1")
    held = wait_until(lambda: shop.entry(shop.updates()).get("held"), "the tag was looked up", shop.box.agent.death)
    assert held == "ordered" and shop.version_of("web") == "1"
    assert "held back: ordered" in shop.box.ctl("updates").stdout
    shop.registry.move_tag(WEB, "server-3", "latest")
    shop.wait_taken("3")
    shop.restart()
    results, _ = shop.take("web")
    assert not results

    with AgentSocket(shop.box, link=True) as cloud:
        cloud.connected("2026-01-02T03:04:05.000Z")
        assert shop.update(cloud, "server:1")["outcome"] == "done"
    results, _ = shop.take("web")
    assert results["web"]["outcome"] == "done" and shop.version_of("web") == "3", "a person has asked for it"


def test_u02_what_a_rollout_has_halted_with_waits(shop):
    with AgentSocket(shop.box, link=True) as cloud:
        cloud.connected("2026-01-02T03:04:05.000Z")
        result = shop.push(cloud)
        assert result["outcome"] == "done", result
        before, news = shop.version_of("web"), shop.news()
        halted = shop.digests[f"server:{news}"]
        cloud.send({"type": "updates.halted", "digests": [halted]})
        known = shop.box.path("var/lib/tucomunidad/mgmt-agent/updates.json")
        wait_until(lambda: halted in open(known, encoding="utf-8").read(), "it is remembered", shop.box.agent.death)
    shop.restart("--poll-interval=1")
    held = wait_until(lambda: shop.entry(shop.updates()).get("held"), "the tag was looked up", shop.box.agent.death)
    assert held == "halted" and shop.version_of("web") == before
    with AgentSocket(shop.box, link=True) as cloud:
        cloud.send({"type": "updates.halted", "digests": []})
        shop.wait_taken(news)
    shop.restart()
