# SPDX-License-Identifier: MIT
"""Services that are down are seen, brought back by rules, and told: on real podman."""
import contextlib
import os
import signal
import subprocess

import pytest

from tests.conftest import DEVICE, require_programs, running_box
from tests.integration.test_podman_traps import compose, service
from tests.lab.agent_socket import AgentSocket
from tests.lab.box import Box
from tests.lab.util import wait_until

PACE = 20  # a minute of the rules is three seconds
ARGS = ["--settle", "1", "--watch-pace", str(PACE)]
GRACE = "stop_grace_period: 1s\n"
# Runs as long as nobody has made /data/bad; then it dies after three seconds, again and again.
SCRIPT = "trap 'exit 0' TERM; while [ ! -e /data/bad ]; do sleep 0.2; done; echo no camera; sleep 1; exit 7"
MOODY = f"""command: ["/bin/sh", "-c", "{SCRIPT}"]
volumes: ["data:/data"]
"""


@pytest.fixture
def box(lab, folder):
    require_programs("mgmt-agent", "mgmt-worker", "secboxctl")
    with Box(lab, os.path.join(folder, "box"), agent_args=ARGS) as it:
        it.start()
        yield it
    lab.remove_all()


def watched(box, name):
    return next((s for s in box.status()["watched"] if s["name"] == name), {})


def trouble(box, name):
    return watched(box, name).get("trouble", {})


def wait_state(box, name, state):
    def there():
        found = watched(box, name)
        return found if found.get("state") == state else None
    try:
        return wait_until(there, f"{name} is {state}", box.agent.death)
    except Exception as e:
        raise AssertionError(f"{box.status().get('watched')}\n{box.log()}") from e


def wait_well(box, name):
    def well():
        found = watched(box, name)
        return found if found.get("state") == "running" and found.get("trouble", {}).get("until") else None
    try:
        return wait_until(well, f"{name} is well again", box.agent.death)
    except Exception as e:
        raise AssertionError(f"{box.status().get('watched')}\n{box.log()}") from e


