# SPDX-License-Identifier: MIT
"""What a build or a package lacks is named: Debian packages, by `installer/deps.sh` or a make without a library; a commit."""
import glob
import os
import re
import subprocess

from tests.lab.util import ROOT, read_text

COMMANDS = ["sh", "dpkg", "dpkg-query", "grep", "env"]


def missing_with(folder, packages):
    """What deps.sh would install for `build` where these are installed, as name:architecture. It cannot become root."""
    admin, programs = os.path.join(folder, "dpkg"), os.path.join(folder, "bin")
    os.makedirs(os.path.join(admin, "info"))
    os.makedirs(programs)
    with open(os.path.join(admin, "status"), "w", encoding="ascii") as f:
        for package in packages:
            name, architecture = package.split(":")
            both = "" if architecture == "all" else "Multi-Arch: same\n"
            f.write(f"Package: {name}\nStatus: install ok installed\n{both}Architecture: {architecture}\n"
                    "Maintainer: nobody <nobody@cloud.example>\nDescription: none\nVersion: 1\n\n")
    for name in COMMANDS:
        os.symlink(subprocess.run(["sh", "-c", f"command -v {name}"], check=True, text=True, capture_output=True).stdout.strip(),
                   os.path.join(programs, name))
    with open(os.path.join(programs, "id"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\necho 1000\n")
    os.chmod(os.path.join(programs, "id"), 0o755)
    p = subprocess.run([f"{ROOT}/installer/deps.sh", "build"], env={"PATH": programs, "DPKG_ADMINDIR": admin}, text=True,
                       capture_output=True, check=False)
    assert p.returncode == 1, p.stdout + p.stderr
    return set(re.search(r"missing, and you are neither root nor have sudo: (.*)", p.stderr).group(1).split())


def test_a_package_of_another_architecture_does_not_count(folder):
    own = subprocess.run(["dpkg", "--print-architecture"], check=True, text=True, capture_output=True).stdout.strip()
    other = "arm64" if own != "arm64" else "amd64"
    missing = missing_with(folder, [f"libpq-dev:{other}", f"libyaml-dev:{own}", f"libssl-dev:{own}", f"libssl-dev:{other}",
                                    "make:all"])
    assert "libpq-dev" in missing, "this machine's compiler cannot use it"
    assert not {"libyaml-dev", "libssl-dev", "make"} & missing
    assert "gcc" in missing


def test_a_build_without_a_library_names_its_package(folder):
    found = subprocess.run(["pkg-config", "--variable", "pc_path", "pkg-config"], check=True, text=True, capture_output=True).stdout
    there = os.path.join(folder, "pkgconfig")
    os.mkdir(there)
    for path in found.strip().split(":"):
        for file in glob.glob(os.path.join(path, "*.pc")):
            if os.path.basename(file) not in ("libpq.pc", "yaml-0.1.pc"):
                os.symlink(file, os.path.join(there, os.path.basename(file)))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PKG_CONFIG"))}
    p = subprocess.run(["make", "-s", "-j2", f"BUILD={folder}/build"], cwd=ROOT, env=dict(env, PKG_CONFIG_LIBDIR=there), text=True,
                       capture_output=True, check=False)
    assert p.returncode == 2
    said = [line for line in p.stderr.splitlines() if not line.startswith("make")]
    assert said == ["yaml-0.1 is missing: apt-get install libyaml-dev, or installer/deps.sh build",
                    "libpq is missing: apt-get install libpq-dev, or installer/deps.sh build"], p.stderr


def test_every_library_of_the_makefile_has_a_package_that_deps_installs():
    libraries = re.search(r"^PKGS = (.*)$", read_text(f"{ROOT}/Makefile"), re.M).group(1).split()
    p = subprocess.run([f"{ROOT}/installer/libs-missing.sh", *libraries], env={**os.environ, "PKG_CONFIG_LIBDIR": "/nowhere"},
                       text=True, capture_output=True, check=False)
    named = re.findall(r"apt-get install (\S+),", p.stderr)
    build = subprocess.run([f"{ROOT}/installer/deps.sh", "-n", "build"], check=True, text=True, capture_output=True).stdout.split()
    assert p.returncode == 1 and len(named) == len(libraries) and set(named) <= set(build)
    control = re.search(r"^Build-Depends: (.*(?:\n .*)*)", read_text(f"{ROOT}/installer/debian/control"), re.M).group(1)
    assert set(named) <= set(re.split(r",\s*", control)), "the packages are built with the same"


def test_the_packages_of_a_box_depend_on_what_deps_installs_there():
    control = read_text(f"{ROOT}/installer/debian/control")
    depends = set()
    for package in ("secbox-agent", "secbox-recovery"):
        field = re.search(rf"^Package: {package}\n(?:.+\n)*?Depends: (.*(?:\n .*)*)", control, re.M).group(1)
        depends |= {re.split(r"[ |(]", name)[0] for name in re.split(r",\s*", field) if not name.startswith("${")}
    run = subprocess.run([f"{ROOT}/installer/deps.sh", "-n", "run"], check=True, text=True, capture_output=True).stdout.split()
    assert depends == set(run)


def version_in(folder):
    return subprocess.run(["sh", "-euc", f". {ROOT}/installer/facts.sh; echo $commit $version"], cwd=folder, text=True,
                          env={"PATH": os.environ["PATH"], "number": "1.2.3"}, capture_output=True, check=False)


def test_no_package_is_made_without_its_commit_where_git_does_not_answer(folder):
    with open(os.path.join(folder, "CHANGELOG.md"), "w", encoding="ascii"):
        pass
    assert version_in(folder).stdout == "unknown 1.2.3~dev0\n"
    with open(os.path.join(folder, ".git"), "w", encoding="ascii") as f:
        f.write("gitdir: /nonexistent\n")
    p = version_in(folder)
    assert p.returncode == 1 and p.stdout == "" and "which commit this is: fatal: not a git repository" in p.stderr, p
