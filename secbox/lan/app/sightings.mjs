// SPDX-License-Identifier: MIT
// What cameras have just recognised, above every screen: until a guard has seen it, or the box no longer shows it.

import * as box from "./box.mjs";
import * as store from "./store.mjs";
import { t, clock } from "./texts.mjs";
import { SIGNS, facts, h } from "./views.mjs";

const SHOWN_MAX = 3; // a guard must still be able to work below them
const SEEN_MAX = 100;

const keyOf = (s) => [s.kind, s.id, s.read, s.verdict].join(" ");
const seen = new Set();
let root = null;
let use = () => {};
let drawn = "";

// by how much what was read may be another, in words
function doubts(s) {
  const score = s.score === undefined ? undefined : t("sightingScore", { n: Math.round(s.score * 100) });
  const distance = s.distance ? t("sightingDistance", { n: s.distance }) : undefined;
  return [t("sightingRead", { read: s.read }), score, distance].filter(Boolean).join(" · ");
}

const pictureOf = (s) =>
  s.picture ? h("img", { alt: t("sightingPicture"), src: `/api/lan/sightings/picture?id=${encodeURIComponent(s.id)}` }) : undefined;

function card(s) {
  const who = s.fits[0] ?? {};
  const expected = s.verdict !== "VETADO" && who.kind === "guest";
  const doubt = s.verdict === "DESCONOCIDO" && !s.expected ? t("doubt") : t("sightingUnsure");
  const lines = [expected ? t(s.distance ? "sightingNearGuest" : "sightingExpected") : undefined, s.doubt ? doubt : undefined,
    ...facts({ ...who, doubt: false })].filter(Boolean);
  return h("div", { class: `verdict ${s.verdict}`, role: "alert", "data-sighting": s.verdict },
    h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[s.verdict]),
    h("div", {},
      h("div", { class: "word" }, t(s.verdict)),
      h("div", {}, [who.name, who.plate].filter(Boolean).join(" · ")),
      ...lines.map((line) => h("div", {}, line)),
      h("div", {}, doubts(s)),
      h("div", {}, `${t("sightingCamera", { camera: s.camera })} · ${clock(s.at, box.state.status?.timeZone)}`),
      h("div", { class: "photos" }, pictureOf(s)),
      h("div", { class: "actions" },
        h("button", { type: "button", onclick: () => dismiss(s) }, t("sightingSeen")),
        expected ? h("button", { type: "button", onclick: () => register(s, who) }, t("registerTitle")) : undefined)));
}

async function dismiss(s) {
  seen.add(keyOf(s));
  draw();
  await store.setValue("seenSightings", [...seen].slice(-SEEN_MAX));
}

function register(s, who) {
  dismiss(s);
  use({ ...who, guest: who.id });
}

// Nothing is drawn anew that is there already: a picture would flicker, and a screen reader say it again.
function draw() {
  const sightings = box.state.session ? (box.state.sightings ?? []).filter((s) => !seen.has(keyOf(s))).slice(0, SHOWN_MAX) : [];
  const next = JSON.stringify(sightings);
  if (next === drawn) return;
  drawn = next;
  root.replaceChildren(...sightings.map(card));
  if (sightings.some((s) => s.verdict === "VETADO")) navigator.vibrate?.([300, 100, 300]);
}

// `register` opens the form with what is known of a guest.
export async function showSightings(element, onRegister) {
  root = element;
  use = onRegister;
  for (const key of (await store.getValue("seenSightings")) ?? []) seen.add(key);
  box.onChange(draw);
  draw();
}
