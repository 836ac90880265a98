# SPDX-License-Identifier: MIT
"""Several compose projects on one box: what each has for itself, what is the box's, and what becomes of a change that is cut off.
The podman is an imitated one; tests/system/test_projects.py has a real one."""
# pylint: disable=redefined-outer-name,unused-import
import json
import os
import stat

import pytest

from tests.integration.imitated import box, cloud, podman  # noqa: F401
from tests.lab.box import documents
from tests.lab.fake_podman import image_id
from tests.lab.imitated_box import STATE, compose
from tests.lab.util import wait_until


def one(tag, service="web", more=""):
    return f"services:\n  {service}:\n    image: registry.example/blog:{tag}\n    restart: always\n{more}"


def blog_image(tag):
    return image_id(f"registry.example/blog:{tag}")


def apply(box, text, project="blog"):
    return box.project_ctl(project, "apply", box.compose_path(text))


def names(box):
    return {c["Name"]: c["Id"] for c in box.podman.containers.values()}


def apps(box):
    return {p["name"]: p for p in documents(box.ctl("apps", "--json"))[-1]["projects"]}


def refusal(answer):
    assert "error" in answer, answer
    return answer["error"]


def test_two_projects_side_by_side(box):
    assert box.apply(compose(1))["outcome"] == "done"
    own = names(box)
    first = apply(box, one(1))
    assert (first["outcome"], first["project"]) == ("done", "blog"), first
    assert set(names(box)) == {"secbox_a_1", "secbox_b_1", "blog_web_1"}
    second = apply(box, one(2))
    assert second["outcome"] == "done", second
    assert box.podman.find("blog_web_1")["Image"] == blog_image(2)
    back = box.project_ctl("blog", "rollback")
    assert (back["outcome"], back["kind"]) == ("done", "rollback"), back
    assert box.podman.find("blog_web_1")["Image"] == blog_image(1)
    assert {name: i for name, i in names(box).items() if name in own} == own, "the other is not touched by any of this"


def test_each_has_a_history_and_a_version_of_its_own(box):
    own = box.apply(compose(1))
    blog = apply(box, one(1))
    assert [e["version"] for e in box.history()["entries"]] == [own["version"]]
    assert [e["version"] for e in box.project_ctl("blog", "history")["entries"]] == [blog["version"]]
    listed = apps(box)
    assert (listed["secbox"]["version"], listed["blog"]["version"]) == (own["version"], blog["version"])
    assert [s["name"] for s in listed["blog"]["services"]] == ["web"]
    status = box.project_ctl("blog", "status")
    assert status["project"] == "blog" and status["current"]["version"] == blog["version"], status
    assert box.status()["current"]["version"] == own["version"]
    text = box.ctl("apps").stdout
    assert "web: running" in text and "PROJECT" in text


def test_the_own_projects_files_are_where_they_were(box):
    assert box.apply(compose(1))["outcome"] == "done"
    before = {name: box.state(name) for name in ("current.json", "history.jsonl")}
    assert apply(box, one(1))["outcome"] == "done"
    assert {name: box.state(name) for name in before} == before
    assert box.state("projects/blog/current.json")["name"] == "blog"
    for folder in ("projects", "projects/blog", "projects/blog/snapshots"):
        assert stat.S_IMODE(os.stat(box.path(f"{STATE}/{folder}")).st_mode) == 0o700
    assert "projectName" not in (box.journal() if box.apply(compose(2)) else {}), "an older agent finds what it knows"


def test_a_file_s_name_is_its_project(box):
    named = f"name: blog\n{one(1)}"
    assert apply(box, named, "secbox")["outcome"] == "done"
    said = box.ctl("apply", box.compose_path(f"name: blog\n{one(2)}"))
    assert "blog" not in apps(box), "it was the box's own, and stays that"
    assert "stays the box's own project" in said.stderr
    assert apply(box, compose(1), "secbox")["outcome"] == "done"
    said = box.ctl("apply", box.compose_path(named))
    assert "the project blog of this box" in said.stderr
    assert set(names(box)) == {"secbox_a_1", "secbox_b_1", "blog_web_1"}
    planned = documents(box.ctl("plan", "--json", box.compose_path(f"name: blog\n{one(2)}")))[-1]
    assert planned["plan"]["changes"] == 1, planned


