# SPDX-License-Identifier: MIT
"""The guards' app in Debian's Chromium, on a real box with a real database: with the cloud, without it, and without the box.
Pictures of every screen are left in build/screens."""
# pylint: disable=redefined-outer-name,unused-import
import base64
import functools
import hashlib
import os
import struct
import time
import uuid

import pytest

from tests.integration.test_lan import PIN, cloud, pg, place, with_key
from tests.lab import browser as browsers
from tests.lab.browser import Browser
from tests.lab.passes import PassKey, draw_video
from tests.lab.util import ROOT, read_text, wait_until

SCREENS = os.path.join(ROOT, os.environ.get("BUILD", "build"), "screens")
NAMES = ["search", "today", "scan", "register", "inside", "shift", "state", "settings"]

pytestmark = pytest.mark.skipif(not browsers.available(), reason="chromium or chromium-driver is missing: make deps")


@pytest.fixture
def page(place):
    browser = Browser(["secbox.local"])
    browser.trust(place.box.authority)
    with browser:
        browser.open(f"https://secbox.local:{place.box.port}/")
        yield browser


def picture(page, name):
    os.makedirs(SCREENS, exist_ok=True)
    page.resize(320, 800)
    assert page.run("const right = (css) => document.querySelector(css).getBoundingClientRect().right;"
                    "return right('.verdict .word') < right('.verdict')"), "the word keeps within its banner"
    page.resize(360, 800)
    page.screenshot(os.path.join(SCREENS, f"{name}-es-day-360.png"))
    page.resize(1280, 900)


def choose(page, name):
    page.find("#guard")
    page.run("const s = document.querySelector('#guard'); s.value = [...s.options].find((o) => o.textContent === a[0]).value", name)


def log_in(page):
    choose(page, "Rosa Díaz")
    page.type("#pin", PIN)
    page.click("button[type=submit]")
    page.find("#search")


def search(page, text, verdict):
    page.type("#search", text)
    page.find(f"[data-verdict={verdict}]")


def outbox(page):
    return page.run("const s = await import('/store.mjs'); return (await s.outbox()).length")


def visits(place):
    return place.box.sql("SELECT data->>'name' FROM visits ORDER BY entered_at")


def verdicts(page):
    page.click("[data-screen=search]")
    search(page, "ab0 i58", "VETADO")
    page.wait_text("robo", ".verdict")
    search(page, "xyz987", "AUTORIZADO")
    page.wait_text("12-B", ".verdict")
    search(page, "quien sabe", "DESCONOCIDO")


def register(page, name):
    page.click("[data-screen=register]")
    page.type("#name", name)
    page.click("main button[type=submit]")


def test_a_shift(cloud, place, page):
    page.type("#pin", "0000")
    page.click("button[type=submit]")
    page.wait_text("PIN", ".error")
    log_in(page)
    wait_until(lambda: page.run("return Boolean(await caches.match('/main.mjs'))"), "the app is kept")
    verdicts(page)
    register(page, "María del Mar")
    page.find("ul.cards .card")
    page.wait_text("María del Mar")
    assert visits(place) == [["María del Mar"]]
    wait_until(lambda: page.run("const s = await import('/store.mjs'); return Boolean(await s.getValue('copiedAt'))"), "the copies")
    # the cloud is gone: all of it again
    cloud.stop_tunnels()
    verdicts(page)
    register(page, "Sin Nube")
    page.wait_text("Sin Nube")
    assert len(visits(place)) == 2
    # the box is gone: the app starts from what the tablet keeps
    place.box.stop()
    page.open(f"https://secbox.local:{place.box.port}/")
    page.find("#search")
    verdicts(page)
    page.wait_text("La caja no responde", ".notice")
    register(page, "Sin Caja")
    page.wait_text("Guardado en esta tableta", ".notice")
    assert outbox(page) == 1
    # a guest who may come twice is let in twice, although the box does not hear of it
    for _ in range(2):
        page.click("[data-screen=search]")
        search(page, "xyz987", "AUTORIZADO")
        page.click(".card.AUTORIZADO .actions button")
        page.click("main button[type=submit]")
        page.wait_text("Guardado en esta tableta", ".notice")
    page.click("[data-screen=search]")
    search(page, "xyz987", "DESCONOCIDO")
    page.wait_text("Ya usó todas sus entradas", ".verdict")
    page.open(f"https://secbox.local:{place.box.port}/")
    page.find("#search")
    assert outbox(page) == 3, "they outlive a closed tab"
    place.box.start()
    wait_until(lambda: outbox(page) == 0, "the entry has arrived", place.box.alive)
    guest = "Ana María Ruiz"
    assert [v[0] for v in visits(place)] == ["María del Mar", "Sin Nube", "Sin Caja", guest, guest], "each exactly once"
    page.click("[data-screen=inside]")
    wait_until(lambda: page.run("return document.querySelectorAll('ul.cards .card').length") == 5, "all are inside")
    text = page.run("return [...document.querySelectorAll('.card')].find((c) => c.textContent.includes(a[0])).textContent", guest)
    assert "12-B" in text and " · hace " in text, text


