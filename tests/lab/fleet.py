# SPDX-License-Identifier: MIT
"""secbox-fleet as one person, with a home of her own."""
import json
import os
import subprocess

from .util import program


class Fleet:
    def __init__(self, url, token, home):
        self.home = home
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
                    "SECBOX_GATEWAY": url, "SECBOX_TOKEN": token}

    def run(self, *args, check=None, stdin=subprocess.DEVNULL, **more):
        p = subprocess.run([program("secbox-fleet"), *args], env=self.env, stdin=stdin, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, errors="replace", check=False, **more)
        assert check is None or p.returncode == check, p
        return p

    def json(self, *args):
        return json.loads(self.run(*args, "--json", check=0).stdout)

    def start(self, *args, stdin=subprocess.DEVNULL, text=True):
        """A process with pipes, for what goes on for a while."""
        return subprocess.Popen([program("secbox-fleet"), *args], env=self.env, stdin=stdin, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=text)
