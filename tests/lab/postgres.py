# SPDX-License-Identifier: MIT
"""A PostgreSQL of one's own: a fresh cluster in a temporary folder, reachable by a UNIX socket only."""
import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from .util import read_text, wait_until

START_SECONDS = 120
USER = "postgres"


class PostgresError(Exception):
    pass


def _binary(name):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)
    path = found[0] if found else shutil.which(name)
    if not path:
        raise PostgresError(f"{name} is not installed (Debian package postgresql)")
    return path


def available():
    try:
        return bool(_binary("initdb") and _binary("postgres"))
    except PostgresError:
        return False


class Postgres:
    """start() makes and runs the cluster, stop() ends it and removes everything; pause() and resume() are an outage.
    It is quick and keeps nothing after a power cut, unless `settings` say otherwise. Its log of changes is not in `data`, which may
    be a folder with little room. `environment` is the server's, beside its usual one."""

    def __init__(self, settings=None, data=None, environment=None):
        self.settings = settings or {}
        self.environment = environment or {}
        self.dir = tempfile.mkdtemp(prefix="secbox-pg-")
        self.data = data or os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.process = None
        self.conninfo = f"host={self.dir} dbname=postgres user={USER}"
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
            if data:
                os.mkdir(data, 0o700)
                os.chown(data, owner.pw_uid, owner.pw_gid)

    def _command(self, *argv):
        """PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return list(argv)
        return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--pdeathsig", "INT", *argv]

    def _run(self, *argv, check=True):
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}
        done = subprocess.run(self._command(*argv), cwd=self.dir, env=env, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise PostgresError(f"{argv[0]}: exit {done.returncode}: {done.stderr}")
        return done

    def start(self):
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self._run(_binary("initdb"), "--pgdata", self.data, "--username", USER, "--auth=trust", "--no-sync",
                      "--encoding=UTF8", "--no-locale", "--waldir", os.path.join(self.dir, "wal"))
        self.resume()

    def resume(self):
        settings = {"listen_addresses": "", "unix_socket_directories": self.dir, "fsync": "off",
                    "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "16MB",
                    "max_connections": "20", "wal_level": "minimal", "max_wal_senders": "0", **self.settings}
        argv = [_binary("postgres"), "-D", self.data]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._command(*argv), cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, env={**os.environ, **self.environment})
        end = time.monotonic() + START_SECONDS
        while self._run(_binary("pg_isready"), "-q", "-h", self.dir, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log, encoding="utf-8", errors="replace") as log:
                    text = log.read()
                self.pause()
                raise PostgresError(f"PostgreSQL does not start: {text}")
            time.sleep(0.05)

    def pause(self):
        """Ends the server at once (clients lose their connections); the data stays."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def _all(self):
        pids = [self.process.pid]
        for pid in pids:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                pids += [int(child) for child in f.read().split()]
        return pids

    def crash(self):
        """The server and all that it runs end as by kill -9; resume() recovers the data."""
        self.process.send_signal(signal.SIGSTOP)  # it starts no others meanwhile
        pids = self._all()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # one has ended by itself
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        # who still holds the shared memory keeps the next one from it
        wait_until(lambda: not any(read_text(f"/proc/{pid}/maps") for pid in pids), "all of PostgreSQL's processes are gone")

    def freeze(self):
        """The server keeps its connections and does nothing; thaw() lets it go on."""
        for pid in self._all():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in reversed(self._all()):
            os.kill(pid, signal.SIGCONT)

    def stop(self):
        self.pause()
        shutil.rmtree(self.dir, ignore_errors=True)

    def url(self, database="postgres"):
        return f"postgresql://{USER}@/{database}?host={self.dir}"

    def sql(self, text, database="postgres"):
        """Runs a statement; rows as lists of texts."""
        done = self._run(_binary("psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", self.url(database),
                         "-c", text)
        return [line.split("\t") for line in done.stdout.splitlines()]

    @contextlib.contextmanager
    def open_transaction(self, text, end="ROLLBACK"):
        """What `text` locks stays locked within."""
        argv = self._command(_binary("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url())
        with subprocess.Popen(argv, cwd=self.dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
            psql.stdin.write(f"BEGIN;\n{text};\n\\echo it is open\n")
            psql.stdin.flush()
            if "it is open\n" not in iter(psql.stdout.readline, ""):
                raise PostgresError(f"{text}: see above")
            yield
            psql.stdin.write(f"{end};\n")

    def run(self, name, *argv):
        """A program that comes with PostgreSQL; what it prints."""
        return self._run(_binary(name), *argv).stdout

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
