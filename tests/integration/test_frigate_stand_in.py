# SPDX-License-Identifier: MIT
"""The stand-in for Frigate does what it says: the tests of cameras rest on it."""
import asyncio
import json
import subprocess
import urllib.error
import urllib.request

import pytest
import websockets

from tests.lab.frigate_stand_in import FrigateStandIn, frame_number
from tests.lab.util import wait_until


@pytest.fixture(name="frigate", scope="module")
def fixture_frigate():
    with FrigateStandIn() as f:
        yield f


def ask(frigate, path, port=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port or frigate.port}{path}", headers=named)
    with urllib.request.urlopen(request) as answer:
        return answer.read(), answer.headers


def refused(frigate, path, port=None):
    with pytest.raises(urllib.error.HTTPError) as e:
        ask(frigate, path, port)
    with e.value:
        return e.value.code


def decoded(data):
    """Width and height, by a decoder of somebody else."""
    run = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", "-"], input=data,
                         stdout=subprocess.PIPE, check=True)
    return tuple(int(n) for n in run.stdout.decode().strip().split(",")[:2])


def test_last_frame(frigate):
    """Real pictures of the height that was asked for, each another one; `h` is passed over."""
    first, headers = ask(frigate, "/api/entrada/latest.jpg?height=180")
    second, _ = ask(frigate, "/api/entrada/latest.jpg?height=180")
    assert decoded(first) == (320, 180) and headers["Cache-Control"] == "no-store"
    assert frame_number(second) == frame_number(first) + 1
    assert decoded(ask(frigate, "/api/entrada/latest.jpg?h=180")[0])[1] == 360
    assert refused(frigate, "/api/sala/latest.jpg") == 404
    assert refused(frigate, "/api/entrada/latest.jpg?height=0") == 400


def test_offline_camera(frigate):
    frigate.offline.add("garagem")
    try:
        first, headers = ask(frigate, "/api/garagem/latest.jpg?height=90")
        again, _ = ask(frigate, "/api/garagem/latest.jpg?height=90")
    finally:
        frigate.offline.clear()
    assert headers["X-Frigate-Offline"] == "true" and frame_number(first) == frame_number(again)


def test_stream(frigate):
    """Parts without a length; who hangs up ends it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{frigate.port}/api/entrada?fps=10&height=90") as stream:
        assert stream.headers["Content-Type"] == "multipart/x-mixed-replace;boundary=frame"
        data = b""
        while data.count(b"--frame\r\n") < 4:
            data += stream.read1(65536)
        assert frigate.open_streams == ["entrada"]
    parts = data.split(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n")
    numbers = [frame_number(part[:-len(b"\r\n\r\n")]) for part in parts[1:-1]]
    assert parts[0] == b"" and numbers == list(range(numbers[0], numbers[0] + 3))
    assert refused(frigate, "/api/entrada?fps=0") == 500


def test_cache_and_login(frigate):
    frigate.add_event("entrada")
    known = json.loads(ask(frigate, "/api/events?limit=5")[0])
    event = frigate.add_event("garagem")
    assert json.loads(ask(frigate, "/api/events?limit=5")[0]) == known
    assert json.loads(ask(frigate, "/api/events?limit=5", X_Cache_Bypass="1")[0])[0]["id"] == event["id"]
    assert refused(frigate, "/api/config", frigate.login_port) == 401
    login = urllib.request.Request(f"http://127.0.0.1:{frigate.login_port}/api/login", method="POST",
                                   data=json.dumps(dict(zip(("user", "password"), frigate.user))).encode())
    with urllib.request.urlopen(login) as answer:
        cookie = answer.headers["Set-Cookie"].split(";")[0]
    config = json.loads(ask(frigate, "/api/config", frigate.login_port, Cookie=cookie)[0])
    assert sorted(config["cameras"]) == ["entrada", "garagem"]


def test_recording(frigate):
    """Another program plays it, with the query string at every request."""
    url = f"http://127.0.0.1:{frigate.port}/vod/entrada/start/100/end/110/master.m3u8?t=abc"
    run = subprocess.run(["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0",
                          "-allowed_extensions", "ALL", url], stdout=subprocess.PIPE, check=True)
    assert run.stdout.decode().split()[0].strip(",") == "100"
    asked = frigate.asked("/vod/entrada/")
    assert len(asked) >= 8 and all(path.endswith("?t=abc") for path in asked)
    assert refused(frigate, "/vod/entrada/start/110/end/100/master.m3u8") == 404


def test_ranges_and_clips(frigate):
    """What nginx serves has ranges, what ffmpeg pipes has none."""
    piece = "/vod/entrada/start/100/end/110/seg-0-v1.m4s"
    whole, headers = ask(frigate, piece)
    assert headers["Accept-Ranges"] == "bytes"
    part, headers = ask(frigate, piece, Range="bytes=10-19")
    assert part == whole[10:20] and headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    clip, headers = ask(frigate, "/api/entrada/start/100/end/110/clip.mp4", Range="bytes=0-9")
    assert headers["Transfer-Encoding"] == "chunked" and "Content-Range" not in headers and decoded(clip) == (640, 360)
    assert ask(frigate, "/api/entrada/start/100/end/110/preview.mp4", Range="bytes=-5")[0] == clip[-5:]
    assert refused(frigate, "/api/nowhere/start/100/end/110/clip.mp4") == 404


async def hear(frigate, act):
    """What a WebSocket of somebody else hears of act()."""
    async with websockets.connect(f"ws://127.0.0.1:{frigate.port}/ws") as listener:
        await asyncio.to_thread(wait_until, lambda: frigate.listeners, "the stand-in has a listener")
        said = act()
        heard = [json.loads(await listener.recv()) for _ in range(said)]
        await listener.send("an order")
        await asyncio.to_thread(wait_until, lambda: frigate.orders, "the order has come")
    return heard


def test_socket(frigate):
    car = frigate.add_event("entrada")
    message, = asyncio.run(hear(frigate, lambda: frigate.read_plate(car, "ABC123", 0.8)))
    update = json.loads(message["payload"])
    assert message["topic"] == "tracked_object_update" and update["type"] == "lpr"
    assert (update["id"], update["plate"], update["score"], update["camera"]) == (car["id"], "ABC123", 0.8, "entrada")
    assert frigate.orders == [b"an order"]
    frigate.orders.clear()
    wait_until(lambda: not frigate.listeners, "nobody listens")
    listed = json.loads(ask(frigate, "/api/events", X_Cache_Bypass="1")[0])
    assert next(e for e in listed if e["id"] == car["id"])["data"]["recognized_license_plate"] == "ABC123"
    assert refused(frigate, "/ws", frigate.login_port) == 401


def test_restart(frigate):
    port = frigate.port
    frigate.stop()
    with pytest.raises(urllib.error.URLError):
        ask(frigate, "/api/version")
    frigate.start()
    assert frigate.port == port and ask(frigate, "/api/version")[0].startswith(b"0.17")
