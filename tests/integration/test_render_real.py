# SPDX-License-Identifier: MIT
"""A rendered file means the same to every podman-compose: what podman made of it is compared with what was asked for."""
import json
import os
import subprocess

import pytest

from tests.lab import compose_versions
from tests.lab.util import make_words

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
VERSIONS = ["installed", "1.0.6", "1.3.0"]

ENVIRONMENT = {
    "EMPTY": "", "HASH": "#no comment", "EQUALS": "a=b=c", "TRAILING": "x  ", "LEADING": "  x", "QUOTES": "\"a\" 'b'",
    "DOLLAR": "pa$word $$ ${X}x", "BACKSLASH": "a\\nb", "STAR": "*", "UTF8": "caseta ñ", "HASH_INSIDE": "a #b",
    "TAB": "a\tb",
}

CONFIG = {
    "annotations": {"org.example.note": "a=b $x"},
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["MKNOD", "CHOWN"],
    "command": ["/bin/sh", "-c", "trap 'exit 0' TERM; echo \"$HOME\" '--' >/dev/null; while :; do sleep 1; done", "a b",
                "yes", "010"],
    "cpu_shares": "512",
    "devices": ["/dev/null:/dev/mynull:rwm"],
    "expose": ["9000/tcp"],
    "extra_hosts": ["nvr:192.0.2.7"],
    "healthcheck": {"test": ["CMD", "/bin/sh", "-c", "test \"$0\" = 'a  b$c'", "a  b$c"], "interval": "30s",
                    "timeout": "3s", "start_period": "5s", "retries": "2"},
    "hostname": "caseta5",
    "labels": {"org.example.key": "va$lue = x", "org.example.empty": "", "com.centurylinklabs.watchtower.enable": "true"},
    "logging": {"driver": "k8s-file", "options": {"max-size": "10mb"}},
    "mem_limit": "67108864",
    "mem_reservation": "33554432",
    "networks": {"default": {}, "inner": {}},
    "ports": [{"address": "127.0.0.1", "host": "28080", "container": "80", "protocol": "tcp"},
              {"address": "", "host": "28022", "container": "22", "protocol": "udp"}],
    "privileged": False,
    "read_only": True,
    "restart": "on-failure:3",
    "security_opt": ["no-new-privileges:true"],
    "shm_size": "33554432",
    "stdin_open": True,
    "stop_grace_period": "20s",
    "stop_signal": "SIGINT",
    "sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"},
    "tmpfs": ["/run:size=1m,mode=755", "/tmp"],
    "ulimits": {"nofile": {"soft": "100", "hard": "200"}, "nproc": {"soft": "500", "hard": "600"},
                "core": {"soft": "0", "hard": "0"}},
    "user": "0:0",
    "volumes": [
        {"type": "volume", "source": "data", "target": "/data", "read_only": False},
        {"type": "volume", "source": "data", "target": "/data-ro", "read_only": True},
        {"type": "bind", "source": "@FOLDER@/bind $dir", "target": "/bind", "read_only": True, "options": ["rslave"]},
        {"type": "tmpfs", "source": "", "target": "/mnt", "read_only": False, "options": ["size=65536", "mode=700"]},
    ],
    "working_dir": "/tmp",
}


@pytest.fixture(scope="session")
def render_tool():
    build = os.environ.get("BUILD", "build")
    subprocess.run(make_words(f"{build}/tests/render-tool"), cwd=TOP, check=True)
    return os.path.join(TOP, build, "tests", "render-tool")


@pytest.fixture(params=VERSIONS)
def version(request):
    if request.param == "installed":
        return None
    why = None if compose_versions.is_cached(request.param) else compose_versions.fetch(request.param)
    if why:
        pytest.skip(f"podman-compose {request.param} cannot be had: {why}")
    return request.param


