# SPDX-License-Identifier: MIT
"""A shell beside four who look at a box's cameras, over a slow link; the peer is one `ssh -R` that carries both."""
import os
import ssl
import time

from tests.bench.viewers import Crowd, Viewer, has_cameras, stand_in
from tests.bench.ways import DEVICE, LINK, SHELL_EVERY_MS, SHELL_SECONDS, Place, SshR, Whole, pace, up
from tests.lab.isolate import is_isolated
from tests.lab.util import free_port, program, wait_until

CAMERAS = ["c0", "c1", "c2", "c3"]
FPS, HEIGHT = 10, 720
FRIGATE_PORT = 5000  # in the box's namespace, where nobody else is
GOAL_MS = 20


class WithCameras(Whole):
    """The programs themselves, with what a box has unless somebody sets it."""
    name = "ours"
    settings_of_cameras = {}

    def _start(self, place, folder):
        super()._start(place, folder)
        words = {**self.settings, "PATH": os.environ["PATH"],
                 "DEVICE_GATEWAY_URL": f"wss://{place.gateway}:{self.gateway.port}/device",
                 "SECBOX_STATE": os.path.join(folder, "secbox"), "SECBOX_RUN": os.path.join(folder, "secbox-run"),
                 "FRIGATE_URL": f"http://127.0.0.1:{FRIGATE_PORT}", **self.settings_of_cameras}
        for of_others in ("SSH_PORT", "MGMT_GATEWAY_URL"):
            del words[of_others]
        secbox = place.start_box("secbox", ["env", "-i", *(f"{k}={v}" for k, v in words.items()), program("secbox")])
        self.ends.append(secbox)
        wait_until(lambda: has_cameras(self.gateway, DEVICE), "its cameras are there", secbox.death)

    def viewers(self, place):
        context = ssl.create_default_context(cafile=place.cert)
        paths = [f"/v1/devices/{DEVICE}/cameras/{c}/stream.mjpeg?fps={FPS}&height={HEIGHT}" for c in CAMERAS]
        return [Viewer(place.gateway, self.gateway.port, path, self.gateway.token, context) for path in paths]


class WithWholeLine(WithCameras):
    """Cameras may have all of the line."""
    name = "ours, cameras unbounded"
    settings_of_cameras = {"CAMERA_UPLINK_KBIT": "20000"}


class SshWithCameras(SshR):
    def __init__(self, place):
        self.camera_port = free_port()
        super().__init__(place, [(self.camera_port, FRIGATE_PORT)])

    def viewers(self, _):
        return [Viewer("127.0.0.1", self.camera_port, f"/api/{c}?fps={FPS}&height={HEIGHT}") for c in CAMERAS]


def type_beside(place, way):
    with Crowd(way.viewers(place)) as crowd:
        before, began = crowd.pictures(), time.monotonic()
        p50, p99, _longest = pace("ping", way.port, SHELL_SECONDS, SHELL_EVERY_MS)
        seen = (crowd.pictures() - before) / len(CAMERAS) / (time.monotonic() - began)
        if crowd.trouble():
            raise RuntimeError(crowd.trouble())
    return {"p50": p50 / 1000, "p99": p99 / 1000, "rate": seen}


def run(suite, folder):
    if not is_isolated():
        suite.note("a shell beside viewers needs root, for network namespaces: not measured")
        return
    found = {kind: [] for kind in (WithCameras, WithWholeLine, SshWithCameras)}
    with Place(folder, True) as place:
        frigate = place.start_box("frigate", stand_in(FRIGATE_PORT, CAMERAS))
        try:
            wait_until(lambda: "without a login" in frigate.log(), "the stand-in for Frigate serves", frigate.death)
            for _ in range(suite.runs):
                for kind, results in found.items():
                    with up(kind, place) as way:
                        results.append(type_beside(place, way))
        finally:
            frigate.stop()
        link = " ".join(word for item in LINK.items() for word in item)
        suite.note(f"the slow link: veth with tc tbf {link} at both ends, TCP {place.control}; a shell: 64 B there and back every "
                   f"{SHELL_EVERY_MS} ms; each of {len(CAMERAS)} viewers has a camera of his own, {HEIGHT} high, asked for "
                   f"{FPS} a second")
    for kind, what in ((WithCameras, ""), (WithWholeLine, "; CAMERA_UPLINK_KBIT=20000")):
        for key, metric, unit in (("p50", f"a shell beside {len(CAMERAS)} viewers, 20 Mbit/s: median{what}", "ms"),
                                  ("p99", f"a shell beside {len(CAMERAS)} viewers, 20 Mbit/s: 99 %, goal {GOAL_MS}{what}", "ms"),
                                  ("rate", f"pictures a second for each of them meanwhile{what}", "1/s")):
            suite.row(metric, unit, SshR.name, [r[key] for r in found[kind]], [r[key] for r in found[SshWithCameras]])
