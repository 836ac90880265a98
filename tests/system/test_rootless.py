# SPDX-License-Identifier: MIT
"""A box whose containers belong to an unprivileged user: the agent stays root, podman and podman-compose do not."""
import json
import os
import shutil
import stat
import urllib.request

import pytest

from tests.conftest import require_programs
from tests.integration.test_podman_traps import SERVER, compose, service
from tests.integration.test_registry import PASSWORD, USER, Checker, manifest_of, serve, uid_of_peer
from tests.lab import rootless
from tests.lab.authority import Authority
from tests.lab.box import Box
from tests.lab.hostile_registry import HostileRegistry
from tests.lab.registry import basic
from tests.lab.util import LabError, wait_until

# tag, kind, version
IMAGES = [("server:1", "server", "1"), ("server:2", "server", "2"), ("crash:1", "crash", "1")]
DEVICE = "caseta5"
STACK = compose(service("web", more="environment:\n  DEVICE: ${DEVICE_ID}\nports:\n  - 127.0.0.1:18080:80\n"
                                    "volumes:\n  - data:/data"),
                service("worker"), more="volumes:\n  data:\n")


@pytest.fixture(scope="module")
def users_lab():
    why = rootless.missing()
    if why:
        pytest.skip(why)
    try:
        it = rootless.RootlessLab()
    except LabError as e:
        pytest.skip(f"rootless podman does not work here: {e}")
    with it:
        for tag, kind, version in IMAGES:
            it.image(f"localhost/{tag}", kind, version)
        yield it


@pytest.fixture
def users_box(users_lab, folder, gateway):
    """One box with PODMAN_USER, whose tunnel is up. Its folders let the user through, as those of a real box do."""
    require_programs("mgmt-agent", "mgmt-link", "mgmt-worker", "secboxctl")
    os.chmod(folder, 0o711)
    with Box(users_lab, os.path.join(folder, "box"), gateway.enroll(DEVICE)) as it:
        it.start()
        gateway.wait_reported(DEVICE)
        yield it
    users_lab.remove_all()


def processes(name):
    """{pid: uid} of the processes of this name."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                if f.read().strip() == name:
                    found[int(pid)] = os.stat(f"/proc/{pid}").st_uid
        except OSError:
            continue
    return found


def started_since(before):
    """The monitors of containers that are new. Other tests' may still be there: for five minutes after a health check."""
    return {pid: uid for pid, uid in processes("conmon").items() if pid not in before}


def push(gateway, text):
    answer = gateway.push(DEVICE, text)
    assert answer.json is not None, answer
    return answer.status, answer.json["result"]


def test_a_push_runs_as_the_podman_user(gateway, users_box):
    assert users_box.agent_env["PODMAN_USER"] == rootless.USER
    before = processes("conmon")
    status, result = push(gateway, STACK)
    assert status == 200, result
    assert users_box.running() == {"web", "worker"}
    assert users_box.environment("web")["DEVICE"] == DEVICE

    monitors = started_since(before)
    assert len(monitors) == 2 and set(monitors.values()) == {rootless.UID}, "no container is root's"
    for container in users_box.containers().values():
        assert os.stat(f"/proc/{container['State']['Pid']}").st_uid == rootless.UID
        assert container["State"]["ConmonPid"] in monitors
    with urllib.request.urlopen("http://127.0.0.1:18080/version", timeout=60) as answer:
        assert answer.read().decode().strip() == "1"


def test_the_env_file_belongs_to_the_podman_user(gateway, users_box):
    assert users_box.secbox_env() is None
    assert push(gateway, SERVER)[0] == 200
    facts = os.stat(users_box.path("etc/tucomunidad/secbox.env"))
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (rootless.UID, rootless.UID, 0o600)
    # what root alone may read stays so
    facts = os.stat(users_box.path("etc/tucomunidad/mgmt-agent.env"))
    assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (0, 0o600)
    assert os.stat(users_box.path("var/lib/tucomunidad/mgmt-agent")).st_uid == 0
    assert not [f for _, _, files in os.walk(users_box.path("run/tucomunidad/compose")) for f in files], "staged files are gone"


def test_one_service_is_replaced_and_the_same_again_is_a_noop(gateway, users_box):
    assert push(gateway, compose(service("a"), service("b")))[0] == 200
    before = users_box.ids()
    text = compose(service("a"), service("b", "server:2"))
    status, result = push(gateway, text)
    assert status == 200, result
    after = users_box.ids()
    assert after["a"] == before["a"] and after["b"] != before["b"]
    assert users_box.environment("b")["APP_VERSION"] == "2"

    status, result = push(gateway, text)
    assert (status, result["noop"]) == (200, True)
    assert users_box.ids() == after


