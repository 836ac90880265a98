# SPDX-License-Identifier: MIT
"""Small compose files, each after a public report, pushed to real podman: what podman must show afterwards."""
import json
import os

import pytest

from tests.integration.test_podman_traps import compose, service

pytestmark = pytest.mark.usefixtures("box")


@pytest.fixture(scope="module")
def distroless(lab):
    """An image without a shell."""
    text = ("FROM scratch\nCOPY --from=localhost/server:1 /bin/busybox /bin/true\n"
            "COPY --from=localhost/server:1 /bin/busybox /bin/sleep\nCMD [\"/bin/sleep\", \"100000\"]\n")
    lab.podman("build", "-q", "-t", "localhost/distroless:1", "-f", "-", lab.empty_dir, input=text.encode())
    return "distroless:1"


def push(box, text, outcome="done"):
    result = box.apply(text)
    assert result["outcome"] == outcome, result
    return result


def test_stop_grace_period_reaches_the_container(box):
    push(box, compose(service("app", more="stop_grace_period: 30s")))
    assert box.containers()["app"]["Config"]["StopTimeout"] == 30


def test_a_cmd_health_check_runs_where_there_is_no_shell(box, lab, distroless):
    check = 'healthcheck: {test: ["CMD", "/bin/true"], interval: 1s, retries: 1}\nstop_grace_period: 1s'
    push(box, compose(service("app", distroless, more=check)))
    app = box.containers()["app"]
    assert app["Config"]["Healthcheck"]["Test"] == ["CMD", "/bin/true"]
    run = lab.podman("healthcheck", "run", app["Name"], check=False)
    assert run.returncode == 0, run


def test_a_check_that_says_only_when_is_the_images_own(box, lab):
    text = "FROM localhost/server:1\nHEALTHCHECK --interval=30s --retries=3 CMD /bin/busybox test -e /bin/busybox\n"
    lab.podman("build", "-q", "--format", "docker", "-t", "localhost/checked:1", "-f", "-", lab.empty_dir, input=text.encode())
    more = "stop_grace_period: 1s\nhealthcheck: {interval: 7s, retries: 0}"
    push(box, compose(service("app", "checked:1", more=more), service("bare", more=more)))
    config = box.containers()["app"]["Config"]["Healthcheck"]
    assert (config["Interval"], config["Retries"]) == (7_000_000_000, 3)
    assert "/bin/busybox test -e /bin/busybox" in config["Test"][-1]
    assert not box.containers()["bare"]["Config"].get("Healthcheck")


def test_disable_false_leaves_the_images_check(box, lab):
    text = "FROM localhost/server:1\nHEALTHCHECK --interval=30s --retries=3 CMD /bin/busybox true\n"
    lab.podman("build", "-q", "--format", "docker", "-t", "localhost/checked:2", "-f", "-", lab.empty_dir, input=text.encode())
    push(box, compose(service("app", "checked:2", more="stop_grace_period: 1s\nhealthcheck: {disable: false}")))
    assert box.containers()["app"]["Config"]["Healthcheck"]["Interval"] == 30_000_000_000


def test_a_tmpfs_that_is_read_only(box, lab):
    more = "stop_grace_period: 1s\nvolumes: [{type: tmpfs, target: /t, read_only: true}]"
    push(box, compose(service("app", more=more)))
    run = lab.podman("exec", box.containers()["app"]["Name"], "/bin/sh", "-c", "echo x > /t/x", check=False)
    assert "Read-only" in run.stderr, run


def test_one_port_at_both_families(box):
    more = 'stop_grace_period: 1s\nports: ["0.0.0.0:18053:53", "[::]:18053:53", "18060-18069:80"]'
    push(box, compose(service("app", more=more)))
    bindings = box.containers()["app"]["HostConfig"]["PortBindings"]
    assert {b["HostIp"] for b in bindings["53/tcp"]} == {"", "::"}
    assert [b["HostPort"] for b in bindings["80/tcp"]] == ["18060"]


