// SPDX-License-Identifier: MIT
// The screens. Each is a function that fills an element; nothing is ever made from text that comes from outside but text nodes.

import * as box from "./box.mjs";
import * as camera from "./camera.mjs";
import { shrink } from "./photo.mjs";
import { t, age, clock, LANGUAGES, currentLanguage } from "./texts.mjs";

const TYPE_MS = 150;
const OVERSTAY_HOURS = 12;
const PHOTOS_MAX = 4;
const LOOKUP_MAX = 60;
export const SIGNS = { VETADO: "✖", AUTORIZADO: "✔", DESCONOCIDO: "?" };

// h("p", { class: "soft" }, "text", child)
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

const field = (id, label, control) => h("div", {}, h("label", { for: id }, label), control);
const errorBox = (message) => h("p", { class: "error", role: "alert" }, message);
const zone = () => box.state.status?.timeZone;

const dataAge = (since) =>
  since ? t("dataAge", { age: age(Math.max(0, (Date.now() - Date.parse(since)) / 1000)) }) : t("noData");

// Whether all that is needed was there.
export async function loginView(root) {
  const form = h("form", {}, h("h2", {}, t("login")));
  root.replaceChildren(form);
  let guards;
  try {
    guards = await box.guards();
  } catch {
    form.append(errorBox(t("boxAway")));
    return false;
  }
  if (guards.length === 0) {
    form.append(h("p", {}, t("noGuards")));
    return false; // it may be starting
  }
  const guard = h("select", { id: "guard", name: "guard" }, ...guards.map((g) => h("option", { value: g.id }, g.name)));
  const pin = h("input", { id: "pin", name: "pin", type: "password", inputmode: "numeric", autocomplete: "off", required: true });
  const message = h("div", { "aria-live": "assertive" });
  form.append(field("guard", t("guard"), guard), field("pin", t("pin"), pin), message,
    h("div", { class: "actions" }, h("button", { class: "main", type: "submit" }, t("login"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await box.logIn(guard.value, pin.value);
      box.copyLists();
    } catch (e) {
      message.replaceChildren(errorBox(e instanceof box.Refused ? e.message : t("boxAway")));
      pin.value = "";
      pin.focus();
    }
  });
  return true;
}

function refusalText(fit) {
  return fit.refusal ? t(fit.refusal, { from: fit.from ? clock(fit.from, zone()) : "", hours: fit.hours ?? "" }) : undefined;
}

// the lines that a guard reads about one record
export function facts(fit) {
  return [
    refusalText(fit),
    fit.doubt ? t("doubt") : undefined,
    fit.unconfirmed ? t("unconfirmed") : undefined,
    fit.reason ? `${t("reason")}: ${fit.reason}` : undefined,
    fit.unitName ? `${t("unit")}: ${fit.unitName}` : undefined,
    fit.hours ? `${t("hours")}: ${fit.hours}` : undefined,
    fit.usesLeft !== undefined ? t("usesLeft", { n: fit.usesLeft }) : undefined,
  ].filter(Boolean);
}

function banner(answer) {
  const first = answer.fits[0];
  const lines = answer.doubt ? [t("doubt")] : [];
  if (answer.pass?.refusal) lines.push(t(answer.pass.refusal));
  if (!first) lines.push(...(answer.pass ? [] : [t("nothing")]));
  else if (answer.verdict !== "DESCONOCIDO" || first.match === "exact") lines.push(first.name ?? first.plate ?? "", ...facts(first));
  return h("div", { class: `verdict ${answer.verdict}`, role: "status", "data-verdict": answer.verdict },
    h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[answer.verdict]),
    h("div", {}, h("div", { class: "word" }, t(answer.verdict)), ...lines.map((line) => h("div", {}, line))));
}

function fitCard(fit, use) {
  return h("li", { class: `card ${fit.verdict}` },
    h("div", { class: "name" }, [fit.name, fit.plate].filter(Boolean).join(" · ") || (fit.document ?? "")),
    h("div", { class: "soft" }, `${SIGNS[fit.verdict]} ${t(fit.kind)}, ${t(fit.match)}`),
    ...facts(fit).map((line) => h("div", {}, line)),
    fit.kind === "ban" || fit.verdict === "VETADO" ? undefined : h("div", { class: "actions" }, h("button", { type: "button", onclick: () => use(fit) }, t("use"))));
}

