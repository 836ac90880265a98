// SPDX-License-Identifier: MIT
// The frame around the screens: what is shown, in which language, and what is wrong.

import * as box from "./box.mjs";
import { camerasView, leaveCameras } from "./cameras.mjs";
import { showSightings } from "./sightings.mjs";
import * as store from "./store.mjs";
import * as views from "./views.mjs";
import { t, setLanguage } from "./texts.mjs";

const { h } = views;
const SCREENS = [
  ["search", "⌕", views.searchView],
  ["today", "☀", views.todayView],
  ["scan", "▣", views.scanView],
  ["register", "✎", views.registerView],
  ["inside", "⌂", views.insideView],
  ["cameras", "◉", camerasView],
  ["shift", "✉", views.shiftView],
  ["state", "⇅", views.stateView],
  ["settings", "⚙", (root) => views.settingsView(root, settings)],
];

const root = document.getElementById("app");
const heading = h("h1", {}, "SecBox");
const who = h("span", { class: "state" });
const notice = h("div", { role: "status" });
const sightings = h("div", { class: "sightings" });
const main = h("main", {});
const nav = h("nav", {});
let screen = "search";
let shown = null; // what decides whether the frame has to be drawn anew
let withCameras = null; // as the nav is drawn
let lacking = false; // the box was away or knew no guard, so nobody could be offered to log in

const settings = {
  async set(name, value) {
    await store.setValue(name, value);
    await applySettings();
    await open(screen);
  },
};

async function applySettings() {
  setLanguage((await store.getValue("language")) ?? "es");
  document.documentElement.dataset.theme = (await store.getValue("theme")) ?? "day";
}

function drawNotices(message) {
  const notices = [message, box.state.reached ? null : t("boxAway")].filter(Boolean);
  notice.replaceChildren(...notices.map((text) => h("div", { class: "notice" }, text)));
}

function drawNav() {
  withCameras = Boolean(box.state.status?.cameras);
  nav.setAttribute("aria-label", "SecBox");
  nav.className = withCameras ? "many" : "";
  nav.replaceChildren(...SCREENS.filter(([name]) => withCameras || name !== "cameras").map(([name, mark]) =>
    h("button", { type: "button", "aria-current": name === screen ? "page" : undefined, "data-screen": name, onclick: () => open(name) },
      h("span", { class: "mark", "aria-hidden": "true" }, mark), t(name))));
}

async function open(name, given, message) {
  leaveCameras();
  screen = name;
  shown = box.state.session?.id ?? null;
  lacking = false;
  heading.textContent = box.state.status?.community || "SecBox";
  who.textContent = box.state.session?.name ?? "";
  drawNotices(message);
  if (!box.state.session) {
    root.replaceChildren(h("header", {}, heading), notice, sightings, main);
    lacking = !(await views.loginView(main));
    return;
  }
  drawNav();
  root.replaceChildren(h("header", {}, heading, who), notice, sightings, main, nav);
  try {
    await SCREENS.find(([id]) => id === name)[2](main, open, given);
  } catch (e) {
    main.replaceChildren(h("p", { class: "error", role: "alert" }, e.message));
  }
}

box.onChange(() => {
  if ((box.state.session?.id ?? null) !== shown || (lacking && box.state.reached)) open("search");
  else {
    drawNotices();
    // only a guard who is logged in is told whether there are any
    if (box.state.session && box.state.reached && box.state.status?.cameras !== undefined && box.state.status.cameras !== withCameras) drawNav();
  }
});

await applySettings();
navigator.serviceWorker?.register("/worker.mjs").catch(() => {}); // without a certificate that the tablet trusts there is none
await showSightings(sightings, (guest) => open("register", guest));
await open("search");
await box.start();
