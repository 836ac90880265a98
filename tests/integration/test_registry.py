# SPDX-License-Identifier: MIT
"""What the job `check` finds out from real registries, and from one that does everything wrong."""
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import threading

import pytest

from tests.conftest import require_programs
from tests.lab import isolate
from tests.lab.authority import Authority, trusted_by_the_system
from tests.lab.hostile_registry import HostileRegistry
from tests.lab.registry import PrivateEtc, Registry, basic
from tests.lab.registry_proxy import RegistryProxy
from tests.lab.token_server import TokenServer
from tests.lab.util import PATIENCE_SECONDS, box_of, free_port, program

OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
USER, PASSWORD = "caseta", "geheim-und-lang"
NOBODY = 65534


@dataclasses.dataclass
class Answer:
    code: int
    log: str
    whole: dict
    images: dict  # by service


class Checker:
    """Runs `mgmt-worker check` as mgmt-agent does."""

    def __init__(self, lab, folder, user="root"):
        self.lab = lab
        self.root = box_of(user, os.path.join(folder, "root"))
        self.auth_file = os.path.join(folder, "auth.json")
        self.lab_env = {}  # more than the laboratory's

    def login(self, **auths):
        """auths: {address: base64 of user:password, or the entry itself}."""
        with open(self.auth_file, "w", encoding="utf-8") as f:
            json.dump({"auths": {k: v if isinstance(v, dict) else {"auth": v} for k, v in auths.items()}}, f)

    def write_auth(self, document):
        with open(self.auth_file, "w", encoding="utf-8") as f:
            json.dump(document, f)

    def __call__(self, *images, **request):
        """images: (service, image[, imageId])."""
        listed = [dict(zip(("service", "image", "imageId"), image)) for image in images]
        auth = {"REGISTRY_AUTH_FILE": self.auth_file} if os.path.exists(self.auth_file) else {}
        env = dict(self.lab.env, **self.lab_env, **auth)
        p = subprocess.run([program("mgmt-worker"), "--root", self.root, "check"], env=env, text=True, check=False,
                           input=json.dumps({"images": listed, **request}), capture_output=True)
        assert len(p.stdout.splitlines()) == 1, p.stdout + p.stderr
        whole = json.loads(p.stdout)
        assert whole["type"] == "worker.check"
        found = whole.get("images", [])
        if found:
            assert [(i.get("service"), i["image"]) for i in found] == [(i.get("service"), i["image"]) for i in listed]
        return Answer(p.returncode, p.stdout + p.stderr, whole, {i["service"]: i for i in found})


@pytest.fixture
def check(lab, folder):
    require_programs("mgmt-worker")
    yield Checker(lab, folder)
    lab.podman("rmi", "-f", *[i for i in lab.podman("images", "-q", "--filter", "reference=127.0.0.1:*/*").stdout.split()],
               check=False)
    for version in ("1", "2"):
        lab.image(f"localhost/server:{version}", "server", version)


@pytest.fixture
def private_etc():
    if not isolate.is_isolated():
        pytest.skip("private authorities are for a mount namespace of our own")
    with PrivateEtc() as it:
        yield it


@pytest.fixture
def authority(folder):
    return Authority(os.path.join(folder, "authority"))


def publish(lab, registry, version, name="web", tag="1"):
    """A new version under the tag, which only the registry has; its digest."""
    image = f"localhost/published:{version}"
    lab.image(image, "server", version)
    digest = registry.push(image, name, tag)
    lab.podman("rmi", "-f", image)
    return digest


def pull(lab, registry, what="web:1", *options):
    return lab.podman("pull", "-q", *options, f"{registry.address}/{what}").stdout.strip()


