# SPDX-License-Identifier: MIT
"""How long a service does not answer while it gets a new image, beside what people type for that."""
import http.client
import os
import threading
import time

from tests.lab.project import Project
from tests.lab.registry import Registry
from tests.lab.two_service_box import WEB, TwoServiceBox
from tests.lab.util import free_port, wait_until

SETTLE_SECONDS = 1
PEER = "podman-compose pull, podman stop + rm, podman-compose up -d"


class Probe:
    """Asks a service for its version, again and again, and remembers when it answered."""

    def __init__(self, port):
        self.port = port
        self.answers = []  # (time, version)
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=0.25)
        try:
            connection.request("GET", "/version")
            return connection.getresponse().read().decode().strip()
        finally:
            connection.close()

    def _run(self):
        while not self.stopping:
            try:
                self.answers.append((time.monotonic(), self._ask()))
            except OSError:
                pass
            except http.client.HTTPException:
                pass
            time.sleep(0.002)

    def gap(self, before, after):
        """Milliseconds between the last answer of one version and the first of the other."""
        wait_until(lambda: self.answers and self.answers[-1][1] == after, "the new version answers")
        self.stopping = True
        self.thread.join()
        last = max(t for t, version in self.answers if version == before)
        first = min(t for t, version in self.answers if version == after and t > last)
        return (first - last) * 1000


def measure(port, before, after, replace):
    """(gap in ms, seconds of the whole command)."""
    probe = Probe(port)
    wait_until(lambda: probe.answers and probe.answers[-1][1] == before, "the old version answers")
    began = time.monotonic()
    replace()
    seconds = time.monotonic() - began
    return probe.gap(before, after), seconds


def run(suite, lab, folder):
    port, peer_port = free_port(), free_port()
    suite.note(f"downtime: from the last answer of the old container to the first of the new one, over HTTP; ours is secboxctl "
               f"update, with its check, proof (--settle {SETTLE_SECONDS}) and way back; podman-compose 1.0.3's own up -d would "
               "leave the old container running, so the peer has to stop and remove it first, and proves nothing")
    with Registry(lab) as registry:
        shop = TwoServiceBox(lab, registry, os.path.join(folder, "box"), args=[f"--settle={SETTLE_SECONDS}"],
                    kinds=[("server", "1"), ("server", "2")])
        project = Project(lab, os.path.join(folder, "peer"))
        image = f"{registry.address}/{WEB}:peer"
        with shop.box:
            shop.box.start_agent()
            shop.restock(web=f"    ports: ['127.0.0.1:{port}:80']\n")
            registry.move_tag(WEB, "server-1", "peer")
            project.file(f"services:\n  web:\n    image: {image}\n    ports: ['127.0.0.1:{peer_port}:80']\n")
            project.up()
            figures = {"ours": [], "peer": []}
            for turn in range(suite.runs):
                before, after = ("1", "2") if turn % 2 == 0 else ("2", "1")

                def ours(to=after):
                    registry.move_tag(WEB, f"server-{to}", "latest")
                    results, _ = shop.take("web")
                    assert results["web"]["outcome"] == "done", results

                def peer(to=after):
                    registry.move_tag(WEB, f"server-{to}", "peer")
                    project.run("pull")
                    lab.podman("stop", "peer_web_1")
                    lab.podman("rm", "peer_web_1")
                    project.up("web")

                figures["ours"].append(measure(port, before, after, ours))
                figures["peer"].append(measure(peer_port, before, after, peer))
            suite.row("downtime of a service that gets a new image", "ms", PEER, [g for g, _ in figures["ours"]],
                      [g for g, _ in figures["peer"]])
            suite.row("the whole command", "s", PEER, [s for _, s in figures["ours"]], [s for _, s in figures["peer"]])
    lab.remove_all()
