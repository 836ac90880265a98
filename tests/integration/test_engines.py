# SPDX-License-Identifier: MIT
"""Containers by podman-compose and by libpod, side by side on real podman: nobody can tell them apart."""
# pylint: disable=redefined-outer-name
import json
import os
import re
import shutil

import pytest

from tests.conftest import require_programs
from tests.integration.test_podman_traps import compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.box import Box
from tests.lab.util import wait_until

QUICK = "stop_grace_period: 1s\n"
ORDINARY = compose(
    service("db", more=QUICK + "volumes: [store:/data, {type: tmpfs, target: /t, tmpfs: {size: 1m}}]\nread_only: true\n"
                               "cap_drop: [CHOWN]\nuser: '0'\nhostname: store\n"
                               "stop_signal: SIGINT\nulimits: {nofile: 512, nproc: 900}"),
    service("web", more=QUICK + "command: [/bin/busybox, httpd, -f, -p, '8080']\nrestart: on-failure:3\ninit: false\n"
                                "environment: {A: '', B: 'x y # z', C: 'pa$$word'}\n"
                                "ports: ['127.0.0.1:18380:8080', '18381:81/udp']\n"
                                "networks: {front: {aliases: [www]}}\nlabels: {own: 'yes'}\ncpus: 0.5\nmem_limit: 64m\n"
                                "extra_hosts: ['far:10.9.8.7']\nexpose: ['90', '91/udp']\ncpu_shares: 512\npids_limit: 50\n"
                                "healthcheck: {test: [CMD, /bin/busybox, 'true'], interval: 1m, retries: 2}\n"
                                "tmpfs: ['/s:size=1m']\nworking_dir: /tmp\ndns: [10.0.2.3]\ndns_opt: ['ndots:1']\n"
                                "security_opt: ['no-new-privileges:true']\ngroup_add: ['7']\nsysctls: {net.ipv4.ip_forward: '1'}\n"
                                "logging: {driver: k8s-file, options: {max-size: 1m}}\n"
                                "oom_score_adj: 300\nshm_size: 8m\n"
                                "depends_on: [db]"),
    service("both", more=QUICK + "networks: [front, default]\ntty: true\nstdin_open: true\nentrypoint: [/bin/busybox, sleep]\n"
                                 "command: '100000'\nannotations: {a: b}\nmemswap_limit: 1g\nmem_limit: 512m\n"
                                 "ipc: private\nuserns_mode: host\ndevices: ['/dev/null:/dev/nichts:rw']"),
    more="networks: {front: {internal: true, labels: {n: '1'}}}\nvolumes: {store: {labels: {v: '1'}}}\n")
POLICY = {"services": {"*": {"allow": ["group_add", "sysctls", "userns_mode", "devices", "annotations", "network_mode"]}}}

# what differs between any two containers
OF_ITS_OWN = {
    "Id", "Created", "StartedAt", "FinishedAt", "Pid", "ConmonPid", "ConmonPidFile", "PidFile", "ResolvConfPath", "HostnamePath",
    "HostsPath", "StaticDir", "LogPath", "SandboxKey", "IPAddress", "MacAddress", "Gateway", "IPPrefixLen", "MergedDir",
    "UpperDir", "WorkDir", "OCIConfigPath", "CgroupPath", "Size", "EndpointID", "SandboxID", "Hostname", "NetworkID", "Health",
    "ExecIDs", "CidFile", "PodmanArgs", "Mountpoint", "Log",
}
# how each was asked, which no program of ours or of podman-compose reads
HOW_ASKED = {"CreateCommand", "io.kubernetes.cri-o.TTY", "io.kubernetes.cri-o.Created", "io.tucomunidad.snapshot"}


def facts(value, own_id, path=""):
    """{path: value} of an inspection, without what no two containers share."""
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            if key not in OF_ITS_OWN | HOW_ASKED:
                found.update(facts(item, own_id, f"{path}/{key}"))
        return found
    if isinstance(value, list):
        items = [sorted(facts(item, own_id).items()) if isinstance(item, dict) else item for item in value]
        return {path: sorted(re.sub(f"{own_id}[0-9a-f]*", "ID", str(item)) for item in items)}
    return {path: re.sub(f"{own_id}[0-9a-f]*", "ID", value) if isinstance(value, str) else value}


