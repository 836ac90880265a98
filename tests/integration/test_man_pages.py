# SPDX-License-Identifier: MIT
"""Every verb and option that --help shows is in the man page, and the other way round."""
import functools
import glob
import os
import re
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab.util import ROOT, program

PROGRAMS = ["secbox-fleet", "secboxctl", "secbox-gateway", "mgmt-agent", "mgmt-link", "recovery-agent", "secbox", "secbox-pairing",
            "relay-client"]


@functools.cache
def run_help(name, *verb):
    p = subprocess.run([program(name), *verb, "--help"], capture_output=True, text=True, check=False)
    assert p.returncode == 0 and p.stderr == ""
    return p.stdout


def help_of(name):
    return run_help(name)


def names_in_help(text):
    verbs = re.search(r"^Verbs:\n((?:  .*\n)+)", text, re.M)
    verbs = verbs.group(1) if verbs else ""
    options = re.search(r"^Options:\n((?:  .*\n)+)", text, re.M).group(1)
    found = {re.match(r"  ((?:[a-z-]+ ?)+)", line).group(1).strip() for line in verbs.splitlines()
             if line.startswith("  ") and line[2] != " "}
    found_options = re.findall(r"^  --([a-z-]+)", options, re.M)
    return {re.split(r"  ", v)[0] for v in found}, set(found_options)


def page_of(name):
    return glob.glob(os.path.join(ROOT, "docs/man", name + ".[18]"))[0]


def names_in_man(name):
    with open(page_of(name), encoding="utf-8") as f:
        text = f.read().replace("\\-", "-")
    tags = re.findall(r"^\.TP\n(\.B[IR]? .*)$", text, re.M)
    options = {m.group(1) for tag in tags if (m := re.match(r"\.BI? --([a-z-]+)", tag))}
    section = re.search(r"^\.SH VERBS\n(.*?)^\.SH ", text, re.M | re.S)
    section = section.group(1) if section else ""
    verbs = {re.match(r"\.BI? \"?([a-z -]+?) *(?:\"|$|[A-Z])", line).group(1)
             for line in re.findall(r"^\.TP\n(\.BI? .*)$", section, re.M)}
    return verbs, options


@pytest.mark.parametrize("name", PROGRAMS)
def test_man_page_and_help_name_the_same(name):
    require_programs(name)
    assert names_in_help(help_of(name)) == names_in_man(name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_verb_shows_help(name):
    require_programs(name)
    for verb in names_in_help(help_of(name))[0]:
        assert verb in run_help(name, *verb.split())


def verb_options(name):
    """Verb → the options that its own help shows."""
    return {verb: set(re.findall(r"^  --([a-z-]+)", run_help(name, *verb.split()), re.M))
            for verb in names_in_help(help_of(name))[0]}


def verbs_of_options_in_man(name):
    """Option → the verbs that its paragraph says it goes with."""
    with open(page_of(name), encoding="utf-8") as f:
        options = re.search(r"^\.SH OPTIONS\n(.*?)^\.SH ", f.read().replace("\\-", "-"), re.M | re.S).group(1)
    found = {}
    for tag, text in re.findall(r"^\.TP\n(\.B.*)\n((?:(?!\.TP).*\n)*)", options, re.M):
        flat = re.sub(r"^\.[A-Z]+ ", "", text, flags=re.M).replace('"', "").replace("\n", " ")
        clauses = re.split(r"\bWith ", flat)[1:]
        found[re.search(r"--([a-z-]+)", tag).group(1)] = " ".join(c.split(":")[0] for c in clauses)
    return found


@pytest.mark.parametrize("name", ["secbox-fleet", "secboxctl"])
def test_man_page_says_which_verbs_take_an_option(name):
    taken = verb_options(name)
    common = set.intersection(*taken.values())
    said = verbs_of_options_in_man(name)
    for option in set.union(*taken.values()) - common:
        # the longer ones first: "rollout status" is not "status"
        verbs = sorted(taken, key=len, reverse=True)
        named = set(re.findall(rf"(?<![\w-])(?:{'|'.join(verbs)})(?![\w-])", said[option]))
        assert named == {verb for verb in verbs if option in taken[verb]}, option


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_option_belongs_to_a_verb(name):
    verbs, options = names_in_help(help_of(name))
    if verbs:
        assert set.union(*verb_options(name).values()) == options


@pytest.mark.parametrize("name", ["secbox-fleet", "secboxctl", "secbox-gateway"])
def test_a_verb_refuses_what_belongs_to_others(name):
    """Of thousands of pairs an eighth, since one table decides them all: each verb and each option has its turn."""
    taken = verb_options(name)
    options, step = sorted(set.union(*taken.values())), 8 if len(taken) > 16 else 1
    for i, (verb, own) in enumerate(sorted(taken.items())):
        for option in [o for j, o in enumerate(options) if (i + j) % step == 0 and o not in own]:
            p = subprocess.run([program(name), *verb.split(), "--" + option, "1"], capture_output=True, text=True, check=False)
            assert p.returncode == 2 and f"{verb} does not take --{option}" in p.stderr, (verb, option, p)


@pytest.mark.parametrize("name", ["secbox-gateway", "mgmt-agent", "mgmt-link", "recovery-agent", "secbox", "secbox-pairing"])
def test_the_page_of_a_service_says_how_to_see_more(name):
    with open(page_of(name), encoding="utf-8") as f:
        section = re.search(r"^\.SH ENVIRONMENT\n(.*?)^\.SH ", f.read(), re.M | re.S).group(1)
    assert "SECBOX_LOG" in section and "debug" in section
    with open(program(name), "rb") as f:
        assert b"SECBOX_LOG" in f.read()


@pytest.mark.parametrize("name", PROGRAMS)
def test_man_page_is_well_formed(name):
    try:
        p = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page_of(name)],
                           capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("groff is not installed")
    assert (p.returncode, p.stderr) == (0, "")
