// SPDX-License-Identifier: MIT
// What the tablet keeps in IndexedDB: copies of the box's lists, and what was registered, and photos, that have not reached the box.

let opened;

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("secbox", 2);
    request.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) {
        request.result.createObjectStore("values");
        request.result.createObjectStore("outbox", { keyPath: "order", autoIncrement: true });
      }
      request.result.createObjectStore("photos", { keyPath: "sha256" });
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close(); // a newer app in another tab
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  });
  return opened;
}

// resolves when the transaction is on disk
async function run(names, mode, act) {
  const db = await open();
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(names, mode, { durability: "strict" });
    const request = act(...[names].flat().map((name) => transaction.objectStore(name)));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

export const getValue = (name) => run("values", "readonly", (s) => s.get(name));
export const setValue = (name, value) => run("values", "readwrite", (s) => s.put(value, name));
// an entry and its photos are there together, or neither
export const addToOutbox = (item, photos = []) => run(["outbox", "photos"], "readwrite", (outbox, kept) => {
  photos.forEach((photo) => kept.put(photo));
  return outbox.add(item);
});
export const outbox = () => run("outbox", "readonly", (s) => s.getAll());
export const removeFromOutbox = (order) => run("outbox", "readwrite", (s) => s.delete(order));
export const photoDigests = () => run("photos", "readonly", (s) => s.getAllKeys());
export const photo = (sha256) => run("photos", "readonly", (s) => s.get(sha256));
export const removePhoto = (sha256) => run("photos", "readwrite", (s) => s.delete(sha256));
export const replaceInOutbox = (item) => run("outbox", "readwrite", (s) => s.put(item));

// UUID version 7 (RFC 9562)
export function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = BigInt(Date.now());
  for (let i = 0; i < 6; i++) bytes[i] = Number((now >> BigInt(8 * (5 - i))) & 0xffn);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
