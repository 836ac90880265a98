# SPDX-License-Identifier: MIT
"""Error ids, files and functions that headers and documents name must be there; ids that code raises must be documented."""
import functools
import os
import re
import subprocess
import sys

from source import ROOT, code, files, lines, of_kind, text

TABLE = "docs/errors.md"
ID = r"[a-z][a-z0-9-]*\.[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*"
# what takes an id: error_set() and its relatives, functions named after a failure, a stream's end
RAISES = (r"\b(?:error_set\w*|\w*(?:error|fail|refuse|finding|alarm|reset)\w*)\s*"
          r"\(((?:[^;\"]|\"(?:\\.|[^\"\\])*\")*?)" rf'"({ID})"')
# they look like ids, and are keys of other people's files
NOT_IDS = {"deploy.resources", "deploy.resources.limits.cpus", "registry.mirror"}
FILE_ENDINGS = {"c", "h", "md", "mk", "py", "sh", "json", "jsonl", "yml", "yaml", "env", "conf", "sock", "service", "path", "pub",
                "pem", "d", "log", "io", "invalid", "example", "example-box", "1", "8", "key", "crt", "socket", "timer"}


def _product(*suffixes):
    return [f for f in of_kind(*suffixes) if not f.startswith("tests/")]


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def _without_comments(path):
    """Without characters in quotes, too, of which some are quotes."""
    return TOKEN.sub(lambda m: m.group(0) if m.group(0)[0] == '"' else re.sub(r"[^\n]", " ", m.group(0)), text(path))


def _comments(path):
    """(line number, comment), of a C file."""
    for m in (m for m in TOKEN.finditer(text(path)) if m.group(0).startswith("/*")):
        for i, line in enumerate(m.group(0).splitlines()):
            yield text(path).count("\n", 0, m.start()) + 1 + i, line


def _sentence(content, start):
    """The first of a call's strings that has more than one word."""
    call = re.sub(r'%"\s*PRI\w+\s*', '…"', content[start:content.find(");", start)])
    strings = ("".join(re.findall(r'"((?:\\.|[^"\\])*)"', m)) for m in re.findall(r'(?:"(?:\\.|[^"\\])*"\s*)+', call))
    return next((s for s in strings if " " in s), "")


@functools.lru_cache(maxsize=None)
def raised():
    """Id → (file, line, sentence), as far as a pattern finds them: ids that tables hold are not among them."""
    found = {}
    for path in _product(".c"):
        content = _without_comments(path)
        for m in re.finditer(RAISES, content):
            if m.group(2).rsplit(".", 1)[-1] in FILE_ENDINGS:
                continue
            found.setdefault(m.group(2), (path, content.count("\n", 0, m.start(2)) + 1, _sentence(content, m.end())))
    return found


@functools.lru_cache(maxsize=None)
def _literals():
    """Every string of the product's code, and beginnings that code completes ("snapshot.bad-" and a name)."""
    strings = set()
    for path in _product(".c", ".h"):
        strings.update(re.findall(r'"((?:\\.|[^"\\\n])*)"', _without_comments(path)))
    begins = {m.group(0) for s in strings if s.endswith(("-", "%s", "."))
              and (m := re.match(r"[a-z][a-z0-9-]*\.[a-z0-9-]*(?=%s|$)", s))}
    return strings, tuple(begins)


def _named_ids(line):
    areas = {i.split(".", 1)[0] for i in raised()}
    for name in re.findall(rf"(?<![\w./@:-])({ID})(?![\w/(=-])", line):
        if name.split(".", 1)[0] in areas and name.rsplit(".", 1)[-1] not in FILE_ENDINGS and name not in NOT_IDS:
            yield name


def _documents():
    return [f for f in of_kind(".md", ".1", ".8") if not f.startswith("tests/")]


@functools.lru_cache(maxsize=None)
def _places():
    """(file, line number, text) of what people read about the code: comments of headers, documents, man pages."""
    places = [(path, i, line) for path in _product(".h") for i, line in _comments(path)]
    places += [(path, i, line.replace("\\-", "-")) for path in _documents() for i, line in enumerate(lines(path), 1)]
    return places


def error_ids_that_are_named_are_raised():
    strings, begins = _literals()
    for path, i, line in _places():
        for name in _named_ids(line):
            if name not in strings and not (begins and name.startswith(begins)):
                yield f"{path}:{i}: nothing raises {name}"


