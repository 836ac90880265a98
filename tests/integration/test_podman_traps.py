# SPDX-License-Identifier: MIT
"""What podman-compose does to a push, trap by trap, shown on the real tool.

A test that fails here says that a trap is gone, or became another one: look at the agent's defence against it again.
test_podman_traps_secbox.py has the same numbers, and shows that a push by SecBox meets none of them.
"""
import os
import signal
import subprocess
import time

import pytest

from tests.lab import compose_versions
from tests.lab.util import wait_until

SERVER = "services:\n  web:\n    image: localhost/server:1\n"


def service(name, image="server:1", more=""):
    lines = "".join(f"    {line}\n" for line in more.splitlines())
    return f"  {name}:\n    image: localhost/{image}\n{lines}"


def compose(*services, more=""):
    return "services:\n" + "".join(services) + more


@pytest.fixture(scope="module", autouse=True)
def installed_version(lab):
    if lab.compose_version != "1.0.3":
        pytest.skip(f"these are the traps of podman-compose 1.0.3; {lab.compose_version} is installed")


@pytest.fixture
def newer(request):
    """Skips unless the release that the test names can be had."""
    def need(version):
        if not compose_versions.is_cached(version):
            why = compose_versions.fetch(version)
            if why:
                pytest.skip(f"podman-compose {version} cannot be had: {why}")
        return version
    return need


INTERPOLATED = {
    "UNSET": "a${NOWHERE}b",
    "EMPTY_DEFAULT_COLON": "${NOWHERE:-}",
    "EMPTY_DEFAULT": "${NOWHERE-}",
    "DEFAULT_OF_EMPTY": "${EMPTY:-default}",
    "ERROR_OF_EMPTY": "${EMPTY:?must not be empty}",
    "NESTED": "${NOWHERE:-${NEITHER:-inner}}",
    "ALTERNATIVE": "${SET+other}",
    "ALTERNATIVE_COLON": "${SET:+other}",
    "DOTTED": "${A.B}",
    "NUMBER": "${1}",
    "DOLLAR": "pa$word",
    "ESCAPED": "pa$$word",
    "FROM_BOTH": "${BOTH}",
    "${SET}_KEY": "key",
}


@pytest.fixture(scope="module")
def interpolated(lab, tmp_path_factory):
    """The environment that one real container got from INTERPOLATED."""
    folder = tmp_path_factory.mktemp("interpolated")
    env = "".join(f"      {k}: '{v}'\n" for k, v in INTERPOLATED.items())
    (folder / "compose.yaml").write_text(compose(service("web", more="environment:") + env), encoding="utf-8")
    (folder / ".env").write_text("EMPTY=\nSET=set\nBOTH=dotenv\n", encoding="utf-8")
    run = lab.compose(str(folder), "-p", "interpolated", "up", "-d", env={"BOTH": "process"})
    assert run.code == 0, run
    yield lab.environment("interpolated_web_1")
    lab.remove_all()


def test_row01_no_env_file_option(project):
    project.file(SERVER)
    run = project.run("--env-file", "/nonexistent", "up", "-d")
    assert run.code == 2
    assert "invalid choice: '/nonexistent'" in run.out
    assert project.containers() == {}


def test_row02_dotenv_beats_the_process_environment(interpolated):
    assert interpolated["FROM_BOTH"] == "dotenv"


@pytest.mark.parametrize("version", ["1.0.6", "1.3.0"])
def test_row03_missing_env_file_is_ignored_without_a_word(project, newer, version):
    env = "environment:\n  URL: ${CLOUD_BASE_URL:-http://fallback}\n  ID: x${DEVICE_ID}"
    project.file(compose(service("web", more=env)))
    run = project.run("--env-file", "/etc/does/not/exist.env", "up", "-d", version=newer(version))
    assert run.code == 0, run
    assert project.environment("web")["URL"] == "http://fallback"
    assert project.environment("web")["ID"] == "x"


