# SPDX-License-Identifier: MIT
"""Programs whose wall clock stands at another time. The machine's own stays as it is."""
import contextlib
import datetime
import os
import shutil
import tempfile
import time

from .preload import compile_library
from .util import program


def fast_program(name, pace, folder):
    """A program in the folder that is this one of ours, for which time since the boot passes so many times as fast."""
    path = os.path.join(folder, name)
    library = compile_library("wrong-clock", folder)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\nLD_PRELOAD={library} SECBOX_CLOCK_PACE={pace} exec {program(name)} "$@"\n')
    os.chmod(path, 0o755)
    return path


def starting_at(when, folder):
    """What to start a program by, so that its clock begins at `when` ("1970-01-02") now. Its children inherit it."""
    at = datetime.datetime.fromisoformat(when).replace(tzinfo=datetime.timezone.utc).timestamp()
    return ["env", f"LD_PRELOAD={compile_library('wrong-clock', folder)}", f"SECBOX_CLOCK_OFFSET={int(at - time.time())}"]


@contextlib.contextmanager
def own_clock(box):
    """A whole box whose programs, from now on, go by a clock of its own, which `date -s` sets. It starts at the machine's."""
    preload, library, offset = (box.host.seen(path) for path in ("/etc/ld.so.preload", "/usr/lib/wrong-clock.so",
                                                                 "/etc/lab-clock-offset"))
    with open(offset, "wb") as f:
        f.write(bytes(8))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(compile_library("wrong-clock", folder), library)
    box.write("/etc/ld.so.preload", "/usr/lib/wrong-clock.so\n")
    try:
        yield
    finally:
        os.unlink(preload)
