# SPDX-License-Identifier: MIT
"""What viewers from outside reach of a box: /media/ on a port of its own, by a relay or not, and nothing of the guards' pages."""
# pylint: disable=redefined-outer-name,unused-import
import http.client
import http.server
import json
import re
import secrets
import socket
import ssl
import subprocess
import time

import pytest

from tests.conftest import require_programs
from tests.integration.data_box import DataBox, cloud, pg
from tests.integration.test_lan import READY, LanBox
from tests.lab.browser import Browser, available
from tests.lab.community import Community, CommunityServer
from tests.lab.frigate_stand_in import FrigateStandIn, Recording
from tests.lab.http_server import HttpServer, Served
from tests.lab.passes import PassKey
from tests.lab.rathole_server import RatholeServer
from tests.lab.relay import TOKEN, RelayBox
from tests.lab.self_signed import make_certificate
from tests.lab.util import PATIENCE_SECONDS, read_text, wait_until


@pytest.fixture
def box(cloud, pg):
    it = LanBox(cloud, pg)
    it.start()
    yield it
    it.stop()
    it.close()


def ask(box, port, path, method="GET"):
    context = ssl.create_default_context(cafile=box.authority)
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE_SECONDS)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_only_media_is_there_and_a_relay_leads_to_it(box):
    require_programs("relay-client")
    device = {"deviceId": box.env["DEVICE_ID"]}
    status, body = ask(box, box.media_port, "/media/ping")
    assert status == 200 and json.loads(body) == device
    assert ask(box, box.media_port, "/media/ping", "POST")[0] == 405
    for path in ("/", "/api/lan/status", "/api/lan/login", "/media", "/media/../api/lan/status", "/ca.crt"):
        assert ask(box, box.media_port, path)[0] == 404, path
    assert ask(box, box.port, "/media/ping")[0] == 200, "and the guards' port has it, too"
    assert ask(box, box.port, "/api/lan/status")[0] == 200
    with RatholeServer() as server:
        relay = RelayBox()
        relay.write(TUNNEL_PROVIDER="rathole", TUNNEL_SERVER=f"127.0.0.1:{server.port}", TUNNEL_TOKEN=TOKEN,
                    RELAY_TARGET=f"127.0.0.1:{box.media_port}")
        try:
            relay.start()
            relay.until("connected", "")
            wait_until(lambda: server.pooled() > 0, "the pool", relay.death)
            status, body = ask(box, server.visitor_port, "/media/ping")
            assert status == 200 and json.loads(body) == device
            assert ask(box, server.visitor_port, "/api/lan/status")[0] == 404
        finally:
            relay.close()


PORTAL = "https://portal.example"
START, END = 1700000000, 1700000600
VOD = f"/media/vod/entrada/{START}/{END}/"
CLIP = f"/media/clip/entrada/{START}/{END}/clip.mp4"
PREVIEW = f"/media/preview/entrada/{START}/{END}/preview.mp4"


