# SPDX-License-Identifier: MIT
"""A box without containers, below a folder: real secboxctl, releases whose programs are shell scripts, and a systemctl that starts
them as systemd would, once."""
import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile

from .util import ROOT, program, read_text, wait_until

# what stands in for secbox
BEATS = """#!/bin/sh
# {version}
while :; do
    up=$(cut -d' ' -f1 /proc/uptime)
    printf '%s%s0000\\n' "${{up%.*}}" "${{up#*.}}" >{run}/heartbeat.new && mv -f {run}/heartbeat.new {run}/heartbeat
    sleep 0.1
done
"""
SILENT = "#!/bin/sh\n# {version}\nwhile :; do sleep 1; done\n"
DIES = "#!/bin/sh\n# {version}\nexit 3\n"
HANGS = """#!/bin/sh
# {version}
up=$(cut -d' ' -f1 /proc/uptime)
printf '%s%s0000\\n' "${{up%.*}}" "${{up#*.}}" >{run}/heartbeat
while :; do sleep 1; done
"""

SYSTEMCTL = """#!/bin/sh
cd {box}
echo "$*" >>asked
while case $1 in --*) true ;; *) false ;; esac; do shift; done
alive() {{ pid=$(cat "pid-$1" 2>/dev/null) && [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; }}
case $1 in
show)
    name=${{4%.service}}
    case $3 in
    MainPID) if alive "$name"; then echo "$pid"; else echo 0; fi ;;
    *) if [ -e "on-$name" ]; then echo active; else echo inactive; fi ;;
    esac
    ;;
restart | try-restart)
    name=${{2%.service}}
    if alive "$name"; then
        kill -9 "$pid"
        while alive "$name"; do sleep 0.02; done
    elif [ "$1" = try-restart ]; then
        exit 0
    fi
    setsid "root/opt/tucomunidad/current/bin/$name" </dev/null >/dev/null 2>&1 &
    echo $! >"pid-$name"
    ;;
start)
    [ ! -e no-unit ] || exit 1
    PATH={box}/bin:$PATH setsid {secboxctl} --root {box}/root release finish </dev/null >>finish.log 2>&1 &
    echo $! >pid-finish
    ;;
*) exit 1 ;;
esac
"""


def arch():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "unknown")


def make_archive(path, version, program_text, more=None, **change):
    """`more`: tar entries and their content that no manifest names; `change`: members of the manifest, `digests` of files."""
    files = {"bin/secbox": program_text, "bin/relay-client": "#!/bin/sh\nexec sleep 600\n"}
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()} | change.pop("digests", {})
    manifest = {"version": version, "arch": arch(), "files": [{"path": p, "sha256": d} for p, d in digests.items()], **change}
    inside = io.BytesIO()
    with tarfile.open(fileobj=inside, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in {"manifest.json": json.dumps(manifest), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
        for entry, text in more or []:
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    with open(path, "wb") as f:
        f.write(gzip.compress(inside.getvalue(), mtime=0))
    return path


class ReleaseBox:
    def __init__(self, folder):
        self.folder, self.root = folder, os.path.join(folder, "root")
        self.run_dir = os.path.join(self.root, "run/tucomunidad/secbox")
        self.opt = os.path.join(self.root, "opt/tucomunidad")
        for path in (self.run_dir, os.path.join(folder, "bin"), os.path.join(self.root, "etc/tucomunidad/trust"),
                     os.path.join(self.root, "var/lib/tucomunidad"), os.path.join(self.opt, "releases/1/bin")):
            os.makedirs(path)
        self.write(os.path.join(folder, "bin/systemctl"), SYSTEMCTL.format(box=folder, secboxctl=program("secboxctl")), 0o755)
        self.write(os.path.join(self.opt, "releases/1/bin/secbox"), self.text("1", BEATS), 0o755)
        self.write(os.path.join(self.opt, "releases/1/bin/relay-client"), "#!/bin/sh\nexec sleep 600\n", 0o755)
        os.symlink("releases/1", os.path.join(self.opt, "current"))
        self.env = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": folder, "LANG": "C.UTF-8"}

    @staticmethod
    def write(path, text, mode=0o644):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def text(self, version, kind):
        return kind.format(version=version, run=self.run_dir)

    def archive(self, version, kind=BEATS, name="release.tar.gz", **change):
        return make_archive(os.path.join(self.folder, name), version, self.text(version, kind), **change)

    def systemctl(self, *args):
        return subprocess.run([f"{self.folder}/bin/systemctl", *args], capture_output=True, text=True, check=True).stdout.strip()

    def switch_on(self, *names):
        for name in names or ("secbox",):
            self.write(os.path.join(self.folder, f"on-{name}"), "")
            self.systemctl("restart", f"{name}.service")

    def ctl(self, *args, env=None):
        return subprocess.run([program("secboxctl"), "--root", self.root, *args], env={**self.env, **(env or {})}, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, check=False)

    def apply(self, path, seconds=5):
        return self.ctl("release", "apply", path, "--deadline", str(seconds), "--timeout", "120")

    def current(self):
        return os.readlink(os.path.join(self.opt, "current"))

    def runs(self):
        """The version of the program that runs, by the file that it was started from; None where none does."""
        return wait_until(self._look, "what runs has begun its script")[0]

    def _look(self):
        pid = int(self.systemctl("show", "-P", "MainPID", "secbox.service"))
        if not pid:
            return [None]
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            for fd in os.listdir(f"/proc/{pid}/fd"):  # a shell keeps its script open
                with contextlib.suppress(FileNotFoundError):
                    path = os.readlink(f"/proc/{pid}/fd/{fd}")
                    if "/releases/" in path:
                        return [path.split("/releases/")[1].split("/")[0]]
        return None

    def releases(self):
        return sorted(os.listdir(os.path.join(self.opt, "releases")))

    @property
    def record_path(self):
        return os.path.join(self.root, "var/lib/tucomunidad/release/record.json")

    def record(self):
        return json.loads(read_text(self.record_path)) if os.path.exists(self.record_path) else {"state": "none"}

    def change_record(self, **members):
        self.write(self.record_path, json.dumps({**self.record(), **members}), 0o600)

    def close(self):
        for name in ("finish", "secbox", "relay-client"):
            path = os.path.join(self.folder, f"pid-{name}")
            if os.path.exists(path) and read_text(path).strip():
                try:
                    os.kill(int(read_text(path)), signal.SIGKILL)
                except ProcessLookupError:
                    pass


def make_release(folder, version, *programs):
    """With the script of `make release`."""
    env = {**os.environ, "DEB_VERSION": version, "STRIP": shutil.which("true")}
    p = subprocess.run([os.path.join(ROOT, "installer/release.sh"), folder, "0", *programs], cwd=ROOT, env=env, text=True,
                       capture_output=True, check=False)
    assert p.returncode == 0, p.stderr
    return os.path.join(folder, f"secbox-{version}-{arch()}.tar.gz")
