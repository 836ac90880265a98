# SPDX-License-Identifier: MIT
"""What a stand-in for Frigate recognises, by a real secbox with a real database: to guards at once, to the cloud once."""
# pylint: disable=redefined-outer-name,unused-import
import threading
import time

import pytest

from tests.integration.test_lan import LanBox, Place, Tablet, cloud, pg
from tests.lab.community import Community, CommunityServer
from tests.lab.frigate_stand_in import FrigateStandIn, frame_number
from tests.lab.util import read_text, wait_until

KINDS = ("plate.match", "face.match", "motion.clip")


class Watch:
    """A tablet that is told when there is something to ask for; `moments` are those at which it was sightings."""

    def __init__(self, place, tablet):
        self.moments, self.began = [], threading.Event()
        self.tablet = Tablet(place.box)
        self.tablet.cookies = dict(tablet.cookies)
        self.tablet.open()
        cookie = "; ".join(f"{k}={v}" for k, v in tablet.cookies.items())
        request = f"GET /api/lan/events HTTP/1.1\r\nHost: secbox.local\r\nCookie: {cookie}\r\n\r\n"
        self.tablet.connection.sock.sendall(request.encode())
        threading.Thread(target=self._read, args=(self.tablet.connection.sock.makefile("rb"),), daemon=True).start()
        assert self.began.wait(60)

    def _read(self, stream):
        try:
            while line := stream.readline():
                if line.startswith(b"Content-Type: text/event-stream"):
                    self.began.set()
                if line.strip() == b"event: sightings":
                    self.moments.append(time.monotonic())
        except OSError:
            pass


class Gate:
    """A place with a camera, and a guard who is logged in."""

    def __init__(self, place, frigate):
        self.place, self.frigate, self.box = place, frigate, place.box
        self.box.stop()
        self.box.env["FRIGATE_URL"] = f"http://127.0.0.1:{frigate.port}"
        self.start()
        self.tablet = Tablet(self.box)
        wait_until(lambda: self.tablet.get("/api/lan/guards").status == 200 and self.tablet.get("/api/lan/guards").json["guards"],
                   "guards are known", self.box.alive)
        assert self.tablet.log_in(place.guard).status == 200

    def start(self):
        self.box.start()
        self.wait_listening()

    def wait_listening(self):
        wait_until(lambda: self.frigate.listeners, "secbox listens", self.box.alive)

    def sightings(self):
        answer = self.tablet.get("/api/lan/sightings")
        assert answer.status == 200, answer.raw
        return answer.json["sightings"]

    def wait_for(self, **members):
        """The sighting that has these members."""
        def found():
            return next((s for s in self.sightings() if all(s.get(k) == v for k, v in members.items())), None)

        return wait_until(found, f"a sighting with {members}", self.box.alive)

    def reported(self, kind):
        """What the cloud has been told, oldest first."""
        return sorted((e for e in self.box.server.events.values() if e["kind"] == kind), key=lambda e: e["at"])

    def wait_reported(self, kind, n):
        def all_of_them():
            events = self.reported(kind)
            return events if len(events) >= n else None

        return wait_until(all_of_them, f"{n} events {kind}", self.box.alive)


@pytest.fixture
def gate(cloud, pg):
    with FrigateStandIn() as frigate:
        place = Place(cloud, pg)
        it = Gate(place, frigate)
        yield it
        assert not frigate.orders and not frigate.forbidden(), "Frigate takes orders from anybody: there were none"
        place.box.stop()


def test_a_banned_plate(gate):
    watch = Watch(gate.place, gate.tablet)
    gate.frigate.say_the_rest()
    car = gate.frigate.add_event("entrada")
    began = time.monotonic()
    gate.frigate.read_plate(car, "ABO158", 0.93)
    wait_until(lambda: watch.moments, "the tablet is told", gate.box.alive)
    print(f"a banned plate reaches a tablet {1000 * (watch.moments[0] - began):.1f} ms after Frigate's message")
    seen = gate.wait_for(id=car["id"], picture=True)
    assert (seen["verdict"], seen["doubt"], seen["distance"], seen["sure"]) == ("VETADO", False, 0, True)
    assert (seen["kind"], seen["camera"], seen["read"], round(seen["score"], 3)) == ("plate", "entrada", "ABO158", 0.93)
    assert seen["fits"][0]["id"] == gate.place.ban and seen["fits"][0]["reason"] == "robo"
    picture = gate.tablet.get(f"/api/lan/sightings/picture?id={car['id']}")
    assert picture.status == 200 and picture.headers["Content-Type"] == "image/jpeg" and frame_number(picture.raw) > 0
    assert gate.tablet.get("/api/lan/sightings/picture?id=1700000000.1-x").status == 404
    assert Tablet(gate.box).get("/api/lan/sightings").status == 401
    event, = gate.wait_reported("plate.match", 1)
    assert event["data"] == {"camera": "entrada", "object": car["id"], "plate": "ABO158", "score": 0.93, "sure": True}


