# SPDX-License-Identifier: MIT
"""What boxes report of their gates: stored once, confirmed, and read page by page."""
# pylint: disable=redefined-outer-name,unused-import
import os
import threading
import time

from tests.integration.gateway_lab import enroll, gw, shared
from tests.integration.test_communities import Community, community, new
from tests.integration.test_community_sync import boxes
from tests.lab.util import wait_until


def uuid7():
    data = bytearray(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10))
    data[6] = data[6] & 0x0F | 0x70
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def event(community, kind="visit.entry", **changed):
    return {"clientId": uuid7(), "kind": kind, "at": "2026-11-29T18:04:11.250Z", "community": community.id,
            "data": {"plate": "XYZ-987"}, **changed}


def push(box, *events):
    box.send("events.push", events=list(events))
    ack = box.tunnel.next("events.ack")
    return ack["accepted"], {r["clientId"]: r["error"]["id"] for r in ack["rejected"]}


def read(gw, community, query=""):
    answer = gw.request("GET", f"{community.path}/events?{query}")
    assert answer.status == 200, answer
    return answer.json


def test_events_are_stored_once_however_often_they_come(gw, community, boxes):
    box = boxes(community.id).connect()
    events = [event(community, data={"n": n}) for n in range(5)]
    ids = [e["clientId"] for e in events]
    assert push(box, *events[:3]) == (ids[:3], {})
    assert push(box, *events[1:], events[4]) == (ids[1:] + [ids[4]], {})
    box.device.close()
    box.connect()
    assert push(box, *events) == (ids, {})
    stored = read(gw, community)
    assert [e["clientId"] for e in stored["events"]] == ids and stored["events"][0] == {
        "seq": stored["events"][0]["seq"], "clientId": ids[0], "device": box.device.id, "kind": "visit.entry",
        "at": "2026-11-29T18:04:11.250Z", "receivedAt": stored["events"][0]["receivedAt"], "data": {"n": 0}}


def test_pages_kinds_and_waiting(gw, community, boxes):
    box = boxes(community.id).connect()
    events = [event(community, "visit.entry" if n % 2 else "some.new-kind") for n in range(7)]
    push(box, *events)
    seen, after = [], "0"
    while True:
        page = read(gw, community, f"limit=3&after={after}")
        if not page["events"]:
            break
        seen += page["events"]
        after = page["next"]
    assert [e["clientId"] for e in seen] == [e["clientId"] for e in events] and page["next"] == after
    assert [e["kind"] for e in read(gw, community, "kind=visit.entry")["events"]] == ["visit.entry"] * 3
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(read(gw, community, f"after={after}&wait=30")))
    waiter.start()
    late = event(community)
    push(box, late)
    waiter.join()
    assert [e["clientId"] for e in answers[0]["events"]] == [late["clientId"]]
    assert gw.request("GET", f"/v1/communities/{new()}/events").status == 404


def test_readers_wait_for_their_own_community(gw, community, boxes):
    other = Community(gw, "Other")
    box, far = boxes(community.id).connect(), boxes(other.id).connect()
    answers = {}

    def ask(c):
        while not answers.get(c.id):
            answers[c.id] = read(gw, c, "wait=30&after=0")["events"]

    def reader(c):
        thread = threading.Thread(target=ask, args=[c])
        thread.start()
        return thread

    waiting = reader(other)
    tricky = event(community, data={"events": []})  # looks like a page without any
    push(box, tricky)
    reader(community).join()
    assert [e["clientId"] for e in answers[community.id]] == [tricky["clientId"]]
    late = event(other)
    push(far, late)
    waiting.join()
    assert [e["clientId"] for e in answers[other.id]] == [late["clientId"]]


def test_what_is_refused_names_its_reason_and_holds_up_nothing(gw, community, boxes):
    other = Community(gw, "Other")
    box, stranger = boxes(community.id).connect(), boxes(other.id).connect()
    box.until("sync.check")
    good = event(community)
    bad = {name: event(community, **changed) for name, changed in {
        "version": {"clientId": new()}, "kind": {"kind": "Visit Entry"}, "at": {"at": "yesterday"},
        "zone": {"at": "2026-11-29T18:04:11+23:59"}, "data": {"data": ["x"]}}.items()}
    foreign = event(other)
    accepted, rejected = push(box, *bad.values(), foreign, good, {"kind": "visit.entry"})
    assert accepted == [good["clientId"]]
    assert rejected == {**{e["clientId"]: "event.malformed" for e in bad.values()}, foreign["clientId"]: "event.community"}
    assert push(stranger, {**event(other), "clientId": good["clientId"]}) == ([], {good["clientId"]: "event.taken"})
    assert [e["device"] for e in read(gw, community)["events"]] == [box.device.id]
    # what waited in the queue when the label changed is still taken, for the community that it was of
    wait_until(lambda: gw.postgres.sql("SELECT 1 FROM box_positions WHERE applied_at IS NOT NULL"
                                       f" AND device = '{box.device.id}'"), "the gateway knows that the box has served it")
    box.label(other.id)
    late, fresh = event(community), event(other)
    assert push(box, late, fresh) == ([late["clientId"], fresh["clientId"]], {})


