# SPDX-License-Identifier: MIT
"""Kills mgmt-agent or its worker at an exact point: before or after one system call of the worker, named by its data."""
import os

from .preload import preloaded


class KillPoint:
    """`env` goes to mgmt-agent; nothing happens until a point is armed."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "kill-point")
        self.env = {**preloaded("kill-point", folder), "SECBOX_KILL_POINT": self.path}

    def arm(self, call, when, text, count=1, whom="agent"):
        """call is write, send (podman's API) or rename (a file of ours is replaced by one that holds the text)."""
        partial = self.path + ".new"
        with open(partial, "w", encoding="utf-8") as f:
            f.write(f"{call} {when} {whom} {count} {text}\n")
        os.rename(partial, self.path)

    def is_armed(self):
        return os.path.exists(self.path)

    def disarm(self):
        if self.is_armed():
            os.unlink(self.path)
