# SPDX-License-Identifier: MIT
"""A box that runs two services whose images come from a registry, where newer ones, good and bad, can be had."""
import os
import shutil
import tempfile
import uuid

from .box import Box, documents
from .util import wait_until

KINDS = [("server", "1"), ("server", "2"), ("server", "3"), ("crash", "1"), ("unhealthy", "1")]
WEB, DB = "shop/web", "shop/db"


class TwoServiceBox:
    """A box that runs two services from a registry, and a cloud that is only a socket."""

    def __init__(self, lab, registry, folder, front=None, args=("--settle=1",), process_env=None, kinds=KINDS):
        """front: what the box takes for the registry."""
        self.lab, self.registry = lab, registry
        address = front.address if front else registry.address
        self.digests = {}
        made = lab.podman("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
        for kind, version in kinds:
            local = f"localhost/{kind}:{version}"
            if local not in made:
                lab.image(local, kind, version)
            self.digests[f"{kind}:{version}"] = registry.push(local, WEB, f"{kind}-{version}")
        registry.move_tag(WEB, "server-1", "latest")
        registry.push("localhost/server:1", DB, "15")
        self.web, self.db = f"{address}/{WEB}:latest", f"{address}/{DB}:15"
        self.args = list(args)
        self.box = Box(lab, folder, agent_args=self.args, process_env=process_env)
        self.version = 100

    def compose(self, **more):
        """web and db: more lines of these services; more: of the file."""
        extra = {"web": "", "db": "", "more": "", **more}
        return (f"services:\n  web:\n    image: {self.web}\n    environment:\n      DEVICE: ${{DEVICE_ID}}\n{extra['web']}"
                f"  db:\n    image: {self.db}\n{extra['db']}{extra['more']}")

    def publish_fresh(self):
        """`latest` becomes a good image with a layer that nobody has yet; its digest."""
        folder = tempfile.mkdtemp(prefix="secbox-fresh-")
        with open(os.path.join(folder, "more"), "wb") as f:
            f.write(os.urandom(200000))
        with open(os.path.join(folder, "Containerfile"), "w", encoding="utf-8") as f:
            f.write("FROM localhost/server:2\nCOPY more /more\n")
        self.lab.podman("build", "-q", "-t", "localhost/fresh:1", folder)
        digest = self.registry.push("localhost/fresh:1", WEB, "latest")
        self.lab.podman("rmi", "localhost/fresh:1")
        shutil.rmtree(folder)
        return digest

    def restart(self, *args):
        """mgmt-agent again, with other options than the usual ones."""
        self.box.agent.stop()
        self.box.agent_args = [*self.args, *args]
        self.box.start_agent()

    def restock(self, **more):
        """The stack of this compose file runs, with either version of the service web, and nothing newer is to be had."""
        self.apply(**more)
        self.registry.move_tag(WEB, f"server-{self.version_of('web')}", "latest")
        self.ctl("update", "--forget", "all")

    def news(self):
        """`latest` becomes the other version; which one that is."""
        other = "2" if self.version_of("web") == "1" else "1"
        self.registry.move_tag(WEB, f"server-{other}", "latest")
        return other

    def apply(self, **more):
        result = self.box.apply(self.compose(**more))
        assert result["outcome"] == "done", result

    def ctl(self, *args):
        """What secboxctl says: its documents."""
        return documents(self.box.ctl(*args, "--json"))

    def take(self, *args):
        """Looks for new images and takes them: the results by service, and what is known afterwards."""
        *events, updates = self.ctl("update", *args)
        assert "services" in updates, updates
        results = {}
        for event in events:
            for update in event.get("updates", []) if event["type"] == "compose.result" else []:
                results[update["service"]] = event
        return results, updates

    def wait_taken(self, version):
        """Until the service web runs this version, and it is kept."""
        wait_until(lambda: self.version_of("web") == version, f"version {version} is taken", self.box.agent.death)
        wait_until(lambda: not self.box.status_pending(), "it is kept", self.box.agent.death)

    def updates(self):
        """What is known of updates."""
        return self.ctl("updates")[-1]

    @staticmethod
    def entry(updates, service="web"):
        return next(e for e in updates["services"] if e["service"] == service)

    def push(self, cloud, **more):
        self.version += 1
        return self.answer(cloud, cloud.snapshot(self.compose(**more), str(self.version)))

    def order(self, what, **more):
        self.version += 1
        message = {"type": "image.update", "id": str(uuid.uuid4()), "version": str(self.version),
                   "deviceId": self.box.agent_env["DEVICE_ID"], "image": self.web, "digest": self.digests.get(what),
                   "issuedAt": "2026-01-02T03:04:05.678Z", **more}
        return {k: v for k, v in message.items() if v is not None}

    def update(self, cloud, what, **more):
        return self.answer(cloud, self.order(what, **more))

    @staticmethod
    def answer(cloud, message):
        cloud.send(message)
        return TwoServiceBox.end_of(cloud, message)

    @staticmethod
    def end_of(cloud, message):
        """What ends it; results that were not acknowledged come again on every connection."""
        while True:
            answer = cloud.next("compose.result", "error")
            if answer is None or answer.get("id") == message["id"]:
                return answer

    def version_of(self, service):
        return self.box.environment(service)["APP_VERSION"]

    def current(self):
        return self.box.status()["current"]