// what a guard sees of an answer; typed: what goes into an entry of somebody who is not known
function resultOf(answer, open, typed) {
  const use = (fit) => open("register", { ...fit, guest: fit.kind === "guest" ? fit.id : undefined, pass: answer.pass?.id });
  return [banner(answer), h("p", { class: "soft" }, dataAge(answer.dataSince)),
    answer.database === false ? h("p", { class: "notice" }, t("databaseAway")) : "",
    h("ul", { class: "cards" }, ...answer.fits.map((fit) => fitCard(fit, use))),
    answer.pass ? "" : h("div", { class: "actions" },
      h("button", { type: "button", onclick: () => open("register", { typed }) }, t("registerTitle")))];
}

const lookupError = (e) => errorBox(e.id === "app.no-data" ? t("noData") : e.message);

export function searchView(root, open) {
  const input = h("input", { id: "search", class: "search", type: "search", autocomplete: "off", autocapitalize: "characters",
    spellcheck: "false", enterkeyhint: "search", maxlength: String(LOOKUP_MAX) });
  const result = h("div", {});
  let timer;
  let asked = 0;
  const show = async () => {
    const text = input.value.trim();
    const turn = ++asked;
    if (text === "") {
      result.replaceChildren(h("p", { class: "soft" }, t("typeMore")));
      return;
    }
    try {
      const answer = await box.lookup(text, () => turn === asked);
      if (turn !== asked) return; // something newer was typed meanwhile
      result.replaceChildren(...resultOf(answer, open, text));
    } catch (e) {
      if (turn === asked) result.replaceChildren(lookupError(e));
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, TYPE_MS);
  });
  root.replaceChildren(h("h2", {}, t("search")), field("search", t("searchLabel"), input), result);
  show();
  input.focus();
}

export function scanView(root, open) {
  const video = h("video", { "aria-label": t("camera"), muted: true, playsinline: true });
  const eye = h("div", {});
  const result = h("div", { "aria-live": "polite" });
  const code = h("input", { id: "code", name: "code", type: "text", autocomplete: "off", spellcheck: "false", maxlength: "1024" });
  const form = h("form", {}, field("code", t("passCode"), code),
    h("div", { class: "actions" }, h("button", { type: "submit" }, t("check"))));
  const show = async (text) => {
    eye.replaceChildren(h("div", { class: "actions" }, h("button", { class: "main", type: "button", onclick: look }, t("scanNext"))));
    try {
      result.replaceChildren(...resultOf(await box.lookup(text), open, text));
    } catch (e) {
      result.replaceChildren(lookupError(e));
    }
  };
  const look = async () => {
    result.replaceChildren();
    eye.replaceChildren(h("p", { class: "soft" }, t("scanHint")), video);
    try {
      const text = await camera.scan(video);
      if (text) await show(text.trim());
    } catch {
      if (video.isConnected) eye.replaceChildren(h("p", { class: "notice" }, t("noCamera")));
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (code.value.trim() !== "") show(code.value.trim());
  });
  root.replaceChildren(h("h2", {}, t("scanTitle")), eye, result, form);
  look();
}

export async function todayView(root, open) {
  const guests = await box.schedule();
  root.replaceChildren(h("h2", {}, t("todayTitle")),
    guests.length === 0 ? h("p", {}, t("noGuests")) : h("ul", { class: "cards" }, ...guests.map((g) =>
      h("li", { class: "card" },
        h("div", { class: "name" }, [g.name, g.plate].filter(Boolean).join(" · ")),
        h("div", {}, [g.hours, g.unitName && `${t("unit")} ${g.unitName}`].filter(Boolean).join(" · ")),
        g.uses === undefined ? undefined : h("div", { class: "soft" }, t("usesLeft", { n: Math.max(0, g.uses - (g.used ?? 0)) })),
        h("div", { class: "actions" }, h("button", { type: "button", onclick: () => open("register", { ...g, guest: g.id }) }, t("use")))))));
}

// What to fill a form with, and the photos that were chosen so far.
function photoField() {
  const photos = [];
  const shown = h("div", { class: "photos", "aria-live": "polite" });
  const picker = h("input", { id: "photo", type: "file", accept: "image/*", capture: "environment" });
  const show = () => {
    shown.querySelectorAll("img").forEach((image) => URL.revokeObjectURL(image.src));
    shown.replaceChildren(...photos.map((photo, i) => h("div", {},
      h("img", { alt: t("photoOf"), src: URL.createObjectURL(new Blob([photo.data], { type: "image/jpeg" })) }),
      h("button", { type: "button", onclick: () => { photos.splice(i, 1); show(); } }, t("removePhoto")))));
    picker.disabled = photos.length >= PHOTOS_MAX;
  };
  picker.addEventListener("change", async () => {
    const file = picker.files[0];
    if (!file) return;
    try {
      const photo = await shrink(file);
      if (!photos.some((other) => other.sha256 === photo.sha256)) photos.push(photo);
      show();
    } catch {
      shown.append(errorBox(t("noPhoto")));
    }
    picker.value = "";
  });
  return { photos, element: h("div", {}, h("label", { for: "photo" }, t("photo")), picker, shown) };
}

