# SPDX-License-Identifier: MIT
"""The projects beside a box's own one are looked after as that one is: new images, what was done by hand, boots; and what is wrong
with one of them is its own. The podman is an imitated one, whose containers may have real processes."""
# pylint: disable=redefined-outer-name,unused-import
import json
import os
import subprocess

import pytest

from tests.integration.imitated import box, cloud, podman  # noqa: F401
from tests.lab.box import documents
from tests.lab.fake_podman import image_id
from tests.lab.imitated_box import STATE, PlayedCloud, compose
from tests.lab.util import wait_until

LOCAL = "    labels: {com.centurylinklabs.watchtower.no-pull: 'true'}\n"
BLOG = "registry.example/blog"


@pytest.fixture
def processes():
    """Those of containers, ended at the end: processes(container) gives it a new one."""
    started = []

    def give(container):
        started.append(subprocess.Popen(["sleep", "3600"]))  # pylint: disable=consider-using-with
        container["State"].update(Status="running", Pid=started[-1].pid)
        return started[-1]
    yield give
    for process in started:
        process.kill()
        process.wait()


def one(tag, service="web", more=LOCAL, image=BLOG):
    return f"services:\n  {service}:\n    image: {image}:{tag}\n    restart: always\n{more}"


def apply(box, text, project="blog"):
    result = box.project_ctl(project, "apply", box.compose_path(text))
    assert result.get("outcome") == "done", result
    return result


def container(box, project="blog", service="web"):
    return box.podman.find(f"{project}_{service}_1")


def bring(box, name, as_if):
    """As by podman tag: the name means another image of this box now."""
    box.podman.images[f"{BLOG}:{as_if}"] = image_id(f"{BLOG}:{as_if}")
    box.podman.images[name] = image_id(f"{BLOG}:{as_if}")


def updates(box, project="blog"):
    return documents(box.ctl("--project", project, "updates", "--json"))[-1]


def update(box, *args, project="blog"):
    return documents(box.ctl("--project", project, "update", "--json", *args))


def results(said):
    return [m for m in said if m.get("type") == "compose.result"]


def apps(box):
    return {p["name"]: p for p in documents(box.ctl("apps", "--json"))[-1]["projects"]}


def watched(box, project="blog", service="web"):
    return next((s for s in box.project_ctl(project, "status").get("watched", []) if s["name"] == service), {})


def wait_watched(box, state, project="blog"):
    try:
        wait_until(lambda: watched(box, project).get("state") == state, f"{project} is {state}", box.agent.death)
    except Exception as e:
        raise AssertionError(f"{box.project_ctl(project, 'status')}\n{box.log()[-3000:]}") from e


def test_new_images_are_found_taken_and_told_for_each_project(box):
    assert box.apply(one(1))["outcome"] == "done"
    apply(box, one(1))
    own = container(box, "secbox")["Id"]
    assert [s["service"] for s in updates(box)["services"]] == ["web"] and updates(box)["project"] == "blog"
    bring(box, f"{BLOG}:1", 2)
    said = update(box, "web")
    assert [(r["outcome"], r["project"], r["kind"]) for r in results(said)] == [("done", "blog", "update")], said
    assert container(box)["Image"] == image_id(f"{BLOG}:2")
    assert container(box, "secbox")["Id"] == own, "the same image in another project waits for its own watcher"
    assert box.project_ctl("blog", "history")["entries"][0]["kind"] == "update"
    assert [e.get("kind") for e in box.history()["entries"]] == [None]
    told = box.project_ctl("blog", "history")["entries"][0]["id"]
    cloud = PlayedCloud(box)
    cloud.connect()
    assert cloud.play(lambda: told in cloud.results), "the cloud hears of it"
    assert cloud.results[told]["project"] == "blog"
    cloud.close()


def test_an_update_that_is_not_proved_is_taken_back_and_remembered_by_its_project(box):
    assert box.apply(one(1))["outcome"] == "done"
    apply(box, one(1))
    box.podman.bad.add(image_id(f"{BLOG}:2"))
    bring(box, f"{BLOG}:1", 2)
    said = results(update(box, "web"))
    assert [(r["outcome"], r["project"]) for r in said] == [("rolled-back", "blog")], said
    assert container(box)["Image"] == image_id(f"{BLOG}:1") and container(box)["State"]["Status"] == "running"
    assert len(updates(box)["failed"]) == 1 and not updates(box, "secbox")["failed"]
    assert not results(update(box, "web")), "it is not tried again by itself"


def test_an_update_and_its_way_back_by_the_services_name(box):
    apply(box, one(1))
    bring(box, f"{BLOG}:1", 2)
    assert results(update(box))[0]["outcome"] == "done"
    back = update(box, "--undo", "web")
    assert (results(back)[0]["outcome"], results(back)[0]["project"]) == ("done", "blog"), back
    assert container(box)["Image"] == image_id(f"{BLOG}:1")
    assert update(box, "--undo", "web", project="shop")[-1]["error"]["id"] == "project.unknown"
    assert update(box, "db")[-1]["error"]["id"] == "update.no-service"


