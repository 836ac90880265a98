// SPDX-License-Identifier: MIT
// Every text of the app in both languages, Spanish first. {x} stands for a value.

const TEXTS = {
  login: ["Entrar", "Log in"],
  guard: ["Guardia", "Guard"],
  pin: ["PIN", "PIN"],
  logout: ["Salir", "Log out"],
  noGuards: ["La caja todavía no conoce a ningún guardia. Revise la conexión con la nube.", "The box knows no guard yet. Check its connection to the cloud."],
  search: ["Buscar", "Search"],
  searchLabel: ["Placa, nombre, documento o código", "Plate, name, document or code"],
  typeMore: ["Escriba una placa o un nombre.", "Type a plate or a name."],
  today: ["Hoy", "Today"],
  todayTitle: ["Invitados de hoy", "Today's guests"],
  noGuests: ["No hay invitados para hoy.", "No guests are expected today."],
  scan: ["Pase", "Pass"],
  scanTitle: ["Escanear un pase", "Scan a pass"],
  scanHint: ["Ponga el código QR frente a la cámara.", "Hold the QR code in front of the camera."],
  camera: ["Imagen de la cámara", "What the camera sees"],
  noCamera: ["No hay cámara, o no está permitida. Escriba el código.", "There is no camera, or it is not allowed. Type the code."],
  passCode: ["Código del pase, o placa o nombre", "Code of the pass, or plate or name"],
  check: ["Comprobar", "Check"],
  scanNext: ["Escanear otro", "Scan another"],
  register: ["Registrar", "Register"],
  registerTitle: ["Registrar entrada", "Register an entry"],
  inside: ["Adentro", "Inside"],
  insideTitle: ["Quién está adentro", "Who is inside"],
  nobodyInside: ["No hay nadie adentro.", "Nobody is inside."],
  leave: ["Registrar salida", "Register exit"],
  overstay: ["Más de {hours} h adentro", "Inside for more than {hours} h"],
  cameras: ["Cámaras", "Cameras"],
  camerasTitle: ["Cámaras", "Cameras"],
  camerasNone: ["Esta caja no tiene cámaras.", "This box has no cameras."],
  camerasAway: ["Las cámaras no responden. Se intenta de nuevo.", "The cameras do not answer. They are tried again."],
  cameraLive: ["Ver en vivo", "Watch live"],
  cameraNow: ["En vivo", "Live"],
  cameraOffline: ["⚠ Sin señal", "⚠ No signal"],
  cameraOff: ["Apagada", "Switched off"],
  cameraPicture: ["Lo que ve la cámara {camera}", "What the camera {camera} sees"],
  cameraClose: ["Cerrar", "Close"],
  shift: ["Turno", "Shift"],
  shiftTitle: ["Notas del turno", "Shift notes"],
  newNote: ["Nota para el próximo turno", "Note for the next shift"],
  save: ["Guardar", "Save"],
  noNotes: ["No hay notas.", "There are no notes."],
  state: ["Estado", "State"],
  settings: ["Ajustes", "Settings"],
  language: ["Idioma", "Language"],
  night: ["Modo nocturno", "Night mode"],
  on: ["Sí", "On"],
  off: ["No", "Off"],
  name: ["Nombre", "Name"],
  plate: ["Placa", "Plate"],
  document: ["Documento", "Document"],
  unit: ["Unidad", "Unit"],
  companions: ["Acompañantes", "Companions"],
  note: ["Nota", "Note"],
  photo: ["Foto", "Photo"],
  photoOf: ["Foto del registro", "Photo of the entry"],
  photoOfGate: ["La entrada, vista por la cámara", "The entry, as the camera saw it"],
  photosOf: ["Fotos: {n}", "Photos: {n}"],
  removePhoto: ["Quitar la foto", "Remove the photo"],
  noPhoto: ["No se pudo leer la foto.", "The photo could not be read."],
  sightingRead: ["Lectura: {read}", "Read: {read}"],
  sightingScore: ["seguridad {n} %", "{n} % sure"],
  sightingDistance: ["caracteres distintos: {n}", "characters that differ: {n}"],
  sightingCamera: ["Cámara {camera}", "Camera {camera}"],
  sightingPicture: ["Lo que vio la cámara", "What the camera saw"],
  sightingExpected: ["Invitado esperado", "An expected guest"],
  sightingNearGuest: ["Parecido a un invitado esperado", "Looks like an expected guest"],
  sightingUnsure: ["La lectura no es segura: compruebe la identidad", "The reading is not certain: check who it is"],
  sightingSeen: ["Enterado", "Seen"],
  photoAway: ["La foto no está en la caja", "The photo is not on the box"],
  VETADO: ["VETADO", "BANNED"],
  AUTORIZADO: ["AUTORIZADO", "AUTHORISED"],
  DESCONOCIDO: ["DESCONOCIDO", "UNKNOWN"],
  doubt: ["Parecido a un vetado: compruebe la identidad", "Looks like somebody banned: check who it is"],
  nothing: ["Nada coincide", "Nothing fits"],
  ban: ["Vetado", "Banned"],
  guest: ["Invitado", "Guest"],
  resident: ["Residente", "Resident"],
  exact: ["coincide", "fits"],
  prefix: ["empieza así", "begins like this"],
  near: ["se parece", "is similar"],
  "not-yet": ["Todavía no: desde {from}", "Not yet: from {from}"],
  expired: ["Ya venció", "No longer valid"],
  day: ["Hoy no está autorizado", "Not authorised today"],
  hour: ["Fuera de horario: {hours}", "Outside the hours: {hours}"],
  "used-up": ["Ya usó todas sus entradas", "All entries are used up"],
  "pass-no-key": ["La nube todavía no ha enviado la clave de los pases", "The cloud has not sent the key for passes yet"],
  "pass-invalid": ["El pase no es válido", "The pass is not valid"],
  "pass-other-community": ["El pase es de otra comunidad", "The pass is for another community"],
  "pass-not-yet": ["El pase todavía no vale", "The pass is not valid yet"],
  "pass-expired": ["El pase ya venció", "The pass is no longer valid"],
  "pass-revoked": ["El invitado del pase ya no está autorizado", "The guest of the pass is no longer authorised"],
  "pass-used": ["El pase ya se usó", "The pass was used already"],
  unconfirmed: ["La nube ya no lo nombra; sigue vetado hasta que un operador lo confirme", "The cloud no longer names this ban; it stands until an operator agrees"],
  usesLeft: ["Entradas que quedan: {n}", "Entries left: {n}"],
  reason: ["Motivo", "Reason"],
  hours: ["Horario", "Hours"],
  registered: ["Registrado", "Registered"],
  keptHere: ["Guardado en esta tableta; se envía cuando la caja responda", "Kept on this tablet; it is sent when the box answers"],
  needOne: ["Escriba un nombre, una placa o un documento.", "Give a name, a plate or a document."],
  boxAway: ["La caja no responde: se usan los datos de esta tableta", "The box does not answer: this tablet's data are used"],
  databaseAway: ["La base de datos de la caja no responde: solo se conocen los vetados", "The box's database is away: only bans are known"],
  dataAge: ["Datos de {age}", "Data from {age}"],
  noData: ["Todavía no hay datos", "There are no data yet"],
  ageNow: ["hace menos de un minuto", "less than a minute ago"],
  ageMinutes: ["hace {n} min", "{n} min ago"],
  ageHours: ["hace {n} h", "{n} h ago"],
  ageDays: ["hace {n} días", "{n} days ago"],
  cloud: ["Nube", "Cloud"],
  box: ["Caja", "Box"],
  database: ["Base de datos", "Database"],
  answers: ["responde", "answers"],
  away: ["no responde", "away"],
  boxQueue: ["Avisos en la caja por enviar", "Reports that the box has to send"],
  tabletQueue: ["Registros de esta tableta por enviar", "Entries that this tablet has to send"],
  boxPhotos: ["Fotos en la caja por enviar", "Photos that the box has to send"],
  tabletPhotos: ["Fotos de esta tableta por enviar", "Photos that this tablet has to send"],
  refused: ["Registros que la caja no aceptó", "Entries that the box did not take"],
  community: ["Comunidad", "Community"],
  fingerprint: ["Huella del certificado", "Fingerprint of the certificate"],
  install: ["Instalar el certificado de esta caja", "Install this box's certificate"],
  installApple: ["Para iPhone y iPad", "For iPhone and iPad"],
  use: ["Usar", "Use"],
};
export const LANGUAGES = { es: "Español", en: "English" };

let language = "es";

export function setLanguage(name) {
  language = name in LANGUAGES ? name : "es";
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;

export function t(key, values = {}) {
  const text = TEXTS[key][language === "en" ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

export function age(seconds) {
  if (seconds < 60) return t("ageNow");
  if (seconds < 3600) return t("ageMinutes", { n: Math.floor(seconds / 60) });
  if (seconds < 86400) return t("ageHours", { n: Math.floor(seconds / 3600) });
  return t("ageDays", { n: Math.floor(seconds / 86400) });
}

// A day with its month's name, since 12/1 is another day elsewhere, and hours to 24; the year where it is another than this one.
export function clock(time, timeZone) {
  const format = (options) => new Intl.DateTimeFormat(language, { timeZone: timeZone || undefined, ...options });
  const year = (at) => format({ year: "numeric" }).format(at);
  const at = new Date(time);
  return format({ year: year(at) === year(new Date()) ? undefined : "numeric", day: "numeric", month: "short", hour: "2-digit",
    minute: "2-digit", hourCycle: "h23" }).format(at);
}