def test_without_cloud_and_database(cloud, pg, gate):
    cloud.stop_tunnels()
    first, second = gate.frigate.add_event("entrada"), gate.frigate.add_event("garagem")
    gate.frigate.read_plate(first, "ABO158")
    assert gate.wait_for(id=first["id"])["verdict"] == "VETADO"
    pg.pause()
    try:
        wait_until(lambda: gate.tablet.get("/api/lan/status").json.get("database") is False, "the database is away", gate.box.alive)
        gate.frigate.read_plate(second, "AB0159", 0.8)
        seen = gate.wait_for(id=second["id"])
        assert (seen["verdict"], seen["doubt"], seen["distance"], seen["sure"]) == ("DESCONOCIDO", True, 1, False)
        gate.frigate.end_event(second)
    finally:
        pg.resume()
    # it could not be written: Frigate is asked for it again
    cloud.start_tunnels()
    plates = {e["data"]["plate"] for e in gate.wait_reported("plate.match", 2)}
    assert plates == {"ABO158", "AB0159"}


def test_who_is_expected(gate):
    guest, unsure, resident, stranger = (gate.frigate.add_event("entrada") for _ in range(4))
    gate.frigate.read_plate(stranger, "QQQ111")
    gate.frigate.see_face(resident, "Luis Ortega")
    gate.frigate.see_face(resident, None, 0.4)
    gate.frigate.read_plate(unsure, "XYZ-987", 0.75)
    gate.frigate.read_plate(guest, "XYZ987")
    seen = gate.wait_for(id=guest["id"])
    assert (seen["verdict"], seen["doubt"], seen["fits"][0]["id"]) == ("AUTORIZADO", False, gate.place.guest)
    seen = gate.wait_for(id=unsure["id"])
    assert (seen["verdict"], seen["doubt"], seen["sure"], seen["distance"]) == ("AUTORIZADO", True, False, 0)
    assert {s["id"] for s in gate.sightings()} == {guest["id"], unsure["id"]} and seen["expected"]
    assert {e["data"]["plate"] for e in gate.wait_reported("plate.match", 2)} == {"QQQ111", "XYZ987"}
    assert len(gate.wait_reported("face.match", 1)) == 1


def test_an_expected_plate_that_was_misread(gate):
    """One character wrong is no ban: a guard is told of the guest, as a doubt, and a banned plate still outranks her."""
    gate.place.change(lambda c: c.put("guests", {
        "unit": gate.place.unit, "name": "De ayer", "plate": "XYZ9K8", "from": "2000-01-01T00:00:00Z",
        "until": "2001-01-01T00:00:00Z"}))
    car, shorter, stranger = (gate.frigate.add_event("entrada") for _ in range(3))
    gate.frigate.read_plate(stranger, "XYQ9K7", 0.95)
    gate.frigate.read_plate(car, "XYZ9K7", 0.95)
    gate.frigate.read_plate(shorter, "XYZ98", 0.95)
    for it in (car, shorter):
        seen = gate.wait_for(id=it["id"], distance=1)
        assert (seen["verdict"], seen["doubt"], seen["expected"]) == ("DESCONOCIDO", True, True)
        assert seen["fits"][0]["id"] == gate.place.guest
    assert {s["id"] for s in gate.sightings()} == {car["id"], shorter["id"]}, "two characters are somebody else's"
    gate.frigate.read_plate(car, "ABO158", 0.75)
    seen = gate.wait_for(id=car["id"], verdict="VETADO")
    assert not seen["expected"] and seen["read"] == "ABO158"


