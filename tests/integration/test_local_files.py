# SPDX-License-Identifier: MIT
"""secboxctl plan and apply with files beside the compose file: what the agent finds of them when it is asked, and what is left."""
import hashlib
import io
import json
import os
import tarfile

import yaml

from tests.integration.fake_agent import result
from tests.integration.test_secboxctl import agent_fixture, ctl_fixture  # noqa: F401  # pylint: disable=unused-import

TEXT = """services:
  web:
    image: x
    volumes: ['./site.conf:/etc/site.conf', './init:/init:ro', './data:/data']
    env_file: app.env
"""
FILES = {"site.conf": "one\n", "init/1.sql": "create\n", "app.env": "DB_PASSWORD=hunter2\n", "data/big": "stays\n"}


class Looker:
    """An agent that looks for what it is asked about."""

    def __init__(self, ctl, answer):
        self.folder = os.path.join(ctl.root, "var/lib/tucomunidad/mgmt-agent/bundles")
        self.answer = answer
        self.found = None

    def __call__(self, request):
        digest = request["bundle"]["digest"]
        archive, = (name for name in self.left() if name.startswith("local-" + digest.removeprefix("sha256:")))
        with open(os.path.join(self.folder, archive), "rb") as f:
            data = f.read()
        assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.found = {m.name: tar.extractfile(m).read().decode() for m in tar if m.isfile()}
        return [self.answer]

    def left(self):
        return os.listdir(self.folder)


def write(ctl):
    for name, text in FILES.items():
        ctl.write(f"project/{name}", text)
    return ctl.write("project/compose.yaml", TEXT)


def test_a_plan_and_an_apply_bring_them(ctl, agent):
    path = write(ctl)
    plan = {"changes": 0, "steps": [], "files": [{"path": "site.conf", "change": "added"}]}
    wanted = {name: text for name, text in FILES.items() if name != "data/big"}
    planned = agent.answers["compose.plan"] = Looker(ctl, {"type": "compose.plan.result", "status": 200, "phase": "preflight",
                                                           "plan": plan})
    p = ctl.run("plan", path)
    assert p.returncode == 0 and p.stdout == "file site.conf: added\nnothing would change\n" and "3 of the files" in p.stderr, p
    assert planned.found == wanted and planned.left() == []
    applied = agent.answers["compose.snapshot"] = Looker(ctl, result())
    p = ctl.run("apply", path)
    assert p.returncode == 0 and "hunter2" not in p.stdout + p.stderr, p
    assert applied.found == wanted and applied.left() == [], "the agent has kept what it needs"
    assert agent.request("compose.snapshot")["bundle"] == agent.request("compose.plan")["bundle"]


def test_an_agent_that_has_not_answered_may_still_need_them(ctl, agent):
    """A push waits for the end of another one: who does not wait for it does not take its files away. Nor does another run."""
    path = write(ctl)
    error = {"type": "error", "error": {"id": "deploy.busy", "message": "another change is under way"}}
    lost = agent.answers["compose.snapshot"] = Looker(ctl, None)
    p = ctl.run("apply", path)
    assert p.returncode == 3 and "before it answered" in p.stderr, p
    kept = lost.left()
    assert len(kept) == 1 and lost.found["site.conf"] == "one\n"
    agent.answers["compose.snapshot"] = agent.answers["compose.plan"] = [error]
    for verb in ("apply", "plan"):
        p = ctl.run(verb, path)
        assert p.returncode == 1 and "deploy.busy" in p.stderr, p
        assert lost.left() == kept, "that is an answer, and what it was about is another archive"


def test_the_file_alone(ctl, agent):
    path = write(ctl)
    agent.answers["compose.snapshot"] = [result()]
    assert ctl.run("apply", "--no-files", path).returncode == 0
    assert "bundle" not in agent.request("compose.snapshot")


def test_render_shows_where_they_will_be(ctl):
    write(ctl)
    nested = TEXT.replace("'./data:/data'", "'./data:/data', './init/1.sql:/first.sql'")
    path, env = ctl.write("project/compose.yaml", nested), ctl.write("x.env", "A=b\n")
    p = ctl.run("render", "--json", "--env-file", env, path)
    assert p.returncode == 0, p
    web = yaml.safe_load(json.loads(p.stdout)["compose"])["services"]["web"]
    shown = [f"{v['source']}:{v['target']}" if isinstance(v, dict) else ":".join(v.split(":")[:2]) for v in web["volumes"]]
    files, volumes = "/var/lib/tucomunidad/files", os.path.join(ctl.root, "var/lib/tucomunidad/volumes")
    assert sorted(shown) == sorted([f"{files}/site.conf:/etc/site.conf", f"{files}/init:/init", f"{files}/init/1.sql:/first.sql",
                                    f"{volumes}/data:/data"])
    assert web["environment"]["DB_PASSWORD"] == "hunter2"
    alone = ctl.run("render", "--no-files", "--env-file", env, path)
    assert alone.returncode == 1 and "./init/1.sql lies in ./init" in alone.stderr, alone


def test_an_empty_folder_is_no_archive(ctl, agent):
    os.makedirs(os.path.join(ctl.root, "init"))
    agent.answers["compose.snapshot"] = [result()]
    path = ctl.write("compose.yaml", "services: {a: {image: x, volumes: ['./init:/init:ro']}}\n")
    assert ctl.run("apply", path).returncode == 0
    assert "bundle" not in agent.request("compose.snapshot")


def test_a_secrets_file_goes_along(ctl, agent):
    ctl.write("key", "a secret")
    path = ctl.write("compose.yaml", "services: {a: {image: x, secrets: [k]}}\nsecrets: {k: {file: ./key}}\n")
    found = agent.answers["compose.snapshot"] = Looker(ctl, result())
    applied = ctl.run("apply", path)
    assert applied.returncode == 0 and "a secret" not in applied.stdout + applied.stderr, applied
    assert found.found == {"key": "a secret"} and found.left() == []


def test_what_does_not_go_along_is_refused_before_the_agent_is_asked(ctl, agent):
    ctl.write("conf/app.yml", "x")
    half = ctl.write("compose.yaml", "services:\n  a: {image: x, volumes: ['./conf:/c', './conf/app.yml:/a']}\n"
                                     "  b:\n    image: x\n    volumes: ['./conf:/c:ro']\n")
    refused = ctl.run("apply", half)
    assert refused.returncode == 1 and f"{half}:5: ./conf came with" in refused.stderr and not agent.requests, refused
