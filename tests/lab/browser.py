# SPDX-License-Identifier: MIT
"""Debian's Chromium, headless, by its own driver and the W3C's WebDriver protocol."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

from tests.lab.util import PATIENCE_SECONDS, free_port, read_text, wait_until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class BrowserError(Exception):
    pass


def available():
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """One profile, which trusts the authorities that trust() adds; resolve() leads a name to 127.0.0.1."""

    def __init__(self, names=(), width=1280, height=900, video=None):
        """video: a .y4m file that its camera shows."""
        self.folder = tempfile.mkdtemp(prefix="secbox-browser-")
        self.names, self.size, self.video = names, (width, height), video
        self.port, self.session, self.process = free_port(), None, None
        # certificates are looked up in the user's own NSS database
        self.env = {**os.environ, "HOME": self.folder}
        self.nss = os.path.join(self.folder, ".pki", "nssdb")
        os.makedirs(self.nss)
        self._certutil("-N", "--empty-password")

    def _certutil(self, *arguments):
        done = subprocess.run(["certutil", "-d", f"sql:{self.nss}", *arguments], env=self.env, capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise BrowserError(done.stderr)

    def trust(self, path):
        self._certutil("-A", "-n", os.path.basename(path), "-t", "C,,", "-i", path)

    def __enter__(self):
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                ["chromedriver", f"--port={self.port}", "--allowed-ips=127.0.0.1"], env=self.env, stdout=log, stderr=log)
        wait_until(self._is_ready, "chromedriver", self._trouble)
        rules = ",".join(f"MAP {name} 127.0.0.1" for name in self.names)
        arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                     f"--user-data-dir={self.folder}/profile", f"--window-size={self.size[0]},{self.size[1]}",
                     "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                     *([f"--use-file-for-fake-video-capture={self.video}"] if self.video else []),
                     *([f"--host-resolver-rules={rules}"] if rules else [])]
        options = {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self._call("DELETE", f"/session/{self.session}")
        finally:
            self.process.terminate()
            self.process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _trouble(self):
        return None if self.process.poll() is None else read_text(os.path.join(self.folder, "log"))

    def _is_ready(self):
        try:
            return self._call("GET", "/status")["ready"]
        except OSError:
            return False

    def _call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"},
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            value = json.load(e)["value"]
            raise BrowserError(f"{value['error']}: {value['message']}") from e

    def call(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """A script's value; it may `return await …`."""
        return self.call("POST", "/execute/sync", {"script": f"return (async (...a) => {{ {script} }})(...arguments)",
                                                   "args": list(arguments)})

    def find(self, css):
        """Waits for the element."""
        def found():
            try:
                return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]
            except BrowserError:
                return None
        return wait_until(found, f"an element {css}", lambda: None)

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click", {})

    def type(self, css, text):
        element = self.find(css)
        self.call("POST", f"/element/{element}/clear", {})
        self.call("POST", f"/element/{element}/value", {"text": text})

    def choose_file(self, css, path):
        self.call("POST", f"/element/{self.find(css)}/value", {"text": path})

    def text(self, css="body"):
        return self.call("GET", f"/element/{self.find(css)}/text")

    def wait_text(self, text, css="body"):
        wait_until(lambda: self._has(css, text), f"'{text}' in {css}")

    def _has(self, css, text):
        try:
            return text in self.text(css)
        except BrowserError:  # it was replaced meanwhile
            return False

    def resize(self, width, height):
        """Of the page, whatever the window's frame: windows have a least width."""
        self.call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}})

    def screenshot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("GET", "/screenshot")))

    def picture(self, css):
        """What is seen of an element, as the text of a PNG."""
        return self.call("GET", f"/element/{self.find(css)}/screenshot")

    def complaints(self):
        """What the page has written to its console as errors."""
        return [e["message"] for e in self.call("POST", "/se/log", {"type": "browser"}) if e["level"] == "SEVERE"]
