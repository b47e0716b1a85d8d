// What a press on a picture begins: {move(p), end(), cancel()}, or null where it begins nothing.
// Points are pixels of the picture.

import { schema } from "./schema.js";
import {
  arrowEnd,
  centre,
  contains,
  corners,
  distance,
  isInside,
  nearest,
  placedBox,
} from "./geometry.js";
import { drawBox, drawStroke } from "./bitmap.js";
import { TOOLS, landmarksKey, objectOf } from "./state.js";
import {
  arrowDrawn,
  arrowEndMoved,
  landmarkMoved,
  objectMoved,
  objectResized,
} from "./drafts.js";
import { fitLandmarks, segment } from "./requests.js";
import { CLICKS, FULL } from "./words.js";

const SHORT = 0.4; // of the reach: a way that is shorter is a click

// reach: how far from p something still counts as hit, in pixels of the picture.
// negative: whether the press takes away instead of adding.
export function begin(board, side, p, { reach, negative }) {
  if (board.marks) return mark(board, side, p);
  if (board.mode === "place") return PLACES[TOOLS[board.tool].places](board, side, p, reach);
  const key = board.maskKey(side);
  if (!key || !board.layers[key].ready) return null;
  if (board.mode === "segment") return pick(board, side, key, p, reach, negative);
  if (board.mode === "box") return box(board, side, key, p, negative);
  return stroke(board, side, key, p, negative || board.mode === "erase");
}

// The radius of the brush on a side, in pixels of its picture.
export function brushRadius(board, side) {
  const { width, height } = board.state[side];
  return (board.brush * Math.max(width, height)) / 2;
}

// A gesture from `start` whose draft becomes the state, if it went anywhere and is worth it.
function drafted(board, start, make, label, worth = () => true) {
  let away = 0;
  return {
    move(p) {
      away = distance(start, p);
      board.draft = make(p);
      board.repaint();
    },
    end() {
      const next = board.draft;
      board.draft = null;
      if (next && away > 0 && worth(next)) board.commit(next, label);
      else board.refresh();
    },
    cancel() {
      board.draft = null;
      board.refresh();
    },
  };
}

const PLACES = {
  arrows(board, side, p, reach) {
    if (side !== "source") return null;
    const { state } = board;
    const hit = arrowEnd(state.arrows, p, reach);
    board.selected = hit && { side, ...hit };
    if (hit) return drafted(board, p, arrowEndMoved(state, hit), "an arrow is moved", isLong(hit.index));
    if (!isInside(state.source, p)) return null;
    if (state.arrows.length === schema.maxArrows) return board.say(FULL) ?? null;
    const index = state.arrows.length;
    board.selected = { side, index, end: 1 };
    const long = isLong(index, SHORT * reach);
    return drafted(board, p, arrowDrawn(state, p), "an arrow is drawn", long);
  },
  object(board, side, p, reach) {
    const object = side === "source" && objectOf(board.state, board.tool);
    if (!object) return null;
    const placed = placedBox(object.box, object.placement);
    if (nearest(corners(placed), p, reach) >= 0) {
      const make = objectResized(board.state, object, centre(placed), p);
      return drafted(board, p, make, "the object is resized");
    }
    if (!contains(placed, p)) return null;
    return drafted(board, p, objectMoved(board.state, object, p), "the object is moved");
  },
  landmarks(board, side, p, reach) {
    const points = board.state[landmarksKey(side)]?.map(([x, y]) => ({ x, y }));
    const index = points ? nearest(points, p, reach) : -1;
    board.selected = index < 0 ? null : { side, index };
    if (index < 0) return null;
    return drafted(board, p, landmarkMoved(board.state, side, index), "a point of the face is moved");
  },
};

const isLong = (index, least = 0) => ({ arrows }) => {
  const [x0, y0, x1, y1] = arrows[index];
  return distance({ x: x0, y: y0 }, { x: x1, y: y1 }) > least;
};

function stroke(board, side, key, start, erases) {
  const layer = board.layers[key];
  const radius = brushRadius(board, side) / layer.perCell.x;
  let last = layer.toCells(start);
  const move = (p) => {
    const next = layer.toCells(p);
    layer.touch(drawStroke(layer.bitmap, last, next, radius, erases ? 0 : 1));
    last = next;
    board.repaint();
  };
  move(start);
  return {
    move,
    end: () => board.commitMask(key, erases ? "an eraser stroke" : "a brush stroke"),
    cancel: () => board.restoreMask(key),
  };
}

// A box that is drawn, and what happens with its corners in the end.
const rubber = (board, side, start, done) => ({
  move(p) {
    board.rubber = { side, a: start, b: p };
    board.repaint();
  },
  end() {
    const drawn = board.rubber ?? { a: start, b: start };
    board.rubber = null;
    done(drawn.a, drawn.b);
    board.refresh();
  },
  cancel() {
    board.rubber = null;
    board.refresh();
  },
});

const box = (board, side, key, start, erases) =>
  rubber(board, side, start, (a, b) => {
    const layer = board.layers[key];
    layer.touch(drawBox(layer.bitmap, layer.toCells(a), layer.toCells(b), erases ? 0 : 1));
    board.commitMask(key, erases ? "a box is taken away" : "a box is marked");
  });

const pick = (board, side, key, start, reach, negative) =>
  rubber(board, side, start, (a, b) => {
    if (distance(a, b) > reach) segment(board, key, { box: [a, b] });
    else if (isInside(board.state[side], a)) segment(board, key, { point: a, negative });
  });

// One of the three clicks that landmarks are fitted to.
function mark(board, side, p) {
  if (!isInside(board.state[side], p)) return null;
  const points = board.marks.side === side ? [...board.marks.points, p] : [p];
  board.marks = points.length < CLICKS.length ? { side, points } : null;
  board.say(CLICKS[points.length] ?? "");
  if (!board.marks) fitLandmarks(board, side, points);
  return null;
}
