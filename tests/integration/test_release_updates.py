# SPDX-License-Identifier: MIT
"""Releases that the cloud orders: secbox-fleet, a gateway, mgmt-link and mgmt-agent are real, and the box without containers is
that of release_box.py."""
# pylint: disable=redefined-outer-name
import base64
import contextlib
import glob
import hashlib
import http.client
import json
import os
import subprocess
import tarfile
import types

import pytest

from tests.conftest import require_programs
from tests.lab.box import Box
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway
from tests.lab.release_box import BEATS, DIES, ReleaseBox
from tests.lab.util import bin_dir, program, read_text, wait_until

DEVICE = "caseta5"
LARGE = 24 * 1024 * 1024
UNIT = "etc/systemd/system/multi-user.target.wants/secbox.service"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    require_programs("secbox-gateway", "secbox-fleet", "mgmt-agent", "mgmt-link", "secboxctl")
    with Gateway(str(tmp_path_factory.mktemp("cloud"))) as it:
        yield it


class CloudBox(ReleaseBox):
    def __init__(self, folder, gateway):
        super().__init__(folder)
        os.makedirs(os.path.dirname(os.path.join(self.root, UNIT)))
        os.symlink("/lib/systemd/system/secbox.service", os.path.join(self.root, UNIT))
        lab = types.SimpleNamespace(env=self.env, user="root", remove_all=lambda: None)
        self.gateway = gateway
        self.agents = Box(lab, folder, gateway.enroll(DEVICE))
        self.fleet = Fleet(gateway.url, gateway.token, folder)
        self.switch_on()
        self.agents.start()
        gateway.wait_reported(DEVICE)

    def update(self, path, *args):
        return self.fleet.run("release", "update", DEVICE, path, "--confirm-deadline", "5", "--wait", *args)

    def last(self):
        return self.gateway.request("GET", f"/v1/devices/{DEVICE}/deployments?limit=1").json["deployments"][0]

    def close(self):
        self.agents.stop()
        super().close()


@pytest.fixture
def box(folder, gateway):
    it = CloudBox(folder, gateway)
    yield it
    it.close()


def test_an_order_is_proved_like_a_push(box):
    p = box.update(box.archive("2"), "--reason", "the new app")
    assert p.returncode == 0 and box.runs() == "2", p
    last = box.last()
    assert (last["kind"], last["target"], last["outcome"], last["noop"]) == ("release", "2", "done", False)
    assert "stage" in p.stdout and "release 2" in box.fleet.run("history", DEVICE).stdout
    again = box.update(box.archive("2"))
    assert again.returncode == 0 and box.last()["noop"] is True, again
    p = box.update(box.archive("3", DIES))
    assert p.returncode == 1 and box.runs() == "2", p
    last = box.last()
    assert (last["outcome"], last["error"]["id"], last["failedPhase"]) == ("rolled-back", "release.rolled-back", "prove")
    p = box.update(box.archive("4", arch="pdp11"))
    assert p.returncode == 1 and box.last()["error"]["id"] == "release.other-machine", p
    assert (box.current(), box.runs()) == ("releases/2", "2")
    audit = [e["action"] for e in box.gateway.request("GET", "/v1/audit?limit=200").json["entries"]]
    assert audit.count("release.update") >= 4 and audit.count("release.update-result") >= 4


def large_archive(box, version):
    """With a file that hardly gets smaller: more than a push may bring, and than a program may have in memory at once."""
    text = base64.b64encode(os.urandom(LARGE)).decode()
    entry = tarfile.TarInfo("share/large")
    files = {name: hashlib.sha256(content.encode()).hexdigest() for name, content in
             (("bin/secbox", box.text(version, BEATS)), ("bin/relay-client", "#!/bin/sh\nexec sleep 600\n"), ("share/large", text))}
    return box.archive(version, more=[(entry, text)], digests=files)


def peak(daemon):
    return int(read_text(f"/proc/{daemon.pid}/status").split("VmHWM:")[1].split()[0]) * 1024


def test_f30_a_release_is_as_long_as_it_is_and_never_in_memory(box):
    path = large_archive(box, "large")
    size = os.path.getsize(path)
    daemons = {"gateway": box.gateway.daemon, "mgmt-link": box.agents.link}
    before = {name: peak(daemon) for name, daemon in daemons.items()}
    p = box.update(path)
    assert p.returncode == 0 and box.runs() == "large", p
    grown = {name: peak(daemon) - before[name] for name, daemon in daemons.items()}
    print(f"{size} bytes; memory has grown by {grown}")
    if "asan" not in bin_dir():  # which keeps what is freed
        assert all(n < size / 2 for n in grown.values()), (size, grown)
    with open(path, "rb") as f:
        digest = "sha256:" + hashlib.sha256(f.read()).hexdigest()
    kept = os.path.join(box.root, "opt/tucomunidad/releases/large/share/large")
    assert os.path.getsize(kept) > LARGE and not glob.glob(os.path.join(box.opt, "releases/.archive"))
    # a compose file may bring no more than before
    p = box.gateway.request("POST", f"/v1/devices/{DEVICE}/compose-snapshot?wait=0",
                            {"compose": "services: {a: {image: localhost/a:1}}", "bundle": {"digest": digest}})
    assert p.status == 400 and p.json["error"]["id"] == "bundle.too-large", p


