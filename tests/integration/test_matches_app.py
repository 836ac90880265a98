# SPDX-License-Identifier: MIT
"""What cameras recognise, in the guards' app in Debian's Chromium."""
# pylint: disable=redefined-outer-name,unused-import
import os
import time

import pytest

from tests.integration.test_app import SCREENS, barriers, log_in, small
from tests.integration.test_matches import cloud, gate, pg
from tests.lab import browser as browsers
from tests.lab.browser import Browser
from tests.lab.util import wait_until

pytestmark = pytest.mark.skipif(not browsers.available(), reason="chromium or chromium-driver is missing: make deps")


@pytest.fixture
def page(gate):
    browser = Browser(["secbox.local"])
    browser.trust(gate.box.authority)
    with browser:
        browser.open(f"https://secbox.local:{gate.box.port}/")
        yield browser


def shown(page):
    return page.run("return [...document.querySelectorAll('[data-sighting]')].map((e) => e.dataset.sighting)")


def test_a_banned_and_an_expected_plate(gate, page):
    page.resize(1280, 2400)
    log_in(page)
    page.run("window.seenAt = 0;"
             "const look = () => { if (document.querySelector('[data-sighting]')) window.seenAt ||= Date.now(); };"
             "new MutationObserver(look).observe(document.querySelector('.sightings'), { childList: true, subtree: true })")
    wait_until(lambda: page.run("const b = await import('/box.mjs'); return b.state.watching === true"), "the app is watching")
    car = gate.frigate.add_event("entrada")
    began = time.time()
    gate.frigate.read_plate(car, "AB0158", 0.91)
    page.find("[data-sighting=VETADO]")
    print(f"a guard sees a banned plate {page.run('return window.seenAt') - 1000 * began:.0f} ms after Frigate's message")
    for text in ("robo", "AB0158", "91 %", "entrada"):
        page.wait_text(text, ".sightings")
    wait_until(lambda: page.run("return document.querySelector('.sightings img')?.naturalHeight ?? 0") > 0, "the picture is shown")
    assert barriers(page) == [] and small(page) == []
    os.makedirs(SCREENS, exist_ok=True)
    page.screenshot(os.path.join(SCREENS, "sightings-es-day-1280.png"))
    # it stands above every screen, and not again once it was seen
    page.click("[data-screen=shift]")
    assert shown(page) == ["VETADO"]
    page.click(".sightings button")
    wait_until(lambda: shown(page) == [], "it is seen")
    kept = "const s = await import('/store.mjs'); return (await s.getValue('seenSightings'))?.length"
    wait_until(lambda: page.run(kept) == 1, "it is kept")
    page.open(f"https://secbox.local:{gate.box.port}/")
    page.find("#search")
    guest = gate.frigate.add_event("entrada")
    gate.frigate.read_plate(guest, "XYZ987")
    page.find("[data-sighting=AUTORIZADO]")
    assert shown(page) == ["AUTORIZADO"]
    page.run("[...document.querySelectorAll('.sightings button')].at(-1).click()")
    page.find("#name")
    assert page.run("return document.querySelector('#name').value") == "Ana María Ruiz"
    misread = gate.frigate.add_event("entrada")
    gate.frigate.read_plate(misread, "XYZ9K7")
    page.find("[data-sighting=DESCONOCIDO]")
    page.wait_text("Parecido a un invitado esperado", ".sightings")
    page.wait_text("Ana María Ruiz", ".sightings")