def shown(lab, kind, name):
    return json.loads(lab.podman(kind, "inspect", name).stdout)[0]


def push(box, text, outcome="done"):
    result = box.apply(text)
    assert result["outcome"] == outcome, result["error"]
    return result


@pytest.fixture(scope="module")
def box(lab, tmp_path_factory):
    """A box without a cloud that does not wait to see whether a service stays up."""
    require_programs("mgmt-agent", "secboxctl")
    with Box(lab, str(tmp_path_factory.mktemp("box")), agent_args=["--settle=0"]) as it:
        it.write_policy(POLICY)
        it.start()
        yield it
    lab.remove_all()


def test_nobody_can_tell_them_apart(box, lab):
    seen = {}
    for engine in ("podman-compose", "libpod"):
        box.set_engine(engine)
        push(box, ORDINARY)
        inspected = box.containers()
        networks = {n: shown(lab, "network", n) for n in ("secbox_default", "secbox_front")}
        volume = shown(lab, "volume", "secbox_store")
        seen[engine] = {**{name: facts(c, c["Id"][:12]) for name, c in inspected.items()},
                        "networks": {n: [d[k] for k in ("labels", "internal", "dns_enabled", "driver")]
                                     for n, d in networks.items()},
                        "volume": (volume["Labels"], volume["Driver"])}
        before = box.ids()
        box.set_engine("libpod" if engine == "podman-compose" else "podman-compose")
        push(box, ORDINARY)
        assert box.ids() == before, "another engine is no reason to make a container again"
        box.wipe()
    by_compose, by_libpod = seen["podman-compose"], seen["libpod"]
    for name in ("db", "web", "both"):
        differs = {k: (by_compose[name].get(k), by_libpod[name].get(k))
                   for k in sorted(by_compose[name].keys() | by_libpod[name].keys())
                   if by_compose[name].get(k) != by_libpod[name].get(k)}
        assert not differs, name + "".join(f"\n{k}: {a!r} {b!r}" for k, (a, b) in differs.items())
    assert by_compose["networks"] == by_libpod["networks"]
    assert by_compose["volume"] == by_libpod["volume"]


def test_podman_compose_by_hand_means_them(box, lab):
    box.set_engine("libpod")
    push(box, compose(service("app", more=QUICK + "environment: {KEY: secret-of-app}")))
    folder = box.path("var/lib/tucomunidad/compose/secbox")
    before = box.containers()["app"]
    for verb in (["ps"], ["logs", "app"], ["restart", "-t", "1", "app"], ["up", "-d"]):
        p = lab.compose(folder, "-p", "secbox", *verb)
        assert p.code == 0, (verb, p)
        if verb == ["ps"]:
            assert "secbox_app_1" in p.out, p
    after = box.containers()["app"]
    assert after["Id"] == before["Id"] and after["State"]["StartedAt"] != before["State"]["StartedAt"]
    assert after["State"]["Status"] == "running"


def test_what_does_not_start_is_told_by_podman_and_undone(box):
    box.set_engine("libpod")
    push(box, compose(service("app", more=QUICK)))
    before = box.ids()
    result = push(box, compose(service("app", more=QUICK + "command: [/no/such/program]\nentrypoint: []")), "rolled-back")
    assert result["error"]["id"] == "apply.not-started"
    assert "/no/such/program" in result["error"]["message"]
    assert box.ids() == before and box.running() == {"app"}


SLEEPS = "entrypoint: [/bin/busybox, sleep]\ncommand: '100000'\n"
ONLY_LIBPOD = compose(
    service("host", more=QUICK + SLEEPS + "network_mode: host\nports: ['18390:80']"),
    service("alone", more=QUICK + "network_mode: none"),
    service("owner", more=QUICK + "networks: {front: {aliases: [a], ipv4_address: 10.91.7.9}, default: {aliases: [b]}}"),
    service("guest", more=QUICK + SLEEPS + "network_mode: 'service:owner'\nenvironment: {LINES: \"one\\ntwo\"}"),
    more="networks: {front: {ipam: {config: [{subnet: 10.91.7.0/24, ip_range: 10.91.7.128/25}]}}}\n")


