# SPDX-License-Identifier: MIT
"""People sign in at the gateway by way of a real OpenID provider, as what it says they are; their tokens end, and can be ended."""
# pylint: disable=redefined-outer-name
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.conftest import require_programs
from tests.lab import openid_provider
from tests.lab.fleet import Fleet
from tests.lab.gateway import Gateway
from tests.lab.openid_provider import CLIENT, OpenIdProvider, Visitor
from tests.lab.util import free_port, program, wait_until

ROLES = "admin=chiefs,operator=noc,viewer=all"

pytestmark = pytest.mark.skipif(not openid_provider.available(), reason="glewlwyd is missing: make deps")


class World:
    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.provider = OpenIdProvider(os.path.join(folder, "provider"), self.port)
        self.provider.add_user("ana", "ana@example.com", "noc", "all")
        self.provider.add_user("leo", "leo@example.com", "all")
        self.provider.add_user("eva", "eva@example.com", "somewhere else")
        self.gateway = Gateway(os.path.join(folder, "gateway"), options=[
            "--oidc-issuer", self.provider.issuer, "--oidc-client", CLIENT, "--oidc-roles", ROLES])

    def kept(self, fleet):
        """Where her token is."""
        return os.path.join(fleet.home, ".config/secbox/tokens.d", urllib.parse.quote(self.gateway.url, safe=""))

    def fleet(self, person):
        """This person's command line, without any token."""
        home = os.path.join(self.folder, person)
        os.makedirs(home, exist_ok=True)
        fleet = Fleet(self.gateway.url, None, home)
        del fleet.env["SECBOX_TOKEN"]
        return fleet

    def begin(self, fleet, *args):
        """`sign-in` and the page that it names."""
        process = fleet.start("sign-in", "--port", str(self.port), "--json", *args)
        seen = []
        while not (found := re.search(r"^  (http\S+)$", "".join(seen), re.M)):
            line = process.stderr.readline()
            assert line, "".join(seen)
            seen.append(line)
        return process, found[1]

    @staticmethod
    def end(process, code=0):
        out, err = process.communicate(timeout=180)
        assert process.returncode == code, (out, err)
        return json.loads(out or err)

    def sign_in(self, person, code=0):
        fleet = self.fleet(person)
        process, page = self.begin(fleet)
        with urllib.request.urlopen(Visitor(self.provider).log_in(person).agree(page), timeout=60) as answer:
            assert answer.status == 200 and b"can be closed" in answer.read()
        return fleet, self.end(process, code)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    require_programs("secbox-gateway", "secbox-fleet")
    it = World(str(tmp_path_factory.mktemp("world")))
    with it.provider, it.gateway:
        yield it


def audit(world, action):
    entries = world.gateway.request("GET", "/v1/audit?limit=100").json["entries"]
    return [e for e in entries if e["action"] == action]


def test_a_person_signs_in_as_what_the_provider_says(world):
    fleet, answer = world.sign_in("ana")
    assert (answer["name"], answer["role"]) == ("ana@example.com", "operator") and "token" not in answer
    kept = world.kept(fleet)
    assert os.stat(kept).st_mode & 0o777 == 0o600 and os.stat(os.path.dirname(kept)).st_mode & 0o777 == 0o700
    fleet.run("devices", "list", check=0)
    assert "auth.role" in fleet.run("devices", "remove", "none", "--yes", check=1).stderr, "that is for admins"
    entry, = audit(world, "operator.signed-in")
    assert entry["actor"] == "operator:ana@example.com" and entry["detail"]["role"] == "operator"
    _, viewer = world.sign_in("leo")
    assert viewer["role"] == "viewer"
    # another gateway is not shown it
    elsewhere = fleet.run("devices", "list", "--gateway", "http://127.0.0.1:9", check=2)
    assert "no token" in elsewhere.stderr, "there was none to show"
    # signed out, and nothing of it is left; a token that is set has nothing to do with it
    fleet.env["SECBOX_TOKEN"] = world.gateway.token
    assert json.loads(fleet.run("sign-out", "--json", check=0).stdout) == {"signedOut": "ana@example.com"}
    assert not os.path.exists(kept)
    assert "nobody is signed in here" in fleet.run("sign-out", check=1).stderr
    assert fleet.run("devices", "list", check=0)
    del fleet.env["SECBOX_TOKEN"]
    assert "sign-in" in fleet.run("devices", "list", check=2).stderr, "what to do is said"


