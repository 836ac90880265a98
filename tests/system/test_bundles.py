# SPDX-License-Identifier: MIT
"""Files that travel with a push: from the operator by the gateway to the box, into containers, and back with a rollback."""
import contextlib
import gzip
import hashlib
import http.client
import os

import pytest

from tests.lab.bundles import archive, bring
from tests.lab.fleet import Fleet
from tests.lab.util import read_text, wait_until

DEVICE = "caseta5"
NOBODY = "sha256:" + "0" * 64


def too_long(gateway):
    """The answer to a body whose length alone is too much."""
    with contextlib.closing(http.client.HTTPConnection(gateway.host, gateway.port)) as connection:
        connection.putrequest("PUT", f"/v1/bundles/{NOBODY}")
        connection.putheader("Authorization", f"Bearer {gateway.token}")
        connection.putheader("Content-Length", str(257 * 1024 * 1024))
        connection.endheaders()
        return connection.getresponse().status


def push(gateway, text, files=None, **more):
    """Brings the files and pushes the text with them; the compose.result."""
    if files is not None:
        data, digest = archive(files)
        assert bring(gateway, digest, data) == (200, {"digest": digest})
        more["bundle"] = {"digest": digest}
    return gateway.push(DEVICE, text, **more)


def stack(volumes="", configs="", env=""):
    return ("services:\n  web:\n    image: localhost/server:1\n    stop_grace_period: 1s\n" + env + volumes +
            "  other:\n    image: localhost/server:1\n    stop_grace_period: 1s\n" + configs)


MOUNTS = "    volumes: ['./web/site.conf:/etc/site.conf', './web/init:/init:ro', './data:/data']\n    configs: [tune]\n"
CONFIGS = "configs:\n  tune: {file: ./web/tune.yml}\n"
FILES = {"web/site.conf": "one\n", "web/init/1.sql": "create\n", "web/tune.yml": "fast: true\n", "web/app.env": "FROM=file\n"}
TEXT = stack(MOUNTS, CONFIGS, "    env_file: ./web/app.env\n")


def seen(box, path):
    """What the container of `web` has there."""
    return box.lab.podman("exec", box.ids()["web"], "busybox", "cat", path).stdout


def kept(box, inside):
    with contextlib.suppress(FileNotFoundError):
        return {name for name in os.listdir(box.path(inside)) if name != "lock"}
    return set()


@pytest.fixture
def box(fleet_box):
    return fleet_box


def test_files_come_to_the_box_and_go_back_with_it(gateway, box):
    answer = push(gateway, TEXT, FILES)
    assert answer.status == 200 and answer.json["result"]["outcome"] == "done", answer
    assert [seen(box, path) for path in ("/etc/site.conf", "/init/1.sql", "/tune")] == ["one\n", "create\n", "fast: true\n"]
    assert box.environment("web")["FROM"] == "file"
    modes = {m["Destination"]: m["RW"] for m in box.containers()["web"]["Mounts"]}
    assert modes == {"/etc/site.conf": False, "/init": False, "/tune": False, "/data": True}
    # nobody but root and the podman user gets at them, and the env file is in no container's reach
    files = box.path("var/lib/tucomunidad/files")
    assert os.stat(files).st_mode & 0o7777 == 0o750 and os.stat(files).st_uid == 0
    assert not [name for _, _, names in os.walk(files) for name in names if name == "app.env"]
    before = box.ids()
    assert push(gateway, TEXT, FILES).json["result"]["noop"] and box.ids() == before
    # one file is another: only who mounts it is made anew
    changed = push(gateway, TEXT, {**FILES, "web/init/2.sql": "insert\n"})
    assert changed.json["result"]["outcome"] == "done", changed
    assert box.ids()["other"] == before["other"] and box.ids()["web"] != before["web"]
    assert seen(box, "/init/2.sql") == "insert\n"
    # the text is the same, the files are those of before
    back = gateway.request("POST", f"/v1/devices/{DEVICE}/rollback", {})
    assert back.json["result"]["outcome"] == "done", back
    assert "2.sql" not in box.lab.podman("exec", box.ids()["web"], "busybox", "ls", "/init").stdout
    assert seen(box, "/etc/site.conf") == "one\n" and box.ids()["other"] == before["other"]


