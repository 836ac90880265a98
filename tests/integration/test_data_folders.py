# SPDX-License-Identifier: MIT
"""Folders for data: where relative sources of mounts lie on a box, whose they are, and that no container decides it."""
import json
import os

from tests.integration.test_podman_traps import compose, service
from tests.lab.util import read_text, wait_until

SECRET = "only for root of the host"
GRACE = "stop_grace_period: 1s\n"


def sh(script):
    return f"command: {json.dumps(['sh', '-c', script])}\n"


def volumes(*mounts):
    return f"volumes: {json.dumps(list(mounts))}\n"


def logs(box, name):
    found = box.containers().get(name)
    return box.lab.podman("logs", found["Id"]).stdout if found else ""


def test_relative_folders_lie_directly_in_the_folder_of_the_volumes(box):
    base = box.path("var/lib/tucomunidad/volumes")
    write = sh("echo mine > /data/file; sleep 1000")
    db = service("db", more=GRACE + write + 'user: "1234:1235"\n' + volumes("./data/db:/data"))
    media = service("media", more=GRACE + write + volumes("./data/media:/data", "./data/db:/db:ro"))
    plan = box.ctl("plan", box.compose_path(compose(db, media)))
    assert plan.returncode == 0 and os.listdir(base) == [], "a plan makes nothing"
    assert f"new service; makes {base}/data+db\n" in plan.stdout, plan
    result = box.apply(compose(db, media))
    assert result["status"] == 200, result
    assert sorted(os.listdir(base)) == ["data+db", "data+media"]
    owners = {name: (os.stat(f"{base}/{name}").st_uid, os.stat(f"{base}/{name}").st_gid) for name in os.listdir(base)}
    assert owners == {"data+db": (1234, 1235), "data+media": (0, 0)}
    for name in owners:
        wait_until(lambda n=name: os.path.exists(f"{base}/{n}/file"), f"{name} has been written to")
    # neither what takes a service away nor what fails takes its data along
    assert box.apply(compose(media))["status"] == 200
    failed = box.apply(compose(media, service("new", "crash:1", more=GRACE + volumes("./new:/data"))))
    assert failed["outcome"] == "rolled-back", failed
    assert sorted(os.listdir(base)) == ["data+db", "data+media", "new"]
    assert read_text(f"{base}/data+db/file") == "mine\n"


def test_a_relative_file_has_to_be_brought(box):
    base = box.path("var/lib/tucomunidad/volumes")
    stack = compose(service("web", more=GRACE + sh("cat /etc/web.conf; sleep 1000") + volumes("./web/web.conf:/etc/web.conf:ro")))
    refused = box.apply(stack)
    assert refused["error"]["id"] == "preflight.bind-missing", refused
    assert f"{base}/web+web.conf" in refused["error"]["message"] and "put the file there" in refused["error"]["message"]
    assert os.listdir(base) == [] and box.ids() == {}
    box.write("var/lib/tucomunidad/volumes/web+web.conf", "brought\n")
    assert box.apply(stack)["status"] == 200
    wait_until(lambda: "brought" in logs(box, "web"), "the service reads it")


def test_no_container_decides_where_a_relative_folder_is(box):
    """What is in a container's own folder counts as data that must not be hidden, and is never mounted for that."""
    base = box.path("var/lib/tucomunidad/volumes")
    secret = box.write("var/lib/secret/file", SECRET)
    attack = f"busybox ln -s {os.path.dirname(secret)} /data/link; busybox mkdir -p /data/real; sleep 1000"
    attacker = service("attacker", more=GRACE + sh(attack) + volumes("./x:/data"))
    assert box.apply(compose(attacker))["status"] == 200
    wait_until(lambda: os.path.isdir(f"{base}/x/real"), "both are there")
    victim = sh("cat /data/file; sleep 1000")
    for name in ("link", "real"):
        text = compose(service("victim", more=GRACE + victim + volumes(f"./x/{name}:/data")))
        refused = box.apply(text)
        assert refused["error"]["id"] == "policy.bind-outside" and f"{base}/x/{name}" in refused["error"]["message"], refused
    # nor where the owner has named it: the container that could change it still runs, or what it left behind is a link
    box.write_policy({"services": {"victim": {"bind": [f"{base}/x/link", f"{base}/x/real"]}}})
    for name, error in (("real", "preflight.bind-overlap"), ("link", "preflight.bind-link")):
        refused = box.apply(compose(service("victim", more=GRACE + victim + volumes(f"./x/{name}:/data"))))
        assert refused["error"]["id"] == error, refused
    assert box.running() == {"attacker"}
    assert box.apply(compose(service("other", more=GRACE)))["status"] == 200
    refused = box.apply(compose(service("victim", more=GRACE + victim + volumes("./x/link:/data"))))
    assert refused["error"]["id"] == "preflight.bind-link" and box.running() == {"other"}, refused
    # what the owner has brought directly goes before
    os.mkdir(f"{base}/x+link")
    assert box.apply(compose(service("victim", more=GRACE + volumes("./x/link:/data"))))["status"] == 200
    assert {m["Source"] for m in box.containers()["victim"]["Mounts"]} == {f"{base}/x+link"}
