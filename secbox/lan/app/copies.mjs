// SPDX-License-Identifier: MIT
// Copies of what the tablet needs while the box is away. A list that has not changed is not sent again.

import { ask, merged, request } from "./net.mjs";
import * as store from "./store.mjs";

const PAGE = 1000;
const PAUSE_MS = 2000; // between two readings, however much happens
const LISTS = { bans: "/api/lan/ban-list", guests: "/api/lan/schedule", units: "/api/lan/units" };

async function readList(name) {
  const path = (offset) => `${LISTS[name]}?limit=${PAGE}&offset=${offset}`;
  const kept = await store.getValue(`tag-${name}`);
  const first = await ask("GET", path(0), { tag: kept });
  if (!first) return; // its first page has the tag of the whole list
  const all = [...first.answer[name]];
  for (let offset = first.answer.next; offset !== undefined; ) {
    const page = await request("GET", path(offset));
    all.push(...page[name]);
    offset = page.next;
  }
  await store.setValue(name, all);
  await store.setValue(`tag-${name}`, first.tag);
}

async function readAll() {
  try {
    const { communityId, passKey } = await request("GET", "/api/lan/status");
    if (communityId !== undefined) await store.setValue("passes", { community: communityId, key: passKey });
    for (const name of Object.keys(LISTS)) await readList(name);
    await store.setValue("copiedAt", Date.now());
  } catch {
    // the copies of before stay
  }
}

const readGuests = () => readList("guests").catch(() => {});

// all of them; `copyGuests` after somebody came or left, which changes how often who may still come
export const copyLists = merged(readAll, PAUSE_MS);
export const copyGuests = merged(readGuests, PAUSE_MS);