def test_a_network_whose_key_is_a_word_of_podman(box, lab):
    text = compose(service("app", more="stop_grace_period: 1s\nnetworks: [private, host]"),
                   more="networks:\n  private: {}\n  host: {}\n")
    push(box, text)
    assert set(box.containers()["app"]["NetworkSettings"]["Networks"]) == {"secbox_private", "secbox_host"}


def test_names_of_variables_arrive(box):
    push(box, compose(service("app", more="stop_grace_period: 1s\nenvironment: {discovery.type: single-node, a-b: '1'}")))
    environment = box.environment("app")
    assert (environment["discovery.type"], environment["a-b"]) == ("single-node", "1")


def test_a_service_that_runs_no_times_is_taken_away(box, lab):
    push(box, compose(service("app", more="stop_grace_period: 1s"), service("extra", more="stop_grace_period: 1s")))
    off = service("extra", more="stop_grace_period: 1s\nscale: 0")
    push(box, "name: secbox\n" + compose(service("app", more="stop_grace_period: 1s\ndepends_on: [extra]"), off))
    assert set(box.containers()) == {"app"}
    assert json.loads(lab.podman("inspect", "secbox_app_1").stdout)


def test_anchors_and_merge_keys(box):
    text = ("x-common: &common\n  image: localhost/server:1\n  stop_grace_period: 1s\n  environment: &env {A: one, B: two}\n"
            "services:\n  app:\n    <<: *common\n  other:\n    <<: *common\n    environment: {<<: *env, B: own}\n")
    push(box, text)
    assert box.environment("app")["B"] == "two"
    assert (box.environment("other")["A"], box.environment("other")["B"]) == ("one", "own")


def test_the_clock_of_the_host_just_works(box, lab):
    more = "stop_grace_period: 1s\nvolumes: [/etc/localtime:/etc/localtime:ro, /etc/timezone:/etc/timezone:ro]"
    push(box, compose(service("app", more=more)))
    name = box.containers()["app"]["Name"]
    with open("/etc/timezone", encoding="utf-8") as f:
        assert lab.podman("exec", name, "cat", "/etc/timezone").stdout == f.read()


def test_an_optional_env_file_that_is_there_is_read(box):
    text = compose(service("app", more="stop_grace_period: 1s\nenv_file: [{path: extra.env, required: false}]"))
    push(box, text)
    assert "FOO" not in box.environment("app")
    box.write("var/lib/tucomunidad/volumes/extra.env", "export FOO='bar baz'\n")
    push(box, text)
    assert box.environment("app")["FOO"] == "bar baz"
    with open(box.path("etc/tucomunidad/secbox.env"), encoding="utf-8") as f:
        device = [line for line in f if line.startswith("DEVICE_ID=")][0].strip().split("=")[1]
    push(box, compose(service("app", more="stop_grace_period: 1s\nenv_file: /etc/tucomunidad/secbox.env")))
    assert box.environment("app")["DEVICE_ID"] == device


def test_an_env_file_that_a_container_could_write_is_refused(box, folder):
    text = compose(service("app", more="stop_grace_period: 1s\nenv_file: extra.env"))
    result = box.plan(text)
    assert result["error"]["id"] == "compose.env-file" and "required: false" in result["error"]["message"], result
    path = box.path("var/lib/tucomunidad/volumes/extra.env")
    os.symlink("/etc/shadow", path)
    assert box.plan(text)["error"]["id"] == "compose.env-file"
    os.unlink(path)
    box.write("var/lib/tucomunidad/volumes/extra.env", "FOO=bar\n", mode=0o666)
    os.chmod(path, 0o666)
    assert "others than root" in box.plan(text)["error"]["message"]