class Rendered:
    def __init__(self, tool, project):
        self.tool = tool
        self.project = project

    def render(self, services, version=None, **more):
        """Writes compose.yaml, and returns the arguments by which podman gets the environment."""
        modern = version == "1.3.0"
        text = json.dumps({"services": services, **more}).replace("@FOLDER@", self.project.folder)
        path = self.project.write("project.json", text)
        env_dir = ("-" if modern else "") + self.project.folder
        out = subprocess.run([self.tool, path, env_dir], check=True, capture_output=True, text=True).stdout
        self.project.file(out)
        name = next(iter(services))
        with open(f"{self.project.folder}/{name}.args", encoding="utf-8") as f:
            args = [f"--podman-run-args={line}" for line in f.read().splitlines()]
        return args + ([f"--podman-run-args=--env-file={self.project.folder}/{name}.env"] if modern else [])

    def up(self, services, version=None, **more):
        args = self.render(services, version, **more)
        return self.project.run("-p", "box", *args, "up", "-d", version=version)


@pytest.fixture
def rendered(render_tool, project):
    return Rendered(render_tool, project)


def service(**config):
    return {"image": "localhost/server:1", "config": config}


NETWORKS = {"default": {"name": "box_default", "external": False},
            "inner": {"name": "inner-net", "external": False, "internal": True, "labels": {"a": "b=$c"}}}
VOLUMES = {"data": {"name": "box-data", "external": False, "labels": {"keep": "yes"}}}


def health_tests(facts):
    return facts["Config"].get("Healthcheck") or facts["Config"].get("HealthCheck")


def check_config(facts):
    config = facts["Config"]
    assert config["Cmd"] == CONFIG["command"]
    assert config["Hostname"] == "caseta5"
    assert config["User"] == "0:0"
    assert config["WorkingDir"] == "/tmp"
    assert config["OpenStdin"] is True
    assert config["StopSignal"] == 2
    assert config["Annotations"]["org.example.note"] == "a=b $x"
    for key, value in CONFIG["labels"].items():
        assert config["Labels"][key] == value
    assert config["Labels"]["io.tucomunidad.service"] == "web"
    assert config["Labels"]["io.tucomunidad.snapshot"] == "42"


def check_environment(facts):
    env = dict(item.split("=", 1) for item in facts["Config"]["Env"])
    assert {k: env.get(k) for k in ENVIRONMENT} == ENVIRONMENT


def check_host_config(facts):
    host = facts["HostConfig"]
    assert "CAP_NET_ADMIN" in facts["EffectiveCaps"]
    assert "CAP_CHOWN" not in facts["EffectiveCaps"]
    assert host["Memory"] == 67108864
    assert host["MemoryReservation"] == 33554432
    assert host["CpuShares"] == 512
    assert host["ShmSize"] == 33554432
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert "nvr:192.0.2.7" in host["ExtraHosts"]
    assert host["LogConfig"]["Type"] == "k8s-file"
    assert host["LogConfig"]["Size"] == "10MB"
    limits = {u["Name"]: (u["Soft"], u["Hard"]) for u in host["Ulimits"]}
    assert limits["RLIMIT_NOFILE"] == (100, 200)
    assert limits["RLIMIT_CORE"] == (0, 0)
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "28080"}],
                                    "22/udp": [{"HostIp": "", "HostPort": "28022"}], "9000/tcp": None}
    assert [(d["PathOnHost"], d["PathInContainer"]) for d in host["Devices"]] == [("/dev/null", "/dev/mynull")]


def check_mounts(lab, facts, folder):
    mounts = {m["Destination"]: m for m in facts["Mounts"]}
    assert (mounts["/data"]["Type"], mounts["/data"]["Name"], mounts["/data"]["RW"]) == ("volume", "box-data", True)
    assert (mounts["/data-ro"]["Name"], mounts["/data-ro"]["RW"]) == ("box-data", False)
    assert (mounts["/bind"]["Type"], mounts["/bind"]["Source"], mounts["/bind"]["RW"]) == ("bind", f"{folder}/bind $dir", False)
    assert mounts["/bind"]["Propagation"] == "rslave"
    tmpfs = facts["HostConfig"]["Tmpfs"]
    assert {"size=1m", "mode=755", "noexec"} <= set(tmpfs["/run"].split(","))
    assert "noexec" in tmpfs["/tmp"].split(",")
    assert {"size=65536", "mode=700", "noexec"} <= set(tmpfs["/mnt"].split(","))
    volume = json.loads(lab.podman("volume", "inspect", "box-data").stdout)[0]
    assert volume["Labels"]["keep"] == "yes"