def test_an_operators_folder(gateway, box, tmp_path):
    """As secbox-fleet sends it: what the compose file names, and nothing else that lies there."""
    fleet = Fleet(gateway.url, gateway.token, str(tmp_path))
    project = os.path.join(str(tmp_path), "project")
    for path, text in {**FILES, "compose.yml": TEXT, "web/notes.txt": "not named\n", "data/big": "stays\n"}.items():
        os.makedirs(os.path.dirname(os.path.join(project, path)), exist_ok=True)
        with open(os.path.join(project, path), "w", encoding="utf-8") as f:
            f.write(text)
    said = fleet.run("plan", DEVICE, project, check=0)
    assert "create" in said.stdout and "travel with it" in said.stderr, said
    fleet.run("push", DEVICE, project, "--wait", check=0)
    assert [seen(box, path) for path in ("/etc/site.conf", "/init/1.sql", "/tune")] == ["one\n", "create\n", "fast: true\n"]
    assert box.environment("web")["FROM"] == "file" and "big" not in os.listdir(box.path("var/lib/tucomunidad/volumes/data"))
    # the same again is a no-op, and so is its plan
    assert "keep" in fleet.run("plan", DEVICE, project, check=0).stdout
    before = box.ids()
    fleet.run("push", DEVICE, project, "--wait", check=0)
    assert box.ids() == before
    # a plan sees that a file is another
    with open(os.path.join(project, "web/tune.yml"), "w", encoding="utf-8") as f:
        f.write("fast: false\n")
    assert "replace" in fleet.run("plan", DEVICE, project, check=0).stdout
    # without them the box misses what it has to mount
    alone = fleet.run("push", DEVICE, project, "--wait", "--no-files")
    assert alone.returncode == 1 and "compose.file-missing" in alone.stdout + alone.stderr, alone
    # what is secret does not pass through the cloud
    for path, text in {"web/app.env": "DB_PASSWORD=hunter2\n", "web/site.conf": "-----BEGIN PRIVATE KEY-----\n"}.items():
        kept_text = read_text(os.path.join(project, path))
        with open(os.path.join(project, path), "w", encoding="utf-8") as f:
            f.write(text)
        refused = fleet.run("push", DEVICE, project, check=1)
        assert "gather.secret" in refused.stderr and path in refused.stderr and "hunter2" not in refused.stderr, refused
        with open(os.path.join(project, path), "w", encoding="utf-8") as f:
            f.write(kept_text)


def write_project(folder, files):
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        with open(os.path.join(folder, path), "w", encoding="utf-8") as f:
            f.write(text)


def test_on_the_box_itself(box, tmp_path):
    """Without a cloud: what lies beside the file goes along, also what may not pass through one."""
    project = os.path.join(str(tmp_path), "project")
    write_project(project, {**FILES, "compose.yml": TEXT, "web/app.env": "DB_PASSWORD=hunter2\n", "data/big": "stays\n"})
    bundles = "var/lib/tucomunidad/mgmt-agent/bundles"
    planned = box.ctl("plan", project)
    assert planned.returncode == 0 and "file web/site.conf: added" in planned.stdout, planned
    assert kept(box, bundles) == set(), "a plan leaves nothing behind"
    applied = box.ctl("apply", project)
    assert applied.returncode == 0 and "hunter2" not in applied.stdout + applied.stderr, applied
    assert [seen(box, path) for path in ("/etc/site.conf", "/init/1.sql", "/tune")] == ["one\n", "create\n", "fast: true\n"]
    assert box.environment("web")["DB_PASSWORD"] == "hunter2"
    # the same again changes nothing, and leaves no archive
    before = box.ids()
    assert box.ctl("apply", project).returncode == 0 and box.ids() == before and len(kept(box, bundles)) == 1
    again = box.ctl("plan", project)
    assert again.stdout.endswith("nothing would change\n") and "file " not in again.stdout, again
    write_project(project, {"web/site.conf": "two\n", "web/init/2.sql": "insert\n"})
    os.unlink(os.path.join(project, "web/init/1.sql"))
    said = box.ctl("plan", project).stdout
    assert all(f"file {line}\n" in said for line in ("web/site.conf: changed", "web/init/2.sql: added", "web/init/1.sql: removed"))
    assert box.ctl("apply", project).returncode == 0
    assert seen(box, "/etc/site.conf") == "two\n" and box.ids()["other"] == before["other"]
    # the file alone
    alone = box.ctl("apply", "--no-files", project)
    assert alone.returncode == 1 and "compose.file-missing" in alone.stdout + alone.stderr, alone
    assert box.ctl("rollback").returncode == 0 and seen(box, "/etc/site.conf") == "one\n"


