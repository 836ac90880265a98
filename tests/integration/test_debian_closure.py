# SPDX-License-Identifier: MIT
"""What a bundle has of Debian: fetched by real apt from a repository of the test's, listed and signed, and found there by apt."""
# pylint: disable=redefined-outer-name
import os
import re
import shutil
import subprocess

import pytest

from tests.conftest import skip
from tests.lab.installer import Repository
from tests.lab.util import ROOT, read_text

EPOCH = "1:2.5-1"
NEEDED = "lab-needed-library"  # what one of them depends on


def architecture():
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def names():
    words = subprocess.run([f"{ROOT}/installer/deps.sh", "-n", "box"], check=True, capture_output=True, text=True).stdout
    return sorted({*words.split(), "libpq5"})  # that one is for --host-mode


class Source:
    """Debian, as far as a box needs it, and an apt that knows nothing else."""

    def __init__(self, folder):
        self.folder = folder
        self.repository = Repository(folder)
        for name in names():
            self.repository.add(name, "1", depends=f"{NEEDED} (>= 1:2)" if name == "podman" else "")
        self.add_with_epoch()
        self.repository.publish()
        self.config = self.make_config("debian", f"copy:{self.repository.apt}", "main", self.repository.key)
        self.apt("update")

    def add_with_epoch(self):
        """Its file is named without it, as in Debian's pool."""
        self.repository.add(NEEDED, EPOCH)
        pool = f"{self.repository.apt}/pool"
        os.rename(f"{pool}/{NEEDED}_{EPOCH}_all.deb", f"{pool}/{NEEDED}_2.5-1_all.deb")

    def make_config(self, name, uri, components, key):
        place = f"{self.folder}/apt-{name}"
        os.makedirs(f"{place}/lists/partial")
        with open(f"{place}/sources.list", "w", encoding="ascii") as f:
            f.write(f"deb [signed-by={key}] {uri} stable {components}\n")
        with open(f"{place}/config", "w", encoding="ascii") as f:
            f.write(f'Dir::Etc::sourcelist "{place}/sources.list";\nDir::Etc::sourceparts "-";\n'
                    f'Dir::State::lists "{place}/lists";\nAPT::Sandbox::User "root";\n'
                    'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n')
        return f"{place}/config"

    def run(self, *argv, config=None, check=True, **env):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "GNUPG"))}
        env = {**clean, "APT_CONFIG": config or self.config, **env}
        p = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert not check or p.returncode == 0, p
        return p

    def apt(self, *args, **more):
        return self.run("apt-get", "-q", "-y", *args, **more)

    def close_over(self, target, **more):
        return self.run("installer/debian-closure.sh", target, **more)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    if os.geteuid() != 0 or not shutil.which("apt-get") or not shutil.which("apt-ftparchive"):
        skip("needs root, apt and apt-utils")
    return Source(str(tmp_path_factory.mktemp("debian")))


@pytest.fixture(scope="module")
def closure(source):
    """The folder, fetched."""
    target = f"{source.folder}/closure"
    said = source.close_over(target).stdout
    assert re.search(rf"closure: {len(names()) + 1} packages of Debian, \d+ \w+\n", said), said
    return target


def packages_in(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".deb"))


def test_it_holds_all_that_they_depend_on(closure):
    assert packages_in(closure) == sorted([*(f"{name}_1_all.deb" for name in names()), f"{NEEDED}_1%3a2.5-1_all.deb"])
    release = re.search(r'^VERSION_ID="?([0-9]+)', read_text("/etc/os-release"), re.M).group(1)
    assert read_text(f"{closure}/release") == f"{release} {architecture()}\n"


def test_a_second_run_fetches_nothing_and_throws_away_what_is_not_needed(source, closure):
    shutil.copy(f"{closure}/podman_1_all.deb", f"{closure}/former_1_all.deb")
    pool = f"{source.repository.apt}/pool"
    os.rename(pool, f"{pool}.away")
    before = packages_in(closure)
    source.close_over(closure)
    assert packages_in(closure) == [name for name in before if name != "former_1_all.deb"]
    # what is missing is not passed over
    os.unlink(f"{closure}/podman_1_all.deb")
    p = source.close_over(closure, check=False)
    assert p.returncode == 1 and "not all of it can be fetched" in p.stderr, p
    os.rename(f"{pool}.away", pool)
    source.close_over(closure)
    assert packages_in(closure) == [name for name in before if name != "former_1_all.deb"]


def test_an_apt_that_knows_no_packages_says_what_helps(source):
    config = source.make_config("empty", f"copy:{source.folder}/nothing", "main", source.repository.key)
    p = source.close_over(f"{source.folder}/nothing-of-it", config=config, check=False)
    assert p.returncode == 1 and "apt-get update" in p.stderr, p
    assert not packages_in(f"{source.folder}/nothing-of-it")


def test_a_bundle_is_the_repository_and_what_debian_has(source, closure):
    made = f"{source.folder}/made"
    os.makedirs(f"{made}/deb")
    source.repository.add("secbox-agent", "1", depends="podman")
    shutil.move(f"{source.repository.apt}/pool/secbox-agent_1_all.deb", f"{made}/deb/secbox-agent_1_{architecture()}.deb")
    script = f"{source.folder}/script"
    with open(script, "w", encoding="ascii") as f:
        f.write("KEY='@KEY@'\n")
    settings = {"PODMAN": "false", "INSTALLER": script}
    source.run("installer/repo.sh", made, "1", **settings)
    source.run("installer/repo.sh", made, "1", DEBIAN=closure, **settings)
    assert not os.path.exists(f"{made}/repo/apt/pool/debian") and not os.path.exists(f"{made}/repo/debian")
    assert read_text(f"{made}/bundle/debian") == read_text(f"{closure}/release")
    assert read_text(f"{made}/bundle/version") == read_text(f"{made}/repo/version")
    # by apt, whose system has nothing of it, from the bundle alone
    key = f"{made}/bundle/secbox-archive-keyring.asc"
    for components, found in (("main debian", True), ("main", False)):
        config = source.make_config(f"bundle-{found}", f"file:{made}/bundle/apt", components, key)
        status = f"{source.folder}/status"
        with open(status, "w", encoding="ascii"):
            pass
        source.apt("update", config=config)
        p = source.apt("-s", "-o", f"Dir::State::status={status}", "install", "secbox-agent", config=config, check=False)
        assert (p.returncode == 0) == found, p
        assert set(re.findall(r"^Inst (\S+)", p.stdout, re.M)) == ({"secbox-agent", "podman", NEEDED} if found else set()), p
    p = source.apt("-o", f"Dir::State::status={status}", "--print-uris", "install", NEEDED, check=False,
                   config=f"{source.folder}/apt-bundle-True/config")
    path = re.search(r"'file:([^']*)'", p.stdout).group(1)
    assert os.path.exists(path) and path.endswith(f"/pool/debian/{NEEDED}_2.5-1_all.deb"), p
