# SPDX-License-Identifier: MIT
"""An image of one of our programs: the program, the libraries that it needs, and busybox to look around with."""
import io
import os
import re
import subprocess
import tarfile

from . import images
from .util import LabError, program

RESOLVER = "hosts: files dns\npasswd: files\n"
# What getent needs to resolve names, which ldd does not tell.
PLUGINS = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"]


def libraries(path):
    """Paths of the shared objects that a program is started with."""
    p = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    found = re.findall(r"(?:=> )?(/\S+) \(0x", p.stdout)
    if p.returncode or not found:
        raise LabError(f"ldd {path}: {p.stdout}{p.stderr}")
    return found


def build(lab, tag, name="secbox", arguments=()):
    """Makes the image in the lab's store and returns its id."""
    binary = program(name)
    getent = "/usr/bin/getent"
    needed = {*libraries(binary), *libraries(getent)}
    folders = {os.path.dirname(path) for path in needed}
    needed |= {os.path.join(f, p) for f in folders for p in PLUGINS if os.path.exists(os.path.join(f, p))}
    out = io.BytesIO(images.root_archive())
    with tarfile.open(fileobj=out, mode="a") as tar:
        for path in sorted({*needed, getent}):
            tar.add(os.path.realpath(path), path.lstrip("/"), recursive=False)
        tar.add(binary, f"usr/bin/{name}", recursive=False)
        data = RESOLVER.encode()
        info = tarfile.TarInfo("etc/nsswitch.conf")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    command = ", ".join(f'"{word}"' for word in [f"/usr/bin/{name}", *arguments])
    lab.podman("import", "-q", "--change", f"CMD [{command}]", "--change", "ENV PATH=/usr/bin:/bin", "-", tag,
               input=out.getvalue())
    return lab.podman("image", "inspect", "--format", "{{.Id}}", tag).stdout.strip()
