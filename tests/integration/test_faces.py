# SPDX-License-Identifier: MIT
"""Enrolled faces: given to the gateway, fetched by boxes, known to a stand-in for Frigate, and to nobody any more."""
# pylint: disable=redefined-outer-name,unused-import
import hashlib
import os
import secrets
import uuid

import pytest

from tests.conftest import require_programs
from tests.integration.data_box import cloud, pg
from tests.integration.test_lan import Place
from tests.integration.test_matches import Gate
from tests.integration.test_recordings import BOX, Place as WholePlace
from tests.lab.fleet import Fleet
from tests.lab.frigate_stand_in import FrigateStandIn, make_pictures
from tests.lab.gateway import Gateway
from tests.lab.util import wait_until


def jpeg(size=2000):
    """As far as anybody here looks into it."""
    return b"\xff\xd8\xff\xe0" + secrets.token_bytes(size).replace(b"\xff", b"\x00") + b"\xff\xd9"


def name_of(row, picture):
    return f"secbox_{row.replace('-', '')}_{hashlib.sha256(picture).hexdigest()[:8]}"


def health(box):
    return box.ask("health").get("cameras", {}).get("faces")


@pytest.fixture
def gate(cloud, pg):
    with FrigateStandIn() as frigate:
        frigate.faces = {"Ana": ["by-hand.webp"], "train": [], name_of(str(uuid.uuid4()), jpeg()): ["of-before.webp"]}
        it = Gate(Place(cloud, pg), frigate)
        yield it
        assert not frigate.forbidden() and frigate.faces["Ana"] == ["by-hand.webp"], "what people have named is left alone"
        it.box.stop()


def enrol(gate, table, row, data, picture):
    digest = hashlib.sha256(picture).hexdigest()
    gate.box.server.faces[digest] = picture
    gate.place.change(lambda c: c.put(table, {**data, "face": digest}, row))


def known(gate):
    return {name: gate.frigate.face_pictures.get(name) for name, files in gate.frigate.get_faces(None).items()
            if name.startswith("secbox_") and files}


def wait_known(gate, expected):
    wait_until(lambda: known(gate) == expected, "Frigate knows them", gate.box.alive)


def test_frigate_knows_the_faces_of_the_community_and_no_others(gate):
    guard, ban = {"name": "Rosa Díaz", "role": "guard"}, {"name": "Juan Pérez López", "plate": "ABO-158", "reason": "robo"}
    first, second, large = jpeg(), jpeg(), jpeg(80000)  # the last comes in four parts
    enrol(gate, "users", gate.place.other, guard, first)
    enrol(gate, "bans", gate.place.ban, ban, large)
    wait_known(gate, {name_of(gate.place.other, first): first, name_of(gate.place.ban, large): large})
    # another picture, and none
    enrol(gate, "users", gate.place.other, guard, second)
    wait_known(gate, {name_of(gate.place.other, second): second, name_of(gate.place.ban, large): large})
    gate.place.change(lambda c: c.put("users", guard, gate.place.other))
    wait_known(gate, {name_of(gate.place.ban, large): large})
    # whoever is seen by that name is the one whose face it is
    person = gate.frigate.add_event("entrada", "person")
    gate.frigate.see_face(person, name_of(gate.place.ban, large), 0.95)
    seen = gate.wait_for(id=person["id"])
    assert (seen["verdict"], seen["doubt"], seen["read"]) == ("VETADO", False, gate.place.ban)
    event, = gate.wait_reported("face.match", 1)
    assert event["data"]["name"] == gate.place.ban
    # somebody has emptied its folder, and it was started anew
    gate.frigate.stop()
    wait_until(lambda: gate.box.ask("health")["cameras"]["frigate"] != "up", "it is missed", gate.box.alive)
    gate.frigate.faces = {"Ana": ["by-hand.webp"]}
    gate.frigate.start()
    wait_known(gate, {name_of(gate.place.ban, large): large})


