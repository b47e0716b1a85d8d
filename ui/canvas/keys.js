// The keyboard on a stage: everything that a pointer can do.

import { arrowEndMoved, landmarkMoved } from "./drafts.js";
import { within } from "./geometry.js";
import { handlesOf } from "./modes.js";
import { landmarksKey } from "./state.js";

const MODE_KEYS = { v: "place", b: "brush", e: "erase", r: "box", s: "segment", h: "hand" };
const ARROW_KEYS = {
  arrowleft: { x: -1, y: 0 },
  arrowright: { x: 1, y: 0 },
  arrowup: { x: 0, y: -1 },
  arrowdown: { x: 0, y: 1 },
};
const FAR = 10; // how much further with Shift
const STEPS_ACROSS = 256; // steps of the cursor along the picture's longer side
const ZOOM = 1.25;
const RESIZE = 1.02;

// Does what a key stands for; returns whether it stands for anything.
export function press(board, stage, event) {
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) return travel(board, event);
  if (event.altKey && key !== "enter") return false;
  if (key in MODE_KEYS) return done(board.setMode(MODE_KEYS[key]));
  if (key in ARROW_KEYS) return steer(board, stage, ARROW_KEYS[key], event.shiftKey ? FAR : 1);
  const act = stage.picture && KEYS[key];
  return act ? done(act(board, stage, event)) : false;
}

const done = () => true;

// Undo and redo, which are the same keys everywhere.
export function travel(board, event) {
  const key = event.ctrlKey || event.metaKey ? event.key.toLowerCase() : "";
  if (key === "z") return done(event.shiftKey ? board.redo() : board.undo());
  return key === "y" ? done(board.redo()) : false;
}

const KEYS = {
  0: (board, stage) => stage.fit(),
  "+": (board, stage) => grow(board, stage, 1),
  "=": (board, stage) => grow(board, stage, 1),
  "-": (board, stage) => grow(board, stage, -1),
  "[": (board) => board.setBrush(board.brush / ZOOM),
  "]": (board) => board.setBrush(board.brush * ZOOM),
  ".": (board, stage) => select(board, stage, 1),
  ",": (board, stage) => select(board, stage, -1),
  " ": (board, stage) => (stage.holding = true),
  delete: (board) => board.deleteSelected(),
  backspace: (board) => board.deleteSelected(),
  enter: (board, stage, event) => pressOrRelease(stage, event.shiftKey || event.altKey),
  escape(board, stage) {
    board.cancel();
    board.setMode(board.mode);
  },
};

function grow(board, stage, sign) {
  const object = stage.movable();
  if (object) board.resizeObject(object, RESIZE ** sign, "grow");
  else stage.zoom(ZOOM ** sign);
}

// Moves what is selected, or the object, or the cursor.
function steer(board, stage, { x, y }, factor) {
  if (!stage.picture) return false;
  const object = stage.movable();
  if (board.gesture) moveCursor(stage, x * factor, y * factor);
  else if (board.selected?.side === stage.side) nudge(board, x * factor, y * factor);
  else if (object) board.moveObject(object, x * factor, y * factor);
  else moveCursor(stage, x * factor, y * factor);
  return true;
}

function moveCursor(stage, x, y) {
  const { width, height } = stage.picture;
  const step = Math.max(width, height) / STEPS_ACROSS;
  const from = stage.cursor ?? { x: width / 2, y: height / 2 };
  stage.cursor = stage.cursor
    ? within(stage.picture, { x: from.x + step * x, y: from.y + step * y })
    : from;
  stage.board.gesture?.move(stage.cursor);
  stage.repaint();
}

function pressOrRelease(stage, negative) {
  if (stage.board.gesture) return stage.board.end();
  if (!stage.board.ready) return;
  if (!stage.cursor) return moveCursor(stage, 0, 0);
  stage.begin(stage.cursor, negative);
  stage.board.gesture?.move(stage.cursor);
}

// Moves the selected end of an arrow, or the selected landmark.
function nudge(board, dx, dy) {
  const { side, index, end } = board.selected;
  const { state } = board;
  const series = `nudge ${side} ${index} ${end}`;
  if (end === undefined) {
    const [x, y] = state[landmarksKey(side)][index];
    const next = landmarkMoved(state, side, index)({ x: x + dx, y: y + dy });
    return board.commit(next, "a point of the face is moved", series);
  }
  const [x, y] = state.arrows[index].slice(2 * end, 2 * end + 2);
  board.commit(arrowEndMoved(state, { index, end })({ x: x + dx, y: y + dy }), "an arrow is moved", series);
}

// Selects the next or the previous end of an arrow or landmark.
function select(board, stage, step) {
  const { side } = stage;
  const all = handlesOf(board.state, board.tool, side);
  if (!all.length || board.mode !== "place") return;
  const { selected } = board;
  const now = all.findIndex((one) => one.index === selected?.index && one.end === selected?.end);
  const next = now < 0 ? (step > 0 ? 0 : all.length - 1) : (now + step + all.length) % all.length;
  board.selected = { side, ...all[next] };
  board.refresh();
}
