# SPDX-License-Identifier: MIT
"""What the demo tells, step by step; each step checks its own facts."""
import json
import os
import subprocess

from tests.lab.box import Box
from tests.lab.gateway import Gateway
from tests.lab.podman_lab import PodmanLab
from tests.lab.util import LabError, bin_dir

from .gate import Gate
from .show import DemoError, Terminal, check, heading, say

DEVICE = "caseta5"
SANITY_OK = "[compose-snapshot] secbox.env sanity ok (2/2 required keys present)"
ENVIRONMENT = "podman inspect --format '{{range .Config.Env}}{{println .}}{{end}}'"
OURS = "grep -E '^(CLOUD|DEVICE|BOOTSTRAP)'"
CONTAINERS = "podman ps --format 'table {{.ID}} {{.Names}} {{.Image}} {{.Status}}'"
IMAGES = [("web:1", "server", "1"), ("web:2", "server", "2"), ("web:broken", "crash", "3"), ("relay:1", "server", "1")]
COMPOSE = """services:
  web:
    image: localhost/web:1
    environment:
      CLOUD_BASE_URL: ${CLOUD_BASE_URL:-}
      DEVICE_ID: ${DEVICE_ID:-}
      BOOTSTRAP: ${BOOTSTRAP:-}
  relay:
    image: localhost/relay:1
    environment:
      DEVICE_GATEWAY_URL: ${DEVICE_GATEWAY_URL:-}
"""