def test_a_rollout_brings_them(gateway, box, tmp_path):
    fleet = Fleet(gateway.url, gateway.token, str(tmp_path))
    project = os.path.join(str(tmp_path), "project")
    write_project(project, {**FILES, "compose.yml": TEXT})
    fleet.run("rollout", "start", "--compose", project, "--groups", "100%", "--soak", "0", "--wait", check=0)
    assert seen(box, "/etc/site.conf") == "one\n" and box.environment("web")["FROM"] == "file"


def test_what_nothing_needs_goes(gateway, box):
    assert push(gateway, TEXT, FILES).json["result"]["outcome"] == "done"
    # a push that fails leaves nothing of its own
    failed = push(gateway, TEXT.replace("server:1", "absent:1", 1), {**FILES, "web/site.conf": "never\n"})
    assert failed.json["result"]["outcome"] == "failed", failed
    assert len(kept(box, "var/lib/tucomunidad/mgmt-agent/bundles")) == 1
    assert len(kept(box, "var/lib/tucomunidad/files")) == 3
    # nor does what no rollback returns to: five snapshots are kept
    for i in range(6):
        assert push(gateway, stack() + f"# {i}\n").json["result"]["outcome"] == "done"
    assert kept(box, "var/lib/tucomunidad/mgmt-agent/bundles") == set() and kept(box, "var/lib/tucomunidad/files") == set()


def test_what_is_refused(gateway, box):
    data, digest = archive(FILES)
    # what is not here, what is not what it says, what is no digest
    assert gateway.push(DEVICE, TEXT, bundle={"digest": NOBODY}).json["error"]["id"] == "bundle.not-here"
    assert gateway.push(DEVICE, TEXT, bundle={"digest": "sha256:1"}).json["error"]["id"] == "bundle.bad-digest"
    assert bring(gateway, NOBODY, data)[1]["id"] == "bundle.digest"
    assert bring(gateway, "sha256:1", data)[1]["id"] == "bundle.bad-digest"
    assert too_long(gateway) == 413
    # nobody without a role for it
    viewer = gateway.run("tokens", "add", "--role", "viewer", "looker").strip().split()[-1]
    assert bring(gateway, digest, data, viewer)[0] == 403
    # a box gets what was pushed to it, and an operator is no box
    fetch = f"/device/v1/bundles/{digest}"
    assert gateway.request("GET", fetch).status == 401
    # what a service names and did not come
    missing = push(gateway, TEXT, {k: v for k, v in FILES.items() if k != "web/tune.yml"})
    error = missing.json["result"]["error"]
    assert error["id"] == "compose.file-missing" and "./web/tune.yml" in error["message"], missing
    # an archive that is none
    broken = gzip.compress(b"no archive", mtime=0)
    name = "sha256:" + hashlib.sha256(broken).hexdigest()
    assert bring(gateway, name, broken)[0] == 200
    # what a failing disk has made of one is written anew by the next who brings it
    stored = os.path.join(gateway.state, "bundles", digest.split(":")[1])
    for damage in (b"x" * len(data), data[:10]):
        assert bring(gateway, digest, data)[0] == 200
        with open(stored, "wb") as f:
            f.write(damage)
        assert bring(gateway, digest, data)[0] == 200
        with open(stored, "rb") as f:
            assert f.read() == data
    refused = gateway.push(DEVICE, TEXT, bundle={"digest": name})
    assert refused.json["result"]["error"]["id"] == "bundle.damaged", refused
    assert box.ids() == {} and kept(box, "var/lib/tucomunidad/mgmt-agent/bundles") == set()


def test_a_fetch_goes_on_where_it_was(gateway, box):
    data, digest = archive({**FILES, "web/site.conf": "begun\n"})
    folder = box.path("var/lib/tucomunidad/mgmt-link/bundles")
    os.makedirs(folder, mode=0o700)
    part = os.path.join(folder, digest.split(":")[1] + ".part")
    with open(part, "wb") as f:
        f.write(data[:100])
    assert push(gateway, TEXT, {**FILES, "web/site.conf": "begun\n"}).json["result"]["outcome"] == "done"
    assert seen(box, "/etc/site.conf") == "begun\n" and not os.path.exists(part)
    log = os.path.join(box.logs, "mgmt-link.log")
    assert "are not here yet" not in read_text(log), "what was there was used"
    # what cannot be gone on with is fetched anew
    data, digest = archive({**FILES, "web/site.conf": "anew\n"})
    with open(os.path.join(folder, digest.split(":")[1] + ".part"), "wb") as f:
        f.write(b"something else")
    assert push(gateway, TEXT, {**FILES, "web/site.conf": "anew\n"}).json["result"]["outcome"] == "done"
    assert seen(box, "/etc/site.conf") == "anew\n"
    assert "are not here yet" in read_text(log) and "the files of a push are here" in read_text(log)
    wait_until(lambda: not box.status_pending(), "the push has ended")