CASES = {
    "external-volume": ("volumes: [store:/data]", "volumes: {store: {external: true, name: not-there-yet}}\n",
                        "preflight.external-missing"),
    "external-network": ("networks: [shared]", "networks: {shared: {external: true, name: not-there-yet}}\n",
                         "preflight.external-missing"),
    "late-device": ("devices: [/dev/ttyUSB99:/dev/ttyUSB0]", "", "preflight.device-missing"),
    "another-platform": ("platform: linux/sparc64", "", "preflight.platform"),
    "late-log-driver": ("logging: {driver: syslog}", "", "policy.refused"),
    "multi-line-value": ('environment: {A: "a\\nb"}', "", "render.multi-line-value"),
}


@pytest.mark.parametrize("kind", ["network", "volume"])
def test_an_external_one_is_made_by_nobody(box, lab, kind):
    """The line says what to do, and that is enough, whatever makes the containers."""
    mount = "networks: [shared]" if kind == "network" else "volumes: ['shared:/data']"
    text = compose(service("app", more=f"stop_grace_period: 1s\n{mount}"),
                   more=f"{kind}s: {{shared: {{external: true, name: of-others}}}}\n")
    for engine in ("libpod", "podman-compose"):
        box.set_engine(engine)
        for answer in (box.plan(text), box.apply(text)):
            assert answer["error"]["id"] == "preflight.external-missing", answer
            assert f"podman {kind} create of-others" in answer["error"]["message"], answer
        assert lab.podman(kind, "exists", "of-others", check=False).returncode == 1 and not box.ids()
    lab.podman(kind, "create", "of-others")
    for engine in ("podman-compose", "libpod"):
        box.set_engine(engine)
        push(box, text)
    info = box.containers()["app"]
    assert "of-others" in (info["NetworkSettings"]["Networks"] if kind == "network" else [m.get("Name") for m in info["Mounts"]])
    push(box, compose(service("app", more="stop_grace_period: 1s")))
    assert lab.podman(kind, "exists", "of-others", check=False).returncode == 0, "it is not ours to remove"
    lab.podman(kind, "rm", "of-others")
    box.set_engine(os.environ.get("BOX_COMPOSE_ENGINE"))


@pytest.mark.parametrize("key,more,identifier", CASES.values(), ids=CASES)
def test_what_cannot_start_is_found_by_the_plan(box, lab, key, more, identifier):
    if identifier.startswith("render."):
        box.set_engine("podman-compose")
    push(box, compose(service("app", more="stop_grace_period: 1s")))
    before = box.ids()
    box.write_policy({"services": {"*": {"allow": ["devices", "logging:syslog"]}}})
    text = compose(service("app", more=f"stop_grace_period: 1s\n{key}"), more=more)
    assert box.plan(text)["error"]["id"] == identifier
    result = box.apply(text)
    assert result["error"]["id"] == identifier, result
    assert box.ids() == before and box.running() == {"app"}
    for kind in ("volume", "network"):
        assert lab.podman(kind, "exists", "not-there-yet", check=False).returncode == 1, "nothing is made"
    box.set_engine(os.environ.get("BOX_COMPOSE_ENGINE"))


def test_host_gateway_is_told_before_anything_stops(box, lab):
    version = json.loads(lab.podman("version", "--format", "json").stdout)["Client"]["Version"].split(".")
    answer = box.plan(compose(service("app", more='extra_hosts: ["host.docker.internal:host-gateway"]')))
    if (int(version[0]), int(version[1])) < (4, 7):
        assert answer["error"]["id"] == "preflight.host-gateway" and "host.containers.internal" in answer["error"]["message"]
    else:
        assert "error" not in answer


def test_an_address_in_brackets(box):
    push(box, compose(service("app", more='stop_grace_period: 1s\nextra_hosts: ["a:[::1]"]')))
    assert box.containers()["app"]["HostConfig"]["ExtraHosts"] == ["a:::1"]


