# SPDX-License-Identifier: MIT
"""A project of several files, as command lines make one of it: no gateway, no box."""
import json
import os
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab.util import program

FILES = {
    "compose.yaml": "include: [db/compose.yaml]\nservices:\n  web:\n    extends: {file: lib/base.yml, service: base}\n"
                    "    image: web:${TAG}\n    ports: ['80:80']\n    environment: ['TOKEN=${API_TOKEN}']\n",
    "compose.override.yaml": "services:\n  web:\n    environment: {MODE: test}\n  debug: {image: x, profiles: [debug]}\n",
    "prod.yml": "services: {web: {ports: ['80:80', '443:443']}}\n",
    "lib/base.yml": "services: {base: {restart: always, environment: [A=1]}}\n",
    "db/compose.yaml": "services: {db: {image: 'postgres:${PG:-15}'}}\n",
    "db/.env": "PG=16\n",
    ".env": "TAG='1.2' # the newest\nAPI_TOKEN=swordfish\nUNUSED=1\n",
    "other.env": "TAG=9\n",
}
WHOLE = """services:
  web:
    restart: always
    environment:
      A: "1"
      TOKEN: "${API_TOKEN}"
      MODE: test
    image: "web:${TAG-1.2}"
    ports:
      - "80:80"
  debug:
    image: x
    profiles:
      - debug
  db:
    image: "postgres:${PG:-16}"
"""


