// SPDX-License-Identifier: MIT
// The box, or what the tablet knows of it while it is away. Nothing is lost: what is registered goes into the outbox first, and out
// of it only when the box has said that it is on its disk.

import { copyGuests, copyLists } from "./copies.mjs";
import { Refused, ask, hooks, isRefusal, merged, request } from "./net.mjs";
import { checkGuest, checkPass, looksLikePass, passVerdict } from "./pass.mjs";
import * as store from "./store.mjs";
import { UNKNOWN, decide, localMoment, recordOf } from "./verdict.mjs";

const OUTBOX_MS = 15000;
const COPY_MS = 15 * 60 * 1000; // who is expected changes with the hours
const DRAW_MS = 500;
const PHOTO_MS = 60000; // over a weak WiFi

export { Refused, copyLists };
export const state = { reached: true, status: null, session: null, sightings: [], watching: false, connections: 0, camerasNews: 0 };
const listeners = new Set();

export const onChange = (listener) => listeners.add(listener);
const changed = () => listeners.forEach((listener) => listener());

function setReached(reached) {
  if (state.reached === reached) return;
  state.reached = reached;
  changed();
}

// the box has said that nobody is logged in: that counts while it is away, too
async function forgetSession() {
  await store.setValue("session", null);
  if (!state.session) return;
  state.session = null;
  changed();
}

hooks.onReached = setReached;
hooks.onNoSession = forgetSession;

export async function readStatus() {
  try {
    state.status = await request("GET", "/api/lan/status");
    await store.setValue("status", state.status);
  } catch {
    state.status ??= await store.getValue("status");
  }
  changed();
}

// What cameras have recognised lately. While the box is away there is nothing to be told.
async function readSightings() {
  try {
    state.sightings = (await request("GET", "/api/lan/sightings")).sightings;
  } catch {
    return;
  }
  changed();
}

// Who has logged out while the box was away is logged out before anything else is asked of it.
const endPending = async () => (await store.getValue("endSession")) && endSession();

export async function readSession() {
  try {
    await endPending();
    state.session = (await request("GET", "/api/lan/session")).guard;
    await store.setValue("session", state.session);
  } catch (e) {
    // while the box is away the guard who was logged in, and has not logged out, goes on
    state.session = isRefusal(e) ? null : ((await store.getValue("session")) ?? null);
  }
  changed();
}

export async function guards() {
  await endPending();
  return (await request("GET", "/api/lan/guards")).guards;
}

export async function logIn(guard, pin) {
  await store.setValue("endSession", false);
  state.session = (await request("POST", "/api/lan/session", { guard, pin })).guard;
  await store.setValue("session", state.session);
  changed();
}

async function endSession() {
  try {
    await request("POST", "/api/lan/session/end", {});
  } catch (e) {
    if (!isRefusal(e)) throw e;
  }
  await store.setValue("endSession", false);
}

// While the box is away it cannot be told: endPending().
export async function logOut() {
  await store.setValue("endSession", true);
  await store.setValue("session", null);
  state.session = null;
  changed();
  await endSession();
}

// How often a guest was let in that the box does not know of.
async function usesHere() {
  const uses = new Map();
  for (const item of await store.outbox()) {
    const { kind, guest } = item.body;
    if (kind === "enter" && guest && !item.refused) uses.set(guest, (uses.get(guest) ?? 0) + 1);
  }
  return uses;
}

// What the tablet has copied, with what it has registered since.
async function copies() {
  const [bans, guests, units, status, copiedAt] = await Promise.all(
    ["bans", "guests", "units", "status", "copiedAt"].map(store.getValue));
  // without the bans nobody is a guest
  if (!bans || !copiedAt) throw new Refused(503, { id: "app.no-data" });
  const uses = await usesHere();
  return {
    bans: bans.map((b) => recordOf("ban", b)),
    guests: (guests ?? []).map((g) => recordOf("guest", { ...g, used: (g.used ?? 0) + (uses.get(g.id) ?? 0) })),
    unitNames: new Map((units ?? []).map((unit) => [unit.id, unit.name])),
    at: localMoment(Math.floor(Date.now() / 1000), status?.timeZone || undefined),
    copiedAt,
  };
}