def test_restart_true_takes_the_dependent_along(box):
    def pushed(image, restart):
        app = service("app", more=f"stop_grace_period: 1s\ndepends_on: {{db: {{condition: service_started, restart: {restart}}}}}")
        return push(box, compose(app, service("db", image, more="stop_grace_period: 1s")))
    pushed("server:1", "false")
    first = box.ids()
    pushed("server:2", "false")
    assert box.ids()["app"] == first["app"] and box.ids()["db"] != first["db"]
    pushed("server:1", "true")
    assert box.ids()["app"] != first["app"]


def test_a_one_shot_runs_again_before_what_waits_for_it(box):
    job = service("job", more="command: [/bin/busybox, true]")
    def pushed(value):
        wait = "stop_grace_period: 1s\ndepends_on: {job: {condition: service_completed_successfully}}"
        push(box, compose(job, service("app", more=f"{wait}\nenvironment: {{A: '{value}'}}")))
        return box.containers()["job"]["Id"]
    first = pushed("1")
    assert pushed("1") == first and pushed("2") != first


def test_short_names_are_docker_hubs(box):
    text = "services:\n  app:\n    image: no-such-image:16\n    pull_policy: never\n"
    assert "docker.io/library/no-such-image:16" in box.apply(text)["error"]["message"]
    box.write_policy({"images": ["localhost/"]})
    assert box.apply(text)["error"]["id"] == "policy.image-not-allowed"


def test_short_names_by_an_alias_and_by_what_is_here(box, lab):
    with open(lab.env["CONTAINERS_REGISTRIES_CONF"], "w", encoding="utf-8") as conf:
        conf.write('[aliases]\n"our-app" = "localhost/server"\n')
    try:
        text = "services:\n  app: {{image: '{}', stop_grace_period: 1s}}\n"
        assert push(box, text.format("our-app:1"))["services"][0]["image"] == "localhost/server:1"
        assert push(box, text.format("server:2"))["services"][0]["image"] == "server:2"
        box.write_policy({"images": ["docker.io/"]})
        assert box.apply(text.format("our-app:2"))["error"]["id"] == "policy.image-not-allowed"
    finally:
        with open(lab.env["CONTAINERS_REGISTRIES_CONF"], "w", encoding="utf-8") as conf:
            conf.write("")


def test_keys_that_podman_compose_has_no_words_for(box, lab):
    box.write_policy({"services": {"app": {"allow": ["group_add", "pid:host", "uts:host"]}}})
    more = ("stop_grace_period: 1s\ndns: [192.0.2.53]\ndns_search: [lan.example]\ndns_opt: [ndots:2]\ngroup_add: ['4242']\n"
            "pid: host\nuts: host\nipc: private\npids_limit: 77\noom_score_adj: 300\nmem_limit: 64m\nmemswap_limit: 128m\n"
            "cpu_quota: 50000\ncpu_period: 200000\n"
            "entrypoint: []\ncommand: [/bin/sh, -c, 'exec sleep 1000']\nnetworks: {default: {aliases: [also]}}")
    push(box, compose(service("app", more=more)))
    app = box.containers()["app"]
    host = app["HostConfig"]
    assert (host["Dns"], host["DnsSearch"], host["DnsOptions"]) == (["192.0.2.53"], ["lan.example"], ["ndots:2"])
    assert (host["PidMode"], host["UTSMode"], host["PidsLimit"], host["OomScoreAdj"]) == ("host", "host", 77, 300)
    assert (host["Memory"], host["MemorySwap"]) == (64 << 20, 128 << 20)
    assert "4242" in host["GroupAdd"]
    assert (host["CpuQuota"], host["CpuPeriod"]) == (50000, 200000)
    assert not app["Config"]["Entrypoint"]
    network = app["NetworkSettings"]["Networks"]["secbox_default"]
    assert {"app", "also"} <= set(network["Aliases"])
    assert "4242" in lab.podman("exec", app["Name"], "/bin/busybox", "id").stdout
