# SPDX-License-Identifier: MIT
"""C is laid out as .clang-format says. What was found right is remembered by its content, in build/lint/."""
import hashlib
import os
import shutil
import subprocess

from source import ROOT, of_kind, text

ENFORCED = True
VERSION = "14"  # others break lines differently
PROGRAMS = (f"clang-format-{VERSION}", "clang-format")
FILES_AT_ONCE = 64


def _program():
    program = next((p for p in map(shutil.which, PROGRAMS) if p), None)
    if not program:
        raise LookupError("clang-format is not installed: installer/deps.sh test")
    out = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if f"version {VERSION}." not in out:
        raise LookupError(f"clang-format {VERSION} is needed, this is {out.strip()}")
    return program


def _digest(path):
    return hashlib.sha256((text(".clang-format") + text(path)).encode()).hexdigest()


def _known(cache):
    try:
        with open(cache, encoding="ascii") as f:
            return set(f.read().split())
    except OSError:
        return set()


def _remember(cache, digests):
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    with open(cache + ".new", "w", encoding="ascii") as f:
        f.write("".join(d + "\n" for d in sorted(digests)))
    os.replace(cache + ".new", cache)


def c_is_formatted():
    if not ENFORCED:
        return
    program = _program()
    cache = os.path.join(os.environ.get("SECBOX_LINT_CACHE") or os.path.join(ROOT, "build", "lint"), "formatted")
    digests = {path: _digest(path) for path in of_kind(".c", ".h")}
    known = _known(cache)
    unknown = [path for path, digest in digests.items() if digest not in known]
    wrong = {}
    for i in range(0, len(unknown), FILES_AT_ONCE):
        p = subprocess.run([program, "--dry-run", *unknown[i:i + FILES_AT_ONCE]], cwd=ROOT, capture_output=True, text=True,
                           check=False)
        for line in p.stderr.splitlines():
            path, _, rest = line.partition(":")
            if "[-Wclang-format-violations]" in rest:
                wrong.setdefault(path, rest.split(":")[0])
    _remember(cache, {d for path, d in digests.items() if path not in wrong})
    for path, line in sorted(wrong.items()):
        yield f"{path}:{line}: not formatted: run clang-format -i {path}"


CHECKS = [c_is_formatted]
