# SPDX-License-Identifier: MIT
"""What replacing one container must not do to the others, or to the way back."""
import os
import signal

import pytest

from tests.integration.test_podman_traps import compose, service
from tests.lab.util import wait_until

GRACE = "stop_grace_period: 1s\n"


def names(lab):
    return {c["Name"] for c in lab.containers().values()}


def test_a_container_that_gets_another_name_and_dies_comes_back_under_its_own(box, lab):
    assert box.apply(compose(service("web", more=GRACE)))["status"] == 200
    before = box.ids()
    result = box.apply(compose(service("web", "crash:1", more=GRACE + "container_name: other")))
    assert (result["status"], result["outcome"]) == (500, "rolled-back"), result
    assert box.ids() == before and box.running() == {"web"}
    assert names(lab) == {"secbox_web_1"}


def test_old_restarts_of_a_kept_service_do_not_undo_a_push(box, lab):
    web = service("web", more=GRACE + "restart: always")
    assert box.apply(compose(web))["status"] == 200
    kept = box.ids()["web"]
    os.kill(box.containers()["web"]["State"]["Pid"], signal.SIGKILL)  # podman kill would count as a wish to stop it
    wait_until(lambda: box.containers()["web"]["RestartCount"] > 0 and "web" in box.running(), "podman restarts it")
    result = box.apply(compose(web, service("extra", more=GRACE)))
    assert (result["status"], result["outcome"]) == (200, "done"), result
    assert box.ids()["web"] == kept and box.running() == {"web", "extra"}


def test_a_port_that_an_older_tool_gave_to_the_same_service_is_taken_over(box, lab, folder):
    text = compose(service("web", more=GRACE + 'ports: ["127.0.0.1:18181:8080"]'))
    with open(os.path.join(folder, "compose.yaml"), "w", encoding="utf-8") as f:
        f.write(text)
    lab.compose(folder, "-p", "secbox", "up", "-d")
    by_hand = lab.containers()["secbox_web_1"]["Id"]
    result = box.apply(text)
    assert (result["status"], result["outcome"]) == (200, "done"), result
    assert box.ids()["web"] != by_hand and names(lab) == {"secbox_web_1"}


def test_a_port_that_a_stranger_holds_stops_the_push(box, lab):
    lab.podman("run", "-d", "--name", "stranger", "-p", "127.0.0.1:18182:8080", "localhost/server:1")
    result = box.apply(compose(service("web", more=GRACE + 'ports: ["127.0.0.1:18182:8080"]')))
    assert (result["status"], result["error"]["id"]) == (422, "preflight.port-in-use"), result
    assert names(lab) == {"stranger"}


def test_a_health_check_needs_no_shell(box):
    check = 'healthcheck: {test: ["CMD", "/bin/busybox", "true"], interval: 1s, retries: 1}'
    result = box.apply(compose(service("web", more=GRACE + check)))
    assert (result["status"], result["outcome"]) == (200, "done"), result
    bad = check.replace('"true"', '"false"')
    result = box.apply(compose(service("web", more=GRACE + bad)))
    assert (result["outcome"], result["error"]["id"]) == ("rolled-back", "prove.unhealthy"), result


SLOW_START = 'command: ["/bin/sh", "-c", "sleep {seconds}; touch /tmp/ready; exec /bin/lab-server"]\n'
READY = 'healthcheck: {{test: ["CMD", "/bin/busybox", "test", "-e", "/tmp/ready"], {timing}}}'


@pytest.mark.parametrize("timing", ["interval: 30s, retries: 3", "interval: 1s, retries: 1, start_period: 20m"])
def test_a_service_gets_the_time_that_its_health_check_gives_it(box, timing):
    slow = SLOW_START.format(seconds=12) + READY.format(timing=timing)
    result = box.apply(compose(service("web", more=GRACE + slow)))
    assert (result["status"], result["outcome"]) == (200, "done"), result


def test_the_images_own_health_check_gets_its_time_too(box, lab):
    text = "FROM localhost/server:1\nHEALTHCHECK --interval=30s --retries=3 CMD /bin/busybox test -e /tmp/ready\n"
    lab.podman("build", "-q", "--format", "docker", "-t", "localhost/slow:1", "-f", "-", lab.empty_dir, input=text.encode())
    result = box.apply(compose(service("web", "slow:1", more=GRACE + SLOW_START.format(seconds=12))))
    assert (result["status"], result["outcome"]) == (200, "done"), result


def test_a_service_is_unhealthy_after_as_many_failures_as_its_check_says(box):
    never = READY.format(timing="interval: 3s, retries: 2")
    result = box.apply(compose(service("web", more=GRACE + never)))
    assert (result["outcome"], result["error"]["id"]) == ("rolled-back", "prove.unhealthy"), result
    assert "failed 2 times in a row" in result["error"]["message"], result