def test_who_has_no_role_gets_no_token(world):
    fleet, error = world.sign_in("eva", code=1)
    assert error["error"]["id"] == "sign-in.no-role" and "eva@example.com" in error["error"]["message"]
    assert not os.path.exists(world.kept(fleet))


def test_another_token_that_is_set_is_said(world):
    fleet = world.fleet("leo")
    fleet.env["SECBOX_TOKEN"] = world.gateway.token
    process, page = world.begin(fleet)
    with urllib.request.urlopen(Visitor(world.provider).log_in("leo").agree(page), timeout=60):
        pass
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0 and json.loads(out)["role"] == "viewer", err
    assert "other commands take the token that SECBOX_TOKEN" in err
    fleet.run("sign-out", check=0)


def test_an_administrator_ends_it(world):
    fleet, _ = world.sign_in("leo")
    listed = world.gateway.run("sign-ins", "list", "--json")
    assert {"leo@example.com"} <= {s["name"] for s in json.loads(listed)["signIns"] if "revokedAt" not in s}
    world.gateway.run("sign-ins", "revoke", "leo@example.com")
    p = fleet.run("devices", "list", check=1)
    assert "operator.token-unknown" in p.stderr
    assert json.loads(fleet.run("sign-out", "--json", check=0).stdout) == {"signedOut": None}
    assert not os.path.exists(world.kept(fleet)), "what is good for nothing is not kept"


def test_new_keys_of_the_provider_are_found(world):
    world.provider.new_key()
    # they were asked for lately, so a new one may have to wait for some seconds
    def signed_in():
        fleet = world.fleet("ana")
        process, page = world.begin(fleet)
        with urllib.request.urlopen(Visitor(world.provider).log_in("ana").agree(page), timeout=60):
            pass
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0 or "sign-in.provider" in err, err
        return process.returncode == 0

    wait_until(signed_in, "the new key is known", world.gateway.daemon.death)


def test_only_the_answer_to_this_sign_in_counts(world):
    fleet = world.fleet("ana")
    process, page = world.begin(fleet)
    callback = f"http://127.0.0.1:{world.port}/callback"
    cookies = {"Cookie": "of=" + "x" * 12000}  # of whatever else is on this machine's loopback: they come after the address
    for query in ("", "?code=abc", "?code=abc&state=of-another", "?error=access_denied&state=of-another"):
        with pytest.raises(urllib.error.HTTPError) as e:
            urllib.request.urlopen(urllib.request.Request(callback + query, headers=cookies), timeout=60)
        assert e.value.code == 400 and b"can be closed" in e.value.read()
    state = re.search(r"state=([\w-]+)", page)[1]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{callback}?error=access_denied&error_description=not+now&state={state}", timeout=60)
    error = world.end(process, 1)["error"]
    assert error["id"] == "fleet.sign-in" and "access_denied: not now" in error["message"]


def test_nobody_comes(world):
    process, _ = world.begin(world.fleet("ana"), "--timeout", "1s")
    assert "nobody has signed in within 1 s" in world.end(process, 1)["error"]["message"]


def test_what_is_no_token_of_the_provider_is_refused(world):
    for token, nonce in (("", "n"), ("a.b.c", "n"), ("x" * 100000, "n"), ("e30.e30.e30", "")):
        answer = world.gateway.request("POST", "/v1/sign-in", {"idToken": token, "nonce": nonce})
        assert answer.status in (400, 401, 413), answer
    assert world.gateway.request("DELETE", "/v1/sign-in").json["error"]["id"] == "sign-in.none"


def test_options_that_are_not_whole(world, folder):
    for options, says in ((["--oidc-client", CLIENT], "--oidc-issuer"), (["--oidc-issuer", world.provider.issuer], "--oidc-client"),
                          (["--oidc-issuer", world.provider.issuer, "--oidc-client", CLIENT], "--oidc-roles"),
                          (["--oidc-issuer", "http://id.example", "--oidc-client", CLIENT, "--oidc-roles", "viewer=*"],
                           "--oidc-issuer")):
        p = subprocess.run([program("secbox-gateway"), "serve", "--state", os.path.join(folder, "state"), "--listen", "127.0.0.1:0",
                            "--database", world.gateway.postgres.conninfo, *options], capture_output=True, text=True, check=False,
                           timeout=120)
        assert p.returncode != 0 and says in p.stderr, (options, p)


def test_where_nobody_signs_in(world, folder):
    with Gateway(os.path.join(folder, "another")) as gateway:
        assert gateway.request("GET", "/v1/sign-in").json["error"]["id"] == "sign-in.off"