def test_no_day_is_taken_for_another(page):
    shown = page.run("const t = await import('/texts.mjs'); return ['es', 'en'].flatMap((l) => { t.setLanguage(l);"
                     "return [t.clock('2020-12-01T05:09:00Z', 'America/Guayaquil'), t.clock(Date.now(), 'UTC')]; })")
    assert (shown[0], shown[2]) == ("1 dic 2020, 00:09", "Dec 1, 2020, 00:09")
    assert all(str(time.gmtime().tm_year) not in text for text in (shown[1], shown[3]))


def test_a_ban_shows_where_nobody_searched(place, page):
    """The day's list knows nothing of bans, and a form may be filled by hand."""
    log_in(page)
    wait_until(lambda: page.run("const s = await import('/store.mjs'); return Boolean(await s.getValue('copiedAt'))"), "the copies")
    for answers in (True, False):
        if not answers:
            place.box.stop()
        page.click("[data-screen=today]")
        page.wait_text("Bad Friend", ".cards")
        page.run("[...document.querySelectorAll('.card')].find((c) => c.textContent.includes('Bad Friend'))"
                 ".querySelector('button').click()")
        page.wait_text("robo", "form [data-verdict=VETADO]")
        page.click("[data-screen=register]")
        page.type("#plate", "ab0 i58")
        page.run("document.activeElement.blur()")
        page.wait_text("robo", "form [data-verdict=VETADO]")
        page.type("#plate", "xyz987")
        page.run("document.activeElement.blur()")
        wait_until(lambda: not page.run("return Boolean(document.querySelector('form [data-verdict]'))"), "no word of a ban")
    # neither the box nor the tablet can say it: that is no all-clear
    page.run("const s = await import('/store.mjs'); await s.setValue('copiedAt', null)")
    page.type("#plate", "ab0 i58")
    page.run("document.activeElement.blur()")
    page.wait_text("Todavía no hay datos", "form .error")


