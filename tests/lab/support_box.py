# SPDX-License-Identifier: MIT
"""A box with all its ways in, as support staff meets it: mgmt-agent, mgmt-link, secbox in a real container, recovery-agent with
an sshd of its own, and the box's usual sshd; against a gateway over TLS that is known by its name.

What is not as on a real box: there is no service manager, so what it would start again stays dead."""
import json
import os
import shlex
import signal
import subprocess
import time

from . import isolate, program_image
from .authority import Authority
from .box import Box
from .fleet import Fleet
from .gateway import Gateway
from .recovery import Recovery
from .sshd import Sshd, make_key
from .support import RecoverySshd
from .util import Daemon, LabError, PATIENCE_SECONDS, program, read_text, wait_until

NAME = "cloud.lab"
ADDRESS = "192.0.2.1"  # of the gateway: for the host and for its containers, unlike 127.0.0.1
DEVICE = "caseta5"
IMAGE = "localhost/secbox:lab"
# As on a real box, but that nothing is mended behind the test's back, and that a start is not excused for a minute and judged
# by its first round.
RECOVERY = {"RECOVERY_INTERVAL": 4, "RECOVERY_HEARTBEAT_STALE": 7, "RECOVERY_OFFLINE": 150, "RECOVERY_GRACE": 5,
            "RECOVERY_GOOD": 1, "RECOVERY_RESTART_AFTER": 600, "RECOVERY_RECREATE_AFTER": 1200}


def _run(*argv):
    p = subprocess.run(argv, capture_output=True, text=True, check=False)
    if p.returncode:
        raise LabError(f"{shlex.join(argv)}: {p.stderr.strip()}")


def missing():
    """Why there can be no such box here, or None."""
    if not isolate.is_isolated():
        return "names and addresses are changed in private namespaces, which only root can have: run tests/run.py as root"
    return None


class Cloud:
    """The gateway, an authority for its certificate, and the name by which it is found. The machine's own list of names stays as
    it is: another one lies over it in this mount namespace."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(os.path.join(folder, "authority"))
        subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=False, stderr=subprocess.DEVNULL)
        self.hosts = os.path.join(folder, "hosts")
        self.names(f"{ADDRESS} {NAME}")
        _run("mount", "--bind", self.hosts, "/etc/hosts")
        self.gateway = Gateway(os.path.join(folder, "gateway"), self.authority.issue("gateway", hosts=(NAME, ADDRESS)),
                               host=ADDRESS, authority=self.authority.file, name=NAME)
        self.public = self.gateway.request("GET", "/v1/support-ca").json["publicKey"] + "\n"  # what boxes trust

    def names(self, *lines):
        with open(self.hosts, "w", encoding="utf-8") as f:
            f.write("\n".join(["127.0.0.1 localhost", *lines]) + "\n")

    def staff(self, home):
        it = Fleet(self.gateway.url, self.gateway.token, home)
        it.env["SECBOX_CA"] = self.authority.file
        return it

    def close(self):
        self.gateway.close()
        subprocess.run(["umount", "/etc/hosts"], check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SupportBox:
    """Started and healthy; closed again at the end of the block."""

    def __init__(self, lab, cloud, folder, recovery=None, wrap=()):
        """`recovery` are lines of recovery.env, `wrap` what recovery-agent and the sshds are started by (faketime)."""
        self.lab, self.cloud, self.gateway, self.wrap = lab, cloud, cloud.gateway, list(wrap)
        self.sshd = Sshd(os.path.join(folder, "sshd"), cloud.public.strip(), [DEVICE], address="0.0.0.0")
        env = {**cloud.gateway.enroll(DEVICE), "CLOUD_CA_FILE": cloud.authority.file, "SSH_PORT": str(self.sshd.port)}
        self.box = Box(lab, os.path.join(folder, "box"), env, ["--settle=1"])
        self.box.write_policy({"bind": [cloud.authority.file]})
        settings = {**RECOVERY, "RECOVERY_PROBES": f"banner:127.0.0.1:{self.sshd.port}", **(recovery or {})}
        self.recovery = Recovery(self.box.root, **settings)
        self.recovery_sshd = RecoverySshd(self.box.root, self.recovery.port, cloud.public)
        self.staff = cloud.staff(folder)

    @property
    def run_dir(self):
        return self.box.path("run/tucomunidad/secbox")

    def compose(self):
        ca = self.cloud.authority.file
        return f"""