@pytest.fixture(name="run")
def run_fixture(folder):
    require_programs("secbox-fleet")
    for name, text in FILES.items():
        path = os.path.join(folder, "project", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def run(*args, cwd="project"):
        return subprocess.run([program("secbox-fleet"), *args], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
                              check=False, cwd=os.path.join(folder, cwd))
    return run


def services(text):
    """Name → lines of each service."""
    found, name = {}, None
    for line in text.splitlines()[1:]:
        if line.startswith("  ") and line[2] != " ":
            name = line.strip(" :")
            found[name] = []
        elif name:
            found[name].append(line.strip())
    return found


def test_a_folder_with_all_that_belongs_to_it(run):
    p = run("config")
    assert p.returncode == 0 and services(p.stdout) == services(WHOLE), p
    assert p.stderr == ("values from here, where the box's secbox.env has none: TAG (.env), PG (db/.env)\n"
                        "not sent, since their names or values are those of secrets; the box's secbox.env has to have them: "
                        "API_TOKEN (.env)\n")
    assert "swordfish" not in p.stdout
    from_beside = run("config", "project", cwd=".")
    assert services(from_beside.stdout) == services(WHOLE), from_beside
    assert run("check").stdout.endswith("ok\n") and run("check").returncode == 0


def test_files_by_name_profiles_and_another_env_file(run):
    p = run("config", "-f", "compose.yaml", "-f", "prod.yml", "--env-file", "other.env")
    web = services(p.stdout)["web"]
    assert 'image: "web:${TAG-9}"' in web and '- "443:443"' in web and web.count('- "80:80"') == 1 and "MODE: test" not in web, p
    assert "profiles:" not in services(run("config", "--profile", "debug").stdout)["debug"]
    p = run("check", "-f", "prod.yml", "compose.yaml")
    assert p.returncode == 1 and "is no folder" in p.stdout, p


def test_what_is_missing_is_named(run, folder):
    p = run("config", cwd=".")
    assert p.returncode == 1 and "there is no compose.yaml" in p.stderr and "[gather.missing]" in p.stderr, p
    p = run("config", "--env-file", "nowhere.env")
    assert p.returncode == 1 and "nowhere.env" in p.stderr and "[gather.env]" in p.stderr, p
    os.unlink(os.path.join(folder, "project/lib/base.yml"))
    p = run("check")
    assert p.returncode == 1 and "lib/base.yml" in p.stdout and "[gather.missing]" in p.stdout, p


def test_a_single_file_is_sent_as_it_is(run, folder):
    text = "# a comment stays\nservices: {a: {image: x}}\n"
    with open(os.path.join(folder, "one.yml"), "w", encoding="utf-8") as f:
        f.write(text)
    assert run("config", "one.yml", cwd=".").stdout == text


def test_the_same_from_wherever_it_is_named(run, folder):
    for name, text in {"q/up.yaml": "include: [../side/s.yml]\nservices: {a: {image: x}}\n",
                       "side/s.yml": "services: {s: {image: right, volumes: ['./d:/d', '../q/e:/e']}}\n",
                       "q/side/s.yml": "services: {s: {image: wrong}}\n"}.items():
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    inside = run("config", "up.yaml", cwd="q")
    assert "image: right" in inside.stdout and "../side/d:/d" in inside.stdout and "../q/e:/e" in inside.stdout, inside
    for cwd, *args in (("q", "./up.yaml"), ("q", ".", "-f", "up.yaml"), ("q", ".", "-f", "./up.yaml"), (".", "q/up.yaml"),
                       ("project", "../q/./up.yaml"), (".", os.path.join(folder, "q/up.yaml"))):
        p = run("config", *args, cwd=cwd)
        assert p.returncode == 0 and p.stdout == inside.stdout, (cwd, args, p)


def test_faults_of_all_files_have_their_own_places(run, folder):
    for name, text in {"f/a.yml": "services:\n  web:\n    image: x\n    tty: perhaps\n",
                       "f/b.yml": "\nservices:\n  web:\n    restart: sometimes\n    privileged: true\n",
                       "f/c.yml": "services:\n  web: {tty: !reset null, restart: !override always}\n",
                       "f/d.yml": "include: [gone.yml]\nservices: [\n"}.items():
        os.makedirs(os.path.join(folder, "f"), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    p = run("check", "-f", "a.yml", "-f", "b.yml", cwd="f")
    assert p.returncode == 1 and "a.yml:4: " in p.stdout and "b.yml:4: " in p.stdout and "b.yml:5: " in p.stdout, p
    errors = json.loads(run("check", "--json", "-f", "a.yml", "-f", "b.yml", cwd="f").stdout)["files"][0]["errors"]
    assert sorted((e["file"], e["line"]) for e in errors) == [("a.yml", 4), ("b.yml", 4)], errors
    p = run("push", "box", "-f", "a.yml", "-f", "b.yml", cwd="f")
    assert p.returncode == 1 and ".yml:4: " in p.stderr and "1 more: secbox-fleet check -f" in p.stderr, p
    p = run("config", "-f", "a.yml", "-f", "b.yml", "-f", "c.yml", cwd="f")
    assert p.returncode == 0 and "tty" not in p.stdout and "restart: always" in p.stdout, p
    p = run("check", "-f", "a.yml", "-f", "d.yml", "-f", "e.yml", cwd="f")
    assert p.returncode == 1 and "d.yml:3: " in p.stdout and "e.yml" in p.stdout, p
    p = run("config", "-f", "a.yml", "-f", "d.yml", "-f", "e.yml", cwd="f")
    assert p.returncode == 1 and "d.yml:3: " in p.stderr and "e.yml" in p.stderr and p.stdout == "", p


def test_what_env_files_say_of_gathering(run, folder):
    for name, text in {"e/.env": "COMPOSE_FILE=one.yml:sub/two.yml\nCOMPOSE_PROFILES=p,,q\n",
                       "e/one.yml": "services: {one: {image: x}}\n",
                       "e/sub/two.yml": "services:\n  one: {profiles: [p]}\n  two: {image: x, profiles: [q]}\n"
                                        "  three: {image: x, profiles: [r]}\n",
                       "e/compose.yaml": "services: {unused: {image: x}}\n",
                       "e/other.env": "COMPOSE_PATH_SEPARATOR=;\nCOMPOSE_FILE='./compose.yaml;one.yml'\n"}.items():
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
    for cwd, *args in (("e",), (".", "e")):
        p = run("config", *args, cwd=cwd)
        assert services(p.stdout) == {"one": ["image: x"], "two": ["image: x"], "three": ["image: x", "profiles:", "- r"]}, p
    assert "profiles:" in run("config", "--profile", "r", cwd="e").stdout, "what is typed goes before"
    p = run("config", "--env-file", "other.env", cwd="e")
    assert set(services(p.stdout)) == {"unused", "one"}, p
    assert run("config", "-f", "compose.yaml", cwd="e").stdout == "services: {unused: {image: x}}\n"
