# SPDX-License-Identifier: MIT
"""A box in a folder: configuration, mgmt-agent, mgmt-link and the lab's podman behind them."""
import json
import os
import shutil
import subprocess

import yaml

from .recovery import Recovery
from .util import Daemon, program, read_text, wait_until

AGENT_ENV = {"CLOUD_BASE_URL": "http://127.0.0.1:9", "DEVICE_ID": "caseta5", "BOOTSTRAP": "lab-bootstrap-secret-000001",
             "MGMT_GATEWAY_URL": "ws://127.0.0.1:9/mgmt"}


def documents(process):
    """The JSON documents that a command printed, one behind the other."""
    found, text, decoder = [], process.stdout.strip(), json.JSONDecoder()
    try:
        while text:
            document, end = decoder.raw_decode(text)
            found.append(document)
            text = text[end:].strip()
    except ValueError:
        found = []
    if not found:
        raise AssertionError(f"no JSON: exit {process.returncode}\n{process.stdout}{process.stderr}")
    return found


class Box:
    def __init__(self, lab, folder, agent_env=None, agent_args=(), process_env=None):
        """agent_args are further options of mgmt-agent, process_env what only its process gets."""
        self.lab = lab
        self.agent_args = list(agent_args)
        self.process_env = process_env or {}
        self.root = os.path.join(folder, "root")
        self.logs = os.path.join(folder, "logs")
        self.files = os.path.join(folder, "files")
        for path in [self.path("etc/tucomunidad"), self.path("var/lib/tucomunidad"), self.path("run/tucomunidad"), self.logs,
                     self.files]:
            os.makedirs(path, exist_ok=True)
        self.agent = None
        self.link = self.recovery = None
        self.connected = agent_env is not None
        self.agent_env = dict(AGENT_ENV, **(agent_env or {}))
        self.agent_env.setdefault("PODMAN_USER", lab.user)
        if os.environ.get("BOX_COMPOSE_ENGINE"):
            self.agent_env.setdefault("COMPOSE_ENGINE", os.environ["BOX_COMPOSE_ENGINE"])
        self.write_env("mgmt-agent.env", self.agent_env)
        self.env = dict(lab.env, SECBOX_ROOT=self.root)

    def path(self, inside):
        return os.path.join(self.root, inside.lstrip("/"))

    def write(self, inside, text, mode=0o600):
        path = self.path(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def write_env(self, name, values):
        return self.write(f"etc/tucomunidad/{name}", "".join(f"{k}={v}\n" for k, v in values.items()))

    def secbox_env(self):
        """secbox.env as a dictionary; None when there is no such file."""
        path = self.path("etc/tucomunidad/secbox.env")
        if not os.path.exists(path):
            return None
        return dict(line.split("=", 1) for line in read_text(path).splitlines() if "=" in line)

    def set_engine(self, engine):
        """What the next push makes its containers with; None: what is chosen by itself."""
        self.agent_env.pop("COMPOSE_ENGINE", None)
        if engine:
            self.agent_env["COMPOSE_ENGINE"] = engine
        self.write_env("mgmt-agent.env", self.agent_env)

    def write_policy(self, policy):
        return self.write("etc/tucomunidad/policy.json", json.dumps(policy))

    def start(self):
        self.start_agent()
        if self.connected:
            self.start_link()

    def start_agent(self):
        self.agent = Daemon("mgmt-agent", [program("mgmt-agent"), "--root", self.root, *self.agent_args],
                            os.path.join(self.logs, "mgmt-agent.log"), {**self.env, **self.process_env})
        wait_until(lambda: self.ctl("status").returncode == 0, "mgmt-agent answers secboxctl", self.agent.death)

    def start_link(self):
        self.link = Daemon("mgmt-link", [program("mgmt-link"), "--root", self.root],
                           os.path.join(self.logs, "mgmt-link.log"), self.env)

    def start_recovery(self, support_ca=None, **settings):
        """recovery-agent, and with the public line of a support CA its sshd: self.recovery, see recovery.py."""
        self.recovery = Recovery(self.root, **settings)
        self.recovery.device = self.agent_env["DEVICE_ID"]
        if support_ca:
            self.recovery.start_sshd(support_ca)
        self.recovery.start()

    def stop(self):
        if self.recovery:
            self.recovery.close()
        self.recovery = None
        for daemon in (self.link, self.agent):
            if daemon:
                daemon.stop()
        self.agent = self.link = None

    def wipe(self):
        """As after a new installation: no containers, no memory of any; the link keeps its identity."""
        self.agent.stop()
        self.lab.remove_all()
        shutil.rmtree(self.path("var/lib/tucomunidad/mgmt-agent"))
        self.start_agent()

    def history(self):
        return documents(self.ctl("history", "--json"))[-1]

    def log(self):
        return read_text(os.path.join(self.logs, "mgmt-agent.log")) + read_text(os.path.join(self.logs, "mgmt-link.log"))

    def compose_path(self, text):
        path = os.path.join(self.files, "compose.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def ctl(self, *args, env=None):
        """Runs secboxctl on this box."""
        return subprocess.run([program("secboxctl"), "--root", self.root, *args], env={**self.env, **(env or {})},
                              capture_output=True, text=True, check=False)

    def render(self, text, **kwargs):
        """What the agent would make of this file: ({service: definition}, error id or None)."""
        p = self.ctl("render", "--json", self.compose_path(text), **kwargs)
        last = documents(p)[-1]
        if "error" in last:
            return None, last["error"]["id"]
        return yaml.safe_load(last["compose"])["services"], None

    def plan(self, text):
        return documents(self.ctl("plan", "--json", self.compose_path(text)))[-1]

    def project_ctl(self, project, verb, *args):
        """A verb about a project beside the box's own: its last document."""
        return documents(self.ctl(verb, "--json", "--project", project, *args))[-1]

    def apply(self, text, *options):
        """Pushes a file locally and returns the compose.result, or {"error": …} when it was refused before the push."""
        return documents(self.ctl("apply", "--json", *options, self.compose_path(text)))[-1]

    def status(self):
        return documents(self.ctl("status", "--json"))[-1]

    def status_pending(self):
        """Whether a push is still under way."""
        status = self.status()
        return bool(status.get("status", status).get("pending"))

    def containers(self):
        """{service: facts} of what the agent made and keeps, whatever its state."""
        return {c["Config"]["Labels"]["io.tucomunidad.service"]: c for c in self.lab.containers().values()
                if "io.tucomunidad.service" in (c["Config"]["Labels"] or {})}

    def ids(self):
        return {service: c["Id"] for service, c in self.containers().items()}

    def running(self):
        return {service for service, c in self.containers().items() if c["State"]["Status"] == "running"}

    def environment(self, service):
        return dict(item.split("=", 1) for item in self.containers()[service]["Config"]["Env"])

    def close(self):
        self.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
