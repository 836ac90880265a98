# SPDX-License-Identifier: MIT
"""The ways out of a push that goes wrong, where they are narrow: what a rollback must undo, and what it must not touch."""
import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from tests.conftest import running_box
from tests.integration.test_podman_traps import SERVER, compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.box import documents
from tests.lab.util import wait_until


class Full:
    """A small file system in the place of a folder, with what was in it."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        aside = self.path + ".aside"
        shutil.copytree(self.path, aside)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "none", self.path], check=True)
        shutil.copytree(aside, self.path, dirs_exist_ok=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)

    def fill(self):
        fd = os.open(os.path.join(self.path, "filler"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with contextlib.suppress(OSError):
            while os.write(fd, bytes(4096)):
                pass
        os.close(fd)


def test_a_name_that_begins_an_id_is_not_that_container(box):
    """Podman takes the start of an id for a name where no such name is: `db` and `cafe` are both."""
    box.lab.podman("run", "-d", "--name", "stranger", "localhost/server:1")
    prefix = box.lab.inspect("stranger")["Id"][:8]
    # podman refuses to make it, so that no container has the name
    result = box.apply(compose(service("web", more=f"container_name: \"{prefix}\"\nstop_signal: SIGNONE")))
    assert result["outcome"] == "rolled-back", result
    assert result["error"]["id"] == "apply.not-started", result
    assert "SIGNONE" in result["error"]["message"], "the reason is podman's own, not what became of the container"
    assert box.lab.inspect("stranger")["State"]["Status"] == "running"


def test_a_restart_long_ago_does_not_stop_later_pushes(box):
    text = service("web", more="restart: always")
    assert box.apply(compose(text))["status"] == 200
    os.kill(box.containers()["web"]["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: box.containers()["web"]["RestartCount"] == 1 and box.running() == {"web"}, "podman restarts web")
    result = box.apply(compose(text, service("more")))
    assert result["status"] == 200, result
    assert box.running() == {"web", "more"}


def test_f20_one_container_that_cannot_come_back_does_not_keep_the_others_away(box):
    box.stop()
    box.agent_args += ["--watch-pace", "10"]  # three seconds from one try to the next
    box.start()
    shared = box.path("var/lib/tucomunidad/volumes/shared")
    os.makedirs(shared)
    mounting = service("a", more=f"volumes: [\"{shared}:/shared\"]")
    assert box.apply(compose(mounting, service("b"), service("c")))["status"] == 200
    before = box.ids()
    shutil.rmtree(shared)
    result = box.apply(compose(service("a", "crash:1"), service("b", "server:2"), service("c", "server:2")))
    assert result["outcome"] == "recovery", result
    assert box.running() == {"b", "c"}
    assert {name: box.ids()[name] for name in ("b", "c")} == {name: before[name] for name in ("b", "c")}


def test_f56_a_journal_that_cannot_be_read_does_not_end_all_pushes(box):
    assert box.apply(SERVER)["status"] == 200
    box.stop()
    box.write("var/lib/tucomunidad/mgmt-agent/journal.json", "\x00\x00{")
    box.start_agent()
    result = box.apply(compose(service("web", "server:2")))
    assert result["status"] == 200, result
    assert box.running() == {"web"}
    assert "set aside" in box.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")
def test_f51_a_full_disk_is_told(box):
    assert box.apply(SERVER)["status"] == 200
    state = box.path("var/lib/tucomunidad/mgmt-agent")
    box.stop()
    with Full(state) as disk:
        box.start_agent()
        disk.fill()
        result = box.apply(compose(service("web", "server:2")))
        assert (result["outcome"], result["status"]) == ("failed", 507), result
        assert result["error"]["id"] == "preflight.no-space", "the journal could still be written"
        assert "du -x" in result["error"]["message"] and "podman system df" not in result["error"]["message"], "no image lies there"
        assert documents(box.ctl("history", "--json"))[0]["entries"][0]["id"] == result["id"]
        os.unlink(os.path.join(state, "reserve"))
        disk.fill()
        result = box.apply(compose(service("web", "server:2")))
        assert (result["outcome"], result["status"], result["error"]["id"]) == ("failed", 507, "file.write"), result
        box.stop()


@pytest.mark.parametrize("name", ["current.json", "floor.json"])
def test_f56_a_damaged_file_does_not_end_all_pushes(gateway, lab, folder, name):
    """After a power cut, or a bad block: the push that comes next writes it anew."""
    with running_box(lab, folder, gateway) as it:
        first = gateway.push(it.agent_env["DEVICE_ID"], SERVER).json["deployment"]
        it.write(f"var/lib/tucomunidad/mgmt-agent/{name}", "\x00" * 64)
        answer = gateway.push(it.agent_env["DEVICE_ID"], compose(service("web", "server:2")))
        assert answer.status == 200, answer
        assert it.running() == {"web"}
        assert int(answer.json["deployment"]["version"]) > int(first["version"])


def test_f26_one_absurd_version_does_not_end_all_pushes(box):
    """A cloud that counts wrongly once must not be locked out for ever: versions only go up."""
    with AgentSocket(box, link=True) as cloud:
        assert cloud.push(SERVER, "18446744073709551615")["error"]["id"] == "snapshot.version-jump"
        assert cloud.push(SERVER, "7")["status"] == 200