def test_row04_relative_env_file_is_sought_in_different_places(project, newer):
    project.file(compose(service("web", more="environment:\n  FROM: ${FROM-nowhere}")))
    project.write("lab.env", "FROM=compose-folder\n")
    elsewhere = os.path.dirname(project.write("elsewhere/lab.env", "FROM=working-folder\n"))
    found = {}
    for version in ["1.0.6", "1.3.0"]:
        argv, extra = compose_versions.command(newer(version))
        subprocess.run([*argv, "-f", os.path.join(project.folder, "compose.yaml"), "--env-file", "lab.env", "up", "-d"],
                       cwd=elsewhere, env={**project.lab.env, **extra}, capture_output=True, check=True)
        found[version] = project.environment("web")["FROM"]
        project.lab.remove_all()
    assert found == {"1.0.6": "compose-folder", "1.3.0": "working-folder"}


def test_row05_unset_variable_becomes_empty(interpolated):
    assert interpolated["UNSET"] == "ab"


def test_row06_empty_default_stays_literal(interpolated):
    assert interpolated["EMPTY_DEFAULT_COLON"] == "${NOWHERE:-}"
    assert interpolated["EMPTY_DEFAULT"] == "${NOWHERE-}"


def test_row07_empty_counts_as_set(interpolated):
    assert interpolated["DEFAULT_OF_EMPTY"] == ""
    assert interpolated["ERROR_OF_EMPTY"] == ""


def test_row08_nested_default_stays_literal(interpolated):
    assert interpolated["NESTED"] == "${NEITHER:-inner}"


def test_row09_other_forms_stay_literal(interpolated):
    assert interpolated["ALTERNATIVE"] == "${SET+other}"
    assert interpolated["ALTERNATIVE_COLON"] == "${SET:+other}"
    assert interpolated["DOTTED"] == "${A.B}"
    assert interpolated["NUMBER"] == "${1}"


def test_row10_dollar_in_a_value_is_eaten(interpolated):
    assert interpolated["DOLLAR"] == "pa"
    assert interpolated["ESCAPED"] == "pa$word"


def test_row11_keys_are_not_interpolated(interpolated):
    assert interpolated["${SET}_KEY"] == "key"


def test_row12_three_dialects_of_env_files(project):
    text = "A='quoted'\nexport B=exported\n"
    project.write(".env", text)
    project.write("service.env", text)
    project.file(compose(service("web", more="env_file: service.env\nenvironment:\n  DOTENV_A: ${A}\n  DOTENV_B: ${B}")))
    assert project.up().code == 0
    env = project.environment("web")
    assert (env["DOTENV_A"], env["DOTENV_B"]) == ("quoted", "exported")
    assert env["A"] == "'quoted'"
    assert env["export B"] == "exported"


def test_row13_exit_code_is_zero_whatever_fails(project):
    project.file(compose(service("web", "nowhere:1")))
    run = project.up()
    assert "exit code: 125" in run.out
    assert run.code == 0
    assert project.state("web") is None


def test_row13_exit_code_is_zero_when_the_service_dies_at_once(project):
    project.file(compose(service("web", "crash:1")))
    assert project.up().code == 0
    assert project.state("web") == "exited"


def test_row14_pull_exits_zero_whatever_fails(project):
    project.file("services:\n  web:\n    image: 127.0.0.1:1/nowhere:1\n")
    run = project.run("pull")
    assert "exit code: 125" in run.out
    assert run.code == 0


def test_row15_changed_image_is_not_applied(project):
    project.file(SERVER)
    assert project.up().code == 0
    before = project.id("web")
    project.file(compose(service("web", "server:2", "environment:\n  NEW: value")))
    assert project.up().code == 0
    assert project.id("web") == before
    assert project.image("web") == project.lab.image_id("localhost/server:1")
    assert "NEW" not in project.environment("web")