def test_what_podman_compose_has_no_words_for(box, lab):
    box.set_engine("podman-compose")
    assert box.plan(ONLY_LIBPOD)["error"]["id"] == "render.unsupported"
    box.set_engine(None)
    push(box, ONLY_LIBPOD)
    made = box.containers()
    assert made["host"]["HostConfig"]["NetworkMode"] == "host" and made["alone"]["HostConfig"]["NetworkMode"] == "none"
    networks = made["owner"]["NetworkSettings"]["Networks"]
    assert networks["secbox_front"]["IPAddress"] == "10.91.7.9"
    assert {"a", "owner"} <= set(networks["secbox_front"]["Aliases"]) and "a" not in networks["secbox_default"]["Aliases"]
    assert made["guest"]["HostConfig"]["NetworkMode"] == "container:" + made["owner"]["Id"]
    assert "LINES=one\ntwo" in made["guest"]["Config"]["Env"]
    p = lab.compose(box.path("var/lib/tucomunidad/compose/secbox"), "-p", "secbox", "restart", "-t", "1", "alone")
    assert p.code == 0, p
    push(box, ONLY_LIBPOD.replace("aliases: [a]", "aliases: [c]"))
    again = box.ids()
    assert again["host"] == made["host"]["Id"] and again["guest"] != made["guest"]["Id"], "its network went with its owner"
    broken = ONLY_LIBPOD.replace("services:\n", "services:\n" + service("bad", "crash:1", QUICK + "depends_on: [guest]"))
    push(box, broken.replace("aliases: [a]", "aliases: [d]"), "rolled-back")
    assert box.ids() == again and box.running() == {"host", "alone", "owner", "guest"}
    assert len(lab.containers()) == 4, "nothing is left over"


def test_what_is_there_is_judged_by_what_it_is(box, lab):
    box.set_engine(None)
    lab.podman("volume", "create", "--opt", "type=none", "--opt", "o=bind", "--opt", "device=/srv", "of-another")
    for definition in ("{external: true, name: of-another}", "{name: of-another}"):
        text = compose(service("late", more=QUICK + "volumes: ['store:/data']"), more=f"volumes: {{store: {definition}}}\n")
        error = box.plan(text)["error"]
        assert error["id"] == "policy.refused" and 'services."late".allow' in error["message"], error
    lab.podman("volume", "rm", "of-another")
    lab.podman("network", "create", "--driver", "macvlan", "--subnet", "10.77.0.0/24", "of-another")
    box.write_policy({"services": {**POLICY["services"], "owner": {"allow": ["network_driver:macvlan"]}}})
    text = compose(service("owner", more=QUICK + "networks: [far]"),
                   service("guest", more=QUICK + "network_mode: 'service:owner'"),
                   more="networks: {far: {external: true, name: of-another}}\n")
    error = box.plan(text)["error"]
    box.write_policy(POLICY)
    lab.podman("network", "rm", "of-another")
    assert error["id"] == "policy.refused" and 'services."guest".allow' in error["message"], error


def networks_of(box):
    """One for each that does not run, too."""
    found = set()
    for name, c in box.containers().items():
        try:
            found.add(os.readlink(f"/proc/{c['State']['Pid']}/ns/net"))
        except OSError:
            found.add(name)
    return found


def test_guests_go_with_their_owner_to_the_last(box, lab):
    box.set_engine(None)
    push(box, compose(service("owner", more=QUICK),
                      *(service(name, more=QUICK + SLEEPS + f"network_mode: 'service:{host}'")
                        for name, host in (("guest", "owner"), ("last", "guest")))))

    def order(kind):
        with AgentSocket(box) as client:
            client.send({"type": f"container.{kind}", "id": "o-1", "service": "owner"})
            result = client.next("container.result", "error")
        assert result.get("ok"), (result, box.log())

    ids = box.ids()
    assert len(networks_of(box)) == 1
    order("restart")
    assert box.ids() == ids and box.running() == set(ids)
    assert len(networks_of(box)) == 1, "nobody is left in the old network"
    order("recreate")
    assert not set(box.ids().values()) & set(ids.values()) and len(networks_of(box)) == 1
    assert len(lab.containers()) == 3, "nothing is left over"
    ids = box.ids()
    lab.podman("restart", "-t", "0", "secbox_owner_1")
    wait_until(lambda: len(networks_of(box)) == 1, "nobody is left behind by a start by hand", box.agent.death)
    assert box.ids() == ids and "guest is cut off" in box.log()


