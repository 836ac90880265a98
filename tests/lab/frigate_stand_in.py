# SPDX-License-Identifier: MIT
"""A stand-in for Frigate (0.16 to 0.18), written from what is known of its HTTP interface; none of Frigate is in it.

It imitates: port 5000, on which everybody is an administrator, and 8971 with a login (POST /api/login, cookie or bearer token); the
cache of its nginx, which keeps the JSON below /api/ for five seconds and is passed by with `X-Cache-Bypass: 1`; /api/version,
/api/config, /api/stats, /api/events, /api/review, snapshots, thumbnails and clips of events, the last frame of a camera with
`X-Frigate-Offline` (the camera's last picture is served with 200), MJPEG whose parts have no length, black pictures where there is
none, `fps=0` that ends in a 500, query parameters that it does not know and passes over (`h` is one: the height is `height`),
recordings as HLS with fragmented MP4, whose playlists carry on the query string that they were asked with, and whose pieces answer
206; clips, which are sent as ffmpeg makes them: in chunks, without ranges; previews, with ranges; the lists of previews of whole
hours and of pictures of this one, and both (add_preview(), add_frame()); the
list of faces, which can be added to and taken from; its WebSocket (frigate_socket.py).
Pictures and recordings are real: ffmpeg makes them once, of its test source, which shows a running counter of seconds. Each picture
says its number also in a comment segment (frame_number()), so that a test can tell two of them apart.
It cannot: see, detect, recognise faces or plates, record; MQTT, WebRTC and go2rtc; TLS on 8971 (which Frigate can switch
off). All cameras show the same pictures. A recording is the same few seconds whatever the window. How fast Frigate is, and how it
behaves under load, is not known here.
It can misbehave (behaviour): "hang" (takes requests and never answers), "slow" (two seconds for each answer), "truncate" (half a
body), "black" (no picture is available), "boundary" (parts are not split as announced), "stall" (a stream goes silent in the middle
of a picture; a clip in its own, and goes on afterwards), "error" (500 to all), "garbage" (what is said to be a JPEG or JSON is
none), "endless" (one picture without an end); "recordings-" before one of them keeps it to recordings; stop() and start() are a
restart, offline.add(CAMERA) a camera that is gone.

As a program: python3 -m tests.lab.frigate_stand_in [PORT [CAMERA…]]"""
import email
import http.server
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from tests.lab.frigate_socket import FrigateTopics

CACHE_SECONDS = 5
LOOP_SECONDS, LOOP_RATE = 4, 5
HEIGHTS_MAX = 2160
WIDTH, HEIGHT = 1280, 720
VERSION = "0.17.1-0000000"
COMMENT = b"frame "
PAIR = re.compile(r"([^/]+)/start/([0-9.]+)/end/([0-9.]+)/(.+)")


def ffmpeg(*arguments):
    return subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", *arguments], check=True, stdout=subprocess.PIPE).stdout


def split_pictures(data):
    """A run of JPEGs, one behind the other, as ffmpeg's image2pipe writes them. 0xFFD9 does not occur within one."""
    parts = data.split(b"\xff\xd9")
    return [part + b"\xff\xd9" for part in parts if part]


def make_pictures(height, source="testsrc2", seconds=LOOP_SECONDS):
    size = f"{max(2, height * WIDTH // HEIGHT // 2 * 2)}x{max(2, height // 2 * 2)}"
    return split_pictures(ffmpeg("-f", "lavfi", "-i", f"{source}=size={size}:rate={LOOP_RATE}", "-t", str(seconds), "-q:v", "7",
                                 "-f", "image2pipe", "-c:v", "mjpeg", "-"))


