# SPDX-License-Identifier: MIT
"""Something that is done all the time while something else is measured."""
import threading


class Again(threading.Thread):
    """Does once() again and again, with a pause of so many seconds before each time, until end()."""

    def __init__(self, pause):
        super().__init__(daemon=True)
        self.pause = pause
        self.over = threading.Event()

    def once(self):
        raise NotImplementedError

    def run(self):
        while not self.over.wait(self.pause):
            self.once()

    def end(self):
        self.over.set()
        self.join()
