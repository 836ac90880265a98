# SPDX-License-Identifier: MIT
"""Tunnels: thousands of idle ones, and streams in one of them."""
from tests.bench import storm, ways


def run(suite, folder, quick=False):
    storm.run(suite, folder, [200] if quick else None)
    ways.run(suite, folder, quick)