def test_current_new_and_what_is_not_asked(lab, registry, check):
    first = publish(lab, registry, "published-1")
    registry.move_tag("web", "1", "first")
    mine = pull(lab, registry)
    image = f"{registry.address}/web:1"
    found = check(("web", image, mine), ("again", image, mine), ("by-name", image))
    assert found.code == 0
    assert found.images["web"] == {"service": "web", "image": image, "imageId": mine, "state": "current", "digest": first}
    assert {i["state"] for i in found.images.values()} == {"current"}

    second = publish(lab, registry, "published-2")
    manifest = registry.manifest("web", "1")
    found = check(("web", image, mine), ("pinned", f"{registry.address}/web@{first}", mine), ("local", "localhost/server:1"),
                  ("short", "server:1", mine), ("bad", f"{registry.address}/Web:1", mine),
                  ("tag", f"{registry.address}/web:2", mine), ("gone", image, "f" * 64))
    states = {name: i["state"] for name, i in found.images.items()}
    assert states == {"web": "new", "pinned": "pinned", "local": "local", "short": "unknown", "bad": "unknown", "tag": "unknown",
                      "gone": "unknown"}
    web = found.images["web"]
    assert web["digest"] == web["platformDigest"] == second != first
    assert web["reference"] == f"{registry.address}/web@{second}"
    assert f"sha256:{web['newImageId']}" == manifest["config"]["digest"]
    assert web["here"] is False
    errors = {name: i["error"]["id"] for name, i in found.images.items() if i["state"] == "unknown"}
    assert errors == {"short": "image.short-name", "bad": "image.bad-reference", "tag": "registry.not-found",
                      "gone": "image.missing"}
    assert not any(i["later"] for i in found.images.values() if i["state"] == "unknown")

    # pulled by hand, the container not yet replaced: new, and here
    assert pull(lab, registry) == web["newImageId"]
    found = check(("web", image, mine), ("by-name", image))
    assert found.images["web"]["state"] == "new" and found.images["web"]["here"] is True
    assert found.images["by-name"]["state"] == "current"
    # and back again
    assert registry.move_tag("web", "first", "1") == first
    assert check(("web", image, mine)).images["web"]["state"] == "current"

    ours = registry.asked("secbox/")
    assert ours and not [line for line in ours if "/blobs/" in line]
    assert check(("web", image, mine), ("again", image, mine)).whole["requests"] == 2  # one by TLS, which it does not speak


def test_f31_an_image_of_several_platforms(lab, registry, check):
    ours, other, newer = (f"localhost/built:{v}" for v in ("ours", "other", "newer"))
    for image in (ours, other, newer):
        lab.image(image, "server", image)
    index = registry.push_index({"linux/amd64": ours, "linux/arm64/v8": other}, "web", "1")
    platform = registry.manifest("web", "1")["manifests"][0]["digest"]
    for moved, images in (("other-moved", {"linux/amd64": ours, "linux/arm64/v8": newer}),
                          ("ours-moved", {"linux/arm64/v8": other, "linux/amd64": newer}),
                          ("foreign", {"linux/s390x": ours})):
        registry.push_index(images, "web", moved)
    lab.podman("rmi", "-f", ours, other, newer)

    mine = pull(lab, registry)
    image = f"{registry.address}/web:1"
    found = check(("web", image, mine))
    assert found.images["web"]["state"] == "current" and found.images["web"]["digest"] == index

    # the tag moves, our part of it does not
    registry.move_tag("web", "other-moved", "1")
    found = check(("web", image, mine))
    assert found.images["web"]["state"] == "current" and found.images["web"]["digest"] != index
    assert found.whole["requests"] == 3  # by TLS, which it does not speak; HEAD; the index, and no more

    # only the platform's digest is known here; then none at all
    lab.podman("rmi", "-f", mine)
    assert pull(lab, registry, f"web@{platform}") == mine
    assert check(("web", image, mine)).images["web"]["state"] == "current"
    archive = os.path.join(lab.dir, "by-hand.tar")
    lab.podman("save", "-q", "-o", archive, mine)
    lab.podman("rmi", "-f", mine)
    lab.podman("load", "-q", "-i", archive)
    os.unlink(archive)
    digests = json.loads(lab.podman("image", "inspect", "--format", "{{json .RepoDigests}}", mine).stdout)
    assert not any(platform in d or index in d for d in digests or [])
    assert check(("web", image, mine)).images["web"]["state"] == "current"

    wanted = registry.move_tag("web", "ours-moved", "1")
    found = check(("web", image, mine), ("foreign", f"{registry.address}/web:foreign", mine))
    web = found.images["web"]
    assert web["state"] == "new" and web["digest"] == wanted
    assert web["platformDigest"] == registry.manifest("web", "1")["manifests"][1]["digest"]
    assert pull(lab, registry, f"web@{wanted}") == web["newImageId"]
    assert found.images["foreign"]["error"]["id"] == "registry.no-platform"
    assert check(("web", image, web["newImageId"])).images["web"]["state"] == "current"


