// SPDX-License-Identifier: MIT
// Whether somebody may come in by a pass: the rules of secbox/lan/pass-check.h, for when the box is away. tests/cases/pass.json
// holds both to them.

import { AUTHORISED, UNKNOWN } from "./verdict.mjs";

const TEXT_MAX = 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const REFUSED_MEMBERS = ["crit", "jku", "x5u", "x5c", "b64", "zip", "enc", "jwk"];

// Whether a text that was scanned or typed is meant to be a pass: three parts in base64url, which no plate or name has.
export const looksLikePass = (text) => text.length > 64 && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);

function bytesOf(text) {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

const objectOf = (text) => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(text)));
const isTime = (value) => Number.isSafeInteger(value) && value >= 0;

// the claims of a pass that this key has signed, or null
async function openPass(text, key) {
  if (text.length > TEXT_MAX || !looksLikePass(text)) return null;
  try {
    const [head, body, signature] = text.split(".");
    const { kty, crv, x, y } = key;
    const publicKey = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
    const signed = new TextEncoder().encode(`${head}.${body}`);
    if (!await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, publicKey, bytesOf(signature), signed)) return null;
    const header = objectOf(head);
    if (header.alg !== "ES256" || header.typ !== "pass+jwt" || REFUSED_MEMBERS.some((name) => name in header)) return null;
    const { v, aud, sub, jti, nbf, exp } = objectOf(body);
    if (v !== 1 || !UUID.test(aud) || !UUID.test(sub) || !/^[\w-]{16}$/.test(jti) || !isTime(nbf) || !isTime(exp)) return null;
    return { id: jti, community: aud.toLowerCase(), guest: sub.toLowerCase(), from: nbf, until: exp };
  } catch {
    return null;
  }
}

// { refusal, pass }: what the text alone tells; pass is null where it does not say whose it is
export async function checkPass(text, key, community, now) {
  if (!key) return { refusal: "pass-no-key", pass: null };
  const pass = await openPass(text, key);
  if (!pass) return { refusal: "pass-invalid", pass };
  if (pass.community !== community) return { refusal: "pass-other-community", pass: null };
  if (now < pass.from) return { refusal: "pass-not-yet", pass };
  return { refusal: now >= pass.until ? "pass-expired" : "", pass };
}

// the same with what is known of the guest whom the pass names
export function checkGuest(refusal, known, used) {
  if (refusal !== "") return refusal;
  if (!known) return "pass-revoked";
  return used ? "pass-used" : "";
}

export const passVerdict = (refusal, verdict) => (refusal !== "" && verdict === AUTHORISED ? UNKNOWN : verdict);
