# SPDX-License-Identifier: MIT
"""A file system with little room."""
import contextlib
import os
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(place, size):
    """On that folder, which is there. size: as tmpfs wants it."""
    if os.geteuid() != 0:
        pytest.skip("a small file system wants root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