def test_row16_any_change_recreates_every_container(project, newer):
    version = newer("1.3.0")
    project.file(compose(service("a"), service("b")))
    assert project.up(version=version).code == 0
    before = {s: project.id(s) for s in "ab"}
    project.file(compose(service("a"), service("b", more="environment:\n  NEW: value")))
    assert project.up(version=version).code == 0
    after = {s: project.id(s) for s in "ab"}
    assert after["b"] != before["b"]
    assert after["a"] != before["a"], "a did not change, and was replaced all the same"


def test_row17_force_recreate_destroys_before_it_fails(project):
    project.file(SERVER)
    assert project.up().code == 0
    assert project.state("web") == "running"
    project.file(compose(service("web", "nowhere:1")))
    assert project.up("--force-recreate").code == 0
    assert project.state("web") is None


def test_row18_remove_orphans_is_ignored(project):
    project.file(compose(service("web"), service("old")))
    assert project.up().code == 0
    project.file(SERVER)
    assert project.up("--remove-orphans").code == 0
    assert project.state("old") == "running"
    assert project.run("down", "-t", "1").code == 0
    assert project.state("old") == "running"


def test_row19_depends_on_conditions_are_dropped(project):
    dependent = service("web", more="depends_on:\n  db:\n    condition: service_healthy")
    unhealthy = service("db", more='healthcheck:\n  test: ["CMD", "/bin/false"]\n  interval: 1h')
    project.file(compose(dependent, unhealthy))
    assert project.up().code == 0
    assert project.inspect_health("db") != "healthy"
    assert project.state("web") == "running"


def test_row20_profiles_are_ignored(project):
    project.file(compose(service("web"), service("debug", more="profiles: [debug]")))
    assert project.up().code == 0
    assert project.state("debug") == "running"


def test_row21_network_mode_host_cannot_work(project):
    project.file(compose(service("web", more="network_mode: host")))
    run = project.up()
    assert "cannot set multiple networks" in run.out
    assert run.code == 0
    assert project.state("web") is None


def test_row22_unused_network_is_an_error(project):
    project.file(SERVER + "networks:\n  default: {}\n  spare: {}\n")
    run = project.up()
    assert run.code == 1
    assert "missing networks: spare" in run.out


def test_row22_undeclared_network_blames_another(project):
    project.file(compose(service("web", more="networks: [front]")))
    run = project.up()
    assert run.code == 1
    assert "missing networks: default" in run.out


def test_row23_duplicate_container_name_drops_a_service(project):
    project.file(compose(service("a", more="container_name: same"), service("b", more="container_name: same")))
    assert project.up().code == 0
    assert list(project.containers()) == ["same"]


def test_row24_project_is_named_after_the_folder(project):
    project.file("name: chosen\n" + SERVER)
    assert project.up(env={"COMPOSE_PROJECT_NAME": "wanted"}).code == 0
    assert list(project.containers()) == ["shop_web_1"]


@pytest.mark.parametrize("port", ["8080", "22:22"])
def test_row25_unquoted_port_is_a_traceback(project, port):
    project.file(compose(service("web", more=f"ports:\n  - {port}")))
    run = project.up()
    assert run.code == 1
    assert "TypeError: port should be either string or dict" in run.out


def test_row26_typo_in_a_bind_source_makes_a_folder(project):
    project.file(compose(service("web", more="volumes:\n  - ./recordigns:/data")))
    assert project.up().code == 0
    assert os.path.isdir(os.path.join(project.folder, "recordigns"))


def test_row27_missing_service_env_file_exits_zero(project):
    project.file(compose(service("web", more="env_file: nowhere.env")))
    assert project.up().code == 0
    assert project.state("web") is None


def test_row28_unknown_keys_are_ignored(project):
    project.file("services:\n  web:\n    imgae: localhost/server:1\n")
    run = project.up()
    assert run.code == 0
    assert " shop_web\n" in run.out, "the image became PROJECT_SERVICE"
    assert project.state("web") is None


