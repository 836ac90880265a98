# SPDX-License-Identifier: MIT
"""A fault at one of the calls by which mgmt-agent and its workers change what they keep: see fault-point.c."""
import mmap
import os
import struct

from .preload import preloaded

# as in fault-control.h: the whole record; and count, fired
FORMAT = "QQQQ256s256s"
MODES = {name: number for number, name in enumerate(
    ("off", "count", "eio", "enospc", "short", "kill", "crash", "power-data", "power-names",
     "count-memory", "memory"))}


class FaultPoint:
    """`env` goes to mgmt-agent. Faults hit what lies below `root`; nothing happens until one is armed."""

    def __init__(self, folder, root, script=False, memory=False):
        """script: they hit all programs, which then are in a namespace of their own for processes. memory: allocations are counted,
        too, and can be hit; not of programs with AddressSanitizer, which has a malloc() of its own."""
        path, shadow = os.path.join(folder, "fault-control"), os.path.join(folder, "fault-shadow")
        os.makedirs(shadow, exist_ok=True)
        size = struct.calcsize(FORMAT)
        with open(path, "w+b") as f:
            f.write(bytes(size))
            f.flush()
            self.map = mmap.mmap(f.fileno(), size)
        more = ["memory-point"] if memory else []
        self.env = {**preloaded("fault-point", folder, *more), "SECBOX_FAULT_CONTROL": path, "SECBOX_FAULT_ROOT": root,
                    "SECBOX_FAULT_SHADOW": shadow}
        if script:
            self.env["SECBOX_FAULT_NAMESPACE"] = os.readlink("/proc/self/ns/pid")

    def arm(self, mode, number=0, lazy=""):
        """At the call with that number from now on. Paths with the text `lazy` are never synced."""
        struct.pack_into(FORMAT, self.map, 0, MODES["off"], 0, number, 0, b"", lazy.encode())
        struct.pack_into("Q", self.map, 0, MODES[mode])

    def disarm(self):
        """Returns how many calls there were, and which one it happened at ("": none)."""
        struct.pack_into("Q", self.map, 0, MODES["off"])
        _, count, _, fired, where, _ = struct.unpack_from(FORMAT, self.map)
        return count, where.split(b"\0", 1)[0].decode() if fired else ""
