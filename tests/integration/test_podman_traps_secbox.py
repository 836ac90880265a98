# SPDX-License-Identifier: MIT
"""The traps of test_podman_traps.py again, by the same numbers: with SecBox in front of podman-compose none is left."""
# pylint: disable=redefined-outer-name
import os
import socket
import threading

import pytest

from tests.conftest import require_programs
from tests.integration.test_podman_traps import SERVER, compose, service
from tests.lab import compose_versions
from tests.lab.argv_watch import ArgvWatch
from tests.lab.box import Box
from tests.lab.recorder import Recorder
from tests.lab.util import read_text, wait_until

SECRET = "lab-bootstrap-secret-000001"


@pytest.fixture
def offline(lab, folder):
    """A box without an agent: what files become."""
    require_programs("secboxctl")
    it = Box(lab, os.path.join(folder, "box"))
    it.write_env("secbox.env", {"CLOUD_BASE_URL": "https://cloud.example", "DEVICE_ID": "caseta5", "EMPTY": "", "SET": "set",
                                "BOTH": "file", "DOLLAR": "pa$word", "LOOKS": "$SET"})
    return it


@pytest.fixture
def box(lab, folder):
    """A box without a cloud that does not wait long to see whether a service stays up."""
    require_programs("mgmt-agent", "secboxctl")
    with Box(lab, os.path.join(folder, "box"), agent_args=["--settle=1"]) as it:
        it.start()
        yield it
    lab.remove_all()


def web(value, key="V"):
    return compose(service("web", more=f"environment:\n  {key}: '{value}'"))


VALUES = [
    (2, "${BOTH}", "file"),
    (6, "${NOWHERE:-}", ""),
    (6, "${NOWHERE-}", ""),
    (7, "${EMPTY:-default}", "default"),
    (7, "${EMPTY-default}", ""),
    (8, "${NOWHERE:-${NEITHER:-inner}}", "inner"),
    (9, "${SET+other}", "other"),
    (9, "${SET:+other}", "other"),
    (9, "${NOWHERE+other}", ""),
    (10, "pa$$word", "pa$word"),
    (10, "${DOLLAR}", "pa$word"),
    (10, "${LOOKS}", "$SET"),
]


@pytest.mark.parametrize("row,text,value", VALUES)
def test_value_is_what_the_specification_says(offline, row, text, value):
    services, error = offline.render(web(text), env={"BOTH": "process", "NOWHERE2": "x"})
    assert error is None, f"row {row}"
    assert services["web"]["environment"]["V"].replace("$$", "$") == value, f"row {row}"


REFUSED = [
    (5, web("a${NOWHERE}b"), "interpolate.unset"),
    (7, web("${EMPTY:?must not be empty}"), "interpolate.required"),
    (9, web("${A.B}"), "interpolate.syntax"),
    (9, web("${1}"), "interpolate.syntax"),
    (10, web("pa$word"), "interpolate.unset"),
    (21, compose(service("web", more="network_mode: host")), "render.unsupported"),
    (22, compose(service("web", more="networks: [front]")), "compose.missing-network"),
    (23, compose(service("a", more="container_name: same"), service("b", more="container_name: same")),
     "compose.duplicate-container-name"),
    (28, "services:\n  web:\n    imgae: localhost/server:1\n", "compose.unknown-key"),
    (33, compose(service("a", more='ports: ["127.0.0.1:18080:80"]'), service("b", more='ports: ["127.0.0.1:18080:80"]')),
     "compose.duplicate-port"),
]


@pytest.mark.parametrize("row,text,wanted", REFUSED)
def test_refused_with_a_reason(offline, row, text, wanted):
    if wanted.startswith("render."):
        offline.set_engine("podman-compose")
    assert offline.render(text)[1] == wanted, f"row {row}"


def test_row03_missing_env_file_is_an_error(offline):
    os.unlink(offline.path("etc/tucomunidad/secbox.env"))
    assert offline.render(SERVER)[1] == "env.missing"


@pytest.mark.parametrize("line", ["A='quoted'", 'A="quoted"', "export A=1", "A =1"])
def test_row12_secbox_env_is_read_once_and_as_docker_compose_does(offline, line):
    offline.write("etc/tucomunidad/secbox.env", f"CLOUD_BASE_URL=https://c.example\nDEVICE_ID=x\n{line}\n")
    services, error = offline.render(compose(service("web", more="environment: {B: '${A}'}")))
    assert error is None
    assert services["web"]["environment"]["B"] == line.split("=")[1].strip("'\"")


def test_row20_profiled_services_are_left_out(offline):
    services, _ = offline.render(compose(service("web"), service("debug", more="profiles: [debug]")))
    assert list(services) == ["web"]