def mode_of(container, key):
    return container["HostConfig"][key]


def test_what_services_share(box, lab):
    box.set_engine(None)
    lab.podman("run", "-d", "--name", "stranger", "localhost/server:1")
    box.write_policy({"services": {"*": {"allow": ["network_mode:container:stranger"]}}})
    text = compose(service("owner", more=QUICK + "ipc: shareable"),
                   service("guest", more=QUICK + SLEEPS + "pid: 'service:owner'\nipc: 'service:owner'"),
                   service("visitor", more=QUICK + SLEEPS + "network_mode: 'container:stranger'"))
    assert box.plan(text.replace("container:stranger", "container:nobody"))["error"]["id"] == "policy.refused"
    push(box, text)
    made = box.containers()
    owner, stranger = made["owner"]["Id"], shown(lab, "container", "stranger")["Id"]
    assert mode_of(made["guest"], "PidMode") == mode_of(made["guest"], "IpcMode") == "container:" + owner
    assert mode_of(made["visitor"], "NetworkMode") == "container:" + stranger
    push(box, text.replace("ipc: shareable", "ipc: shareable\n    labels: {new: 'yes'}"))
    again = box.ids()
    assert again["guest"] != made["guest"]["Id"] and again["visitor"] == made["visitor"]["Id"]
    assert len(lab.containers()) == 4, "nothing is left over"
    # nobody looks after a stranger between pushes; a push finds that another one has its name
    lab.podman("rename", "stranger", "former")
    lab.podman("run", "-d", "--name", "stranger", "localhost/server:1")
    push(box, text)
    moved, other = box.containers()["visitor"], shown(lab, "container", "stranger")["Id"]
    assert moved["Id"] != again["visitor"] and mode_of(moved, "NetworkMode") == "container:" + other
    lab.podman("stop", "-t", "0", "stranger")
    error = box.plan(text.replace("command: '100000'", "command: '99999'"))["error"]
    assert error["id"] == "preflight.container-missing" and "container:stranger" in error["message"]
    box.write_policy(POLICY)
    box.wipe()


def test_a_guest_whose_owner_was_started_by_hand_is_not_left_behind(box, lab):
    """Whichever comes first: the push replaces it, or the watch has restarted it by then."""
    box.set_engine(None)
    text = compose(service("owner", more=QUICK), service("guest", more=QUICK + SLEEPS + "network_mode: 'service:owner'"))
    push(box, text)
    before = box.ids()
    lab.podman("restart", "-t", "0", "secbox_owner_1")
    push(box, text + "# again\n")
    assert box.ids()["owner"] == before["owner"]

    wait_until(lambda: len(networks_of(box)) == 1, "both are in one network", box.agent.death)


