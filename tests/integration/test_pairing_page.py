# SPDX-License-Identifier: MIT
"""The pairing page of a box that belongs to nobody: what it takes from whom, and the same in Debian's Chromium."""
# pylint: disable=redefined-outer-name,unused-import
import http.client
import json
import os

import pytest

pytest.importorskip("cryptography")

from tests.conftest import require_programs  # noqa: E402
from tests.integration.test_pairing import box, claim_of, cloud, pairing  # noqa: E402
from tests.lab import browser as browsers  # noqa: E402
from tests.lab.browser import Browser  # noqa: E402
from tests.lab.fleet import Fleet  # noqa: E402
from tests.lab.passes import draw_video  # noqa: E402
from tests.lab.util import ROOT, Daemon, free_port, port_answers, program, wait_until  # noqa: E402


class Page:
    """The program, and a client that is no browser."""

    def __init__(self, box):
        self.box, self.port = box, free_port()
        self.daemon = Daemon("secbox-pairing", [program("secbox-pairing"), "--root", box.root, "--address", "127.0.0.1", "--port",
                                                str(self.port)], os.path.join(box.logs, "pairing.log"), box.env)

    def wait(self):
        wait_until(lambda: port_answers(self.port), "the page is there", self.daemon.death)
        return self

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json",
                                                **{k.replace("_", "-"): v for k, v in headers.items()}})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text, dict(answer.getheaders())

    @property
    def token(self):
        return self.ask("GET", "/api/state")[1]["csrf"]

    def claim(self, pin, claim, **headers):
        text = claim if isinstance(claim, str) else json.dumps(claim)
        return self.ask("POST", "/api/claim", {"pin": pin, "claim": text}, **{"X_CSRF_Token": self.token, **headers})[:2]


@pytest.fixture
def page(box):
    require_programs("secbox-pairing")
    it = Page(box)
    yield it.wait()
    it.daemon.stop()


