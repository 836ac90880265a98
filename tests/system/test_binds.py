# SPDX-License-Identifier: MIT
"""Host folders in containers: no container can change what another one mounts, and what runs already goes on."""
import json
import os
import shutil
import stat

import pytest

from tests.integration.test_data_folders import GRACE, SECRET, logs, sh, volumes
from tests.integration.test_podman_traps import compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.util import read_text, wait_until
from tests.system.test_boot import boot

class Attack:
    """One service may write to a folder, another mounts what is in it; the first puts a link in the place of that."""

    def __init__(self, box, name):
        self.outer = box.path(f"var/lib/tucomunidad/{name}")
        self.inner = os.path.join(self.outer, "innocent")
        os.makedirs(self.inner)
        self.secret = box.write("var/lib/secret/file", SECRET)

    def swap(self):
        return f"busybox rm -r /outer/innocent; busybox ln -s {os.path.dirname(self.secret)} /outer/innocent; "

    def stack(self, first, second):
        return compose(service("attacker", more=GRACE + sh(first) + volumes(f"{self.outer}:/outer")),
                       service("victim", more=GRACE + sh(second) + volumes(f"{self.inner}:/data") +
                               "depends_on: [attacker]\nrestart: always\n"))


def cases(box):
    """(folder, policy, error): the documented place for volumes without a policy, and a folder that an operator listed."""
    listed = box.path("var/lib/tucomunidad/listed")
    return [("volumes", None, "policy.bind-outside"),
            ("listed", {"bind": [listed, f"{listed}/innocent"]}, "preflight.bind-overlap")]


@pytest.mark.parametrize("case", [0, 1])
def test_a_link_cannot_be_put_between_a_check_and_the_start(box, case):
    folder, policy, error = cases(box)[case]
    attack = Attack(box, folder)
    if policy:
        box.write_policy(policy)
    result = box.apply(attack.stack(attack.swap() + "sleep 1000", "cat /data/file; sleep 1000"))
    assert SECRET not in logs(box, "victim")
    assert result.get("error", {}).get("id") == error, result
    assert box.ids() == {} and not os.path.islink(attack.inner)


@pytest.mark.parametrize("case", [0, 1])
def test_a_link_cannot_wait_for_a_restart(box, case):
    """Podman restarts by itself, and nobody is asked."""
    folder, policy, error = cases(box)[case]
    attack = Attack(box, folder)
    if policy:
        box.write_policy(policy)
    result = box.apply(attack.stack("while [ ! -e /outer/go ]; do sleep 0.1; done; " + attack.swap() + "sleep 1000",
                                    "cat /data/file; sleep 2; exit 1"))
    if result.get("status") == 200:
        with open(os.path.join(attack.outer, "go"), "w", encoding="ascii"):
            pass
        wait_until(lambda: SECRET in logs(box, "victim"), "the file of the host is read")
    assert result.get("error", {}).get("id") == error, result
    assert box.ids() == {}


def test_what_a_running_container_writes_to_is_no_way_to_a_new_mount(box):
    """Also when the file that brings the mount does away with that container."""
    outer, other = box.path("var/lib/tucomunidad/listed"), box.path("var/lib/tucomunidad/volumes/other")
    os.makedirs(os.path.join(outer, "in"))
    box.write_policy({"bind": [outer, f"{outer}/in", other]})
    assert box.apply(compose(service("old", more=GRACE + volumes(f"{outer}:/d"))))["status"] == 200
    ids = box.ids()
    os.makedirs(other)
    refused = box.apply(compose(service("new", more=GRACE + volumes(f"{outer}/in:/d"))))
    assert refused["error"]["id"] == "preflight.bind-overlap" and "service old" in refused["error"]["message"], refused
    assert box.ids() == ids
    assert box.apply(compose(service("new", more=GRACE + volumes(f"{other}:/d"))))["status"] == 200
    assert box.apply(compose(service("new", more=GRACE + volumes(f"{outer}/in:/d"))))["status"] == 200


def test_the_way_belongs_to_root(box):
    folder = box.path("srv/of-somebody")
    os.makedirs(f"{folder}/data")
    os.symlink(folder, box.path("srv/link"))
    box.write_policy({"bind": [f"{folder}/*", box.path("srv/link/*")]})
    stack = compose(service("web", more=GRACE + volumes(f"{folder}/data:/d")))

    def refusal(text):
        answer = box.apply(text)
        assert answer["status"] == 422 and answer["error"]["id"] == "preflight.bind-way", answer
        return answer["error"]["message"]

    os.chown(folder, 1234, 0)
    said = refusal(stack)
    assert f"{folder} (owner 1234:0, mode 0755)" in said and f"chown root: {folder}; chmod go-w {folder}" in said
    os.chown(folder, 0, 0)
    os.chmod(folder, 0o775)
    assert "mode 0775" in refusal(stack)
    os.chmod(folder, 0o755)
    assert "is a link" in refusal(stack.replace("of-somebody", "link"))
    assert box.plan(stack).get("plan"), "a plan is judged alike"
    assert box.apply(stack)["status"] == 200