services:
  secbox:
    image: {IMAGE}
    restart: always
    environment:
      CLOUD_BASE_URL: ${{CLOUD_BASE_URL}}
      DEVICE_ID: ${{DEVICE_ID}}
      BOOTSTRAP: ${{BOOTSTRAP}}
      DEVICE_GATEWAY_URL: ${{DEVICE_GATEWAY_URL}}
      CLOUD_CA_FILE: {ca}
      SSH_TARGET: host.containers.internal:{self.sshd.port}
    volumes:
      - {self.run_dir}:/run/secbox
      - {ca}:{ca}:ro
      - state:/var/lib/secbox
volumes:
  state:
"""

    def start(self):
        self.sshd.start(self.wrap)
        self.box.start()
        self.gateway.wait_reported(DEVICE)
        answer = self.gateway.push(DEVICE, self.compose())
        if answer.status != 200:
            raise LabError(f"the push of secbox: {answer}\n{self.box.log()}")
        self.start_recovery()
        self.wait_roles("device", "mgmt", "recovery")
        self.wait_healthy()
        return self

    def start_recovery(self):
        self.recovery_sshd.start(self.wrap)
        self.recovery.start(self.wrap)

    def stop_recovery(self):
        self.recovery.stop()
        self.recovery_sshd.stop()

    def death(self):
        return self.recovery.daemon.death()

    def roles(self):
        answer = self.gateway.request("GET", f"/v1/devices/{DEVICE}")
        return set(answer.json["device"]["roles"]) if answer.status == 200 else set()

    def wait_roles(self, *roles):
        wait_until(lambda: set(roles) <= self.roles(), f"the box is connected as {', '.join(roles)}", self.death)

    def recovery_status(self):
        answer = self.gateway.request("GET", f"/v1/devices/{DEVICE}")
        return answer.json["device"].get("recovery") or {} if answer.status == 200 else {}

    def wait_healthy(self):
        wait_until(lambda: self.recovery_status().get("state") == "healthy" and not self.recovery_status().get("open"),
                   "recovery-agent finds the main way healthy, and is closed", self.death)

    def secbox(self):
        return self.box.containers()["secbox"]

    def secbox_pid(self):
        return self.secbox()["State"]["Pid"]

    def shell_seconds(self, since=None):
        """Seconds from `since`, or now, until support staff has a shell, and the way that it took. As a person would, it is
        tried again and again."""
        begin = since or time.monotonic()
        word = f"in-{os.urandom(4).hex()}"
        while True:
            p = self.staff.run("ssh", DEVICE, "--reason", "the box is wedged", "--", f"echo {word}; exit", timeout=PATIENCE_SECONDS)
            if p.returncode == 0 and word in p.stdout:
                return time.monotonic() - begin, self.last_way()
            if time.monotonic() - begin > PATIENCE_SECONDS:
                raise LabError(f"no shell within {PATIENCE_SECONDS} s; last: {p}\n{self.logs()}")
            time.sleep(0.5)

    def break_glass(self, since):
        """Seconds from `since` until there is a shell with the one key that needs no certificate, through recovery-agent."""
        key = os.path.join(self.box.files, "break-glass")
        line = make_key(key)
        self.box.write("etc/tucomunidad/trust/break-glass.pub", line + "\n", 0o644)
        self.staff.run("grants", "add", DEVICE, "--reason", "certificates are not valid there", "--break-glass", check=0)
        proxy = shlex.join([program("secbox-fleet"), "ssh-proxy", DEVICE, "--way", "recovery"])
        argv = ["ssh", "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", f"ProxyCommand={proxy}",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", f"root@{DEVICE}", "id -un"]
        p = subprocess.run(argv, env=self.staff.env, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        if p.stdout.strip() != "root":
            raise LabError(f"no shell by the break-glass key: {p}\n{self.logs()}\n{self.recovery_sshd.log()}")
        return time.monotonic() - since

    def last_way(self):
        return self.gateway.request("GET", f"/v1/sessions?device={DEVICE}").json["sessions"][0]["way"]

    def logs(self):
        names = ("mgmt-agent", "mgmt-link")
        return "\n".join(f"== {n}\n{read_text(os.path.join(self.box.logs, n + '.log'))[-3000:]}" for n in names) + \
            f"\n== recovery-agent\n{self.recovery.log()[-3000:]}" \
            f"\n== gateway\n{self.gateway.log()[-3000:]}\n== {json.dumps(self.recovery_status())}"

    def close(self):
        self.box.close()
        self.recovery.close()
        self.recovery_sshd.stop()
        self.sshd.stop()
        self.lab.remove_all()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()


def build_image(lab):
    return program_image.build(lab, IMAGE)


def freeze(daemon):
    """What hangs: it exists, keeps its sockets open, and does nothing."""
    os.kill(daemon.pid if isinstance(daemon, Daemon) else daemon, signal.SIGSTOP)


def thaw(daemon):
    os.kill(daemon.pid if isinstance(daemon, Daemon) else daemon, signal.SIGCONT)
