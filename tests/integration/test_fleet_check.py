# SPDX-License-Identifier: MIT
"""secbox-fleet check: all faults of a file at once, on a machine that knows no gateway."""
import json
import os
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab.util import program

BAD = ("services:\n  web:\n    image: x\n    imagee: y\n    ports: [a:80]\n    healthcheck: {test: [CMD, a], timeout: soon}\n"
       "  nvr:\n    image: x\n    devices: [/dev/dri]\n    restart: sometimes\n")


@pytest.fixture(name="check")
def check_fixture(folder):
    require_programs("secbox-fleet")

    def run(*args, **files):
        for name, text in files.items():
            with open(os.path.join(folder, f"{name}.yml"), "w", encoding="utf-8") as f:
                f.write(text)
        argv = [program("secbox-fleet"), "check", *args, *(f"{name}.yml" for name in files)]
        return subprocess.run(argv, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, cwd=folder)
    return run


def test_every_fault_has_its_line(check):
    p = check(bad=BAD)
    assert p.returncode == 1 and p.stderr == "", p
    assert [line.split(":")[1] for line in p.stdout.splitlines() if "[compose." in line or "[render." in line] == \
        ["4", "5", "6", "10"], p.stdout
    assert '"devices:/dev/dri"' in p.stdout


def test_a_good_file_and_one_that_the_policy_must_allow(check):
    p = check(good="services: {a: {image: x}}\n", power="services: {a: {image: x, privileged: true}}\n")
    assert p.returncode == 0 and "good.yml: ok\n" in p.stdout and "power.yml: ok where the policy allows it" in p.stdout, p


def test_what_no_policy_allows_is_no_good_file(check, folder):
    p = check(never="services: {a: {image: x, privileged: true, env_file: /etc/passwd, volumes: ['/:/host']}}\n")
    assert p.returncode == 1 and "never.yml: ok" not in p.stdout, p
    assert "no entry in policy.json can allow it" in p.stdout and "root folder of the host" in p.stdout, p
    p = subprocess.run([program("secbox-fleet"), "push", "caseta5", "never.yml"], env={"PATH": os.environ["PATH"]},
                       capture_output=True, text=True, check=False, cwd=folder)
    assert p.returncode == 1 and "env_file" in p.stderr and "and 1 more" in p.stderr, p
    assert "unless its policy.json allows it" not in p.stderr


def test_what_podman_compose_alone_cannot_make(check):
    text = "services:\n  a:\n    image: x\n    healthcheck: {test: [CMD, a], timeout: 500ms}\n"
    p = check(fast=text, good="services: {a: {image: x}}\n")
    assert p.returncode == 0 and "good.yml: ok\n" in p.stdout, p
    assert 'fast.yml: ok, unless a box has COMPOSE_ENGINE=podman-compose: podman-compose on the boxes cannot pass on ' \
        '"healthcheck.timeout"' in p.stdout, p
    good, fast = sorted(json.loads(check("--json", fast=text, good="services: {a: {image: x}}\n").stdout)["files"],
                        key=lambda file: "podmanCompose" in file)
    assert "podmanCompose" not in good and fast["ok"] and fast["errors"] == []
    assert fast["podmanCompose"]["id"] == "render.unsupported" and fast["podmanCompose"]["line"] in (2, 4)


def test_a_nul_byte_does_not_end_a_file(check, folder):
    p = check(cut="services: {a: {image: x}}\n\0volumes: {}\n")
    assert p.returncode == 1 and "yaml.syntax" in p.stdout and "cut.yml: ok" not in p.stdout, p
    for args in (["push", "caseta5", "cut.yml"], ["config", "cut.yml"]):
        p = subprocess.run([program("secbox-fleet"), *args], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
                           check=False, cwd=folder)
        assert "yaml.syntax" in p.stderr if args[0] == "push" else p.stdout.endswith("\0volumes: {}\n"), p


def test_more_faults_than_are_shown(check):
    many = "services:\n" + "".join(f"  s{i}: {{image: x, restart: no!, tty: no!}}\n" for i in range(60))
    p = check(many=many)
    assert p.returncode == 1 and "many.yml: and more" in p.stdout, p
    assert json.loads(check("--json", many=many).stdout)["files"][0]["more"] is True


def test_for_editors(check):
    p = check("--json", bad=BAD, good="services: {a: {image: x}}\n")
    bad, good = json.loads(p.stdout)["files"]
    assert p.returncode == 1 and (bad["ok"], good["ok"]) == (False, True)
    assert [(e["line"], e["key"]) for e in bad["errors"]] == [
        (4, "services.web.imagee"), (5, "services.web.ports[0]"), (6, "services.web.healthcheck.timeout"),
        (10, "services.nvr.restart")]
    assert bad["policy"]["findings"][0]["id"] == "policy.refused"
    assert bad["policy"]["allowing"] == {"services": {"nvr": {"allow": ["devices:/dev/dri"]}}}


def test_a_file_that_is_not_there(check):
    p = check("nowhere.yml")
    assert p.returncode == 1 and "nowhere.yml" in p.stdout, p
