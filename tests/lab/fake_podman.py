# SPDX-License-Identifier: MIT
"""A podman for very many boxes, in one process: what mgmt-worker asks of podman's REST API and of podman-compose, answered from
a notebook. Images are names and digests (whatever is asked for can be pulled), containers are what `up` was told, and they run
as long as nobody stops them. An image can be made bad for a box: its container then ends at once with status 1, as a broken
program would. Nothing is started, so a box costs nothing but its real mgmt-agent, mgmt-link and mgmt-worker."""
import asyncio
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.parse

import yaml

from .util import LabError

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake-podman.c")
API = "/v4.0.0/libpod"
PATIENCE_SECONDS = 60


def image_id(reference):
    """Of a name, or of a digest, whatever the repository."""
    return hashlib.sha256((reference.split("@", 1)[1] if "@" in reference else reference).encode()).hexdigest()


class BoxPodman:
    """One box's images and containers."""

    def __init__(self, root):
        self.root = root
        self.images = {}      # reference → id
        self.containers = {}  # id → inspection
        self.made = []        # image ids of the containers that were made, in order
        self.bad = set()      # ids of images whose program does not run
        self.hollow = set()   # ids of images that a power cut has emptied: they do not run either, until they are removed
        self.before_answer = None  # called with what is asked of the REST API
        self.unstoppable = set()  # names of containers that podman does not stop
        self.image_store = None   # where images say that they are, if they do
        self.refusals = []    # sentences, each of which refuses one start, the first one first
        self.starts = 0
        self.asked = []       # (method, path) of the REST API, in order
        self.store = os.path.join(root, "store")
        os.makedirs(self.store, exist_ok=True)

    def find(self, name):
        return self.containers.get(name) or next((c for c in self.containers.values() if c["Name"] == name), None)

    def find_image(self, reference):
        if reference in self.images:
            return self.images[reference]
        return reference if reference in self.images.values() else None

    def up(self, path):
        """What podman-compose makes of a file with one service."""
        with open(path, encoding="utf-8") as f:
            project = yaml.load(f, Loader=yaml.CSafeLoader)
        service = next(iter(project["services"].values()))
        networks = [definition["name"] for definition in project.get("networks", {}).values()]
        image = service["image"].removeprefix("sha256:")
        environment = []
        for env_file in [service["env_file"]] if isinstance(service.get("env_file"), str) else service.get("env_file", []):
            with open(env_file, encoding="utf-8") as f:
                environment += [line.rstrip("\n") for line in f if "=" in line]
        labels = service.get("labels", {})
        if isinstance(labels, list):
            labels = dict(label.split("=", 1) for label in labels)
        project_name = service["container_name"].removesuffix(f"_{labels.get('io.tucomunidad.service')}_1")
        labels = {"io.podman.compose.project": project_name, "com.docker.compose.service": service["container_name"], **labels}
        found = self.find_image(image)
        if not found or self.find(service["container_name"]):
            return 125, "no such image, or the name is in use\n"
        number = hashlib.sha256(f"{self.root} {len(self.made)}".encode()).hexdigest()
        dead = found in self.bad | self.hollow
        self.made.append(found)
        self.containers[number] = {
            "Id": number, "Name": service["container_name"], "Image": found, "RestartCount": 0, "OCIRuntime": "crun",
            "StaticDir": os.path.join(self.store, "overlay-containers", number, "userdata"),
            "State": {"Status": "exited" if dead else "running", "ExitCode": int(dead), "Pid": 0 if dead else os.getpid()},
            "Config": {"Env": environment, "Labels": labels, "Cmd": service.get("command") or [], "User": service.get("user", "")},
            "HostConfig": {"PortBindings": {}, "Privileged": False, "RestartPolicy": {"Name": service.get("restart", "no")}},
            "Mounts": [], "NetworkSettings": {"Networks": {name: {} for name in networks}},
        }
        return 0, f"{number}\n"

    # the REST API: (status, document)

    def answer(self, method, path, query):
        self.asked.append((method, path))
        if self.before_answer:
            self.before_answer(method, path)
        if path == "/_ping":
            return 200, "OK"
        if path == "/info":
            return 200, {"store": {"graphRoot": self.store}}
        if path in ("/networks/json", "/images/json", "/volumes/json"):
            return 200, []
        if path.startswith("/images/"):
            return self.answer_image(method, urllib.parse.unquote(path.removeprefix("/images/")), query)
        if path == "/containers/json":
            return 200, [{"Id": c["Id"], "Names": [c["Name"]], "ImageID": c["Image"], "Labels": c["Config"]["Labels"],
                          "State": c["State"]["Status"], "ExitCode": c["State"]["ExitCode"]} for c in self.containers.values()]
        m = re.fullmatch(r"/containers/([^/]+)(?:/(\w+))?", path)
        return self.answer_container(method, m.group(1), m.group(2), query) if m else (404, {"message": "not played here"})

    def answer_image(self, method, rest, query):
        if rest == "pull":
            reference = query["reference"][0]
            self.images[reference] = image_id(reference)
            return 200, {"id": self.images[reference]}
        if method == "DELETE":
            return self.remove_image(rest)
        reference, _, verb = rest.rpartition("/")
        found = self.find_image(reference)
        if not found:
            return 404, {"message": "no such image"}
        if verb == "tag":
            self.images[f"{query['repo'][0]}:{query['tag'][0]}"] = found
            return 201, ""
        if verb == "untag":
            return 201, ""
        digests = [name for name, is_id in self.images.items() if is_id == found and "@" in name]
        upper = self.image_store and f"{self.image_store}/overlay/{found}/diff"
        return 200, {"Id": found, "Digest": digests[0].split("@")[1] if digests else "", "RepoDigests": digests,
                     "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": upper} if upper else {}}}

    def remove_image(self, name):
        found = self.find_image(name)
        if not found or found in (c["Image"] for c in self.containers.values()):
            return (409 if found else 404), {"message": "image is in use by a container" if found else "no such image"}
        self.images = {reference: is_id for reference, is_id in self.images.items() if name not in (reference, is_id)}
        if found not in self.images.values():
            self.hollow.discard(found)
        return 200, []

    def answer_container(self, method, name, verb, query):
        c = self.find(name)
        if not c:
            return 404, {"message": "no such container"}
        if method == "DELETE":
            del self.containers[c["Id"]]
            return 200, []
        if verb == "json":
            return 200, c
        if verb == "stop":
            if c["State"]["Status"] != "running":
                return 304, ""
            if c["Name"] in self.unstoppable:
                return 500, {"message": "it does not end"}
            c["State"].update(Status="exited", Pid=0)
        elif verb == "start":
            self.starts += 1
            if self.refusals:
                return 500, {"message": self.refusals.pop(0).format(id=c["Id"])}
            c["State"].update(Status="running", ExitCode=0, Pid=os.getpid())
        elif verb == "rename":
            if self.find(query["name"][0]) not in (None, c):
                return 500, {"message": "the container name is already in use"}
            c["Name"] = query["name"][0]
        elif verb == "logs":
            return 200, ""
        else:
            return 404, {"message": "not played here"}
        return 204, ""


