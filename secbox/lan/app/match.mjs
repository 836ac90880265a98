// SPDX-License-Identifier: MIT
// How what a guard types is compared with what the community's data say: the rules of secbox/lan/match.h, and
// tests/cases/match.json holds both to them.

const PREFIX_MIN = 3;
const NEAR_PLATE_MIN = 4;
const GROUPS_MAX = 256;
const LAST_ACCENTED = 0x17f;

// letters of that range that are not a letter with an accent
const SPELLED = {
  Æ: "AE", æ: "AE", Œ: "OE", œ: "OE", ß: "SS", Ø: "O", ø: "O", Đ: "D", đ: "D", Ð: "D", ð: "D", Þ: "TH", þ: "TH", Ħ: "H", ħ: "H",
  Ĳ: "IJ", ĳ: "IJ", ĸ: "K", Ŀ: "L", ŀ: "L", Ł: "L", ł: "L", ŉ: "N", Ŋ: "N", ŋ: "N", Ŧ: "T", ŧ: "T", ı: "I", ſ: "S",
};
const LOOK_ALIKE = { O: "0", I: "1", B: "8", S: "5", Z: "2" };

// the letters that stand for a character, "" for none
function fold(c) {
  if (c.codePointAt(0) > LAST_ACCENTED) return "";
  const base = SPELLED[c] ?? c.normalize("NFD")[0].toUpperCase();
  return /^[A-Z0-9]+$/.test(base) ? base : "";
}

export function matchPlate(text) {
  let folded = "";
  for (const c of text) folded += fold(c);
  return folded.replace(/[OIBSZ]/g, (c) => LOOK_ALIKE[c]);
}

export function matchName(text) {
  let folded = "";
  let apart = false;
  for (const c of text) {
    const letters = fold(c);
    // combining accents stand behind the letter that they belong to, and part no words
    if (letters === "" && !/[\u0300-\u036f]/.test(c)) apart = folded !== "";
    if (letters !== "" && apart) {
      folded += " ";
      apart = false;
    }
    folded += letters;
  }
  return folded;
}

const isPrefix = (typed, known) => typed.length >= PREFIX_MIN && known.startsWith(typed);

// at most one character a side differs, or two neighbours changed places
function oneEdit(a, b) {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let aEnd = a.length;
  let bEnd = b.length;
  while (aEnd > start && bEnd > start && a[aEnd - 1] === b[bEnd - 1]) {
    aEnd--;
    bEnd--;
  }
  if (aEnd - start <= 1 && bEnd - start <= 1) return true;
  return aEnd - start === 2 && bEnd - start === 2 && a[start] === b[start + 1] && a[start + 1] === b[start];
}

export function matchPlates(typed, known) {
  if (typed === "" || known === "") return "none";
  if (typed === known) return "exact";
  if (isPrefix(typed, known)) return "prefix";
  const near = typed.length >= NEAR_PLATE_MIN && known.length >= NEAR_PLATE_MIN && oneEdit(typed, known);
  return near ? "near" : "none";
}

// three characters, with two spaces before each word and one behind, as PostgreSQL's pg_trgm has them
function groupsOf(name) {
  const groups = [];
  for (const word of name.split(" ")) {
    const padded = `  ${word} `;
    for (let i = 0; i + 3 <= padded.length; i++) groups.push(padded.slice(i, i + 3));
  }
  return new Set(groups.slice(0, GROUPS_MAX));
}

// two thirds of the groups are in both
function lookAlike(a, b) {
  const x = groupsOf(a);
  const y = groupsOf(b);
  let both = 0;
  for (const group of x) if (y.has(group)) both++;
  return 3 * both >= x.size + y.size;
}

export function matchNames(typed, known) {
  if (typed === "" || known === "") return "none";
  if (typed === known) return "exact";
  if (known.split(" ").some((_, i, words) => isPrefix(typed, words.slice(i).join(" ")))) return "prefix";
  return lookAlike(typed, known) ? "near" : "none";
}
