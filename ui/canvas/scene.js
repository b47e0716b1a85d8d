// What a stage shows now, as `paint` wants it.

import { brushRadius } from "./gestures.js";
import { MASK_MODES } from "./modes.js";
import { TOOLS, landmarksKey, objectOf, sideOf } from "./state.js";

const MARKED = 0.45; // opacity of a mask while masks are drawn
const SEEN = 0.2; // and while something else is done

export function sceneOf(board, { side, view, size, hover, cursor }, image) {
  const state = board.shown;
  const preview = side === "source" ? board.previewImage() : null;
  const draws = MASK_MODES.includes(board.mode);
  const places = TOOLS[board.tool].places;
  return {
    size,
    view,
    image,
    preview,
    ratio: window.devicePixelRatio || 1,
    picture: state[side],
    masks: masks(board, side, board.previewImage() ? 0 : draws ? MARKED : SEEN),
    object: side === "source" ? movable(board, state, preview) : null,
    arrows: places === "arrows" && side === "source" ? state.arrows : [],
    landmarks: places === "landmarks" ? state[landmarksKey(side)] : null,
    selected: board.selected?.side === side ? board.selected : null,
    pick: board.mode === "segment" && isOn(state.pick, board, side) ? state.pick : null,
    marks: board.marks?.side === side ? board.marks.points : [],
    rubber: board.rubber?.side === side ? board.rubber : null,
    brush: brush(board, side, hover ?? cursor),
    cursor,
  };
}

// A preview is judged by its colours, and so is the object that it takes over: only the line round a
// mask is left then. While a mask is drawn it has none.
function masks(board, side, opacity) {
  const chosen = board.maskKey(side);
  return (TOOLS[board.tool].masks[side] ?? [])
    .filter((key) => board.layers[key].ready)
    .map((key) => ({
      canvas: board.layers[key].canvas,
      colour: board.layers[key].colour,
      outline: board.gesture ? null : board.layers[key].outline,
      perCell: board.layers[key].perCell,
      opacity: key === chosen ? opacity : opacity / 2,
    }));
}

function movable(board, state, preview) {
  const object = objectOf(state, board.tool);
  const active = board.mode === "place";
  const image = object && board.image(object.side);
  if (!image || (!active && !state[board.tool])) return null;
  const { width, height } = state[object.side];
  return {
    ...object,
    active,
    canvas: board.cutout.get(image, board.layers[TOOLS[board.tool].object]),
    sides: { width, height },
    solid: !preview,
  };
}

const isOn = (pick, board, side) =>
  pick && sideOf(pick.key) === side && pick.key === board.maskKey(side);

function brush(board, side, at) {
  const draws = board.mode === "brush" || board.mode === "erase";
  return draws && at && board.maskKey(side) ? { at, radius: brushRadius(board, side) } : null;
}
