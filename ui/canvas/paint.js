// Drawing of one stage from a plain description of what is on it (see `paint`).

import { centre, corners, placedBox, toScreen } from "./geometry.js";

const WHITE = "#ffffff";
const HALO = "rgba(255, 255, 255, 0.7)";
const DARK = "rgba(15, 23, 42, 0.75)";
const ARROW = "#0a6cff";
const SELECTED = "#ff8a00";
const POSITIVE = "#12a150";
const NEGATIVE = "#e0263c";
const LANDMARK = "#00e0c6";
const SHARP_FROM = 8; // screen pixels per pixel of the view from which pixels are shown as squares

const HANDLE = 5; // half the side of a corner handle, in CSS pixels
const TIP = 6; // radius of an arrow's ends

const LINES = [
  [0, 16],
  [17, 21],
  [22, 26],
  [27, 30],
  [31, 35],
  [36, 41, 36],
  [42, 47, 42],
  [48, 59, 48],
  [60, 67, 60],
]; // of the 68 landmarks: first, last and, where the line is closed, first again

// Draws a scene:
//   size {width, height} of the stage in CSS pixels, ratio of device pixels, view
//   picture {width, height}, image, preview (an image or null)
//   masks [{canvas, opacity, colour, outline, perCell}]; outline in cells, or null
//   object {canvas, sides, box, placement, solid, active} or null; sides of its own picture
//   arrows, selected {index, end}; landmarks; pick {box, positive, negative}; marks (points)
//   rubber {a, b}; brush {at, radius}; cursor (a point)
export function paint(context, scene) {
  context.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
  context.clearRect(0, 0, scene.size.width, scene.size.height);
  context.lineCap = "round";
  context.lineJoin = "round";
  drawPicture(context, scene);
  for (const mask of scene.masks) if (mask.outline) drawOutline(context, scene.view, mask);
  if (scene.object) drawObject(context, scene, scene.object);
  drawLandmarks(context, scene);
  scene.arrows.forEach((arrow, index) => drawArrow(context, scene, arrow, index));
  if (scene.pick) drawPick(context, scene, scene.pick);
  scene.marks.forEach((point) => drawDot(context, toScreen(scene.view, point), 5, LANDMARK));
  if (scene.rubber) drawRubber(context, scene.view, scene.rubber);
  if (scene.brush) drawBrush(context, scene.view, scene.brush);
  if (scene.cursor) drawCursor(context, toScreen(scene.view, scene.cursor));
}

function drawPicture(context, { view, picture, image, preview, masks }) {
  const { width, height } = picture;
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  const enlarged = (view.scale * width) / image.naturalWidth;
  context.imageSmoothingEnabled = enlarged < SHARP_FROM;
  context.imageSmoothingQuality = "high";
  context.drawImage(preview ?? image, 0, 0, width, height);
  for (const { canvas, opacity } of masks) {
    context.globalAlpha = opacity;
    context.drawImage(canvas, 0, 0, width, height);
  }
  context.restore();
}

function drawOutline(context, { x, y, scale }, { outline, colour, perCell }) {
  const path = new Path2D();
  path.addPath(outline, new DOMMatrix([scale * perCell.x, 0, 0, scale * perCell.y, x, y]));
  for (const [stroke, width] of [
    [HALO, 3],
    [colour, 1.25],
  ]) {
    context.lineWidth = width;
    context.strokeStyle = stroke;
    context.stroke(path);
  }
}

function drawObject(context, { view }, { canvas, sides, box, placement, solid, active }) {
  const c = centre(box);
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.scale, view.scale);
  context.translate(c.x + placement.dx, c.y + placement.dy);
  context.scale(placement.scale, placement.scale);
  context.globalAlpha = active ? 0.9 : 0.6;
  if (solid) context.drawImage(canvas, -c.x, -c.y, sides.width, sides.height);
  context.restore();
  if (active) drawHandles(context, view, placedBox(box, placement));
}