def camera_photo(page, path):
    """As a camera writes it: large, with an Exif part that says where it was taken, and lying on its side (orientation 6)."""
    url = page.run("const c = document.createElement('canvas'); c.width = 2400; c.height = 1800; const x = c.getContext('2d');"
                   "const noise = x.createImageData(2400, 600); for (let i = 0; i < noise.data.length; i += 65536)"
                   "crypto.getRandomValues(noise.data.subarray(i, i + 65536)); x.fillStyle = '#0a0'; x.fillRect(0, 0, 2400, 1800);"
                   "x.putImageData(noise, 0, 0); return c.toDataURL('image/jpeg', 0.9)")
    data = base64.b64decode(url.split(",", 1)[1])
    directory = struct.pack(">H", 2) + struct.pack(">HHIHH", 0x112, 3, 1, 6, 0) + struct.pack(">HHII", 0x10e, 2, 12, 38) + bytes(4)
    exif = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + directory + b"Quito -0.18\0"
    with open(path, "wb") as f:
        f.write(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    return os.path.getsize(path)


def jpeg_size(data):
    """(width, height) by its first frame header."""
    at = 2
    while not 0xc0 <= data[at + 1] <= 0xc2:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return struct.unpack(">HH", data[at + 5:at + 9])[::-1]


def photos_here(page):
    return page.run("const s = await import('/store.mjs'); return (await s.photoDigests()).length")


def register_with_photo(page, name, path):
    page.click("[data-screen=register]")
    page.type("#name", name)
    page.choose_file("#photo", path)
    page.find(".photos img")


def test_photos(place, page, folder):
    path, server = os.path.join(folder, "camera.jpg"), place.box.server
    page.resize(1280, 1500)  # the button to save is below the photo
    log_in(page)
    wait_until(lambda: page.run("return Boolean(await caches.match('/photo.mjs'))"), "the app is kept")
    assert camera_photo(page, path) > 300 * 1024
    # the box is away: entry and photo outlive a closed tab
    place.box.stop()
    register_with_photo(page, "Con Foto", path)
    assert barriers(page) == []
    page.click("main .actions .main")
    page.wait_text("Guardado en esta tableta", ".notice")
    page.open(f"https://secbox.local:{place.box.port}/")
    page.find("#search")
    assert (outbox(page), photos_here(page)) == (1, 1)
    place.box.start()
    wait_until(lambda: (outbox(page), photos_here(page)) == (0, 0), "entry and photo are on the box", place.box.alive)
    wait_until(lambda: server.photos, "the cloud has it", place.box.alive)
    (digest, data), = server.photos.items()
    assert jpeg_size(data) == (960, 1280) and len(data) <= 300 * 1024, "small, and upright"
    assert b"Exif" not in data and b"Quito" not in data
    assert place.box.sql("SELECT data->'photos'->>0 FROM visits") == [[digest]]
    # a guard looks at it
    page.click("[data-screen=inside]")
    page.click("details summary")
    page.find(".photos img")
    wait_until(lambda: page.run("return document.querySelector('.photos img').naturalWidth") == 960, "the photo is shown")
    assert barriers(page) == [] and small(page) == []
    # one that was taken back does not go along; what is no picture is said
    register_with_photo(page, "Sin Foto", path)
    page.click(".photos button")
    with open(path, "wb") as f:
        f.write(b"not a picture")
    page.choose_file("#photo", path)
    page.wait_text("No se pudo leer la foto", ".photos")
    page.click("main .actions .main")
    page.wait_text("Sin Foto", "ul.cards")
    assert place.box.sql("SELECT data->'photos' FROM visits ORDER BY entered_at")[1] == [""]


def scanned(page, verdict, name):
    page.click("[data-screen=scan]")
    page.find(f"[data-verdict={verdict}]")
    picture(page, name)


# Chromium on Linux has no BarcodeDetector. This one has the members of Chromium's on Android that matter here: it takes a video
# element, refuses a few pictures first, as a camera that is just starting has it do, then finds no code, then one. Its text is not
# what the camera shows, so that it is known who has read it. "broken" refuses all of them, as where the system's part is missing.
DETECTOR = """
globalThis.looks = 0;
globalThis.BarcodeDetector = class {
  static async getSupportedFormats() { return ["code_128", "qr_code"]; }
  constructor({ formats }) { if (String(formats) !== "qr_code") throw new TypeError("formats"); }
  async detect(source) {
    if (!(source instanceof HTMLVideoElement)) throw new TypeError("source");
    looks += 1;
    if (a[1] === "broken" || looks <= 2) throw new DOMException("Barcode detection service unavailable.", "NotSupportedError");
    return looks === 3 ? [] : [{ rawValue: a[0], format: "qr_code", boundingBox: new DOMRectReadOnly(), cornerPoints: [] }];
  }
};
"""


def read_by_the_browser(page, shown):
    """The camera shows a pass that was used; the detector says that it is another one."""
    for kind, words in (("good", "El pase no es válido"), ("broken", shown)):
        page.run(DETECTOR, PassKey().sign(str(uuid.uuid4()), str(uuid.uuid4()))[0], kind)
        page.click("[data-screen=scan]")
        page.wait_text(words, ".verdict")
        assert page.run("return looks") >= (4 if kind == "good" else 5)
        page.click("[data-screen=search]")
    page.run("delete globalThis.BarcodeDetector")


def enter(page):
    page.click(".cards .actions button")
    page.click("main button[type=submit]")


def test_a_pass_in_front_of_the_camera(place, folder):
    key, video = PassKey(), os.path.join(folder, "pass.y4m")
    place.logged_in()
    with_key(place, key)
    text, name = key.sign(place.community.id, place.guest)
    draw_video(text, video)
    browser = Browser(["secbox.local"], video=video)
    browser.trust(place.box.authority)
    with browser as page:
        page.open(f"https://secbox.local:{place.box.port}/")
        log_in(page)
        wait_until(lambda: page.run("return Boolean(await caches.match('/jsqr-1.4.0.mjs'))"), "the app is kept")
        scanned(page, "AUTORIZADO", "scan-good")
        enter(page)
        page.wait_text("Ana María Ruiz", "ul.cards")
        assert place.box.sql("SELECT data->>'pass' FROM visits") == [[name]]
        scanned(page, "DESCONOCIDO", "scan-used")
        page.wait_text("El pase ya se usó", ".verdict")
        read_by_the_browser(page, "El pase ya se usó")
        page.click("[data-screen=scan]")
        page.wait_text("El pase ya se usó", ".verdict")
        # the tablet alone: it checks the signature itself, and knows of the use
        wait_until(lambda: page.run("const s = await import('/store.mjs'); return (await s.getValue('guests') ?? [])"
                                    ".some((g) => g.passes?.includes(a[0]))", name), "the copies")
        place.box.stop()
        page.click("main .actions button.main")
        page.wait_text("El pase ya se usó", ".verdict")
        page.wait_text("La caja no responde", ".notice")
        other, other_name = key.sign(place.community.id, place.guest)
        for code, words in ((PassKey().sign(place.community.id, place.guest)[0], "El pase no es válido"), (other, "AUTORIZADO")):
            page.type("#code", code)
            page.click("form button[type=submit]")
            page.wait_text(words, ".verdict")
        enter(page)
        page.wait_text("Guardado en esta tableta", ".notice")
        assert page.run("const b = await import('/box.mjs'); return (await b.lookup(a[0])).pass.refusal", other) == "pass-used"
        place.box.start()
        wait_until(lambda: outbox(page) == 0, "the entry has arrived", place.box.alive)
        assert place.box.sql("SELECT pass FROM guest_uses ORDER BY at") == [[name], [other_name]]


def test_logging_out_without_the_box(place, page):
    log_in(page)
    wait_until(lambda: page.run("return Boolean(await caches.match('/main.mjs'))"), "the app is kept")
    place.box.stop()
    page.click("[data-screen=settings]")
    page.click("main .actions button")
    page.find("form")
    page.open(f"https://secbox.local:{place.box.port}/")
    page.wait_text("La caja no responde")
    place.box.start()
    page.find("#pin")  # without loading the page anew
    assert page.run("return (await fetch('/api/lan/session')).status") == 401, "the box is told before it is asked for anything"


def widest(page):
    return page.run("return Math.max(...[...document.querySelectorAll('body *')].filter((e) => !e.closest('nav'))"
                    ".map((e) => e.getBoundingClientRect().right))")


def nameless(page):
    """Controls that a screen reader has no name for."""
    return page.run("return [...document.querySelectorAll('input, select, textarea, button, a')].filter((e) => !(e.labels?.length"
                    " || e.textContent.trim() || e.getAttribute('aria-label'))).map((e) => e.outerHTML)")


def small(page):
    """Controls that a glove does not hit."""
    return page.run("return [...document.querySelectorAll('input, select, textarea, button, a.button')].filter((e) =>"
                    " e.getBoundingClientRect().height < 44).map((e) => e.outerHTML)")


@functools.cache
def axe():
    """axe-core as its makers publish it (its axe.min.js)."""
    source = read_text(os.path.join(ROOT, "tests", "axe", "axe-4.10.3.mjs"))
    assert hashlib.sha256(source.encode()).hexdigest() == "880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb"
    return source


def barriers(page):
    """What axe-core finds serious or worse: rule, element, and what it says of it."""
    if not page.run("return Boolean(window.axe)"):
        page.run(axe())
    return page.run("const found = await axe.run(document, { resultTypes: ['violations'] }); return found.violations"
                    ".filter((v) => ['serious', 'critical'].includes(v.impact))"
                    ".flatMap((v) => v.nodes.map((n) => [v.id, n.target.join(' '), n.failureSummary]))")


def test_axe_finds_what_is_wrong(page):
    """It is quiet elsewhere because nothing is wrong there, not because it does not look."""
    page.find("#guard")
    assert barriers(page) == []
    page.run("document.querySelector('label').remove()")
    assert [rule for rule, *_ in barriers(page)] == ["select-name"]


def test_every_screen(place, page):
    os.makedirs(SCREENS, exist_ok=True)
    log_in(page)
    place.tablet.cookies = {}
    place.logged_in().post("/api/lan/entries", {"kind": "enter", "name": "Ana María Ruiz", "plate": "XYZ-987", "companions": 2})
    place.tablet.post("/api/lan/notes", {"text": "El portón 2 no cierra bien."})
    for language, theme in (("es", "day"), ("es", "night"), ("en", "day"), ("en", "night")):
        page.run("const s = await import('/store.mjs'); await s.setValue('language', a[0]); await s.setValue('theme', a[1])",
                 language, theme)
        page.open(f"https://secbox.local:{place.box.port}/")
        for name in NAMES:
            page.click(f"[data-screen={name}]")
            page.find("main h2, main label")
            if name == "search":
                search(page, "ab0158", "VETADO")
            for width in (320, 360, 1280):
                page.resize(width, 800)
                assert widest(page) <= width, (name, width)
                page.screenshot(os.path.join(SCREENS, f"{name}-{language}-{theme}-{width}.png"))
                assert width == 320 or barriers(page) == [], (name, language, theme, width)
            assert nameless(page) == [] and small(page) == [], name
    # before the login the app asks whether there is one
    assert [c for c in page.complaints() if "/api/lan/session" not in c] == []