def kill_all(box, *names):
    """The monitors first, so that podman hears of nothing."""
    for name in names:
        state = box.containers()[name]["State"]
        for pid in (state["ConmonPid"], state["Pid"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def data_folder(box):
    return box.lab.podman("volume", "inspect", "--format", "{{.Mountpoint}}", "secbox_data").stdout.strip()


def make_bad(box, bad=True):
    path = os.path.join(data_folder(box), "bad")
    if bad:
        with open(path, "w", encoding="ascii"):
            pass
    else:
        os.unlink(path)


def test_a_crash_loop_is_told_and_well_again(box):
    assert box.apply(compose(service("moody", more=GRACE + "restart: always\n" + MOODY), service("calm", more=GRACE),
                             more="volumes:\n  data:\n"))["status"] == 200
    assert watched(box, "moody")["state"] == "running" and "trouble" not in watched(box, "moody")
    calm = box.ids()["calm"]
    make_bad(box)
    found = wait_state(box, "moody", "restarting")
    assert found["trouble"]["what"] == "restarting" and found["trouble"]["restarts"] >= 3, found
    assert found["trouble"]["exitCode"] == 7 and "no camera" in found["trouble"]["log"], found
    assert "until" not in found["trouble"] and found["trouble"]["since"].endswith("Z")
    assert "Service moody is restarting" in box.log()
    wait_until(lambda: any(e.get("kind") == "recreate" for e in box.history()["entries"]), "it is made anew once", box.agent.death)
    make_bad(box, False)
    wait_well(box, "moody")
    assert [e.get("kind") for e in box.history()["entries"]].count("recreate") == 1
    assert box.ids()["calm"] == calm and watched(box, "calm")["state"] == "running"
    assert "Service moody is well again" in box.log()


def forget_all(box):
    """Podman takes it for a boot, as when its user's folder in /run was made anew."""
    os.unlink(os.path.join(box.lab.dir, "tmp", "alive"))


def test_what_was_lost_is_started_again(box):
    """As when a user's service manager is stopped: processes and podman's own memory of them are gone."""
    text = compose(service("web", more=GRACE), service("db", more=GRACE + "restart: always\n"), service("job", "one-shot:1"))
    assert box.apply(text)["status"] == 200
    ids = box.ids()
    kill_all(box, "web", "db")
    forget_all(box)
    for name in ("web", "db"):
        found = wait_well(box, name)
        assert found["trouble"]["what"] == "down" and found["trouble"]["restarts"] >= 1
        os.kill(box.containers()[name]["State"]["Pid"], 0)
    assert box.running() == {"web", "db"} and box.ids() == ids, "the same containers"
    assert "trouble" not in watched(box, "job") and watched(box, "job")["state"] == "ended"
    assert box.apply(text)["status"] == 200


def test_what_has_lost_its_monitor_is_made_anew(box):
    text = compose(service("web", more=GRACE + "restart: always\n"), service("db", more=GRACE))
    assert box.apply(text)["status"] == 200
    ids = box.ids()
    kill_all(box, "web")
    found = wait_well(box, "web")
    assert found["trouble"]["what"] == "down" and found["trouble"]["restarts"] == 1
    os.kill(box.containers()["web"]["State"]["Pid"], 0)
    assert box.ids()["web"] != ids["web"] and box.ids()["db"] == ids["db"]
    assert box.history()["entries"][0]["kind"] == "recreate"
    assert box.apply(text)["noop"] is True


def stop_slowly(box, container):
    """The service does not end when it is told to, nobody waits for it any more, and then it does."""
    os.kill(container["State"]["Pid"], signal.SIGSTOP)
    with subprocess.Popen(["podman", "stop", "-t", "900", container["Id"]], env=box.lab.env) as stopping:
        wait_until(lambda: box.lab.inspect(container["Id"])["State"]["Status"] == "stopping", "it is being stopped")
        stopping.kill()
    assert "trouble" not in watched(box, "web")
    os.kill(container["State"]["Pid"], signal.SIGKILL)


def test_an_operator_who_stops_a_service_is_left_in_peace(box):
    text = compose(service("web", more=GRACE + "restart: always\n"), service("other", more=GRACE + "restart: on-failure\n"))
    assert box.apply(text)["status"] == 200
    containers = box.containers()
    stop_slowly(box, containers["web"])
    box.lab.podman("kill", containers["other"]["Id"])
    for name in ("web", "other"):
        assert "trouble" not in wait_state(box, name, "stopped by hand")
    # the agent's restart changes nothing about that
    box.agent.stop()
    box.start_agent()
    for name in ("web", "other"):
        assert "trouble" not in wait_state(box, name, "stopped by hand")
    assert box.running() == set()
    # nor is it forgotten when somebody starts one again
    box.lab.podman("start", containers["web"]["Id"])
    assert "trouble" not in wait_state(box, "web", "running")
    assert "starting it again" not in box.log()
    # a push starts what it changes
    assert box.apply(text.replace("server:1", "server:2"))["status"] == 200
    for name in ("web", "other"):
        assert "trouble" not in wait_state(box, name, "running")


def test_a_policy_that_forbids_a_restart_is_kept_to(box):
    text = compose(service("once", more=GRACE + "restart: \"no\"\n" + MOODY), more="volumes:\n  data:\n")
    assert box.apply(text)["status"] == 200
    make_bad(box)
    found = wait_state(box, "once", "down")
    assert (found["trouble"]["what"], found["trouble"]["exitCode"], found["trouble"]["restarts"]) == ("down", 7, 0)
    since = found["trouble"]["since"]
    # it is remembered over a restart of the agent
    box.agent.stop()
    box.start_agent()
    assert wait_state(box, "once", "down")["trouble"]["since"] == since
    assert "starting it again" not in box.log() and box.running() == set()
    # a push that changes it heals it
    make_bad(box, False)
    assert box.apply(text.replace("no camera", "no sound"))["status"] == 200
    wait_well(box, "once")


def test_an_unhealthy_service_is_restarted(box):
    """The image's own health check, as podman's timer runs it; there is no timer here, so the test does."""
    text = compose(service("web", "server:1", GRACE + "restart: always\n"))
    box.lab.podman("build", "-q", "--format", "docker", "-t", "localhost/fickle:1", "-f", "-", box.lab.empty_dir, input=(
        "FROM localhost/server:1\nHEALTHCHECK --interval=1h --retries=1 CMD /bin/sh -c '! read x < /tmp/ill'\n").encode())
    assert box.apply(text.replace("server:1", "fickle:1"))["status"] == 200
    container = box.ids()["web"]
    started = box.containers()["web"]["State"]["StartedAt"]
    box.lab.podman("exec", container, "/bin/sh", "-c", "echo yes > /tmp/ill")
    box.lab.podman("healthcheck", "run", container, check=False)
    found = wait_state(box, "web", "unhealthy")
    assert found["trouble"]["what"] == "unhealthy"
    wait_until(lambda: box.containers()["web"]["State"]["StartedAt"] != started, "it is restarted", box.agent.death)
    box.lab.podman("exec", container, "/bin/sh", "-c", ": > /tmp/ill")
    box.lab.podman("healthcheck", "run", container)
    wait_well(box, "web")


def test_a_health_check_is_run_where_podman_has_no_timer_for_it(box):
    """Podman has no systemd here that would run the compose file's own check."""
    check = "healthcheck: {test: '! read x < /tmp/ill', interval: 1s, retries: 1}\n"
    assert box.apply(compose(service("web", more=GRACE + "restart: always\n" + check)))["status"] == 200
    container = box.ids()["web"]
    box.lab.podman("exec", container, "/bin/sh", "-c", "echo yes > /tmp/ill")
    found = wait_state(box, "web", "unhealthy")
    assert found["trouble"]["what"] == "unhealthy"
    assert box.log().count("does not run the health check of web by itself") == 1
    box.lab.podman("exec", container, "/bin/sh", "-c", ": > /tmp/ill")
    wait_well(box, "web")


def test_the_cloud_hears_of_it_once_and_again_when_it_is_well(lab, folder, gateway):
    with running_box(lab, folder, gateway, agent_args=ARGS) as box:
        text = compose(service("moody", more=GRACE + "restart: always\n" + MOODY), more="volumes:\n  data:\n")
        assert gateway.push(DEVICE, text).status == 200

        def entries(action):
            found = gateway.request("GET", "/v1/audit?limit=1000").json["entries"]
            return [e for e in found if e["action"] == action and e["device"] == DEVICE]

        # what a push does to it, and its rollback undoes, is no trouble
        bad = compose(service("moody", "crash:1", GRACE + "restart: always\n"))
        assert gateway.push(DEVICE, bad).json["result"]["outcome"] == "rolled-back"
        assert "trouble" not in wait_state(box, "moody", "running")
        assert not entries("service.down")
        make_bad(box)
        alarm = wait_until(lambda: entries("service.down"), "the alarm", box.agent.death)[0]
        assert alarm["alarm"] and alarm["detail"]["service"] == "moody" and alarm["detail"]["exitCode"] == 7, alarm
        assert alarm["detail"]["restarts"] >= 3 and "no camera" in alarm["detail"]["log"], alarm
        listed = next(d for d in gateway.request("GET", "/v1/devices").json["devices"] if d["id"] == DEVICE)
        assert listed["services"] == [{"name": "moody", "state": "restarting"}]
        make_bad(box, False)
        end = wait_until(lambda: entries("service.well"), "it is well again", box.agent.death)[0]
        assert not end["alarm"] and end["detail"]["since"] == alarm["detail"]["since"] and end["detail"]["until"]
        assert len(entries("service.down")) == 1


def test_a_push_waits_for_what_the_box_does_by_itself(box):
    text = compose(service("web", more=GRACE + "restart: always\n"))
    assert box.apply(text)["status"] == 200
    kill_all(box, "web")
    wait_until(lambda: "making its container anew" in box.log(), "it is being made anew", box.agent.death)
    with AgentSocket(box) as client:
        result = client.push(compose(service("web", "server:2", GRACE + "restart: always\n")))
    assert result["type"] == "compose.result" and result["status"] == 200, result
    assert box.running() == {"web"} and box.environment("web")["APP_VERSION"] == "2"


def test_the_alarm_of_a_removed_service_ends(lab, folder, gateway):
    """Also where the cloud was away when the service was removed, and the agent was started anew meanwhile."""
    with running_box(lab, folder, gateway, agent_args=ARGS) as box:
        both = compose(service("calm", more=GRACE), service("moody", more=GRACE + "restart: always\n" + MOODY),
                       more="volumes:\n  data:\n")
        assert gateway.push(DEVICE, both).status == 200

        def entries(action):
            found = gateway.request("GET", "/v1/audit?limit=1000").json["entries"]
            return [e for e in found if e["action"] == action and e["device"] == DEVICE and e["detail"]["service"] == "moody"]

        down, well = len(entries("service.down")), len(entries("service.well"))
        make_bad(box)
        wait_until(lambda: len(entries("service.down")) > down, "the alarm", box.agent.death)
        alarm = entries("service.down")[0]
        box.link.stop()
        assert box.apply(compose(service("calm", more=GRACE)))["status"] == 200
        wait_until(lambda: "Service moody is removed" in box.log(), "the agent has seen it", box.agent.death)
        assert [s["name"] for s in box.status()["watched"]] == ["calm"]
        box.agent.stop()
        box.start_agent()
        box.start_link()
        wait_until(lambda: len(entries("service.well")) > well, "the end of the alarm", box.agent.death)
        end = entries("service.well")[0]
        assert (end["detail"]["state"], end["detail"]["since"]) == ("removed", alarm["detail"]["since"])
        listed = next(d for d in gateway.request("GET", "/v1/devices").json["devices"] if d["id"] == DEVICE)
        assert {s["name"] for s in listed["services"] if s["state"] != "removed"} == {"calm"}
