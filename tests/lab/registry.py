# SPDX-License-Identifier: MIT
"""Debian's docker-registry on a free loopback port, with a store of its own."""
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request

from .util import Daemon, free_port, port_answers, wait_until

ACCEPT = ", ".join(["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
                    "application/vnd.oci.image.index.v1+json"])


class Registry:
    def __init__(self, lab):
        self.lab = lab
        self.dir = tempfile.mkdtemp(prefix="secbox-registry-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.daemon = None
        lab.trust_registry(self.address)
        self.start()

    def start(self):
        config = os.path.join(self.dir, "config.json")  # JSON is YAML
        with open(config, "w", encoding="utf-8") as f:
            json.dump({"version": 0.1, "log": {"level": "info", "accesslog": {"disabled": False}},
                       "storage": {"filesystem": {"rootdirectory": os.path.join(self.dir, "store")},
                                   "delete": {"enabled": True}},
                       "http": {"addr": self.address}}, f)
        env = {"PATH": os.environ["PATH"], "HOME": self.dir, "OTEL_TRACES_EXPORTER": "none"}
        self.daemon = Daemon("docker-registry", ["docker-registry", "serve", config], os.path.join(self.dir, "log"), env)
        wait_until(lambda: port_answers(self.port), "the registry listens", self.daemon.death)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def push(self, local, name, tag="latest"):
        """Pushes an image of the lab's store as ADDRESS/NAME:TAG and returns its digest."""
        self.lab.podman("push", "-q", "--tls-verify=false", local, f"{self.address}/{name}:{tag}")
        return self.digest(name, tag)

    def move_tag(self, name, from_tag, to_tag):
        """Lets to_tag mean what from_tag means, as a publisher does with `latest`."""
        where = f"docker://{self.address}/{name}"
        subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false", f"{where}:{from_tag}",
                        f"{where}:{to_tag}"], check=True, env=self.lab.env, stdout=subprocess.DEVNULL)
        return self.digest(name, to_tag)

    def digest(self, name, tag="latest"):
        request = urllib.request.Request(f"http://{self.address}/v2/{name}/manifests/{tag}", method="HEAD",
                                         headers={"Accept": ACCEPT})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers["Docker-Content-Digest"]

    def log(self):
        return self.daemon.log() if self.daemon else ""

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
