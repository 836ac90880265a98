# SPDX-License-Identifier: MIT
"""What boxes report is sent on: signed, in order, at least once, and to nobody who is not meant."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import os
import signal
import threading

import pytest

from tests.integration.gateway_lab import Lab, error_id
from tests.integration.test_box_events import event, push
from tests.integration.test_communities import Community, community, new
from tests.integration.test_community_sync import boxes
from tests.lab.authority import Authority
from tests.lab.fleet import Fleet
from tests.lab.postgres import available
from tests.lab.receiver import Receiver
from tests.lab.util import program, wait_until

TRIES = 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("receivers")))


@pytest.fixture(scope="module")
def shared(tmp_path_factory, authority):
    if not os.access(program("secbox-gateway"), os.X_OK) or not available():
        pytest.skip("the gateway is not built, or PostgreSQL not installed")
    options = ["--webhook-ca", authority.file, "--webhook-networks", "127.0.0.1", "--webhook-tries", str(TRIES)]
    with Lab(str(tmp_path_factory.mktemp("gateway")), options=options) as gateway:
        yield gateway


@pytest.fixture
def gw(shared):
    return shared


@pytest.fixture
def receiver(authority):
    with Receiver(authority.server_context()) as r:
        yield r


def hook(gw, community, url, **more):
    answer = gw.request("PUT", f"{community.path}/webhook", {"url": url, **more})
    assert answer.status == 201, answer
    return answer.json.get("secret")


def state(gw, community):
    answer = gw.request("GET", f"{community.path}/webhook")
    assert answer.status == 200, answer
    return answer.json["webhook"]


def dead(gw, community):
    return gw.request("GET", f"{community.path}/webhook/dead").json["dead"]


def at_rest(gw, community):
    return wait_until(lambda: state(gw, community)["waiting"] == 0 and state(gw, community), "nothing waits for the receiver")


def seconds_until_next(gw, community):
    return float(gw.postgres.sql("SELECT extract(epoch FROM next_at - last_error_at) FROM webhooks"
                                 f" WHERE community = '{community.id}'")[0][0])


def test_events_come_signed_in_order_and_a_repeat_has_the_same_id(gw, community, boxes, receiver):
    box = boxes(community.id).connect()
    push(box, event(community))  # before there was a webhook: not sent
    secret = hook(gw, community, receiver.url)
    events = [event(community, data={"n": n, "name": "Zoë"}) for n in range(5)]
    ids = [e["clientId"] for e in events]
    receiver.answer = lambda message, times: 500 if message.id == ids[1] and times == 1 else 204
    push(box, *events[:3])
    push(box, *events[3:])
    seen = receiver.wait_for(6)
    assert [m.id for m in seen] == [ids[0], ids[1], *ids[1:]]
    assert seen[1].body == seen[2].body and all(m.is_signed_by(secret) for m in seen)
    assert seen[0].path == "/events?from=gates" and seen[0].headers["Content-Type"] == "application/json"
    stored = gw.request("GET", f"{community.path}/events?after={int(seen[0].json['data']['seq']) - 1}").json["events"][0]
    assert seen[0].json == {"type": "visit.entry", "timestamp": events[0]["at"],
                            "data": {**stored, "community": community.id}}
    done = at_rest(gw, community)
    assert done["dead"] == 0 and "lastError" not in done and done["tries"] == 0 and done["deliveredAt"]
    assert secret not in str(done) and secret not in gw.log() and secret not in str(gw.audit("webhook.set"))


def assert_only_another_is_called_after_a_restart(gw, community, boxes, receiver):
    gw.stop()
    gw.start()
    other = Community(gw, "Other")
    hook(gw, other, receiver.url)
    push(boxes(other.id).connect(), event(other))  # the sweep at the start has seen both
    receiver.wait_for(2)
    assert [m.json["data"]["community"] for m in receiver.messages] == [community.id, other.id]


def test_the_receivers_wish_for_time_is_granted_and_survives_a_restart(gw, community, boxes, receiver):
    receiver.answer = lambda message, times: (503, {"Retry-After": "7200"})
    hook(gw, community, receiver.url)
    push(boxes(community.id).connect(), event(community))
    wait_until(lambda: state(gw, community)["tries"] == 1, "the failed try is noted")
    assert 7199 < seconds_until_next(gw, community) < 7300
    assert "503" in state(gw, community)["lastError"]
    assert_only_another_is_called_after_a_restart(gw, community, boxes, receiver)


def test_who_never_answers_holds_up_nobody_else(gw, community, boxes, receiver, authority):
    over = threading.Event()
    other = Community(gw, "Other")
    with Receiver(authority.server_context("stalls")) as stalls:
        stalls.answer = lambda message, times: over.wait(300) and 200
        hook(gw, community, stalls.url)
        hook(gw, other, receiver.url)
        push(boxes(community.id).connect(), *[event(community) for _ in range(3)])
        stalls.wait_for(1)
        events = [event(other) for _ in range(20)]
        push(boxes(other.id).connect(), *events)
        receiver.wait_for(20)
        assert receiver.ids() == [e["clientId"] for e in events]
        assert len(stalls.messages) == 1 and gw.request("GET", "/healthz").status == 200
        assert gw.request("DELETE", f"{community.path}/webhook").status == 200  # while one is under way
        over.set()
    assert gw.request("GET", f"{community.path}/webhook").status == 404


def test_what_is_not_taken_becomes_a_dead_letter_and_the_next_one_goes_on(gw, community, boxes, receiver):
    hook(gw, community, receiver.url)
    bad, good = event(community), event(community)
    receiver.answer = lambda message, times: 422 if message.id == bad["clientId"] else 200
    push(boxes(community.id).connect(), bad, good)
    receiver.wait_for(TRIES + 1)
    assert receiver.ids() == [bad["clientId"]] * TRIES + [good["clientId"]]
    at_rest(gw, community)
    letters = dead(gw, community)
    assert [(d["clientId"], d["tries"], d["again"]) for d in letters] == [(bad["clientId"], TRIES, False)]
    assert "422" in letters[0]["reason"]
    alarms = [e for e in gw.audit("webhook.dead") if e["detail"]["community"] == community.id]
    assert [(a["alarm"], a["detail"]["seq"]) for a in alarms] == [(True, letters[0]["seq"])]
    # one more try, which fails, and one that does not
    assert gw.request("POST", f"{community.path}/webhook/retry").json == {"events": 1}
    wait_until(lambda: [d["tries"] for d in dead(gw, community)] == [TRIES + 1], "it was tried again")
    receiver.answer = lambda message, times: 200
    assert gw.request("POST", f"{community.path}/webhook/retry?seq={letters[0]['seq']}").json == {"events": 1}
    wait_until(lambda: not dead(gw, community), "it is delivered")
    assert receiver.ids()[-1] == bad["clientId"]


@pytest.mark.parametrize("status", [200, 410])
def test_a_replay_counts_although_an_event_is_under_way(gw, community, boxes, receiver, status):
    """The webhook is set anew in the database before the gateway hears what became of the last event."""
    over = threading.Event()
    hook(gw, community, receiver.url)
    events = [event(community) for _ in range(2)]
    ids = [e["clientId"] for e in events]
    receiver.answer = lambda message, times: (over.wait(300) and status) if (message.id, times) == (ids[1], 1) else 200
    push(boxes(community.id).connect(), *events)
    receiver.wait_for(2)
    gw.postgres.sql(f"UPDATE webhooks SET behind = 0, set_at = now() WHERE community = '{community.id}'")
    over.set()
    receiver.wait_for(4)
    assert receiver.ids() == ids * 2
    at_rest(gw, community)
    assert not state(gw, community)["stopped"] and not dead(gw, community)
    assert not [e for e in gw.audit("webhook.dead") if e["detail"]["community"] == community.id]


def test_a_deleted_community_sends_nothing_and_its_webhook_can_be_removed(gw, community, boxes, receiver):
    hook(gw, community, receiver.url)
    box, late = boxes(community.id).connect(), event(community)
    box.until("snapshot.end")
    push(box, event(community))
    receiver.wait_for(1)
    at_rest(gw, community)
    wait_until(lambda: gw.postgres.sql(f"SELECT 1 FROM box_positions WHERE community = '{community.id}'"
                                       " AND applied_at IS NOT NULL"),
               "the gateway knows that the box has served it")
    box.label(None)
    assert gw.request("DELETE", community.path).status == 200
    assert push(box, late) == ([late["clientId"]], {})  # it was on its way
    assert_only_another_is_called_after_a_restart(gw, community, boxes, receiver)
    assert state(gw, community)["waiting"] == 1
    assert gw.request("DELETE", f"{community.path}/webhook").status == 200
    assert gw.request("GET", f"{community.path}/webhook").status == 404


def test_the_path_of_a_receiver_is_shown_to_admins_alone(gw, community, boxes, receiver):
    url = receiver.url.replace("/events", "/hooks/T0secret")
    receiver.close()
    host = f"127.0.0.1:{receiver.port}"
    hook(gw, community, url)
    assert state(gw, community)["url"] == url
    push(boxes(community.id).connect(), event(community))
    wait_until(lambda: dead(gw, community), "it is given up")
    assert f"the receiver at {host}: " in dead(gw, community)[0]["reason"]
    assert f"the receiver at {host}: " in gw.request("POST", f"{community.path}/webhook/test").text
    alarms = [e for e in gw.audit("webhook.dead") if e["detail"]["community"] == community.id]
    assert len(alarms) == 1 and "T0secret" not in str(alarms) + str(dead(gw, community)) + gw.log()
    admin, gw.token = gw.token, gw.run("tokens", "add", "--role", "viewer", "watcher").strip().split()[-1]
    try:
        seen = state(gw, community)
    finally:
        gw.token = admin
    assert seen["url"] == f"https://{host}" and host in seen["lastError"] and "T0secret" not in str(seen)


def test_a_receiver_that_is_gone_stops_it_until_somebody_says_so(gw, community, boxes, receiver):
    hook(gw, community, receiver.url)
    events = [event(community) for _ in range(3)]
    receiver.answer = lambda message, times: 410
    push(boxes(community.id).connect(), *events)
    wait_until(lambda: state(gw, community)["stopped"], "it has stopped")
    assert [d["clientId"] for d in dead(gw, community)] == [events[0]["clientId"]] and len(receiver.messages) == 1
    assert state(gw, community)["waiting"] == 2
    receiver.answer = lambda message, times: 200
    assert gw.request("POST", f"{community.path}/webhook/retry").json == {"events": 1}
    receiver.wait_for(4)
    assert receiver.ids() == [events[0]["clientId"], *[e["clientId"] for e in events]]
    at_rest(gw, community)
    assert not dead(gw, community) and not state(gw, community)["stopped"]


def test_nothing_is_lost_when_the_gateway_is_killed_while_it_delivers(gw, community, boxes, receiver):
    box = boxes(community.id).connect()
    secret = hook(gw, community, receiver.url)
    events = [event(community, data={"n": n}) for n in range(30)]
    ids = [e["clientId"] for e in events]
    killed = []

    def answer(message, _):
        if message.id in (ids[4], ids[17]) and message.id not in killed:
            killed.append(message.id)
            gw.daemon.process.send_signal(signal.SIGKILL)  # it has the message, and nobody has heard its answer
            gw.daemon.process.wait()
        return 200

    receiver.answer = answer
    push(box, *events)
    for n in range(2):
        wait_until(lambda n=n: len(killed) == n + 1, "the gateway is killed")
        gw.stop()
        gw.start()
    wait_until(lambda: receiver.ids() and receiver.ids()[-1] == ids[-1], "the last event has come")
    at_rest(gw, community)
    first = list(dict.fromkeys(receiver.ids()))
    assert first == ids and all(m.is_signed_by(secret) for m in receiver.messages)
    assert receiver.ids().count(ids[4]) == 2 and receiver.ids().count(ids[17]) == 2


@pytest.mark.parametrize("url", ["https://10.1.2.3/", "https://[::1]:8443/", "https://169.254.169.254/latest", "https://127.0.0.2/",
                                 "https://[::ffff:192.168.1.1]/", "https://[fd00::1]/", "http://127.0.0.2:1/"])
def test_private_networks_are_not_asked(gw, community, url):
    hook(gw, community, url)
    answer = gw.request("POST", f"{community.path}/webhook/test")
    assert (answer.status, error_id(answer)) == (502, "http.address-refused")


@pytest.mark.parametrize("body, error", [
    ({"url": "http://receiver.example/"}, "webhook.bad-url"),
    ({"url": "http://127.evil.example/"}, "webhook.bad-url"),
    ({"url": "https://me:secret@receiver.example/"}, "webhook.bad-url"),
    ({"url": "ftp://receiver.example/"}, "webhook.bad-url"),
    ({}, "webhook.bad-member"),
    ({"url": "https://receiver.example/", "secret": "whsec_c2hvcnQ="}, "webhook.bad-secret"),
    ({"url": "https://receiver.example/", "after": "soon"}, "webhook.bad-member")])
def test_what_is_no_webhook_is_refused(gw, community, body, error):
    answer = gw.request("PUT", f"{community.path}/webhook", body)
    assert (answer.status, error_id(answer)) == (400, error)
    assert gw.request("GET", f"{community.path}/webhook").status == 404
    assert gw.request("PUT", f"/v1/communities/{new()}/webhook", {"url": "https://receiver.example/"}).status == 404


def test_liars_are_not_believed(gw, community, receiver):
    def tested():
        return gw.request("POST", f"{community.path}/webhook/test")

    secret = hook(gw, community, receiver.url)
    assert tested().json["taken"] is True
    message = receiver.messages[0]
    assert message.json["type"] == "webhook-test" and message.json["data"] == {"community": community.id}
    assert message.is_signed_by(secret)
    receiver.answer = lambda message, times: (302, {"Location": receiver.url})
    assert (tested().json["taken"], len(receiver.messages)) == (False, 2)
    receiver.answer = lambda message, times: None
    assert error_id(tested()) == "http.failed"
    receiver.answer = lambda message, times: b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 200000
    assert error_id(tested()) == "http.too-large"


def test_a_certificate_of_a_stranger_is_refused(gw, community, tmp_path):
    stranger = Authority(str(tmp_path), "stranger")
    with Receiver(stranger.server_context()) as r:
        hook(gw, community, r.url)
        assert error_id(gw.request("POST", f"{community.path}/webhook/test")) == "http.tls"
        assert not r.messages


def test_the_command_line(gw, community, boxes, tmp_path, receiver):
    fleet = Fleet(gw.url, gw.token, str(tmp_path))
    box = boxes(community.id).connect()
    push(box, event(community))
    made = fleet.run("community", "webhook", "set", community.id, receiver.url, "--after", "0", check=0)
    assert made.stdout.startswith("whsec_") and receiver.wait_for(1)[0].is_signed_by(made.stdout.strip())
    own = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    path = tmp_path / "secret"
    path.write_text(own + "\n", encoding="utf-8")
    path.chmod(0o600)
    kept = fleet.run("community", "webhook", "set", community.id, receiver.url, "--secret-file", str(path), check=0)
    assert kept.stdout == "" and own not in kept.stderr
    receiver.answer = lambda message, times: 410
    push(box, event(community))
    wait_until(lambda: state(gw, community)["stopped"], "it has stopped")
    assert receiver.messages[-1].is_signed_by(own)
    shown = fleet.run("community", "webhook", "show", community.id, check=0).stdout
    assert receiver.url in shown and "410" in shown and own not in shown
    assert "410" in fleet.run("community", "webhook", "dead", community.id, check=0).stdout
    assert fleet.run("community", "webhook", "test", community.id, check=1).stdout.startswith("the receiver answers with 410")
    receiver.answer = lambda message, times: 200
    number = dead(gw, community)[0]["seq"]
    assert "1 dead letters" in fleet.run("community", "webhook", "retry", community.id, number, check=0).stdout
    at_rest(gw, community)
    assert fleet.run("community", "webhook", "test", community.id, "--limit", "3").returncode == 2
    assert fleet.run("community", "webhook", "set", community.id).returncode == 2
    assert fleet.run("community", "webhook", "forget", community.id).returncode == 2
    fleet.run("community", "webhook", "remove", community.id, "--yes", check=0)
    assert fleet.run("community", "webhook", "show", community.id).returncode == 1