MADE = """services:
  web:
    image: localhost/server:1
    stop_grace_period: 1s
    read_only: true
    tmpfs: [/www]
    configs: [{source: app, target: /etc/app.conf}]
    secrets: [db, {source: api, target: /etc/api, uid: "99", gid: "98", mode: 0440}]
  other:
    image: localhost/server:1
    stop_grace_period: 1s
    command: [sleep, "1000"]
    secrets: [owned]
    user: "99"
configs:
  app:
    content: |
      name: ${DEVICE_ID}
      price: $$5
secrets:
  db: {environment: DB_ENTRY}
  api: {file: ./api.txt}
  owned: {environment: DB_ENTRY}
"""


def rights(box, service, path):
    return box.lab.podman("exec", box.ids()[service], "busybox", "stat", "-c", "%a %u %g", path).stdout.strip()


def test_texts_and_secrets(box, tmp_path):
    """What the compose file itself holds, and what is in no container's environment and on nobody's screen."""
    project = os.path.join(str(tmp_path), "project")
    write_project(project, {"compose.yml": MADE, "api.txt": "api-key-of-the-lab\n"})
    own = {k: box.agent_env[k] for k in ("CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP")}
    box.write_env("secbox.env", own)
    lacking = box.ctl("plan", project)
    assert lacking.returncode == 1 and "DB_ENTRY" in lacking.stdout + lacking.stderr, lacking
    box.write_env("secbox.env", {**own, "DB_ENTRY": "first-entry-of-the-lab"})
    box.set_engine("podman-compose")
    shown, applied = box.ctl("plan", project).stdout, box.ctl("apply", project)
    assert applied.returncode == 0, applied
    shown += applied.stdout
    assert seen(box, "/etc/app.conf") == f"name: {DEVICE}\nprice: $5\n" and rights(box, "web", "/etc/app.conf") == "444 0 0"
    assert seen(box, "/run/secrets/db") == "first-entry-of-the-lab" and rights(box, "web", "/run/secrets/db") == "400 0 0"
    assert seen(box, "/etc/api") == "api-key-of-the-lab\n" and rights(box, "web", "/etc/api") == "440 99 98"
    assert rights(box, "other", "/run/secrets/owned").startswith("400 99 ")
    files = box.path("var/lib/tucomunidad/files")
    assert os.stat(files).st_mode & 0o7777 == 0o750 and os.stat(files).st_uid == 0
    assert len(kept(box, "var/lib/tucomunidad/files")) == 4
    before = box.ids()
    # the other engine makes the same
    box.set_engine("libpod")
    assert box.ctl("apply", project).returncode == 0 and box.ids() == before
    # another value is another file: who has it is made anew, and the old one goes
    box.write_env("secbox.env", {**own, "DB_ENTRY": "second-entry-of-the-lab"})
    write_project(project, {"compose.yml": MADE.replace("$$5", "$$6")})
    shown += box.ctl("plan", project).stdout + box.ctl("apply", project).stdout
    assert seen(box, "/run/secrets/db") == "second-entry-of-the-lab" and "price: $6" in seen(box, "/etc/app.conf")
    assert rights(box, "web", "/etc/api") == "440 99 98" and len(kept(box, "var/lib/tucomunidad/files")) == 4
    before = box.ids()
    assert box.ctl("rollback").returncode == 0 and "price: $5" in seen(box, "/etc/app.conf")
    assert box.ids()["other"] == before["other"] and len(kept(box, "var/lib/tucomunidad/files")) == 4
    shown += box.log() + box.ctl("history", "--json").stdout + box.ctl("status", "--json").stdout + str(box.containers())
    for secret in ("first-entry-of-the-lab", "second-entry-of-the-lab", "api-key-of-the-lab"):
        assert secret not in shown


def told_key(gateway):
    return gateway.request("GET", f"/v1/devices/{DEVICE}").json["device"]["sealKey"]