def check_networks(lab, facts):
    networks = facts["NetworkSettings"]["Networks"]
    assert set(networks) == {"box_default", "inner-net"}
    assert all("web" in n["Aliases"] for n in networks.values())
    inner = json.loads(lab.podman("network", "inspect", "inner-net").stdout)[0]
    assert inner["internal"] is True
    assert inner["labels"]["a"] == "b=$c"


def check_health(lab, facts):
    health = health_tests(facts)
    assert (health["Interval"], health["Timeout"], health["StartPeriod"], health["Retries"]) == \
        (30_000_000_000, 3_000_000_000, 5_000_000_000, 2)
    assert health["Test"] == CONFIG["healthcheck"]["test"], "word for word, without a shell around it"
    assert lab.podman("healthcheck", "run", "mybox").stdout.strip() == ""
    assert facts["Config"]["StopTimeout"] == 20


def test_every_key(rendered, lab, version):
    os.makedirs(f"{rendered.project.folder}/bind $dir")
    web = {"image": "localhost/server:1", "container_name": "mybox", "environment": ENVIRONMENT, "config": CONFIG}
    run = rendered.up({"web": web}, version, networks=NETWORKS, volumes=VOLUMES)
    facts = lab.inspect("mybox")
    assert facts, run
    assert facts["State"]["Status"] == "running", run
    assert facts["Pod"] == ""
    check_config(facts)
    check_environment(facts)
    check_host_config(facts)
    check_mounts(lab, facts, rendered.project.folder)
    check_networks(lab, facts)
    check_health(lab, facts)
    sysctl = lab.podman("exec", "mybox", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start").stdout.strip()
    assert sysctl == "80"


def test_entrypoint_and_no_health(rendered, lab, version):
    web = service(entrypoint=["/bin/sh", "-c", "sleep 100"], healthcheck={"test": ["NONE"]}, tty=True)
    run = rendered.up({"web": web}, version)
    facts = lab.inspect("box_web_1")
    assert facts, run
    assert lab.podman("inspect", "--format", "{{json .Config.Entrypoint}}", "box_web_1").stdout.strip() == '"/bin/sh -c sleep 100"'
    assert facts["Config"]["Cmd"] is None
    assert facts["Config"]["Tty"] is True
    assert health_tests(facts)["Test"] == ["NONE"]
    assert facts["HostConfig"]["RestartPolicy"]["Name"] == "no"


def test_health_of_a_shell_line(rendered, lab, version):
    line = "test \"$(echo 'a  b')\" = 'a  b' && test $$ -gt 0"
    rendered.up({"web": service(healthcheck={"test": ["CMD-SHELL", line]})}, version)
    assert lab.podman("healthcheck", "run", "box_web_1", check=False).returncode == 0
    rendered.project.lab.remove_all()
    rendered.up({"web": service(healthcheck={"test": ["CMD", "/bin/false"]})}, version)
    assert lab.podman("healthcheck", "run", "box_web_1", check=False).returncode == 1


def test_two_services_share_a_network(rendered, lab, version):
    run = rendered.up({"db": service(), "web": service(command=["/bin/sh", "-c", "sleep 100"])}, version)
    assert lab.inspect("box_web_1"), run
    assert "web" in lab.inspect("box_web_1")["NetworkSettings"]["Networks"]["box_default"]["Aliases"]
    assert "db" in lab.inspect("box_db_1")["NetworkSettings"]["Networks"]["box_default"]["Aliases"]


def test_external_network_and_volume(rendered, lab, version):
    lab.podman("network", "create", "outside")
    lab.podman("volume", "create", "kept")
    config = service(networks={"lan": {}}, volumes=[{"type": "volume", "source": "v", "target": "/v", "read_only": False}])
    run = rendered.up({"web": config}, version, networks={"lan": {"name": "outside", "external": True}},
                      volumes={"v": {"name": "kept", "external": True}})
    facts = lab.inspect("box_web_1")
    assert facts, run
    assert set(facts["NetworkSettings"]["Networks"]) == {"outside"}
    assert [m["Name"] for m in facts["Mounts"]] == ["kept"]
    assert "box_default" not in lab.networks()
