# SPDX-License-Identifier: MIT
"""What happens to what a box keeps and reads: files that vanish or change in the middle of a push, that are not what they should
be, that are damaged, on a disk that takes nothing any more; and images that a power cut has emptied."""
# pylint: disable=redefined-outer-name,unused-import
import contextlib
import json
import os
import shutil
import stat
import subprocess

import pytest

from tests.integration.imitated import box, cloud, podman  # noqa: F401
from tests.lab.box import documents
from tests.lab.imitated_box import SERVICES, STATE, ImitatedBox, PlayedCloud, compose, wanted_image
from tests.lab.preload import preloaded
from tests.lab.util import read_text

ENV = "etc/tucomunidad/secbox.env"
KEPT = ("journal.json", "current.json", "floor.json", "history.jsonl", "snapshots", "services.json", "updates.json",
        "updates-failed.json", "pulled-images.json", "pulling.json", "reported.json", "reserve")
# what every push writes
WRITTEN = ("journal.json", "current.json", "floor.json", "history.jsonl")


def runs(box, tag):
    assert box.running_images() == {name: wanted_image(tag) for name in SERVICES}


def pushed(box, cloud, tag):
    result = cloud.result(compose(tag))
    assert result["outcome"] == "done", result
    runs(box, tag)


def told(tag):
    """A file in which the environment shows."""
    return compose(tag).replace("restart: always", "restart: always\n    environment:\n      TOLD: ${TOLD}\n      ID: ${DEVICE_ID}")


def environments(box):
    return {tuple(sorted(e for e in c["Config"]["Env"] if e.split("=")[0] in ("TOLD", "ID")))
            for c in box.podman.containers.values()}


# behind the four lines of a good file: what is added, the error, and its line
BAD_LINES = {
    "nul": (b"X=a\0b\n", "env.not-utf8", 5),
    "latin-1": (b"\nX=caf\xe9\n", "env.not-utf8", 6),
    "bom in the middle": (b"\xef\xbb\xbfX=1\n", "env.syntax", 5),
    "twice": (b"DEVICE_ID=2\n", "env.duplicate-key", 5),
    "loader": (b"LD_PRELOAD=/tmp/x.so\n", "env.dangerous-key", 5),
    "loader, exported": (b"export LD_PRELOAD=/tmp/x.so\n", "env.dangerous-key", 5),
    "path": (b"X=1\nPATH=/tmp\n", "env.dangerous-key", 6),
    "compose": (b"COMPOSE_FILE=/tmp/x\n", "env.dangerous-key", 5),
    "open quote": (b"X='1\nY=2\n", "env.syntax", 5),
    "escape": (b"X=\x1b[0m\n", "env.control-character", 5),
    "a line of 1 MB": (b"X=" + b"a" * (1 << 20) + b"\n", "env.unreadable", None),
}


def test_f04_what_secbox_env_may_not_hold(box, cloud):
    """And what other editors and docker compose make of such a file is taken for what they mean."""
    pushed(box, cloud, 1)
    before = box.container_ids()
    path = box.path(ENV)
    with open(path, "rb") as f:
        good = f.read()
    assert good.count(b"\n") == 4

    def push_with(text, tag=2):
        with open(path, "wb") as f:
            f.write(text)
        return cloud.result(compose(tag).replace("restart: always", "restart: always\n    environment:\n      X: ${X:-}"))

    for name, (text, identifier, line) in BAD_LINES.items():
        result = push_with(good + text)
        error = result.get("error", {})
        assert (name, result["outcome"], error.get("id"), error.get("line")) == (name, "failed", identifier, line), result
        assert box.container_ids() == before
    for name, (text, wanted) in {"crlf": (good.replace(b"\n", b"\r\n") + b"X=1\r\n", "1"), "bom": (b"\xef\xbb\xbf" + good, ""),
                                 "export": (good + b"export X=2\n", "2"), "quotes": (good + b"X='a b'\n", "a b"),
                                 "what is no command": (good + b"X=$(id)\n", "$(id)")}.items():
        result = push_with(text)
        assert result["outcome"] == "done", (name, result)
        assert {tuple(c["Config"]["Env"]) for c in box.podman.containers.values()} == {(f"X={wanted}",)}, name


