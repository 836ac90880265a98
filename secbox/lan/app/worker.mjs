// SPDX-License-Identifier: MIT
// Keeps the app itself, so that it starts while the box is away. The box's word comes first: a newer app replaces the kept one.

const CACHE = "secbox-app";
const FILES = ["/", "/style.css", "/main.mjs", "/match.mjs", "/verdict.mjs", "/texts.mjs", "/store.mjs", "/views.mjs", "/box.mjs", "/net.mjs", "/copies.mjs", "/pass.mjs",
  "/camera.mjs", "/cameras.mjs", "/photo.mjs", "/sightings.mjs", "/jsqr-1.4.0.mjs",
  "/manifest.json", "/icon.svg"];
const ANSWER_MS = 3000;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(ANSWER_MS) });
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (e) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw e;
  }
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && url.origin === location.origin && FILES.includes(url.pathname)) {
    event.respondWith(answer(event.request));
  }
});
