# SPDX-License-Identifier: MIT
"""The images for both processors, made on one machine: what is in each is of its processor and starts, one index holds both, and
the same commit gives the same bytes. They are made before, by `make check-images`."""
# pylint: disable=redefined-outer-name
import filecmp
import glob
import hashlib
import json
import os
import shutil
import subprocess
import tarfile

import pytest

from tests.conftest import note, skip
from tests.integration.test_images import publish, registry
from tests.lab.util import ROOT

ARCHES = {"amd64": 62, "arm64": 183}  # e_machine of an ELF file
IMAGES = ["postgres-15", "relay-client-latest", "secbox-latest"]
__all__ = ["registry"]


class Archive:
    """An OCI archive: the digest and ID of its image, what is said of it, and its one layer."""

    def __init__(self, path):
        self.path = path
        with tarfile.open(path) as tar:
            blob = lambda digest: tar.extractfile("./blobs/sha256/" + digest.split(":")[1]).read()  # noqa: E731
            self.digest = json.load(tar.extractfile("./index.json"))["manifests"][0]["digest"]
            manifest = json.loads(blob(self.digest))
            self.id = manifest["config"]["digest"].split(":")[1]
            self.config = json.loads(blob(manifest["config"]["digest"]))
            self.layer = manifest["layers"][0]["digest"]
            assert hashlib.sha256(blob(self.layer)).hexdigest() == self.layer.split(":")[1]

    def unpack(self, folder):
        with tarfile.open(self.path) as tar:
            layer = tar.extractfile("./blobs/sha256/" + self.layer.split(":")[1])
            with tarfile.open(fileobj=layer, mode="r:gz") as inside:
                inside.extractall(folder)
        return folder


@pytest.fixture(scope="module")
def packed():
    if "SECBOX_ARCHES" not in os.environ:
        skip("images for both processors are made by make check-images")
    return os.environ["SECBOX_ARCHES"]


@pytest.fixture(scope="module")
def archives(packed):
    found = {os.path.basename(path)[:-len(".oci.tar")]: Archive(path) for path in glob.glob(f"{packed}/images/*.oci.tar")}
    assert sorted(found) == sorted(f"{image}-{arch}" for image in IMAGES for arch in ARCHES)
    return found


def machines(folder):
    """Of each program and library."""
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if not os.path.islink(path) and os.path.isfile(path):
                with open(path, "rb") as f:
                    head = f.read(20)
                if head[:4] == b"\x7fELF":
                    yield path, int.from_bytes(head[18:20], "little")


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("image", IMAGES)
def test_all_in_it_is_of_its_processor(archives, folder, image, arch):
    archive = archives[f"{image}-{arch}"]
    assert (archive.config["architecture"], archive.config["os"]) == (arch, "linux")
    found = list(machines(archive.unpack(folder)))
    assert not [path for path, machine in found if machine != ARCHES[arch]]
    note(f"{image} for {arch}: {len(found)} programs and libraries, {os.path.getsize(archive.path) // 1000} KB")
    assert len(found) > 10


def test_the_same_commit_gives_the_same_bytes(packed, archives):
    again = sorted(os.path.basename(path) for path in glob.glob(f"{packed}/images-before/*.oci.tar"))
    assert again == sorted(os.path.basename(archive.path) for archive in archives.values())
    assert filecmp.cmpfiles(f"{packed}/images", f"{packed}/images-before", again, shallow=False) == (again, [], [])


