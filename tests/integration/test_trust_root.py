# SPDX-License-Identifier: MIT
"""Root documents, from the operator's keys by a real gateway to a real agent: whose orders boxes take is changed from afar."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import json
import os
import uuid

import pytest

pytest.importorskip("websockets")
pytest.importorskip("cryptography")

from tests.integration.gateway_lab import enroll, error_id, gw, shared  # noqa: E402
from tests.integration.test_signed_orders import (ACCEPTS, TAKEN, answer, device, fleet, judge, keygen, pushed,  # noqa: E402
                                                  ssh_key, trust)
from tests.lab.util import read_text, wait_until  # noqa: E402

TAKES_ROOTS = {"accepts": [*ACCEPTS["accepts"], "trust.root"]}


def make(fleet, folder, keys, *options, signed_by=()):
    """A document of these keys, in a file."""
    path = os.path.join(folder, f"root-{uuid.uuid4().hex[:8]}.json")
    fleet.run("trust", "make", path, *[key + ".pub" for key in keys], *options, check=0)
    for key in signed_by:
        fleet.run("trust", "sign", path, "--key", key, check=0)
    return path


def judged(agent, message):
    """The agent's answer to what the gateway has sent."""
    link = agent.link()
    link.send(message)
    result = link.next("trust.root.result")
    link.close()
    assert result["id"] == message["id"]
    return result


def passed_on(tunnel, agent):
    """What comes next to the box goes to its agent, and its answer back."""
    message = tunnel.next("trust.root")
    result = judged(agent, message)
    tunnel.send(result)
    return result


def states(fleet, device):
    """Version → state, of the documents that were sent to this box."""
    return {int(root["version"]): box["state"] for root in fleet.json("trust", "show")["roots"] for box in root["boxes"]
            if box["device"] == device.id}


def in_force(agent):
    return json.loads(trust(agent, "root", "--json"))


def test_f33_keys_are_changed_from_afar(gw, fleet, device, judge, folder):
    ana, berta, carla = keygen(fleet, folder, "ana"), ssh_key(folder, "berta"), keygen(fleet, folder, "carla")
    trust(judge, "add", ana + ".pub")
    assert "No root document" in trust(judge, "root") and in_force(judge)["version"] is None
    path = make(fleet, folder, [ana, berta], "--threshold", "2", "--reason", "two from now on", signed_by=[ana])
    said = fleet.run("trust", "show", path, check=0).stdout
    assert "two from now on" in said and "every box" in said and "Of these keys, ana signed" in said

    tunnel = device.connect(TAKES_ROOTS)
    # its new keys have to agree, too
    fleet.run("trust", "send", path, device.id, check=0)
    result = passed_on(tunnel, judge)
    assert result["status"] == 401 and result["error"]["id"] == "root.not-agreed"
    wait_until(lambda: states(fleet, device) == {1: "refused"}, "the gateway has heard of it")
    assert [e["alarm"] for e in gw.audit("trust.root-refused") if e["device"] == device.id] == [True]
    fleet.run("trust", "sign", path, "--key", berta, check=0)
    fleet.run("trust", "send", path, device.id, check=0)
    result = passed_on(tunnel, judge)
    assert (result["status"], result["version"]) == (200, "1")
    wait_until(lambda: states(fleet, device) == {1: "taken"}, "the gateway has heard of it")
    tunnel.close()

    shown = in_force(judge)
    assert shown["version"] == "1" and shown["agreedBy"] == "ana, berta" and shown["signedBy"] == "ana"
    assert [key["name"] for key in shown["keys"]] == ["ana", "berta"] and shown["devices"] == ["*"]
    assert "version 1 of the root document" in trust(judge, "list")
    for change in (("add", carla + ".pub"), ("remove", "ana"), ("threshold", "1")):
        assert "root.in-force" in trust(judge, *change, code=1)
    assert answer(judge, pushed(fleet, device, folder, "--key", ana)) == (401, "order.too-few")
    assert answer(judge, pushed(fleet, device, folder, "--key", ana, "--key", berta)) == TAKEN

    # what programs from before look at is the same
    folder_of_keys = os.path.join(judge.root, "etc/tucomunidad/trust/signers")
    assert sorted(os.listdir(folder_of_keys)) == ["ana.pub", "berta.pub", "root.json", "threshold"]
    judge.stop()
    judge.start()
    assert in_force(judge) == shown

    # ana's key was lost: two others of whom one is new
    second = make(fleet, folder, [berta, carla], "--root", path, signed_by=[berta, carla])
    assert judged_file(judge, second)["error"]["id"] == "order.too-few"
    fleet.run("trust", "sign", second, "--key", ana, check=0)
    assert judged_file(judge, second)["version"] == "2"
    assert not os.path.exists(os.path.join(folder_of_keys, "ana.pub"))
    assert judged_file(judge, path)["error"]["id"] == "root.older"
    assert answer(judge, pushed(fleet, device, folder, "--key", ana)) == (401, "order.unknown-signer")
    assert answer(judge, pushed(fleet, device, folder, "--key", carla)) == TAKEN