def test_row24_the_name_in_the_file_changes_no_name_on_the_box(offline):
    services, error = offline.render("name: chosen\n" + SERVER)
    assert error is None
    assert services["web"]["container_name"] == "secbox_web_1"


@pytest.mark.parametrize("port,wanted", [("8080", "8080/tcp"), ("22:22", "22:22/tcp")])
def test_row25_ports_are_quoted_text(offline, port, wanted):
    services, error = offline.render(compose(service("web", more=f"ports:\n  - {port}")))
    assert error is None
    assert services["web"]["ports"] == [wanted], "text, never the number 1342"


def test_row22_unused_network_does_no_harm(box):
    assert box.apply(SERVER + "networks:\n  default: {}\n  spare: {}\n")["outcome"] == "done"


def test_row01_a_push_works_with_the_installed_podman_compose(box):
    result = box.apply(compose(service("web", more="environment:\n  ID: ${DEVICE_ID}")))
    assert (result["outcome"], result["status"]) == ("done", 200)
    assert box.environment("web")["ID"] == "caseta5"


@pytest.mark.parametrize("key,wanted", [("environment", "compose.bad-value"), ("labels", "render.unsupported")])
def test_row11_names_with_a_dollar_are_refused(box, key, wanted):
    """What becomes of them depends on podman-compose's release."""
    box.set_engine("podman-compose")
    result = box.apply(compose(service("web", more=f"{key}:\n  ${{SET}}.key: value")))
    assert result["error"]["id"] == wanted
    assert box.ids() == {}


@pytest.mark.parametrize("image,wanted", [("nowhere:1", ("failed", "pull", 422)), ("crash:1", ("rolled-back", "prove", 500))])
def test_f08_row13_failure_is_reported(box, image, wanted):
    result = box.apply(compose(service("web", image)))
    assert (result["outcome"], result["failedPhase"], result["status"]) == wanted, result


def test_row14_failed_pull_stops_the_push_before_anything_else(box):
    assert box.apply(SERVER)["outcome"] == "done"
    before = box.ids()
    result = box.apply("services:\n  web:\n    image: 127.0.0.1:1/nowhere:1\n")
    assert (result["outcome"], result["phase"]) == ("failed", "pull")
    assert box.ids() == before and box.running() == {"web"}


def test_f06_row15_changed_image_and_environment_are_applied(box):
    assert box.apply(SERVER)["outcome"] == "done"
    before = box.ids()
    assert box.apply(compose(service("web", "server:2", "environment:\n  NEW: value")))["outcome"] == "done"
    assert box.ids() != before
    assert box.containers()["web"]["Image"] == box.lab.image_id("localhost/server:2")
    assert box.environment("web")["NEW"] == "value"


def test_row16_only_what_changed_is_replaced(box):
    assert box.apply(compose(service("a"), service("b")))["outcome"] == "done"
    before = box.ids()
    assert box.apply(compose(service("a"), service("b", more="environment:\n  NEW: value")))["outcome"] == "done"
    assert box.ids()["a"] == before["a"]
    assert box.ids()["b"] != before["b"]


def test_f07_row17_what_cannot_start_leaves_the_old_one_running(box):
    assert box.apply(SERVER)["outcome"] == "done"
    before = box.ids()
    assert box.apply(compose(service("web", "crash:1")))["outcome"] == "rolled-back"
    assert box.ids() == before and box.running() == {"web"}


def test_row18_orphans_are_removed(box):
    assert box.apply(compose(service("web"), service("old")))["outcome"] == "done"
    assert box.apply(SERVER)["outcome"] == "done"
    assert set(box.containers()) == {"web"}


def test_row19_an_unhealthy_dependency_stops_the_push(box):
    dependent = service("web", more="depends_on:\n  db:\n    condition: service_healthy")
    sick = service("db", more='healthcheck:\n  test: ["CMD", "/bin/false"]\n  interval: 1s\n  retries: 1')
    assert box.apply(compose(dependent, sick))["outcome"] == "rolled-back"
    assert "web" not in box.running()


def test_row24_one_project_whatever_the_folder(box):
    assert box.apply(SERVER)["outcome"] == "done"
    projects = {c["Config"]["Labels"]["io.podman.compose.project"] for c in box.containers().values()}
    box.files = os.path.join(box.files, "another-place")
    os.makedirs(box.files)
    assert box.apply(compose(service("web", "server:2")))["outcome"] == "done"
    assert {c["Config"]["Labels"]["io.podman.compose.project"] for c in box.containers().values()} == projects
    assert len(box.containers()) == 1