class MediaBox(LanBox):
    """A box with a stand-in for Frigate, whose community has a key."""

    def __init__(self, cloud, pg, frigate):
        super().__init__(cloud, pg)
        self.key, self.frigate = PassKey(), frigate
        self.env.update(FRIGATE_URL=f"http://127.0.0.1:{frigate.port}", MEDIA_ORIGIN=PORTAL)
        community = Community(pg)
        community.put("communities", {"name": "Las Lomas", "passKey": self.key.jwk}, community.id)
        self.server = CommunityServer(cloud, community)
        self.start()
        self.wait_applied(community.version)
        first = self.token()
        wait_until(lambda: self.get(VOD + "master.m3u8", first)[0] == 200, "recordings", self.alive)

    def token(self, **changed):
        return self.key.sign_media(self.env["DEVICE_ID"], "entrada", START, END, **changed)

    def get(self, path, token=None, port=None, method="GET", **headers):
        """Status, headers and body."""
        context = ssl.create_default_context(cafile=self.authority)
        connection = http.client.HTTPSConnection("127.0.0.1", port or self.media_port, context=context,
                                                 timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path + (f"?t={token}" if token else ""), headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def refused(self, path, token=None, **headers):
        status, _, body = self.get(path, token, **headers)
        return status, json.loads(body)["error"]["id"]


@pytest.fixture
def frigate():
    with FrigateStandIn() as it:
        yield it


@pytest.fixture
def media(cloud, pg, frigate):
    it = MediaBox(cloud, pg, frigate)
    yield it
    it.stop()
    it.close()


def begin(media, path=VOD + "master.m3u8", port=None):
    """What a browser keeps of the answer to a token."""
    status, headers, body = media.get(path, media.token(), port)
    assert status == 200
    return headers["Set-Cookie"].split(";")[0], headers, body


def names(playlist):
    return [line for line in playlist.decode().splitlines() if not line.startswith("#")] + re.findall(r'URI="([^"]+)"',
                                                                                                      playlist.decode())


def test_a_recording_by_a_token_and_then_by_a_cookie(media, frigate):
    for port in (media.media_port, media.port):
        cookie, headers, master = begin(media, port=port)
        said = headers["Set-Cookie"]
        assert f"; Path={VOD};" in said and all(word in said for word in ("Secure", "HttpOnly", "SameSite=None", "Max-Age="))
        assert headers["Cache-Control"] == "no-store" and names(master) == ["index-v1.m3u8"]
        status, headers, index = media.get(VOD + "index-v1.m3u8", port=port, Cookie=f"a=b; {cookie}")
        assert status == 200 and headers["Content-Type"] == "application/vnd.apple.mpegurl" and "Set-Cookie" not in headers
        video = b""
        for name in sorted(names(index)):
            status, headers, piece = media.get(VOD + name, port=port, Cookie=cookie)
            assert status == 200 and piece == Recording.file(name) and int(headers["Content-Length"]) == len(piece)
            video += piece
        probe = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=width,height", "-of", "csv=p=0", "-"],
                               input=video, stdout=subprocess.PIPE, check=True)
        assert probe.stdout.decode().strip().startswith("640,360")
    assert not [path for _, path, headers in frigate.requests
                if re.search("[?&]t=", path) or "Cookie" in headers or "Referer" in headers]
    log = read_text(media.log)
    assert "ana sees the recording of the camera entrada" in log
    assert cookie.split("=")[1] not in log and "eyJ" not in log, "neither a cookie nor a token is logged"


def test_pieces_of_files(media):
    cookie, _, _ = begin(media)
    whole = Recording.file("seg-0-v1.m4s")
    end = len(whole) - 1
    for asked, said in (("bytes=0-99", (0, 99)), ("bytes=100-", (100, end)), ("bytes=-7", (end - 6, end))):
        status, headers, body = media.get(VOD + "seg-0-v1.m4s", Cookie=cookie, Range=asked)
        first, last = said
        assert (status, body) == (206, whole[first:last + 1])
        assert headers["Content-Range"] == f"bytes {first}-{last}/{len(whole)}" and headers["Accept-Ranges"] == "bytes"
    assert media.refused(VOD + "seg-0-v1.m4s", Cookie=cookie, Range=f"bytes={len(whole)}-") == (416, "media.range")
    for odd in ("bytes=0-1,4-5", "lines=1-2", "bytes=-"):
        assert media.get(VOD + "seg-0-v1.m4s", Cookie=cookie, Range=odd)[0] == 200, odd


def test_clips_and_previews(media, frigate):
    cookie, headers, body = begin(media, CLIP)
    assert body == Recording.clip() and headers["Transfer-Encoding"] == "chunked"
    cookie, headers, body = begin(media, PREVIEW)
    assert body == Recording.clip()
    assert media.get(PREVIEW, Cookie=cookie, Range="bytes=0-9")[2] == body[:10]
    frigate.behave("recordings-truncate")
    for path in (CLIP, PREVIEW):
        with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
            media.get(path, media.token())
    frigate.behave()
    assert media.get(CLIP, media.token())[0] == 200


