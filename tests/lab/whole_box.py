# SPDX-License-Identifier: MIT
"""A whole box: Debian 12 with systemd as process 1 and SecBox installed on it, as a container of a podman of its own. Its
podman user is `tc`, rootless, as on a real box.

The box sees a cgroup v2 hierarchy whatever the machine has: it lives in a mount namespace that shows it one.
"""
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
import uuid

from . import box_image, images, isolate
from .podman_lab import PodmanLab
from .util import ROOT, Daemon, LabError, make_words, read_text, wait_until

USER = "tc"
PRIVATE_MOUNTS = ["unshare", "--mount", "--propagation", "private"]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Files are on no overlay file system, since podman's own would not stack on it
VOLUMES = {"containers": "/var/lib/containers", "home": "/home"}

# Shows a cgroup v2 hierarchy of which the box has a part of its own that it takes for the whole, and its root file system.
SHOW_CGROUPS = """
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
"""
HOLDER = SHOW_CGROUPS + """
mkdir "/sys/fs/cgroup/$NAME"
echo 0 > "/sys/fs/cgroup/$NAME/cgroup.procs"
exec unshare --cgroup sh -euc "$INNER"
"""
INNER = SHOW_CGROUPS + """
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=$UPPER,workdir=$WORK" "$ROOT"
echo ready
exec sleep infinity
"""
# Joins the box's part of the hierarchy, where systemd wants others to be; a box that is off has no init.scope.
JOIN = """
for group in init.scope .; do
    echo 0 2>/dev/null > "/sys/fs/cgroup/$group/cgroup.procs" && break
done
exec "$@"
"""
# Groups outlive their processes; those of a run that was killed are old and empty.
REMOVE_CGROUPS = SHOW_CGROUPS + """
cd /sys/fs/cgroup
for _ in $(seq 50); do # the last process may not be quite gone
    [ ! -d "$NAME" ] || find "./$NAME" -depth -type d -exec rmdir {} + && break
    sleep 0.1
done
for old in $(find . -maxdepth 1 -name 'secbox-*' -mmin +60); do
    ! grep -q 'populated 0' "$old/cgroup.events" || find "$old" -depth -type d -exec rmdir {} +
done
"""

# Not --privileged: the box must not reach the machine's clock, modules, disks and kernel settings.
CAPABILITIES = ["AUDIT_CONTROL", "AUDIT_WRITE", "DAC_READ_SEARCH", "IPC_LOCK", "LEASE", "LINUX_IMMUTABLE", "MKNOD", "NET_ADMIN",
                "NET_BROADCAST", "NET_RAW", "SYS_ADMIN", "SYS_NICE", "SYS_PTRACE", "SYS_TTY_CONFIG"]
RIGHTS = [*(f"--cap-add={name}" for name in CAPABILITIES), "--security-opt=seccomp=unconfined",
          "--security-opt=apparmor=unconfined", "--security-opt=label=disable", "--security-opt=unmask=ALL", "--device=/dev/fuse",
          "--device=/dev/net/tun"]
# On a machine systemd shares its mounts with its services' namespaces; in a container it leaves that to who made it. Without
# it there are no credentials. systemd gives /run this mode; podman, whose /run is there already, lets everybody write to it.
INIT = ["/bin/sh", "-c", "mount --make-rshared / && chmod 0755 /run && exec /sbin/init"]
MASKED_UNITS = ["systemd-sysctl.service", "systemd-binfmt.service", "systemd-modules-load.service",
                "proc-sys-fs-binfmt_misc.automount", "proc-sys-fs-binfmt_misc.mount", "sys-kernel-debug.mount",
                "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount", "dev-hugepages.mount"]

