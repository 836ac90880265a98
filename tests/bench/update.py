# SPDX-License-Identifier: MIT
"""What it costs to find out that no image has anything newer, beside skopeo; and how long a service is away that gets one."""
import json
import os
import socket
import subprocess
import threading
import time

from tests.bench import downtime
from tests.lab import isolate
from tests.lab.authority import Authority
from tests.lab.podman_lab import PodmanLab
from tests.lab.registry import PrivateEtc, Registry
from tests.lab.token_server import TokenServer
from tests.lab.util import box_of, program

IMAGES = 12


class Counter:
    """A relay that counts what passes, in both directions and TLS included."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.target = host, int(port)
        self.bytes = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(self.target)
            for a, b in ((here, there), (there, here)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    def _copy(self, a, b):
        try:
            while data := a.recv(65536):
                with self.lock:
                    self.bytes += len(data)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Checks:
    """The same images asked for by the job `check`, and by `skopeo inspect`, which gives a script their digests."""

    def __init__(self, lab, folder, registry, tokens=None):
        self.lab = lab
        self.registry = registry
        self.tokens = tokens
        self.root = box_of("root", os.path.join(folder, "root"))
        self.names = [f"team/app{i:02}" for i in range(IMAGES)]
        self.counter = None
        self.ids = {}
        for name in self.names:
            registry.push("localhost/server:1", name, "1")
            self.ids[name] = lab.podman("pull", "-q", *([] if registry.authority else ["--tls-verify=false"]),
                                        f"{registry.address}/{name}:1").stdout.strip()

    def _address(self):
        return self.counter.address if self.counter else self.registry.address

    def ours(self):
        request = {"images": [{"service": n, "image": f"{self._address()}/{n}:1", "imageId": self.ids[n]} for n in self.names]}
        began = time.monotonic()
        p = subprocess.run([program("mgmt-worker"), "--root", self.root, "check"], input=json.dumps(request), text=True,
                           env=self.lab.env, stdout=subprocess.PIPE, check=True)
        milliseconds = (time.monotonic() - began) * 1000
        states = {i["state"] for i in json.loads(p.stdout)["images"]}
        assert states == {"current"}, p.stdout
        return milliseconds

    def peer(self):
        verify = [] if self.registry.authority else ["--tls-verify=false"]
        began = time.monotonic()
        for name in self.names:
            subprocess.run(["skopeo", "inspect", *verify, "--format", "{{.Digest}}", f"docker://{self._address()}/{name}:1"],
                           env=self.lab.env, stdout=subprocess.DEVNULL, check=True)
        return (time.monotonic() - began) * 1000

    def _requests(self):
        return len(self.registry.asked()) + (len(self.tokens.requests) if self.tokens else 0)

    def requests(self, call):
        before = self._requests()
        call()
        return self._requests() - before

    def bytes(self, call, trust):
        self.counter = Counter(self.registry.address)
        trust(self.counter.address)
        try:
            call()
            return self.counter.bytes
        finally:
            self.counter.close()
            self.counter = None


def compare(suite, checks, what, trust):
    peer = "skopeo inspect of each"
    suite.pairs(f"nothing new, {IMAGES} images, {what}", "ms", peer, lambda _: checks.ours(), lambda _: checks.peer())
    suite.pairs(f"requests, {what}", "requests", peer, lambda _: checks.requests(checks.ours),
                lambda _: checks.requests(checks.peer))
    suite.pairs(f"bytes to and from the registry, {what}", "bytes", peer, lambda _: checks.bytes(checks.ours, trust),
                lambda _: checks.bytes(checks.peer, trust))


def nothing_new(suite, lab, folder):
    suite.note("ours is the whole job `check`: it starts podman's API, looks at the images here, and asks in a child without "
               "rights; skopeo tells the registry's digest and compares nothing")
    with Registry(lab) as registry:
        compare(suite, Checks(lab, os.path.join(folder, "plain"), registry), "plain HTTP", lab.trust_registry)
    if not isolate.is_isolated():
        suite.note("not measured with TLS and tokens: a private authority wants a mount namespace, and so root")
        return
    authority = Authority(os.path.join(folder, "authority"))
    with PrivateEtc() as etc, TokenServer(authority) as tokens, Registry(lab, authority, tokens=tokens) as registry:
        etc.trust(registry.address, authority)
        etc.trust(tokens.realm.split("/")[2], authority)
        compare(suite, Checks(lab, os.path.join(folder, "tokens"), registry, tokens), "TLS and tokens",
                lambda address: etc.trust(address, authority))


def run(suite, folder, quick=False):
    with PodmanLab() as lab:
        lab.image("localhost/server:1", "server", "1")
        if quick:
            with Registry(lab) as registry:
                checks = Checks(lab, folder, registry)
                suite.pairs(f"nothing new, {IMAGES} images, plain HTTP", "ms", "skopeo inspect of each", lambda _: checks.ours(),
                            lambda _: checks.peer())
            return
        nothing_new(suite, lab, folder)
        downtime.run(suite, lab, folder)
