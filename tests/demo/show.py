# SPDX-License-Identifier: MIT
"""How the demo shows things: headings, commands with their real output, and facts that it has checked."""
import subprocess
import textwrap

WIDTH = 100


class DemoError(Exception):
    """A fact that should hold does not; the text says which, to a person."""


def heading(text):
    print(f"\n{text}\n{'=' * len(text)}", flush=True)


def say(text):
    print(textwrap.fill(" ".join(text.split()), WIDTH), flush=True)


def check(fact, sentence):
    """Prints what was checked, or ends the demo with it."""
    if not fact:
        raise DemoError(f"this should hold and does not: {sentence}")
    print(textwrap.fill(sentence, WIDTH, initial_indent="[ok] ", subsequent_indent="     "), flush=True)


class Terminal:
    """Types commands into bash and shows what they print, secrets hidden."""

    def __init__(self, env, cwd):
        self.env = env
        self.cwd = cwd
        self.secrets = []

    def hide(self, text):
        for secret in self.secrets:
            text = text.replace(secret, "(hidden)")
        return text

    def type(self, command):
        print(f"\n  $ {command}", flush=True)

    def run(self, command, code=0):
        """Runs the command, checks its exit code, and returns what it printed, secrets included."""
        self.type(command)
        printed = []
        with subprocess.Popen(["bash", "-c", command], env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace") as process:
            for line in process.stdout:
                printed.append(line)
                print(f"  {self.hide(line.rstrip())}".rstrip(), flush=True)
        if process.returncode != code:
            raise DemoError(f"`{command}` ended with {process.returncode} where {code} was expected")
        return "".join(printed)
