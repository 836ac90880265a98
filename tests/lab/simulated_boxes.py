# SPDX-License-Identifier: MIT
"""Many boxes at once, made without claiming one by one: rows in the database, tokens signed with the gateway's own key
by tests/bench/many-boxes.c, which holds their tunnels."""
import os
import subprocess

from .util import Daemon, program, wait_until

ROWS = """
INSERT INTO devices(id, created_by) SELECT 'bench-' || n, 'bench' FROM generate_series({first}, {last}) n;
INSERT INTO bootstraps(device, hash, created_by, expires_at)
    SELECT 'bench-' || n, 'bench-' || n, 'bench', now() FROM generate_series({first}, {last}) n;
INSERT INTO device_keys(device, role, thumbprint, jwk, bootstrap)
    SELECT device, 'mgmt', 'bench', '{{}}', id FROM bootstraps WHERE created_by = 'bench' ON CONFLICT DO NOTHING;
"""


def binary():
    """The load generator; it lies beside the other programs of the tests."""
    return os.path.join(os.path.dirname(os.path.dirname(program("x"))), "tests", "many-boxes")


def make_rows(postgres, count, first=0):
    """The gateway knows them from its next start on."""
    postgres.sql(ROWS.format(first=first, last=first + count - 1))


class SimulatedBoxes:
    """`processes` processes that share `count` boxes. counts() is the sum of their newest lines."""

    def __init__(self, folder, url, cert, key, issuer, count, processes=1, parallel=64):
        os.makedirs(folder, exist_ok=True)
        self.daemons = []
        self.count = count
        share = count // processes
        for i in range(processes):
            size = share if i < processes - 1 else count - share * (processes - 1)
            argv = [binary(), url, cert, key, issuer, str(i * share), str(size), str(max(1, parallel // processes))]
            log = os.path.join(folder, f"many-boxes-{i}.log")
            if os.path.exists(log):
                os.unlink(log)
            self.daemons.append(Daemon("many-boxes", argv, log, {"PATH": os.environ["PATH"]}, stdin=subprocess.PIPE))

    def lines(self, i):
        return [line.split() for line in self.daemons[i].log().splitlines()[1:] if line[:1].isdigit()]

    def counts(self):
        """Connected, refused with 503, lost."""
        newest = [self.lines(i)[-1:] for i in range(len(self.daemons))]
        return [sum(int(line[k]) for lines in newest for line in lines) for k in (1, 2, 3)]

    def death(self):
        return next((d.death() for d in self.daemons if d.death()), None)

    def wait_connected(self):
        wait_until(lambda: self.counts()[0] == self.count, f"{self.count} boxes are connected", self.death)

    def seconds(self):
        """From the start to the moment when the last one was connected."""
        return max(float(self.lines(i)[-1][0]) for i in range(len(self.daemons)))

    def close(self):
        for d in self.daemons:
            d.process.stdin.close()
        for d in self.daemons:
            d.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
