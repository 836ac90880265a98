# SPDX-License-Identifier: MIT
"""What C and script files may hold, and how large they may be."""
import re
import shutil
import subprocess

from source import ROOT, code, lines, matches, of_kind, text

LINE_MAX = 132       # .clang-format folds at 120; this is where a line is too long for everyone
FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 100
FORBIDDEN = r"(?<![\w.>])(system|popen|strcpy|strcat|sprintf|vsprintf|atoi|alloca|gets|strtok)\s*\("
WORDS = r"\b(TODO|FIXME|XXX|HACK|stub|not implemented|unimplemented)\b"
PLACES = r"(?<![\w.}])/root/\w"  # somebody's own folder
TEXT_FILES = (".c", ".h", ".py", ".sh", ".mk", ".md", ".service", ".conf", ".json", ".yaml", ".yml", ".js", "Makefile")


def _sources(*suffixes):
    return of_kind(*suffixes)


def forbidden_functions():
    for path in _sources(".c", ".h"):
        for line, m in matches(FORBIDDEN, code(path)):
            yield f"{path}:{line}: {m.group(1)}() is not used in this project"


def spdx_lines():
    for path in _sources(".c", ".h", ".py", ".sh", ".mk", ".js"):
        if not any("SPDX-License-Identifier: MIT" in line for line in lines(path)[:2]):
            yield f"{path}:1: the SPDX line is missing"


def line_lengths():
    for path in _sources(".c", ".h", ".py", ".sh", ".mk"):
        for i, line in enumerate(lines(path), 1):
            if len(line) > LINE_MAX:
                yield f"{path}:{i}: {len(line)} columns, at most {LINE_MAX}"


def file_sizes():
    for path in _sources(".c", ".h", ".py", ".sh"):
        if len(lines(path)) > FILE_LINES_MAX:
            yield f"{path}: {len(lines(path))} lines, at most {FILE_LINES_MAX}: look for a seam"


def function_sizes():
    if not shutil.which("pmccabe"):
        raise LookupError("pmccabe is not installed")
    out = subprocess.run(["pmccabe", *_sources(".c")], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for row in out.splitlines():
        fields = row.split("\t")
        if len(fields) >= 6 and int(fields[4]) > FUNCTION_LINES_MAX:
            yield f"{fields[5]}: {fields[4]} lines, at most {FUNCTION_LINES_MAX}"


def unfinished_words():
    for path in of_kind(*TEXT_FILES):
        if path.startswith("tests/lint/"):
            continue
        for line, m in matches(WORDS, text(path)):
            yield f"{path}:{line}: \"{m.group(1)}\": finish it, or say it in the issue"


def no_conditional_compilation():
    for path in _sources(".c"):
        for line, m in matches(r"^\s*#\s*(if|ifdef|ifndef|elif)\b", code(path)):
            yield f"{path}:{line}: #{m.group(1)}: decide at run time, or by which file is built"


def pragma_once():
    for path in _sources(".h"):
        if "#pragma once" not in text(path):
            yield f"{path}: #pragma once is missing"


def no_variable_names_of_machines():
    for path in of_kind(*TEXT_FILES):
        if path.startswith("tests/lint/"):
            continue
        for line, m in matches(PLACES, text(path)):
            yield f"{path}:{line}: {m.group(0)} is a path of one machine"


# what everybody may read from its first byte on: no secret
FOR_ALL = {"heartbeat-writer.c"}


def files_are_made_for_their_owner():
    """A mode that is narrowed after a file was made comes too late: whoever has opened it by then reads on. So files are
    made for their owner alone, and opened to others afterwards where that is meant."""
    for path in _sources(".c"):
        if path.startswith("tests/"):
            continue
        content = code(path)
        for m in re.finditer(r"\bopen(?:at)?\([^;]*?\bO_(?:CREAT|TMPFILE)\b[^;]*?,\s*([\w |]+)\)", content):
            named = re.search(rf"(?m)^#define {m.group(1)} (0\d+)$", content)
            if (named or m).group(1) != "0600" and path.rsplit("/", 1)[-1] not in FOR_ALL:
                yield f"{path}:{content.count(chr(10), 0, m.start(1)) + 1}: made with mode {m.group(1)}, at first 0600"
        for line, m in matches(r"\b(?:fopen\([^;]*?,\s*\"[wa]|creat\()", text(path)):
            yield f"{path}:{line}: file_write_atomic() makes files"


def file_names():
    for path in _sources(".c", ".h"):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.[ch]", path.rsplit("/", 1)[-1]):
            yield f"{path}: file names are kebab-case"


def no_trailing_white_space():
    for path in of_kind(*TEXT_FILES):
        for line, _ in matches(r"[ \t]+$", text(path)):
            yield f"{path}:{line}: white space at the end of the line"


def no_built_files():
    """What a compiler or a merge has left beside the sources: builds go to build*/."""
    for path in of_kind(".d", ".o", ".orig", ".rej"):
        yield f"{path}: made by a tool, not a part of the project: remove it"


CHECKS = [files_are_made_for_their_owner, forbidden_functions, spdx_lines, line_lengths, file_sizes, function_sizes,
          unfinished_words, no_conditional_compilation, pragma_once, no_variable_names_of_machines, file_names,
          no_built_files, no_trailing_white_space]
