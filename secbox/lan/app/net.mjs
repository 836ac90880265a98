// SPDX-License-Identifier: MIT
// Requests to the box. One that it puts off is asked again when its time has come.

const ANSWER_MS = 5000;
const PAUSE_MAX_MS = 15000;
const TRIES = 5;

export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `HTTP ${status}`);
    this.status = status;
    this.id = error?.id;
  }
}

export const isRefusal = (e) => e instanceof Refused;

export const hooks = { onReached: () => {}, onNoSession: async () => {} };

let notBefore = 0;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function send(method, path, { body: given, type, tag, ms }) {
  const body = typeof given === "function" ? given() : given; // what is true only of the moment in which it goes
  const headers = body ? { "Content-Type": type ?? "application/json" } : {};
  if (tag) headers["If-None-Match"] = tag;
  try {
    return await fetch(path, {
      method,
      headers,
      body: body && !type ? JSON.stringify(body) : body,
      signal: AbortSignal.timeout(ms ?? ANSWER_MS),
    });
  } catch (e) {
    hooks.onReached(false);
    throw e;
  }
}

// Whether the box says that it is asked too much, and for how long. What else it puts off, like a PIN, is for a person to know.
function isPutOff(response, answer) {
  const pause = 1000 * Number(response.headers.get("Retry-After"));
  if (response.status !== 429 || answer.error?.id !== "lan.too-many-requests" || !(pause <= PAUSE_MAX_MS)) return false;
  notBefore = Math.max(notBefore, Date.now() + pause);
  return true;
}

// {answer, tag}; null: nothing new since `tag`. `wanted` says whether anybody still waits for it; when nobody does it is not asked.
export async function ask(method, path, options = {}) {
  for (let tries = 1; ; tries++) {
    while (notBefore > Date.now()) await sleep(notBefore - Date.now());
    if (options.wanted && !options.wanted()) throw new Refused(0, { id: "app.outdated" });
    const response = await send(method, path, options);
    hooks.onReached(true);
    if (response.status === 304) return null;
    const answer = await response.json().catch(() => ({}));
    if (isPutOff(response, answer) && tries < TRIES) continue;
    if (response.status === 401) await hooks.onNoSession();
    if (!response.ok) throw new Refused(response.status, answer.error);
    return { answer, tag: response.headers.get("ETag") ?? undefined };
  }
}

export async function request(method, path, body, wanted) {
  return (await ask(method, path, { body, wanted })).answer;
}

// A picture, as a Blob; none after `ms`, as over a network that is gone. One that does not come says nothing about the box, which may
// have its reasons.
export async function picture(path, signal, ms = ANSWER_MS) {
  const end = new AbortController();
  const stop = () => end.abort();
  const timer = setTimeout(stop, ms);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const response = await fetch(path, { signal: end.signal });
    if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => ({}))).error);
    return await response.blob();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

// `act`, one at a time; all who ask for it while it runs, and for `pauseMs` after, get one more run together.
export function merged(act, pauseMs) {
  let running = null;
  let again = false;
  const run = async () => {
    do {
      again = false;
      await act();
      await sleep(pauseMs);
    } while (again);
  };
  return () => {
    again = true;
    running ??= run().finally(() => {
      running = null;
    });
  };
}