def test_credentials_and_a_private_authority(lab, check, private_etc, authority):
    with Registry(lab, authority, users={USER: PASSWORD}) as registry:
        wanted = publish(lab, registry, "private", "team/web")
        image = f"{registry.address}/team/web:1"
        private_etc.trust(registry.address, authority)
        mine = pull(lab, registry, "team/web:1", "--creds", f"{USER}:{PASSWORD}")

        def now():
            found = check(("web", image, mine))
            assert PASSWORD not in found.log and basic(USER, PASSWORD) not in found.log
            return found.images["web"]

        def refused_because(words):
            web = now()
            assert (web["state"], web["later"]) == ("unknown", False)
            assert web["error"]["id"] == "registry.unauthorized" and words in web["error"]["message"]

        refused_because("podman has none for it")
        check.login(**{registry.address: basic(USER, "wrong-password")})
        refused_because(f"refuses the credentials in {check.auth_file}")
        check.write_auth({"credHelpers": {registry.address: "pass"}})
        refused_because("docker-credential-pass, which is not supported")
        # the longest prefix counts
        check.login(**{f"{registry.address}/team/we": basic(USER, "wrong-password"),
                       f"{registry.address}/team": basic(USER, PASSWORD), registry.address: basic(USER, "wrong-password")})
        assert now()["digest"] == wanted
        private_etc.distrust(registry.address)
        asked = len(registry.asked("secbox/"))
        web = now()
        assert web["error"]["id"] == "registry.tls" and "certs.d" in web["error"]["message"] and web["later"] is False
        assert len(registry.asked("secbox/")) == asked
        private_etc.trust(registry.address, authority)
        check.login(**{registry.address: "no base64"})
        refused_because(f'"auth" of {registry.address} in {check.auth_file} is not the base64 of user:password')


def test_token_authentication(lab, check, private_etc, authority):
    with TokenServer(authority, {USER: PASSWORD}) as tokens, Registry(lab, authority, tokens=tokens) as registry:
        private_etc.trust(registry.address, authority)
        for name in ("a/web", "b/web"):
            publish(lab, registry, name.replace("/", "-"), name)
        mine = {name: pull(lab, registry, f"{name}:1") for name in ("a/web", "b/web")}
        wanted = [(name, f"{registry.address}/{name}:1", mine[name]) for name in mine]
        tokens.requests.clear()
        found = check(*wanted)
        assert {i["state"] for i in found.images.values()} == {"current"}
        # the first is sent away once; after that each image has its token first
        assert len(registry.asked("secbox/", '" 401 ')) == 1
        assert sorted(path.split("scope=")[1] for _, path, _ in tokens.requests) == [
            "repository:a/web:pull", "repository:b/web:pull"]
        assert {authorization for _, _, authorization in tokens.requests} == {None}
        assert found.whole["requests"] == 5

        tokens.anonymous = False
        found = check(*wanted)
        assert {i["error"]["id"] for i in found.images.values()} == {"registry.unauthorized"}
        check.login(**{registry.address: basic(USER, PASSWORD)})
        tokens.requests.clear()
        found = check(*wanted)
        assert {i["state"] for i in found.images.values()} == {"current"}
        assert {authorization for _, _, authorization in tokens.requests} == {f"Basic {basic(USER, PASSWORD)}"}
        assert PASSWORD not in found.log and "eyJ" not in found.log
        # credentials go to the token server alone
        assert not registry.asked(basic(USER, PASSWORD))
        # an identity token instead of a password
        check.login(**{registry.address: {"identitytoken": PASSWORD}})
        assert {i["state"] for i in check(*wanted).images.values()} == {"current"}
        assert tokens.requests[-1][0] == "POST"
        check.login(**{registry.address: {"identitytoken": "another-one"}})
        assert {i["error"]["id"] for i in check(*wanted).images.values()} == {"registry.unauthorized"}


def manifest_of(config):
    return json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": {"digest": f"sha256:{config}"}, "layers": []}).encode()


