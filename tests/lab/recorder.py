# SPDX-License-Identifier: MIT
"""A podman-compose that writes down how it is called, and does it."""
import dataclasses
import glob
import json
import os

from . import compose_versions

SCRIPT = """#!/usr/bin/python3 -B
import json, os, sys
with open(os.path.join({folder!r}, f"call-{{os.getpid()}}.json"), "w") as f:
    json.dump({{"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}, f)
os.environ.update({extra!r})
os.execv({argv!r}[0], {argv!r} + sys.argv[1:])
"""


@dataclasses.dataclass
class Call:
    argv: list
    cwd: str
    env: dict


class Recorder:
    """`program` goes to mgmt-agent as its podman-compose; version None is the installed one."""

    def __init__(self, folder, version=None):
        self.folder = os.path.join(folder, "calls")
        os.makedirs(self.folder)
        argv, extra = compose_versions.command(version)
        if not os.path.isabs(argv[0]):
            argv = [f"/usr/bin/{argv[0]}", *argv[1:]]
        self.program = os.path.join(folder, "podman-compose")
        with open(self.program, "w", encoding="utf-8") as f:
            f.write(SCRIPT.format(folder=self.folder, extra=extra, argv=argv))
        os.chmod(self.program, 0o755)

    def calls(self, verb):
        """How it was called with this verb."""
        found = []
        for path in sorted(glob.glob(os.path.join(self.folder, "call-*.json"))):
            with open(path, encoding="utf-8") as f:
                call = Call(**json.load(f))
            if verb in call.argv:
                found.append(call)
        return found