// Photos are fetched when somebody wants to see them.
function photosOf(entry) {
  const list = entry.photos ?? [];
  if (list.length === 0) return undefined;
  const details = h("details", {}, h("summary", {}, t("photosOf", { n: list.length })));
  details.addEventListener("toggle", () => details.append(h("div", { class: "photos" }, ...list.map((sha256) => {
    const image = h("img", { alt: t(sha256 === entry.cameraPhoto?.sha256 ? "photoOfGate" : "photoOf"), src: `/api/lan/photos?sha256=${encodeURIComponent(sha256)}` });
    image.addEventListener("error", () => image.replaceWith(h("p", { class: "soft" }, t("photoAway"))));
    return image;
  }))), { once: true });
  return details;
}

// What the form is filled with is looked up as well: who comes by the day's list, or is typed here, was not searched for before.
function banWatch(...controls) {
  const shown = h("div", { "aria-live": "assertive" });
  let asked = 0;
  const look = async () => {
    const turn = ++asked;
    const texts = controls.map((control) => control.value.trim().slice(0, LOOKUP_MAX)).filter(Boolean);
    const looked = await Promise.allSettled(texts.map((text) => box.lookup(text)));
    if (turn !== asked) return;
    const answers = looked.filter((l) => l.status === "fulfilled").map((l) => l.value);
    const worst = answers.find((a) => a.verdict === "VETADO") ?? answers.find((a) => a.doubt);
    // silence would say that nobody is banned
    const failed = looked.find((l) => l.status === "rejected");
    shown.replaceChildren(...(worst ? [banner(worst)] : failed ? [lookupError(failed.reason)] : []));
    if (worst) shown.scrollIntoView({ block: "nearest" });
  };
  controls.forEach((control) => control.addEventListener("change", look));
  return { element: shown, look };
}

export async function registerView(root, open, given = {}) {
  const text = (id, value, more = {}) => h("input", { id, name: id, value, autocomplete: "off", maxlength: "120", ...more });
  const typedPlate = given.typed && /\d/.test(given.typed) ? given.typed.toUpperCase() : undefined;
  const name = text("name", given.name ?? (typedPlate ? undefined : given.typed));
  const plate = text("plate", given.plate ?? typedPlate);
  const paper = text("document", given.document);
  const companions = text("companions", "0", { type: "number", min: "0", max: "99", inputmode: "numeric" });
  const note = h("textarea", { id: "note", name: "note", rows: "2", maxlength: "400" });
  const unit = h("select", { id: "unit", name: "unit" }, h("option", { value: "" }, "—"));
  const photo = photoField();
  const bans = banWatch(plate, name, paper);
  const message = h("div", { "aria-live": "polite" });
  const form = h("form", {}, h("h2", {}, t("registerTitle")), bans.element,
    h("div", { class: "row" }, field("name", t("name"), name), field("plate", t("plate"), plate), field("document", t("document"), paper),
      field("unit", t("unit"), unit), field("companions", t("companions"), companions), field("note", t("note"), note), photo.element),
    message, h("div", { class: "actions" }, h("button", { class: "main", type: "submit" }, t("save"))));
  root.replaceChildren(form);
  bans.look();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const value = (control) => control.value.trim() || undefined;
    if (!value(name) && !value(plate) && !value(paper)) {
      message.replaceChildren(errorBox(t("needOne")));
      return;
    }
    try {
      const there = await box.register("/api/lan/entries", {
        kind: "enter", name: value(name), plate: value(plate), document: value(paper), unit: value(unit), note: value(note),
        companions: Number(companions.value) || 0, guest: given.guest, pass: given.guest ? given.pass : undefined,
      }, photo.photos);
      open("inside", {}, there ? t("registered") : t("keptHere"));
    } catch (e) {
      message.replaceChildren(errorBox(e.message));
    }
  });
  unit.append(...(await box.units()).map((u) => h("option", { value: u.id, selected: u.id === given.unit }, u.name)));
}

