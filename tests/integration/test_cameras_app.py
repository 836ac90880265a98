# SPDX-License-Identifier: MIT
"""The guards' page of cameras in Debian's Chromium. Pictures of it are left in build/screens."""
# pylint: disable=redefined-outer-name,unused-import
import os

import pytest

from tests.integration.test_app import SCREENS, barriers, log_in, nameless, small, widest
from tests.integration.test_lan import cloud, pg
from tests.integration.test_lan_cameras import NAMES, camera_gate
from tests.lab import browser as browsers
from tests.lab.browser import Browser
from tests.lab.frigate_stand_in import FrigateStandIn, Pictures
from tests.lab.util import wait_until

pytestmark = pytest.mark.skipif(not browsers.available(), reason="chromium or chromium-driver is missing: make deps")

SHOWN = "return [...document.querySelectorAll('.camera img')].filter((i) => i.naturalWidth > 0).length"
LIVE = "return document.querySelector('[data-live]')?.naturalHeight ?? 0"
# what a tablet does whose browser is in the background: a headless one is always in front
SEEN = ("Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => a[0] });"
        "document.dispatchEvent(new Event('visibilitychange'))")


@pytest.fixture
def gate(cloud, pg):
    for height in (360, 720):
        Pictures.loop(height)
    with FrigateStandIn(NAMES) as frigate, camera_gate(cloud, pg, frigate) as it:
        yield it
        assert not frigate.orders and not frigate.forbidden()


@pytest.fixture
def page(gate):
    browser = Browser(["secbox.local"])
    browser.trust(gate.box.authority)
    with browser:
        browser.open(f"https://secbox.local:{gate.box.port}/")
        yield browser


def words(page, name):
    return page.text(f"[data-camera={name}]")


def look_at_it(page, name):
    os.makedirs(SCREENS, exist_ok=True)
    for width in (360, 1280):
        page.resize(width, 900)
        assert widest(page) <= width
        page.screenshot(os.path.join(SCREENS, f"{name}-{width}.png"))
        assert barriers(page) == [], width
        assert nameless(page) == [] and small(page) == []


def test_cameras(gate, page):
    frigate = gate.frigate
    log_in(page)
    page.click("[data-screen=cameras]")
    wait_until(lambda: page.run(SHOWN) == len(NAMES), "each has a picture", gate.box.alive)
    assert "Ver en vivo" in words(page, "garagem")
    look_at_it(page, "cameras-es-day")
    # live: one stream, until it is closed
    page.click("[data-camera=entrada]")
    wait_until(lambda: page.run(LIVE) == 720, "it is live", gate.box.alive)
    page.wait_text("En vivo", ".live")
    assert frigate.open_streams == ["entrada"]
    look_at_it(page, "cameras-live-es-day")
    # in the background nothing is fetched
    page.run(SEEN, "hidden")
    wait_until(lambda: frigate.open_streams == [], "the stream ends", gate.box.alive)
    asked = len(frigate.asked("/api/garagem/latest.jpg"))
    page.run("await new Promise((resolve) => setTimeout(resolve, 4000))")
    assert len(frigate.asked("/api/garagem/latest.jpg")) <= asked + 1, "at most what was on its way"
    page.run(SEEN, "visible")
    wait_until(lambda: frigate.open_streams == ["entrada"], "it goes on", gate.box.alive)
    wait_until(lambda: len(frigate.asked("/api/garagem/latest.jpg")) > asked + 1, "all go on", gate.box.alive)
    # a camera that is gone is said, not only seen
    frigate.offline.add("garagem")
    wait_until(lambda: "Sin señal" in words(page, "garagem"), "it is said", gate.box.alive)
    frigate.stop()
    page.wait_text("Las cámaras no responden", "main .notice")
    frigate.offline.clear()
    frigate.start()
    wait_until(lambda: "Ver en vivo" in words(page, "garagem"), "all is well", gate.box.alive)
    # the box itself is restarted: what was live is live again
    wait_until(lambda: frigate.open_streams == ["entrada"], "it is live", gate.box.alive)
    begun = frigate.streams_begun
    gate.box.stop()
    gate.box.start()
    gate.box.wait_ready()
    gate.tablet.connection = None
    wait_until(lambda: frigate.streams_begun > begun and frigate.open_streams == ["entrada"], "it is live again", gate.box.alive)
    # another screen: nobody looks any more
    page.click("[data-screen=shift]")
    page.find("#text")
    wait_until(lambda: frigate.open_streams == [], "the stream ends", gate.box.alive)
    # the moment of an entry, as guards see it
    gate.enter_with_picture()
    page.click("[data-screen=inside]")
    page.click("details summary")
    kept = "return [...document.querySelectorAll('.photos img')].at(-1)?.naturalHeight ?? 0"
    wait_until(lambda: page.run(kept) == 720, "it is shown", gate.box.alive)
    assert page.run("return document.querySelector('.photos img').alt") == "La entrada, vista por la cámara"


def test_a_guard_who_registers_keeps_the_moment(gate, page):
    log_in(page)

    def registered():
        page.click("[data-screen=register]")
        page.type("#name", "Con Cámara")
        page.click("main button[type=submit]")
        page.wait_text("Con Cámara")
        return gate.box.sql("SELECT 1 FROM visits WHERE data->'cameraPhoto'->>'camera' = 'entrada'")

    wait_until(registered, "an entry with a picture", gate.box.alive)