def test_events_that_the_database_did_not_take_come_again(gw, community, boxes):
    box = boxes(community.id).connect()
    box.until("sync.check")
    gw.postgres.pause()
    waiting = event(community)
    box.send("events.push", events=[waiting])
    wait_until(lambda: f"events of {box.device.id} are not confirmed" in gw.log(), "the gateway has noticed")
    gw.postgres.resume()
    while box.tunnel.next() is not None:  # the gateway closes the tunnel: a box then sends what is not confirmed
        pass
    assert box.tunnel.code == 1013
    wait_until(lambda: gw.request("GET", community.path).status == 200, "the gateway has its database again")
    box.connect()
    assert push(box, waiting) == ([waiting["clientId"]], {})
    assert [e["clientId"] for e in read(gw, community)["events"]] == [waiting["clientId"]]


def test_only_the_device_tunnel_reports(gw, community):
    box = enroll(gw, "gate-mgmt")
    gw.request("PATCH", f"/v1/devices/{box.id}", {"labels": {"community": community.id}})
    assert box.claim().status == 201
    tunnel = box.connect()
    tunnel.send({"type": "events.push", "events": [event(community)]})
    tunnel.send({"type": "sync.have", "schema": 1, "version": "0"})
    assert tunnel.silent() == [] and read(gw, community)["events"] == []
    box.close()


def with_an_unsent_event(gw, boxes):
    """A community whose webhook has not sent an event that came six years ago."""
    found = Community(gw)
    box = boxes(found.id).connect()
    push(box, event(found))
    box.device.close()
    assert gw.request("PATCH", f"/v1/devices/{box.device.id}", {"labels": {"community": None}}).status == 200
    assert gw.request("PUT", f"{found.path}/webhook", {"url": "https://receiver.example/x", "after": "0"}).status == 201
    gw.postgres.sql(f"UPDATE box_events SET received_at = now() - interval '2190 days' WHERE community = '{found.id}'")
    return found


def test_old_events_go(gw, community, boxes):
    """But for those that a webhook has not sent yet. The gateway looks after a start, and then every hour."""
    box = boxes(community.id).connect()
    events = [event(community, data={"n": n}) for n in range(6)]
    assert push(box, *events) == ([e["clientId"] for e in events], {})
    seqs = [int(e["seq"]) for e in read(gw, community)["events"]]
    hook = {"url": "https://receiver.example/x", "after": str(seqs[2])}
    assert gw.request("PUT", f"{community.path}/webhook", hook).status == 201
    unsent = [with_an_unsent_event(gw, boxes) for _ in range(2)]
    gw.postgres.sql(f"UPDATE webhooks SET stopped = true WHERE community = '{unsent[0].id}'")
    assert gw.request("DELETE", unsent[1].path).status == 200
    gw.postgres.sql(f"UPDATE box_events SET received_at = now() - interval '1824 days' WHERE seq IN ({seqs[1]}, {seqs[5]})")
    gw.postgres.sql("UPDATE box_events SET received_at = now() - interval '1826 days' WHERE seq IN"
                    f" ({seqs[0]}, {seqs[2]}, {seqs[3]}, {seqs[4]})")
    gw.stop()
    gw.start()

    def left():
        answer = gw.request("GET", f"{community.path}/events")  # 503 while it starts
        return [e["data"]["n"] for e in answer.json["events"]] if answer.status == 200 else None

    wait_until(lambda: left() == [1, 3, 4, 5], "two are gone, and two wait for their receiver")
    others = ", ".join(f"'{c.id}'" for c in unsent)
    wait_until(lambda: not gw.postgres.sql(f"SELECT 1 FROM box_events WHERE community IN ({others})"),
               "nothing waits for a webhook that has stopped, nor for a community that is gone")
    assert gw.request("DELETE", f"{community.path}/webhook").status == 200
    gw.stop()
    gw.start()
    wait_until(lambda: left() == [1, 5], "nobody waits for them any more")