// what was decided here, in the form of the box's answer
function answerHere(decided, { unitNames, copiedAt }) {
  const order = (fit) => (fit.record === decided.reason ? 0 : 1);
  const fits = decided.fits;
  return {
    verdict: decided.verdict,
    doubt: decided.doubt,
    dataSince: new Date(copiedAt).toISOString(),
    fits: fits.sort((a, b) => order(a) - order(b)).map((fit) => ({
      ...fit.record.row,
      kind: fit.record.kind,
      match: fit.match,
      verdict: fit.verdict,
      refusal: fit.refusal || undefined,
      doubt: fit.doubt,
      unitName: fit.record.row.unitName ?? unitNames.get(fit.record.row.unit),
      usesLeft: typeof fit.record.uses !== "number" ? undefined : Math.max(0, fit.record.uses - (fit.record.used ?? 0)),
    })),
  };
}

async function lookupHere(text) {
  const here = await copies();
  return answerHere(decide(text, [...here.bans, ...here.guests], here.at), here);
}

async function wasUsedHere(pass) {
  return (await store.outbox()).some((item) => item.body.pass === pass && !item.refused);
}

async function lookupPassHere(text) {
  const here = await copies();
  const known = await store.getValue("passes");
  const { refusal: first, pass } = await checkPass(text, known?.key, known?.community, here.at.now);
  const guest = pass ? here.guests.find((g) => g.id === pass.guest) : undefined;
  const used = Boolean(guest) && (Boolean(guest.passes?.includes(pass.id)) || await wasUsedHere(pass.id));
  const refusal = pass ? checkGuest(first, Boolean(guest), used) : first;
  const decided = guest ? decide(guest.name ?? guest.plate ?? guest.code ?? "", [...here.bans, guest], here.at) : { verdict: UNKNOWN, doubt: false, fits: [] };
  for (const judged of [decided, ...decided.fits]) judged.verdict = passVerdict(refusal, judged.verdict);
  return { ...answerHere(decided, here), pass: { id: pass?.id, guest: pass?.guest, refusal: refusal || undefined } };
}

// A pass or anything else that is known of somebody. `wanted`: whether anybody still waits for it.
export async function lookup(text, wanted) {
  const isPass = looksLikePass(text);
  try {
    if (isPass) return await request("POST", "/api/lan/pass", { pass: text }, wanted);
    return await request("GET", `/api/lan/lookup?q=${encodeURIComponent(text)}`, undefined, wanted);
  } catch (e) {
    // a box that has no bans itself says 503
    if (isRefusal(e) && e.status !== 503) throw e;
    return isPass ? lookupPassHere(text) : lookupHere(text);
  }
}

// rows of the box, or those that it had when it was asked last
async function listOr(path, name) {
  try {
    const rows = (await request("GET", path))[name];
    await store.setValue(`seen-${name}`, rows);
    return rows;
  } catch (e) {
    if (isRefusal(e) && e.status !== 503) throw e;
    return (await store.getValue(`seen-${name}`)) ?? [];
  }
}

export const schedule = () => listOr("/api/lan/schedule?limit=500", "guests");
export const units = () => listOr("/api/lan/units?limit=1000", "units");
export const inside = () => listOr("/api/lan/entries?inside=1&limit=500", "visits");
export const notes = () => listOr("/api/lan/notes?limit=50", "notes");

// The copies know of it before the box's next ones come, which it may be away for.
async function noteUse({ kind, guest, pass }) {
  if (kind !== "enter" || !guest) return;
  const used = (g) => ({ ...g, used: (g.used ?? 0) + 1, passes: pass ? [...(g.passes ?? []), pass] : g.passes });
  const guests = (await store.getValue("guests")) ?? [];
  await store.setValue("guests", guests.map((g) => (g.id === guest ? used(g) : g)));
}