def test_one_index_holds_both_and_each_machine_gets_its_own(lab, packed, archives, registry):
    lines = [line.split() for line in publish(lab, f"{registry.address}/fleet", packed=packed).stdout.splitlines()]
    assert [line[1:] for line in lines] == [["amd64", "arm64"]] * 3, lines
    for image, tag in (("postgres", "15-stable"), ("relay-client", "stable"), ("secbox", "stable")):
        made = {arch: archives[f"{image}-{'15' if image == 'postgres' else 'latest'}-{arch}"] for arch in ARCHES}
        index = registry.manifest(f"fleet/{image}", tag)
        assert {m["platform"]["architecture"]: m["digest"] for m in index["manifests"]} == {a: made[a].digest for a in ARCHES}
        named = f"{registry.address}/fleet/{image}:{tag}"
        assert [line[0] for line in lines if f"/{image}:" in line[0]] == [f"{named}@{registry.digest(f'fleet/{image}', tag)}"]
        for arch, archive in made.items():
            lab.podman("pull", "-q", "--arch", arch, named)
            has = lab.podman("image", "inspect", "--format", "{{.Architecture}} {{.Id}}", named).stdout.split()
            assert has == [arch, archive.id]
            lab.podman("rmi", named)


@pytest.fixture
def emulator(packed, folder):
    """Where everybody may run it."""
    os.chmod(folder, 0o755)
    with open(f"{packed}/qemu", encoding="utf-8") as f:
        return shutil.copy(f.read().strip(), f"{folder}/emulator")


@pytest.mark.parametrize("name", ["secbox", "relay-client"])
def test_our_programs_for_arm64_start(archives, emulator, folder, name):
    root = archives[f"{name}-latest-arm64"].unpack(os.path.join(folder, "root"))
    p = subprocess.run([emulator, "-L", root, f"{root}/usr/bin/{name}", "--version"], capture_output=True, text=True, check=False)
    assert p.returncode == 0 and p.stdout.startswith(f"{name} "), p


def test_postgres_for_arm64_makes_a_database(archives, emulator, folder):
    """The kernel here starts no program of that processor by itself, so what PostgreSQL's programs start is the emulator again."""
    root = archives["postgres-15-arm64"].unpack(os.path.join(folder, "root"))
    programs, data = os.path.join(root, "usr/lib/postgresql/15/bin"), os.path.join(folder, "data")
    os.rename(f"{programs}/postgres", f"{programs}/postgres.real")
    with open(f"{programs}/postgres", "w", encoding="utf-8") as f:
        f.write(f"#!/bin/sh\nexec {emulator} -L {root} -0 {programs}/postgres {programs}/postgres.real \"$@\"\n")
    os.chmod(f"{programs}/postgres", 0o755)
    os.mkdir(data)
    os.chown(data, 999, 999)
    other = {"user": 999, "group": 999, "extra_groups": [], "env": {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, "cwd": "/"}
    p = subprocess.run([emulator, "-L", root, f"{programs}/initdb", "-D", f"{data}/db", "-U", "secbox", "-E", "UTF8",
                        "--locale=C.UTF-8", "--auth=trust", "--no-sync"], capture_output=True, text=True, check=False, **other)
    assert p.returncode == 0, p.stdout + p.stderr
    p = subprocess.run([f"{programs}/postgres", "--single", "-D", f"{data}/db", "postgres"], text=True, capture_output=True,
                       check=False, input="SELECT version()\n", **other)
    assert p.returncode == 0 and "aarch64" in p.stdout, p.stdout + p.stderr


def test_the_repository_has_all_of_them(packed, folder):
    """`make repo` of what lies there: packages and images for both processors."""
    os.symlink(f"{packed}/deb", f"{folder}/deb")
    os.symlink(f"{packed}/images", f"{folder}/images")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    p = subprocess.run(["make", "-s", "repo", f"PACKED={folder}"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    repo = f"{folder}/repo"
    assert len(os.listdir(f"{repo}/images")) == len(IMAGES) * len(ARCHES)
    with open(f"{repo}/apt/dists/stable/Release", encoding="utf-8") as f:
        assert "Architectures: amd64 arm64" in f.read().splitlines()
    for arch in ARCHES:
        with open(f"{repo}/apt/dists/stable/main/binary-{arch}/Packages", encoding="utf-8") as f:
            packages = [line.split()[1] for line in f if line.startswith("Package: ")]
        assert sorted(packages) == ["secbox", "secbox-agent", "secbox-fleet", "secbox-gateway", "secbox-recovery"], arch
