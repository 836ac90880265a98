# SPDX-License-Identifier: MIT
"""The README as a person follows it: its blocks with the machines that they are for, and a person who types them.

A block that is to be typed has a comment above it: `<!-- on: MACHINES; with: WAYS; when: SOMETHING; into: FILE -->`. The first
says on which machines; `with` belongs to one way among several, `when` to an occasion; with `into` the block is what the person
writes into a file, behind the command that opens it.
"""
import os
import re
import shlex
import subprocess

from .util import ROOT, bin_dir, make_words, read_text
from .whole_box import BoxPodman, WholeBox

PERSON = "alice"
PACKAGED = "there are packages"  # an occasion of the README; tests/system/test_packages.py follows it
PLACE = f"/home/{PERSON}/secbox"
STEP = re.compile(r"^(?:\*\*(?P<bold>[^*]+)\*\*|## (?P<head>[^\n]+)$|(?:<!-- (?P<note>on: [^\n]+) -->\n)?"
                  r"```(?P<kind>\w*)\n(?P<text>.*?)^```$)", re.M | re.S)


def page_block(page, heading):
    """The commands below a heading of another page, one a line."""
    text = read_text(f"{ROOT}/docs/{page}.md")
    found = re.search(rf"^#+ {re.escape(heading)}\n(?:(?!#)[^\n]*\n)*?```sh\n(.*?)^```", text, re.M | re.S)
    assert found, f"{page}: {heading}"
    return found.group(1).splitlines()


class Step:
    """One block. `title` is the heading, or the words in bold, above it."""

    def __init__(self, title, kind, note, text):
        self.title, self.kind, self.text = title, kind, text
        said = dict(part.split(": ", 1) for part in note.split("; ")) if note else {}
        self.machines, self.ways = (said.pop(key, "").split(", ") if key in said else [] for key in ("on", "with"))
        self.when, self.into = said.pop("when", None), said.pop("into", None)
        assert not said, f"{note}: not understood"

    @property
    def commands(self):
        return [line for line in self.text.replace("\\\n", " ").splitlines() if shlex.split(line, comments=True)]


def steps():
    title, found = "", []
    for m in STEP.finditer(read_text(f"{ROOT}/README.md")):
        title = m["bold"] or m["head"] or title
        if m["text"] is not None:
            found.append(Step(title, m["kind"], m["note"], m["text"]))
    return found


def options_of(path):
    """The line for /etc/secbox-gateway.env that stands in the head of a shipped file."""
    line, = re.findall(r"^#\s+(SECBOX_GATEWAY_OPTIONS=.*)$", read_text(path), re.M)
    return line


class Machine(WholeBox):
    """A Debian with a copy of the tree, and a person with sudo: as it is before the first command of the README."""

    def __init__(self, kind):
        self.kind = kind
        self.host = BoxPodman(kind)
        self._make(kind)

    def _install(self):
        pass

    def _set_up(self):
        self.run("useradd", "--create-home", "--shell", "/bin/bash", PERSON)
        # MAKEFLAGS says where this test's programs are, and what a sanitized build was built with
        self.run("sh", "-c", f"umask 337; cat >/etc/sudoers.d/{PERSON}",
                 input=f'{PERSON} ALL=(ALL) NOPASSWD: ALL\nDefaults env_keep += "MAKEFLAGS"\n')
        self._copy_tree()

    def _copy_tree(self):
        """With what has been built, and its times: the README's `make` finds it done."""
        build = os.path.relpath(os.path.dirname(bin_dir()), ROOT)
        names = [name for name in os.listdir(ROOT) if not name.startswith((".git", "build"))]
        names += [f"{build}/{name}" for name in os.listdir(f"{ROOT}/{build}")
                  if name in ("obj", "bin") or os.path.isfile(f"{ROOT}/{build}/{name}")]
        ids = [self.run("id", flag, PERSON).stdout.strip() for flag in ("-u", "-g")]
        with subprocess.Popen(["tar", "-C", ROOT, "--format=posix", "--numeric-owner", f"--owner={ids[0]}", f"--group={ids[1]}",
                               "--exclude=__pycache__", "-c", *names], stdout=subprocess.PIPE) as tar:
            self.run("install", "-d", "-o", PERSON, "-g", PERSON, PLACE, f"{PLACE}/{build}")
            subprocess.run(self.words("tar", "-C", PLACE, "--numeric-owner", "-x"), stdin=tar.stdout, check=True)
        assert tar.returncode == 0

    def typed(self, command):
        """A command that the person types in the tree, as words for this machine."""
        make = " ".join(word.replace(" ", "\\ ") for word in make_words() if "=" in word)
        return self.words("setpriv", f"--reuid={PERSON}", f"--regid={PERSON}", "--init-groups", "env", "-C", PLACE, "bash", "-c",
                          command, env={"HOME": f"/home/{PERSON}", "USER": PERSON, "MAKEFLAGS": make})

    def type(self, command, check=True):
        p = subprocess.run(self.typed(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                           check=False)
        assert not check or p.returncode == 0, f"{self.kind}: {command}: exit {p.returncode}\n{p.stdout}{p.stderr}"
        return p

    def fill_in(self, path, text):
        """Lines NAME=VALUE into a file, over those of the same names, as somebody does it in an editor."""
        path = path.replace("~", f"/home/{PERSON}")
        names = "|".join(re.findall(r"^(\w+)=", text, re.M))
        before = self.run("cat", path, check=False).stdout
        kept = "".join(line + "\n" for line in before.splitlines() if not re.match(rf"#?({names})=", line))
        self.run("sh", "-c", 'cat >"$0"', path, input=kept + text)


class Reader:
    """Follows the README on machines. `words` are what stands there for something that the reader has: the one to type."""

    def __init__(self, machines):
        self.machines = machines
        self.left = steps()
        self.words = {}

    def _own_words(self, text):
        for theirs, own in self.words.items():
            text = text.replace(theirs, own)
        return text

    def follow(self, title=None, way=None, when=None, behind=lambda machine, command, output: None, may_fail=()):
        """The blocks of a title, of one way, or for an occasion. `behind` is called behind each command."""
        mine = [s for s in self.left if s.machines and (title is None or s.title == title) and s.when == when
                and (way in s.ways if way else not s.ways)]
        assert mine, f"the README says nothing of {title or way or when}"
        open_file = None
        for step in mine:
            for name in step.machines:
                open_file = self._follow_step(self.machines[name], step, open_file, behind, may_fail)
        assert open_file is None, f"what does one write into {open_file}?"
        self.left = [s for s in self.left if s not in mine]

    def _follow_step(self, machine, step, open_file, behind, may_fail):
        if step.into:
            assert step.into == open_file, f"{step.into} is not open"
            machine.fill_in(step.into, self._own_words(step.text))
            return None
        for command in map(self._own_words, step.commands):
            assert open_file is None, f"what does one write into {open_file}?"
            words = shlex.split(command, comments=True)
            if words[0] in ("editor", "sudoedit"):
                open_file = words[-1]
                continue
            output = machine.type(command, check=command not in may_fail).stdout
            behind(machine, command, output)
        return open_file
