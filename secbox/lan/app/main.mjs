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

const navButton = ([name, mark]) =>
  h("button", { type: "button", "aria-current": name === screen ? "page" : undefined, "data-screen": name, onclick: () => open(name) },
    h("span", { class: "mark", "aria-hidden": "true" }, mark), t(name));

function drawNav() {
  nav.setAttribute("aria-label", "SecBox");
  nav.replaceChildren(...SCREENS.filter(([name]) => name !== "cameras").map(navButton));
  offerCameras();
}

// Where the box has any, which only a guard who is logged in is told; the other buttons stay, and with them what has the focus.
function offerCameras() {
  const offered = nav.querySelector("[data-screen=cameras]");
  const wanted = Boolean(box.state.status?.cameras);
  nav.className = wanted ? "many" : "";
  if (!wanted) offered?.remove();
  else if (!offered) nav.querySelector("[data-screen=shift]")?.before(navButton(SCREENS.find(([name]) => name === "cameras")));
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
    offerCameras();
  }
});

await applySettings();
navigator.serviceWorker?.register("/worker.mjs").catch(() => {}); // without a certificate that the tablet trusts there is none
await showSightings(sightings, (guest) => open("register", guest));
await open("search");
await box.start();