def test_banned_faces(gate):
    by_name, by_id = gate.frigate.add_event("entrada", "person"), gate.frigate.add_event("entrada", "person")
    gate.frigate.see_face(by_name, "Juan Perez Lopez", 0.85)
    seen = gate.wait_for(id=by_name["id"])
    assert (seen["kind"], seen["verdict"], seen["doubt"], seen["sure"]) == ("face", "VETADO", True, False)
    gate.frigate.see_face(by_id, gate.place.ban, 0.95)
    seen = gate.wait_for(id=by_id["id"])
    assert (seen["verdict"], seen["doubt"], seen["fits"][0]["name"]) == ("VETADO", False, "Juan Pérez López")
    event, = gate.wait_reported("face.match", 1)
    assert event["data"]["name"] == gate.place.ban, "what was seen once, and not well, is not reported"


def test_it_was_another_plate(gate):
    car, other = gate.frigate.add_event("entrada"), gate.frigate.add_event("entrada")
    gate.frigate.read_plate(car, "ABO158", 0.72)
    assert gate.wait_for(id=car["id"])["doubt"]
    for _ in range(2):
        gate.frigate.read_plate(car, "LMN456", 0.97)
    gate.frigate.read_plate(other, "ABO158")
    gate.wait_for(id=other["id"])
    wait_until(lambda: [s["id"] for s in gate.sightings()] == [other["id"]], "it is not told any more", gate.box.alive)
    gate.frigate.end_event(car)
    plates = [e["data"]["plate"] for e in gate.wait_reported("plate.match", 2)]
    assert sorted(plates) == ["ABO158", "LMN456"]


def test_a_banned_plate_that_is_not_the_likeliest(gate):
    car = gate.frigate.add_event("entrada")
    gate.frigate.read_plate(car, "QQQ777", 0.95)
    gate.frigate.read_plate(car, "ABO158", 0.75)
    seen = gate.wait_for(id=car["id"])
    assert (seen["verdict"], seen["doubt"], seen["sure"], seen["read"]) == ("VETADO", True, False, "ABO158")


def test_a_banned_plate_behind_an_expected_one(gate):
    """Whether guards are shown the guest already, or the database tells of her only after the warning."""
    before, together, after = (gate.frigate.add_event("entrada") for _ in range(3))
    gate.frigate.read_plate(before, "XYZ987", 0.95)
    assert gate.wait_for(id=before["id"])["verdict"] == "AUTORIZADO"
    gate.frigate.read_plate(before, "ABO158", 0.75)
    assert gate.wait_for(id=before["id"], verdict="VETADO")["read"] == "ABO158"
    gate.frigate.read_plate(together, "XYZ987", 0.95)
    gate.frigate.read_plate(together, "ABO158", 0.75)
    gate.frigate.read_plate(after, "XYZ987", 0.95)
    gate.wait_for(id=after["id"], verdict="AUTORIZADO")  # so all that was asked before is answered
    assert {s["id"]: s["verdict"] for s in gate.sightings()} == {
        before["id"]: "VETADO", together["id"]: "VETADO", after["id"]: "AUTORIZADO"}


def test_what_nobody_heard(gate):
    """Frigate was gone, the line was cut, secbox was killed: everything arrives, and once."""
    cars = [gate.frigate.add_event("entrada") for _ in range(80)]
    for first, second in zip(cars[1::2], cars[2::2]):
        second["start_time"] = first["start_time"]  # both are in the same picture
    for car in cars:
        gate.frigate.say_event(car, "new")

    def pass_by(some):
        for car in some:
            gate.frigate.read_plate(car, f"CAR{cars.index(car):03}")
            gate.frigate.end_event(car)

    pass_by(cars[:10])
    gate.wait_reported("plate.match", 10)
    gate.frigate.stop()
    pass_by(cars[10:20])
    gate.frigate.start()
    gate.wait_reported("plate.match", 20)
    gate.wait_listening()
    gate.box.kill()
    pass_by(cars[20:])
    gate.box.start()
    gate.wait_reported("plate.match", 80)
    clips = gate.wait_reported("motion.clip", 80)
    assert sorted(e["data"]["plate"] for e in gate.reported("plate.match")) == [f"CAR{i:03}" for i in range(80)]
    assert sorted(c["data"]["review"] for c in clips) == sorted(car["id"] for car in cars)
    assert clips[0]["data"]["severity"] == "alert" and clips[0]["data"]["objects"] == ["car"]
    assert read_text(gate.box.log).count("listening to what Frigate sees") >= 3