def digest_of(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


def serve(body, media_type=OCI, head=True, claimed=None, **how):
    """A rule that serves a manifest; claimed: another digest than its own in the header, "" for none."""
    claimed = digest_of(body) if claimed is None else claimed
    headers = {"Content-Type": media_type, **({"Docker-Content-Digest": claimed} if claimed else {})}

    def rule(h):
        if h.command == "HEAD" and not head:
            h.say(405, {"Allow": "GET"})
        else:
            h.say(200, headers, body, **({} if h.command == "HEAD" else how))
    return rule


def uid_of_peer(handler):
    """Who holds the other end of a connection on this machine. An older one, to somebody else, may have come from the same port."""
    ends = [f":{port:04X}" for port in (handler.client_address[1], handler.connection.getsockname()[1])]
    with open("/proc/net/tcp", encoding="ascii") as f:
        return next(int(line.split()[7]) for line in f if all(map(str.endswith, line.split()[1:3], ends)))


def test_f30_f31_f32_everything_that_a_registry_can_do_wrong(lab, check, private_etc, authority, folder):
    other_authority = Authority(os.path.join(folder, "other"))
    mine = lab.image_id("localhost/server:1")
    new = manifest_of("a" * 64)
    current = manifest_of(mine)
    uids = []
    with contextlib.ExitStack() as stack:
        evil, cdn = (stack.enter_context(HostileRegistry(authority.server_context(f"evil-{i}"))) for i in range(2))
        expired = stack.enter_context(HostileRegistry(authority.server_context("expired", expired=True)))
        foreign = stack.enter_context(HostileRegistry(other_authority.server_context("foreign")))
        plain = stack.enter_context(HostileRegistry())
        for it in (evil, cdn, expired, foreign, plain):
            private_etc.trust(it.address, authority)
        check.login(**{evil.address: basic(USER, PASSWORD)})
        challenge = {"WWW-Authenticate": f'Basic realm="{evil.address}"'}
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"digest": digest_of(new), "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()

        two_faced = json.dumps({**json.loads(index), **json.loads(current), "mediaType": OCI_INDEX}).encode()

        def tag_or(digest_rule, tag_rule):
            return lambda h: (digest_rule if "sha256:" in h.path else tag_rule)(h)

        def authorized(then):
            return lambda h: then(h) if h.headers["Authorization"] else h.say(401, challenge)

        def challenged(text):
            return lambda h: h.say(401, {"WWW-Authenticate": text})

        def redirect(target):
            return authorized(lambda h: h.say(307, {"Location": target}))

        def note_uid(h):
            uids.append(uid_of_peer(h))
            serve(new)(h)

        evil.rules = {
            # what works, in unusual ways
            "good": note_uid,
            "no-digest": serve(new, claimed=""),
            "no-head": serve(new, head=False),
            "same-config": serve(current),
            "several-challenges": lambda h: serve(current)(h) if h.headers["Authorization"] else h.say(
                401, {"WWW-Authenticate": ["Negotiate", f'Digest realm="x", nonce="y", Basic realm="{evil.address}"']}),
            "redirected-here": tag_or(serve(new), redirect("/v2/redirected-there/manifests/1")),
            "redirected-there": lambda h: serve(new)(h) if h.headers["Authorization"] else h.say(500),
            # what does not
            "limited": lambda h: h.say(429, {"Retry-After": "77"}),
            "limited-until": lambda h: h.say(429, {"Date": "Fri, 31 Dec 1999 23:59:00 GMT",
                                                   "Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}),
            "down": lambda h: h.say(503, {"Retry-After": "5"}),
            "broken": lambda h: h.say(500),
            "forbidden": authorized(lambda h: h.say(403)),
            "teapot": lambda h: h.say(418),
            "to-another-host": redirect(f"https://{cdn.address}/v2/taken/manifests/1"),
            "to-greedy-host": redirect(f"https://{cdn.address}/v2/greedy/manifests/1"),
            "to-plain": redirect(f"http://{plain.address}/v2/taken/manifests/1"),
            "to-file": redirect("file:///etc/passwd"),
            "to-nowhere": authorized(lambda h: h.say(307)),
            "in-circles": lambda h: h.say(302, {"Location": h.path}),
            "plain-realm": challenged(f'Bearer realm="http://{plain.address}/token",service="s"'),
            "no-realm": challenged("Bearer service=s"),
            "bad-challenge": challenged('Bearer realm="unfinished'),
            "token-no-json": challenged(f'Bearer realm="https://{cdn.address}/v2/token/manifests/x"'),
            "wrong-digest": tag_or(serve(current), serve(new)),
            "wrong-header": serve(new, head=False, claimed="sha256:" + "b" * 64),
            "truncated": tag_or(serve(new, claim=100000), serve(new)),
            "huge": tag_or(serve(b" " * (2 << 20)), serve(new)),
            "huge-unannounced": serve(b"[" * (2 << 20), head=False),
            "no-json": serve(b"<html>", head=False),
            "two-faced": serve(two_faced, head=False),
            "old-schema": serve(b'{"schemaVersion":1}', media_type="application/vnd.docker.distribution.manifest.v1+json"),
            "no-config": serve(b'{"config":{"digest":"sha256:../../x"}}', head=False),
            "index-in-index": tag_or(serve(index, OCI_INDEX), serve(index, OCI_INDEX, claimed=digest_of(index))),
            "stalled": lambda h: h.stall(),
            "half-a-head": lambda h: (h.wfile.write(b"HTTP/1.1 200 OK\r\nContent-"), h.wfile.flush(), h.stall()),
        }
        cdn.rules = {"taken": serve(new), "greedy": lambda h: h.say(401, challenge), "token": lambda h: h.say(200, {}, b"<html>")}
        for it in (expired, foreign, plain):
            it.rules = {"web": serve(new)}
        nobody = f"127.0.0.1:{free_port()}"
        slow = [(name, f"{evil.address}/{name}:1", mine) for name in ("stalled", "half-a-head")]
        wanted = [name for name in evil.rules if name not in ("redirected-there", "stalled", "half-a-head")]
        found = check(*((name, f"{evil.address}/{name}:1", mine) for name in wanted),
                      ("expired", f"{expired.address}/web:1", mine), ("foreign", f"{foreign.address}/web:1", mine),
                      ("plain", f"{plain.address}/web:1", mine), ("nobody", f"{nobody}/web:1", mine),
                      ("nobody-either", f"{nobody}/web:2", mine), ("no-such-host", "registry.invalid/web:1", mine))
        said = {name: (i["state"], i.get("error", {}).get("id"), i.get("later"), i.get("retryAfterSeconds"))
                for name, i in [*found.images.items(), *check(*slow, timeoutSeconds=5).images.items()]}

    def unknown(kind, later=False, after=None):
        return "unknown", f"registry.{kind}", later, after

    bad, offline = unknown("bad-answer"), unknown("offline", True)
    assert said == {
        **dict.fromkeys(["good", "no-digest", "no-head", "redirected-here", "to-another-host"], ("new", None, None, None)),
        **dict.fromkeys(["same-config", "several-challenges"], ("current", None, None, None)),
        "limited": unknown("rate-limited", True, 77), "limited-until": unknown("rate-limited", True, 59),
        "down": unknown("unavailable", True, 5), "broken": unknown("unavailable", True),
        "forbidden": unknown("unauthorized"), "to-greedy-host": unknown("unauthorized"),
        **dict.fromkeys(["teapot", "to-plain", "to-file", "to-nowhere", "in-circles", "plain-realm", "no-realm", "bad-challenge",
                         "token-no-json", "wrong-digest", "wrong-header", "huge", "huge-unannounced", "no-json", "two-faced",
                         "old-schema", "no-config", "index-in-index"], bad),
        **dict.fromkeys(["truncated", "stalled", "half-a-head", "nobody", "nobody-either", "no-such-host"], offline),
        **dict.fromkeys(["expired", "foreign", "plain"], unknown("tls")),
    }
    assert found.code == 0  # not a failure: there is an answer for each
    # nothing of ours reached another host, but for a token server that the registry names (docker's protocol), and nothing
    # at all went to a host without TLS
    assert cdn.asked("taken") and cdn.asked("greedy") and cdn.asked("token")
    assert not [headers for name in ("taken", "greedy") for _, _, headers in cdn.asked(name) if "Authorization" in headers]
    assert not plain.requests and not expired.requests and not foreign.requests
    assert PASSWORD not in found.log and basic(USER, PASSWORD) not in found.log
    # what reads all this has no rights
    assert set(uids) == {NOBODY}


def test_f32_one_host_is_asked_concurrently_and_not_against_its_will(lab, check, private_etc, authority):
    mine = lab.image_id("localhost/server:1")
    meeting = threading.Barrier(6)
    names = ["first", *(f"app{i}" for i in range(6))]

    def together(h):
        meeting.wait(PATIENCE_SECONDS)  # nobody is answered before all six are here
        serve(manifest_of(mine))(h)

    with HostileRegistry(authority.server_context()) as registry:
        private_etc.trust(registry.address, authority)
        registry.rules = {"first": serve(manifest_of(mine)), **dict.fromkeys(names[1:], together)}
        images = [(name, f"{registry.address}/{name}:1", mine) for name in names]
        found = check(*images)
        assert {i["state"] for i in found.images.values()} == {"current"}
        assert registry.connections <= 6

        # sent away at the first: the others are not even asked
        registry.requests.clear()
        registry.rules = dict.fromkeys(names, lambda h: h.say(429, {"Retry-After": "300"}))
        found = check(*images)
        assert {(i["error"]["id"], i["later"], i["retryAfterSeconds"]) for i in found.images.values()} == {
            ("registry.rate-limited", True, 300)}
        assert len(registry.requests) == 1

        # each image has a token server of its own
        def own_realm(h):
            name = h.path.split("/")[2]
            if h.headers["Authorization"] == f"Bearer token-for-{name}":
                serve(manifest_of(mine))(h)
            else:
                h.say(401, {"WWW-Authenticate": f'Bearer realm="https://{registry.address}/v2/token/manifests/{name}",service="x"'})

        registry.rules = {**dict.fromkeys(names, own_realm), "token": lambda h: h.say(
            200, {}, json.dumps({"token": "token-for-" + h.path.split("/")[-1].split("?")[0]}).encode())}
        found = check(*images)
        assert {i["state"] for i in found.images.values()} == {"current"}, found.whole


def test_plain_http_only_where_podman_was_told_so(lab, check):
    mine = lab.image_id("localhost/server:1")
    with HostileRegistry() as told, HostileRegistry() as not_told:
        lab.trust_registry(told.address)
        told.rules = not_told.rules = {"web": serve(manifest_of(mine))}
        found = check(("told", f"{told.address}/web:1", mine), ("not-told", f"{not_told.address}/web:1", mine))
    assert found.images["told"]["state"] == "current"
    assert found.images["not-told"]["error"]["id"] == "registry.tls" and not not_told.requests


def manifests_of(kind, how):
    """A fault for requests of one kind ("HEAD", "GET") for manifests; `how` answers them."""
    def fault(h):
        if h.command != kind or "/manifests/" not in h.path:
            return False
        how(h)
        return True
    return fault


def hidden(status):
    """Strangers are not told what is there; only /v2/ says that there is something to log in to."""
    def fault(h):
        if h.headers["Authorization"] == f"Basic {basic(USER, PASSWORD)}":
            return False
        if h.path == "/v2/":
            h.say(401, [("WWW-Authenticate", 'Basic realm="lab"')])
        else:
            h.say(status)
        return True
    return fault


def hang_up(h):
    h.close_connection = True


def signed_for_get(h):
    """What a store of blobs does that a registry redirects to: the address is good for one method."""
    if "?signed" not in h.path:
        h.say(307, [("Location", h.path + "?signed=GET")])
    elif h.command == "HEAD":
        h.say(403)
    else:
        h.path = h.path.removesuffix("?signed=GET")
        h.say(*h.fetch())


def signed(h):
    if "/manifests/1" in h.path:
        signed_for_get(h)
    return "/manifests/1" in h.path


def token_by_a_detour(status):
    """The token server answers under another path than the one that the challenge names."""
    def fault(h):
        path = h.path.split("?")[0]
        if path == "/token":
            h.say(status, [("Location", h.path.replace("/token", "/token/"))])
        elif path == "/token/":
            h.say(200, [("Content-Type", "application/json")], b'{"token":"from-the-detour"}')
        elif h.headers["Authorization"] != "Bearer from-the-detour":
            h.say(401, [("WWW-Authenticate", f'Bearer realm="http://{h.headers["Host"]}/token",service="lab"')])
        else:
            return False
        return True
    return fault


PODMAN_CAN = {
    **{f"R01 HEAD is answered with {status}": manifests_of("HEAD", lambda h, status=status: h.say(status))
       for status in (400, 401, 403, 404, 405, 410, 500)},
    "R01 HEAD is not answered": manifests_of("HEAD", hang_up),
    "R01 the address of a manifest is signed for GET": signed,
    "R02 strangers are answered with 404": hidden(404),
    "R02 strangers are answered with 403": hidden(403),
    **{f"R04 the token server redirects with {status}": token_by_a_detour(status) for status in (301, 302, 307, 308)},
}


def test_what_podman_can_pull_the_check_can_see(lab, registry, check, folder):
    publish(lab, registry, "published-1")
    mine = pull(lab, registry)
    wanted = publish(lab, registry, "published-2")
    with RegistryProxy(lab, registry.port) as front:
        check.login(**{front.address: basic(USER, PASSWORD)})
        image = f"{front.address}/web:1"

        def pulled():
            """podman is the measure."""
            lab.podman("pull", "-q", "--authfile", check.auth_file, image)
            digests = lab.podman("image", "inspect", "--format", "{{join .RepoDigests \" \"}}", image).stdout
            lab.podman("rmi", "-f", image)
            return f"{front.address}/web@{wanted}" in digests.split()

        for what, fault in PODMAN_CAN.items():
            with front.failing(fault):
                web = check(("web", image, mine)).images["web"]
                assert (what, web["state"], web.get("digest")) == (what, "new", wanted), web
                assert pulled(), what

        # R03: an index whose only entry for this machine says nothing of its platform
        entry = {"mediaType": OCI, "digest": wanted, "size": len(registry.get(f"web/manifests/{wanted}").read())}
        attestation = {**entry, "digest": "sha256:" + "b" * 64, "platform": {"os": "unknown", "architecture": "unknown"}}
        for entries in ([entry], [attestation, entry]):
            index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()

            def unlabelled(h, index=index):
                if h.path.endswith("/manifests/1") or digest_of(index) in h.path:
                    h.say(200, [("Content-Type", OCI_INDEX), ("Docker-Content-Digest", digest_of(index))], index)
                    return True
                return False

            with front.failing(unlabelled):
                web = check(("web", image, mine)).images["web"]
                assert (web["state"], web.get("platformDigest")) == ("new", wanted), web
                assert pulled()

        # R05: what is wrong with one registry's entry is that registry's trouble alone, and every form that podman takes is taken
        wrapped = basic(USER, PASSWORD)
        for auth in (wrapped, wrapped[:8] + "\n" + wrapped[8:], basic(USER, PASSWORD + "\0\0")):
            for bad in ("no base64", basic("no", "colon").replace("=", ""), "bm8gY29sb24="):
                check.login(**{front.address: auth, "other.example": bad})
                with front.failing(hidden(403)):
                    assert check(("web", image, mine)).images["web"]["state"] == "new", (auth, bad)
                    assert pulled() or "\n" not in auth


def test_r13_certs_d_adds_to_the_authorities_of_the_system(lab, registry, check, private_etc, authority, folder):
    """R13: of last year, and under the name of the one that signs now."""
    publish(lab, registry, "published-1")
    with RegistryProxy(lab, registry.port, authority.server_context("system")) as front:
        private_etc.trust(front.address, Authority(os.path.join(folder, "last-year")))
        image = f"{front.address}/web:1"

        def state():
            return check(("web", image, lab.image_id("localhost/server:1"))).images["web"]

        assert state()["error"]["id"] == "registry.tls"
        with trusted_by_the_system(folder, authority.file):
            web = state()
            assert web["state"] == "new", web
            lab.podman("pull", "-q", image)
            lab.podman("rmi", "-f", image)


def test_r11_a_registry_that_wants_a_certificate_of_its_clients(lab, registry, check, private_etc, authority):
    """R11"""
    publish(lab, registry, "published-1")
    context = authority.server_context("strict")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    with RegistryProxy(lab, registry.port, context) as front:
        private_etc.trust(front.address, authority)
        image = f"{front.address}/web:1"

        def state():
            return check(("web", image, lab.image_id("localhost/server:1"))).images["web"]

        web = state()
        assert (web["error"]["id"], web["later"]) == ("registry.tls", False), web
        assert "wants a certificate of its clients" in web["error"]["message"]
        certificate, key = authority.issue("box")
        for name, source in (("client.cert", certificate), ("client.key", key)):
            shutil.copy(source, os.path.join(private_etc.dir, "certs.d", front.address, name))
            # what asks has no rights by then
            os.chmod(os.path.join(private_etc.dir, "certs.d", front.address, name), 0o600)
        assert state()["state"] == "new"
        lab.podman("pull", "-q", image)
        lab.podman("rmi", "-f", image)
        os.unlink(os.path.join(private_etc.dir, "certs.d", front.address, "client.key"))
        found = check(("web", image, lab.image_id("localhost/server:1")))
        assert "client.key" in found.log and "registry.config" in found.log


def test_nothing_of_ours_follows_a_token_server_elsewhere(lab, registry, check):
    publish(lab, registry, "published-1")
    with RegistryProxy(lab, registry.port) as front, HostileRegistry() as other:
        lab.trust_registry(other.address)
        other.rules = {"/token": lambda h: h.say(200, {}, b'{"token":"stranger"}')}

        def fault(h):
            if h.path.startswith("/token"):
                h.say(307, [("Location", f"http://{other.address}/token")])
            else:
                h.say(401, [("WWW-Authenticate", f'Bearer realm="http://{front.address}/token",service="lab"')])
            return True

        for entry in (basic(USER, PASSWORD), {"identitytoken": PASSWORD}):
            check.login(**{front.address: entry})
            with front.failing(fault):
                found = check(("web", f"{front.address}/web:1", lab.image_id("localhost/server:1")))
            assert found.images["web"]["state"] == "unknown" and PASSWORD not in found.log
    assert [path for _, path, _ in other.requests] == ["/token"]  # the identity token did not go there at all
    assert not [headers for _, _, headers in other.requests if "Authorization" in headers]


def test_a_request_that_makes_no_sense(check):
    for request in ({"timeoutSeconds": 1}, {"timeoutSeconds": "soon"}):
        found = check(("web", "registry.invalid/web:1"), **request)
        assert found.code == 1 and found.whole["error"]["id"] == "check.request"


def test_r12_mirrors_are_asked_as_podman_asks_them(lab, registry, check, folder):
    """The registry itself is out of reach; the mirror that has it answers, whatever those before it say."""
    first = publish(lab, registry, "mirror-1")
    mine = pull(lab, registry)
    conf = os.path.join(folder, "mirrors.conf")
    nobody = free_port()
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"[[registry]]\nlocation = \"127.0.0.1:{nobody}\"\n"
                f"[[registry.mirror]]\nlocation = \"127.0.0.1:{free_port()}\"\ninsecure = true\n"
                f"[[registry.mirror]]\nlocation = \"{registry.address}/empty\"\ninsecure = true\n"
                f"[[registry.mirror]]\nlocation = \"{registry.address}\"\ninsecure = true\n")
    check.lab_env = {"CONTAINERS_REGISTRIES_CONF": conf}
    image = f"127.0.0.1:{nobody}/web:1"
    found = check(("web", image, mine))
    assert found.images["web"]["state"] == "current" and found.images["web"]["digest"] == first, found
    news = publish(lab, registry, "mirror-2")
    found = check(("web", image, mine), ("again", image, mine), ("gone", f"127.0.0.1:{nobody}/nothing:1", mine))
    assert (found.images["web"]["state"], found.images["web"]["digest"]) == ("new", news), found
    assert found.images["again"]["state"] == "new"
    # what the registry itself says counts where no mirror has it
    assert found.images["gone"]["error"]["id"] == "registry.offline", found


def test_r12_a_mirror_whose_certificates_are_unusable_is_passed_over(lab, registry, check, private_etc, folder):
    """The first of all, and one behind a mirror that does not answer."""
    first = publish(lab, registry, "mirror-1")
    mine = pull(lab, registry)
    nobody, away, unusable = (f"127.0.0.1:{free_port()}" for _ in range(3))
    certificates = os.path.join(private_etc.dir, "certs.d", unusable)
    os.makedirs(certificates)
    with open(os.path.join(certificates, "client.cert"), "w", encoding="ascii") as f:
        f.write("without a key\n")
    check.lab_env = {"CONTAINERS_REGISTRIES_CONF": os.path.join(folder, "mirrors.conf")}
    for mirrors in ([unusable, registry.address], [away, unusable, registry.address]):
        with open(check.lab_env["CONTAINERS_REGISTRIES_CONF"], "w", encoding="utf-8") as f:
            f.write(f"[[registry]]\nlocation = \"{nobody}\"\n"
                    + "".join(f"[[registry.mirror]]\nlocation = \"{mirror}\"\ninsecure = true\n" for mirror in mirrors))
        found = check(("web", f"{nobody}/web:1", mine))
        assert (found.images["web"]["state"], found.images["web"].get("digest")) == ("current", first), (mirrors, found)