def test_folders_of_the_box_are_made_and_may_lie_beside_each_other(box):
    base = box.path("var/lib/tucomunidad/volumes")
    write = "echo mine > /data/file; sleep 1000"
    stack = compose(*(service(name, more=GRACE + sh(write) + volumes(f"{base}/{name}:/data")) for name in ("a", "b")))
    assert box.plan(stack).get("plan") and not os.path.exists(f"{base}/a"), "a plan makes nothing"
    assert box.apply(stack)["status"] == 200, box.log()
    facts = os.stat(base)
    assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (0, 0o711)
    for name in ("a", "b"):
        wait_until(lambda n=name: os.path.exists(f"{base}/{n}/file"), f"service {name} has written")
    # one that is gone has lost its data: nothing empty takes its place
    shutil.rmtree(f"{base}/a")
    again = box.apply(stack.replace("echo mine", "echo yours"))
    assert again["error"]["id"] == "preflight.bind-missing", again
    assert not os.path.exists(f"{base}/a") and box.running() == {"a", "b"}


def test_the_clock_of_debian_is_a_link(box):
    if not os.path.islink("/etc/localtime"):
        pytest.skip("/etc/localtime is no link here")
    stack = compose(service("web", more=GRACE + volumes("/etc/localtime:/etc/localtime:ro")))
    assert box.apply(stack)["status"] == 200, box.log()
    mounts = {m["Destination"]: m["Source"] for m in box.containers()["web"]["Mounts"]}
    assert mounts["/etc/localtime"] == os.path.realpath("/etc/localtime")
    ids = box.ids()
    assert box.apply(stack + "\n# again\n")["status"] == 200 and box.ids() == ids


def order(box, kind, name):
    with AgentSocket(box) as client:
        client.send({"type": f"container.{kind}", "id": "o-1", "service": name})
        return client.next("container.result", "error")


def unsafe(box):
    status = box.status()
    return status.get("status", status).get("unsafeBinds", [])


def test_what_runs_already_goes_on_with_an_alarm(box):
    """A box in the field whose folders do not meet the rule."""
    folder = box.path("srv/field")
    os.makedirs(f"{folder}/data")
    box.write_policy({"bind": [f"{folder}/data"]})
    stack = compose(service("web", more=GRACE + volumes(f"{folder}/data:/d")))
    assert box.apply(stack)["status"] == 200 and unsafe(box) == []
    ids = box.ids()
    os.chown(folder, 1234, 0)
    box.write_policy({"bind": [box.path("srv")]})  # an entry as they were written once
    assert order(box, "restart", "web").get("ok"), box.log()
    found = unsafe(box)
    assert [(f["service"], f["source"]) for f in found] == [("web", f"{folder}/data")] and folder in found[0]["problem"], found
    assert box.ids() == ids and "is not safe, and goes on as it is" in box.log()
    assert order(box, "recreate", "web").get("ok"), box.log()
    assert box.running() == {"web"} and box.ids() != ids and unsafe(box) == found
    # but for a new file
    refused = box.apply(stack.replace("server:1", "server:2"))
    assert refused["error"]["id"] == "policy.bind-outside" and f"{folder}/*" in refused["error"]["message"], refused
    box.write_policy({"bind": [f"{folder}/*"]})
    refused = box.apply(stack.replace("server:1", "server:2"))
    assert refused["error"]["id"] == "preflight.bind-way", refused
    assert box.running() == {"web"}
    # and what it says to do is all that is needed
    os.chown(folder, 0, 0)
    assert box.apply(stack.replace("server:1", "server:2"))["status"] == 200
    assert unsafe(box) == []


class OldMount:
    """A service that mounts a folder to which another one may write: as a box from before the rule could have it."""

    def __init__(self, box):
        self.box, self.outer = box, box.path("srv/outer")
        self.inner, own = f"{self.outer}/in", box.path("srv/own")
        for path in (self.inner, own):
            os.makedirs(path)
        box.write_policy({"bind": [self.outer, own]})
        assert box.apply(compose(service("writer", more=GRACE + volumes(f"{self.outer}:/d")),
                                 service("web", more=GRACE + volumes(f"{own}:/d"))))["status"] == 200
        old = box.containers()["web"]
        labels = [arg for k, v in old["Config"]["Labels"].items() for arg in ("--label", f"{k}={v}")]
        box.lab.podman("rm", "-f", "-t", "1", old["Id"])
        box.lab.podman("run", "-d", "--name", old["Name"], *labels, "-v", f"{self.inner}:/d", "localhost/server:1")
        assert order(box, "restart", "web").get("ok"), box.log()
        assert {f["service"] for f in unsafe(box)} == {"web", "writer"}

    def replace(self):
        os.rmdir(self.inner)
        os.symlink("/root", self.inner)

    def put_back(self):
        os.unlink(self.inner)
        os.mkdir(self.inner)