export async function insideView(root, open) {
  const [visits, units] = await Promise.all([box.inside(), box.units()]);
  const unitName = new Map(units.map((unit) => [unit.id, unit.name]));
  const leave = async (visit) => {
    const there = await box.register("/api/lan/entries", { kind: "leave", visit: visit.id });
    open("inside", {}, there ? t("registered") : t("keptHere"));
  };
  root.replaceChildren(h("h2", {}, t("insideTitle")),
    visits.length === 0 ? h("p", {}, t("nobodyInside")) : h("ul", { class: "cards" }, ...visits.map((v) => {
      const hours = (Date.now() - Date.parse(v.entered)) / 3600000;
      const over = hours > OVERSTAY_HOURS;
      return h("li", { class: `card ${over ? "DESCONOCIDO" : ""}` },
        h("div", { class: "name" }, [v.entry.name, v.entry.plate, v.entry.document].filter(Boolean).join(" · ")),
        unitName.has(v.entry.unit) || v.entry.companions ? h("div", {}, [unitName.has(v.entry.unit) && `${t("unit")} ${unitName.get(v.entry.unit)}`,
          v.entry.companions && `${t("companions")}: ${v.entry.companions}`].filter(Boolean).join(" · ")) : undefined,
        h("div", { class: "soft" }, `${clock(v.entered, zone())} · ${age(hours * 3600)}`),
        photosOf(v.entry),
        over ? h("div", {}, `⚠ ${t("overstay", { hours: OVERSTAY_HOURS })}`) : undefined,
        h("div", { class: "actions" }, h("button", { type: "button", onclick: () => leave(v) }, t("leave"))));
    })));
}

export async function shiftView(root, open) {
  const note = h("textarea", { id: "text", name: "text", rows: "3", maxlength: "400" });
  const form = h("form", {}, field("text", t("newNote"), note),
    h("div", { class: "actions" }, h("button", { class: "main", type: "submit" }, t("save"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (note.value.trim() === "") return;
    const there = await box.register("/api/lan/notes", { text: note.value.trim() });
    open("shift", {}, there ? t("registered") : t("keptHere"));
  });
  const notes = await box.notes();
  root.replaceChildren(h("h2", {}, t("shiftTitle")), form,
    notes.length === 0 ? h("p", { class: "soft" }, t("noNotes")) : h("ul", { class: "cards" }, ...notes.map((n) =>
      h("li", { class: "card" }, h("div", { class: "soft" }, `${clock(n.at, zone())} · ${n.note.guardName ?? ""}`), h("div", {}, n.note.text)))));
}

const answers = (yes) => (yes ? `✔ ${t("answers")}` : `✖ ${t("away")}`);

export async function stateView(root) {
  const status = box.state.status ?? {};
  const counts = await box.outboxCounts();
  const rows = [
    [t("community"), status.community || "—"],
    [t("box"), answers(box.state.reached)],
    [t("cloud"), status.cloud === undefined ? "—" : answers(status.cloud)],
    [t("database"), status.database === undefined ? "—" : answers(status.database)],
    [t("state"), dataAge(status.dataSince)],
    [t("boxQueue"), status.queued === undefined ? "—" : String(status.queued)],
    [t("tabletQueue"), String(counts.waiting)],
    [t("boxPhotos"), status.photos === undefined ? "—" : String(status.photos)],
    [t("tabletPhotos"), String(counts.photos)],
    [t("refused"), String(counts.refused)],
    [t("fingerprint"), status.authority ?? "—"],
  ];
  root.replaceChildren(h("h2", {}, t("state")), h("dl", {}, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("div", { class: "actions" }, h("a", { class: "button", href: "/ca.crt", download: "secbox.crt" }, t("install")),
      h("a", { class: "button", href: "/secbox.mobileconfig" }, t("installApple"))));
}

export function settingsView(root, settings) {
  const language = h("select", { id: "language" }, ...Object.entries(LANGUAGES).map(([id, name]) =>
    h("option", { value: id, selected: id === currentLanguage() }, name)));
  const night = h("select", { id: "night" }, h("option", { value: "day" }, t("off")),
    h("option", { value: "night", selected: document.documentElement.dataset.theme === "night" }, t("on")));
  language.addEventListener("change", () => settings.set("language", language.value));
  night.addEventListener("change", () => settings.set("theme", night.value));
  root.replaceChildren(h("h2", {}, t("settings")), field("language", t("language"), language), field("night", t("night"), night),
    h("div", { class: "actions" }, h("button", { type: "button", onclick: () => box.logOut().catch(() => {}) }, t("logout"))));
}