def test_row26_a_missing_bind_source_is_not_made(box):
    missing = box.path("srv/recordigns")
    os.makedirs(box.path("srv"))
    box.write_policy({"bind": [missing]})
    result = box.apply(compose(service("web", more=f"volumes:\n  - {missing}:/data")))
    assert (result["outcome"], result["error"]["id"]) == ("failed", "preflight.bind-missing"), result
    assert not os.path.exists(missing)
    assert box.ids() == {}


def test_f01_row27_a_missing_service_env_file_stops_the_push(box):
    result = box.apply(compose(service("web", more="env_file: nowhere.env")))
    assert (result["outcome"], result["error"]["id"]) == ("failed", "compose.env-file"), result
    assert box.ids() == {}


def test_row29_a_plan_makes_nothing(box):
    before = box.lab.networks(), box.lab.volumes(), set(box.lab.containers())
    answer = box.plan(compose(service("web", more="volumes:\n  - keep:/data")) + "volumes:\n  keep: {}\n")
    assert answer["plan"]["changes"] == 1
    assert (box.lab.networks(), box.lab.volumes(), set(box.lab.containers())) == before


def test_row30_networks_of_the_past_are_removed(box):
    """One that is left behind would be taken for the same one when its name comes back with another definition."""
    fronted = compose(service("web", more="networks: [front]"))
    assert box.apply(fronted + "networks:\n  front: {}\n")["outcome"] == "done"
    assert box.lab.networks() - {"podman"} == {"secbox_front"}
    box.lab.podman("network", "create", "strangers")
    assert box.apply(SERVER)["outcome"] == "done"
    assert box.lab.networks() - {"podman"} == {"secbox_default", "strangers"}
    assert box.apply(fronted + "networks:\n  front:\n    internal: true\n")["outcome"] == "done"
    assert '"internal": true' in box.lab.podman("network", "inspect", "secbox_front").stdout
    assert box.apply(compose(service("web", "crash:1", "networks: [other]")) + "networks:\n  other: {}\n")["outcome"] == \
        "rolled-back"
    assert box.lab.networks() - {"podman", "secbox_default"} == {"secbox_front", "strangers"}
    assert box.running() == {"web"}


# asked to end, it writes a line a second for as long as it is let live
LINGERS = service("web", more="""stop_grace_period: 3s
volumes: ["keep:/data"]
command: [sh, -c, "trap 'touch /data/asked' TERM; while sleep 1; do [ ! -e /data/asked ] || echo >> /data/lived; done"]""")


@pytest.mark.parametrize("new", [SERVER, compose(service("other"))], ids=["replaced", "removed"])
def test_row31_stop_grace_period_counts(box, new):
    """That of the container that is stopped, whatever the new file says; podman-compose would wait its 10 s."""
    assert box.apply(compose(LINGERS, more="volumes:\n  keep: {}\n"))["outcome"] == "done"
    data = box.lab.podman("volume", "inspect", "--format", "{{.Mountpoint}}", "secbox_keep").stdout.strip()
    assert box.apply(new)["outcome"] == "done"
    assert len(read_text(os.path.join(data, "lived"))) < 8


def test_row32_killed_in_the_middle_is_reconciled(box):
    text = compose(*(service(name) for name in "abcd"))
    path = box.compose_path(text)
    pushing = threading.Thread(target=lambda: box.ctl("apply", "--json", path))
    pushing.start()
    wait_until(lambda: box.lab.podman("ps", "-aq").stdout, "the first container is there", box.agent.death)
    box.agent.kill()
    pushing.join()
    box.start_agent()
    wait_until(lambda: not box.status_pending(), "the agent has put it right", box.agent.death)
    assert box.history()["entries"][0]["outcome"] == "rolled-back"
    assert box.lab.containers() == {}
    assert box.apply(text)["outcome"] == "done"
    assert box.running() == set("abcd")


def test_f23_row33_a_port_of_another_program_is_refused_before_anything_stops(box):
    assert box.apply(SERVER)["outcome"] == "done"
    before = box.ids()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = box.apply(compose(service("web", more=f'ports: ["127.0.0.1:{port}:80"]')))
    assert (result["outcome"], result["phase"], result["error"]["id"]) == ("failed", "preflight", "preflight.port-in-use")
    assert box.ids() == before and box.running() == {"web"}


def test_row34_configs_without_their_file_are_refused(box):
    text = compose(service("web", more="configs: [app]")) + "configs:\n  app:\n    file: ./app\n"
    assert box.apply(text)["error"]["id"] == "compose.file-missing"


def test_row35_secrets_are_not_printed(box):
    text = compose(service("web", more="environment:\n  BOOTSTRAP: ${BOOTSTRAP}"))
    shown = box.ctl("apply", "--json", box.compose_path(text))
    assert box.environment("web")["BOOTSTRAP"] == SECRET
    assert SECRET not in shown.stdout + shown.stderr + box.log()


