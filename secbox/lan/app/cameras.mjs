// SPDX-License-Identifier: MIT
// The box's cameras: a picture of each, again and again, and one of them live. Nothing is fetched while nobody can see it: not
// while the tablet shows something else, nor while the screen is another one.

import * as box from "./box.mjs";
import { picture, request } from "./net.mjs";
import { t } from "./texts.mjs";
import { h } from "./views.mjs";

const ROUND_MS = 3000; // from one picture of a camera to its next
const GAP_MS = 200; // one at a time: the box has others to serve
const LIST_MS = 10000;
const AGAIN_MS = 3000; // after a live picture broke off

const STATES = { online: "cameraLive", offline: "cameraOffline", off: "cameraOff" };
const canBeSeen = () => document.visibilityState === "visible";
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const query = (camera, height) => `camera=${encodeURIComponent(camera)}&height=${height}`;

let current = null; // the screen, while it is the one that is shown

// The picture that goes on, above the others.
class Live {
  constructor(name, onClose) {
    this.name = name;
    this.image = h("img", { alt: t("cameraPicture", { camera: name }), "data-live": name });
    this.state = h("span", { class: "soft", role: "status" });
    this.element = h("figure", { class: "live" }, this.image, h("figcaption", {}, h("span", { class: "name" }, name), " ", this.state),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: onClose }, t("cameraClose"))));
    this.image.addEventListener("error", () => this.again());
  }

  start() {
    clearTimeout(this.timer);
    if (!canBeSeen()) return;
    // another address each time: the browser must ask, and not go on with what broke off
    this.image.src = `/api/lan/cameras/stream?${query(this.name, 720)}&at=${Date.now()}`;
  }

  // a source that is gone ends the request, too; without that it would go on behind an element that nobody sees
  stop() {
    clearTimeout(this.timer);
    this.image.removeAttribute("src");
  }

  again() {
    if (!this.image.hasAttribute("src")) return;
    this.stop();
    this.timer = setTimeout(() => this.start(), AGAIN_MS);
  }
}

class Card {
  constructor(name, onOpen) {
    this.name = name;
    this.image = h("img", { alt: "" });
    this.words = h("span", {});
    this.button = h("button", { type: "button", class: "camera", "data-camera": name, onclick: onOpen }, this.image,
      h("span", { class: "name" }, name), this.words);
    this.element = h("li", {}, this.button);
  }

  setState(state, isLive) {
    this.state = state;
    this.button.disabled = state === "off";
    this.words.textContent = isLive && state === "online" ? t("cameraNow") : t(STATES[state] ?? "cameraOffline");
  }

  show(blob) {
    const before = this.image.src;
    this.image.src = URL.createObjectURL(blob);
    if (before) URL.revokeObjectURL(before);
  }

  end() {
    if (this.image.src) URL.revokeObjectURL(this.image.src);
  }
}

class Screen {
  constructor(root) {
    this.cards = [];
    this.live = null;
    this.abort = new AbortController();
    this.message = h("div", { role: "status" });
    this.stage = h("div", {});
    this.list = h("ul", { class: "cameras" });
    root.replaceChildren(h("h2", {}, t("camerasTitle")), this.message, this.stage, this.list);
  }

  // Whether it is still the one that is shown.
  get shown() {
    return current === this;
  }

  say(text) {
    this.message.replaceChildren(...(text ? [h("p", { class: "notice" }, text)] : []));
  }

  async readList() {
    this.listAt = Date.now();
    const { frigate, cameras } = await request("GET", "/api/lan/cameras");
    if (!this.shown) return;
    if (frigate === "none" || (frigate === "up" && cameras.length === 0)) this.say(t("camerasNone"));
    else this.say(frigate === "up" ? null : t("camerasAway"));
    const names = cameras.map((c) => c.name).join();
    if (names !== this.names) this.draw(cameras);
    this.names = names;
    this.states = cameras.map(({ state }) => (frigate === "up" || state === "off" ? state : "offline"));
    this.showStates();
    const live = this.cards.find((card) => card.name === this.live?.name);
    if (this.live && !live) this.close();
    else if (live) this.live.state.textContent = live.words.textContent;
  }

  showStates() {
    this.cards.forEach((card, i) => card.setState(this.states[i], card.name === this.live?.name));
  }

  draw(cameras) {
    this.cards.forEach((card) => card.end());
    this.cards = cameras.map(({ name }) => new Card(name, () => this.open(name)));
    this.list.replaceChildren(...this.cards.map((card) => card.element));
  }

  open(name) {
    this.live?.stop();
    this.live = new Live(name, () => this.close());
    this.stage.replaceChildren(this.live.element);
    this.live.start();
    this.live.element.scrollIntoView({ block: "nearest" });
    this.showStates();
    this.readList().catch(() => {});
  }

  close() {
    const name = this.live?.name;
    this.live?.stop();
    this.live = null;
    this.stage.replaceChildren();
    this.showStates();
    this.cards.find((card) => card.name === name)?.button.focus();
  }

  // One picture of each camera that is not looked at live.
  async round() {
    for (const card of this.cards) {
      if (!this.shown || !canBeSeen()) return;
      if (card.state === "off" || card.name === this.live?.name) continue;
      try {
        card.show(await picture(`/api/lan/cameras/frame?${query(card.name, 360)}`, this.abort.signal));
      } catch {
        // the one before stays; the list says what is wrong
      }
      await sleep(GAP_MS);
    }
  }

  async run() {
    while (this.shown) {
      const began = Date.now();
      if (canBeSeen()) {
        if (!this.listAt || this.stale || Date.now() - this.listAt > LIST_MS) {
          this.stale = false;
          await this.readList().catch(() => this.shown && this.say(t("camerasAway")));
        }
        await this.round();
      }
      await Promise.race([sleep(Math.max(GAP_MS, began + ROUND_MS - Date.now())), new Promise((resolve) => { this.wake = resolve; })]);
    }
  }

  // it can be seen, or cannot any more
  look() {
    if (canBeSeen()) {
      this.live?.start();
      this.wake?.();
    } else {
      this.live?.stop();
      this.abort.abort();
      this.abort = new AbortController();
    }
  }

  end() {
    this.abort.abort();
    this.live?.stop();
    this.wake?.();
    this.cards.forEach((card) => card.end());
  }
}

let news = 0;
let connections = 0;

// The box says that a camera is otherwise, or is back after it was away, when what was live has ended.
box.onChange(() => {
  const isBack = connections !== box.state.connections;
  const isNews = news !== box.state.camerasNews;
  connections = box.state.connections;
  news = box.state.camerasNews;
  if (!current || !(isBack || isNews)) return;
  current.stale = true;
  current.wake?.();
  if (isBack) current.live?.start();
});
document.addEventListener("visibilitychange", () => current?.look());

export function camerasView(root) {
  current = new Screen(root);
  current.run();
}

// Another screen is shown.
export function leaveCameras() {
  const screen = current;
  current = null;
  screen?.end();
}