def judged_file(agent, path):
    with open(path, encoding="utf-8") as f:
        order = json.load(f)
    return judged(agent, {"type": "trust.root", "id": uuid.uuid4().hex, "deviceId": "x", "order": order})


def test_f33_a_box_that_was_away_gets_each_in_its_turn(gw, fleet, device, judge, folder):
    ana, berta, carla = (keygen(fleet, folder, name) for name in ("ana", "berta", "carla"))
    trust(judge, "add", ana + ".pub")
    # the third is signed by none of the keys that the box knows now
    first = make(fleet, folder, [berta], signed_by=[ana, berta])
    second = make(fleet, folder, [carla], "--root", first, signed_by=[berta, carla])
    site = uuid.uuid4().hex[:8]
    assert gw.request("PATCH", f"/v1/devices/{device.id}", {"labels": {"site": site}}).status == 200
    for path in (second, first):
        said = fleet.run("trust", "send", path, "--label", f"site={site}", check=0).stdout
        assert "on its way to 1 box;" in said
    assert states(fleet, device) == {1: "waiting", 2: "waiting"}
    # it outlives the gateway, and an agent of before gets none
    gw.stop()
    gw.start()
    tunnel = device.connect(ACCEPTS)
    assert tunnel.silent() == []
    tunnel.close()
    tunnel = device.connect(TAKES_ROOTS)
    assert passed_on(tunnel, judge)["version"] == "1"
    assert passed_on(tunnel, judge)["version"] == "2"
    wait_until(lambda: states(fleet, device) == {1: "taken", 2: "taken"}, "both have come")
    tunnel.close()
    assert [key["name"] for key in in_force(judge)["keys"]] == ["carla"]


def test_what_is_refused_leaves_all_as_it_was(gw, fleet, device, judge, folder):
    ana, berta = keygen(fleet, folder, "ana"), keygen(fleet, folder, "berta")
    good = make(fleet, folder, [ana, berta], signed_by=[ana])
    # nobody vouches for the first key but whoever is at the box
    assert judged_file(judge, good)["error"]["id"] == "root.no-signers"
    trust(judge, "add", ana + ".pub")
    elsewhere = make(fleet, folder, [ana], "--device", "another-box", signed_by=[ana])
    ahead = make(fleet, folder, [ana], "--number", "5000", signed_by=[ana])
    strangers = make(fleet, folder, [berta], signed_by=[berta])
    for path, expected in ((elsewhere, "root.other-box"), (ahead, "root.jump"), (strangers, "order.unknown-signer")):
        result = judged_file(judge, path)
        assert (result["status"], result["error"]["id"]) == (401, expected)
    assert in_force(judge)["version"] is None and not os.path.exists(os.path.join(judge.state, "trust-root.json"))
    assert judged_file(judge, good)["status"] == 200
    assert judged_file(judge, good)["status"] == 200  # once more is no fault
    other = make(fleet, folder, [ana], signed_by=[ana])
    assert judged_file(judge, other)["error"]["id"] == "root.older"

    # what the gateway itself says, before any box is asked
    p = fleet.run("trust", "send", elsewhere, device.id)
    assert p.returncode == 1 and "root.no-boxes" in p.stderr
    unsigned = make(fleet, folder, [ana])
    p = fleet.run("trust", "send", unsigned, device.id)
    assert p.returncode == 1 and "order.malformed" in p.stderr
    assert fleet.run("trust", "send", good).returncode == 2
    order = {"statement": base64.b64encode(b"{}").decode(), "signatures": [{}]}
    refused = gw.request("POST", "/v1/trust/roots", {"order": order})
    assert refused.status == 400 and error_id(refused) == "root.malformed"


def test_root_at_the_box_takes_one_and_ends_it(fleet, judge, folder):
    ana, berta = keygen(fleet, folder, "ana"), keygen(fleet, folder, "berta")
    path = make(fleet, folder, [ana, berta], signed_by=[ana])
    assert "root.no-signers" in trust(judge, "root", "take", path, code=1)
    trust(judge, "add", ana + ".pub")
    assert "secboxctl" in trust(judge, "root", "take", path)
    # a disk that forgets: no order of the cloud is taken, and what to do is said
    document = os.path.join(judge.root, "etc/tucomunidad/trust/signers/root.json")
    text = read_text(document)
    judge.write(document, text.replace('"statement":"', '"statement":"AAAA', 1))
    said = trust(judge, "root", code=1)
    assert "root.damaged" in said and "secboxctl trust root forget" in said
    assert judged_file(judge, path)["error"]["id"] == "root.damaged"
    assert "No root document" in trust(judge, "root", "forget", "--yes")
    assert [s["name"] for s in json.loads(trust(judge, "list", "--json"))["signers"]] == ["ana", "berta"]
    assert "root.older" in trust(judge, "root", "take", path, code=1)
    trust(judge, "remove", "ana")
    assert [s["name"] for s in json.loads(trust(judge, "list", "--json"))["signers"]] == ["berta"]
    assert trust(judge, "root", "burn", code=2)
