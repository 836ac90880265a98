# SPDX-License-Identifier: MIT
"""`make images`: what it makes of this machine's programs runs, and PostgreSQL keeps what it was told."""
import filecmp
import glob
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import time

import pytest

from tests.conftest import require_programs
from tests.lab.registry import Registry
from tests.lab.util import ROOT, bin_dir, make_words, read_text, wait_until


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Where the archives are."""
    return str(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def images(lab, packed):
    """The version of the PostgreSQL that is in the image."""
    require_programs("secbox")
    if not glob.glob("/usr/lib/postgresql/*/bin/postgres"):
        pytest.skip("postgresql is not installed: installer/deps.sh images")
    env = {k: v for k, v in lab.env.items() if not k.startswith(("MAKE", "MFLAGS"))}
    p = subprocess.run(make_words("images", f"PACKED={packed}"), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    tags = lab.podman("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert "localhost/secbox:latest" in tags and "localhost/relay-client:latest" in tags
    return next(tag.split(":")[1] for tag in tags if tag.startswith("localhost/postgres:"))


def test_secbox_starts_and_finds_all_it_needs(lab, images):
    run = ["run", "--rm", "--network", "none", "localhost/secbox:latest"]
    assert lab.podman(*run, "secbox", "--version").stdout.startswith("secbox ")
    p = lab.podman(*run, "secbox", check=False)
    assert p.returncode != 0 and "CLOUD_BASE_URL" in p.stderr, p.stderr
    assert lab.podman(*run, "getent", "hosts", "localhost").stdout
    assert lab.podman(*run, "sh", "-c", "ls /etc/ssl/certs/*.0 | wc -l").stdout.strip() != "0", "the public authorities are there"


def test_relay_client_starts_on_a_root_that_cannot_be_written(lab, images):
    run = ["run", "--rm", "--network", "none", "--read-only", "--cap-drop", "all", "localhost/relay-client:latest"]
    assert lab.podman(*run, "relay-client", "--version").stdout.startswith("relay-client ")
    assert lab.podman(*run, "relay-client", "--check").stdout == "configuration ok: provider none\n"
    p = lab.podman(*run, "sh", "-c", "TUNNEL_PROVIDER=cloudflare relay-client --check", check=False)
    assert p.returncode == 78 and "TUNNEL_TOKEN" in p.stderr, p.stderr


def test_another_provider_is_an_edit_and_a_restart(lab, images, folder):
    """As an editor writes it: the file is replaced, and the container's mount is of the one before until the restart."""
    env, run = os.path.join(folder, "secbox.env"), os.path.join(folder, "run")
    os.mkdir(run)

    def edit(text):
        with open(env + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(env + ".new", 0o600)
        os.rename(env + ".new", env)

    def state():
        text = read_text(os.path.join(run, "state.json"))
        return json.loads(text) if text else {}

    edit("TUNNEL_PROVIDER=none\n")
    lab.podman("run", "-d", "--name", "relay", "--network", "none", "--read-only", "--cap-drop", "all", "--stop-timeout", "5",
               "-e", "DEVICE_ID=box", "-e", "ENV_FILE=/etc/secbox.env", "-v", f"{env}:/etc/secbox.env:ro",
               "-v", f"{run}:/run/relay-client", "localhost/relay-client:latest")
    try:
        wait_until(lambda: state().get("state") == "idle", "it is idle", lambda: ended(lab, "relay"))
        assert lab.podman("exec", "relay", "relay-client", "health").stdout == "none: idle\n"
        edit("TUNNEL_PROVIDER=rathole\nTUNNEL_SERVER=127.0.0.1:9\nTUNNEL_TOKEN=a-token-for-nothing\n")
        begin = time.monotonic()
        lab.podman("restart", "relay")
        wait_until(lambda: state().get("provider") == "rathole", "it has the other provider", lambda: ended(lab, "relay"))
        print(f"another provider after {time.monotonic() - begin:.1f} s")
        arguments = lab.podman("inspect", "relay").stdout + lab.podman("logs", "relay").stderr
        assert "a-token-for-nothing" not in arguments
    finally:
        lab.podman("rm", "-f", "relay")


def psql(lab, name, sql, user="secbox", check=True):
    return lab.podman("exec", name, "psql", "-h", "127.0.0.1", "-U", user, "-At", "-c", sql, "secbox", check=check)


def start(lab, images, name, *options):
    lab.podman("run", "-d", "--name", name, "-v", f"{name}-data:/var/lib/postgresql/data", "-e", "POSTGRES_DB=secbox", "-e",
               "POSTGRES_USER=secbox", *options, f"localhost/postgres:{images}")
    wait_until(lambda: ready(lab, name), "it answers", lambda: ended(lab, name))


def ended(lab, name):
    return None if lab.inspect(name)["State"]["Status"] == "running" else lab.podman("logs", name).stderr


def ready(lab, name):
    return lab.podman("exec", name, "pg_isready", "-q", "-h", "127.0.0.1", check=False).returncode == 0


def test_postgres_keeps_what_it_was_told(lab, images):
    start(lab, images, "pg", "-e", "POSTGRES_HOST_AUTH_METHOD=trust", "--network", "none")
    psql(lab, "pg", "CREATE TABLE t (at timestamptz); INSERT INTO t VALUES ('2026-01-02 03:04 America/Bogota')")
    facts = lab.podman("exec", "pg", "sh", "-c", "stat -c %U /proc/1; cat /var/lib/postgresql/data/*/PG_VERSION").stdout.split()
    assert facts == ["postgres", images], "it does not run as root, and each version has its own folder"
    lab.podman("kill", "-s", "KILL", "pg")
    lab.podman("start", "pg")
    wait_until(lambda: ready(lab, "pg"), "it is back after a power cut", lambda: ended(lab, "pg"))
    assert psql(lab, "pg", "SELECT at AT TIME ZONE 'UTC' FROM t").stdout == "2026-01-02 08:04:00\n"


def test_a_first_start_that_was_cut_off_is_made_again(lab, images):
    lab.podman("volume", "create", "cut-data")
    lab.podman("run", "--rm", "-v", "cut-data:/var/lib/postgresql/data", "--entrypoint", "sh", f"localhost/postgres:{images}", "-c",
               'mkdir "$PGDATA.new" && echo half >"$PGDATA.new/PG_VERSION" && chown -R postgres "$PGDATA.new"')
    start(lab, images, "cut", "-e", "POSTGRES_PASSWORD=geheim", "--network", "none")
    assert psql(lab, "cut", "SELECT 1", check=False).returncode == 2, "and a password, once set, is asked for"
    p = lab.podman("exec", "-e", "PGPASSWORD=geheim", "cut", "psql", "-h", "127.0.0.1", "-U", "secbox", "-At", "-c", "SELECT 1",
                   "secbox")
    assert p.stdout == "1\n"


def test_postgres_without_any_way_to_log_in_is_refused(lab, images):
    p = lab.podman("run", "--rm", f"localhost/postgres:{images}", check=False)
    assert p.returncode != 0 and "POSTGRES_PASSWORD" in p.stderr


def index_of(path):
    with tarfile.open(path) as tar:
        return json.load(tar.extractfile("./index.json"))


def test_the_same_programs_give_the_same_bytes(lab, images, packed, folder):  # pylint: disable=unused-argument
    again = {**os.environ, "PODMAN": "true"}
    version = re.search(r"^VERSION = (\S+)$", read_text(f"{ROOT}/Makefile"), re.M).group(1)
    subprocess.run(["installer/images/build.sh", bin_dir(), folder, version, "relay-client"], cwd=ROOT, env=again, check=True)
    (made,) = glob.glob(f"{folder}/relay-client-latest-*.oci.tar")
    assert filecmp.cmp(made, f"{packed}/images/{os.path.basename(made)}", shallow=False)
    labels = json.loads(lab.podman("image", "inspect", "localhost/relay-client:latest").stdout)[0]["Labels"]
    assert labels["org.opencontainers.image.version"].startswith(version) and labels["org.opencontainers.image.revision"]


def test_a_repository_has_the_images_of_its_version(images, packed, folder):  # pylint: disable=unused-argument
    """The packages are stand-ins: what is asked of them is their version."""
    for tool in ("apt-ftparchive", "dpkg-deb", "gpg"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed: installer/deps.sh packages")
    of = index_of(glob.glob(f"{packed}/images/secbox-*")[0])["manifests"][0]["annotations"]["org.opencontainers.image.version"]
    os.makedirs(f"{folder}/pack/DEBIAN")
    os.mkdir(f"{folder}/deb")
    os.symlink(f"{packed}/images", f"{folder}/images")
    for version, found in ((of, 3), ("9.9", 1)):
        with open(f"{folder}/pack/DEBIAN/control", "w", encoding="utf-8") as f:
            f.write(f"Package: secbox\nVersion: {version}\nArchitecture: amd64\nDescription: -\n"
                    "Maintainer: lab <lab@cloud.example>\n")
        subprocess.run(["dpkg-deb", "-b", f"{folder}/pack", f"{folder}/deb/secbox_amd64.deb"], check=True, capture_output=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        p = subprocess.run(make_words("repo", f"PACKED={folder}"), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert p.returncode == 0 and f"with {found} images" in p.stdout, p.stdout + p.stderr
        assert len(os.listdir(f"{folder}/repo/images")) == found
    assert f"is left out, since it is of version {of}" in p.stdout, p.stdout


def publish(lab, address, *archives, packed, tag="stable", check=True, more=None):
    env = {k: v for k, v in lab.env.items() if not k.startswith(("MAKE", "MFLAGS"))} | (more or {})
    words = make_words(f"REGISTRY={address}", f"TAG={tag}", f"ARCHIVES={' '.join(archives)}", f"PACKED={packed}", "publish")
    p = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert not check or p.returncode == 0, p.stdout + p.stderr
    return p


@pytest.fixture(scope="module")
def registry(lab):
    with Registry(lab) as it:
        yield it


def test_images_are_published_with_their_digests(lab, images, packed, registry):
    lines = [line.split() for line in publish(lab, f"{registry.address}/fleet", packed=packed).stdout.splitlines()]
    digests = dict(line[0].split("@") for line in lines)
    assert digests == {f"{registry.address}/fleet/secbox:stable": registry.digest("fleet/secbox", "stable"),
                       f"{registry.address}/fleet/relay-client:stable": registry.digest("fleet/relay-client", "stable"),
                       f"{registry.address}/fleet/postgres:{images}-stable": registry.digest("fleet/postgres", f"{images}-stable")}
    here = lab.podman("image", "inspect", "--format", "{{.Architecture}}", "localhost/secbox:latest").stdout.strip()
    assert [line[1:] for line in lines] == [[here]] * 3
    made = index_of(f"{packed}/images/secbox-latest-{here}.oci.tar")["manifests"][0]["digest"]
    assert registry.manifest("fleet/secbox", "stable")["manifests"][0]["digest"] == made, "as make images has said it"
    # what is pushed runs where only its digest is known
    pinned = f"{registry.address}/fleet/secbox@{digests[f'{registry.address}/fleet/secbox:stable']}"
    lab.podman("pull", "-q", pinned)
    assert lab.podman("run", "--rm", "--network", "none", pinned, "secbox", "--version").stdout.startswith("secbox ")
    # an image of somebody's is none of ours
    lab.podman("tag", "localhost/secbox:latest", "localhost/secbox:mine")
    again = publish(lab, f"{registry.address}/fleet", packed=packed).stdout
    lab.podman("untag", "localhost/secbox:mine", "localhost/secbox:mine")
    assert [line.split()[0] for line in again.splitlines()] == [line[0] for line in lines], "the same bytes have the same digest"


def test_a_login_by_the_environment_is_for_this_once(lab, images, packed, folder):
    password = "only-this-once"
    with Registry(lab, users={"ci": password}) as private:
        where = f"{private.address}/fleet"
        p = publish(lab, where, check=False, packed=packed)
        assert p.returncode != 0 and f"cannot be pushed: podman login {private.address}" in p.stderr, p
        p = publish(lab, where, check=False, more={"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "guessed"}, packed=packed)
        assert p.returncode != 0 and f"REGISTRY_USER cannot log in to {private.address}" in p.stderr, p
        assert "guessed" not in p.stdout + p.stderr
        p = publish(lab, where, more={"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": password, "TMPDIR": folder}, packed=packed)
        assert f"{where}/secbox:stable@{private.digest('fleet/secbox', 'stable')} " in p.stdout, p
        assert f"{where}/postgres:{images}-stable@" in p.stdout and password not in p.stdout + p.stderr, p
        assert not glob.glob(f"{folder}/tmp.*"), "the file that held it is gone"
        assert lab.podman("login", "--get-login", private.address, check=False).returncode != 0


def empty_image(lab, folder, processor):
    """Its archive, named as that of secbox."""
    tree, archive = os.path.join(folder, "image.tar"), os.path.join(folder, f"secbox-latest-{processor}.oci.tar")
    subprocess.run(["tar", "-C", folder, "-cf", tree, "--files-from", "/dev/null"], check=True)
    lab.podman("import", "-q", "--arch", processor, tree, f"localhost/lab-{processor}:1")
    lab.podman("save", "-q", "--format", "oci-archive", "-o", archive, f"localhost/lab-{processor}:1")
    lab.podman("rmi", f"localhost/lab-{processor}:1")
    return archive


def test_one_index_holds_all_processors(lab, images, packed, registry, folder):  # pylint: disable=unused-argument
    here = lab.podman("image", "inspect", "--format", "{{.Architecture}}", "localhost/secbox:latest").stdout.strip()
    other = "arm64" if here == "amd64" else "amd64"
    archive, second = (empty_image(lab, folder, processor) for processor in (other, here))
    lines = publish(lab, registry.address, archive, tag="both", packed=packed).stdout.splitlines()
    assert [sorted(line.split()[1:]) for line in lines if "/secbox:" in line] == [sorted([here, other])]
    index = registry.manifest("secbox", "both")
    assert sorted(m["platform"]["architecture"] for m in index["manifests"]) == sorted([here, other])
    assert [m["platform"]["architecture"] for m in registry.manifest("postgres", f"{images}-both")["manifests"]] == [here]
    p = publish(lab, registry.address, archive, second, tag="twice", check=False, packed=packed)
    assert p.returncode != 0 and f"two images secbox for {here}" in p.stderr, p
    assert "secbox-publish" not in lab.podman("images", "--format", "{{.Repository}}").stdout, "nothing is left behind"


def test_one_index_is_of_one_commit(lab, images, packed, registry, folder):  # pylint: disable=unused-argument
    (own,) = glob.glob(f"{packed}/images/relay-client-*")
    other = os.path.join(folder, "relay-client-latest-other.oci.tar")
    revision = index_of(own)["manifests"][0]["annotations"]["org.opencontainers.image.revision"]
    with tarfile.open(own) as before, tarfile.open(other, "w") as after:
        for entry in before:
            content = before.extractfile(entry) if entry.isfile() else None
            if entry.name == "./index.json":
                content = io.BytesIO(content.read().replace(revision.encode(), b"x" * len(revision)))
            after.addfile(entry, content)
    p = publish(lab, registry.address, other, tag="mixed", check=False, packed=packed)
    assert p.returncode != 0 and f"is of the commit {'x' * len(revision)}" in p.stderr and revision in p.stderr, p


def test_what_cannot_be_published_says_why(lab, images, packed, registry, folder):  # pylint: disable=unused-argument
    other = os.path.join(folder, "postgres-9.oci.tar")
    with open(other, "wb"):
        pass
    for archives, tag, said in (([], "", "say where to"), ([f"{folder}/secbox-none.tar"], "a", "cannot be read"),
                                ([__file__], "a", "begins with no image's"), ([other], "a", "no image postgres:9 in")):
        p = publish(lab, registry.address, *archives, tag=tag, check=False, packed=packed)
        assert p.returncode != 0 and said in p.stderr, p
    p = publish(lab, f"https://{registry.address}", check=False, packed=packed)
    assert p.returncode != 0 and "address without https://" in p.stderr, p
    p = publish(lab, "127.0.0.1:9", check=False, packed=packed)
    assert p.returncode != 0 and "cannot be pushed: podman login 127.0.0.1:9" in p.stderr, p