def test_a_dying_image_is_rolled_back(gateway, users_box):
    monitors = processes("conmon")
    assert push(gateway, SERVER)[0] == 200
    before = users_box.ids()
    status, result = push(gateway, compose(service("web", "crash:1")))
    assert (status, result["outcome"]) == (500, "rolled-back")
    assert users_box.ids() == before and users_box.running() == {"web"}
    assert set(started_since(monitors).values()) == {rootless.UID}


def test_a_user_without_a_session_is_told_what_to_do(gateway, users_box):
    os.rename(users_box.lab.runtime_dir, users_box.lab.runtime_dir + "-away")
    try:
        status, result = push(gateway, SERVER)
    finally:
        os.rename(users_box.lab.runtime_dir + "-away", users_box.lab.runtime_dir)
    assert (status, result["outcome"], result["error"]["id"]) == (503, "failed", "podman.no-runtime-dir")
    assert f"loginctl enable-linger {rootless.USER}" in result["error"]["message"]
    assert push(gateway, SERVER)[0] == 200


def test_what_a_killed_podman_has_left_of_its_network_is_removed(gateway, users_box):
    """The namespace of the bridges has its name, and nothing of the rest: podman 4 takes it for all of it, for ever."""
    lab, text = users_box.lab, compose(service("web"))

    def plant():
        lab.podman("unshare", "--rootless-netns", "true")
        shutil.rmtree(f"{lab.runtime_dir}/libpod/tmp/rootless-netns")

    def removed():
        return users_box.log().count("the name of that was removed")

    plant()
    probe = lab.podman("run", "--rm", "--network", "podman", "localhost/server:1", check=False)
    assert "runtime directory for rootless netns" in probe.stderr, f"the test itself is wrong: {probe}"
    assert push(gateway, text)[0] == 200
    assert users_box.running() == {"web"} and removed() == 1, users_box.log()
    # at a boot, too
    before = users_box.ids()
    users_box.agent.kill()
    lab.podman("stop", "-a", "-t", "0")
    plant()
    os.unlink(users_box.path("run/tucomunidad/boot"))
    users_box.start_agent()
    wait_until(lambda: users_box.running() == {"web"}, "it runs again", users_box.agent.death)
    assert users_box.ids() == before and removed() == 2, users_box.log()


def test_registries_are_asked_as_the_podman_user_with_the_users_own_files(users_lab, folder):
    require_programs("mgmt-worker")
    os.chmod(folder, 0o711)
    authority = Authority(os.path.join(folder, "authority"))
    check = Checker(users_lab, folder, rootless.USER)
    uids = []

    def rule(h):
        uids.append(uid_of_peer(h))
        if h.headers["Authorization"] == f"Basic {basic(USER, PASSWORD)}":
            serve(manifest_of("a" * 64))(h)
        else:
            h.say(401, {"WWW-Authenticate": 'Basic realm="x"'})

    with HostileRegistry(authority.server_context()) as registry:
        registry.rules = {"web": rule}
        image = ("web", f"{registry.address}/web:1", users_lab.image_id("localhost/server:1"))
        assert check(image).images["web"]["error"]["id"] == "registry.tls"
        settings = os.path.join(users_lab.home, ".config/containers")
        os.makedirs(os.path.join(settings, "certs.d", registry.address))
        shutil.copy(authority.file, os.path.join(settings, "certs.d", registry.address))
        assert check(image).images["web"]["error"]["id"] == "registry.unauthorized"
        auth = os.path.join(settings, "auth.json")
        with open(auth, "w", encoding="utf-8") as f:
            json.dump({"auths": {registry.address: {"auth": basic(USER, PASSWORD)}}}, f)
        os.chown(auth, rootless.UID, rootless.UID)
        os.chmod(auth, 0o600)
        assert check(image).images["web"]["state"] == "new"
    assert set(uids) == {rootless.UID}


