# SPDX-License-Identifier: MIT
"""The box updates its images by itself: a moved tag is taken, proved and kept, or taken back; whatever goes wrong on the way,
what runs stays as it is, and the box says why."""
# pylint: disable=redefined-outer-name,unused-import
import json

import pytest

from tests.lab.authority import Authority
from tests.lab.registry_proxy import RegistryProxy
from tests.lab.registry import PrivateEtc
from tests.lab.two_service_box import WEB
from tests.system.shop import opened, stock

SHORT_LIVED = "FROM localhost/short-lived:1\nENV LIFETIME=0.5\n"
# what it writes is no UTF-8, and what is kept of it must be
GARBLED = "FROM localhost/server:1\nCMD [\"/bin/sh\", \"-c\", \"printf 'as planned \\\\377\\\\376\\\\n' >&2; exit 4\"]\n"


@pytest.fixture(scope="module")
def shop(lab, tmp_path_factory):
    with opened(lab, str(tmp_path_factory.mktemp("shop")), front=True, args=["--settle=1", "--pull-timeout=3"]) as it:
        lab.podman("build", "-q", "-t", "localhost/dies-soon:1", "-f", "-", lab.empty_dir, input=SHORT_LIVED.encode())
        lab.podman("build", "-q", "-t", "localhost/garbled:1", "-f", "-", lab.empty_dir, input=GARBLED.encode())
        for kind in ("dies-soon", "garbled"):
            it.digests[f"{kind}:1"] = it.registry.push(f"localhost/{kind}:1", WEB, f"{kind}-1")
        it.box.start_agent()
        yield it


def test_a_moved_tag_is_taken_within_one_interval_and_back(stock):
    before, digests = stock.box.ids(), set()
    stock.restart("--poll-interval=1")
    for _ in range(2):
        stock.wait_taken(stock.news())
        last = stock.box.history()["entries"][0]
        assert (last["outcome"], last["kind"], last["status"]) == ("done", "update", 200), last
        assert stock.box.ids()["db"] == before["db"], "the other service is left alone"
        web = next(s for s in stock.box.status()["services"] if s["name"] == "web")
        known = json.loads(stock.box.lab.podman("image", "inspect", web["imageId"]).stdout)[0]
        assert web["imageDigest"] == known["Digest"] and web["imageId"] == known["Id"]
        digests.add(web["imageDigest"])
    assert len(digests) == 2, "by the digest boxes can be compared"
    stock.restart()


BAD = {"crash-1": ["prove.died"], "unhealthy-1": ["prove.unhealthy"], "garbled-1": ["prove.died"],
       "dies-soon-1": ["prove.died", "prove.not-running"]}  # the latter where podman has not collected its status yet


@pytest.mark.parametrize("tag", BAD)
def test_a_bad_image_is_taken_back_and_left_alone(stock, tag):
    before, facts = stock.box.ids(), stock.box.containers()["web"]
    digest = stock.registry.move_tag(WEB, tag, "latest")
    results, updates = stock.take()
    assert results["web"]["outcome"] == "rolled-back" and results["web"]["error"]["id"] in BAD[tag], results
    after = stock.box.containers()["web"]
    assert stock.box.ids() == before and after["Config"] == facts["Config"] and after["State"]["Status"] == "running"
    failed = updates["failed"][0]
    assert (failed["digest"], failed["service"], failed["error"]["id"]) == \
        (digest, "web", results["web"]["error"]["id"])
    assert ("as planned" in failed["log"]) == (tag in ("dies-soon-1", "garbled-1")) and failed["log"]
    assert tag != "garbled-1" or "as planned ??" in failed["log"]
    assert results["web"]["error"]["log"] == failed["log"].splitlines()
    assert stock.entry(updates)["held"] == "failed-before"

    results, updates = stock.take()
    assert not results and stock.entry(updates)["state"] == "new", "it is told, and not tried"
    assert stock.box.ctl("update", "web").returncode == 1
    text = stock.box.ctl("updates").stdout
    assert digest in text and "failed-before" in text
    assert not stock.ctl("update", "--forget", digest)[-1]["failed"]
    new = stock.news()
    results, updates = stock.take("web")
    assert results["web"]["outcome"] == "done" and stock.version_of("web") == new, "the next one is taken"
    assert stock.entry(updates)["state"] == "current"


def test_an_index_of_what_runs_is_no_news(stock):
    """The same image for this machine, published in an index: its digest is another, and nothing is new."""
    runs = stock.version_of("web")
    other = stock.news()
    stock.registry.move_tag(WEB, f"server-{runs}", "latest")
    stock.take()
    before, pulls = stock.box.ids(), len(stock.front.asked)
    stock.registry.push_index({"linux/amd64": f"localhost/server:{runs}", "linux/arm64/v8": f"localhost/server:{other}"}, WEB)
    results, updates = stock.take()
    assert not results and stock.entry(updates)["state"] == "current", updates
    assert stock.box.ids() == before
    assert not [path for _, path in stock.front.asked[pulls:] if "/blobs/" in path], "nothing was pulled to find out"
    stock.registry.push_index({"linux/amd64": f"localhost/server:{other}", "linux/arm64/v8": f"localhost/server:{runs}"}, WEB)
    results, _ = stock.take()
    assert results["web"]["outcome"] == "done" and stock.version_of("web") == other


