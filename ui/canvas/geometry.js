// Points, views, boxes and hit tests: pure functions of plain objects.
// A view maps a picture onto a stage: screen = scale * picture + (x, y), in CSS pixels.

export const MARGIN = 12; // CSS pixels round a picture that is fitted to its stage
const MIN_ZOOM = 0.02;
const MAX_ZOOM = 64;
const EDGE = 0.01; // what is at the right or lower edge lies this far inside

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export const rounded = (value) => Math.round(value * 100) / 100;

export const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

export const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

// Views

export function fitted(picture, stage) {
  const scale = Math.min(
    Math.max(1, stage.width - 2 * MARGIN) / picture.width,
    Math.max(1, stage.height - 2 * MARGIN) / picture.height,
  );
  return {
    scale,
    x: (stage.width - scale * picture.width) / 2,
    y: (stage.height - scale * picture.height) / 2,
  };
}

export const toPicture = (view, at) => ({
  x: (at.x - view.x) / view.scale,
  y: (at.y - view.y) / view.scale,
});

export const toScreen = (view, point) => ({
  x: point.x * view.scale + view.x,
  y: point.y * view.scale + view.y,
});

// The view zoomed by a factor; what is under the screen point `at` stays there.
export function zoomed(view, at, factor) {
  const scale = clamp(view.scale * factor, MIN_ZOOM, MAX_ZOOM);
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

export const panned = (view, dx, dy) => ({ ...view, x: view.x + dx, y: view.y + dy });

// The view moved as little as needed to keep some of the picture on the stage.
export function reachable(view, picture, stage) {
  const keep = 4 * MARGIN;
  return {
    scale: view.scale,
    x: clamp(view.x, keep - picture.width * view.scale, stage.width - keep),
    y: clamp(view.y, keep - picture.height * view.scale, stage.height - keep),
  };
}

// Points in a picture

export const isInside = (picture, p) =>
  p.x >= 0 && p.y >= 0 && p.x < picture.width && p.y < picture.height;

export const within = (picture, p) => ({
  x: clamp(p.x, 0, picture.width - EDGE),
  y: clamp(p.y, 0, picture.height - EDGE),
});

// The index of the last of the points nearest to p, if it is within reach; otherwise -1.
export function nearest(points, p, reach) {
  let found = -1;
  let best = reach;
  points.forEach((point, index) => {
    const away = distance(point, p);
    if (away <= best) [found, best] = [index, away];
  });
  return found;
}

// The end of an arrow within reach of p: {index, end}, end 0 where it starts; null without one.
export function arrowEnd(arrows, p, reach) {
  const ends = arrows.flatMap(([x0, y0, x1, y1]) => [
    { x: x0, y: y0 },
    { x: x1, y: y1 },
  ]);
  const found = nearest(ends, p, reach);
  return found < 0 ? null : { index: Math.floor(found / 2), end: found % 2 };
}

// Objects: a box {left, top, width, height} and where it goes, {dx, dy, scale}

export const centre = (box) => ({ x: box.left + box.width / 2, y: box.top + box.height / 2 });

// Where an object's box stands: q = centre + scale * (p - centre) + (dx, dy).
export function placedBox(box, { dx, dy, scale }) {
  const c = centre(box);
  const [width, height] = [box.width * scale, box.height * scale];
  return { left: c.x + dx - width / 2, top: c.y + dy - height / 2, width, height };
}

export const corners = ({ left, top, width, height }) => [
  { x: left, y: top },
  { x: left + width, y: top },
  { x: left + width, y: top + height },
  { x: left, y: top + height },
];

export const contains = (box, p) =>
  p.x >= box.left && p.y >= box.top && p.x <= box.left + box.width && p.y <= box.top + box.height;

export const movedBy = (placement, dx, dy) => ({
  ...placement,
  dx: rounded(placement.dx + dx),
  dy: rounded(placement.dy + dy),
});

export const resizedBy = (placement, factor, limits) => ({
  ...placement,
  scale: Math.round(clamp(placement.scale * factor, limits.minScale, limits.maxScale) * 1e4) / 1e4,
});

// Where an object of another picture stands first: at its own place where it fits, or else in the
// middle, no larger than half of the picture.
export function restingPlace(box, picture) {
  const right = box.left + box.width;
  const bottom = box.top + box.height;
  if (right <= picture.width && bottom <= picture.height) return { dx: 0, dy: 0, scale: 1 };
  const fit = Math.min(picture.width / (2 * box.width), picture.height / (2 * box.height));
  const c = centre(box);
  return {
    dx: rounded(picture.width / 2 - c.x),
    dy: rounded(picture.height / 2 - c.y),
    scale: Math.max(0.05, Math.min(1, Math.round(fit * 1e4) / 1e4)),
  };
}
