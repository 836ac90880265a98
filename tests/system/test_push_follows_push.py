# SPDX-License-Identifier: MIT
"""A result means that the box is ready for the next snapshot, also for one that is sent in the same moment."""
import os

from tests.bench.stack import SecBoxStack, compose, services
from tests.conftest import require_programs


def test_the_next_push_is_not_refused_as_busy(lab, folder):
    require_programs("mgmt-agent", "mgmt-worker")
    names = services(2)
    with SecBoxStack(lab, os.path.join(folder, "box")) as ours:
        for serial in range(3):
            ours.push(compose(names, serial, names[1]))  # raises when the answer is not 200
        assert ours.box.running() == set(names)
    lab.remove_all()
