# SPDX-License-Identifier: MIT
"""What the documents name must be there."""
import os
import re
import subprocess
import sys

from source import ROOT, files, includes, lines, of_kind, text


def make_targets():
    targets = set()
    for path in of_kind("Makefile", ".mk"):
        for m in re.finditer(r"^([\w.$() /-]+?)\s*:(?!=)", text(path), re.M):
            targets.update(m.group(1).split())
    return targets


def _documents():
    return [f for f in of_kind(".md") if not f.startswith("tests/")]


def make_targets_exist():
    targets = make_targets()
    for path in _documents():
        for i, line in enumerate(lines(path), 1):
            for m in re.finditer(r"(?:`|^\s*(?:\$ )?)make((?: [\w=./-]+)*)", line):
                for word in m.group(1).split():
                    if "=" not in word and not word.startswith("-") and word not in targets:
                        yield f"{path}:{i}: there is no target \"{word}\""


def paths_exist():
    """Paths in backquotes that begin with a folder of the tree, and C files with some of their folders."""
    folders = {f.split("/", 1)[0] for f in files() if "/" in f}
    for path in _documents():
        for i, line in enumerate(lines(path), 1):
            for name in re.findall(r"`([\w.-]+/[\w./-]+)`", line):
                first = name.split("/", 1)[0]
                if first in folders:
                    there = os.path.exists(os.path.join(ROOT, name))
                else:  # a C file with the last of its folders
                    there = not name.endswith((".c", ".h")) or any(f.endswith("/" + name) for f in files())
                if not there:
                    yield f"{path}:{i}: there is no {name}"


def tests_exist():
    """Tests that a document names are there, so that what it says of them has not been forgotten."""
    there = {m.group(1) for path in files() if path.startswith("tests/") and path.endswith((".py", ".c"))
             for m in re.finditer(r"^(?:def |static void )(test_\w+)\(", text(path), re.M)}
    for path in _documents():
        for i, line in enumerate(lines(path), 1):
            for name in re.findall(r"`(test_\w+)`", line):
                if name not in there:
                    yield f"{path}:{i}: there is no test {name}"


def readme_commands_exist():
    """Commands of the README's code blocks are programs of the tree, make, or of the system."""
    if "README.md" not in files():
        raise LookupError("there is no README.md yet")
    known = {"make", "git", "cd", "sudo", "curl", "ssh", "podman", "podman-compose", "journalctl", "systemctl", "cat",
             "export", "sh", "apt-get", "install", "scp", "ls", "cp", "mkdir", "editor", "sudoedit", "tar"}
    programs = {m.group(1) for m in re.finditer(r"^([\w-]+)_SRC\s*=", text("Makefile"), re.M)}
    block = False
    for i, line in enumerate(lines("README.md"), 1):
        if line.startswith("```"):
            block = not block
            continue
        command = line.strip().removeprefix("$ ").split(" ")[0]
        if not block or not command or line[0] in " #" or not re.fullmatch(r"[\w./-]+", command):
            continue
        if command.startswith(("build/bin/", "./build/bin/")):
            command = os.path.basename(command)
        if command not in known | programs and command not in files():
            yield f"README.md:{i}: there is no command \"{command}\""


def fuzz_targets_have_a_corpus():
    for path in of_kind(".c", below=["tests/fuzz/fuzz-"]):
        name = os.path.basename(path)[len("fuzz-"):-len(".c")]
        if not any(f.startswith(f"tests/fuzz/corpus/{name}/") for f in files()):
            yield f"{path}: tests/fuzz/corpus/{name}/ is empty"


def _unit_test_rules():
    """[(pattern of tests, what they wait for besides their program)], from tests/tests.mk."""
    for left, right in re.findall(r"(?m)^(\$\(.*passed/test-.*?): (.*)$", text("tests/tests.mk")):
        names = re.search(r"passed/test-(?:,([\w -]+)|([\w%-]+))", left)
        read = re.sub(r"\$\(wildcard ([^)]*)\)", r"\1", right).split()
        for name in (names.group(1) or names.group(2)).split():
            yield "test-" + name.replace("%", ".*"), [part.split("*")[0] for part in read]


def unit_tests_run_again_when_what_they_read_changes():
    rules = list(_unit_test_rules())
    for path in of_kind(".c", below=["tests/unit/test-"]):
        name = os.path.basename(path)[:-2]
        waits_for = [read for pattern, reads in rules if re.fullmatch(pattern, name) for read in reads]
        beside = [header[1:-1] for _, header in includes(path) if header.startswith('"tests/unit/')]
        for source in [path, *beside]:
            for read in re.findall(r'"((?:docs|tests/(?:cases|golden)|installer|(?:env|compose)/examples)/[^"%]*|tests/golden)',
                                   text(source)):
                if not any(read.startswith(w) or w.startswith(read + "/") for w in waits_for):
                    yield f"{source}: {name} reads {read}: make a rule in tests/tests.mk, or `make quick` does not run it again"


def faults_are_those_of_the_table():
    page = subprocess.run([sys.executable, "-B", "-m", "tests.lab.faults"], cwd=ROOT, check=True, capture_output=True,
                          text=True).stdout
    if "docs/faults.md" not in files() or page != text("docs/faults.md"):
        yield "docs/faults.md: not what tests/lab/faults.py has: run make docs-faults"


MATRIX = "docs/fault-matrix.md"
MATRIX_ROWS = [f"F{n:02}" for n in (*range(1, 35), *range(51, 63))]


def _tests_of_rows():
    """{row: names of the tests that bear it}"""
    found = {}
    for path in of_kind(".py", ".c", below=["tests/"]):
        for name, rows in re.findall(r"(?m)^(?:def|static void) ((?:test_)?((?:f\d\d_)+)\w+)\(", text(path)):
            for row in rows.strip("_").split("_"):
                found.setdefault(row.upper(), set()).add(name)
    return found


def rows_of_the_fault_matrix_have_tests():
    """Each row is on the page, with just the tests that are named after it, or with the reason why there is none."""
    shown = {}
    for i, line in enumerate(lines(MATRIX), 1):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 5 and re.fullmatch(r"F\d\d", cells[1]):
            if cells[1] in shown:
                yield f"{MATRIX}:{i}: {cells[1]} is there twice"
            shown[cells[1]] = set(re.findall(r"`(\w+)`", cells[4])), cells[4]
    there = _tests_of_rows()
    for row in sorted({*MATRIX_ROWS, *there, *shown}):
        named, cell = shown.get(row, (set(), ""))
        tests = there.get(row, set())
        if row not in MATRIX_ROWS:
            yield f"{MATRIX}: {row} is no row of it: {', '.join(sorted(named | tests))}"
        elif named != tests:
            yield f"{MATRIX}: {row} names other tests than those named after it: {', '.join(sorted(named ^ tests))}"
        elif not tests and not re.match(r"none: \w", cell):
            yield f"{MATRIX}: {row} has no test and no reason (none: …)"


CHECKS = [faults_are_those_of_the_table, rows_of_the_fault_matrix_have_tests, make_targets_exist, paths_exist, tests_exist,
          readme_commands_exist, fuzz_targets_have_a_corpus, unit_tests_run_again_when_what_they_read_changes]