def test_secrets_through_the_cloud(gateway, box, tmp_path):
    """Sealed by the operator, opened by the box, and read by nobody between them."""
    home = os.path.join(str(tmp_path), "home")
    os.makedirs(home)
    fleet, project = Fleet(gateway.url, gateway.token, home), os.path.join(str(tmp_path), "project")
    text = stack("    secrets: [api]\n    configs: [tune]\n",
                 "configs: {tune: {file: ./tune.yml}}\nsecrets: {api: {file: ./api.pem}}\n")
    secret = "-----BEGIN PRIVATE KEY-----\nof the laboratory alone\n"
    write_project(project, {"compose.yml": text, "tune.yml": "fast: true\n", "api.pem": secret})
    assert "create" in fleet.run("plan", DEVICE, project, check=0).stdout
    pushed = fleet.run("push", DEVICE, project, "--wait", check=0)
    assert "secrets sealed" in pushed.stderr and seen(box, "/run/secrets/api") == secret and seen(box, "/tune") == "fast: true\n"
    assert rights(box, "web", "/run/secrets/api") == "400 0 0"
    # the same again makes nothing anew; another one does, and a rollback has the one of before
    before = box.ids()
    assert "replace" not in fleet.run("plan", DEVICE, project, check=0).stdout
    fleet.run("push", DEVICE, project, "--wait", check=0)
    assert box.ids() == before
    write_project(project, {"api.pem": secret.replace("alone", "again")})
    fleet.run("rollout", "start", "--compose", project, "--groups", "100%", "--soak", "0", "--wait", check=0)
    assert "again" in seen(box, "/run/secrets/api") and box.ids()["other"] == before["other"]
    assert gateway.request("POST", f"/v1/devices/{DEVICE}/rollback", {}).json["result"]["outcome"] == "done"
    assert seen(box, "/run/secrets/api") == secret
    # nobody else has seen it
    told = box.log() + gateway.log() + str(box.containers()) + box.ctl("history", "--json").stdout
    for folder in (gateway.state, box.path("var/lib/tucomunidad/mgmt-link"), box.path("var/lib/tucomunidad/mgmt-agent")):
        for path, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(path, name), "rb") as f:
                    data = f.read()
                told += (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode(errors="replace")
    assert "of the laboratory" not in told
    # what is for many boxes, and what would go elsewhere as well
    many = fleet.run("template", "set", "all", project, "--selector", "")
    assert many.returncode == 1 and "gather.secret" in many.stderr, many
    write_project(project, {"compose.yml": text.replace("configs: [tune]", "volumes: ['./api.pem:/etc/api.pem:ro']")})
    twice = fleet.run("push", DEVICE, project, "--wait")
    assert twice.returncode == 1 and "gather.secret" in twice.stderr and "would arrive sealed" in twice.stderr, twice
    # a box that has another key now is not believed
    write_project(project, {"compose.yml": text})
    known = told_key(gateway)
    os.unlink(box.path("var/lib/tucomunidad/mgmt-agent/seal.key"))
    box.agent.stop()
    box.start_agent()
    wait_until(lambda: told_key(gateway) != known, "the box tells its new key")
    other = fleet.run("push", DEVICE, project, "--wait")
    assert other.returncode == 1 and "fleet.seal-key-changed" in other.stderr, other


def test_keys_for_other_boxes_and_older_agents(gateway, box):
    data, digest = archive(FILES)
    bring(gateway, digest, data)
    key, path = "A" * 106 + "A", f"/v1/bundles/{digest}/keys"
    for keys in ({}, {DEVICE: "AAAA"}, {DEVICE: 1}, None):
        assert gateway.request("POST", path, {"keys": keys}).json["error"]["id"] == "bundle.bad-key"
    assert gateway.request("POST", f"/v1/bundles/{NOBODY}/keys", {"keys": {DEVICE: key}}).json["error"]["id"] == "bundle.not-here"
    assert gateway.request("POST", path, {"keys": {"another": key}}).status == 200
    answer = gateway.push(DEVICE, TEXT, bundle={"digest": digest})
    assert answer.status == 400 and answer.json["error"]["id"] == "bundle.no-key", answer
    plan = gateway.request("POST", f"/v1/devices/{DEVICE}/plan", {"compose": TEXT, "bundle": {"digest": digest}})
    assert plan.status == 400 and plan.json["error"]["id"] == "bundle.no-key", plan
    # a key that is none is found out by the box
    assert gateway.request("POST", path, {"keys": {DEVICE: key}}).status == 200
    sealed = gateway.push(DEVICE, TEXT, bundle={"digest": digest})
    assert sealed.json["result"]["error"]["id"] == "bundle.sealed", sealed
    assert box.ids() == {}