def begin(g, content, length):
    """A connection on which this much is announced, and the content sent."""
    connection = http.client.HTTPConnection(g.host, g.port)
    connection.putrequest("PUT", f"/v1/bundles/sha256:{hashlib.sha256(content).hexdigest()}")
    connection.putheader("Authorization", f"Bearer {g.token}")
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    return connection


def bring(g, content, sent=None):
    """Status, and digest or error; (0, None) where the answer is lost since what it did not wait for came behind it."""
    with contextlib.closing(begin(g, content, len(content))) as connection:
        with contextlib.suppress(ConnectionError):
            connection.send(content if sent is None else sent)
        try:
            with connection.getresponse() as answer:
                body = json.loads(answer.read())
        except (ConnectionError, http.client.HTTPException):
            return 0, None
    return answer.status, body.get("digest") or body["error"]["id"]


def test_what_is_brought_is_what_its_name_says(gateway):
    folder = os.path.join(gateway.state, "bundles")
    for content in (b"x" * 3, os.urandom(300000), os.urandom(3000000)):
        name = hashlib.sha256(content).hexdigest()
        other = bytes([content[0] ^ 1]) + content[1:]
        assert bring(gateway, content, other) == (422, "bundle.digest")
        assert not [n for n in os.listdir(folder) if n.startswith(name)], "nothing of it is left"
        for _ in range(2):
            assert bring(gateway, content) == (200, f"sha256:{name}")
        with open(os.path.join(folder, name), "rb") as f:
            assert f.read() == content


def test_an_agent_that_is_started_anew_tells_the_end(box):
    p = box.fleet.run("release", "update", DEVICE, box.archive("2"), "--confirm-deadline", "30")
    assert p.returncode == 0, p
    wait_until(lambda: box.record()["state"] == "proving", "it proves itself")
    box.agents.agent.kill()
    wait_until(lambda: box.record()["state"] == "confirmed", "it is over")
    box.agents.start_agent()
    wait_until(lambda: box.last()["state"] == "done", "the cloud hears of it")
    assert box.runs() == "2"


def test_what_was_staged_and_not_begun_is_carried_out_later(box):
    no_unit = box.write(os.path.join(box.folder, "no-unit"), "")
    p = box.fleet.run("release", "update", DEVICE, box.archive("2"), "--confirm-deadline", "5")
    assert p.returncode == 0, p
    wait_until(lambda: box.record()["state"] == "staged", "it is brought, and systemd does not start what carries it out")
    os.unlink(no_unit)
    box.agents.agent.kill()
    box.agents.start_agent()
    wait_until(lambda: box.last()["state"] == "done", "whoever comes next has it carried out")
    assert box.runs() == "2"


def test_an_order_takes_the_place_of_what_was_staged_by_hand(box):
    box.write(os.path.join(box.folder, "no-unit"), "")
    p = box.apply(box.archive("2"))
    assert p.returncode == 3 and "release.no-unit" in p.stderr and box.record()["state"] == "staged", p
    os.unlink(os.path.join(box.folder, "no-unit"))
    p = box.update(box.archive("3"))
    assert p.returncode == 0 and box.runs() == "3", p
    assert sorted(os.listdir(os.path.join(box.opt, "releases"))) == ["1", "3"]


def test_a_record_that_cannot_be_read_ends_the_order(box):
    p = box.fleet.run("release", "update", DEVICE, box.archive("2"), "--confirm-deadline", "30")
    assert p.returncode == 0, p
    wait_until(lambda: box.record()["state"] == "proving", "it proves itself")
    box.agents.agent.kill()
    wait_until(lambda: box.record()["state"] == "confirmed", "it is over")
    path = os.path.join(box.root, "var/lib/tucomunidad/release/record.json")
    box.write(path, "{")
    box.agents.start_agent()
    wait_until(lambda: box.last()["state"] == "failed", "the cloud is told that it is not known")
    last = box.last()
    assert last["error"]["id"] == "release.damaged" and "record.json" in last["error"]["message"], last


def test_a_rollout_brings_it_with_signed_orders(box):
    key = os.path.join(box.folder, "ana")
    box.fleet.run("keygen", key, check=0)
    assert box.ctl("trust", "add", f"{key}.pub").returncode == 0
    box.agents.link.stop()
    box.agents.start_link()
    box.gateway.wait_reported(DEVICE)
    path = box.archive("2")
    p = box.update(path)
    assert p.returncode == 1 and box.last()["error"]["id"] == "order.unsigned" and box.runs() == "1", p
    words = ["rollout", "start", "--release", path, "--groups", "100%", "--soak", "0", "--confirm-deadline", "5", "--wait"]
    p = box.fleet.run(*words, "--key", key)
    assert p.returncode == 0 and "signed for" in p.stderr and box.runs() == "2", p
    shown = json.loads(box.fleet.run("rollout", "list", "--json").stdout)["rollouts"][0]
    assert (shown["kind"], shown["target"]) == ("release", "2")
    assert box.record()["signedBy"] == "ana"


def test_a_box_with_containers_takes_none(box):
    box.agents.stop()
    os.unlink(os.path.join(box.root, UNIT))
    os.unlink(os.path.join(box.opt, "current"))
    box.agents.start()
    path = box.archive("2")
    p = wait_until(lambda: (lambda p: p if "too old" in p.stderr else None)(box.update(path)), "its agent says what it takes")
    assert p.returncode == 1 and "push a compose file" in p.stderr, p
    p = subprocess.run([program("secbox-fleet"), "rollout", "start", "--release", path, "x"], env=box.fleet.env, text=True,
                       capture_output=True, check=False)
    assert p.returncode == 2, p
