# SPDX-License-Identifier: MIT
"""Two compose projects of one box on a real podman: side by side, and no one at the other's cost."""
import json
import os

from tests.conftest import DEVICE
from tests.integration.test_podman_traps import compose, service
from tests.lab.box import documents
from tests.lab.fleet import Fleet


def text(n, more=""):
    """The same file for both: a server, whose data is in a volume and in a folder."""
    web = f"environment:\n  RELEASE: '{n}'\nvolumes:\n  - kept:/kept\n  - ./data:/data\n{more}"
    return compose(service("web", "server:1", web)) + "volumes:\n  kept: {}\n"


def apply(box, text_of_file, project="blog"):
    return box.project_ctl(project, "apply", box.compose_path(text_of_file))


def shown(lab):
    return {name: c["Id"] for name, c in lab.containers().items()}


def order(box, verb, *args):
    return documents(box.ctl(verb, "--json", *args))[-1]


def folder_exists(box, name):
    return os.path.isdir(box.path(f"var/lib/tucomunidad/volumes/{name}"))


def volumes(lab):
    return set(lab.podman("volume", "ls", "-q").stdout.split())


def test_one_file_as_two_projects(box, lab):
    own = box.apply(text(1))
    assert own["outcome"] == "done", own
    first = apply(box, text(1))
    assert (first["outcome"], first["project"]) == ("done", "blog"), first
    assert set(shown(lab)) == {"secbox_web_1", "blog_web_1"}
    assert {"secbox_kept", "blog_kept"} <= volumes(lab)
    assert folder_exists(box, "data") and folder_exists(box, "blog+data"), "each has a folder of its own"
    untouched = shown(lab)["secbox_web_1"]

    second = apply(box, text(2))
    assert second["outcome"] == "done", second
    assert box.lab.containers()["blog_web_1"]["Config"]["Env"].count("RELEASE=2") == 1
    back = box.project_ctl("blog", "rollback")
    assert back["outcome"] == "done", back
    assert lab.containers()["blog_web_1"]["Config"]["Env"].count("RELEASE=1") == 1
    assert shown(lab)["secbox_web_1"] == untouched

    beside = shown(lab)["blog_web_1"]
    assert box.apply(text(3))["outcome"] == "done"
    assert shown(lab)["blog_web_1"] == beside, "nor is the other one by a push of the box's own"

    assert order(box, "stop", "blog")["ok"]
    assert lab.containers()["blog_web_1"]["State"]["Status"] == "exited"
    assert order(box, "start", "blog")["ok"]
    assert lab.containers()["blog_web_1"]["State"]["Status"] == "running" and shown(lab)["blog_web_1"] == beside
    untouched = shown(lab)["secbox_web_1"]
    assert order(box, "remove", "blog")["ok"]
    assert shown(lab) == {"secbox_web_1": untouched}
    assert {"secbox_kept", "blog_kept"} <= volumes(lab), "volumes stay unless it is said"
    assert "blog_default" not in lab.podman("network", "ls", "--format", "{{.Name}}").stdout.split()
    assert apply(box, text(4))["outcome"] == "done"
    assert order(box, "remove", "blog", "--volumes")["ok"]
    assert "blog_kept" not in volumes(lab) and "secbox_kept" in volumes(lab)
    assert shown(lab) == {"secbox_web_1": untouched}


def test_what_is_one_project_s_is_not_the_other_s(box, lab):
    published = "ports:\n  - '18080:8080'\n"
    assert apply(box, text(1, published))["outcome"] == "done"
    assert order(box, "stop", "blog")["ok"]
    own = box.apply(text(1, "ports:\n  - '127.0.0.1:18080:8080'\n"))
    assert own["error"]["id"] == "preflight.port-in-use" and "take that one from project blog" in own["error"]["message"], own
    named = "volumes:\n  kept:\n    name: blog_kept\n"
    alone = compose(service("web", "server:1", "volumes:\n  - kept:/kept\n"))
    taken = box.apply(alone + named)
    assert taken["error"]["id"] == "preflight.other-project" and "project blog" in taken["error"]["message"], taken
    box.write_policy({"services": {"web": {"allow": ["other_project:blog_kept"]}}})
    assert box.apply(alone + named)["outcome"] == "done", "the owner of the box has said so"
    root = box.path("var/lib/tucomunidad/volumes")
    folder = compose(service("web", "server:1", f"volumes:\n  - '{root}/blog+data:/data'\n"))
    taken = apply(box, folder, "shop")
    assert taken["error"]["id"] == "preflight.other-project", taken
    box.write("etc/tucomunidad/policy.d/shop.json", json.dumps({"services": {"web": {"allow": ["other_project"]}}}))
    assert apply(box, folder, "shop")["outcome"] == "done"
    assert {"secbox_web_1", "blog_web_1", "shop_web_1"} == set(shown(lab))
    assert order(box, "remove", "shop", "--volumes")["ok"]
    kept = order(box, "remove", "blog", "--volumes")
    assert kept["error"]["id"].startswith("podman.") and "blog_kept" in volumes(lab), "a service of another project is on it"
    assert set(shown(lab)) == {"secbox_web_1"}


def test_from_the_cloud_to_a_project_and_back(gateway, fleet_box, folder):
    """Pushes, one of them rolled back, a rollback, its log, its end; the own project's container stays the same."""
    home = os.path.join(folder, "home")
    os.mkdir(home)
    fleet = Fleet(gateway.url, gateway.token, home)
    path = fleet_box.compose_path(compose(service("web")))
    fleet.run("push", "--wait", DEVICE, path, check=0)
    own = fleet_box.lab.containers()["secbox_web_1"]["Id"]
    fleet.run("push", "--wait", DEVICE, path, "--project", "blog", check=0)
    first = fleet_box.lab.containers()["blog_web_1"]["Id"]
    bad = fleet.run("push", "--wait", DEVICE, fleet_box.compose_path(compose(service("web", "crash:1"))), "--project", "blog")
    assert bad.returncode == 1 and fleet_box.lab.containers()["blog_web_1"]["Id"] == first, bad
    path = fleet_box.compose_path(compose(service("web", more="environment:\n  RELEASE: '2'\n")))
    fleet.run("push", "--wait", DEVICE, path, "--project", "blog", check=0)
    fleet.run("rollback", "--wait", DEVICE, "--project", "blog", check=0)
    assert "RELEASE=2" not in fleet_box.lab.containers()["blog_web_1"]["Config"]["Env"]
    assert [(d["kind"], d["state"]) for d in fleet.json("history", DEVICE, "--project", "blog")["deployments"]] == [
        ("rollback", "done"), ("compose", "done"), ("compose", "rolled-back"), ("compose", "done")]
    assert [p["name"] for p in fleet.json("apps", DEVICE)["projects"]] == ["secbox", "blog"]
    fleet.run("logs", DEVICE, "web", "--project", "blog", check=0)
    fleet.run("remove", DEVICE, "blog", check=0)
    assert {name: c["Id"] for name, c in fleet_box.lab.containers().items()} == {"secbox_web_1": own}