def test_row29_dry_run_makes_networks_and_volumes(project):
    project.file(compose(service("web", more="volumes:\n  - keep:/data")) + "volumes:\n  keep: {}\n")
    assert project.run("--dry-run", "up", "-d").code == 0
    assert project.containers() == {}
    assert "shop_default" in project.lab.networks()
    assert "shop_keep" in project.lab.volumes()


def test_row29_there_is_no_config_command(project):
    project.file(SERVER)
    assert project.run("config").code == 2


def test_row30_down_leaves_networks(project):
    project.file(SERVER)
    assert project.up().code == 0
    assert project.run("down", "-t", "0").code == 0
    assert project.containers() == {}
    assert "shop_default" in project.lab.networks()


def test_row31_stop_grace_period_is_ignored(project):
    project.file(compose(service("web", "stubborn:1", "stop_grace_period: 1s")))
    assert project.up().code == 0
    assert project.lab.inspect("shop_web_1")["Config"]["StopTimeout"] == 10
    run = project.run("--dry-run", "down")
    assert "podman stop -t 10 shop_web_1" in run.out


def test_row32_interrupted_up_leaves_half_a_project(project):
    project.file(compose(*(service(name) for name in "abcd")))
    argv, _ = compose_versions.command()
    with subprocess.Popen([*argv, "-f", os.path.join(project.folder, "compose.yaml"), "up", "-d"], env=project.lab.env,
                          cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as up:
        wait_until(lambda: project.state("a") == "running", "the first service runs")
        up.send_signal(signal.SIGTERM)
        out, _ = up.communicate()
    assert "Traceback" not in out
    assert 0 < len(project.containers()) < 4


def test_row33_port_conflict_leaves_a_created_container(project):
    port = 'ports: ["127.0.0.1:18080:80"]'
    project.file(compose(service("a", more=port), service("b", more=port)))
    assert project.up().code == 0
    assert project.state("a") == "running"
    assert project.state("b") == "created"


def test_row34_secrets_are_plain_binds_and_configs_are_ignored(project):
    project.write("password", "hunter2")
    project.file(compose(service("web", more="secrets:\n  - source: pw\n    mode: 0400\nconfigs: [app]")) +
                 f"secrets:\n  pw:\n    file: {project.folder}/password\n"
                 f"configs:\n  app:\n    file: {project.folder}/password\n")
    run = project.up()
    assert run.code == 0
    mounts = {m["Destination"] for m in project.lab.inspect("shop_web_1")["Mounts"]}
    assert "/run/secrets/pw" in mounts
    assert "/app" not in mounts
    mode = project.lab.podman("exec", "shop_web_1", "stat", "-c", "%a", "/run/secrets/pw").stdout.strip()
    assert mode != "400"


def test_row35_secrets_are_printed(project):
    project.write(".env", "BOOTSTRAP=very-secret-bootstrap\n")
    project.file(compose(service("web", more="environment:\n  BOOTSTRAP: ${BOOTSTRAP}")))
    run = project.run("--dry-run", "up", "-d")
    assert "-e BOOTSTRAP=very-secret-bootstrap" in run.out


def test_row36_a_second_of_sleep_per_container(project):
    project.file(SERVER)
    assert project.up().code == 0
    begin = time.monotonic()
    assert project.up().code == 0
    assert time.monotonic() - begin > 2, "nothing to do: one sleep behind run, one behind start"


def test_row37_a_moved_tag_is_another_image_with_the_same_file(project):
    lab = project.lab
    lab.podman("tag", "localhost/server:1", "localhost/moving:latest")
    project.file(compose(service("web", "moving:latest")))
    assert project.up().code == 0
    before = project.image("web")
    lab.podman("tag", "localhost/server:2", "localhost/moving:latest")
    assert project.run("down", "-t", "1").code == 0
    assert project.up().code == 0
    assert project.image("web") == lab.image_id("localhost/server:2") != before
