# SPDX-License-Identifier: MIT
"""mgmt-link whose configuration is edited while its tunnel is up: the new one is tried beside it, and takes over when it works."""
# pylint: disable=redefined-outer-name,unused-import
import glob
import json
import os
import signal

import pytest

pytest.importorskip("websockets")

from tests.integration.fake_cloud import FakeCloud  # noqa: E402
from tests.integration.test_link import box, cloud  # noqa: E402
from tests.lab.util import free_port, read_text, wait_until  # noqa: E402


@pytest.fixture
def other():
    with FakeCloud() as it:
        yield it


def fault(box):
    text = read_text(os.path.join(box.root, "run/tucomunidad/mgmt-link/config-fault.json"))
    return json.loads(text)["error"] if text else {}


def wait_fault(box, identifier):
    def told():
        now = fault(box)
        return now["message"] if now.get("id") == identifier else None

    return wait_until(told, f"mgmt-link tells {identifier}", lambda: box.process.poll())


def start(cloud, box, *options, **environment):
    box.start(*options, **environment)
    tunnel = cloud.next_connection()
    box.agent.wait_connected()
    return tunnel


def to(cloud):
    return {"CLOUD_BASE_URL": cloud.cloud_url, "MGMT_GATEWAY_URL": cloud.url("mgmt")}


def answers(box, tunnel):
    """The tunnel carries messages in both directions."""
    tunnel.send({"type": "probe", "id": "p1"})
    tunnel.receive("probe.answer")
    box.agent.send({"type": "history.report", "id": "h1", "entries": []})
    tunnel.receive("history.report")


def test_an_edit_that_works_is_taken_and_the_old_tunnel_goes_only_then(cloud, box, other):
    old = start(cloud, box)
    box.write_env(**to(other))
    new = other.next_connection()
    answers(box, new)
    wait_until(old.closed.is_set, "the old tunnel is closed", lambda: box.process.poll())
    assert "sessions.taken" not in box.logged()
    assert not fault(box) and f"the tunnel is to {other.url('mgmt')} now" in box.logged()
    box.stop()
    start(other, box)  # and at the next boot
    box.stop()


def test_an_edit_that_leads_nowhere_is_told_and_cuts_nobody_off(cloud, box):
    tunnel = start(cloud, box)
    nowhere = f"ws://127.0.0.1:{free_port()}/mgmt"
    box.write_env(MGMT_GATEWAY_URL=nowhere)
    text = wait_fault(box, "config.unreachable")
    assert nowhere in text and "Connection refused" in text and cloud.url("mgmt") in text
    answers(box, tunnel)
    assert not tunnel.closed.is_set()
    assert box.logged().count("the configuration has changed: it gets a tunnel of its own") == 1
    # nor is the next boot the end: what worked last is used, while the edit is tried
    box.stop()
    tunnel = start(cloud, box)
    wait_fault(box, "config.unreachable")
    answers(box, tunnel)
    box.write_env()
    wait_until(lambda: not fault(box), "the fault is over", lambda: box.process.poll())
    answers(box, tunnel)
    box.stop()


@pytest.mark.parametrize("change, identifier", [
    ({"DEVICE_ID": None}, "env.missing-keys"),
    ({"CLOUD_CA_FILE": "/nowhere/ca.pem"}, "config.unreachable"),
])
def test_an_edit_that_cannot_work_is_told_and_cuts_nobody_off(cloud, box, change, identifier):
    tunnel = start(cloud, box)
    box.write_env(**change)
    wait_fault(box, identifier)
    answers(box, tunnel)
    box.stop()
    assert "bootstrap-secret-1" not in box.logged()
    tunnel = start(cloud, box)
    wait_fault(box, identifier)
    answers(box, tunnel)
    box.stop()


def test_a04_what_the_file_names_is_watched_too(cloud, box):
    authorities = os.path.join(box.root, "ca.pem")
    tunnel = start(cloud, box)
    box.write_env(CLOUD_CA_FILE=authorities)
    assert authorities in wait_fault(box, "config.unreachable")
    with open("/etc/ssl/certs/ca-certificates.crt", "rb") as source, open(authorities, "wb") as f:
        f.write(source.read())
    new = cloud.next_connection()
    answers(box, new)
    wait_until(tunnel.closed.is_set, "the old tunnel is closed", lambda: box.process.poll())
    wait_until(lambda: not fault(box), "the fault is over", lambda: box.process.poll())
    box.stop()


def test_what_is_kept_has_every_line_of_the_file(cloud, box):
    start(cloud, box)
    box.write_env(UPDATE_MONITOR_ONLY="1")
    wait_until(lambda: read_text(box.state("kept.env")) == read_text(box.env_path), "it is kept", lambda: box.process.poll())
    box.stop()


def test_what_takes_over_from_a_kept_configuration_that_does_not_work_is_kept_in_its_place(cloud, box, other):
    authorities = os.path.join(box.root, "ca.pem")
    with open("/etc/ssl/certs/ca-certificates.crt", "rb") as source, open(authorities, "wb") as f:
        f.write(source.read())
    box.write_env(CLOUD_CA_FILE=authorities)
    start(cloud, box)
    kept = wait_until(lambda: glob.glob(box.state("kept-ca*")), "the authorities are kept", lambda: box.process.poll())
    box.stop()
    with open(kept[0], "w", encoding="utf-8") as f:
        f.write("no certificate\n")
    box.write_env(DEVICE_ID=None)
    box.start()
    wait_until(lambda: fault(box), "mgmt-link tells why it has no tunnel", lambda: box.process.poll())
    box.write_env(**to(other))
    answers(box, other.next_connection())
    wait_until(lambda: not fault(box), "the fault is over", lambda: box.process.poll())
    wait_until(lambda: other.url("mgmt") in read_text(box.state("kept.env")), "it is kept", lambda: box.process.poll())
    box.stop()
    assert not glob.glob(box.state("kept-ca*"))


def test_mgmt_agent_hands_over_what_mgmt_link_may_not_read(cloud, box, other):
    """Under systemd the file is root's, and mgmt-link has a copy from its start: that is never read again."""
    credentials = os.path.join(box.root, "credentials")
    os.mkdir(credentials)
    with open(os.path.join(credentials, "mgmt-agent.env"), "w", encoding="utf-8") as f:
        f.write(read_text(box.env_path))
    old = start(cloud, box, CREDENTIALS_DIRECTORY=credentials)
    box.write_env(**to(other))
    box.process.send_signal(signal.SIGHUP)
    box.agent.receive("link.hello")  # which is how it asks
    answers(box, old)
    box.agent.send({"type": "link.config", "text": read_text(box.env_path)})
    answers(box, other.next_connection())
    box.agent.send({"type": "link.config", "text": "DEVICE_ID=\n"})
    wait_fault(box, "env.missing-keys")
    box.stop()
    assert "bootstrap-secret-1" not in box.logged()