class Story:
    """One cloud and one box in `folder`; what begin() started ends with close()."""

    def __init__(self, folder):
        self.folder = folder
        self.lab = self.gateway = self.box = None
        self.gate = Gate(self)
        self.terminal = Terminal(dict(os.environ), folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
            f.write(text)

    def run(self, command, code=0):
        return self.terminal.run(command, code)

    def ids(self):
        """{container: id} of what runs."""
        lines = self.run(CONTAINERS).splitlines()[1:]
        return {name: number for number, name, *_ in (line.split() for line in lines)}

    def environment(self, container):
        lines = self.run(f"{ENVIRONMENT} {container} | {OURS}").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def close(self):
        for part in (self.gate, self.box, self.gateway, self.lab):
            if part:
                part.close()

    def tell(self):
        self.prologue()
        self.begin()
        self.missing_env()
        self.over_http()
        self.emptied_key()
        self.bad_image()
        self.same_again()
        self.gate.tell()

    def prologue(self):
        heading("Before SecBox: the outage that it makes impossible")
        self.lab = PodmanLab()
        for tag, kind, version in IMAGES:
            self.lab.image(f"localhost/{tag}", kind, version)
        self.write("compose.yaml", COMPOSE)
        self.terminal.env = dict(self.lab.env, PATH=f"{bin_dir()}:{os.environ['PATH']}", LANG="C.UTF-8")
        say("A box lost its secbox.env. podman-compose starts this file all the same, and says that all is well:")
        self.run("cat compose.yaml")
        self.run("podman-compose -p bare up -d >up.log 2>&1; echo exit code $?")
        found = self.environment("bare_web_1")
        check(found.get("CLOUD_BASE_URL") in ("", "${CLOUD_BASE_URL:-}"),
              "the containers run without an address of the cloud, and no one was told: this box is lost")
        self.lab.remove_all()

    def begin(self):
        heading("A cloud and a box")
        say("PostgreSQL and secbox-gateway start on this machine; an operator has a token and registers a box.")
        self.gateway = Gateway(self.path("cloud"))
        self.terminal.secrets.append(self.gateway.token)
        self.write("operator.token", self.gateway.token + "\n", 0o600)
        self.write("operator.header", f"Authorization: Bearer {self.gateway.token}\n", 0o600)
        root = self.path(f"{DEVICE}/root")
        self.terminal.env.update(SECBOX_GATEWAY=self.gateway.url, SECBOX_TOKEN_FILE=self.path("operator.token"),
                                 SECBOX_ROOT=root)
        self.write("bootstrap", "", 0o600)
        self.run(f"secbox-fleet devices add {DEVICE} >bootstrap")
        with open(self.path("bootstrap"), encoding="utf-8") as f:
            bootstrap = f.read().strip()
        self.terminal.secrets.append(bootstrap)
        self.box = Box(self.lab, self.path(DEVICE),
                       {"CLOUD_BASE_URL": self.gateway.url, "DEVICE_ID": DEVICE, "BOOTSTRAP": bootstrap,
                        "MGMT_GATEWAY_URL": self.gateway.url.replace("http://", "ws://") + "/mgmt"})
        say("")
        say("The box gets what it was claimed with, and its two programs start. Its files are below $SECBOX_ROOT, "
            f"which is {root} here and / on a real box.")
        self.run("cat $SECBOX_ROOT/etc/tucomunidad/mgmt-agent.env")
        self.terminal.type("mgmt-agent & mgmt-link &")
        self.box.start()
        self.gateway.wait_reported(DEVICE)
        listed = self.run("secbox-fleet devices list")
        check(DEVICE in listed, f"{DEVICE} is connected: it called the gateway, nothing listens on the box")

    def missing_env(self):
        heading("1. A push to a box without secbox.env")
        check(not os.path.exists(self.box.path("etc/tucomunidad/secbox.env")), "the box has no secbox.env")
        self.run(f"secbox-fleet push {DEVICE} compose.yaml --wait")
        shown = self.run("secboxctl env show")
        made = self.box.secbox_env() or {}
        check(made.get("DEVICE_GATEWAY_URL", "").endswith("/device") and self.box.agent_env["BOOTSTRAP"] not in shown,
              "mgmt-agent made secbox.env from mgmt-agent.env and derived DEVICE_GATEWAY_URL; secrets are not shown")
        web, relay = self.environment("secbox_web_1"), self.environment("secbox_relay_1")
        check(all(web.get(key) == self.box.agent_env[key] for key in ("CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP")) and
              relay.get("DEVICE_GATEWAY_URL") == made["DEVICE_GATEWAY_URL"],
              "the same file as above, and now every container has the real values")
        check(not [v for v in [*web.values(), *relay.values()] if "${" in v], "no value holds a ${")
        line = self.run(f"grep -F 'sanity ok' {DEVICE}/logs/mgmt-agent.log")
        check(SANITY_OK in line, "the journal says so (on a real box: journalctl -u mgmt-agent)")

    def over_http(self):
        heading("2. The same over HTTP, with a new image for one service")
        text = COMPOSE.replace("web:1", "web:2")
        self.write("compose-2.yaml", text)
        self.write("push.json", json.dumps({"compose": text}))
        before = self.ids()
        printed = self.run("curl -sS -H @operator.header --json @push.json -o answer.json -w 'HTTP %{http_code}\\n' \\\n"
                           f"      $SECBOX_GATEWAY/v1/devices/{DEVICE}/compose-snapshot")
        check(printed.strip().endswith("HTTP 200"), "POST /v1/devices/ID/compose-snapshot answers 200 when the box is done")
        after = self.ids()
        check(before["secbox_web_1"] != after["secbox_web_1"] and before["secbox_relay_1"] == after["secbox_relay_1"],
              "only web was replaced; relay kept running")

    def emptied_key(self):
        heading("3. DEVICE_ID is emptied in secbox.env, then a push")
        before = self.ids()
        self.run("sed -i 's/^DEVICE_ID=.*/DEVICE_ID=/' $SECBOX_ROOT/etc/tucomunidad/secbox.env")
        printed = self.run(f"secbox-fleet push {DEVICE} compose.yaml --wait", code=1)
        check("422 in phase secbox-env-missing-keys" in printed,
              "refused in phase secbox-env-missing-keys with 422, and the sentence says what to do")
        check(self.ids() == before, "the containers are untouched: the same ids run")
        self.run(f"sed -i 's/^DEVICE_ID=.*/DEVICE_ID={DEVICE}/' $SECBOX_ROOT/etc/tucomunidad/secbox.env")

    def bad_image(self):
        heading("4. A push of an image that dies at start")
        self.write("compose-bad.yaml", COMPOSE.replace("web:1", "web:broken"))
        before = self.ids()
        printed = self.run(f"secbox-fleet push {DEVICE} compose-bad.yaml --wait", code=1)
        check("rolled-back, 500" in printed, "the box saw that web did not stay up, and rolled back by itself")
        check(self.ids() == before, "the old containers run again: not copies, the same ids")
        check(self.gateway.device(DEVICE)["connected"], "the box is connected")

    def same_again(self):
        heading("5. The same snapshot twice")
        self.terminal.env["TIMEFORMAT"] = "(took %3R s)"
        say("The first goes back to web:1:")
        self.run(f"time secbox-fleet push {DEVICE} compose.yaml --wait")
        before = self.ids()
        printed = self.run(f"time secbox-fleet push {DEVICE} compose.yaml --wait")
        check("no change" in printed and "200" in printed, "the second is a no-op: 200 at once, without starting a program")
        check(self.ids() == before, "the same ids run")

    def write_shell(self):
        """What `make demo-shell` needs: the environment of the commands above."""
        wanted = ("PATH", "CONTAINERS_", "SECBOX_", "TMPDIR", "LANG", "HOME", "TERM", "COMMUNITY", "GATE")
        self.write("env.json", json.dumps({k: v for k, v in self.terminal.env.items() if k.startswith(wanted)}), 0o600)

    def how_to_use(self):
        env = self.terminal.env
        heading("It keeps running")
        print(f"The gateway is {env['SECBOX_GATEWAY']}, in a network of the demo's own: enter it with\n"
              "\n  $ make demo-shell\n\n"
              f"There you are in {self.folder}, with these set:\n")
        for key in ("SECBOX_GATEWAY", "SECBOX_TOKEN_FILE", "SECBOX_ROOT", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"):
            print(f"  {key}={env[key]}")
        print("\nand can type:\n\n"
              f"  $ secbox-fleet push {DEVICE} compose.yaml --wait     # or plan, history, status\n"
              "  $ secbox-fleet devices list\n"
              "  $ secboxctl status                                  # on the box: doctor, env check, rollback\n"
              "  $ podman ps\n"
              "  $ curl -sS --cacert authority.pem -b cookies $GATE/api/lan/lookup?q=ab0i58\n"
              f"  $ tail -f {DEVICE}/logs/mgmt-agent.log\n"
              "\nTo end it and remove all of it:\n\n  $ make demo-stop", flush=True)


def sentence_of(error):
    """What went wrong, for a person: no stack trace."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error.cmd[0]} ended with {error.returncode}: {(error.stderr or '').strip()}"
    if isinstance(error, (DemoError, LabError, OSError)):
        return str(error)
    return f"{type(error).__name__}: {error}"
