// Masks as bitmaps {width, height, cells}: a byte per cell, row by row, 1 inside and 0 outside.
// Drawing changes the cells and returns what may have changed, {left, top, width, height}, or null.

import { clamp } from "./geometry.js";

export const blank = (width, height) => ({
  width,
  height,
  cells: new Uint8Array(width * height),
});

// Cells whose centres lie within `radius` of the segment from a to b, all in cells.
export function drawStroke(bitmap, a, b, radius, value) {
  const box = cellBox(bitmap, Math.min(a.x, b.x) - radius, Math.min(a.y, b.y) - radius, {
    right: Math.max(a.x, b.x) + radius,
    bottom: Math.max(a.y, b.y) + radius,
  });
  if (!box) return null;
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const reach = Math.max(radius, Math.SQRT1_2) ** 2; // at least the cell under the pointer
  for (let row = box.top; row < box.top + box.height; row++) {
    const y = row + 0.5 - a.y;
    const start = row * bitmap.width;
    for (let column = box.left; column < box.left + box.width; column++) {
      const x = column + 0.5 - a.x;
      const along = length ? clamp((x * dx + y * dy) / length, 0, 1) : 0;
      if ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= reach) {
        bitmap.cells[start + column] = value;
      }
    }
  }
  return box;
}

// Cells of the box between two opposite corners, in cells.
export function drawBox(bitmap, a, b, value) {
  const box = cellBox(bitmap, Math.round(Math.min(a.x, b.x)), Math.round(Math.min(a.y, b.y)), {
    right: Math.round(Math.max(a.x, b.x)),
    bottom: Math.round(Math.max(a.y, b.y)),
  });
  if (!box) return null;
  for (let row = box.top; row < box.top + box.height; row++) {
    const start = row * bitmap.width + box.left;
    bitmap.cells.fill(value, start, start + box.width);
  }
  return box;
}

export const inverted = (bitmap) => ({
  ...bitmap,
  cells: bitmap.cells.map((cell) => 1 - cell),
});

export const union = (a, b) => ({ ...a, cells: a.cells.map((cell, i) => cell | b.cells[i]) });

// The bounding box of what is inside, in cells; null where nothing is.
export function bounds({ width, height, cells }) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  let first = cells.indexOf(1);
  while (first >= 0) {
    const row = Math.floor(first / width);
    const end = (row + 1) * width;
    top = Math.min(top, row);
    bottom = row;
    left = Math.min(left, first - row * width);
    right = Math.max(right, cells.lastIndexOf(1, end - 1) - row * width);
    first = cells.indexOf(1, end);
  }
  if (right < 0) return null;
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}

// The lines between what is inside and what is outside, [x0, y0, x1, y1] in cells, each as long as
// it is straight. What is beyond the frame is outside.
export function borders({ width, height, cells }) {
  const inside = (column, row) =>
    column >= 0 && row >= 0 && column < width && row < height ? cells[row * width + column] : 0;
  const lines = [];
  for (let row = 0; row <= height; row++) {
    straight(width, (column) => inside(column, row) !== inside(column, row - 1), (from, to) =>
      lines.push([from, row, to, row]),
    );
  }
  for (let column = 0; column <= width; column++) {
    straight(height, (row) => inside(column, row) !== inside(column - 1, row), (from, to) =>
      lines.push([column, from, column, to]),
    );
  }
  return lines;
}

// Calls `found` with start and end of every run of numbers below `count` for which `is` holds.
function straight(count, is, found) {
  let start = null;
  for (let at = 0; at <= count; at++) {
    const here = at < count && is(at);
    if (here) start ??= at;
    else if (start !== null) {
      found(start, at);
      start = null;
    }
  }
}

// Lengths of the runs of equal cells, the first of them outside (and empty where it has none).
export function toRuns({ cells }) {
  const runs = [];
  let [start, value] = [0, 0];
  while (start < cells.length) {
    const found = cells.indexOf(1 - value, start);
    const end = found < 0 ? cells.length : found;
    runs.push(end - start);
    [start, value] = [end, 1 - value];
  }
  return runs;
}

export function fromRuns(runs, width, height) {
  const bitmap = blank(width, height);
  let start = 0;
  runs.forEach((length, index) => {
    if (index % 2) bitmap.cells.fill(1, start, start + length);
    start += length;
  });
  return bitmap;
}

// Pixels RGBA -> bitmap: what is opaque or, where everything is, what is bright.
export function fromPixels(pixels, width, height) {
  const bitmap = blank(width, height);
  let opaque = true;
  for (let i = 3; i < pixels.length && opaque; i += 4) opaque = pixels[i] === 255;
  for (let cell = 0; cell < bitmap.cells.length; cell++) {
    const i = 4 * cell;
    const level = opaque ? Math.max(pixels[i], pixels[i + 1], pixels[i + 2]) : pixels[i + 3];
    bitmap.cells[cell] = level > 127 ? 1 : 0;
  }
  return bitmap;
}

// Whole cells that a box in cells touches, cut off at the frame; null where none is left.
function cellBox(bitmap, left, top, { right, bottom }) {
  const x = clamp(Math.floor(left), 0, bitmap.width);
  const y = clamp(Math.floor(top), 0, bitmap.height);
  const width = clamp(Math.ceil(right), 0, bitmap.width) - x;
  const height = clamp(Math.ceil(bottom), 0, bitmap.height) - y;
  return width > 0 && height > 0 ? { left: x, top: y, width, height } : null;
}
