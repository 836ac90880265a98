# SPDX-License-Identifier: MIT
"""A push from the gateway to a whole box, real podman behind it: above all the outage that must not come again."""
import os
import threading

import pytest

from tests.integration.test_podman_traps import SERVER, compose, service
from tests.lab.argv_watch import ArgvWatch
from tests.lab.util import wait_until

DEVICE = "caseta5"
STACK = compose(service("web", more="environment:\n  URL: ${CLOUD_BASE_URL:-http://literal.invalid}\n"
                                    "  DEVICE: ${DEVICE_ID}\n  TOKEN: ${BOOTSTRAP}\n  GATEWAY: ${DEVICE_GATEWAY_URL}"))
SANITY_OK = "[compose-snapshot] secbox.env sanity ok (2/2 required keys present)"


def push(gateway, text, **more):
    return gateway.push(DEVICE, text, **more)


def result_of(answer):
    assert answer.json is not None, answer
    return answer.json["result"]


@pytest.fixture
def deployed(gateway, fleet_box):
    """A box that runs one good push."""
    answer = push(gateway, SERVER)
    assert answer.status == 200, answer
    return fleet_box


def test_f01_missing_env_is_made_and_real_values_reach_the_containers(gateway, fleet_box):
    assert fleet_box.secbox_env() is None
    answer = push(gateway, STACK)
    assert answer.status == 200, answer
    made = fleet_box.secbox_env()
    for key in ("CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP"):
        assert made[key] == fleet_box.agent_env[key]
    assert made["DEVICE_GATEWAY_URL"] == fleet_box.agent_env["MGMT_GATEWAY_URL"].replace("/mgmt", "/device")
    assert os.stat(fleet_box.path("etc/tucomunidad/secbox.env")).st_mode & 0o777 == 0o600
    env = fleet_box.environment("web")
    assert env["URL"] == fleet_box.agent_env["CLOUD_BASE_URL"]
    assert env["DEVICE"] == DEVICE
    assert env["TOKEN"] == fleet_box.agent_env["BOOTSTRAP"]
    assert env["GATEWAY"] == made["DEVICE_GATEWAY_URL"]
    assert not [v for v in env.values() if "${" in v]
    assert SANITY_OK in fleet_box.log()


def test_an_existing_env_is_never_overwritten(gateway, fleet_box):
    mine = {"CLOUD_BASE_URL": "https://mine.example", "DEVICE_ID": "mine", "BOOTSTRAP": "mine-bootstrap-secret",
            "DEVICE_GATEWAY_URL": "wss://mine.example/device"}
    fleet_box.write_env("secbox.env", mine)
    assert push(gateway, STACK).status == 200
    assert fleet_box.secbox_env() == mine
    assert fleet_box.environment("web")["URL"] == "https://mine.example"


def test_an_empty_env_counts_as_missing(gateway, fleet_box):
    fleet_box.write("etc/tucomunidad/secbox.env", "")
    assert push(gateway, STACK).status == 200
    assert fleet_box.secbox_env()["DEVICE_ID"] == DEVICE


@pytest.mark.parametrize("value", ["", "   "])
def test_f03_emptied_device_id_stops_before_any_container(gateway, deployed, value):
    before = deployed.ids()
    env = deployed.secbox_env()
    deployed.write_env("secbox.env", {**env, "DEVICE_ID": value})
    answer = push(gateway, STACK)
    result = result_of(answer)
    assert answer.status == result["status"] == 422
    assert result["phase"] == "secbox-env-missing-keys"
    assert result["outcome"] == "failed"
    assert "DEVICE_ID" in result["error"]["message"]
    assert deployed.ids() == before and deployed.running() == {"web"}


def test_caseta5_both_ways(gateway, fleet_box, project):
    """The outage as it was, by hand; then the same file, pushed."""
    project.file(STACK)
    project.write(".env", "")
    bare = project.up()
    assert bare.code == 0, "nobody was told"
    env = project.environment("web")
    assert env["DEVICE"] == "" and env["URL"] == "http://literal.invalid"
    project.lab.remove_all()

    assert push(gateway, STACK).status == 200
    env = fleet_box.environment("web")
    assert env["DEVICE"] == DEVICE and env["URL"] == fleet_box.agent_env["CLOUD_BASE_URL"]


@pytest.mark.parametrize("more", ["environment:\n  A: ${NOBODY_KNOWS_IT}", "volumes:\n  - ${NOBODY_KNOWS_IT}:/data"])
def test_f05_a_variable_that_nobody_knows_stops_the_push(gateway, deployed, more):
    """By hand, a volume without a name would be made of the second one, and be empty."""
    before, volumes = deployed.ids(), deployed.lab.volumes()
    answer = push(gateway, compose(service("web", more=more)))
    result = result_of(answer)
    assert answer.status == 422
    assert result["phase"] == "secbox-env-missing-keys"
    assert result["error"]["id"] == "env.missing-keys"
    assert "NOBODY_KNOWS_IT" in result["error"]["message"]
    assert result["error"]["file"] == "compose.yml" and result["error"]["line"] > 0
    assert deployed.ids() == before and deployed.running() == {"web"}
    assert deployed.lab.volumes() == volumes


