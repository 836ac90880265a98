# SPDX-License-Identifier: MIT
"""`make check` brings all that the tests need, so what is missing there is a failure and not a skipped test."""
import glob
import os
import re

import pytest

from tests.conftest import require_programs, skip
from tests.lab.util import ROOT, read_text


def test_what_is_missing_fails_under_make_check(monkeypatch):
    monkeypatch.setenv("SECBOX_STRICT", "1")
    for missing in (lambda: skip("no whole box here"), lambda: require_programs("no-such-program")):
        with pytest.raises(pytest.fail.Exception):
            missing()
        monkeypatch.delenv("SECBOX_STRICT")
        with pytest.raises(pytest.skip.Exception):
            missing()
        monkeypatch.setenv("SECBOX_STRICT", "1")


def test_no_whole_box_is_one_of_those():
    users = [path for path in glob.glob(os.path.join(ROOT, "tests/system/*.py")) if "whole_box.why_not(" in read_text(path)]
    assert len(users) >= 5
    for path in users:
        text = read_text(path)
        assert not re.search(r"pytest\.skip\(f\"\w+ whole", text) and len(re.findall(r"\bskip\(f\"\w+ whole", text)) >= 2, path
