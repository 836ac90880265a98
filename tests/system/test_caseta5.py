# SPDX-License-Identifier: MIT
"""The outage that this project exists for, in both directions: podman-compose by hand, where nobody is told, and a push."""
# pylint: disable=redefined-outer-name
import os
import signal
import socket
import threading

import pytest

from tests.conftest import DEVICE, require_programs, running_box
from tests.integration.test_podman_traps import compose, service
from tests.lab import compose_versions
from tests.lab.box import Box
from tests.lab.util import wait_until

LITERAL = "${CLOUD_BASE_URL:-${FALLBACK_URL:-https://fallback.invalid}}"
FILE = compose(service("tunnel", more=f'environment:\n  CLOUD_BASE_URL: "{LITERAL}"\n  DEVICE_ID: "${{DEVICE_ID:-}}"\n'
                                      '  BOOTSTRAP: "${BOOTSTRAP:-}"\n  DEVICE_GATEWAY_URL: "${DEVICE_GATEWAY_URL:-}"'))
GOOD = compose(service("tunnel"))


@pytest.fixture(scope="module")
def box(lab, gateway, tmp_path_factory):
    with running_box(lab, str(tmp_path_factory.mktemp("caseta5")), gateway, agent_args=["--settle=1"]) as it:
        yield it


@pytest.fixture
def no_env(box):
    """The old install: there is no secbox.env."""
    path = box.path("etc/tucomunidad/secbox.env")
    if os.path.exists(path):
        os.unlink(path)
    return box


def test_by_hand_the_literal_text_reaches_the_container(project):
    """podman-compose 1.0.3, as it was called: exit 0, it runs, and the tunnel has nothing that it could connect to."""
    if project.lab.compose_version != "1.0.3":
        pytest.skip(f"podman-compose {project.lab.compose_version} is installed; the outage was with 1.0.3")
    project.file(FILE)
    run = project.up()
    assert run.code == 0, "nobody was told"
    assert project.state("tunnel") == "running"
    env = project.environment("tunnel")
    assert "${" in env["CLOUD_BASE_URL"] and not env["CLOUD_BASE_URL"].startswith("http")
    assert env["DEVICE_ID"] == "${DEVICE_ID:-}"
    assert env["DEVICE_GATEWAY_URL"] == "${DEVICE_GATEWAY_URL:-}"


@pytest.mark.parametrize("version,value", [("1.0.6", ""), ("1.3.0", "${DEVICE_ID:-}")])
def test_by_hand_a_missing_env_file_is_not_noticed(project, version, value):
    """The option of the outage, where podman-compose has it: exit 0 again, and nothing that a tunnel could use."""
    if not compose_versions.is_cached(version) and compose_versions.fetch(version):
        pytest.skip(f"podman-compose {version} cannot be had")
    project.file(FILE)
    run = project.run("--env-file", "/etc/tucomunidad/does-not-exist.env", "up", "-d", version=version)
    assert run.code == 0, run
    assert project.state("tunnel") == "running"
    assert project.environment("tunnel")["DEVICE_ID"] == value


def test_pushed_the_values_are_derived(gateway, no_env):
    answer = gateway.push(DEVICE, FILE)
    assert answer.status == 200, answer
    env = no_env.environment("tunnel")
    wanted = {key: no_env.agent_env[key] for key in ("CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP")}
    wanted["DEVICE_GATEWAY_URL"] = no_env.agent_env["MGMT_GATEWAY_URL"].replace("/mgmt", "/device")
    assert {key: env[key] for key in wanted} == wanted
    assert not [value for value in env.values() if "${" in value]
    phases = [e["phase"] for e in gateway.events(DEVICE, answer.json["deployment"]["version"]) if e["state"] == "started"]
    assert phases[:11] == ["verify", "parse", "policy", "secbox-env-ensure", "secbox-env-sanity", "render", "preflight",
                           "pull", "apply", "prove", "confirm"]


@pytest.mark.parametrize("key", ["CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP"])
def test_pushed_literal_values_are_refused(gateway, box, key):
    """An env file that an earlier fault has filled with unexpanded text: no container is touched."""
    if "tunnel" not in box.ids():
        assert gateway.push(DEVICE, GOOD).status == 200
    before = box.ids()
    good = dict(box.agent_env, DEVICE_GATEWAY_URL="ws://127.0.0.1:9/device")
    good = {k: good[k] for k in ("CLOUD_BASE_URL", "DEVICE_ID", "BOOTSTRAP", "DEVICE_GATEWAY_URL")}
    box.write_env("secbox.env", {**good, key: "${" + key + ":-https://cloud.example}"})
    answer = gateway.push(DEVICE, FILE)
    result = answer.json["result"]
    assert answer.status == result["status"] == 422
    assert (result["outcome"], result["phase"]) == ("failed", "secbox-env-sanity")
    assert result["error"]["id"] == "env.unexpanded"
    assert result["error"]["key"] == key and result["error"]["line"] == 1 + list(good).index(key)
    assert box.ids() == before and box.running() == {"tunnel"}
    box.write_env("secbox.env", good)


def test_f01_pushed_with_nothing_to_derive_from(gateway, no_env):
    """mgmt-agent.env has lost what secbox.env would be made from: the push stops, what runs stays."""
    before = no_env.ids()
    agent_env = no_env.agent_env
    no_env.write_env("mgmt-agent.env", {k: v for k, v in agent_env.items() if k != "CLOUD_BASE_URL"})
    try:
        answer = gateway.push(DEVICE, FILE)
    finally:
        no_env.write_env("mgmt-agent.env", agent_env)
    assert answer.status == 503 and answer.json["result"]["outcome"] == "failed"
    assert answer.json["result"]["error"]["id"] == "env.missing-keys"
    assert "CLOUD_BASE_URL" in answer.json["result"]["error"]["message"]
    assert no_env.ids() == before
    assert no_env.secbox_env() is None


class Counter:
    """A port that counts who connects, and hangs up."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def counter():
    it = Counter()
    yield it
    it.close()


@pytest.mark.parametrize("key,suffix", [("CLOUD_BASE_URL", ""), ("MGMT_GATEWAY_URL", "/mgmt")])
def test_the_link_reports_a_literal_url_once_and_does_not_retry(lab, folder, counter, key, suffix):
    require_programs("mgmt-agent", "mgmt-link", "secboxctl")
    good = {"CLOUD_BASE_URL": f"http://127.0.0.1:{counter.port}", "MGMT_GATEWAY_URL": f"ws://127.0.0.1:{counter.port}/mgmt"}
    with Box(lab, os.path.join(folder, "box"), {**good, key: "${" + key + ":-" + good[key] + "}"}) as it:
        it.start_agent()
        it.start_link()

        def fault():
            return (it.status()["link"].get("error") or {}).get("id")

        assert wait_until(fault, "mgmt-link tells the agent", it.link.death) == "env.unexpanded"
        said = it.link.log()
        threading.Event().wait(3)  # the original had retried several times by now
        assert it.link.log() == said and it.link.death() is None
        assert said.count("env.unexpanded") == 1 and key in said
        assert counter.connections == 0

        it.write_env("mgmt-agent.env", {**it.agent_env, **good})
        it.link.process.send_signal(signal.SIGHUP)
        wait_until(lambda: counter.connections > 0, "a corrected file is used", it.link.death)