@pytest.mark.parametrize("image", ["crash:1", "short-lived:1", "unhealthy:1"])
def test_f07_f08_what_does_not_stay_up_is_rolled_back(gateway, deployed, image):
    before = deployed.ids()
    deployed.agent.stop()
    deployed.agent_args = []  # it looks for longer than the image lives
    told = gateway.device(DEVICE)["statusAt"]
    deployed.start_agent()
    gateway.wait_reported(DEVICE, told)
    answer = push(gateway, compose(service("web", image)))
    result = result_of(answer)
    assert answer.status == 500
    assert (result["outcome"], result["phase"]) == ("rolled-back", "rolled-back")
    assert deployed.ids() == before, "the very same containers run again"
    assert deployed.running() == {"web"}
    assert gateway.device(DEVICE)["connected"]


def test_a_one_shot_may_end(gateway, fleet_box):
    answer = push(gateway, compose(service("web"), service("migrate", "one-shot:1")))
    assert answer.status == 200, answer
    wait_until(lambda: fleet_box.running() == {"web"}, "the one-shot has ended")


def test_an_image_that_cannot_be_had_changes_nothing(gateway, deployed):
    before = deployed.ids()
    answer = push(gateway, "services:\n  web:\n    image: 127.0.0.1:1/nowhere:1\n")
    assert result_of(answer)["phase"] == "pull"
    assert deployed.ids() == before and deployed.running() == {"web"}


def test_f12_the_same_again_is_a_noop(gateway, deployed):
    before = deployed.ids()
    answer = push(gateway, SERVER)
    assert answer.status == 200
    assert result_of(answer)["noop"] is True
    assert deployed.ids() == before


def test_only_the_changed_service_is_replaced(gateway, fleet_box):
    stack = [service(name) for name in ("a", "b", "c")]
    assert push(gateway, compose(*stack)).status == 200
    before = fleet_box.ids()
    stack[1] = service("b", "server:2")
    answer = push(gateway, compose(*stack))
    assert answer.status == 200, answer
    after = fleet_box.ids()
    assert (after["a"], after["c"]) == (before["a"], before["c"])
    assert after["b"] != before["b"]
    actions = {s["name"]: s["action"] for s in result_of(answer)["services"]}
    assert (actions["a"], actions["b"], actions["c"]) == ("keep", "replace", "keep")
    assert fleet_box.containers()["b"]["Image"] == fleet_box.lab.image_id("localhost/server:2")


def test_an_orphan_is_removed(gateway, fleet_box):
    assert push(gateway, compose(service("web"), service("old"))).status == 200
    assert push(gateway, SERVER).status == 200
    assert set(fleet_box.containers()) == {"web"}


def test_a_strangers_container_is_left_alone(gateway, fleet_box):
    fleet_box.lab.podman("run", "-d", "--name", "stranger", "localhost/server:1")
    assert push(gateway, SERVER).status == 200
    assert push(gateway, compose(service("other"))).status == 200
    assert fleet_box.lab.inspect("stranger")["State"]["Status"] == "running"


def test_an_image_from_a_registry_is_pulled_and_pinned(gateway, fleet_box, registry):
    digest = registry.push("localhost/server:1", "shop/web")
    registry.push("localhost/server:2", "shop/web", "next")
    text = f"services:\n  web:\n    image: {registry.address}/shop/web:latest\n"
    assert push(gateway, text).status == 200
    assert fleet_box.environment("web")["APP_VERSION"] == "1"
    registry.move_tag("shop/web", "next", "latest")
    assert registry.digest("shop/web") != digest
    before = fleet_box.ids()
    assert push(gateway, text).status == 200
    assert fleet_box.environment("web")["APP_VERSION"] == "1", "an image that is here is not pulled anew"
    assert fleet_box.ids() == before
    assert push(gateway, text.replace("latest\n", "latest\n    pull_policy: always\n")).status == 200
    assert fleet_box.environment("web")["APP_VERSION"] == "2"
    assert fleet_box.running() == {"web"}


def test_secrets_are_nowhere_but_in_the_container(gateway, fleet_box):
    secret = fleet_box.agent_env["BOOTSTRAP"]
    with ArgvWatch([secret]) as watch:
        answer = push(gateway, STACK)
        failing = push(gateway, STACK.replace("server:1", "crash:1"))
    assert answer.status == 200, answer
    assert fleet_box.environment("web")["TOKEN"] == secret
    assert watch.rounds > 5 and not watch.found
    assert secret not in fleet_box.log()
    assert secret not in gateway.log()
    assert secret not in answer.text + failing.text
    for deployment in (answer.json["deployment"], failing.json["deployment"]):
        assert secret not in str(gateway.events(DEVICE, deployment["version"]))
    assert secret not in fleet_box.ctl("status").stdout + fleet_box.ctl("history").stdout


def test_the_agent_killed_in_mid_push_converges(gateway, deployed):
    before = deployed.ids()
    text = compose(service("web", "server:2"), service("more", "server:1"))
    pushing = threading.Thread(target=lambda: gateway.push(DEVICE, text))
    pushing.start()
    wait_until(lambda: deployed.ids() != before, "the push touches containers")
    deployed.agent.kill()
    deployed.start_agent()

    def settled():
        running = deployed.running()
        return running in ({"web"}, {"web", "more"}) and not deployed.status_pending()

    wait_until(settled, "one of the two snapshots runs whole")
    image = deployed.containers()["web"]["Image"]
    wanted = "server:2" if "more" in deployed.running() else "server:1"
    assert image == deployed.lab.image_id(f"localhost/{wanted}")
    pushing.join()


def test_the_gateway_may_be_gone_for_a_while(gateway, deployed):
    gateway.stop()
    gateway.start()
    gateway.wait_reported(DEVICE)
    assert push(gateway, compose(service("web", "server:2"))).status == 200
    assert deployed.running() == {"web"}
