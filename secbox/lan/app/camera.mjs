// SPDX-License-Identifier: MIT
// The camera, and the text of the QR code in front of it.

const LOOK_MS = 200;
const REFUSALS_MAX = 5;
const SIDE_MAX = 800; // pixels of a frame that are looked at

async function nativeReader() {
  if (!("BarcodeDetector" in globalThis)) return null;
  const formats = await BarcodeDetector.getSupportedFormats().catch(() => []);
  if (!formats.includes("qr_code")) return null;
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  return async (video) => (await detector.detect(video))[0]?.rawValue;
}

async function ownReader() {
  await import("/jsqr-1.4.0.mjs");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    const scale = Math.min(1, SIDE_MAX / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.floor(video.videoWidth * scale);
    canvas.height = Math.floor(video.videoHeight * scale);
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    return globalThis.jsQR(data, width, height, { inversionAttempts: "dontInvert" })?.data;
  };
}

// The browser's own reader, where there is one, and ours. Some browsers say that they have one which then refuses every picture, because
// a part of the system is missing: it is left after a few.
async function reader() {
  const native = await nativeReader();
  let read = native ?? (await ownReader());
  let refusals = 0;
  return async (video) => {
    try {
      const text = await read(video);
      refusals = 0;
      return text;
    } catch {
      refusals += 1;
      if (read === native && refusals >= REFUSALS_MAX) read = await ownReader();
      return undefined;
    }
  };
}

// The text of the first code that is seen; null when the element has left the page. Throws where there is no camera, or
// nobody allows it.
export async function scan(video) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  try {
    const read = await reader();
    video.srcObject = stream;
    await video.play();
    while (video.isConnected) {
      const text = video.videoWidth > 0 ? await read(video) : undefined;
      if (text) return text;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return null;
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  }
}
