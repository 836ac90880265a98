# SPDX-License-Identifier: MIT
"""The sample configuration of Frigate and its service in the shipped compose file, as far as they can be looked at without it: both
are YAML that says what it should, and agree with each other and with what secbox asks for. That Frigate takes them is not known
here; tests/integration/test_lan_cameras.py has a stand-in with these cameras."""
import os
import re
import subprocess

import pytest
import yaml

from tests.conftest import require_programs
from tests.lab.util import ROOT, program, read_text

COMPOSE = os.path.join(ROOT, "compose/examples/secbox.yml")
ROLES = {"detect", "record"}


@pytest.fixture(name="config")
def config_fixture():
    return yaml.safe_load(read_text(os.path.join(ROOT, "compose/examples/frigate-config.yml")))


@pytest.fixture(name="services")
def services_fixture():
    """As a box gets them with --profile cameras."""
    return yaml.safe_load(fleet("config", "--profile", "cameras", COMPOSE).stdout)["services"]


def fleet(*arguments):
    require_programs("secbox-fleet")
    return subprocess.run([program("secbox-fleet"), *arguments], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
                          check=True)


def example(key):
    line = re.search(rf"^#? ?{key}=(.*)$", read_text(os.path.join(ROOT, "env/examples/secbox.env")), re.M)
    return line.group(1)


def test_the_service_is_only_there_when_it_is_asked_for(services):
    assert "frigate" in services and "profiles" not in services["frigate"]
    alone = yaml.safe_load(read_text(COMPOSE))["services"]
    assert alone["frigate"]["profiles"] == ["cameras"]
    fleet("check", COMPOSE)
    fleet("check", "--profile", "cameras", COMPOSE)


def test_nobody_but_secbox_reaches_it(services):
    frigate = services["frigate"]
    assert "ports" not in frigate and "network_mode" not in frigate and "privileged" not in frigate
    assert [name for name, service in services.items() if set(service.get("networks", [])) & set(frigate["networks"])] == \
        ["secbox", "frigate"]
    assert example("FRIGATE_URL") == "http://frigate:5000", "by its service's name, at the port that wants no login"
    assert not re.search(r":(latest|stable)\b|:-[^:]*\}$", frigate["image"]), "one version"


def test_the_cameras(config):
    assert example("ENTRY_CAMERA") in config["cameras"]
    sources = config["go2rtc"]["streams"]
    for name, camera in config["cameras"].items():
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name), name
        inputs = camera["ffmpeg"]["inputs"]
        assert {role for i in inputs for role in i["roles"]} == ROLES, name
        for i in inputs:
            stream = re.fullmatch(r"rtsp://127\.0\.0\.1:8554/(.+)", i["path"])
            assert stream and stream.group(1) in sources and i["input_args"] == "preset-rtsp-restream", i


def test_the_rest_of_it(config, services):
    text = read_text(os.path.join(ROOT, "compose/examples/frigate-config.yml"))
    said = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    given = {key for key in services["frigate"]["environment"] if key.startswith("FRIGATE_")}
    assert set(re.findall(r"\{(FRIGATE_\w+)\}", said)) == given
    assert "password:" not in said
    # by the WebSocket of port 5000: no broker; and plates and faces are what guards are told of
    assert config["mqtt"]["enabled"] is False and config["tls"]["enabled"] is False
    assert config["lpr"]["enabled"] and config["face_recognition"]["enabled"] and config["record"]["enabled"]
    major = re.search(r"frigate:(\d+\.\d+)", services["frigate"]["image"]).group(1)
    assert config["version"] == f"{major}-0", "the schema of that image"