# What a machine without cgroup v2 controllers and with low limits needs inside the box, too
CONTAINERS_CONF = """[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""


# The modes that these devices have on a machine, before the first use: a failed one leaves half a network namespace.
TMPFILES = "z /dev/net/tun 0666\nz /dev/fuse 0666\n"


# podman's restart policies fight systemd when it ends the containers of a rootless user, up to this time. Shorter than
# Debian's two minutes, for the tests' sake.
USER_MANAGER = "[Service]\nTimeoutStopSec=10\n"


def why_not(*kinds):
    """Why there can be no whole box here, or machines of these kinds; None when there can."""
    if os.geteuid() != 0:
        return "a whole box needs root"
    if not isolate.is_isolated():
        return "a whole box runs in namespaces only: python3 -m tests.lab.isolate …, or make check-system"
    return next(filter(None, map(box_image.prepare, kinds or ["copied"])), None)


class BoxPodman(PodmanLab):
    """The podman that holds the box; runs where the box's cgroups and file system are seen."""

    def __init__(self, kind="copied"):
        self.kind = kind
        self.name = f"secbox-{uuid.uuid4().hex[:8]}"
        self.holder = None
        self._prefix = []
        super().__init__()
        try:
            self._start_holder()
        except BaseException:
            self.close()
            raise

    def _start_holder(self):
        self.rootfs = self._folder("rootfs")
        env = dict(os.environ, NAME=self.name, LOWER=box_image.path(self.kind), UPPER=self._folder("upper"),
                   WORK=self._folder("work"), ROOT=self.rootfs, INNER=INNER)
        self.holder = Daemon("the box's namespace", [*PRIVATE_MOUNTS, "sh", "-euc", HOLDER],
                             os.path.join(self.dir, "holder.log"), env)
        wait_until(lambda: "ready" in self.holder.log(), "the box's namespace", self.holder.death)
        self._prefix = ["nsenter", "-m", "-C", "-t", str(self.holder.pid), "--", "sh", "-uc", JOIN, "join"]

    def _command(self, *argv):
        return [*self._prefix, argv[0], "--runtime", "crun", "--cgroup-manager", "cgroupfs", *argv[1:]]

    def seen(self, inside):
        """A path of the box's root file system, as this process can open it."""
        return f"/proc/{self.holder.pid}/root{self.rootfs}/{inside.lstrip('/')}"

    def close(self):
        if self.holder:
            with contextlib.suppress(Exception):
                self.remove_all()
            self.holder.kill()
        super().close()
        subprocess.run([*PRIVATE_MOUNTS, "sh", "-euc", REMOVE_CGROUPS], env=dict(os.environ, NAME=self.name), check=False)


class UserPodman:
    """The podman of the box's podman user, for images.build() and for questions."""

    def __init__(self, box):
        self.box = box
        self.root_archive = images.root_archive()

    def podman(self, *args, check=True, input=None):  # pylint: disable=redefined-builtin
        return self.box.as_user("podman", *args, check=check, input=input)

    def image_id(self, tag):
        return self.podman("image", "inspect", "--format", "{{.Id}}", tag).stdout.strip()