def on_manifest(status, *headers):
    return lambda h: "/manifests/" in h.path and (h.say(status, headers, b"{}") or True)


ASKED_IN_VAIN = {
    "401": (on_manifest(401), "registry.unauthorized"),
    "404": (on_manifest(404), "registry.not-found"),
    "429": (on_manifest(429, ("Retry-After", "3600")), "registry.rate-limited"),
    "503": (on_manifest(503), "registry.unavailable"),
}


@pytest.mark.parametrize("name", ASKED_IN_VAIN)
def test_a_registry_that_does_not_tell(stock, name):
    fault, error = ASKED_IN_VAIN[name]
    before = stock.box.ids()
    stock.news()
    with stock.front.failing(fault):
        results, updates = stock.take()
        assert not results and stock.box.ids() == before
        entry = stock.entry(updates)
        assert entry["error"]["id"] == error, entry
        assert ("retryAt" in entry) == (name in ("429", "503")), "what may pass is asked again, the rest at the next check"
        assert error in stock.box.ctl("updates").stdout


def test_v02_what_was_asked_for_and_not_done_is_no_success(stock):
    """Neither what does not run is started by it, nor news taken that the tag may not mean any more."""
    before = stock.box.ids()
    new = stock.news()
    stock.lab.podman("pause", before["web"])
    assert stock.box.ctl("update", "web").returncode == 1
    assert "held back: its container does not run" in stock.box.ctl("updates").stdout
    stock.lab.podman("unpause", before["web"])
    for name, state in (("503", "new"), ("404", "unknown")):
        fault, error = ASKED_IN_VAIN[name]
        with stock.front.failing(fault):
            assert stock.box.ctl("update", "web").returncode == 1
            entry = stock.entry(stock.updates())
            assert (entry["state"], entry["error"]["id"]) == (state, error) and stock.box.ids() == before, entry
    assert stock.box.ctl("update", "web").returncode == 0 and stock.version_of("web") == new
    assert stock.box.ctl("update", "web").returncode == 0, "it is up to date"


def test_a_registry_whose_certificate_has_expired(stock, tmp_path):
    """Even by an authority that is trusted: it is not asked anything, and what runs stays."""
    authority = Authority(str(tmp_path))
    with PrivateEtc() as etc, RegistryProxy(stock.lab, stock.registry.port, authority.server_context(expired=True)) as front:
        etc.trust(front.address, authority)
        image = f"{front.address}/{WEB}:latest"
        stock.lab.podman("tag", "localhost/server:1", image)
        assert stock.box.apply(stock.compose().replace(stock.web, image))["outcome"] == "done"
        before = stock.box.ids()
        results, updates = stock.take("web")
        assert not results and stock.entry(updates)["error"]["id"] == "registry.tls", updates
        assert not front.asked and stock.box.ids() == before and stock.box.running() == {"web", "db"}
    stock.lab.podman("rmi", image)


def on_layer(answer):
    """Of the layer's blob, which is more than a config's few kilobytes."""
    def fault(h):
        if h.command != "GET" or "/blobs/" not in h.path:
            return False
        status, headers, body, _ = h.fetch()
        return len(body) > 10000 and (answer(h, status, headers, body) or True)
    return fault


def stall(h, status, headers, body):
    h.say(status, headers, body[:5000], len(body))
    h.server.front.release.wait()


def corrupt(h):
    """Another manifest than the digest says, for podman alone: the box has asked with success."""
    if h.command != "GET" or "/manifests/sha256:" not in h.path or "containers/" not in h.headers["User-Agent"]:
        return False
    status, headers, body, _ = h.fetch()
    h.say(status, headers, body + b" ")
    return True


PULLED_IN_VAIN = {
    "truncated": (on_layer(lambda h, s, headers, body: h.say(s, headers, body[:5000], len(body))), "pull.failed", 500),
    "stalled": (on_layer(stall), "pull.timeout", 500),
    "wrong-digest": (corrupt, "pull.failed", 500),
}


@pytest.mark.parametrize("name", PULLED_IN_VAIN)
def test_a_pull_that_fails(stock, name):
    fault, error, status = PULLED_IN_VAIN[name]
    before = stock.box.ids()
    digest = stock.publish_fresh()
    with stock.front.failing(fault):
        results, updates = stock.take()
        assert (results["web"]["outcome"], results["web"]["status"], results["web"]["error"]["id"]) == ("failed", status, error)
        assert results["web"]["phase"] == "pull"
        assert stock.box.ids() == before and stock.box.running() == {"web", "db"}
        assert stock.entry(updates)["error"]["id"] == error and "retryAt" in stock.entry(updates)
        assert not updates["failed"], "that says nothing against the image"
    results, _ = stock.take()
    assert results["web"]["outcome"] == "done" and results["web"]["updates"][0]["digest"] == digest
