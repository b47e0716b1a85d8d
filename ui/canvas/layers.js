// Pixels in the browser: pictures by address, masks as bitmaps with a tint, cut-out objects.

import { blank, borders, bounds, fromPixels, fromRuns, toRuns } from "./bitmap.js";

const TINTS = {
  mask: [255, 40, 120],
  fill_mask: [0, 190, 170],
  reference_mask: [255, 40, 120],
};
const KEPT_PICTURES = 6;

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

export function loadImage(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image);
}

export function readPixels(image, width, height) {
  const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

// Pixels of one colour where a box of the bitmap is inside, transparent elsewhere.
function coloured(bitmap, box, [red, green, blue]) {
  const pixels = new ImageData(box.width, box.height);
  const words = new Uint32Array(pixels.data.buffer);
  const colour = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  for (let row = 0; row < box.height; row++) {
    const start = (box.top + row) * bitmap.width + box.left;
    for (let column = 0; column < box.width; column++) {
      if (bitmap.cells[start + column]) words[row * box.width + column] = colour;
    }
  }
  return pixels;
}

const whole = ({ width, height }) => ({ left: 0, top: 0, width, height });

function toPng(bitmap) {
  const canvas = canvasOf(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.putImageData(coloured(bitmap, whole(bitmap), [255, 255, 255]), 0, 0);
  return canvas.toDataURL("image/png");
}

function scaledBox(box, factor) {
  if (!box) return null;
  const [left, top, width, height] = [box.left, box.top, box.width, box.height];
  return {
    left: left * factor.x,
    top: top * factor.y,
    width: width * factor.x,
    height: height * factor.y,
  };
}

// One mask of a picture, as it is drawn and shown. `perCell` is the size of a cell in pixels of
// the picture.
export class MaskLayer {
  constructor(key, onReady) {
    this.tint = TINTS[key];
    this.colour = `rgb(${this.tint.join(" ")})`;
    this.onReady = onReady;
    this.bitmap = null;
    this.canvas = null;
    this.shown = undefined;
    this.border = null;
  }

  get ready() {
    return this.bitmap !== null;
  }

  // Shows a mask of a picture whose view has these sides; decodes it first where it comes from
  // Python.
  show(mask, picture, { width, height }) {
    this.perCell = { x: picture.width / width, y: picture.height / height };
    if (this.shown === mask && this.bitmap?.width === width && this.bitmap?.height === height) return;
    this.shown = mask;
    if (mask && !mask.runs) {
      this.bitmap = null;
      this.#decode(mask, width, height);
      return;
    }
    this.#replace(mask ? fromRuns(mask.runs, width, height) : blank(width, height));
  }

  hide() {
    [this.bitmap, this.canvas, this.shown] = [null, null, undefined];
  }

  async #decode(mask, width, height) {
    const image = await loadImage(mask.png);
    const bitmap = fromPixels(readPixels(image, width, height), width, height);
    mask.runs = toRuns(bitmap);
    mask.box = scaledBox(bounds(bitmap), this.perCell);
    if (this.shown === mask) this.#replace(bitmap);
    this.onReady();
  }

  #replace(bitmap) {
    if (this.canvas?.width !== bitmap.width || this.canvas?.height !== bitmap.height) {
      this.canvas = canvasOf(bitmap.width, bitmap.height);
    }
    this.bitmap = bitmap;
    this.touch(whole(bitmap));
  }

  // Brings the tint up to date in a box of cells.
  touch(box) {
    this.border = null;
    if (!box) return;
    const pixels = coloured(this.bitmap, box, this.tint);
    this.canvas.getContext("2d").putImageData(pixels, box.left, box.top);
  }

  // The line round what is inside, in cells.
  get outline() {
    if (!this.border) {
      this.border = new Path2D();
      for (const [x0, y0, x1, y1] of borders(this.bitmap)) {
        this.border.moveTo(x0, y0);
        this.border.lineTo(x1, y1);
      }
    }
    return this.border;
  }

  toCells(p) {
    return { x: p.x / this.perCell.x, y: p.y / this.perCell.y };
  }

  // What is drawn now as a mask for the state, or null where nothing is inside.
  sealed(bitmap = this.bitmap) {
    const box = bounds(bitmap);
    const mask = box && {
      png: toPng(bitmap),
      runs: toRuns(bitmap),
      box: scaledBox(box, this.perCell),
    };
    if (bitmap === this.bitmap) this.shown = mask;
    return mask;
  }
}

// Pictures by address; those that were used last are kept.
export class Pictures {
  constructor(onReady) {
    this.onReady = onReady;
    this.loaded = new Map();
  }

  // The picture, or null while it is loading; `onReady` is called when it is there, or cannot be.
  get(address) {
    const image = this.loaded.get(address);
    if (image === undefined) this.#load(address);
    this.loaded.delete(address);
    this.loaded.set(address, image ?? null);
    for (const old of [...this.loaded.keys()].slice(0, -KEPT_PICTURES)) this.loaded.delete(old);
    return image ?? null;
  }

  async #load(address) {
    const image = await loadImage(address).catch(() => null);
    if (this.loaded.has(address)) this.loaded.set(address, image);
    this.onReady(image !== null);
  }
}

// The part of a picture under a mask of the same sides, as a canvas; the last one is kept.
export class Cutout {
  get(image, layer) {
    if (this.image !== image || this.mask !== layer.shown) {
      this.canvas = canvasOf(image.naturalWidth, image.naturalHeight);
      const context = this.canvas.getContext("2d");
      context.drawImage(layer.canvas, 0, 0);
      context.globalCompositeOperation = "source-in";
      context.drawImage(image, 0, 0);
      [this.image, this.mask] = [image, layer.shown];
    }
    return this.canvas;
  }
}
