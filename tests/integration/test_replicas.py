# SPDX-License-Identifier: MIT
"""Services that run more than once, on real podman, made by either engine."""
import json
import os
import subprocess

import pytest

from tests.integration.test_podman_traps import compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.util import program, read_text
from tests.system.shop import opened

QUICK = "stop_grace_period: 1s\n"
ENGINES = ("libpod", "podman-compose")


def push(box, text, outcome="done"):
    result = box.apply(text)
    assert result["outcome"] == outcome, result
    return result


def web(scale, image="server:1", more=""):
    return compose(service("web", image, QUICK + f"scale: {scale}\nports: ['127.0.0.1:18480-18482:8080']\n{more}"),
                   service("app", more=QUICK + "depends_on: [web]"))


def names(box):
    return {service: c["Name"] for service, c in box.containers().items()}


def port_of(container):
    return container["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"]


@pytest.mark.parametrize("engine", ENGINES)
def test_more_and_fewer_containers_of_a_service(box, lab, engine):
    box.set_engine(engine)
    push(box, web(2))
    first = box.containers()
    assert names(box) == {"web": "secbox_web_1", "web_2": "secbox_web_2", "app": "secbox_app_1"}
    assert {port_of(first["web"]), port_of(first["web_2"])} == {"18480", "18481"}
    for name in ("web", "web_2"):
        assert "web" in first[name]["NetworkSettings"]["Networks"]["secbox_default"]["Aliases"], name
    assert push(box, web(2))["noop"]

    kept = box.ids()
    push(box, web(3))
    assert {s: i for s, i in box.ids().items() if s != "web_3"} == kept and "web_3" in box.running()

    steps = {s["service"]: s for s in box.plan(web(1))["plan"]["steps"]}
    assert (steps["web"]["action"], steps["web_2"]["action"], steps["web_3"]["action"]) == ("keep", "remove", "remove")
    assert "fewer containers" in steps["web_3"]["reason"]
    push(box, web(1))
    assert box.ids() == {s: i for s, i in kept.items() if s != "web_2"}

    push(box, web(2, "crash:1"), "rolled-back")
    assert box.running() == {"web", "app"} and names(box)["web"] == "secbox_web_1" and len(lab.containers()) == 2
    push(box, web(2))
    assert box.ctl("rollback").returncode == 0
    assert box.running() == {"web", "app"}


def test_another_engine_makes_none_of_them_anew(box):
    box.set_engine("podman-compose")
    push(box, web(2))
    made = box.ids()
    box.set_engine("libpod")
    assert push(box, web(2))["noop"] and box.ids() == made


def test_each_is_proved(box):
    """One of the two dies, whichever comes second."""
    push(box, web(1))
    before = box.ids()
    dies = 'command: ["/bin/sh", "-c", "mkdir /shared/first && exec /bin/lab-server; exit 3"]\n'
    text = web(2, more=dies + "volumes: ['shared:/shared']") + "volumes: {shared: }\n"
    result = push(box, text, "rolled-back")
    assert result["error"]["id"] in ("prove.died", "prove.not-running", "apply.not-started"), result
    assert box.ids() == before and box.running() == {"web", "app"}


def test_what_does_not_fit_is_told_by_the_plan(box):
    fixed = compose(service("web", more="scale: 2\nports: ['8480:8080']"))
    error = box.plan(fixed)["error"]
    assert error["id"] == "compose.replicas" and '"8480-8481:8080"' in error["message"], error
    assert box.plan(compose(service("web", more="scale: 2\ncontainer_name: w")))["error"]["id"] == "compose.replicas"


def test_a_heartbeat_folder_and_the_policys_word_are_the_services(box):
    box.write_policy({"services": {"web": {"allow": ["group_add"]}}})
    run = box.path("run/tucomunidad/services/web")
    push(box, compose(service("web", more=QUICK + f"scale: 2\ngroup_add: ['7']\nvolumes: ['{run}:/beat']")))
    sources = {s: [m["Source"] for m in c["Mounts"]] for s, c in box.containers().items()}
    assert sources["web"] == sources["web_2"] and os.listdir(box.path("run/tucomunidad/services")) == ["web"]


def test_a_change_that_waits_for_its_confirmation_says_whose_folder_it_is(box, lab):
    """The second container of a service is in no current.json before the change is confirmed. After a boot, when run folders are
    gone, it is started with the service's folder and not with one of its own."""
    run, kept = box.path("run/tucomunidad/services/web"), box.path("var/lib/tucomunidad/mgmt-agent/current.json")

    def text(scale):
        return compose(service("web", more=QUICK + f"scale: {scale}\nvolumes: ['{run}:/beat']"))

    push(box, text(1))
    before = read_text(kept)
    push(box, text(2))
    box.agent.kill()
    journal = {"state": "confirming", "id": "d1", "version": "7", "nonce": "n1", "steps": [],
               "project": json.loads(read_text(kept))}
    box.write("var/lib/tucomunidad/mgmt-agent/journal.json", json.dumps(journal))
    box.write("var/lib/tucomunidad/mgmt-agent/current.json", before)
    lab.podman("stop", "-a", "-t", "0")
    os.rmdir(run)
    p = subprocess.run([program("mgmt-worker"), "--root", box.root, "start"], env=box.env, input="{}", capture_output=True,
                       text=True, check=False)
    assert p.returncode == 0 and box.running() == {"web", "web_2"}, p
    assert os.listdir(os.path.dirname(run)) == ["web"]


def test_an_order_for_a_service_is_for_all_of_its_containers(lab, tmp_path):
    with opened(lab, str(tmp_path), kinds=[("server", "1"), ("server", "2")]) as shop:
        shop.box.start_agent()
        with AgentSocket(shop.box, link=True) as cloud:
            cloud.connected("2026-01-02T03:04:05.000Z")
            assert shop.push(cloud, web="    scale: 2\n")["outcome"] == "done"
            result = shop.update(cloud, "server:2", service="web")
            assert result["outcome"] == "done", result
            assert (shop.version_of("web"), shop.version_of("web_2"), shop.version_of("db")) == ("2", "2", "1")
            kept = json.loads(read_text(shop.box.path("var/lib/tucomunidad/mgmt-agent/current.json")))
            assert [s.get("replicaOf") for s in kept["services"] if s["name"] == "web_2"] == ["web"]
            assert shop.ctl("update", "--undo", "web")[-1]["outcome"] == "done"
            assert (shop.version_of("web"), shop.version_of("web_2")) == ("1", "1")
