# SPDX-License-Identifier: MIT
"""Photos that follow their events: taken in parts, kept by their digest, given out and deleted."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import hashlib
import os
import stat
import urllib.error
import urllib.request

from tests.integration.gateway_lab import error_id, gw, shared
from tests.integration.test_box_events import event, push, read
from tests.integration.test_communities import Community, community, new
from tests.integration.test_community_sync import boxes
from tests.lab.util import wait_until

PART = 32768
BYTES_MAX = 300 * 1024


def jpeg(size=100_000):
    return b"\xff\xd8\xff\xe0" + os.urandom(size - 6) + b"\xff\xd9"


def digest(photo):
    return hashlib.sha256(photo).hexdigest()


def named(community, *photos):
    return event(community, data={"plate": "XYZ-987", "photos": [digest(p) for p in photos]})


def answer(box):
    return box.tunnel.next("photo.state")


def offer(box, of, photo, **changed):
    box.send("photo.offer", **{"sha256": digest(photo), "community": of.id, "bytes": len(photo), **changed})
    return answer(box)


def part(box, photo, offset, size=PART, name=None):
    data = base64.b64encode(photo[offset:offset + size]).decode()
    box.send("photo.part", sha256=name or digest(photo), offset=str(offset), data=data)
    return answer(box)


def send(box, community, photo):
    """The whole of it; the last answer."""
    state = offer(box, community, photo)
    while state["state"] == "wanted":
        state = part(box, photo, int(state["have"]))
    return state


def refusal(state):
    assert state["state"] == "refused" and state["error"]["message"], state
    return state["error"]["id"]


def fetch(gw, community, name, token=None):
    request = urllib.request.Request(f"{gw.url}{community.path}/photos/{name}",
                                     headers={"Authorization": f"Bearer {token or gw.token}"})
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, reply.headers["Content-Type"], reply.read()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.headers["Content-Type"], e.read()


def file_of(gw, community, photo):
    return os.path.join(gw.state, "photos", community.id, digest(photo) + ".jpg")


def states(gw, community):
    return [{p["sha256"]: p["state"] for p in e.get("photos", [])} for e in read(gw, community)["events"]]


def test_a_photo_follows_its_event_and_is_given_out(gw, community, boxes):
    box = boxes(community.id).connect()
    photo, small = jpeg(), jpeg(6)
    assert refusal(offer(box, community, photo)) == "photo.unknown"
    push(box, named(community, photo, small), event(community))
    assert states(gw, community) == [{digest(photo): "waiting", digest(small): "waiting"}, {}]
    assert fetch(gw, community, digest(photo))[0] == 404
    assert offer(box, community, photo)["have"] == "0"
    assert part(box, photo, 0)["have"] == str(PART)
    assert part(box, photo, 3 * PART)["have"] == str(PART)  # that is not what comes next
    assert part(box, photo, PART)["have"] == str(2 * PART)
    assert part(box, photo, 0)["have"] == str(2 * PART)  # a repeat
    assert part(box, photo, 2 * PART)["have"] == str(3 * PART)
    assert part(box, photo, 3 * PART) == {"type": "photo.state", "sha256": digest(photo), "state": "stored"}
    assert send(box, community, small)["state"] == "stored"
    assert states(gw, community)[0] == {digest(photo): "stored", digest(small): "stored"}
    assert fetch(gw, community, digest(photo)) == (200, "image/jpeg", photo)
    assert fetch(gw, community, digest(photo), token="sbx_nobody")[0] == 401
    assert offer(box, community, photo)["state"] == "stored"  # its answer was lost
    path = file_of(gw, community, photo)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    other = Community(gw, "Other")
    assert fetch(gw, other, digest(photo))[0] == 404
    for name in ("../../jwt-key.pem", "..%2F..%2Fjwt-key.pem", digest(photo).upper(), digest(photo)[:-1], "x"):
        assert fetch(gw, community, name)[0] == 404


def test_a_photo_goes_on_where_the_tunnel_was_lost(gw, community, boxes):
    box = boxes(community.id).connect()
    photo = jpeg(BYTES_MAX)
    push(box, named(community, photo))
    assert offer(box, community, photo)["have"] == "0"
    part(box, photo, 0)
    assert part(box, photo, PART)["have"] == str(2 * PART)
    box.device.close()
    box.connect()
    state = offer(box, community, photo)
    assert state["have"] == str(2 * PART)
    gw.stop()  # but not over the gateway's end
    gw.start()
    box.device.close()
    box.connect()
    assert offer(box, community, photo)["have"] == "0"
    assert send(box, community, photo)["state"] == "stored"
    assert fetch(gw, community, digest(photo))[2] == photo


def test_what_is_refused(gw, community, boxes):
    box, stranger = boxes(community.id).connect(), boxes(community.id).connect()
    photo, text = jpeg(), b"<svg onload=alert(1)>" + os.urandom(100)
    push(box, named(community, photo, text))
    assert refusal(offer(stranger, community, photo)) == "photo.unknown"  # another box's event
    assert refusal(offer(box, community, photo, community=new())) == "photo.unknown"
    assert refusal(offer(box, community, photo, community="x")) == "photo.malformed"
    assert refusal(offer(box, community, photo, bytes=0)) == "photo.too-large"
    assert refusal(offer(box, community, photo, bytes=BYTES_MAX + 1)) == "photo.too-large"
    assert refusal(part(box, photo, 0)) == "photo.unavailable"  # of no offer
    assert refusal(send(box, community, text)) == "photo.malformed"
    forged = bytearray(photo)
    forged[5000] ^= 1
    state = offer(box, community, photo)
    while state["state"] == "wanted":
        state = part(box, bytes(forged), int(state["have"]), name=digest(photo))
    assert refusal(state) == "photo.digest"
    offer(box, community, photo)
    assert refusal(part(box, photo, 0, size=PART + 1)) == "photo.malformed"
    assert offer(box, community, photo)["have"] == "0"
    box.send("photo.part", sha256=digest(photo), offset="0", data="!")
    assert refusal(answer(box)) == "photo.malformed"
    assert states(gw, community)[0] == {digest(photo): "waiting", digest(text): "waiting"}
    assert not os.path.exists(file_of(gw, community, photo))
    assert send(box, community, photo)["state"] == "stored"


def test_an_event_is_taken_whatever_it_says_of_photos(gw, community, boxes):
    box = boxes(community.id).connect()
    odd = ["x", 7, {}, [1, 2], ["a" * 64] * 5, [None, {"a": 1}, "A" * 64], None]
    events = [event(community, data={"photos": o}) for o in odd]
    assert push(box, *events) == ([e["clientId"] for e in events], {})
    assert states(gw, community) == [{}] * len(odd)


def test_photos_go_with_their_events(gw, community, boxes):
    box = boxes(community.id).connect()
    old, kept, orphan = jpeg(), jpeg(), jpeg()
    push(box, named(community, old), named(community, old, kept), named(community, orphan))
    for photo in (old, kept, orphan):
        assert send(box, community, photo)["state"] == "stored"
    number = read(gw, community)["events"][0]["seq"]
    gw.postgres.sql(f"UPDATE box_events SET received_at = now() - interval '31 days' WHERE seq = {number}")
    gw.postgres.sql("DELETE FROM box_events WHERE data->'photos' ? '" + digest(orphan) + "'")
    gw.stop()
    gw.start()  # it tidies up at its first sweep
    wait_until(lambda: not gw.postgres.sql(f"SELECT 1 FROM photo_files WHERE sha256 = '{digest(orphan)}'"),
               "the photo without an event is forgotten")
    assert not os.path.exists(file_of(gw, community, orphan)) and fetch(gw, community, digest(orphan))[0] == 404
    assert os.path.exists(file_of(gw, community, old))  # a younger event names it, too
    gw.postgres.sql(f"UPDATE box_events SET received_at = now() - interval '31 days' WHERE community = '{community.id}'"
                    f" AND data->'photos' ? '{digest(old)}'")
    gw.stop()
    gw.start()
    wait_until(lambda: [*states(gw, community)[1].values()] == ["expired", "expired"], "the photos are too old")
    assert not os.path.exists(file_of(gw, community, old)) and not os.path.exists(file_of(gw, community, kept))
    assert fetch(gw, community, digest(old))[0] == 410
    box.device.close()
    box.connect()
    assert refusal(offer(box, community, old)) == "photo.expired"


def test_a_photo_whose_file_is_lost_is_gone(gw, community, boxes):
    """As after a restore, when the copy of the files is older than that of the database."""
    box = boxes(community.id).connect()
    photo = jpeg()
    push(box, named(community, photo))
    assert send(box, community, photo)["state"] == "stored"
    os.unlink(file_of(gw, community, photo))
    status, _, body = fetch(gw, community, digest(photo))
    assert status == 410 and b"photo.gone" in body and gw.state.encode() not in body
    wait_until(lambda: states(gw, community) == [{digest(photo): "expired"}], "its events tell that it is gone")
    assert send(box, community, photo)["state"] == "stored"  # by a box that has it
    assert fetch(gw, community, digest(photo))[0] == 200


def test_a_folder_that_is_away_for_a_moment(gw, community, boxes):
    """As that of a disk which is not mounted: its photos are not gone."""
    box = boxes(community.id).connect()
    photo = jpeg()
    push(box, named(community, photo))
    assert send(box, community, photo)["state"] == "stored"
    folder = os.path.dirname(file_of(gw, community, photo))
    another = jpeg()
    push(box, named(community, another))
    os.rename(folder, folder + "-away")
    try:
        status, _, body = fetch(gw, community, digest(photo))
        # none is put where the mount would cover it
        assert refusal(send(box, community, another)) == "photo.unavailable"
        assert not os.path.exists(folder)
    finally:
        os.rename(folder + "-away", folder)
    assert status == 503 and b"photo.no-folder" in body and gw.state.encode() not in body
    assert fetch(gw, community, digest(photo))[0] == 200
    assert states(gw, community) == [{digest(photo): "stored"}, {digest(another): "waiting"}]
    assert send(box, community, another)["state"] == "stored"


def test_old_photos_behind_some_that_stay(gw, community):
    """Those that cannot be removed are left, and the others go on; what was deleted long ago is forgotten with its event."""
    folder = os.path.join(gw.state, "photos", community.id)
    stuck, last, long_gone = [f"{n:064x}" for n in range(40)], "e" * 64, "f" * 64
    for name in stuck:
        os.makedirs(os.path.join(folder, name + ".jpg"))  # no file, so that it cannot be unlinked
    gw.postgres.sql("INSERT INTO photo_files (community, sha256, bytes, gone_at) VALUES" + ",".join(
        f"('{community.id}', '{name}', 1, {'now()' if name == long_gone else 'NULL'})" for name in [*stuck, last, long_gone]))
    gw.stop()
    gw.start()  # it tidies up at its first sweep

    def names():
        return [s for s, in gw.postgres.sql(f"SELECT sha256 FROM photo_files WHERE community = '{community.id}' ORDER BY 1")]

    wait_until(lambda: names() == stuck, "the others are forgotten")
    for name in stuck:
        os.rmdir(os.path.join(folder, name + ".jpg"))
    gw.postgres.sql(f"DELETE FROM photo_files WHERE community = '{community.id}'")


def test_a_disk_that_takes_nothing(gw, community, boxes):
    box = boxes(community.id).connect()
    photo = jpeg()
    push(box, named(community, photo))
    folder = os.path.join(gw.state, "photos")
    os.makedirs(folder, exist_ok=True)
    blocker = os.path.join(folder, community.id)
    with open(blocker, "w", encoding="utf-8"):
        pass
    assert refusal(send(box, community, photo)) == "photo.unavailable"
    assert states(gw, community)[0] == {digest(photo): "waiting"}
    os.unlink(blocker)
    assert send(box, community, photo)["state"] == "stored"


def test_many_boxes_at_once(gw, community, boxes):
    all_boxes = [boxes(community.id).connect() for _ in range(12)]  # more than may be written at a time
    photos = [jpeg() for _ in all_boxes]
    for box, photo in zip(all_boxes, photos):
        push(box, named(community, photo))
        box.send("photo.offer", sha256=digest(photo), community=community.id, bytes=len(photo))
    for offset in range(0, len(photos[0]), PART):
        for box, photo in zip(all_boxes, photos):
            assert answer(box)["have"] == str(offset)
            box.send("photo.part", sha256=digest(photo), offset=offset,
                     data=base64.b64encode(photo[offset:offset + PART]).decode())
    assert [answer(box)["state"] for box in all_boxes] == ["stored"] * len(all_boxes)
    assert all(fetch(gw, community, digest(p))[2] == p for p in photos)