def test_row36_the_same_again_does_nothing(box):
    assert box.apply(SERVER)["outcome"] == "done"
    before = box.ids()
    again = box.apply(SERVER)
    assert (again["status"], again["noop"]) == (200, True)
    assert box.ids() == before


def test_f31_row37_the_image_is_pinned(box):
    box.lab.podman("tag", "localhost/server:1", "localhost/moving:latest")
    assert box.apply(compose(service("web", "moving:latest")))["outcome"] == "done"
    facts = box.containers()["web"]
    assert facts["Image"] == box.lab.image_id("localhost/server:1")
    assert "latest" not in facts["ImageName"]


def test_row37_a_moved_tag_is_another_image_with_the_same_file(box):
    box.lab.podman("tag", "localhost/server:1", "localhost/moving:latest")
    assert box.apply(compose(service("web", "moving:latest")))["outcome"] == "done"
    box.lab.podman("tag", "localhost/server:2", "localhost/moving:latest")
    assert box.apply(compose(service("web", "moving:latest"), service("more")))["outcome"] == "done"
    assert box.containers()["web"]["Image"] == box.lab.image_id("localhost/server:2")


STRATEGIES = {None: "podman-compose 1.0.3: classic", "1.0.6": "podman-compose 1.0.6: classic",
              "1.3.0": "podman-compose 1.3.0: modern"}
STACK = [service("a", more="environment:\n  TOKEN: ${BOOTSTRAP}\n  DEVICE_ID: ${DEVICE_ID}\n  EMPTY: ''\n"
                           "  DOLLAR: pa$$word\nlabels:\n  shop.price: a$$b"),
         service("b")]


@pytest.mark.parametrize("version", STRATEGIES)
def test_a_push_with_each_podman_compose(lab, folder, version):
    """Rows 1 to 4, 11, 15, 16, 24 and 35 on each release: what it is told, what becomes of it, and who could read it."""
    if version and not compose_versions.is_cached(version):
        why = compose_versions.fetch(version)
        if why:
            pytest.skip(f"podman-compose {version} cannot be had: {why}")
    if version is None and lab.compose_version != "1.0.3":
        pytest.skip(f"podman-compose {lab.compose_version} is installed")
    require_programs("mgmt-agent", "secboxctl")
    recorder = Recorder(folder, version)
    hostile = {"DEVICE_ID": "process", "BOOTSTRAP": "process", "COMPOSE_FILE": "/nowhere", "COMPOSE_PROJECT_NAME": "wrong"}
    with Box(lab, os.path.join(folder, "box"), agent_args=["--settle=1", f"--podman-compose={recorder.program}"],
             process_env=hostile) as box:
        box.set_engine("podman-compose")
        box.start()
        with ArgvWatch([SECRET]) as watch:
            assert box.apply(compose(*STACK))["outcome"] == "done"
            first = box.ids()
            changed = [STACK[0], service("b", "server:2", "environment:\n  NEW: value")]
            assert box.apply(compose(*changed))["outcome"] == "done"
            second = box.ids()
            assert second["a"] == first["a"] and second["b"] != first["b"]
            assert box.containers()["b"]["Image"] == lab.image_id("localhost/server:2")
            assert box.environment("b")["NEW"] == "value"
            dying = box.apply(compose(STACK[0], service("b", "crash:1")))
        assert (dying["outcome"], dying["status"]) == ("rolled-back", 500)
        assert box.ids() == second and box.running() == {"a", "b"}

        env = box.environment("a")
        assert (env["TOKEN"], env["DEVICE_ID"], env["EMPTY"], env["DOLLAR"]) == (SECRET, "caseta5", "", "pa$word")
        assert box.containers()["a"]["Config"]["Labels"]["shop.price"] == "a$b"
        assert watch.rounds > 5 and "podman" in watch.programs and not watch.found
        assert SECRET not in box.log()
        assert lab.podman("pod", "ps", "-q").stdout == ""
        assert set(lab.containers("secbox")) == {"secbox_a_1", "secbox_b_1"}
        assert STRATEGIES[version] in box.log()
    lab.remove_all()
    calls = recorder.calls("up")
    assert len(calls) == 4, "one for each service that was made, none for one that was not"
    for call in calls:
        assert "-p" in call.argv and call.argv[call.argv.index("-p") + 1] == "secbox"
        paths = [word.split("=")[-1] for word in call.argv if "/" in word]
        assert paths and all(os.path.isabs(path) for path in paths)
        assert not set(call.env) & set(hostile)
        assert SECRET not in str(call.argv) + str(call.env)