def test_a_container_cannot_put_a_link_where_another_mounts(gateway, users_box):
    """Its root is the podman user: what it could have mounted is all that this user may read, such as its keys."""
    lab = users_box.lab
    secret = os.path.join(lab.home, "secret")
    os.mkdir(secret, 0o700)
    with open(os.path.join(secret, "file"), "w", encoding="ascii") as f:
        f.write("a key of the user")
    shutil.chown(secret, lab.uid, lab.uid)
    os.chown(os.path.join(secret, "file"), lab.uid, lab.uid)
    outer = users_box.path("var/lib/tucomunidad/volumes/outer")
    os.makedirs(f"{outer}/inner")
    for path in (outer, f"{outer}/inner"):
        os.chown(path, lab.uid, lab.uid)
    swap = f"busybox rm -r /outer/inner; busybox ln -s {secret} /outer/inner; sleep 1000"
    text = compose(service("attacker", more=f"command: {json.dumps(['sh', '-c', swap])}\nvolumes: ['{outer}:/outer']"),
                   service("victim", more=f"command: ['sh', '-c', 'cat /data/file; sleep 1000']\n"
                                          f"volumes: ['{outer}/inner:/data']\ndepends_on: [attacker]"))
    for policy, error in ((None, "policy.bind-outside"), ({"bind": [outer, f"{outer}/inner"]}, "preflight.bind-way")):
        if policy:
            users_box.write_policy(policy)
        status, result = push(gateway, text)
        victim = users_box.containers().get("victim")
        assert not victim or "a key" not in lab.podman("logs", victim["Id"]).stdout
        assert status == 422 and result["error"]["id"] == error, result
    assert users_box.ids() == {} and not os.path.islink(f"{outer}/inner")


def test_a_missing_folder_is_made_for_the_podman_user(gateway, users_box):
    folder = users_box.path("var/lib/tucomunidad/volumes/mine")
    status, result = push(gateway, compose(service("web", more=f"command: ['sh', '-c', 'echo x > /data/file; sleep 1000']\n"
                                                               f"stop_grace_period: 1s\nvolumes: ['{folder}:/data']")))
    assert status == 200, result
    assert os.stat(folder).st_uid == users_box.lab.uid and os.stat(os.path.dirname(folder)).st_uid == 0
    wait_until(lambda: os.path.exists(f"{folder}/file"), "the container has written")


def test_a_missing_folder_is_made_for_the_user_of_the_service(gateway, users_box):
    """Number 1000 in a container of this user's podman is the 1000th of its subordinate numbers on the host."""
    base = users_box.path("var/lib/tucomunidad/volumes")

    def stack(user, more=""):
        return compose(service("web", more=f"command: ['sh', '-c', 'echo x > /data/file; sleep 1000']\nstop_grace_period: 1s\n"
                                           f"user: '{user}'\nvolumes: ['./data/web{user[:1]}:/data']\n{more}"))

    status, result = push(gateway, stack("70000:0"))
    assert (status, result["error"]["id"]) == (422, "preflight.no-id") and os.listdir(base) == [], result
    for user, more, owner in (("1000:50", "", (300999, 300049)), ("20123:20123", "userns_mode: keep-id", (20123, 20123)),
                              ("5:30000", "userns_mode: keep-id", (300005, 329999))):
        if more:
            users_box.write_policy({"services": {"web": {"allow": ["userns_mode"]}}})
        status, result = push(gateway, stack(user, more))
        assert status == 200, result
        folder = f"{base}/data+web{user[:1]}"
        assert (os.stat(folder).st_uid, os.stat(folder).st_gid) == owner, user
        wait_until(lambda f=folder: os.path.exists(f"{f}/file"), f"{user} has written")


def test_a_secret_is_the_users_of_the_service(gateway, users_box):
    """Neither the podman user nor anybody else of the host reads it, but in the container it can be read."""
    def stack(more):
        return compose(service("web", more=f"stop_grace_period: 1s\nuser: '1000'\ncommand: ['sleep', '1000']\n{more}"),
                       more="secrets: {token: {environment: BOOTSTRAP}}\n")

    status, result = push(gateway, stack("secrets: [{source: token, uid: '70000'}]\n"))
    assert (status, result["error"]["id"]) == (422, "preflight.no-id") and users_box.ids() == {}, result
    status, result = push(gateway, stack("secrets: [token]\n"))
    assert status == 200, result
    path = next(m["Source"] for m in users_box.containers()["web"]["Mounts"] if m["Destination"] == "/run/secrets/token")
    assert os.stat(path).st_uid == 300999 and stat.S_IMODE(os.stat(path).st_mode) == 0o400
    seen = users_box.lab.podman("exec", users_box.ids()["web"], "cat", "/run/secrets/token").stdout
    assert seen == users_box.agent_env["BOOTSTRAP"]
