# SPDX-License-Identifier: MIT
"""A whole box with a gateway outside of it, as the tests of what is installed have them."""
import contextlib
import os
import shlex
import subprocess
import tempfile
import types

from tests.conftest import require_programs, skip
from tests.lab import whole_box
from tests.lab.gateway import Gateway
from tests.lab.self_signed import make_certificate
from tests.lab.util import ROOT, LabError, bin_dir, read_text

DEVICE = "caseta5"
CA_FILE = "/etc/ssl/certs/lab-cloud.pem"


@contextlib.contextmanager
def bare_box(*programs):
    """A whole box, and a folder for what belongs to its test; the test is skipped where there can be none."""
    require_programs("mgmt-agent", "mgmt-link", "secbox-gateway", "secbox-fleet", *programs)
    why = whole_box.why_not()
    if why:
        skip(f"no whole box here: {why}")
    with tempfile.TemporaryDirectory(prefix="secbox-whole-", ignore_cleanup_errors=True) as folder:
        try:
            box = whole_box.WholeBox()
        except LabError as e:
            skip(f"a whole box does not start here: {e}")
        with box:
            yield box, folder


@contextlib.contextmanager
def enrolled(*programs):
    """The box knows the gateway, and nothing of it is started."""
    with bare_box(*programs) as (box, folder), \
            Gateway(folder, make_certificate(folder, box.gateway_address), box.gateway_address) as gateway:
        box.write(CA_FILE, read_text(gateway.tls[0]))
        agent_env = {**gateway.enroll(DEVICE), "CLOUD_CA_FILE": CA_FILE}
        box.write_env("mgmt-agent.env", agent_env)
        box.run("systemctl", "daemon-reload")
        yield types.SimpleNamespace(box=box, gateway=gateway, agent_env=agent_env, folder=folder)


def let_it_ask_for_memory(box):
    """Where nothing can limit memory, which the shipped example asks for, podman keeps the number and runs it without a group."""
    if "memory" not in box.run("cat", "/sys/fs/cgroup/cgroup.controllers").stdout.split():
        box.write("/etc/containers/containers.conf", whole_box.CONTAINERS_CONF + 'cgroups = "disabled"\n')


def make_images(box, folder):
    """`make images` into the store of the box's podman user."""
    home, wrapper = f"/home/{whole_box.USER}", os.path.join(folder, "podman")
    as_user = [*box.enter(), "setpriv", f"--reuid={whole_box.USER}", f"--regid={whole_box.USER}", "--init-groups", "env", "-i",
               "-C", home, f"HOME={home}", f"XDG_RUNTIME_DIR=/run/user/{box.uid}", f"PATH={whole_box.PATH}", "podman"]
    with open(wrapper, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\nexec {shlex.join(as_user)} "$@"\n')
    os.chmod(wrapper, 0o755)
    build = os.path.relpath(os.path.dirname(bin_dir()), ROOT)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    p = subprocess.run(["make", "-s", "images", f"PODMAN={wrapper}", f"BUILD={build}"], cwd=ROOT, capture_output=True, text=True,
                       check=False, env=env)
    if p.returncode:
        raise LabError(f"make images: {p.stdout}{p.stderr}")