class WholeBox:
    """kind: what is installed on it, of box, gateway and fleet."""

    def __init__(self, kind="box"):
        self.kind = kind
        self.host = BoxPodman()
        self._make("caseta5")

    def _make(self, hostname):
        self.name = self.host.name
        self.user = UserPodman(self)
        self.uid = self._pid = None
        try:
            self._settle()
            self._install()
            self._boot(hostname)
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _install(self):
        """What a package would bring."""
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        p = subprocess.run(make_words("-C", ROOT, f"install-{self.kind}", f"DESTDIR={self.host.seen('')}"), env=env,
                           text=True, capture_output=True, check=False)
        if p.returncode:
            raise LabError(f"make install-{self.kind}: exit {p.returncode}: {p.stdout}{p.stderr}")

    def _settle(self):
        """What this kind of machine needs."""
        self.write("/etc/containers/containers.conf", CONTAINERS_CONF)
        self.write("/etc/tmpfiles.d/lab.conf", TMPFILES)
        os.makedirs(self.host.seen("/etc/systemd/system/user@.service.d"), exist_ok=True)
        self.write("/etc/systemd/system/user@.service.d/lab.conf", USER_MANAGER)
        for unit in MASKED_UNITS:
            os.symlink("/dev/null", self.host.seen(f"/etc/systemd/system/{unit}"))

    def _boot(self, hostname):
        # our own, since to raise a limit takes a capability that a machine may lack
        limits = [f"--ulimit={name}={hard}:{hard}" for name, hard in
                  (("nofile", resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
                   ("nproc", resource.getrlimit(resource.RLIMIT_NPROC)[1]))]
        volumes = [arg for name, where in VOLUMES.items() for arg in ("-v", f"{self.host._folder(name)}:{where}")]
        self.host.podman("network", "create", "--disable-dns", "box")
        self.host.podman("run", "-d", "--name", self.name, "--hostname", hostname, "--network", "box", "--cgroups=disabled",
                         "--cgroupns=host", "--systemd=always", *RIGHTS, *limits, *volumes,
                         "--rootfs", self.host.rootfs, *INIT)
        self.wait_booted()

    def _set_up(self):
        self.run("systemd-sysusers")
        self.run("systemd-tmpfiles", "--create")
        self.run("useradd", "--create-home", "--shell", "/bin/bash", USER)
        self.run("loginctl", "enable-linger", USER)
        self.find_user()

    def find_user(self):
        """The podman user, once there is one."""
        self.uid = int(self.run("id", "-u", USER).stdout)
        wait_until(lambda: self.run("test", "-S", f"/run/user/{self.uid}/bus", check=False).returncode == 0,
                   f"the service manager of {USER}")

    @property
    def gateway_address(self):
        """The machine's address as the box sees it."""
        return self.host.inspect(self.name)["NetworkSettings"]["Networks"]["box"]["Gateway"]

    @property
    def address(self):
        return self.host.inspect(self.name)["NetworkSettings"]["Networks"]["box"]["IPAddress"]

    def wait_booted(self):
        self._pid = str(self.host.inspect(self.name)["State"]["Pid"])

        def booted():
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            return state if state in ("running", "degraded") else None
        return wait_until(booted, "systemd has started the box")

    def enter(self):
        """What runs a command inside the box, in its part of the control groups."""
        return ["nsenter", "-t", self._pid, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--", "sh", "-uc", JOIN, "join"]

    def words(self, *argv, env=None):
        """A command as root inside the box, as words for this machine."""
        settings = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
        return [*self.enter(), "env", "-i", *(f"{k}={v}" for k, v in settings.items()), *argv]

    def run(self, *argv, check=True, input=None, env=None):  # pylint: disable=redefined-builtin
        """A command as root inside the box. It does not pass podman: that would add a process per command."""
        if isinstance(input, str):
            input = input.encode()
        p = subprocess.run(self.words(*argv, env=env), input=input, capture_output=True, check=False)
        p.stdout, p.stderr = p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")
        if check and p.returncode:
            raise LabError(f"{' '.join(argv)}: exit {p.returncode}: {p.stdout}{p.stderr}")
        return p

    def as_user(self, *argv, check=True, input=None):  # pylint: disable=redefined-builtin
        """A command as the podman user, in its home and with its service manager."""
        run = f"/run/user/{self.uid}"
        settings = {"HOME": f"/home/{USER}", "USER": USER, "XDG_RUNTIME_DIR": run,
                    "DBUS_SESSION_BUS_ADDRESS": f"unix:path={run}/bus"}
        return self.run("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "env", "-C", f"/home/{USER}", *argv,
                        check=check, input=input, env=settings)

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.host.seen(path)), exist_ok=True)
        with open(self.host.seen(path), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.host.seen(path), mode)

    def write_env(self, name, values, mode=0o600):
        self.write(f"/etc/tucomunidad/{name}", "".join(f"{k}={v}\n" for k, v in values.items()), mode)

    @property
    def root(self):
        """The box's root as this process can open it, with what is mounted there."""
        return f"/proc/{self._pid}/root"

    def read(self, path):
        return read_text(self.host.seen(path))

    def image(self, tag, kind="server", version="1"):
        return images.build(self.user, tag, kind, version)

    def unit(self, name, *properties):
        """Properties of a unit, as systemd tells them."""
        out = self.run("systemctl", "show", name, f"--property={','.join(properties)}").stdout
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def main_pid(self, name):
        return int(self.unit(name, "MainPID")["MainPID"])

    def status_of(self, pid):
        """/proc/PID/status of a process of the box, by its number there."""
        text = self.run("cat", f"/proc/{pid}/status").stdout
        return {k: v.strip() for k, v in (line.split(":", 1) for line in text.splitlines() if ":" in line)}

    def journal(self, unit, *args):
        """Entries of a unit with all their fields."""
        out = self.run("journalctl", "-u", unit, "-o", "json", "--all", "--no-pager", *args).stdout
        return [json.loads(line) for line in out.splitlines()]

    def log(self):
        return self.run("journalctl", "--no-pager", "-u", "mgmt-agent", "-u", "mgmt-link", check=False).stdout

    def containers(self):
        """{service: facts} of what the agent made."""
        ids = self.user.podman("ps", "-aq", "--no-trunc", "--filter", "label=io.tucomunidad.service").stdout.split()
        if not ids:
            return {}
        found = json.loads(self.user.podman("container", "inspect", *ids).stdout)
        return {c["Config"]["Labels"]["io.tucomunidad.service"]: c for c in found}

    def ids(self):
        return {service: c["Id"] for service, c in self.containers().items()}

    def running(self):
        return {service: c["Id"] for service, c in self.containers().items() if c["State"]["Status"] == "running"}

    def status(self):
        return json.loads(self.run("secboxctl", "status", "--json", check=False).stdout)

    def reboot(self, hard=False):
        """As a restart of the machine: every process ends, /run is empty, the files stay. hard: as by a power cut."""
        if hard:
            self.host.podman("kill", "-s", "KILL", self.name)
            wait_until(lambda: self.host.inspect(self.name)["State"]["Status"] == "exited", "the box is off")
            self.host.podman("start", self.name)
        else:
            self.host.podman("restart", "-t", "90", self.name)
        self.wait_booted()

    def close(self):
        self.host.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    if why_not():
        sys.exit(why_not())
    begin = time.monotonic()
    with WholeBox() as whole:
        print(f"booted after {time.monotonic() - begin:.1f} s; it ends with this shell")
        subprocess.run([*whole.enter(), "/bin/bash", "-i"], check=False)
