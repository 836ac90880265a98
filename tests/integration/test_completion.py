# SPDX-License-Identifier: MIT
"""What bash, zsh and fish offer for the command lines: real shells, scripts as they are installed."""
import os
import shutil
import subprocess

import pytest

from tests.conftest import require_programs
from tests.integration.test_man_pages import names_in_help, help_of, verb_options
from tests.lab.util import program, read_text

PROGRAMS = ["secbox-fleet", "secboxctl"]
BASH = """
source "$1"; shift
complete -p "$1" >&2 || exit 9
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"_${1//-/_}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
_describe() { print -rl -- "${items[@]%%:*}" }
_files() { print -r -- FILES }
script=$1; shift
words=("$@") CURRENT=$#
source "$script" || true  # none of them
"""


def script(name, shell, folder):
    require_programs(name)
    p = subprocess.run([program(name), "completion", shell], capture_output=True, text=True, check=False)
    assert p.returncode == 0 and not p.stderr
    path = os.path.join(folder, f"_{name}" if shell == "zsh" else f"{name}.{shell}")
    with open(path, "w", encoding="utf-8") as f:
        f.write(p.stdout)
    return path


def run(*argv, **more):
    env = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    p = subprocess.run(argv, capture_output=True, text=True, check=False, env=env, **more)
    assert p.returncode == 0 and "rror" not in p.stderr, p
    return p


def in_bash(name, folder, *words):
    p = run("bash", "--norc", "-c", BASH, "bash", script(name, "bash", folder), name, *words, cwd=folder)
    assert f"complete -o filenames -F _{name.replace('-', '_')} {name}" in p.stderr
    return set(p.stdout.split())


def in_zsh(name, folder, *words):
    return set(run("zsh", "-f", "-c", ZSH, "zsh", script(name, "zsh", folder), name, *words, cwd=folder).stdout.split())


def in_fish(name, folder, *words):
    line = " ".join([name, *words])
    out = run("fish", "--no-config", "-c", f"source {script(name, 'fish', folder)}; complete -C '{line}'", cwd=folder).stdout
    return {item.split("\t")[0] for item in out.splitlines()}


SHELLS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.fixture(params=SHELLS)
def offers(request, folder):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed: installer/deps.sh test")
    with open(os.path.join(folder, "compose.yml"), "w", encoding="utf-8") as f:
        f.write("services: {}\n")
    def ask(name, *words):
        found = SHELLS[request.param](name, folder, *words)
        return {"compose.yml" if item == "FILES" else item for item in found if not item.endswith(("bash", "fish", f"_{name}"))}
    return ask


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_verb_and_every_option_of_it(offers, name):
    verbs, _ = names_in_help(help_of(name))
    assert offers(name, "") == {verb.split()[0] for verb in verbs}
    for group in {verb.split()[0] for verb in verbs if " " in verb}:
        assert offers(name, group, "") == {verb.split()[1] for verb in verbs if verb.startswith(group + " ")}
    taken = verb_options(name)
    for verb in ("devices add", "push", "rollout start") if name == "secbox-fleet" else ("apply", "env check", "update"):
        assert offers(name, *verb.split(), "--") >= {f"--{option}" for option in taken[verb]}, verb
        for option in set.union(*taken.values()) - taken[verb]:
            assert f"--{option}" not in offers(name, *verb.split(), "--"), verb


def test_values_and_files(offers):
    assert "compose.yml" in offers("secbox-fleet", "push", "caseta5", "")
    assert "compose.yml" in offers("secbox-fleet", "rollout", "start", "--compose", "")
    assert "compose.yml" not in offers("secbox-fleet", "history", "")
    assert offers("secbox-fleet", "--gateway", "https://cloud.example", "devices", "") >= {"add", "list"}, "a value is no verb"
    assert not offers("secbox-fleet", "history", "--limit", "") & {"push", "history", "compose.yml"}
    assert "devices" not in offers("secbox-fleet", "push", "devices", "")


def test_zsh_takes_the_file_for_its_program(folder):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed: installer/deps.sh test")
    for name in PROGRAMS:
        script(name, "zsh", folder)
    found = run("zsh", "-f", "-c", f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; "
                "print -l $_comps[secbox-fleet] $_comps[secboxctl]").stdout.split()
    assert found == ["_secbox-fleet", "_secboxctl"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_another_shell_is_refused(name):
    p = subprocess.run([program(name), "completion", "tcsh"], capture_output=True, text=True, check=False)
    assert p.returncode == 2 and "bash, zsh or fish" in p.stderr and not p.stdout


def test_scripts_are_text_that_bash_accepts(folder):
    for name in PROGRAMS:
        path = script(name, "bash", folder)
        assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
        assert max(len(line) for line in read_text(path).splitlines()) < 2000