// A photo follows the entry that names it. One that the box will never take is dropped.
async function sendPhotos() {
  const early = new Set((await store.outbox()).flatMap((item) => item.body.photos ?? []));
  for (const sha256 of await store.photoDigests()) {
    if (early.has(sha256)) continue;
    try {
      await ask("POST", "/api/lan/photos", { body: (await store.photo(sha256)).data, type: "image/jpeg", ms: PHOTO_MS });
    } catch (e) {
      if (!isRefusal(e) || ![400, 413, 415].includes(e.status)) return;
    }
    await store.removePhoto(sha256);
  }
}

const sendPhotosSoon = merged(() => sendPhotos().catch(() => {}), 0);
let flushing = null;

// An entry that the box refuses for good stays, marked, and holds up none behind it.
async function flush() {
  for (const item of await store.outbox()) {
    if (item.refused) continue;
    try {
      // how long ago it was, by one clock: the box keeps a picture of the gate with what happens now
      await request("POST", item.path, () => ({ ...item.body, sent: new Date().toISOString() }));
    } catch (e) {
      // 421: the box is asked by a name that it does not take for its own
      if (!isRefusal(e) || [401, 421, 429].includes(e.status) || e.status >= 500) return;
      await store.replaceInOutbox({ ...item, refused: e.message });
      continue;
    }
    await noteUse(item.body);
    await store.removeFromOutbox(item.order);
  }
}

export function flushOutbox() {
  flushing ??= flush().finally(() => {
    flushing = null;
    sendPhotosSoon();
    changed();
  });
  return flushing;
}

// A tablet that is full must not lose the entry for its photos.
async function keep(item, photos) {
  try {
    await store.addToOutbox({ ...item, body: { ...item.body, photos: photos.length ? photos.map((p) => p.sha256) : undefined } }, photos);
  } catch (e) {
    if (photos.length === 0) throw e;
    await store.addToOutbox(item);
  }
}

// Whether the box has it; false: it is kept here and sent later. `photos` are of photo.mjs.
export async function register(path, body, photos = []) {
  const clientId = store.uuid7();
  // another guard may be logged in when the box is back
  await keep({ path, body: { ...body, clientId, at: new Date().toISOString(), by: state.session?.id } }, photos);
  await flushOutbox();
  if ((await store.outbox()).some((item) => item.body.clientId === clientId && !item.refused)) await flushOutbox();
  const left = (await store.outbox()).find((item) => item.body.clientId === clientId);
  if (left?.refused) {
    await store.removeFromOutbox(left.order);
    for (const sha256 of left.body.photos ?? []) await store.removePhoto(sha256);
    throw new Refused(400, { message: left.refused });
  }
  return !left;
}

export async function outboxCounts() {
  const items = await store.outbox();
  const photos = (await store.photoDigests()).length;
  return { photos, waiting: items.filter((item) => !item.refused).length, refused: items.filter((item) => item.refused).length };
}

const readStatusSoon = merged(readStatus, DRAW_MS);
const readSightingsSoon = merged(readSightings, DRAW_MS);
let source = null;

function watch() {
  if (source || !state.session) return;
  source = new EventSource("/api/lan/events");
  source.addEventListener("data", () => {
    copyLists();
    readStatusSoon();
  });
  source.addEventListener("status", readStatusSoon);
  source.addEventListener("entries", copyGuests);
  source.addEventListener("sightings", readSightingsSoon);
  source.addEventListener("cameras", () => {
    state.camerasNews += 1;
    changed();
  });
  source.onopen = () => {
    state.watching = true;
    state.connections += 1;
    setReached(true);
    readStatusSoon();
    flushOutbox();
    readSightingsSoon();
  };
  source.onerror = () => {
    state.watching = false;
    if (source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(watch, OUTBOX_MS);
    }
  };
}

export async function start() {
  navigator.storage?.persist?.();
  await Promise.all([readStatus(), readSession()]);
  const again = async () => {
    await readStatus();
    if (state.reached && (await store.getValue("endSession"))) await readSession();
    if (!state.session) return;
    watch();
    await flushOutbox();
  };
  onChange(() => {
    if (state.session) watch();
  });
  if (state.session) copyLists();
  await again();
  setInterval(again, OUTBOX_MS);
  setInterval(() => state.session && copyLists(), COPY_MS);
  addEventListener("online", again);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && again());
}