@pytest.mark.parametrize("change", ["vanishes", "changes"])
def test_f02_an_env_file_in_the_middle_of_a_push(box, cloud, change):
    """At each question to podman, of which the first comes when the file has been read."""
    pushed(box, cloud, 1)
    path, good = box.path(ENV), read_text(box.path(ENV))
    number, tag = 1, 1
    while True:
        box.write(ENV, f"{good}TOLD={number}\n")
        begun, seen = len(box.podman.asked), []

        def fault(*_):
            if len(box.podman.asked) == begun + number:  # pylint: disable=cell-var-from-loop
                seen.append(True)  # pylint: disable=cell-var-from-loop
                if change == "vanishes":
                    os.unlink(path)
                else:
                    box.write(ENV, "DEVICE_ID=another\nCLOUD_BASE_URL=https://other.example\nTOLD=another\n")

        box.podman.before_answer = fault
        tag = 3 - tag
        result = cloud.result(told(tag))
        box.podman.before_answer = None
        if not seen:
            break
        assert result["outcome"] == "done", result
        runs(box, tag)
        assert environments(box) == {("ID=caseta5", f"TOLD={number}")}
        number += 3
    assert number > 10


def test_f15_f16_what_a_power_cut_left_of_a_pull(box, cloud):
    """Podman takes it for an image that is there, and what it is to run is not in it."""
    pushed(box, cloud, 1)
    mark = box.path(f"{STATE}/pulling.json")
    seen = []

    def cut(method, path):
        if path.endswith("/images/pull"):
            seen.append(json.loads(read_text(mark)))

    box.podman.before_answer = cut
    box.podman.bad.add(wanted_image(2))
    assert cloud.result(compose(2))["outcome"] == "rolled-back"
    box.podman.before_answer = None
    image = "registry.example/server:2"
    assert seen and seen[0]["images"] == [image] * len(SERVICES), "it is marked before podman is asked"
    assert not os.path.exists(mark), "what is on disk needs no mark"

    # the power goes before the store is on disk
    box.podman.bad.clear()
    box.podman.hollow.add(wanted_image(2))
    box.write(f"{STATE}/pulling.json", json.dumps(seen[0]))
    assert cloud.result(compose(2))["outcome"] == "rolled-back", "within one boot nothing is emptied, and nothing pulled anew"
    runs(box, 1)
    box.write(f"{STATE}/pulling.json", json.dumps({**seen[0], "bootId": "another-boot"}))
    pushed(box, cloud, 2)
    assert not box.podman.hollow and not os.path.exists(mark)
    assert f"the power went while {image} was pulled" in box.log()
    # what runs is none of those
    box.write(f"{STATE}/pulling.json", json.dumps({**seen[0], "bootId": "another-boot"}))
    pushed(box, cloud, 1)
    pushed(box, cloud, 2)


def test_f20_the_image_of_the_way_back_is_gone_and_its_registry_too(box, cloud):
    pushed(box, cloud, 1)
    pushed(box, cloud, 2)
    answer_image = box.podman.answer_image

    def away(method, rest, query):
        return (500, {"message": "connection refused"}) if rest == "pull" else answer_image(method, rest, query)

    box.podman.answer_image = away
    box.podman.images = {name: number for name, number in box.podman.images.items() if number != wanted_image(1)}
    before = box.container_ids()
    p = box.ctl("rollback", "--json")
    result = documents(p)[-1]
    assert p.returncode != 0 and result["outcome"] == "failed" and result["phase"] == "pull", result
    assert box.container_ids() == before
    runs(box, 2)
    box.podman.answer_image = answer_image
    assert documents(box.ctl("rollback", "--json"))[-1]["outcome"] == "done"
    runs(box, 1)


