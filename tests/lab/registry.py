# SPDX-License-Identifier: MIT
"""Debian's docker-registry on a free loopback port, with a store of its own."""
import base64
import ctypes
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import urllib.request

from . import isolate
from .util import Daemon, LabError, free_port, port_answers, wait_until

ACCEPT = ", ".join(["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
                    "application/vnd.oci.image.index.v1+json",
                    "application/vnd.docker.distribution.manifest.list.v2+json"])


def basic(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def bcrypt(password):
    """One line of a htpasswd file has to be bcrypt for docker-registry; the C library can do that."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    return crypt(password.encode(), b"$2b$04$" + b"abcdefghijklmnopqrstuu").decode()


class PrivateEtc:
    """/etc/containers of our own, in this mount namespace: where podman looks for private authorities."""

    def __init__(self):
        if not isolate.is_isolated():
            raise LabError("only in a mount namespace of our own: python3 -m tests.lab.isolate")
        self.dir = tempfile.mkdtemp(prefix="secbox-etc-")
        shutil.copytree("/etc/containers", self.dir, symlinks=True, dirs_exist_ok=True)
        os.chmod(self.dir, 0o755)
        subprocess.run(["mount", "--bind", self.dir, "/etc/containers"], check=True)

    def trust(self, address, authority):
        folder = os.path.join(self.dir, "certs.d", address)
        os.makedirs(folder, exist_ok=True)
        shutil.copy(authority.file, os.path.join(folder, "ca.crt"))

    def distrust(self, address):
        shutil.rmtree(os.path.join(self.dir, "certs.d", address))

    def close(self):
        subprocess.run(["umount", "/etc/containers"], check=True)
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Registry:
    def __init__(self, lab, authority=None, users=None, tokens=None):
        """authority: serves TLS with its certificate (else plain HTTP, which the lab's podman is told about).
        users: {name: password} that Basic authentication wants. tokens: a TokenServer that clients are sent to."""
        self.lab = lab
        self.dir = tempfile.mkdtemp(prefix="secbox-registry-")
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.daemon = None
        self.authority = authority
        self.users = users or {}
        self.tokens = tokens
        if not authority:
            lab.trust_registry(self.address)
        self.start()

    def _settings(self):
        settings = {"http": {"addr": self.address}}
        if self.authority:
            certificate, key = self.authority.issue(f"registry-{self.port}")
            settings["http"]["tls"] = {"certificate": certificate, "key": key}
        if self.users:
            path = os.path.join(self.dir, "htpasswd")
            with open(path, "w", encoding="utf-8") as f:
                f.writelines(f"{user}:{bcrypt(password)}\n" for user, password in self.users.items())
            settings["auth"] = {"htpasswd": {"realm": "lab", "path": path}}
        if self.tokens:
            settings["auth"] = self.tokens.registry_auth()
        return settings

    def start(self):
        config = os.path.join(self.dir, "config.json")  # JSON is YAML
        with open(config, "w", encoding="utf-8") as f:
            json.dump({"version": 0.1, "log": {"level": "info", "accesslog": {"disabled": False}},
                       "storage": {"filesystem": {"rootdirectory": os.path.join(self.dir, "store")},
                                   "delete": {"enabled": True}}, **self._settings()}, f)
        env = {"PATH": os.environ["PATH"], "HOME": self.dir, "OTEL_TRACES_EXPORTER": "none"}
        self.daemon = Daemon("docker-registry", ["docker-registry", "serve", config], os.path.join(self.dir, "log"), env)
        wait_until(lambda: port_answers(self.port), "the registry listens", self.daemon.death)

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def push(self, local, name, tag="latest"):
        """Pushes an image of the lab's store as ADDRESS/NAME:TAG and returns its digest."""
        self.lab.podman("push", "-q", "--tls-verify=false", *self._credentials(), local, f"{self.address}/{name}:{tag}")
        return self.digest(name, tag)

    def push_index(self, images, name, tag="latest"):
        """Pushes an index of {platform: image of the lab's store} ("linux/amd64", "linux/arm64/v8") and returns its digest."""
        index = f"localhost/index-{self.port}"
        self.lab.podman("manifest", "rm", index, check=False)
        self.lab.podman("manifest", "create", index)
        for platform, image in images.items():
            system, architecture, *variant = platform.split("/")
            self.lab.podman("manifest", "add", "--os", system, "--arch", architecture,
                            *(["--variant", *variant] if variant else []), index, f"containers-storage:{image}")
        self.lab.podman("manifest", "push", "-q", "--all", "--tls-verify=false", *self._credentials(), index,
                        f"docker://{self.address}/{name}:{tag}")
        self.lab.podman("manifest", "rm", index)
        return self.digest(name, tag)

    def _credentials(self):
        users = self.tokens.users if self.tokens else self.users
        return ["--creds", ":".join(next(iter(users.items())))] if users else []

    def move_tag(self, name, from_tag, to_tag):
        """Lets to_tag mean what from_tag means, as a publisher does with `latest`."""
        where = f"docker://{self.address}/{name}"
        subprocess.run(["skopeo", "copy", "-q", "--all", "--src-tls-verify=false", "--dest-tls-verify=false", f"{where}:{from_tag}",
                        f"{where}:{to_tag}"], check=True, env=self.lab.env, stdout=subprocess.DEVNULL)
        return self.digest(name, to_tag)

    def get(self, path, method="GET", **headers):
        """The answer to a request with everything that it takes, as urllib gives it; open."""
        if self.users:
            headers["Authorization"] = f"Basic {basic(*next(iter(self.users.items())))}"
        if self.tokens:
            scope = "repository:{}:pull".format(path.split("/manifests/", maxsplit=1)[0])
            headers["Authorization"] = f"Bearer {self.tokens.token([scope])}"
        context = ssl.create_default_context(cafile=self.authority.file) if self.authority else None
        request = urllib.request.Request(f"http{'s' if self.authority else ''}://{self.address}/v2/{path}", method=method,
                                         headers={"Accept": ACCEPT, **headers})
        return urllib.request.urlopen(request, timeout=60, context=context)

    def digest(self, name, tag="latest"):
        with self.get(f"{name}/manifests/{tag}", "HEAD") as answer:
            return answer.headers["Docker-Content-Digest"]

    def manifest(self, name, tag="latest"):
        with self.get(f"{name}/manifests/{tag}") as answer:
            return json.load(answer)

    def asked(self, *words):
        """The lines of its access log that hold all these words."""
        return [line for line in self.log().splitlines() if '"HTTP/1.1"' in line or " HTTP/1.1\" " in line
                if all(word in line for word in words)]

    def log(self):
        return self.daemon.log() if self.daemon else ""

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
