# SPDX-License-Identifier: MIT
"""A podman of its own: store, run folder, networks, locks and configuration in one temporary folder."""
import atexit
import contextlib
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile

from . import compose_versions, images, isolate
from .util import LabError

CAP_SYS_RESOURCE = 24


def _has_capability(number):
    with open("/proc/self/status", encoding="utf-8") as f:
        for line in f:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> number & 1)
    return False


def _cgroup_is_v2():
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def _systemd_is_here():
    return os.path.isdir("/run/systemd/system")


class Compose:
    """What one run of podman-compose said and returned."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout + process.stderr

    def __repr__(self):
        return f"<exit {self.code}>\n{self.out}"


class PodmanLab:
    user = "root"

    def __init__(self):
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix="secbox-lab-"))
        os.chmod(self.dir, 0o711)
        self.empty_dir = self._folder("empty")
        self.root_archive = images.root_archive()
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith(("CONTAINERS_", "COMPOSE_", "PODMAN_"))},
                    **self._settings(), "PYTHONDONTWRITEBYTECODE": "1"}
        self._registries = []
        self._closed = False
        atexit.register(self.close)
        try:
            self.version = self.podman("version", "--format", "{{.Client.Version}}").stdout.strip()
        except (OSError, subprocess.CalledProcessError) as e:
            raise LabError(f"podman does not work here: {e}") from e

    def _settings(self):
        """Writes the configuration; returns what in the environment leads to it."""
        return {"CONTAINERS_CONF": self._write("containers.conf", self._containers_conf()),
                "CONTAINERS_STORAGE_CONF": self._write("storage.conf", self._storage_conf()),
                "CONTAINERS_REGISTRIES_CONF": self._write("registries.conf", "")}

    def _command(self, *argv):
        """The command as the user of this podman runs it."""
        return list(argv)

    def _folder(self, name):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        return path

    def _write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def _engine_conf(self):
        """Where a podman that has no user of its own keeps what others must not see."""
        return f'tmp_dir = "{self._folder("tmp")}"\n'

    def _network_conf(self):
        return f'network_config_dir = "{self._folder("networks")}"\n'

    def _containers_conf(self):
        """Only what keeps the lab apart from the machine, and what this machine lacks."""
        ulimits = "" if _has_capability(CAP_SYS_RESOURCE) else \
            'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        # systemd would look for our processes by numbers that mean others to it
        manager = "" if _systemd_is_here() and not isolate.is_isolated() else 'cgroup_manager = "cgroupfs"\n'
        runtime = "" if _cgroup_is_v2() else 'runtime = "runc"\n'
        pool = f"10.{random.randrange(100, 250)}.{random.randrange(0, 16) * 16}.0/20"
        return ("[containers]\n" + ulimits +
                'log_driver = "k8s-file"\n'
                "[network]\n"
                'network_backend = "netavark"\n'
                + self._network_conf() +
                f'default_subnet_pools = [{{"base" = "{pool}", "size" = 24}}]\n'
                "[engine]\n" + manager + runtime +
                'events_logger = "file"\n'
                'lock_type = "file"\n' + self._engine_conf())

    def _storage_conf(self):
        return ('[storage]\ndriver = "overlay"\n'
                f'graphroot = "{self._folder("graph")}"\nrunroot = "{self._folder("run")}"\n')

    def trust_registry(self, address):
        """Plain HTTP for a registry of the lab, as a box would have for one in its own house."""
        self._registries.append(address)
        self._write("registries.conf", "".join(f'[[registry]]\nlocation = "{a}"\ninsecure = true\n'
                                               for a in self._registries))

    def podman(self, *args, check=True, input=None, text=True):  # pylint: disable=redefined-builtin
        """Runs podman; raises with its stderr when it fails and check is set."""
        p = subprocess.run(self._command("podman", *args), env=self.env, input=input, capture_output=True, check=False)
        if text:
            p.stdout, p.stderr = p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")
        if check and p.returncode:
            raise LabError(f"podman {' '.join(args)}: exit {p.returncode}: {p.stderr}")
        return p

    def image(self, tag, kind="server", version="1"):
        return images.build(self, tag, kind, version)

    def inspect(self, name):
        """podman's facts about a container, or None when there is none of that name."""
        p = self.podman("container", "inspect", name, check=False)
        return json.loads(p.stdout)[0] if p.returncode == 0 else None

    def containers(self, project=None):
        """{name: facts} of all containers, or of one project."""
        filters = ["--filter", f"label=io.podman.compose.project={project}"] if project else []
        while True:
            ids = self.podman("ps", "-aq", "--no-trunc", *filters).stdout.split()
            if not ids:
                return {}
            p = self.podman("container", "inspect", *ids, check=False)
            if p.returncode == 0:
                return {c["Name"]: c for c in json.loads(p.stdout)}
            if "no such container" not in p.stderr:  # else one was removed between the two commands
                raise LabError(f"podman container inspect: exit {p.returncode}: {p.stderr}")

    def environment(self, name):
        """The environment that a container was made with."""
        facts = self.inspect(name)
        if facts is None:
            raise LabError(f"there is no container {name}")
        return dict(item.split("=", 1) for item in facts["Config"]["Env"] if "=" in item)

    def image_id(self, tag):
        return self.podman("image", "inspect", "--format", "{{.Id}}", tag).stdout.strip()

    def networks(self):
        return set(self.podman("network", "ls", "--format", "{{.Name}}").stdout.split())

    def volumes(self):
        return set(self.podman("volume", "ls", "--format", "{{.Name}}").stdout.split())

    def compose(self, folder, *args, version=None, env=None):
        """Runs podman-compose on folder/compose.yaml, the installed one or another version."""
        argv, extra = compose_versions.command(version)
        p = subprocess.run([*argv, "-f", os.path.join(folder, "compose.yaml"), *args], cwd=folder, text=True,
                           env={**self.env, **extra, **(env or {})}, capture_output=True, check=False)
        return Compose(p)

    @functools.cached_property
    def compose_version(self):
        out = self.compose(self.empty_dir, "version").out
        words = out.replace(":", " ").split()
        return words[words.index("version", words.index("podman-composer") if "podman-composer" in words else 0) + 1]

    def remove_all(self):
        """Between tests: no pods, containers, networks or volumes; images stay."""
        self.podman("pod", "rm", "-fa", "-t", "0", check=False)
        self.podman("rm", "-fa", "-t", "0", check=False)
        self.podman("network", "prune", "-f", check=False)
        self.podman("volume", "prune", "-f", check=False)

    def _own_processes(self):
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as f:
                    if f"{self.dir}/".encode() in f.read():
                        yield int(entry)

    def close(self):
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        with contextlib.suppress(Exception):
            self.remove_all()
        # conmon and helpers of this store name its folder, which no one else has
        for pid in list(self._own_processes()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if os.geteuid() != 0:  # rootless: files belong to ids that only podman's user namespace can remove
            subprocess.run(["podman", "unshare", "rm", "-rf", self._folder("graph")], env=self.env, check=False)
        isolate.remove_folder(self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
