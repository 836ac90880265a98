# SPDX-License-Identifier: MIT
"""One compose project driven by bare podman-compose, the way it was done before SecBox."""
import os


class Project:
    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = folder
        self.name = os.path.basename(folder)
        os.makedirs(folder, exist_ok=True)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def file(self, text):
        return self.write("compose.yaml", text)

    def run(self, *args, **kwargs):
        return self.lab.compose(self.folder, *args, **kwargs)

    def up(self, *args, **kwargs):
        return self.run("up", "-d", *args, **kwargs)

    def containers(self):
        return self.lab.containers(self.name)

    def state(self, service):
        """podman's state of the service's container, or None when there is none."""
        facts = self.lab.inspect(f"{self.name}_{service}_1")
        return facts["State"]["Status"] if facts else None

    def inspect_health(self, service):
        health = self.lab.inspect(f"{self.name}_{service}_1")["State"].get("Health") or {}
        return health.get("Status")

    def environment(self, service):
        return self.lab.environment(f"{self.name}_{service}_1")

    def image(self, service):
        return self.lab.inspect(f"{self.name}_{service}_1")["Image"]

    def id(self, service):
        return self.lab.inspect(f"{self.name}_{service}_1")["Id"]
