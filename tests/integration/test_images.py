# SPDX-License-Identifier: MIT
"""`make images`: what it makes of this machine's programs runs, and PostgreSQL keeps what it was told."""
import glob
import json
import os
import subprocess
import time

import pytest

from tests.conftest import require_programs
from tests.lab.util import ROOT, make_words, read_text, wait_until



@pytest.fixture(scope="module")
def images(lab):
    """The version of the PostgreSQL that is in the image."""
    require_programs("secbox")
    if not glob.glob("/usr/lib/postgresql/*/bin/postgres"):
        pytest.skip("postgresql is not installed: installer/deps.sh images")
    env = {k: v for k, v in lab.env.items() if not k.startswith(("MAKE", "MFLAGS"))}
    p = subprocess.run(make_words("images"), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
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
