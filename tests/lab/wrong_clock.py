# SPDX-License-Identifier: MIT
"""Programs whose wall clock stands at another time. The machine's own stays as it is."""
import datetime
import time

from .preload import compile_library


def starting_at(when, folder):
    """What to start a program by, so that its clock begins at `when` ("1970-01-02") now. Its children inherit it."""
    at = datetime.datetime.fromisoformat(when).replace(tzinfo=datetime.timezone.utc).timestamp()
    return ["env", f"LD_PRELOAD={compile_library('wrong-clock', folder)}", f"SECBOX_CLOCK_OFFSET={int(at - time.time())}"]