def test_a_runtime_of_its_own(box, lab):
    box.set_engine(None)
    box.write_policy({"services": {"*": {"allow": ["runtime"]}}})
    push(box, compose(service("one", more=QUICK)))
    usual = box.containers()["one"]["OCIRuntime"]
    second = box.path("usr/bin/second-runtime")
    os.makedirs(os.path.dirname(second), exist_ok=True)
    with open(second, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\nexec {shutil.which(usual)} "$@"\n')
    os.chmod(second, 0o755)
    text = compose(service("one", more=QUICK), service("two", more=QUICK + f"runtime: {second}"))
    push(box, text)
    made = box.containers()
    assert made["one"]["OCIRuntime"] == usual and "second-runtime" in made["two"]["OCIRuntime"]
    lab.podman("restart", "-t", "0", "secbox_two_1")
    assert box.running() == {"one", "two"}
    error = box.plan(text.replace(second, "none-such"))["error"]
    assert error["id"] == "preflight.runtime-missing" and "none-such" in error["message"], error
    box.write_policy(POLICY)


def test_a_name_that_a_killed_creation_left_behind_is_freed(box, lab):
    """The container is in podman's store, and not among its containers."""
    box.set_engine(None)
    app = service("app", more=QUICK)
    push(box, compose(app))
    graph = lab.podman("info", "--format", "{{.Store.GraphRoot}}").stdout.strip()
    state = next(path for path in (f"{graph}/libpod/bolt_state.db", f"{graph}/db.sql") if os.path.exists(path))

    def plant(name, mounted=False):
        shutil.copy2(state, box.path("state.db"))
        lab.podman("create", "--name", name, "localhost/server:1")
        shutil.copy2(box.path("state.db"), state)
        again = lab.podman("create", "--name", name, "localhost/server:1", check=False)
        assert "already in use" in again.stderr, "the test itself is wrong"
        if mounted:
            lab.podman("mount", name)

    plant("secbox_late_1")
    push(box, compose(app, service("late", more=QUICK)))
    assert box.running() == {"app", "late"}
    plant("secbox_more_1", mounted=True)
    box.set_engine("podman-compose")
    push(box, compose(app, service("late", more=QUICK), service("more", more=QUICK)))
    assert box.running() == {"app", "late", "more"}


def test_a_name_that_is_the_beginning_of_a_strangers_id(box, lab):
    """Podman takes it for the stranger, where no container has that name."""
    box.set_engine(None)
    app = service("app", more=QUICK)
    push(box, compose(app))
    stranger = lab.podman("create", "localhost/server:1").stdout.strip()
    push(box, compose(app, service("late", more=QUICK + f"container_name: '{stranger[:12]}'")))
    assert box.running() == {"app", "late"} and shown(lab, "container", stranger)["State"]["Status"] == "created"
    push(box, compose(app))
    assert box.running() == {"app"} and shown(lab, "container", stranger)["State"]["Status"] == "created"
    lab.podman("rm", stranger)


COLON = "/dev/secbox-lab:0"


def test_names_and_devices_that_podman_has_in_other_forms(box, lab):
    box.set_engine(None)
    os.makedirs("/etc/cdi", exist_ok=True)
    with open("/etc/cdi/lab.json", "w", encoding="utf-8") as f:
        json.dump({"cdiVersion": "0.3.0", "kind": "lab.example/gate", "containerEdits": {},
                   "devices": [{"name": "one", "containerEdits": {"env": ["GATE=one"]}}]}, f)
    os.symlink("null", COLON)
    try:
        box.write_policy({"services": {"*": {"allow": ["devices"]}}})
        more = QUICK + (f"devices: ['{COLON}:/dev/plain:rw', {{source: '{COLON}', target: '/dev/other:1'}}, lab.example/gate=one]\n"
                        "volumes: [/var/lib/kept]\nlinks: ['db:database']\n"
                        "healthcheck: {test: [CMD, /bin/busybox, 'true'], interval: 1m, start_interval: 1s}")
        text = compose(service("app", more=more), service("db", more=QUICK))
        push(box, text)
        made = box.containers()
        for path in ("/dev/plain", "/dev/other:1"):
            run = lab.podman("exec", "secbox_app_1", "/bin/busybox", "sh", "-c", f"echo x > '{path}' && echo y", check=False)
            assert run.stdout == "y\n", (path, run)
        assert box.environment("app")["GATE"] == "one"
        assert "database" in made["db"]["NetworkSettings"]["Networks"]["secbox_default"]["Aliases"]
        assert [m["Name"] for m in made["app"]["Mounts"] if m["Destination"] == "/var/lib/kept"] == ["secbox_app_var-lib-kept"]
        lab.podman("exec", "secbox_app_1", "/bin/busybox", "touch", "/var/lib/kept/it")
        push(box, text.replace("1m", "2m"))
        assert box.ids()["app"] != made["app"]["Id"]
        assert lab.podman("exec", "secbox_app_1", "/bin/busybox", "ls", "/var/lib/kept").stdout == "it\n"
        for other in ("lab.example/door", "lab.example/gat", "ab.example/gate"):
            assert "no file in /etc/cdi" in box.plan(text.replace("lab.example/gate", other))["error"]["message"]
    finally:
        os.unlink(COLON)
        os.unlink("/etc/cdi/lab.json")
        box.write_policy(POLICY)
