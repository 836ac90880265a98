# SPDX-License-Identifier: MIT
"""The data plane of a box on a PostgreSQL that keeps what it has confirmed: rows that come, events that go, guards that type."""
import os

from tests.bench import data_events, data_guards, data_rows
from tests.lab.postgres import Postgres

# Debian's own settings and the environment, as in the image that the shipped compose file names; the laboratory's are quicker and
# keep nothing
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "shared_buffers": "128MB", "max_connections": "100",
           "wal_level": "replica"}
ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": "16777216", "MALLOC_MMAP_THRESHOLD_": "16777216"}


def run(suite, folder, quick=False):
    with Postgres(DURABLE, environment=ENVIRONMENT) as pg:
        data_rows.run(suite, folder, pg, quick)
        if quick:
            return
        data_events.run(suite, folder, pg)
        data_guards.run(suite, folder, pg)
    suite.note(f"PostgreSQL with Debian's own settings (fsync on, 128 MB of buffers), on the disk of the temporary folder; load of "
               f"the machine at the end: {os.getloadavg()[0]:.1f}")