def test_preview_strips(media, frigate):
    """What Frigate lists, as far as it is within the window, in our own words; and the files by the same token or cookie."""
    root = f"/media/preview/entrada/{START}/{END}/"
    assert media.refused(root + "strip.json", media.token()) == (404, "media.none")
    for start, end in ((START + 0.5, END + 0.25), (START - 10.5, START + 0.5), (END - 5, END + 90)):
        frigate.add_preview("entrada", start, end)
    frigate.previews.append({**frigate.previews[0], "src": "/clips/previews/../../config.mp4"})
    for at in (START - 1, START + 1.5, START + 2, END + 1):
        frigate.add_frame("entrada", at)
    frigate.add_frame("garagem", START + 3)
    cookie, headers, body = begin(media, root + "strip.json")
    assert headers["Content-Type"] == "application/json" and f"; Path={root};" in headers["Set-Cookie"]
    part = f"{START}.5-{END}.25.mp4"
    assert json.loads(body) == {"parts": [{"file": part, "from": START + 0.5, "until": END + 0.25}]}
    status, headers, body = media.get(root + part, Cookie=cookie, Range="bytes=0-9")
    assert (status, body) == (206, Recording.clip()[:10]) and headers["Content-Type"] == "video/mp4"
    assert headers["Cache-Control"] == "no-store"
    assert media.get(root + part, Cookie=cookie)[2] == Recording.clip()
    frames = json.loads(media.get(root + "frames.json", Cookie=cookie)[2])["frames"]
    assert frames == [{"file": f"{START + 1}.5.webp", "at": START + 1.5}, {"file": f"{START + 2}.0.webp", "at": START + 2}]
    status, headers, body = media.get(root + frames[0]["file"], Cookie=cookie)
    assert status == 200 and headers["Content-Type"] == "image/webp" and body[:4] == b"RIFF"
    assert media.refused(root + f"{START + 9}.0.webp", Cookie=cookie) == (404, "media.none")
    asked = len(frigate.asked("/api/preview/") + frigate.asked("/clips/"))
    for outside in (f"{START - 1}.0.webp", f"{END + 1}.0.webp", f"{START - 10}.5-{START}.5.mp4", f"{END - 5}.0-{END + 90}.0.mp4",
                    "../config.mp4", "x.webp", f"preview_entrada-{START + 2}.0.webp"):
        assert media.get(root + outside, Cookie=cookie)[0] == 404, outside
    assert media.refused(root.replace("entrada", "garagem") + f"{START + 3}.0.webp", Cookie=cookie) == (401, "media.no-token")
    assert len(frigate.asked("/api/preview/") + frigate.asked("/clips/")) == asked, "Frigate was asked for nothing of it"
    frigate.behave("recordings-garbage")
    assert media.refused(root + "frames.json", Cookie=cookie) == (502, "media.playlist")


def test_the_clip_of_an_event(media, frigate):
    """By a token for exactly that, and a cookie for exactly that."""
    event, other = (frigate.add_event("entrada")["id"] for _ in range(2))
    path = f"/media/event/{event}.mp4"

    def token(of, **changed):
        claims = {"v": 1, "aud": media.env["DEVICE_ID"], "cam": "entrada", "sub": "ana", "jti": secrets.token_hex(8), "event": of,
                  "nbf": int(time.time()), "exp": int(time.time()) + 300}
        return media.key.sign_claims("media+jwt", {**claims, **changed})

    status, headers, body = media.get(path, token(event))
    assert (status, body) == (200, Recording.clip()) and headers["Content-Type"] == "video/mp4"
    assert f"; Path={path};" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].split(";")[0]
    assert media.get(path, Cookie=cookie)[2] == Recording.clip()
    assert media.refused(f"/media/event/{other}.mp4", Cookie=cookie) == (401, "media.no-token")
    assert media.refused(VOD + "master.m3u8", Cookie=cookie) == (401, "media.no-token")
    for bad, of, id in ((token(other), path, "media.window"), (media.token(), path, "media.window"),
                        (token(event), VOD + "master.m3u8", "media.window"), (token("../config"), path, "media.token-malformed"),
                        (token(event, exp=int(time.time()) - 61), path, "media.token-time")):
        assert media.refused(of, bad) == (403, id)
    assert media.refused("/media/event/1700000000.1-none.mp4", token("1700000000.1-none")) == (404, "media.none")
    assert f"ana sees the event {event} of the camera entrada" in read_text(media.log)
    assert not [p for p in frigate.asked("/api/events/") if "config" in p]


