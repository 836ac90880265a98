// SPDX-License-Identifier: MIT
// A photo as it is sent: a JPEG that is small enough, and has nothing in it but the picture: what a camera adds (where and when it was
// taken, by which machine) is not drawn.

const SIDE_MAX = 1280;
const BYTES_MAX = 300 * 1024;
const QUALITIES = [0.82, 0.7, 0.55, 0.4];
const SMALLER = 0.75;

const toJpeg = (canvas, quality) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));

async function drawn(image, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  for (const quality of QUALITIES) {
    const blob = await toJpeg(canvas, quality);
    if (blob && blob.size <= BYTES_MAX) return blob;
  }
  return null;
}

async function digestOf(data) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return [...hash].map((b) => b.toString(16).padStart(2, "0")).join("");
}

// {sha256, data}; throws where the file is no picture.
export async function shrink(file) {
  const image = await createImageBitmap(file, { imageOrientation: "from-image" });
  let scale = Math.min(1, SIDE_MAX / Math.max(image.width, image.height));
  let blob;
  while (!(blob = await drawn(image, scale))) scale *= SMALLER;
  image.close();
  const data = await blob.arrayBuffer();
  return { sha256: await digestOf(data), data };
}
