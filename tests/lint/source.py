# SPDX-License-Identifier: MIT
"""The tree as the checks see it: files of the project, and C without comments and literals."""
import functools
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED_DIRS = {".git", "build", "__pycache__", ".pytest_cache", "node_modules"}


@functools.lru_cache(maxsize=None)
def files():
    """All files of the tree, relative to its root."""
    found = []
    for folder, dirs, names in os.walk(ROOT):
        dirs[:] = sorted(d for d in dirs if d not in SKIPPED_DIRS and not d.startswith("build"))
        found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in sorted(names)]
    return [f for f in found if os.path.isfile(os.path.join(ROOT, f)) and f != ".git"]


def of_kind(*suffixes, below=("",)):
    return [f for f in files() if f.endswith(suffixes) and f.startswith(tuple(below))]


@functools.lru_cache(maxsize=None)
def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def lines(path):
    return text(path).splitlines()


_NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


@functools.lru_cache(maxsize=None)
def code(path):
    """A C file with comments and literals blanked, line numbers kept. Names in #include stay."""
    def blank(m):
        inside = m.group(0)
        return inside if inside.startswith('"') and _is_include(m) else re.sub(r"[^\n]", " ", inside)
    return _NOT_CODE.sub(blank, text(path))


def _is_include(m):
    start = m.string.rfind("\n", 0, m.start()) + 1
    return m.string[start:m.start()].strip() == "#include"


def includes(path):
    """(line number, name as written with its brackets or quotes)."""
    for i, line in enumerate(code(path).splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+([<"][^>"]+[>"])', line)
        if m:
            yield i, m.group(1)


def matches(pattern, content):
    for i, line in enumerate(content.splitlines(), 1):
        m = re.search(pattern, line)
        if m:
            yield i, m