@contextlib.contextmanager
def read_only(path):
    """Made so in another place: there nobody writes meanwhile."""
    aside = path + ".aside"
    os.mkdir(aside)
    subprocess.run(["mount", "--bind", path, aside], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", aside], check=True)
    subprocess.run(["mount", "--bind", aside, path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)
        subprocess.run(["umount", aside], check=True)


def test_f54_a_disk_that_became_read_only(box, cloud):
    pushed(box, cloud, 1)
    before = box.container_ids()
    with read_only(box.path(STATE)):
        result = cloud.result(compose(2))
        assert (result["outcome"], result["error"]["id"]) == ("failed", "file.write"), result
        assert "Read-only file system" in result["error"]["message"]
        assert box.container_ids() == before
        runs(box, 1)
        assert box.status()["current"]["version"] == "1"
    assert not [entry for entry in box.history()["entries"] if entry["id"] == result["id"]]
    pushed(box, cloud, 2)


def test_f61_a_disk_of_which_a_sync_takes_two_seconds(podman, folder):
    """The worker waits for it, and the agent answers meanwhile; nobody loses patience and does it again."""
    env = {**preloaded("slow-sync", folder), "SECBOX_SLOW_SYNC": "/current.json"}
    with ImitatedBox(podman, folder, env) as box:
        box.start_agent()
        cloud = PlayedCloud(box)
        cloud.connect()
        wanted, phases = cloud.begin(compose(1)), set()

        def over():
            phases.add((box.status()["pending"] or {}).get("phase"))
            return wanted in cloud.results

        assert cloud.play(over)
        cloud.close()
        assert cloud.results[wanted]["outcome"] == "done" and phases & {"confirm", "committing", "done"}, phases
        assert len(box.podman.made) == len(SERVICES) and box.agent.death() is None
        assert [entry["id"] for entry in box.history()["entries"]] == [wanted]
        runs(box, 1)


def replace(path, kind, target):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    if kind == "link":
        os.symlink(target, path)
    elif kind == "folder":
        os.mkdir(path)
        with open(os.path.join(path, "inside"), "w", encoding="utf-8"):
            pass
    elif kind == "fifo":
        os.mkfifo(path)


def take_rights(path):
    if os.path.lexists(path):
        os.chmod(path, 0)


@pytest.mark.parametrize("kind", ["gone", "no-rights", "link", "folder", "fifo"])
def test_f57_what_lies_in_the_place_of_what_the_agent_keeps(box, cloud, kind):
    pushed(box, cloud, 1)
    pushed(box, cloud, 2)
    target = box.write("etc/elsewhere", "untouched")

    def put(names):
        for name in names:
            path = box.path(f"{STATE}/{name}")
            take_rights(path) if kind == "no-rights" else replace(path, kind, target)

    tag = 2
    for name in (*WRITTEN, "snapshots"):
        if kind in ("folder", "fifo"):  # while it runs; one by one, since one may hide another
            put([name])
            tag = 3 - tag
            result = cloud.result(compose(tag))
            if name == "journal.json" and result["outcome"] != "done":  # it is set aside by then
                assert result["error"]["id"] == "journal.corrupt", result
                result = cloud.result(compose(tag))
            assert result["outcome"] == "done", (name, result)
            runs(box, tag)
    box.agent.stop()
    put(KEPT)
    before = box.container_ids()
    box.start_agent()
    assert box.container_ids() == before, "what runs goes on"
    cloud.connect()
    pushed(box, cloud, 3 - tag)
    assert box.status()["current"]["version"] == str(cloud.version) and not box.status_pending()
    assert box.history()["entries"][0]["version"] == str(cloud.version)
    for name in WRITTEN:
        st = os.lstat(box.path(f"{STATE}/{name}"))
        assert stat.S_ISREG(st.st_mode) and st.st_mode & 0o777 == 0o600, name
    assert read_text(target) == "untouched", "no link is followed"
    if kind == "folder":
        assert os.path.exists(box.path(f"{STATE}/current.json.unreadable/inside")), "nothing that somebody put there is lost"
        assert "was a folder" in box.log()
    box.agent.stop()
    box.start_agent()
    cloud.connect()
    pushed(box, cloud, tag)


@pytest.mark.parametrize("text", ["", "\0" * 64, '{"version":"2","compose":"services: ["}'], ids=["empty", "zeros", "other"])
def test_f62_the_files_of_the_last_good_version_are_damaged(box, cloud, text):
    for tag in (1, 2, 3):
        pushed(box, cloud, tag)
    before = box.container_ids()
    box.agent.stop()
    for name in ("snapshots/2.json", "snapshots/3.json", "current.json"):
        box.write(f"{STATE}/{name}", text)
    box.start_agent()
    cloud.connect()
    assert box.container_ids() == before
    runs(box, 3)
    p = box.ctl("rollback", "2", "--json")
    assert p.returncode != 0, p
    error = documents(p)[-1]["error"]
    assert error["id"] and error["message"], error
    assert box.container_ids() == before, "what cannot be gone back to changes nothing"
    box.podman.bad.add(wanted_image(4))
    assert cloud.result(compose(4))["outcome"] == "rolled-back"
    assert box.container_ids() == before
    pushed(box, cloud, 5)
    assert documents(box.ctl("rollback", "1", "--json"))[-1]["outcome"] == "done", "what can be read can be gone back to"
    runs(box, 1)