def test_a_hold_is_of_one_project_and_that_of_the_box_of_all(box):
    apply(box, one(1))
    apply(box, one(1), "shop")
    bring(box, f"{BLOG}:1", 2)
    assert "lock" in update(box, "--lock", "a disk is replaced")[-1]
    assert "lock" not in updates(box, "shop") and "lock" not in updates(box, "secbox")
    assert results(update(box, "web"))[0]["error"]["id"] == "update.locked"
    assert results(update(box, "web", project="shop"))[0]["outcome"] == "done"
    assert "lock" not in update(box, "--unlock")[-1]
    assert "lock" in update(box, "--lock", "all of it", project="secbox")[-1]
    assert "all of it" in updates(box)["lock"]
    assert results(update(box, "web"))[0]["error"]["id"] == "update.locked"
    assert container(box)["Image"] == image_id(f"{BLOG}:1")


def test_an_order_of_the_cloud_is_about_one_project(box, cloud):
    assert cloud.result(one(1))["outcome"] == "done"
    assert cloud.result(one(1), project="blog")["outcome"] == "done"
    own = container(box, "secbox")["Id"]
    digest = "sha256:" + "5" * 64
    wanted = cloud.begin_update(f"{BLOG}:1", digest, project="blog")
    assert cloud.play(lambda: wanted in cloud.results)
    result = cloud.results[wanted]
    assert (result["outcome"], result["project"], [u["service"] for u in result["updates"]]) == ("done", "blog", ["web"]), result
    assert container(box, "secbox")["Id"] == own
    wanted = cloud.begin_update(f"{BLOG}:1", digest, project="Not/one")
    assert cloud.play(lambda: wanted in cloud.results)
    assert cloud.results[wanted]["error"]["id"] == "project.bad-name" and container(box, "secbox")["Id"] == own


def give_process(box, processes):
    """A new agent takes the container of blog's web for one with a process of its own: the real one is ended by its killer."""
    process = processes(container(box))
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
        ticks = f.read().rsplit(")", 1)[1].split()[19]
    box.agent.kill()
    current = box.state("projects/blog/current.json")
    for service in current["services"]:
        service.update(pid=process.pid, startTicks=type(service["startTicks"])(int(ticks)))
    box.write(f"{STATE}/projects/blog/current.json", json.dumps(current))
    box.start_agent()
    return process


def kill(process):
    process.kill()
    process.wait()


def test_what_is_down_is_brought_back_in_its_project(box, processes):
    assert box.apply(compose(1))["outcome"] == "done"
    apply(box, one(1))
    process = give_process(box, processes)
    container(box)["State"].update(Status="created", ExitCode=1, Pid=0)
    kill(process)
    wait_until(lambda: container(box)["State"]["Status"] == "running", "it is started again", box.agent.death)
    wait_until(lambda: watched(box).get("trouble", {}).get("until"), "its trouble is over", box.agent.death)
    assert watched(box)["trouble"]["what"] == "down" and "Service web is down" in box.log()
    assert all("trouble" not in s for s in box.status()["watched"]), "none of the box's own was"
    assert box.state("projects/blog/services.json")["services"][0]["name"] == "web"


def test_what_somebody_has_removed_is_told_in_its_project(box, processes):
    assert box.apply(compose(1))["outcome"] == "done"
    apply(box, one(1))
    process = give_process(box, processes)
    del box.podman.containers[container(box)["Id"]]
    kill(process)
    wait_watched(box, "stopped by hand")
    assert "blog/web since" in box.ctl("doctor").stdout
    apply(box, one(1))
    assert container(box)["State"]["Status"] == "running", "a push puts it right"
    wait_watched(box, "running")


def test_what_was_given_another_image_by_hand_is_gone_on_from(box, processes):
    apply(box, one(1))
    process = give_process(box, processes)
    container(box)["Image"] = image_id(f"{BLOG}:7")
    container(box)["State"]["Pid"] = os.getpid()
    kill(process)
    wait_until(lambda: box.state("projects/blog/current.json")["services"][0]["imageId"] == image_id(f"{BLOG}:7"),
               "what runs is the truth", box.agent.death)


def test_a_stopped_project_is_no_drift(box):
    apply(box, one(1))
    wait_watched(box, "running")
    assert documents(box.ctl("stop", "--json", "blog"))[-1]["ok"]
    assert box.project_ctl("blog", "status")["watched"] == [], "nothing of it is to run"
    assert "blog/web" not in box.ctl("doctor").stdout
    assert update(box, "web")[-1]["error"]["id"] == "project.stopped"
    assert documents(box.ctl("start", "--json", "blog"))[-1]["ok"]
    wait_watched(box, "running")


def boot(box):
    """As after one: nothing runs, and the agent has not seen it."""
    box.agent.kill()
    for c in box.podman.containers.values():
        c["State"].update(Status="exited", Pid=0)
    os.unlink(box.path("run/tucomunidad/boot"))