def test_one_that_is_larger_than_what_is_read(gate):
    """It is passed over, and what came before and after it is not."""
    gate.box.kill()
    cars = [gate.frigate.add_event("entrada") for _ in range(9)]
    for i, car in enumerate(cars):
        car["start_time"] -= 10 * (len(cars) - i)
        gate.frigate.read_plate(car, f"CAR{i:03}")
        gate.frigate.end_event(car)
    cars[2]["data"]["path_data"] = [0] * 200000  # too many values
    cars[5]["data"]["path_data"] = [[[0.5123, 0.3456], cars[5]["start_time"]]] * 40000  # and too many bytes
    gate.box.start()
    plates = [e["data"]["plate"] for e in gate.wait_reported("plate.match", 7)]
    assert sorted(plates) == [f"CAR{i:03}" for i in range(9) if i not in (2, 5)]
    gate.wait_reported("motion.clip", 9)
    assert read_text(gate.box.log).count("it is larger than what is read") >= 2


def test_a_box_that_has_no_community_yet(cloud, pg):
    """What it cannot keep it does not ask for again and again, and it has it when it may."""
    with FrigateStandIn() as frigate:
        box = LanBox(cloud, pg)
        box.env["FRIGATE_URL"] = f"http://127.0.0.1:{frigate.port}"
        box.start()
        try:
            wait_until(lambda: frigate.listeners, "secbox listens", box.alive)
            car = frigate.add_event("entrada")
            frigate.read_plate(car, "ABO158")
            frigate.end_event(car)
            wait_until(lambda: "when there are a database and a community" in read_text(box.log), "it waits", box.alive)
            asked = len(frigate.asked("/api/events?"))
            assert asked == read_text(box.log).count("listening to what Frigate sees"), "and has asked when it began alone"
            box.server = CommunityServer(cloud, Community(pg))
            wait_until(lambda: {e["kind"] for e in box.server.events.values()} >= {"plate.match", "motion.clip"},
                       "both are reported", box.alive)
            box.stop()
        finally:
            box.close()


def test_what_is_away_need_not_be_heard(gate):
    def refuse(handler):
        handler.refuse(503, "no")

    def cameras():
        return gate.box.ask("health")["cameras"]

    gate.frigate.listen = refuse
    gate.frigate.cut_streams()
    wait_until(lambda: cameras().get("unheard"), "it is not heard", gate.box.alive)
    gate.frigate.stop()
    wait_until(lambda: cameras()["frigate"] == "away", "it is away", gate.box.alive)
    wait_until(lambda: "unheard" not in cameras(), "that is another fault", gate.box.alive)
    del gate.frigate.listen
    gate.frigate.start()
    gate.wait_listening()


def test_with_a_login(gate):
    """On 8971; Frigate forgets its logins in between."""
    gate.box.stop()
    user, password = gate.frigate.user
    gate.box.env.update(FRIGATE_URL=f"http://127.0.0.1:{gate.frigate.login_port}", FRIGATE_USER=user, FRIGATE_PASSWORD=password)
    gate.start()
    gate.tablet.connection = None
    for _ in range(2):
        car = gate.frigate.add_event("entrada")
        gate.wait_listening()
        gate.frigate.read_plate(car, "ABO158")
        gate.wait_for(id=car["id"], picture=True)
        gate.frigate.tokens.clear()
        cut = list(gate.frigate.listeners)
        gate.frigate.cut_streams()
        wait_until(lambda: not any(one in cut for one in gate.frigate.listeners), "the line is cut", gate.box.alive)
    assert password not in read_text(gate.box.log)


def test_nonsense(gate):
    listeners = len(gate.frigate.listeners)
    for payload in ("[{", "{}", 7, None, "x" * 600000):
        gate.frigate.say("events", payload)
        gate.frigate.say("tracked_object_update", payload)
    car = gate.frigate.add_event("entrada")
    gate.frigate.read_plate(car, "ABO158")
    gate.wait_for(id=car["id"])
    assert len(gate.frigate.listeners) == listeners