class FakePodman:
    """`program` goes in the place of /usr/bin/podman, `compose` is its podman-compose; box(root) is a box's notebook."""

    def __init__(self, folder, built=None):
        """built: a program that compile_program() made for this folder, and which is copied."""
        self.control = os.path.join(folder, "podman.sock")
        self.program = os.path.join(folder, "podman")
        self.compose = os.path.join(folder, "podman-compose")
        if built:
            shutil.copy(built, self.program)
        else:
            self.compile_program(folder, self.program)
        os.link(self.program, self.compose)
        self.boxes = {}
        self.mounted = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.control)
        self._listening.listen(512)
        self._listening.setblocking(False)
        asyncio.run_coroutine_threadsafe(self._accept(), self._loop)

    @staticmethod
    def compile_program(folder, target):
        """For a FakePodman in that folder."""
        p = subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-static",
                            f'-DCONTROL="{folder}/podman.sock"', "-o", target, SOURCE], capture_output=True, text=True, check=False)
        if p.returncode:
            raise LabError(f"{SOURCE} does not compile: {p.stderr}")

    def mount(self):
        """In this mount namespace only."""
        subprocess.run(["mount", "--bind", self.program, "/usr/bin/podman"], check=True)
        self.mounted = True

    def box(self, root):
        return self.boxes.setdefault(root, BoxPodman(root))

    def box_of(self, path):
        return self.box(path.split("/run/tucomunidad/", 1)[0])

    async def _accept(self):
        while True:
            client, _ = await self._loop.sock_accept(self._listening)
            client.setblocking(False)
            self._loop.create_task(self._on_control(client))

    async def _read_line(self, client):
        """The first line, and the descriptor that came with it; asyncio's own reading would lose that."""
        readable = asyncio.Event()
        self._loop.add_reader(client, readable.set)
        await readable.wait()
        self._loop.remove_reader(client)
        line, passed, _, _ = socket.recv_fds(client, 512, 1)
        verb, path = line.decode().strip().split(" ", 1)
        return verb, path, passed

    async def _on_control(self, client):
        """fake-podman.c: a verb and a path, and with `serve` a listening socket."""
        with contextlib.suppress(OSError, ValueError), client:
            verb, path, passed = await self._read_line(client)
            box = self.box_of(path)
            if verb == "serve":
                server = await asyncio.start_unix_server(lambda r, w: self._on_connection(box, r, w),
                                                         sock=socket.socket(fileno=passed[0]))
                await self._loop.sock_recv(client, 1)  # until the worker ends its podman
                server.close()
            else:
                status, text = box.up(path)
                await self._loop.sock_sendall(client, text.encode() + bytes([status]))

    async def _on_connection(self, box, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split(" ", 2)
                length = re.search(r"(?i)^content-length: *(\d+)", head, re.M)
                if length:
                    await reader.readexactly(int(length.group(1)))
                url = urllib.parse.urlsplit(target)
                status, document = box.answer(method, url.path.removeprefix(API), urllib.parse.parse_qs(url.query))
                body = document if isinstance(document, str) else json.dumps(document)
                writer.write(f"HTTP/1.1 {status} X\r\nServer: Libpod/4.3.1 (linux)\r\nContent-Type: application/json\r\n"
                             f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode())
                await writer.drain()
        writer.close()

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "/usr/bin/podman"], check=False)
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()
        self._listening.close()

    @staticmethod
    async def _end():
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
