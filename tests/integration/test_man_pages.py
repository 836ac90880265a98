# SPDX-License-Identifier: MIT
"""Every verb and option that --help shows is in the man page, and the other way round."""
import glob
import os
import re
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab.util import ROOT, program

PROGRAMS = ["secbox-fleet", "secboxctl", "secbox-gateway", "mgmt-agent", "mgmt-link", "recovery-agent"]


def help_of(name):
    p = subprocess.run([program(name), "--help"], capture_output=True, text=True, check=False)
    assert p.returncode == 0 and p.stderr == ""
    return p.stdout


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
        p = subprocess.run([program(name), *verb.split(), "--help"], capture_output=True, text=True, check=False)
        assert p.returncode == 0 and verb in p.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_man_page_is_well_formed(name):
    try:
        p = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page_of(name)],
                           capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("groff is not installed")
    assert (p.returncode, p.stderr) == (0, "")
