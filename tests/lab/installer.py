# SPDX-License-Identifier: MIT
"""The installer's script as it is published, and the folder that it is published in: an apt repository with a key of its own."""
import hashlib
import os
import shutil
import subprocess

from .util import ROOT, LabError, make_words, read_text

NAME = "packages of the lab"
RELEASE = ["APT::FTPArchive::Release::Origin=SecBox", "APT::FTPArchive::Release::Suite=stable",
           "APT::FTPArchive::Release::Codename=stable", "APT::FTPArchive::Release::Components=main",
           "APT::FTPArchive::Release::Architectures=amd64 arm64"]


def _run(*argv, cwd=None, env=None):
    p = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if p.returncode:
        raise LabError(f"{' '.join(argv)}: exit {p.returncode}: {p.stderr.decode(errors='replace')}")
    return p.stdout


def script(key, cloud="@CLOUD@"):
    """The text of the installer with a key, and the address of a cloud unless the gateway fills that in."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    words = make_words()
    build = next(word.removeprefix("BUILD=") for word in words if word.startswith("BUILD="))
    _run(*words, "-C", ROOT, f"{build}/get-secbox.sh", env=env)
    return read_text(os.path.join(ROOT, build, "get-secbox.sh")).replace("@KEY@", key.strip()).replace("@CLOUD@", cloud)


def _sums(tree):
    """As debhelper adds them to a package: dpkg keeps them of what is installed."""
    lines = []
    for folder, _, names in os.walk(tree):
        for path in (os.path.join(folder, name) for name in names):
            inside = os.path.relpath(path, tree)
            if not os.path.islink(path) and not inside.startswith("DEBIAN/"):
                with open(path, "rb") as f:
                    lines.append(f"{hashlib.md5(f.read(), usedforsecurity=False).hexdigest()}  {inside}\n")
    return "".join(sorted(lines))


class Repository:
    """What `make repo` makes, of packages that a test brings."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "repo")
        self.apt = os.path.join(self.folder, "apt")
        self.key = os.path.join(self.folder, "secbox-archive-keyring.asc")
        self.env = dict(os.environ, GNUPGHOME=os.path.join(folder, "gnupg"))
        os.makedirs(os.path.join(self.apt, "pool"))
        os.mkdir(self.env["GNUPGHOME"], 0o700)
        self.make_key()

    def gpg(self, *argv):
        return _run("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *argv, env=self.env)

    def make_key(self):
        self.gpg("--quick-generate-key", NAME, "ed25519", "sign", "never")
        self._put(self.key, self.gpg("--armor", "--export", NAME))

    @staticmethod
    def _put(path, data):
        with open(path, "wb") as f:
            f.write(data)

    def add(self, name, version, depends="", files=None, scripts=None):
        """A package with these files, {path: text} or a folder of them, and maintainer's scripts."""
        tree = os.path.join(self.folder, f".{name}")
        shutil.rmtree(tree, ignore_errors=True)
        if isinstance(files, str):
            shutil.copytree(files, tree, symlinks=True)
        os.makedirs(os.path.join(tree, "DEBIAN"))
        for path, text in (files or {}).items() if not isinstance(files, str) else ():
            os.makedirs(os.path.dirname(tree + path), exist_ok=True)
            self._put(tree + path, text.encode())
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: lab <lab@localhost>\nDescription: lab\n"
        self._put(f"{tree}/DEBIAN/control", (control + (f"Depends: {depends}\n" if depends else "")).encode())
        self._put(f"{tree}/DEBIAN/md5sums", _sums(tree).encode())
        for script_name, text in (scripts or {}).items():
            self._put(f"{tree}/DEBIAN/{script_name}", f"#!/bin/sh\nset -e\n{text}".encode())
            os.chmod(f"{tree}/DEBIAN/{script_name}", 0o755)
        _run("dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, f"{self.apt}/pool/{name}_{version}_all.deb")
        shutil.rmtree(tree)

    def publish(self, cloud="@CLOUD@"):
        """Lists and signs what is there, and puts the script beside it."""
        dists = os.path.join(self.apt, "dists/stable")
        shutil.rmtree(dists, ignore_errors=True)
        for architecture in ("amd64", "arm64"):
            os.makedirs(f"{dists}/main/binary-{architecture}")
            self._put(f"{dists}/main/binary-{architecture}/Packages", _run("apt-ftparchive", "packages", "pool", cwd=self.apt))
        release = [word for value in RELEASE for word in ("-o", value)]
        self._put(f"{dists}/Release", _run("apt-ftparchive", *release, "release", "dists/stable", cwd=self.apt))
        self.gpg("--yes", "--clearsign", "-u", NAME, "-o", f"{dists}/InRelease", f"{dists}/Release")
        self._put(f"{self.folder}/secbox", script(read_text(self.key), cloud).encode())

    def bundle(self, path):
        """What `make bundle` makes."""
        _run("tar", "-C", os.path.dirname(self.folder), "-cf", path, os.path.basename(self.folder))
        return path
