# SPDX-License-Identifier: MIT
"""Finds tests by a part of their name: `make check T=NAME`.

A file whose name holds NAME is run whole. Of the other files those tests are run whose names hold it.
"""
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def _text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def _names(name, path, pattern):
    """Whether to run the file: "" for all of it, else the pattern that its tests are chosen by; None for no."""
    if name in _stem(path):
        return ""
    return name if any(name in test for test in re.findall(pattern, _text(path))) else None


def _choose(name, files, pattern):
    chosen = {path: _names(name, path, pattern) for path in sorted(glob.glob(os.path.join(ROOT, files)))}
    return {path: tests for path, tests in chosen.items() if tests is not None}


def unit(name):
    """Source of a unit test → "" or a part of the names of its tests."""
    return _choose(name, "tests/unit/test-*.c", r"cmocka_unit_test\w*\(\s*(\w+)")


def pytest_files(folder, name):
    return _choose(name, folder + "/test_*.py", r"(?m)^ *(?:async )?def (test_\w+)")


def fuzz(name):
    return [path for path in sorted(glob.glob(os.path.join(ROOT, "tests/fuzz/fuzz-*.c"))) if name in _stem(path)]


def lint(name):
    """Whether a check of the lint is called so."""
    files = glob.glob(os.path.join(ROOT, "tests/lint/check_*.py"))
    return any(name in check for path in files for check in re.findall(r"(?m)^def ([a-z]\w+)\(", _text(path)))