@pytest.mark.parametrize("name", ["../x", "A", "-x", "_x", "x" * 41, "a/b", "a.b", ".", ""])
def test_names_are_composes(box, name):
    answer = apply(box, one(1), name)
    assert refusal(answer)["id"] == "project.bad-name", answer
    assert not os.path.exists(box.path(f"{STATE}/projects"))


def test_its_own_name_means_the_own_project(box):
    assert "project" not in apply(box, compose(1), "secbox")
    assert set(names(box)) == {"secbox_a_1", "secbox_b_1"}
    for verb in ("stop", "remove"):
        assert refusal(documents(box.ctl(verb, "--json", "secbox"))[-1])["id"] == "project.own"
    assert box.running_images().keys() == {"a", "b"}


def test_a_cloud_s_push_of_a_project_is_confirmed_like_any_other(box, cloud):
    assert cloud.result(compose(1))["outcome"] == "done"
    result = cloud.result(one(1), project="blog")
    assert (result["outcome"], result["project"]) == ("done", "blog"), result
    box.podman.bad.add(blog_image(2))
    result = cloud.result(one(2), project="blog")
    assert (result["outcome"], result["project"]) == ("rolled-back", "blog"), result
    assert box.podman.find("blog_web_1")["State"]["Status"] == "running"


def test_what_nobody_confirms_is_taken_back_over_a_restart(box, cloud):
    assert cloud.result(compose(1))["outcome"] == "done"
    assert cloud.result(one(1), project="blog")["outcome"] == "done"
    own = {name: i for name, i in names(box).items() if name.startswith("secbox")}
    cloud.confirms = False
    pushed = cloud.begin(one(2), project="blog")
    assert cloud.play(lambda: box.journal()["state"] == "confirming")
    assert box.journal()["projectName"] == "blog"
    box.agent.kill()
    box.let_deadline_pass()
    box.start_agent()
    cloud.connect()
    assert cloud.play(lambda: pushed in cloud.results)
    assert cloud.results[pushed]["outcome"] == "rolled-back" and cloud.results[pushed]["project"] == "blog"
    assert box.podman.find("blog_web_1")["Image"] == blog_image(1)
    assert box.state("projects/blog/current.json")["version"] == "2"
    assert box.state("current.json")["version"] == "1"
    assert {name: i for name, i in names(box).items() if name.startswith("secbox")} == own


def test_the_guard_takes_it_back_when_the_agent_is_dead(box, cloud):
    assert cloud.result(one(1), project="blog")["outcome"] == "done"
    cloud.confirms = False
    cloud.begin(one(2), project="blog")
    assert cloud.play(lambda: box.journal()["state"] == "confirming")
    box.agent.kill()
    box.let_deadline_pass()
    guard = box.start_guard()
    wait_until(lambda: box.journal()["state"] == "idle", "the guard has taken it back")
    guard.stop()
    assert box.podman.find("blog_web_1")["Image"] == blog_image(1)
    with open(box.path(f"{STATE}/projects/blog/history.jsonl"), encoding="utf-8") as f:
        assert json.loads(f.readlines()[-1])["takenBackBy"] == "change-guard"
    assert not os.path.exists(box.path(f"{STATE}/history.jsonl"))


