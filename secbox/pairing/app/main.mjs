// SPDX-License-Identifier: MIT
// The pairing page: a form while the box belongs to nobody, then what becomes of the claim.
import { sentence, texts } from "/texts.mjs";

const LOOK_MS = 2000;
const SIDE_MAX = 1600; // pixels of a picture that are looked at
const SCAN_MS = 200;
const GUARDS_PORT = 8443;
const PULLING = ["verify", "parse", "policy", "render", "preflight", "pull"];

const page = document.querySelector("#page");
const language = document.querySelector("#language");
const away = document.querySelector("#away");
let words = navigator.language.startsWith("en") ? texts.en : texts.es;
let state = null;
let csrf = "";
let shown = "";

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((c) => c !== null));
  return made;
}

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    body: JSON.stringify(body),
  };
  try {
    const answer = await fetch(path, options || {});
    return await answer.json();
  } catch {
    return { error: { id: "agent.unreachable", message: words.away } };
  }
}

async function codeOf(source, width, height) {
  await import("/jsqr-1.4.0.mjs");
  const scale = Math.min(1, SIDE_MAX / Math.max(width, height));
  const canvas = element("canvas", { width: Math.floor(width * scale), height: Math.floor(height * scale) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  return globalThis.jsQR(pixels.data, pixels.width, pixels.height)?.data;
}

async function codeOfFile(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  return picture && codeOf(picture, picture.width, picture.height);
}

async function codeOfCamera(video) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  try {
    video.srcObject = stream;
    await video.play();
    while (video.isConnected) {
      const text = video.videoWidth > 0 ? await codeOf(video, video.videoWidth, video.videoHeight) : undefined;
      if (text) return text;
      await new Promise((resolve) => setTimeout(resolve, SCAN_MS));
    }
    return null;
  } finally {
    stream.getTracks().forEach((track) => track.stop());
  }
}

// Where an error belongs: to the PIN, or to the code.
function place(error) {
  return error.id === "pair.wrong-pin" || error.id === "pair.locked" ? "#pin-error" : "#claim-error";
}

function say(css, text) {
  const at = page.querySelector(css);
  if (at) at.textContent = text;
}

async function submit(event) {
  event.preventDefault();
  const form = event.target;
  const send = form.querySelector("#send");
  say("#pin-error", "");
  say("#claim-error", "");
  send.disabled = true;
  const answer = await ask("/api/claim", { pin: form.querySelector("#pin").value, claim: form.querySelector("#claim").value });
  send.disabled = false;
  if (answer.error) say(place(answer.error), sentence(words, answer.error));
  else take(answer);
}

async function pick(event) {
  const file = event.target.files[0];
  if (!file) return; // the choice was cancelled
  const text = await codeOfFile(file);
  if (text) page.querySelector("#claim").value = text;
  say("#claim-error", text ? "" : words.noCode);
  say("#claim-note", text ? words.read : "");
}

async function scan(event) {
  const button = event.target;
  const video = element("video", { muted: true, playsInline: true });
  button.replaceWith(video);
  const text = await codeOfCamera(video).catch(() => undefined);
  video.replaceWith(button);
  if (text === null) return; // the form was drawn anew meanwhile
  if (text) page.querySelector("#claim").value = text;
  say("#claim-note", text ? words.read : words.cameraFailed);
}

function form() {
  const failed = state.pairing.error;
  const camera = globalThis.isSecureContext && navigator.mediaDevices;
  const picture = element("input", { type: "file", id: "image", accept: "image/*", onchange: pick });
  return element("form", { onsubmit: submit },
    element("h2", {}, words.title),
    failed ? element("p", { className: "bad", id: "failed" }, `${words.failed} ${sentence(words, failed)}`) : null,
    element("p", {}, words.intro),
    element("label", { htmlFor: "pin" }, words.pin),
    element("input", { id: "pin", inputMode: "numeric", autocomplete: "off", required: true, maxLength: 20 }),
    element("p", { className: "hint" }, words.pinHint),
    element("p", { className: "bad", id: "pin-error", role: "alert" }),
    element("label", { htmlFor: "claim" }, words.claim),
    element("p", { className: "hint" }, words.claimHint),
    element("div", { className: "actions" },
      element("label", { className: "button" }, words.image, picture),
      camera ? element("button", { type: "button", id: "scan", onclick: scan }, words.scan) : null),
    camera ? null : element("p", { className: "hint" }, words.noCamera),
    element("textarea", { id: "claim", required: true, spellcheck: false, maxLength: 4096 }),
    element("p", { className: "hint", id: "claim-note" }),
    element("p", { className: "bad", id: "claim-error", role: "alert" }),
    element("button", { id: "send", className: "main" }, words.send));
}

async function startOver() {
  const answer = await ask("/api/end", { pin: page.querySelector("#pin").value });
  if (answer.error) say("#pin-error", sentence(words, answer.error));
  else take(answer);
}

// How far it is: asking, waiting for a file, pulling, starting, ready.
function step(pairing) {
  if (pairing.state === "claiming") return 0;
  if (pairing.ready) return 4;
  if (!pairing.progress) return 1;
  return PULLING.includes(pairing.progress.phase) ? 2 : 3;
}

function progress() {
  const { pairing } = state;
  const at = step(pairing);
  const names = [words.claiming, words.file, words.pulling, words.starting, words.ready];
  const address = `https://${location.hostname}:${GUARDS_PORT}/`;
  const result = pairing.result;
  const detail = at === 2 || at === 3 ? pairing.progress.service : null;
  return element("section", {},
    element("h2", { id: "whose" }, `${at === 0 ? words.becoming : words.paired} ${pairing.deviceId || "?"}${pairing.community ? ` · ${pairing.community}` : ""}`),
    element("ol", {}, ...names.map((name, i) => element("li",
      { className: i < at || at === 4 ? "done" : i === at ? "now" : "later" }, i === at && detail ? `${name}: ${detail}` : name))),
    pairing.trouble ? element("p", { className: "bad" }, `${words.trouble} ${sentence(words, pairing.trouble)}`) : null,
    result?.error ? element("p", { className: "bad" }, `${words.pushFailed} ${sentence(words, result.error)}`) : null,
    at === 4 ? element("p", { id: "ready" }, `${words.open} `, element("a", { href: address }, address)) : null,
    at === 4 && pairing.authority ? element("p", { className: "hint" }, words.authority) : null,
    at === 4 && pairing.authority ? element("p", { className: "code" }, pairing.authority) : null,
    at === 0 ? element("label", { htmlFor: "pin" }, words.pin) : null,
    at === 0 ? element("input", { id: "pin", inputMode: "numeric", autocomplete: "off", maxLength: 20 }) : null,
    at === 0 ? element("p", { className: "bad", id: "pin-error", role: "alert" }) : null,
    at === 0 ? element("button", { type: "button", id: "restart", onclick: startOver }, words.restart) : null);
}

// Only what has changed is drawn anew: nobody loses what is being typed.
function draw() {
  const key = JSON.stringify([words.other, state?.pairing && { ...state.pairing, lockedSeconds: 0 }]);
  if (key === shown) return;
  shown = key;
  document.documentElement.lang = words === texts.en ? "en" : "es";
  language.textContent = words.other;
  const typed = Object.fromEntries([...page.querySelectorAll("#pin, #claim")].map((field) => [field.id, field.value]));
  if (!state?.pairing) page.replaceChildren(element("p", {}, state ? words.away : words.wait));
  else page.replaceChildren(state.pairing.state === "unclaimed" ? form() : progress());
  for (const [id, value] of Object.entries(typed)) {
    const field = page.querySelector(`#${id}`);
    if (field) field.value = value;
  }
}

function take(answer) {
  csrf = answer.csrf || csrf;
  state = answer;
  draw();
}

async function look() {
  const answer = await ask("/api/state");
  // what is shown, and what is being typed, stays while nobody answers: the page itself goes when all is done
  const silent = !answer.pairing && state?.pairing;
  if (!silent) take(answer);
  away.textContent = silent && !state.pairing.ready ? words.away : "";
  setTimeout(look, LOOK_MS);
}

language.addEventListener("click", () => {
  words = words === texts.en ? texts.es : texts.en;
  draw();
});
draw();
look();