def error_ids_that_are_raised_are_documented():
    named = {name for _, _, line in _places() for name in _named_ids(line)}
    for name, (path, line, _) in sorted(raised().items()):
        if name not in named:
            yield f"{path}:{line}: {name} is in no header and no document: `make errors` adds a row to {TABLE}"


# what code makes of an id that something else raises: a comparison, a row of what a failure means, a row of its status
PART = r'"([a-z][a-z0-9.-]*\.[a-z0-9-]*)"'
USES = re.compile(rf'error_id\([^()"]*\), {PART}|{PART}, FAILURE_|{PART}, [1-5]\d\d \}}')


def error_ids_that_are_compared_are_raised():
    """Whoever renames an id must not change unawares what other code makes of it. Beginnings of ids (prove.) count as well."""
    used, known = [], set()
    for path in _product(".c", ".h"):
        content = _without_comments(path)
        used += [(path, content.count("\n", 0, m.start()) + 1, next(filter(None, m.groups()))) for m in USES.finditer(content)]
        known.update(re.findall(rf'"({ID})"', USES.sub("", content)))
    for path, line, name in used:
        if name not in known and not (name.endswith((".", "-")) and any(k.startswith(name) for k in known)):
            yield f"{path}:{line}: nothing raises {name}"


def files_in_documents_exist():
    """Names of C files in backquotes, without their folders."""
    known = {os.path.basename(f) for f in files()}
    for path in of_kind(".md"):
        for i, line in enumerate(lines(path), 1):
            for name in re.findall(r"`([\w-]+\.[ch])`", line):
                if name not in known:
                    yield f"{path}:{i}: there is no {name}"


def functions_in_documents_exist():
    """Names before (), in documents and in the comments of headers."""
    words = {w for path in of_kind(".c", ".h", ".py") for w in re.findall(r"\w+", code(path))}
    strings, _ = _literals()
    for path, i, line in _places():
        for name in re.findall(r"(?<![\w.>:$])([a-z]\w*_\w+)\(\)", line):
            if name not in words and name not in strings:
                yield f"{path}:{i}: there is no {name}()"


def names_in_python_exist():
    """A test with a name that nothing defines fails where it is run, which for some is at the end of a long run."""
    python = "/usr/bin/python3"  # that which the tests run with
    if subprocess.run([python, "-c", "import pyflakes"], capture_output=True, check=False).returncode != 0:
        raise LookupError("pyflakes is not installed: installer/deps.sh test")
    p = subprocess.run([python, "-m", "pyflakes", *of_kind(".py")], cwd=ROOT, capture_output=True, text=True, check=False)
    for line in (p.stdout + p.stderr).splitlines():
        if "undefined name" in line or "syntax" in line:
            yield line


CHECKS = [error_ids_that_are_named_are_raised, error_ids_that_are_raised_are_documented,
          error_ids_that_are_compared_are_raised, files_in_documents_exist, functions_in_documents_exist, names_in_python_exist]


def _row(name):
    sentence = re.sub(r"%[-+#0-9.*]*(?:hh|h|ll|l|z|j|t)?[a-zA-Z]", "…", raised()[name][2])
    sentence = sentence.replace("%%", "%").replace('\\"', '"').replace("|", "\\|")
    return f"| `{name}` | {sentence or '…'} |"


def write_table():
    """Adds rows for ids that no other text documents, and drops those of ids that are gone."""
    strings, begins = _literals()
    head, _, body = text(TABLE).partition("| --- | --- |\n")
    rows = {m.group(1): line for line in body.splitlines() if (m := re.match(r"\| `([^`]+)` \|", line))}
    rows = {n: line for n, line in rows.items() if n in strings or (begins and n.startswith(begins))}
    elsewhere = {n for path, _, line in _places() if path != TABLE for n in _named_ids(line)}
    rows.update({n: _row(n) for n in raised() if n not in rows and n not in elsewhere})
    with open(os.path.join(ROOT, TABLE), "w", encoding="utf-8") as f:
        f.write(head + "| --- | --- |\n" + "".join(rows[n] + "\n" for n in sorted(rows)))


if __name__ == "__main__":
    if sys.argv[1:] != ["--write-errors"]:
        sys.exit("usage: check_names.py --write-errors")
    write_table()
