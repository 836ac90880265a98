# SPDX-License-Identifier: MIT
"""`make install-…`: each kind of machine gets its own files and none of the others', and `make uninstall` takes them away."""
import os
import subprocess

import pytest

from tests.conftest import require_programs
from tests.lab import isolate
from tests.lab.util import ROOT, make_words



def make(*args):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "DESTDIR"))}
    return subprocess.run(make_words(*args), cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def installed(folder, kind, *more):
    """`more`: further kinds, and words for make."""
    p = make(f"DESTDIR={folder}", *(word if "=" in word else f"install-{word}" for word in (kind, *more)))
    assert p.returncode == 0, p.stderr
    return files_of(folder)


def files_of(folder):
    return {os.path.relpath(os.path.join(where, name), folder) for where, _, names in os.walk(folder) for name in names}


def test_each_machine_gets_what_it_is(folder):
    require_programs("mgmt-agent", "secbox-gateway", "secbox-fleet")
    box, gateway, fleet, data = (installed(os.path.join(folder, kind), kind) for kind in ("box", "gateway", "fleet", "secbox"))
    assert data == {f"usr/{path}" for name in ("secbox", "relay-client")
                    for path in (f"bin/{name}", f"share/man/man8/{name}.8", f"lib/systemd/system/{name}.service")} | {
        "usr/lib/systemd/system/secbox-prepare.service", "usr/lib/systemd/system/secbox-release.service",
        "usr/lib/sysusers.d/secbox-data.conf", "usr/lib/tmpfiles.d/secbox-data.conf"}
    assert {"etc/ssh/sshd_config.d/secbox.conf", "usr/sbin/mgmt-agent", "usr/bin/secboxctl",
            "usr/lib/systemd/system/recovery-agent.service", "usr/lib/sysusers.d/secbox.conf"} <= box
    examples = {f"usr/share/secbox/examples/{name}" for folder in ("compose", "env")
                for name in os.listdir(os.path.join(ROOT, folder, "examples"))}
    assert len(examples) >= 4 and examples <= box
    assert {"usr/sbin/secbox-gateway", "usr/lib/systemd/system/secbox-gateway.service",
            "usr/lib/sysusers.d/secbox-gateway.conf"} <= gateway
    assert fleet == {"usr/bin/secbox-fleet", "usr/share/man/man1/secbox-fleet.1",
                     "usr/share/bash-completion/completions/secbox-fleet", "usr/share/zsh/vendor-completions/_secbox-fleet",
                     "usr/share/fish/vendor_completions.d/secbox-fleet.fish"}
    assert not box & gateway
    for other in (gateway, fleet):
        assert not [name for name in other if "ssh" in name or "tucomunidad" in name or "mgmt" in name or "recovery" in name]
    everything = os.path.join(folder, "all")
    assert make(f"DESTDIR={everything}", "install").returncode == 0
    assert files_of(everything) == box | gateway | fleet | data
    agent, recovery = (installed(os.path.join(folder, kind), kind) for kind in ("agent", "recovery"))
    assert agent | recovery == box and not agent & recovery
    assert not [name for name in agent if "ssh" in name or "recovery" in name], "the way in is no business of the agent's"


def test_programs_are_stripped_unless_a_package_wants_them_whole(folder):
    require_programs("secbox-fleet")

    def symbols(name, *words):
        installed(os.path.join(folder, name), "fleet", *words)
        with open(os.path.join(folder, name, "usr/bin/secbox-fleet"), "rb") as f:
            return b".symtab\0" in f.read()

    assert not symbols("usual")
    assert symbols("whole", "NOSTRIP=1") and symbols("debian", "DEB_BUILD_OPTIONS=parallel=2 nostrip")
    assert os.stat(os.path.join(folder, "usual/usr/bin/secbox-fleet")).st_mode & 0o777 == 0o755


def test_a_machine_must_say_what_it_is():
    p = make("install")
    assert p.returncode == 2 and "install-box, make install-gateway or make install-fleet" in p.stderr


def test_uninstall_takes_ours_and_nothing_else(folder):
    require_programs("mgmt-agent")
    installed(folder, "box", "gateway", "fleet", "secbox")
    theirs = ["etc/ssh/sshd_config.d/site.conf", "etc/tucomunidad/mgmt-agent.env", "usr/lib/secbox/theirs"]
    for name in theirs:
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write("theirs\n")
    p = make(f"DESTDIR={folder}", "uninstall")
    assert p.returncode == 0, p.stderr
    assert files_of(folder) == set(theirs)
    assert not os.path.exists(os.path.join(folder, "usr/share/secbox")), "nor an empty folder of ours"
    assert make(f"DESTDIR={folder}", "uninstall").returncode == 0, "once more changes nothing"


# The scripts as dpkg runs them, on a folder of sshd's settings of their own; `made` makes what is there before
MAINTAINER = """link=/etc/ssh/sshd_config.d/secbox.conf
mount -t tmpfs none /run
mount -t tmpfs none /etc/ssh
mkdir -p "${link%/*}" /run/site
echo '# ours' >/run/site/our.conf
: >/run/no-systemd
chmod 755 /run/no-systemd
for tool in deb-systemd-helper deb-systemd-invoke; do ln -s /run/no-systemd "/run/$tool"; done
PATH=/run:$PATH
eval "$2"
sh -e "$1/installer/debian/secbox-recovery.postinst" configure >&2
echo "$(readlink "$link" || cat "$link")"
sh -e "$1/installer/debian/secbox-recovery.prerm" remove >&2
if [ -L "$link" ] || [ -e "$link" ]; then echo stays; else echo goes; fi
ls /run/site
"""


@pytest.mark.skipif(os.geteuid() != 0 or not isolate.is_isolated(), reason="needs root in namespaces")
@pytest.mark.parametrize("made, now, after", [
    (":", "/usr/lib/secbox/sshd-support-ca.conf", "goes"),
    ("ln -s /usr/lib/secbox/sshd-support-ca.conf $link", "/usr/lib/secbox/sshd-support-ca.conf", "goes"),
    ("ln -s /run/site/our.conf $link", "/run/site/our.conf", "stays"),
    ("ln -s /run/site/gone.conf $link", "/run/site/gone.conf", "stays"),
    ("ln -s /run/site $link", "/run/site", "stays"),
    ("echo site >$link", "site", "stays"),
], ids=["nothing", "ours", "link", "dangling", "folder", "file"])
def test_the_package_leaves_what_the_site_gave_its_name(made, now, after):
    p = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-euc", MAINTAINER, "sh", ROOT, made],
                       capture_output=True, text=True, check=False)
    assert p.stdout.split() == [now, after, "our.conf"], p
    assert ("is not ours and stays" in p.stderr) == (after == "stays"), p.stderr
