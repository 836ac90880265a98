# SPDX-License-Identifier: MIT
"""Programs whose wall clock stands at another time. The machine's own stays as it is."""
import datetime
import os
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