function drawHandles(context, view, box) {
  const points = corners(box).map((corner) => toScreen(view, corner));
  const [{ x, y }, , far] = points;
  outlined(context, () => context.rect(x, y, far.x - x, far.y - y), ARROW, [6, 4]);
  for (const at of points) {
    context.beginPath();
    context.rect(at.x - HANDLE, at.y - HANDLE, 2 * HANDLE, 2 * HANDLE);
    filled(context, WHITE, ARROW);
  }
}

function drawArrow(context, { view, selected }, [x0, y0, x1, y1], index) {
  const a = toScreen(view, { x: x0, y: y0 });
  const b = toScreen(view, { x: x1, y: y1 });
  const colour = selected?.index === index ? SELECTED : ARROW;
  const angle = Math.atan2(b.y - a.y, b.x - a.x);
  const barb = (turn) => [b.x - 13 * Math.cos(angle + turn), b.y - 13 * Math.sin(angle + turn)];
  outlined(
    context,
    () => {
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
      context.moveTo(...barb(0.45));
      context.lineTo(b.x, b.y);
      context.lineTo(...barb(-0.45));
    },
    colour,
  );
  drawDot(context, a, TIP - 1, colour);
  const end = selected?.index === index && [a, b][selected.end];
  if (end) {
    context.beginPath();
    context.arc(end.x, end.y, TIP + 4, 0, 2 * Math.PI);
    context.lineWidth = 2;
    context.strokeStyle = colour;
    context.stroke();
  }
}

function drawLandmarks(context, { view, landmarks, selected }) {
  if (!landmarks) return;
  const points = landmarks.map(([x, y]) => toScreen(view, { x, y }));
  const lines = () => {
    for (const [first, last, again] of LINES) {
      context.moveTo(points[first].x, points[first].y);
      for (let i = first + 1; i <= last; i++) context.lineTo(points[i].x, points[i].y);
      if (again !== undefined) context.lineTo(points[again].x, points[again].y);
    }
  };
  outlined(context, lines, LANDMARK, [], 1.25);
  points.forEach((at, index) => {
    const chosen = selected?.index === index;
    drawDot(context, at, chosen ? 5 : 2.5, chosen ? SELECTED : LANDMARK);
  });
}

function drawPick(context, { view }, { box, positive, negative }) {
  if (box) {
    const [x0, y0, x1, y1] = box;
    drawRubber(context, view, { a: { x: x0, y: y0 }, b: { x: x1, y: y1 } });
  }
  positive.forEach(([x, y]) => drawDot(context, toScreen(view, { x, y }), 5, POSITIVE));
  negative.forEach(([x, y]) => drawDot(context, toScreen(view, { x, y }), 5, NEGATIVE));
}

function drawRubber(context, view, { a, b }) {
  const [from, to] = [toScreen(view, a), toScreen(view, b)];
  outlined(
    context,
    () => context.rect(from.x, from.y, to.x - from.x, to.y - from.y),
    ARROW,
    [6, 4],
  );
}

function drawBrush(context, view, { at, radius }) {
  const { x, y } = toScreen(view, at);
  outlined(context, () => context.arc(x, y, radius * view.scale, 0, 2 * Math.PI), WHITE, [], 1.25);
}

function drawCursor(context, { x, y }) {
  outlined(
    context,
    () => {
      context.moveTo(x - 12, y);
      context.lineTo(x + 12, y);
      context.moveTo(x, y - 12);
      context.lineTo(x, y + 12);
    },
    SELECTED,
  );
}

function drawDot(context, { x, y }, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  filled(context, colour, WHITE);
}

function filled(context, fill, stroke) {
  context.fillStyle = fill;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = stroke;
  context.stroke();
}

// A line that is seen on any picture: a dark or white one below, the coloured one on top.
function outlined(context, path, colour, dash = [], width = 2.5) {
  const below = colour === WHITE ? DARK : WHITE;
  for (const [stroke, extra] of [
    [below, 2.5],
    [colour, 0],
  ]) {
    context.beginPath();
    path();
    context.setLineDash(extra ? [] : dash);
    context.lineWidth = width + extra;
    context.strokeStyle = stroke;
    context.stroke();
  }
  context.setLineDash([]);
}