def test_a_source_that_became_a_link_is_not_mounted_again(box):
    """Found at a start that somebody orders."""
    mount = OldMount(box)
    mount.replace()
    result = order(box, "restart", "web")
    assert result.get("error", {}).get("id") == "bind.replaced" and "service writer" in result["error"]["message"], result
    mount.put_back()
    assert order(box, "restart", "web").get("ok"), "the folder is back"


def test_nor_by_the_start_of_its_guest(box):
    """Podman starts the container in whose network another one lives."""
    mount = OldMount(box)
    web = box.containers()["web"]
    guest = box.containers()["writer"]
    labels = [arg for k, v in guest["Config"]["Labels"].items() for arg in ("--label", f"{k}={v}")]
    box.lab.podman("rm", "-f", "-t", "1", guest["Id"])
    box.lab.podman("run", "-d", "--name", guest["Name"], *labels, "--network", f"container:{web['Id']}",
                   "-v", f"{mount.outer}:/d", "--entrypoint", "/bin/busybox", "localhost/server:1", "sleep", "100000")
    assert box.running() == {"writer", "web"}
    box.lab.podman("stop", "-t", "1", guest["Name"], web["Name"])
    mount.replace()
    result = order(box, "restart", "writer")
    assert result.get("error", {}).get("id") == "bind.replaced" and "service web" in result["error"]["message"], result
    assert box.running() == set(), "its owner was not started behind our back"
    mount.put_back()
    assert order(box, "restart", "writer").get("ok") and box.running() == {"writer", "web"}


def test_nor_after_a_boot(box):
    mount = OldMount(box)
    boot(box, mount.replace)
    wait_until(lambda: "cannot be started again after the boot" in box.log(), "the boot's start is over", box.agent.death)
    assert "[bind.replaced]" in box.log()
    wait_until(lambda: box.running() == {"writer"}, "the other one is started", box.agent.death)
    mount.put_back()
    wait_until(lambda: box.running() == {"writer", "web"}, "once the folder is back it is started, too", box.agent.death)


def test_nor_by_a_rollback(box):
    """The link comes while the new container is tried."""
    mount = OldMount(box)
    ids = box.ids()
    mount.replace()
    result = box.apply(compose(service("web", "crash:1", more=GRACE)))
    assert result["outcome"] == "recovery" and "service writer may write" in json.dumps(result), result
    assert box.running() == {"writer"} and box.ids()["writer"] == ids["writer"], "what can come back does"
    assert box.ids()["web"] == ids["web"], "and the old container is kept"
    mount.put_back()
    assert box.apply(compose(service("web", more=GRACE)))["outcome"] == "done", "a push mends what the rollback could not"
    assert box.running() == {"web"}


def test_each_service_shows_its_heartbeat_in_its_own_folder(box):
    main, other = box.path("run/tucomunidad/secbox"), box.path("run/tucomunidad/services/other")

    def forge(name):
        return GRACE + sh(f"echo {name} > /run/it/heartbeat; sleep 1000")

    refused = box.apply(compose(service("secbox", more=GRACE), service("other", more=forge("other") + volumes(f"{main}:/run/it"))))
    assert refused["error"]["id"] == "policy.bind-outside" and other in refused["error"]["message"], refused
    stack = compose(*(service(name, more=forge(name) + volumes(f"{path}:/run/it"))
                      for name, path in (("secbox", main), ("other", other))))
    assert box.apply(stack)["status"] == 200, box.log()
    for name, path in (("secbox", main), ("other", other)):
        wait_until(lambda p=path: os.path.exists(f"{p}/heartbeat"), f"service {name} shows it")
        assert read_text(f"{path}/heartbeat").strip() == name
    names = box.path("run/tucomunidad/service-names")
    wait_until(lambda: os.path.exists(names) and set(read_text(names).splitlines()[1:]) == {"secbox", "other"},
               "recovery-agent is told of both, in a file beside that folder")
    # /run is empty after a boot; and an agent of earlier days kept a file there
    shutil.rmtree(box.path("run/tucomunidad/services"))
    with open(box.path("run/tucomunidad/services"), "w", encoding="ascii") as f:
        f.write("other\n")
    assert order(box, "restart", "other").get("ok"), box.log()
    wait_until(lambda: os.path.exists(f"{other}/heartbeat"), "and again")
