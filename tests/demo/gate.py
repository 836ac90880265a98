# SPDX-License-Identifier: MIT
"""The demo's last chapter: what a guard is told at the gate, while the cloud answers and while it does not."""
import json
import os
import subprocess

from tests.lab.postgres import Postgres
from tests.lab.util import Daemon, program, wait_until

from .show import check, heading, say

COMMUNITY, GUARD = "5b0c1f6e-1c0e-4b39-9a1b-6f1f5d2a7c01", "5b0c1f6e-1c0e-4b39-9a1b-6f1f5d2a7c02"
UNIT = "5b0c1f6e-1c0e-4b39-9a1b-6f1f5d2a7c04"
PIN = "471108152"
FILES = {
    "community.json": json.dumps({"name": "Los Robles", "timeZone": "America/Guayaquil"}),
    "bans.csv": "id,name,plate,reason\n5b0c1f6e-1c0e-4b39-9a1b-6f1f5d2a7c03,Juan Pérez López,ABO-158,robo\n",
    "units.csv": f"id,name\n{UNIT},12-B\n",
    "guests.csv": "id,name,unit,plate,from,until\n5b0c1f6e-1c0e-4b39-9a1b-6f1f5d2a7c05,Ana María Ruiz,"
                  f"{UNIT},XYZ-987,2020-01-01T00:00:00Z,2099-01-01T00:00:00Z\n",
    "entry.json": json.dumps({"kind": "enter", "name": "Ana María Ruiz", "plate": "XYZ-987"}),
}
ASK = "curl -sS --cacert authority.pem -b cookies -c cookies"
# what is typed, and what the guard is told
ASKED = [("ab0i58", "VETADO"), ("xyz987", "AUTORIZADO"), ("quien-sabe", "DESCONOCIDO")]


class Gate:
    """`secbox` beside the box that the story has; what it started ends with close()."""

    def __init__(self, story):
        self.story = story
        self.postgres = self.secbox = None
        self.folder = story.path("gate")

    def close(self):
        if self.secbox:
            self.secbox.stop()
        if self.postgres:
            self.postgres.stop()

    def tell(self):
        heading("6. A guard at the gate, with the cloud and without it")
        self.community()
        self.begin()
        self.log_in()
        self.verdicts()
        self.without_the_cloud()
        self.with_it_again()

    def community(self):
        run, story = self.story.run, self.story
        say("An operator tells the cloud about a community: a guard, somebody who is banned, a guest. A label says which boxes "
            "are theirs.")
        for name, text in FILES.items():
            story.write(name, text)
        story.write("guard.json", json.dumps({"name": "Rosa Díaz", "role": "guard", "pin": PIN}), 0o600)
        story.write("login.json", json.dumps({"guard": GUARD, "pin": PIN}), 0o600)
        story.terminal.secrets.append(PIN)
        story.terminal.env["COMMUNITY"] = COMMUNITY
        run("secbox-fleet community put $COMMUNITY community.json")
        run(f"secbox-fleet community put $COMMUNITY users {GUARD} guard.json")
        run("cat bans.csv guests.csv")
        for table in ("bans", "units", "guests"):
            run(f"secbox-fleet community import $COMMUNITY {table} {table}.csv")
        run(f"secbox-fleet devices relabel {story.box.agent_env['DEVICE_ID']} community=$COMMUNITY")

    def begin(self):
        story = self.story
        say("")
        say("secbox starts: here as a program, on a box in a container. It has the secbox.env that was made above, and a "
            "PostgreSQL of the box's own.")
        os.makedirs(self.folder)
        self.postgres = Postgres()
        self.postgres.start()
        env = {**(story.box.secbox_env() or {}), "PATH": os.environ["PATH"], "DATABASE_URL": self.postgres.url(),
               "LAN_LISTEN": "127.0.0.1:8443", "SECBOX_STATE": os.path.join(self.folder, "state"),
               "SECBOX_RUN": os.path.join(story.box.root, "run/tucomunidad/secbox")}
        story.terminal.env["GATE"] = "https://localhost:8443"
        story.terminal.type("secbox &")
        self.secbox = Daemon("secbox", [program("secbox")], os.path.join(self.folder, "secbox.log"), env)
        wait_until(lambda: os.path.exists(os.path.join(self.folder, "state/lan/authority.pem")), "secbox has made its authority",
                   self.secbox.death)
        story.run("cp gate/state/lan/authority.pem .")
        wait_until(lambda: GUARD in self.quietly("/api/lan/guards"), "the community's data are on the box", self.secbox.death)

    def quietly(self, path):
        done = subprocess.run(["bash", "-c", f"{ASK} -s $GATE{path}"], env=self.story.terminal.env, cwd=self.story.folder,
                              capture_output=True, text=True, check=False)
        return done.stdout

    def log_in(self):
        printed = self.story.run(f"{ASK} $GATE/api/lan/session --json @login.json")
        check("Rosa Díaz" in printed, "Rosa has logged in with her PIN, over HTTPS with a certificate of the box's own authority")

    def verdicts(self):
        for typed, verdict in ASKED:
            answer = json.loads(self.story.run(f"{ASK} $GATE/api/lan/lookup?q={typed}"))
            check(answer["verdict"] == verdict, f"“{typed}” is {verdict}")

    def without_the_cloud(self):
        story = self.story
        heading("The cloud is switched off")
        story.terminal.type("kill $(pidof secbox-gateway) $(pidof postgres)   # the cloud's")
        story.gateway.stop()
        story.gateway.postgres.pause()
        story.run("secbox-fleet devices list", code=3)
        wait_until(lambda: json.loads(self.quietly("/api/lan/status"))["cloud"] is False, "secbox notices", self.secbox.death)
        say("")
        say("The guard notices nothing of it:")
        self.verdicts()
        printed = story.run(f"{ASK} $GATE/api/lan/entries --json @entry.json -w '\\nHTTP %{{http_code}}\\n'")
        check("HTTP 201" in printed, "an entry is on the box's disk")
        status = json.loads(story.run(f"{ASK} $GATE/api/lan/status"))
        check(not status["cloud"] and status["queued"] > 0, "what happened waits in the box's queue for the cloud")

    def with_it_again(self):
        story = self.story
        heading("And on again")
        story.terminal.type("secbox-gateway serve &")
        story.gateway.postgres.resume()
        story.gateway.start()
        wait_until(lambda: json.loads(self.quietly("/api/lan/status"))["queued"] == 0, "the queue is empty", self.secbox.death)
        events = story.run("secbox-fleet community events $COMMUNITY")
        check(events.count("visit.entry") == 1, "the entry has arrived, once")