def test_stop_start_remove(box):
    assert box.apply(compose(1))["outcome"] == "done"
    own = names(box)
    assert apply(box, one(1))["outcome"] == "done"
    assert documents(box.ctl("stop", "--json", "blog"))[-1]["ok"]
    assert box.podman.find("blog_web_1")["State"]["Status"] == "exited"
    assert apps(box)["blog"]["stopped"] is True
    assert documents(box.ctl("start", "--json", "blog"))[-1]["ok"]
    assert box.podman.find("blog_web_1")["State"]["Status"] == "running" and "stopped" not in apps(box)["blog"]
    assert documents(box.ctl("restart", "--json", "blog"))[-1]["ok"]
    assert documents(box.ctl("remove", "--json", "blog"))[-1]["ok"]
    assert names(box) == own
    assert [e.get("kind") for e in box.project_ctl("blog", "history")["entries"]] == ["remove", "restart", "start", "stop", None]
    assert not os.path.exists(box.path(f"{STATE}/projects/blog/current.json"))
    assert refusal(documents(box.ctl("start", "--json", "blog"))[-1])["id"] == "project.nothing"
    assert refusal(documents(box.ctl("stop", "--json", "shop"))[-1])["id"] == "project.unknown"
    assert apply(box, one(2))["outcome"] == "done", "and it can come back"


def test_a_restart_that_is_cut_off_leaves_nothing_stopped(box):
    assert apply(box, one(1))["outcome"] == "done"
    box.podman.unstoppable.add("blog_web_1")
    refusal(documents(box.ctl("restart", "--json", "blog"))[-1])
    assert "stopped" not in apps(box)["blog"], "a boot would start it"
    refusal(documents(box.ctl("stop", "--json", "blog"))[-1])
    assert apps(box)["blog"]["stopped"] is True, "what is to be stopped stays so over a boot"


def test_images_in_a_full_store_beside_podmans_own_are_no_reason_to_refuse(box):
    """As in one that is read only (additionalimagestores): what is made goes elsewhere."""
    box.podman.images["registry.example/blog:1"] = blog_image(1)
    box.podman.image_store = "/proc"  # of which no byte is free
    assert apply(box, one(1))["outcome"] == "done"


def test_a_roomy_store_beside_podmans_own_does_not_hide_that_its_own_is_full(box):
    box.podman.images["registry.example/blog:1"] = blog_image(1)
    box.podman.image_store = box.root
    box.podman.store = "/proc"
    conf = box.write("storage.conf", f'[storage.options]\nadditionalimagestores = [\n  # read only\n  "{box.root}",\n]\n')
    box.agent.kill()
    box.process_env["CONTAINERS_STORAGE_CONF"] = conf
    box.start_agent()
    assert refusal(apply(box, one(1)))["id"] == "preflight.no-space"


def test_powers_are_allowed_for_each_project(box):
    power = "    cap_add: [NET_ADMIN]\n"
    box.write_policy({"services": {"web": {"allow": ["cap_add"]}}})
    error = refusal(apply(box, one(1, more=power)))
    assert error["id"] == "policy.refused" and "policy.d/blog.json" in error["message"], error
    box.write("etc/tucomunidad/policy.d/blog.json", json.dumps({"services": {"web": {"allow": ["cap_add"]}}}))
    assert "policy" not in str(apply(box, one(1, more=power)).get("error", {}).get("id", ""))


def test_the_boxs_word_on_images_holds_for_all_projects(box):
    box.write_policy({"images": ["localhost/"]})
    assert refusal(apply(box, one(1)))["id"] == "policy.image-not-allowed"
    box.write("etc/tucomunidad/policy.d/blog.json", json.dumps({"images": ["registry.example/"]}))
    assert apply(box, one(1))["outcome"] == "done", "unless the owner has said otherwise for one"
    assert refusal(apply(box, one(1), "shop"))["id"] == "policy.image-not-allowed"


def test_no_service_of_another_project_gets_the_heartbeat_folders(box):
    for service, folder in (("secbox", "secbox"), ("web", "services/web")):
        mount = f"    volumes: ['/run/tucomunidad/{folder}:/run/secbox']\n"
        error = refusal(apply(box, one(1, service, mount)))
        assert error["id"] == "policy.bind-outside", error