def test_what_frigate_does_not_take(gate):
    """A picture without a face is named, and the others are known; without recognition nothing is, and that is said."""
    good, bad = jpeg(), b"\xff\xd8\xff\xe0 nobody \xff\xd9"
    guard = {"name": "Rosa Díaz", "role": "guard"}
    enrol(gate, "users", gate.place.other, {"name": "Iván Paz", "role": "guard"}, bad)
    enrol(gate, "users", gate.place.guard, guard, good)
    wait_known(gate, {name_of(gate.place.guard, good): good})
    wait_until(lambda: (health(gate.box) or {}).get("refused") == 1, "it is told", gate.box.alive)
    wait_until(lambda: "1 people" in gate.box.ask("health")["faults"].get("cameras.faces", ""), "as a fault", gate.box.alive)
    assert len([p for p in gate.frigate.asked("/api/faces/") if name_of(gate.place.other, bad) in p]) == 1, "it is tried once"
    gate.frigate.recognises_faces = False
    another = jpeg()
    enrol(gate, "users", gate.place.guard, guard, another)
    wait_until(lambda: "face_recognition" in gate.box.ask("health")["faults"].get("cameras.faces", ""), "it is said",
               gate.box.alive)
    gate.frigate.stop()
    gate.frigate.recognises_faces = True
    wait_until(lambda: gate.box.ask("health")["cameras"]["frigate"] != "up", "it is missed", gate.box.alive)
    gate.frigate.start()
    wait_known(gate, {name_of(gate.place.guard, another): another})


@pytest.fixture
def place(folder, pg):
    require_programs("secbox", "secbox-gateway")
    with Gateway(os.path.join(folder, "gateway")) as gateway, FrigateStandIn() as frigate:
        it = WholePlace(gateway, pg, frigate)
        yield it
        it.close()


def test_from_an_operator_to_frigate(place, folder):
    gateway, fleet = place.gateway, Fleet(place.gateway.url, place.gateway.token, folder)
    picture, user = make_pictures(360)[0], "018f3a52-7c11-7d3e-9a45-2f60c1d8e001"
    path, got = os.path.join(folder, "face.jpg"), os.path.join(folder, "got.jpg")
    with open(path, "wb") as f:
        f.write(picture)
    row = f"/v1/communities/{place.community}/users/{user}"
    who = {"name": "Rosa Díaz", "role": "guard"}
    assert "row.not-found" in fleet.run("community", "face", "set", place.community, "users", user, path, check=1).stderr
    assert gateway.request("PUT", row, who).status == 201
    assert "has a face" in fleet.run("community", "face", "set", place.community, "users", user, path, check=0).stdout
    place.serve_community(fleet)
    name, digest = name_of(user, picture), hashlib.sha256(picture).hexdigest()
    wait_until(lambda: place.frigate.face_pictures.get(name) == picture, "Frigate knows it", place.box.alive)
    fleet.run("community", "face", "get", place.community, "users", user, got, check=0)
    with open(got, "rb") as f:
        assert f.read() == picture
    # whoever changes the row need not know of the face, nor does an import
    assert gateway.request("PUT", row, {**who, "phone": "099", "face": "0" * 64}).json["row"]["face"] == digest
    line = {"id": user, **who, "name": "Rosa Díaz Paz"}
    assert gateway.request("POST", f"/v1/communities/{place.community}/import?table=users&format=ndjson&replace=1",
                           line).json["import"]["changed"] == 1
    assert gateway.request("GET", row).json["row"]["face"] == digest
    for table, bad, status in (("users", b"no picture", 400), ("users", picture + bytes(524289 - len(picture)), 413),
                               ("guests", picture, 404)):
        with open(path, "wb") as f:
            f.write(bad)
        refused = fleet.run("community", "face", "set", place.community, table, user, path, check=1).stderr
        assert {400: "face.not-jpeg", 413: "file", 404: "request.not-found"}[status] in refused, refused
    viewer = gateway.run("tokens", "add", "--role", "viewer", "vera").strip().split()[-1]
    assert "auth.role" in Fleet(gateway.url, viewer, folder).run("community", "face", "remove", place.community, "users", user,
                                                                 check=1).stderr
    assert "no face any more" in fleet.run("community", "face", "remove", place.community, "users", user, check=0).stdout
    wait_until(lambda: name not in place.frigate.get_faces(None), "it has forgotten it", place.box.alive)
    assert "face.none" in fleet.run("community", "face", "get", place.community, "users", user, got, check=1).stderr
    assert [e["detail"]["id"] for e in place.audit() if e["action"].startswith("community.face-")] == [user, user]
    # with the row its picture is gone
    with open(path, "wb") as f:
        f.write(picture)
    fleet.run("community", "face", "set", place.community, "users", user, path, check=0)
    wait_until(lambda: name in place.frigate.get_faces(None), "it is known again", place.box.alive)
    assert gateway.request("DELETE", row).status == 200
    wait_until(lambda: name not in place.frigate.get_faces(None), "it is forgotten", place.box.alive)
    assert fleet.run("community", "face", "get", place.community, "users", user, got, check=1)