def test_strangers_get_nowhere(cloud, box, page):
    pin, claim = pairing(box)["pin"], claim_of(cloud)
    # a name that was led here by somebody else's DNS
    assert page.ask("GET", "/", Host="evil.example")[0] == 421
    assert page.claim(pin, claim, Host="evil.example:80")[0] == 421
    # another site's page
    for headers in ({"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"X_CSRF_Token": "0" * 32}):
        status, answer = page.claim(pin, claim, **headers)
        assert status == 403 and answer["error"]["id"] == "page.elsewhere", headers
    assert page.claim(pin, claim, Content_Type="text/plain")[0] == 415
    assert page.ask("POST", "/api/claim", "x" * 100000, X_CSRF_Token=page.token)[0] == 413
    assert page.ask("POST", "/api/claim", {"claim": "{}"}, X_CSRF_Token=page.token)[0] == 400
    # nothing that is secret is told, and nothing foreign runs
    status, state, headers = page.ask("GET", "/api/state")
    assert status == 200 and pin not in json.dumps(state) and "unsafe" not in headers["Content-Security-Policy"]
    assert page.ask("GET", "/", None)[2]["X-Frame-Options"] == "DENY" and page.ask("GET", "/../etc/passwd")[0] == 404
    # whoever guesses the PIN waits longer and longer, also after a restart
    wrong = "00000000" if pin != "00000000" else "00000001"
    assert [page.claim(wrong, claim)[1]["error"]["id"] for _ in range(5)] == ["pair.wrong-pin"] * 5
    for _ in range(2):
        status, answer = page.claim(pin, claim)
        assert status == 429 and answer["error"]["id"] == "pair.locked"
        box.agent.kill()
        box.start_agent()
    assert pairing(box)["state"] == "unclaimed"
    # whoever looks at the console is no stranger
    status, answer = page.claim(pin, claim)
    assert status == 200 and answer["pairing"]["deviceId"] == claim["deviceId"], answer
    wait_until(lambda: pairing(box)["state"] == "claimed", "the box is paired", box.link.death)
    # a stranger's claim after the owner's
    status, answer = page.claim(pin, claim_of(cloud))
    assert status == 409 and answer["error"]["id"] == "pair.claimed"
    assert page.ask("POST", "/api/end", {"pin": pin}, X_CSRF_Token=page.token)[0] == 409
    assert pairing(box)["deviceId"] == claim["deviceId"]


def test_each_refusal_is_told_and_a_claim_that_leads_nowhere_can_be_ended(cloud, box, page):
    pin = pairing(box)["pin"]
    for change, key in (({"gw": "ws://127.0.0.1/mgmt"}, "gw"), ({"exp": 1}, "exp"), ({"deviceId": "${X}"}, "deviceId")):
        status, answer = page.claim(pin, claim_of(cloud, **change))
        assert status == 400 and answer["error"]["key"] == key
    nowhere = f"127.0.0.1:{free_port()}"
    assert page.claim(pin, {**claim_of(cloud), "cloud": f"https://{nowhere}", "gw": f"wss://{nowhere}/mgmt"})[0] == 200
    wait_until(lambda: page.ask("GET", "/api/state")[1]["pairing"].get("trouble"), "the page says why it takes so long",
               page.daemon.death)
    assert page.ask("POST", "/api/end", {"pin": "1"}, X_CSRF_Token=page.token)[0] == 403
    assert page.ask("POST", "/api/end", {"pin": pin}, X_CSRF_Token=page.token)[0] == 200
    assert pairing(box)["state"] == "unclaimed"


def test_a_box_that_does_not_answer_is_said(cloud, box, page):
    token = page.token
    box.agent.kill()
    status, answer, _ = page.ask("POST", "/api/claim", {"pin": "123456", "claim": json.dumps(claim_of(cloud))}, X_CSRF_Token=token)
    assert (status, answer["error"]["id"]) == (503, "request.socket")


def test_a_box_that_is_paired_shows_no_page(cloud, box):
    require_programs("secbox-pairing")
    box.write_env("mgmt-agent.env", {**box.own, **cloud.enroll("configured-by-hand")})
    wait_until(lambda: pairing(box)["state"] == "claimed", "the box counts as paired", box.agent.death)
    page = Page(box)
    wait_until(lambda: page.daemon.process.poll() is not None, "the page ends")
    assert page.daemon.process.returncode == 0 and "the pairing page is on port" not in page.daemon.log()


@pytest.mark.skipif(not browsers.available(), reason="chromium or chromium-driver is missing: make deps")
def test_a_phone_pairs_the_box(cloud, box, page, folder):
    fleet, picture = Fleet(cloud.url, cloud.token, folder), os.path.join(folder, "qr.png")
    no_code = os.path.join(ROOT, "secbox/lan/app/icon.svg")
    fleet.env["SECBOX_CA"] = cloud.authority
    claim = json.loads(fleet.run("devices", "add", "by-phone", "--label", "community=Los Olivos", "--qr-png", picture,
                                 check=0).stdout)
    video = os.path.join(folder, "claim.y4m")
    draw_video(json.dumps(claim), video)
    with Browser(video=video) as browser:
        browser.resize(360, 800)
        browser.open(f"http://127.0.0.1:{page.port}/")
        browser.find("#claim")
        if "English" not in browser.text("#language"):
            browser.click("#language")
        browser.wait_text("Vincular esta caja")
        browser.type("#pin", "1")
        browser.type("#claim", "hello")
        box.agent.kill()
        browser.wait_text("La caja no responde", "#away")
        box.start_agent()
        wait_until(lambda: not browser.text("#away"), "the page knows that the box is back", box.agent.death)
        # neither a choice that was cancelled, nor a picture without a code, nor a camera that fails takes away what was typed
        browser.run("document.querySelector('#image').dispatchEvent(new Event('change'))")
        browser.choose_file("#image", no_code)
        browser.wait_text("No se ve ningún código QR", "#claim-error")
        browser.run("globalThis.camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
                    "navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no camera'))")
        browser.click("#scan")
        browser.wait_text("La cámara no se pudo usar", "#claim-note")
        browser.find("#scan")
        assert browser.run("return document.querySelector('#claim').value") == "hello", "nobody types it twice"
        # the code in front of the camera, then something else for what is told of it
        browser.run("navigator.mediaDevices.getUserMedia = camera")
        browser.click("#scan")
        browser.wait_text("Código leído", "#claim-note")
        assert json.loads(browser.run("return document.querySelector('#claim').value")) == claim
        browser.find("#scan")
        browser.run("document.querySelector('#claim').value = ''")
        browser.type("#claim", "hello")
        browser.click("#send")
        browser.wait_text("Ese no es el PIN", "#pin-error")
        browser.type("#pin", pairing(box)["pin"])
        browser.click("#send")
        browser.wait_text("no es un código de vinculación completo", "#claim-error")
        # it is what the picture says that pairs the box
        browser.call("POST", f"/element/{browser.find('#image')}/value", {"text": picture})
        browser.wait_text("Código leído", "#claim-note")
        browser.click("#send")
        browser.wait_text(f"{claim['deviceId']} · Los Olivos", "#whose")
        browser.wait_text("Esperando los servicios", "li.now")
        browser.click("#language")
        browser.wait_text("Waiting for your community's services", "li.now")
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), "it fits a phone"
        assert not [c for c in browser.complaints() if "40" not in c and "favicon" not in c]
    cloud.wait_connected(claim["deviceId"])