def test_heads(media, frigate):
    """As the answers to GET, without their bodies; Frigate is left alone with the rest of what it would have sent."""
    cookie, _, master = begin(media)
    for path, asked in ((VOD + "master.m3u8", {}), (VOD + "seg-0-v1.m4s", {}), (VOD + "seg-0-v1.m4s", {"Range": "bytes=0-9"}),
                        (VOD + "seg-99-v1.m4s", {}), ("/media/ping", {}), (VOD + "seg-0-v1.m4s", {"Range": "bytes=99999999-"})):
        status, headers, body = media.get(path, method="HEAD", Cookie=cookie, **asked)
        as_get, headers_of_get, _ = media.get(path, Cookie=cookie, **asked)
        assert (status, body) == (as_get, b""), path
        for name in ("Content-Length", "Content-Type", "Content-Range", "Accept-Ranges", "Cache-Control"):
            assert headers[name] == headers_of_get[name], (path, name)
    frigate.behave("recordings-stall")
    status, headers, body = media.get(CLIP, media.token(), method="HEAD")
    assert (status, body) == (200, b"") and "Content-Length" not in headers and "Set-Cookie" in headers
    frigate.behave()
    assert media.get(VOD + "master.m3u8", method="HEAD")[0] == 401
    assert len(master) > 0


