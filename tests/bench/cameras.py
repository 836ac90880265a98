# SPDX-License-Identifier: MIT
"""One camera for many: what viewers at a gateway get and cost, beside nginx, which passes the same MJPEG on to each by itself; and
a shell beside four viewers (camera_shell.py)."""
import os
import shutil
import time

from tests.bench import camera_shell
from tests.bench.memory import proportional
from tests.bench.viewers import Crowd, Viewer, cpu_seconds, has_cameras, stand_in
from tests.lab.gateway import Gateway
from tests.lab.util import Daemon, free_port, port_answers, program, wait_until

VIEWERS = [1, 10, 50]
OF_ONE_BOX, OF_ONE_PERSON = 25, 16  # a box takes 32
FPS, HEIGHT = 5, 360
CAMERA = "entrada"
SECONDS, QUICK_SECONDS = 5, 1
PEER = "nginx"


class Frigate:
    def __init__(self, folder):
        self.port = free_port()
        self.daemon = Daemon("frigate", stand_in(self.port, [CAMERA]), os.path.join(folder, "frigate.log"),
                             {"PATH": os.environ["PATH"]})
        wait_until(lambda: port_answers(self.port), "the stand-in for Frigate answers", self.daemon.death)


class SecBoxStack:
    """A gateway, and as many boxes with a secbox each as `most` viewers need."""

    def __init__(self, folder, frigate, most):
        self.gateway = Gateway(os.path.join(folder, "gateway"))
        self.boxes = []
        try:
            self.tokens = [self.gateway.run("tokens", "add", "--role", "operator", f"person-{i}").strip().split()[-1]
                           for i in range(-(-most // OF_ONE_PERSON))]
            for i in range(-(-most // OF_ONE_BOX)):
                self._start_box(folder, frigate, f"caseta{i}")
        except BaseException:
            self.close()
            raise
        self.pids = [self.gateway.daemon.pid, *(b.pid for b in self.boxes)]
        self.idle = proportional(self.pids)

    def _start_box(self, folder, frigate, name):
        env = self.gateway.enroll(name)
        env.update(PATH=os.environ["PATH"], DEVICE_GATEWAY_URL=f"ws://127.0.0.1:{self.gateway.port}/device",
                   SECBOX_STATE=os.path.join(folder, name), SECBOX_RUN=os.path.join(folder, name + "-run"),
                   FRIGATE_URL=f"http://127.0.0.1:{frigate.port}", CAMERA_UPLINK_KBIT="1000000")
        del env["MGMT_GATEWAY_URL"]
        daemon = Daemon(name, [program("secbox")], os.path.join(folder, name + ".log"), env)
        self.boxes.append(daemon)
        wait_until(lambda: has_cameras(self.gateway, name), "its cameras are there", daemon.death)

    def viewer(self, i):
        path = f"/v1/devices/caseta{i // OF_ONE_BOX}/cameras/{CAMERA}/stream.mjpeg?fps={FPS}&height={HEIGHT}"
        return Viewer("127.0.0.1", self.gateway.port, path, self.tokens[i // OF_ONE_PERSON])

    def close(self):
        for box in self.boxes:
            box.stop()
        self.gateway.close()


class Nginx:
    """As Frigate's documents have it: what comes is passed on at once. Each viewer has a stream of his own from Frigate."""

    def __init__(self, folder, frigate):
        self.port = free_port()
        folder = os.path.join(folder, "nginx")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"daemon off; master_process off; user root; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
                    f"http {{ access_log off; server {{ listen 127.0.0.1:{self.port}; location / {{ proxy_buffering off;"
                    f" proxy_http_version 1.1; proxy_pass http://127.0.0.1:{frigate.port}; }} }} }}\n")
        self.daemon = Daemon("nginx", ["nginx", "-p", folder, "-c", path], os.path.join(folder, "log"),
                             {"PATH": os.environ["PATH"]})
        wait_until(lambda: port_answers(self.port), "nginx answers", self.daemon.death)
        self.pids = [self.daemon.pid]
        self.idle = proportional(self.pids)

    def viewer(self, _):
        return Viewer("127.0.0.1", self.port, f"/api/{CAMERA}?fps={FPS}&height={HEIGHT}")

    def close(self):
        self.daemon.stop()


def look(way, count, seconds):
    """Pictures a second for each viewer, per cent of a core, and KiB for each viewer beyond what was there before anybody."""
    with Crowd([way.viewer(i) for i in range(count)]) as crowd:
        pictures, spent, began = crowd.pictures(), cpu_seconds(way.pids), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        pictures, spent = crowd.pictures() - pictures, cpu_seconds(way.pids) - spent
        held = proportional(way.pids) - way.idle
        if crowd.trouble():
            raise RuntimeError(crowd.trouble())
    return {"rate": pictures / count / took, "cpu": spent / took * 100, "memory": max(0, held) / count}


def run(suite, folder, quick=False):
    if not shutil.which("nginx") or not shutil.which("ffmpeg"):
        raise SystemExit("nginx or ffmpeg is not installed: installer/deps.sh test bench")
    counts, seconds = ([1], QUICK_SECONDS) if quick else (VIEWERS, SECONDS)
    frigate, ways = Frigate(folder), []
    found = {(count, side): [] for count in counts for side in (0, 1)}
    try:
        ways = [SecBoxStack(folder, frigate, max(counts))]
        ways.append(Nginx(folder, frigate))
        with Crowd([Viewer("127.0.0.1", frigate.port, f"/api/{CAMERA}?fps={FPS}&height={HEIGHT}")]):
            pass  # it has made its pictures
        for _ in range(suite.runs):
            for (count, side), results in found.items():
                results.append(look(ways[side], count, seconds))
    finally:
        for way in ways:
            way.close()
        frigate.daemon.stop()
    for count in counts:
        for key, metric, unit in (("rate", f"pictures a second for each of {count}, asked for {FPS}", "1/s"),
                                  ("cpu", f"CPU for {count}: gateway and secbox", "% of a core")):
            suite.row(metric, unit, PEER, *([r[key] for r in found[count, side]] for side in (0, 1)))
        # what was held once is kept for the next: the first time tells
        suite.row(f"memory for each of {count}, proportional, the first time", "KiB", PEER,
                  *([found[count, side][0]["memory"]] for side in (0, 1)))
    suite.note(f"viewers are one Python process; pictures {HEIGHT} high of a stand-in for Frigate, which shares this machine's "
               "cores. Of nginx each viewer has a stream from Frigate for himself; of ours all of a box's share one, which goes "
               f"through the tunnel once. Beyond {OF_ONE_BOX} viewers it is two boxes, since one takes 32")
    if not quick:
        camera_shell.run(suite, folder)