def with_number(picture, number):
    text = COMMENT + str(number).encode()
    return picture[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + picture[2:]


def frame_number(picture):
    """Which picture it is, and that it is whole."""
    assert picture[:2] == b"\xff\xd8" and picture[-2:] == b"\xff\xd9", (picture[:20], picture[-20:])
    size = int.from_bytes(picture[4:6], "big")
    assert picture[2:4] == b"\xff\xfe" and picture[6:6 + len(COMMENT)] == COMMENT, picture[:30]
    return int(picture[6 + len(COMMENT):4 + size])


class Pictures:
    """What ffmpeg has made, each only once for all stand-ins of a process."""
    lock = threading.Lock()
    loops, blacks = {}, {}

    @classmethod
    def loop(cls, height):
        with cls.lock:
            if height not in cls.loops:
                cls.loops[height] = make_pictures(height)
            return cls.loops[height]

    @classmethod
    def black(cls, height):
        with cls.lock:
            if height not in cls.blacks:
                cls.blacks[height] = make_pictures(height, "color=black", 1.0 / LOOP_RATE)[0]
            return cls.blacks[height]


class Recording:
    """Ten seconds as HLS with fragmented MP4."""
    lock = threading.Lock()
    folder = None

    @classmethod
    def file(cls, name):
        with cls.lock:
            if not cls.folder:
                cls.folder = tempfile.TemporaryDirectory(prefix="frigate-vod-")
                ffmpeg("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=10", "-t", "10", "-c:v", "libx264", "-preset", "ultrafast",
                       "-pix_fmt", "yuv420p", "-g", "20", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod",
                       "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init-v1.mp4", "-hls_segment_filename",
                       os.path.join(cls.folder.name, "seg-%d-v1.m4s"), os.path.join(cls.folder.name, "index-v1.m3u8"))
        path = os.path.join(cls.folder.name, os.path.basename(name))
        if not os.path.exists(path):
            return None
        with open(path, "rb") as f:
            return f.read()


    @classmethod
    def clip(cls):
        """All of it in one file."""
        pieces = sorted((n for n in re.findall(r"seg-(\d+)-v1", cls.file("index-v1.m3u8").decode())), key=int)
        return cls.file("init-v1.mp4") + b"".join(cls.file(f"seg-{n}-v1.m4s") for n in pieces)


class Thumbnail:
    """A picture of a preview strip."""
    lock = threading.Lock()
    webp = None

    @classmethod
    def get(cls):
        with cls.lock:
            if not cls.webp:
                cls.webp = ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=1", "-frames:v", "1", "-c:v", "libwebp",
                                  "-f", "webp", "-")
            return cls.webp


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    frigate = with_login = None

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    @property
    def behaviour(self):
        """What this request gets: "recordings-…" leaves all but recordings alone, by which Frigate itself is judged."""
        does = self.frigate.behaviour
        if does and does.startswith("recordings-"):
            return does[len("recordings-"):] if "/start/" in self.path or self.path.endswith("/clip.mp4") else None
        return does

    def send(self, body, content_type="application/json", status=200, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.behaviour == "truncate" and len(body) > 1:
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def refuse(self, status, message):
        self.send(json.dumps({"success": False, "message": message}).encode(), status=status)

    def arrive(self):
        """What comes before any answer. False: there will be none."""
        self.frigate.note(self)
        if self.behaviour in ("hang", "slow", "error"):
            self.frigate.misdeeds += 1
        if self.behaviour == "hang":
            self.frigate.released.wait()
            return False
        if self.behaviour == "slow":
            self.frigate.released.wait(2)
        if self.behaviour == "error":
            self.refuse(500, "something is wrong")
            return False
        return True

    def is_let_in(self):
        cookie = re.search(r"frigate_token=([^;]+)", self.headers.get("Cookie", ""))
        shown = cookie.group(1) if cookie else self.headers.get("Authorization", "")[len("Bearer "):]
        return not self.with_login or shown in self.frigate.tokens

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.arrive():
            return
        face = re.fullmatch(r"/api/faces/([^/]+)/(register|delete)", self.path)
        if self.path == "/api/login":
            self.login(body)
        elif not self.is_let_in():
            self.refuse(401, "Unauthorized")
        elif face and not self.frigate.recognises_faces:
            self.refuse(400, "Face recognition is not enabled.")
        elif face and face.group(2) == "register":
            self.register_face(face.group(1), body)
        elif face:
            gone = json.loads(body)["ids"]
            left = [f for f in self.frigate.faces[face.group(1)] if f not in gone]
            with self.frigate.lock:
                self.frigate.faces[face.group(1)] = left
                if not left:
                    del self.frigate.faces[face.group(1)]
            self.send(b'{"success": true, "message": "Successfully deleted faces."}')
        else:
            self.refuse(200, "done: whoever could ask this may do anything")

    def register_face(self, name, body):
        """A form with one file (RFC 7578). It sees a face in each JPEG in which nothing says that there is none."""
        message = email.message_from_bytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        part, = message.get_payload()
        assert part.get_param("name", header="Content-Disposition") == "file" and part.get_content_type() == "image/jpeg"
        picture = part.get_payload(decode=True)
        if picture[:2] != b"\xff\xd8" or b"nobody" in picture:
            self.refuse(400, "No face was detected.")
            return
        with self.frigate.lock:
            self.frigate.faces.setdefault(name, []).append(f"{name}_{time.time()}.webp")
            self.frigate.face_pictures[name] = picture
        self.send(b'{"success": true, "message": "Successfully registered face."}')

    def login(self, body):
        said = json.loads(body)
        if (said.get("user"), said.get("password")) != self.frigate.user:
            self.refuse(401, "Login failed")
            return
        token = secrets.token_hex(16)
        self.frigate.tokens.add(token)
        self.send(b"{}", headers=[("Set-Cookie", f"frigate_token={token}; HttpOnly; Path=/; Max-Age=86400")])

    def do_GET(self):  # pylint: disable=invalid-name
        if not self.arrive():
            return
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            if not self.is_let_in():
                raise Refused(401, "Unauthorized")
            if url.path == "/ws":
                self.frigate.listen(self)
            elif url.path.startswith("/vod/"):
                self.vod(url.path[len("/vod/"):], url.query)
            elif url.path.startswith("/clips/previews/"):
                if url.path not in [p["src"] for p in self.frigate.previews]:
                    raise Refused(404, "Not Found")
                self.send_ranged(Recording.clip(), [("Cache-Control", "public")])
            elif url.path.startswith("/api/preview/"):
                self.preview(url.path[len("/api/preview/"):])
            elif url.path.startswith("/api/"):
                self.api(url.path[len("/api/"):], query)
            else:
                raise Refused(404, "Not Found")
        except Refused as e:
            self.refuse(e.status, str(e))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def api(self, path, query):
        words = path.split("/")
        if path == "version":
            self.send(VERSION.encode(), "text/plain")
        elif path in ("config", "stats", "events", "review", "faces"):
            self.cached(path, query)
        elif words[0] == "events" and len(words) == 3 and words[2] == "clip.mp4":
            self.event(words[1])
            self.clip()
        elif words[0] == "events" and len(words) == 3 and words[2] in ("snapshot.jpg", "thumbnail.jpg"):
            self.event_picture(words[1], words[2])
        elif len(words) == 2 and words[1] in ("latest.jpg", "latest.jpeg"):
            self.latest(words[0], query)
        elif len(words) == 6 and words[1] == "start" and words[3] == "end" and words[5] in ("clip.mp4", "preview.mp4"):
            self.camera(words[0])
            if words[5] == "clip.mp4":
                self.clip()
            else:
                self.send_ranged(Recording.clip())
        elif len(words) == 1:
            self.mjpeg(words[0], query)
        else:
            raise Refused(404, "Not Found")

    def preview(self, path):
        match = re.fullmatch(r"([^/]+)/start/([0-9.]+)/end/([0-9.]+)(/frames)?", path)
        if match and match.group(4):
            first, last = (f"preview_{match.group(1)}-{float(match.group(n))}.webp" for n in (2, 3))
            of_camera = [f for f in self.frigate.preview_frames if f.startswith(f"preview_{match.group(1)}-")]
            found = sorted(f for f in of_camera if first <= f <= last)
            self.send(b"[{" if self.behaviour == "garbage" else json.dumps(found).encode())
        elif match:
            start, end = float(match.group(2)), float(match.group(3))
            found = [p for p in self.frigate.previews if p["camera"] == match.group(1) and p["start"] <= end and p["end"] >= start]
            if not found:
                raise Refused(404, "No previews found.")
            self.send(json.dumps(found).encode())
        elif path.endswith("/thumbnail.webp") and path[:-len("/thumbnail.webp")] in self.frigate.preview_frames:
            self.send(Thumbnail.get(), "image/webp")
        else:
            raise Refused(404, "Image file not found")

    def cached(self, path, query):
        key = (self.path, self.with_login)
        cache, now = self.frigate.cache, time.monotonic()
        bypass = self.headers.get("X-Cache-Bypass") == "1"
        if not bypass and key in cache and now - cache[key][0] < CACHE_SECONDS:
            body = cache[key][1]
        else:
            body = json.dumps(getattr(self.frigate, "get_" + path)(query)).encode()
            cache[key] = (now, body)
        self.send(b"[{" if self.frigate.behaviour == "garbage" else body)

    def camera(self, name):
        if name not in self.frigate.cameras:
            raise Refused(404, "Camera not found")

    def height(self, query):
        try:
            height = int(query.get("height", HEIGHT // 2))
        except ValueError:
            raise Refused(422, "height is no number") from None
        if not 1 <= height <= HEIGHTS_MAX:
            raise Refused(400, "Invalid height requested")
        return height

    def latest(self, name, query):
        self.camera(name)
        headers = [("Cache-Control", "no-store")]
        if self.frigate.behaviour == "black":
            raise Refused(500, "Unable to get valid frame")
        if name in self.frigate.offline:
            headers.append(("X-Frigate-Offline", "true"))
        picture = self.frigate.picture(name, self.height(query))
        self.send(b"no picture" if self.frigate.behaviour == "garbage" else picture, "image/jpeg", headers=headers)

    def mjpeg(self, name, query):
        self.camera(name)
        height, fps = self.height(query), int(query.get("fps", 3))
        if fps <= 0:
            raise Refused(500, "division by zero")
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=frame")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with self.frigate.watched(name):
            while not self.frigate.released.wait(1 / fps) and self.part(name, height):
                pass

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def send_ranged(self, body, headers=()):
        """As nginx sends a file: 206, 416."""
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        headers = [*headers, ("Accept-Ranges", "bytes")]
        if not match or match.groups() == ("", ""):
            self.send(body, "video/mp4", headers=headers)
            return
        first, last = (int(n) if n else None for n in match.groups())
        if first is None:
            first, last = max(0, len(body) - last), None
        last = len(body) - 1 if last is None else min(last, len(body) - 1)
        if first > last:
            self.send(b"", "text/html", 416, [("Content-Range", f"bytes */{len(body)}")])
        else:
            self.send(body[first:last + 1], "video/mp4", 206, [*headers, ("Content-Range", f"bytes {first}-{last}/{len(body)}")])

    def clip(self):
        """As a pipe of ffmpeg: nobody knows how long it will be."""
        body = Recording.clip()
        if self.behaviour == "truncate":
            body = body[:len(body) // 2]
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(body), 65536):
            while self.behaviour == "stall" and at > len(body) // 2 and not self.frigate.released.wait(0.05):
                pass
            self.chunk(body[at:at + 65536])
        if self.behaviour == "truncate":
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def part(self, name, height):
        """One picture of a stream; False: it is over."""
        does = self.frigate.behaviour
        self.frigate.misdeeds += does is not None
        picture = Pictures.black(height) if does == "black" or name in self.frigate.offline else self.frigate.picture(name, height)
        boundary = b"--other" if does == "boundary" else b"--frame"
        if does == "garbage":
            picture = b"<html>no picture</html>"
        head = boundary + b"\r\nContent-Type: image/jpeg\r\n\r\n"
        if does in ("truncate", "stall"):
            self.chunk(head + picture[:len(picture) // 2])
            while does == "stall" and self.frigate.behaviour == does and not self.frigate.released.wait(0.05):
                pass
            return False
        if does == "endless":
            self.chunk(head + picture[:-2])
            while not self.frigate.released.is_set() and self.frigate.behaviour == does:
                self.chunk(bytes(65536))
            return False
        self.chunk(head + picture + b"\r\n\r\n")
        return True

    def event(self, event):
        found = [e for e in self.frigate.events if e["id"] == event]
        if not found:
            raise Refused(404, "Event not found")
        return found[0]

    def event_picture(self, event, what):
        camera = self.event(event)["camera"]
        height = 175 if what == "thumbnail.jpg" else HEIGHT // 2
        self.send(self.frigate.picture(camera, height), "image/jpeg",
                  headers=[("X-Frame-Time", str(self.event(event)["start_time"])), ("Cache-Control", "private, max-age=31536000")])

    def vod(self, path, query):
        match = PAIR.fullmatch(path)
        if not match or match.group(1) not in self.frigate.cameras or float(match.group(2)) >= float(match.group(3)):
            raise Refused(404, "No recordings found")
        name = match.group(4)
        headers = [("Cache-Control", "no-store")]
        if name == "master.m3u8":
            child = "index-v1.m3u8" + ("?" + query if query else "")
            body = f'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=600000,RESOLUTION=640x360,CODECS="avc1.42c01e"\n{child}\n'.encode()
        else:
            body = Recording.file({"index.m3u8": "index-v1.m3u8"}.get(name, name))
        if body is None:
            raise Refused(404, "Not Found")
        if name.endswith(".m3u8"):
            self.send(with_query(body.decode(), query).encode() if name != "master.m3u8" else body,
                      "application/vnd.apple.mpegurl", headers=headers)
        else:
            self.send_ranged(body, headers)


def with_query(playlist, query):
    """nginx's secure_token: what the playlist was asked with is asked of its children, too."""
    if not query:
        return playlist
    lines = [re.sub(r'URI="([^"]+)"', lambda m: f'URI="{m.group(1)}?{query}"', line) if line.startswith("#")
             else f"{line}?{query}" if line else line for line in playlist.split("\n")]
    return "\n".join(lines)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address, handler):
        super().__init__(address, handler)
        self.sockets, self.lock = set(), threading.Lock()

    def handle_error(self, *_):
        pass  # who hangs up is what is being tested

    def get_request(self):
        connection, address = super().get_request()
        with self.lock:
            self.sockets.add(connection)
        return connection, address

    def shutdown_request(self, request):
        with self.lock:
            self.sockets.discard(request)
        super().shutdown_request(request)

    def cut(self):
        with self.lock:
            for connection in list(self.sockets):
                try:
                    connection.shutdown(2)
                except OSError:
                    pass


class Watched:
    def __init__(self, frigate, camera):
        self.frigate, self.camera = frigate, camera

    def __enter__(self):
        with self.frigate.lock:
            self.frigate.open_streams.append(self.camera)
            self.frigate.streams_begun += 1

    def __exit__(self, *_):
        with self.frigate.lock:
            self.frigate.open_streams.remove(self.camera)


class FrigateStandIn(FrigateTopics):
    """Serves from the moment that it is made: `port` without a login, `login_port` with one."""

    def __init__(self, cameras=("entrada", "garagem"), user=("secbox", "a-viewer-s-password"), host="127.0.0.1", port=0):
        self.cameras, self.user, self.host = list(cameras), user, host
        self.offline = set()
        self.events, self.reviews = [], []
        self.previews, self.preview_frames = [], []
        self.faces, self.face_pictures = {}, {}  # name → files; name → the picture that was registered last
        self.recognises_faces = True
        self.tokens, self.cache = set(), {}
        self.behaviour = None
        self.requests = []       # (method, path with query, headers)
        self.open_streams = []   # a camera's name for each
        self.streams_begun = 0
        self.misdeeds = 0        # how often it did what behave() said
        self.lock = threading.Lock()
        self.begin_topics()
        self.frames = 0
        self.started = time.time()
        self.port, self.login_port = port, 0
        self.servers, self.released = [], threading.Event()
        self.start()

    # what a test says and asks

    def start(self):
        self.released = threading.Event()
        for name, with_login in (("port", False), ("login_port", True)):
            handler = type("H", (Handler,), {"frigate": self, "with_login": with_login})
            server = Server((self.host, getattr(self, name)), handler)
            setattr(self, name, server.server_address[1])
            threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
            self.servers.append(server)

    def stop(self):
        """As when it is killed: connections end in the middle, logins are forgotten, the port refuses."""
        self.released.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()
            server.cut()
        self.servers = []
        self.tokens.clear()
        self.cache.clear()

    def cut_streams(self):
        """All connections end; new ones are taken."""
        for server in self.servers:
            server.cut()

    def behave(self, behaviour=None):
        """As from now on. What hangs goes on hanging until the next stop()."""
        self.behaviour = behaviour

    def add_event(self, camera, label="car", **more):
        now = time.time()
        event = {"id": f"{now:.6f}-{secrets.token_hex(3)}", "label": label, "sub_label": None, "camera": camera, "start_time": now,
                 "end_time": None, "zones": [], "thumbnail": "", "has_clip": True, "has_snapshot": True,
                 "retain_indefinitely": False, "data": {"score": 0.9, "top_score": 0.9, "type": "object"}, **more}
        self.events.append(event)
        self.reviews.append({"id": event["id"], "camera": camera, "start_time": now, "end_time": None, "severity": "alert",
                             "has_been_reviewed": False, "thumb_path": "",
                             "data": {"detections": [event["id"]], "objects": [label], "sub_labels": [], "zones": []}})
        return event

    def add_preview(self, camera, start, end):
        """Of an hour that is over, or less; times are floats, as in the names of its files."""
        src = f"/clips/previews/{camera}/{float(start)}-{float(end)}.mp4"
        self.previews.append({"camera": camera, "src": src, "type": "video/mp4", "start": float(start), "end": float(end)})

    def add_frame(self, camera, at):
        self.preview_frames.append(f"preview_{camera}-{float(at)}.webp")

    def forbidden(self):
        """Requests that nobody may make who only shows pictures."""
        with self.lock:
            return [(method, path) for method, path, _ in self.requests
                    if method != "GET" and path != "/api/login" and not path.startswith("/api/faces/secbox_")]

    def asked(self, prefix):
        with self.lock:
            return [path for _, path, _ in self.requests if path.startswith(prefix)]

    def close(self):
        self.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # for the handler

    def note(self, handler):
        with self.lock:
            self.requests.append((handler.command, handler.path, dict(handler.headers)))

    def watched(self, camera):
        return Watched(self, camera)

    def picture(self, camera, height):
        loop = Pictures.loop(height)
        with self.lock:
            if camera not in self.offline:
                self.frames += 1
            number = self.frames
        return with_number(loop[number % len(loop)], number)

    def get_config(self, _query):
        cameras = {name: {"name": name, "enabled": True, "detect": {"enabled": True, "width": WIDTH, "height": HEIGHT, "fps": 5},
                          "record": {"enabled": True}, "zones": {}, "ffmpeg": {"inputs": [{"path": "rtsp://*:*@camera/1"}]}}
                   for name in self.cameras}
        return {"version": "0.17-0", "cameras": cameras, "mqtt": {"enabled": False}, "go2rtc": {"streams": {}}}

    def get_faces(self, _query):
        with self.lock:
            return {name: list(files) for name, files in self.faces.items()}

    def get_stats(self, _query):
        cameras = {name: {"camera_fps": 0.0 if name in self.offline else 5.1, "process_fps": 5.0, "skipped_fps": 0.0,
                          "detection_fps": 0.0, "connection_quality": "excellent", "expected_fps": 5, "reconnects_last_hour": 0,
                          "stalls_last_hour": 0} for name in self.cameras}
        return {"cameras": cameras, "detectors": {"ov": {"inference_speed": 9.5}},
                "service": {"uptime": int(time.time() - self.started), "version": VERSION, "last_updated": int(time.time()),
                            "storage": {"/media/frigate/recordings": {"total": 100000.0, "used": 40000.0, "free": 60000.0}}}}

    def get_events(self, query):
        found = [e for e in self.events
                 if e["start_time"] > float(query.get("after", 0)) and e["start_time"] < float(query.get("before", 1e12))
                 and query.get("camera", query.get("cameras", "all")) in ("all", e["camera"])]
        return sorted(found, key=lambda e: -e["start_time"])[:int(query.get("limit", 100))]

    def get_review(self, query):
        found = [r for r in self.reviews if r["start_time"] < float(query.get("before", 1e12))
                 and (r["end_time"] is None or r["end_time"] > float(query.get("after", 0)))]
        return sorted(found, key=lambda r: -r["start_time"])[:int(query.get("limit", 100))]


def main(arguments):
    frigate = FrigateStandIn(cameras=arguments[1:] or ("entrada", "garagem"), port=int(arguments[0]) if arguments else 5000)
    print(f"http://{frigate.host}:{frigate.port} without a login, http://{frigate.host}:{frigate.login_port} with "
          f"{frigate.user[0]} and {frigate.user[1]}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