def test_who_sees_nothing(media, frigate):
    path, now = VOD + "master.m3u8", int(time.time())
    good = media.token()
    for token, id in ((None, "media.no-token"), (good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"), "jwt.signature"),
                      (media.token(exp=now - 61), "media.token-time"), (media.token(nbf=now + 3600), "media.token-time"),
                      (media.token(aud="another-box"), "media.token-device"), (media.token(cam="garagem"), "media.window"),
                      (media.token(until=END - 1), "media.window"), (media.token(**{"from": START + 1}), "media.window"),
                      (PassKey().sign_media(media.env["DEVICE_ID"], "entrada", START, END), "jwt.signature"),
                      (media.key.sign(str(media.env["DEVICE_ID"]), "x")[0], "jwt.type"), ("x", "jwt.malformed")):
        status, said = media.refused(path, token)
        assert (status, said) == (403 if token else 401, id)
    cookie, _, _ = begin(media)
    asked = len(frigate.requests)
    for other in (f"/media/vod/garagem/{START}/{END}/master.m3u8", f"/media/vod/entrada/{START - 1}/{END}/master.m3u8"):
        assert media.refused(other, Cookie=cookie) == (401, "media.no-token")
    for nonsense in (VOD + "../../config.mp4", VOD + "%2e%2e%2fconfig.mp4", VOD + "config.json", "/media/vod/entrada/1/2/", VOD,
                     f"/media/api/entrada/{START}/{END}/clip.mp4", f"/media/clip/entrada/{START}/{END}/master.m3u8"):
        assert media.get(nonsense, Cookie=cookie)[0] == 404, nonsense
    assert media.get(path, Cookie=cookie, method="POST")[0] == 405
    assert not [p for _, p, _ in frigate.requests[asked:] if p.startswith("/vod/")], "Frigate was asked for nothing of it"
    unknown = media.key.sign_media(media.env["DEVICE_ID"], "nowhere", START, END)
    assert media.refused(f"/media/vod/nowhere/{START}/{END}/master.m3u8", unknown) == (404, "camera.unknown")


def test_a_token_that_was_taken_back_while_nothing_was_served(media):
    """The port is tried again after half a minute; the gateway has said it by then, and does not say it again."""
    media.stop()
    before, taken_back, other = media.server.connection, secrets.token_hex(8), media.token()
    with socket.create_server(("127.0.0.1", media.port)):
        DataBox.start(media)
        wait_until(lambda: "guards have no pages" in read_text(media.log), "the log says so", media.alive)
        wait_until(lambda: media.server.connection is not before, "the tunnel", media.alive)
        media.server.send({"type": "media.revoke", "tokens": [taken_back]})
    begins = read_text(media.log).count(READY)
    wait_until(lambda: read_text(media.log).count(READY) > begins, "the guards' pages", media.alive)
    wait_until(lambda: media.get(VOD + "master.m3u8", other)[0] == 200, "recordings", media.alive)
    assert media.refused(VOD + "master.m3u8", media.token(jti=taken_back)) == (403, "media.token-revoked")


def test_pages_of_the_portal_alone(media):
    cookie, _, _ = begin(media)
    _, headers, _ = media.get(VOD + "seg-0-v1.m4s", Cookie=cookie, Origin=PORTAL)
    assert headers["Access-Control-Allow-Origin"] == PORTAL and headers["Access-Control-Allow-Credentials"] == "true"
    assert "Content-Range" in headers["Access-Control-Expose-Headers"] and headers["Vary"] == "Origin"
    _, headers, _ = media.get(VOD + "master.m3u8", Origin=PORTAL)
    assert headers["Access-Control-Allow-Origin"] == PORTAL, "a page sees why it gets nothing"
    for other in ("https://portal.example.evil.example", "http://portal.example", "null", "https://evil.example"):
        _, headers, _ = media.get(VOD + "seg-0-v1.m4s", Cookie=cookie, Origin=other)
        assert "Access-Control-Allow-Origin" not in headers
        assert media.get(VOD + "seg-0-v1.m4s", method="OPTIONS", Origin=other)[0] == 403
    status, headers, _ = media.get(VOD + "seg-0-v1.m4s", method="OPTIONS", Origin=PORTAL)
    assert status == 204 and headers["Access-Control-Allow-Headers"] == "Range"


def test_eight_people_at_a_time(media):
    cookies = [begin(media)[0] for _ in range(7)]  # the fixture was the first
    assert media.refused(VOD + "master.m3u8", media.token()) == (429, "media.busy")
    assert media.get(VOD + "master.m3u8", Cookie=cookies[0])[0] == 200


def test_frigate_is_away_and_comes_back(media, frigate):
    cookie, _, _ = begin(media)
    frigate.stop()
    wait_until(lambda: media.refused(VOD + "master.m3u8", Cookie=cookie) == (503, "camera.frigate"), "it is missed", media.alive)
    frigate.start()
    wait_until(lambda: media.get(VOD + "master.m3u8", Cookie=cookie)[0] == 200, "it is back", media.alive)
    assert media.get(VOD + "seg-99-v1.m4s", Cookie=cookie)[0] == 404
    frigate.behave("recordings-error")
    assert media.refused(VOD + "seg-0-v1.m4s", Cookie=cookie) == (502, "media.frigate")
    frigate.behave()


def test_a_viewer_who_takes_nothing_holds_up_nobody(media):
    context = ssl.create_default_context(cafile=media.authority)
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", media.media_port))
    with context.wrap_socket(small, server_hostname="127.0.0.1") as viewer:
        viewer.sendall(f"GET {CLIP}?t={media.token()} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert viewer.recv(12) == b"HTTP/1.1 200"
        assert media.get(VOD + "master.m3u8", media.token())[0] == 200, "others are served meanwhile"
    assert media.get(CLIP, media.token())[2] == Recording.clip()


def test_without_a_key_nobody_sees_anything(cloud, pg, frigate):
    it = LanBox(cloud, pg)
    it.env["FRIGATE_URL"] = f"http://127.0.0.1:{frigate.port}"
    it.start()
    try:
        token = PassKey().sign_media(it.env["DEVICE_ID"], "entrada", START, END)
        status, body = ask(it, it.media_port, f"{VOD}master.m3u8?t={token}")
        assert status == 503 and json.loads(body)["error"]["id"] == "media.no-key"
    finally:
        it.stop()
        it.close()


# as hls.js does, without most of it: a playlist, its pieces, Media Source Extensions; then a seek
PLAYER = """
const [base, token] = a;
const get = async (name, query = "") => {
    const answer = await fetch(base + name + query, { credentials: "include" });
    if (!answer.ok)
        throw new Error(`${name}: ${answer.status}`);
    return answer;
};
const names = text => text.split("\\n").filter(line => line && !line.startsWith("#"));
const master = await (await get("master.m3u8", "?t=" + token)).text();
const index = await (await get(names(master)[0])).text();
const video = document.createElement("video"), source = new MediaSource();
video.muted = true;
video.src = URL.createObjectURL(source);
document.body.append(video);
await new Promise(go => source.addEventListener("sourceopen", go, { once: true }));
const buffer = source.addSourceBuffer('video/mp4; codecs="avc1.42c01e"');
for (const name of [/URI="([^"]+)"/.exec(index)[1], ...names(index)]) {
    buffer.appendBuffer(await (await get(name)).arrayBuffer());
    await new Promise(go => buffer.addEventListener("updateend", go, { once: true }));
}
source.endOfStream();
const reach = async seconds => {
    while (video.currentTime < seconds)
        await new Promise(go => setTimeout(go, 50));
};
await video.play();
await reach(0.5);
video.currentTime = 8;
await new Promise(go => video.addEventListener("seeked", go, { once: true }));
await reach(8.5);
return [video.videoWidth, video.videoHeight, Math.round(video.duration)];
"""
STATUS = """
const [address] = a;
try { return (await fetch(address, { credentials: "include" })).status; } catch (e) { return String(e); }
"""


class Portal(Served):
    """A page of the cloud, empty. recording: what it answers to those who ask it for a file, as (status, headers, body)."""

    def __init__(self, folder, recording=None):
        class Page(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def do_GET(self):  # pylint: disable=invalid-name
                name = self.path.rpartition("/")[2].partition("?")[0]
                status, headers, body = 200, {"Content-Type": "text/html"}, b"<!doctype html><title>portal</title><body>"
                if recording and self.path.startswith("/recording/"):
                    status, headers, body = recording(name)
                self.send_response(status)
                self.send_header("Content-Type", headers["Content-Type"])
                self.end_headers()
                self.wfile.write(body)

        self.cert, key = make_certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        self.server = HttpServer(Page, context)
        self.origin = f"https://127.0.0.1:{self.server.server_port}"


@pytest.mark.skipif(not available(), reason="chromium and chromium-driver are not installed")
def test_a_browser_plays_it_and_seeks(media, folder):
    """On the guards' network, at the port for those outside, and by a relay; and with a bad token not at all."""
    require_programs("relay-client")
    with Portal(folder) as portal, RatholeServer() as server:
        media.stop()
        media.env["MEDIA_ORIGIN"] = portal.origin
        media.start()
        first = media.token()
        wait_until(lambda: media.get(VOD + "master.m3u8", first)[0] == 200, "recordings", media.alive)
        relay, browser = RelayBox(), Browser()
        relay.write(TUNNEL_PROVIDER="rathole", TUNNEL_SERVER=f"127.0.0.1:{server.port}", TUNNEL_TOKEN=TOKEN,
                    RELAY_TARGET=f"127.0.0.1:{media.media_port}")
        browser.trust(portal.cert)
        browser.trust(media.authority)
        try:
            relay.start()
            relay.until("connected", "")
            wait_until(lambda: server.pooled() > 0, "the pool", relay.death)
            with browser as page:
                page.call("POST", "/timeouts", {"script": PATIENCE_SECONDS * 1000})
                page.open(portal.origin)
                for port in (media.port, media.media_port, server.visitor_port):
                    assert page.run(PLAYER, f"https://127.0.0.1:{port}{VOD}", media.token()) == [640, 360, 10]
                page.call("DELETE", "/cookie")
                page.open(portal.origin)
                start = f"https://127.0.0.1:{media.media_port}/media/vod/entrada/{START}/{END - 1}/master.m3u8"
                assert page.run(STATUS, start) == 401
                assert page.run(STATUS, f"{start}?t={media.token()[:-4]}AAAA") == 403
                assert page.run(STATUS, f"{start}?t={media.token(exp=int(time.time()) - 100)}") == 403
                assert page.run(STATUS, f"{start}?t={media.token(aud='other')}") == 403
                assert page.run(STATUS, f"{start}?t={media.token()}") == 200
        finally:
            relay.close()