def test_a_broken_project_keeps_no_other_from_coming_up(box):
    assert box.apply(compose(1))["outcome"] == "done"
    apply(box, one(1))
    apply(box, one(1), "shop")
    boot(box)
    box.write(f"{STATE}/projects/blog/current.json", "{")
    box.start_agent()
    for project, service in (("secbox", "a"), ("secbox", "b"), ("shop", "web")):
        wait_until(lambda p=project, s=service: container(box, p, s)["State"]["Status"] == "running",
                   f"{service} of {project} runs", box.agent.death)
    assert container(box)["State"]["Status"] == "exited"
    wait_until(lambda: "Not all of project blog runs again" in box.log(), "the fault has a name", box.agent.death)
    # nothing of the box's own waits for the other tries
    bring(box, f"{BLOG}:1", 2)
    assert results(update(box, "web", project="shop"))[0]["outcome"] == "done"
    assert documents(box.ctl("remove", "--json", "blog"))[-1]["ok"], "what cannot be read can be removed"
    assert set(apps(box)) == {"secbox", "shop"}


def test_the_mounts_of_the_box_are_looked_at_once_a_boot(box):
    assert box.apply(compose(1))["outcome"] == "done"
    for project in ("blog", "shop"):
        apply(box, one(1), project)
    boot(box)
    box.podman.asked.clear()
    box.start_agent()
    wait_until(lambda: all(c["State"]["Status"] == "running" for c in box.podman.containers.values()), "all runs", box.agent.death)
    wait_until(lambda: os.path.exists(box.path("run/tucomunidad/boot")), "the boot is done", box.agent.death)
    starting = box.podman.asked[:max(i for i, (_, path) in enumerate(box.podman.asked) if path.endswith("/start"))]
    # a look at the mounts asks twice, and what was started in a project is noted with one more
    assert starting.count(("GET", "/containers/json")) <= 2 + 3, starting


def test_what_was_removed_leaves_the_list_and_its_history_stays(box):
    apply(box, one(1))
    assert set(apps(box)) == {"secbox", "blog"}
    assert documents(box.ctl("remove", "--json", "blog"))[-1]["ok"]
    assert set(apps(box)) == {"secbox"}
    assert [e.get("kind") for e in box.project_ctl("blog", "history")["entries"]] == ["remove", None]
    assert updates(box)["error"]["id"] == "project.unknown"
    assert documents(box.ctl("remove", "--json", "--volumes", "blog"))[-1]["ok"], "its volumes may go later"
    apply(box, one(2))
    assert set(apps(box)) == {"secbox", "blog"}
    assert [e.get("kind") for e in box.project_ctl("blog", "history")["entries"]] == [None, "remove", "remove", None]


def test_a_box_takes_so_many_projects_and_no_more(box):
    for n in range(31):
        os.makedirs(box.path(f"{STATE}/projects/p{n}"), mode=0o700)
    apply(box, one(1))
    refused = box.project_ctl("shop", "apply", box.compose_path(one(1)))
    assert (refused["error"]["id"], refused["status"]) == ("project.too-many", 409), refused
    assert box.project_ctl("shop", "plan", box.compose_path(one(1)))["error"]["id"] == "project.too-many"
    assert not os.path.exists(box.path(f"{STATE}/projects/shop"))
    apply(box, one(2))
    assert documents(box.ctl("remove", "--json", "p0"))[-1]["ok"]
    apply(box, one(1), "shop")


def test_what_was_kept_can_be_gone_back_to_though_a_push_of_it_is_refused(box):
    """As an earlier version took it, which did not know what is wrong with it."""
    was = "deploy: {restart_policy: {max_attempts: 3}}"
    refused = box.project_ctl("blog", "apply", box.compose_path(one(1).replace("restart: always", was)))
    assert "max_attempts" in refused["error"]["message"], refused
    first = apply(box, one(1))
    apply(box, one(2))
    kept = f"projects/blog/snapshots/{first['version']}.json"
    snapshot = json.dumps(box.state(kept))
    assert "restart: always" in snapshot
    box.write(f"{STATE}/{kept}", snapshot.replace("restart: always", was))
    back = box.project_ctl("blog", "rollback")
    assert (back["outcome"], back["kind"]) == ("done", "rollback"), back
    assert container(box)["Image"] == image_id(f"{BLOG}:1")
    assert container(box)["HostConfig"]["RestartPolicy"]["Name"] == "always"
    bring(box, f"{BLOG}:1", 3)
    assert results(update(box, "web"))[0]["outcome"] == "done", "and it gets new images"


def test_no_agent_is_updated_while_a_project_s_change_is_under_way(box, cloud):
    """An older agent, which may be put back, would take the journal for one of the box's own project."""
    assert cloud.result(compose(1))["outcome"] == "done"
    cloud.confirms = False
    pushed = cloud.begin(one(1), project="blog")
    assert cloud.play(lambda: box.journal()["state"] == "confirming")
    assert box.journal()["projectName"] == "blog"
    asked = cloud.begin_agent_update("9.9.9")
    assert cloud.play(lambda: asked in cloud.results)
    assert (cloud.results[asked]["error"]["id"], cloud.results[asked]["status"]) == ("deploy.busy", 409)
    cloud.confirms = True
    cloud.come_up()
    assert cloud.play(lambda: pushed in cloud.results) and cloud.results[pushed]["outcome"] == "done"
