// SPDX-License-Identifier: MIT
// What a guard is told: the rules of secbox/lan/verdict.h, for when the box is away. tests/cases/verdict.json holds both to them.
// Records are made by recordOf() of rows as the box's API has them.

import { matchName, matchNames, matchPlate, matchPlates } from "./match.mjs";

const MINUTES_PER_DAY = 24 * 60;
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const KINDS = ["exact", "prefix", "near", "none"];

export const BANNED = "VETADO";
export const AUTHORISED = "AUTORIZADO";
export const UNKNOWN = "DESCONOCIDO";

const better = (a, b) => (KINDS.indexOf(a) <= KINDS.indexOf(b) ? a : b);
const whole = (a, b) => (a !== "" && a === b ? "exact" : "none");

// "08:00-18:30" to two minutes since midnight; undefined when it is no such text
function parseHours(text) {
  const parts = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text);
  if (!parts) return undefined;
  const [h1, m1, h2, m2] = parts.slice(1).map(Number);
  const [from, until] = [h1 * 60 + m1, h2 * 60 + m2];
  if (m1 > 59 || m2 > 59 || from >= MINUTES_PER_DAY || until > MINUTES_PER_DAY) return undefined;
  return { from, until };
}

// "2026-01-02T03:04:05Z" to seconds since 1970; NaN when it is no such text
function parseTime(text) {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|z|[+-]\d\d:\d\d)$/;
  return typeof text === "string" && form.test(text) ? Math.floor(Date.parse(text.toUpperCase()) / 1000) : NaN;
}

const isAbsent = (value) => value === undefined || value === null;

// { from, until, hours } of a guest, or null when something of it cannot be read: such a guest is never authorised
function permission(row) {
  const from = isAbsent(row.from) ? undefined : parseTime(row.from);
  const until = isAbsent(row.until) ? undefined : parseTime(row.until);
  const hours = isAbsent(row.hours) ? { from: 0, until: MINUTES_PER_DAY } : parseHours(row.hours);
  const days = isAbsent(row.days) || (Array.isArray(row.days) && row.days.every((day) => DAYS.includes(day)));
  const uses = isAbsent(row.uses) || (typeof row.uses === "number" && row.uses >= 0);
  return Number.isNaN(from) || Number.isNaN(until) || !hours || !days || !uses ? null : { from, until, hours };
}

// kind: "ban", "guest", "resident"; row: as the box's API has it
export function recordOf(kind, row) {
  if (kind === "guest") return { ...row, kind, permission: permission(row), row };
  const until = isAbsent(row.until) ? undefined : parseTime(row.until);
  return { ...row, kind, until: Number.isNaN(until) ? undefined : until, row };
}

// the moment where the community is: what the rules about days and hours need
export function localMoment(now, timeZone) {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
    .formatToParts(new Date(now * 1000));
  const value = (type) => parts.find((part) => part.type === type).value;
  return { now, weekday: DAYS.indexOf(value("weekday").toLowerCase()), minute: Number(value("hour")) * 60 + Number(value("minute")) };
}

function foldRecord(record) {
  return {
    name: matchName(record.name ?? ""),
    plate: matchPlate(record.plate ?? ""),
    document: matchPlate(record.document ?? ""),
    code: matchPlate(record.code ?? ""),
  };
}

function compare(typed, known) {
  let match = better(matchPlates(typed.plate, known.plate), matchNames(typed.name, known.name));
  match = better(match, whole(typed.document, known.document));
  return better(match, whole(typed.code, known.code));
}

export function banIsActive(ban, at) {
  return Boolean(ban.unconfirmed) || !ban.until || at.now < ban.until;
}

// why a guest may not come in now; "" when it is fine
export function guestRefusal(guest, at) {
  if (!guest.permission) return "expired";
  const { from, until, hours } = guest.permission;
  if (from !== undefined && at.now < from) return "not-yet";
  if (until !== undefined && at.now >= until) return "expired";
  if (!isAbsent(guest.uses) && (guest.used ?? 0) >= guest.uses) return "used-up";
  const overMidnight = hours.until <= hours.from;
  // hours over midnight belong to the day on which they began
  const day = overMidnight && at.minute < hours.until ? (at.weekday + 6) % 7 : at.weekday;
  if (guest.days?.length && !guest.days.includes(DAYS[day])) return "day";
  const within = overMidnight
    ? at.minute >= hours.from || at.minute < hours.until
    : at.minute >= hours.from && at.minute < hours.until;
  return within ? "" : "hour";
}

function judgePerson(record, folded, bans, at) {
  let ban = "none";
  for (const other of bans) ban = better(ban, compare(folded, other));
  const refusal = record.kind === "guest" ? guestRefusal(record, at) : "";
  const doubt = ban === "near";
  const verdict = ban === "exact" ? BANNED : doubt || refusal !== "" ? UNKNOWN : AUTHORISED;
  return { verdict, refusal, doubt };
}

function judge(record, folded, bans, at) {
  if (record.kind !== "ban") return judgePerson(record, folded, bans, at);
  return banIsActive(record, at) ? { verdict: BANNED, refusal: "", doubt: false } : { verdict: UNKNOWN, refusal: "expired", doubt: false };
}

function weight(record, fit) {
  const activeBan = record.kind === "ban" && fit.verdict === BANNED;
  if (fit.match === "exact" && fit.verdict === BANNED) return 6;
  if (activeBan || (fit.match === "exact" && fit.doubt)) return fit.match === "prefix" ? 4 : 5;
  if (fit.match === "exact") return fit.verdict === AUTHORISED ? 3 : 2;
  return 1;
}

// { verdict, doubt, reason: the record that decided or null, fits: [{ record, match, verdict, refusal, doubt }] of what fits }
export function decide(typed, records, at) {
  const asked = foldRecord({ name: typed, plate: typed, document: typed, code: typed });
  const folded = records.map(foldRecord);
  const bans = folded.filter((_, i) => records[i].kind === "ban" && banIsActive(records[i], at));
  const fits = [];
  let best = 0;
  let reason = null;
  records.forEach((record, i) => {
    const match = compare(asked, folded[i]);
    if (match === "none") return;
    const fit = { record, match, ...judge(record, folded[i], bans, at) };
    fits.push(fit);
    if (weight(record, fit) > best) {
      best = weight(record, fit);
      reason = record;
    }
  });
  return {
    verdict: best === 6 ? BANNED : best === 3 ? AUTHORISED : UNKNOWN,
    doubt: best === 4 || best === 5,
    reason,
    fits,
  };
}
