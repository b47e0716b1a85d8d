// What is on the canvas: a plain object that is never changed in place, and what each tool needs.
// Coordinates are pixels of the picture's own size. A mask is {png, runs, box}: the PNG that Python
// reads, its cells as runs and its bounding box in pixels of its picture; the last two are null
// until a PNG from Python is decoded.

import { schema } from "./schema.js";
import { restingPlace, rounded } from "./geometry.js";

export const SIDES = ["source", "reference"];
export const MASKS = ["mask", "fill_mask", "reference_mask"];
const UNMOVED = { dx: 0, dy: 0, scale: 1 };

// What a tool places on the pictures, and which masks can be drawn on which of them.
export const TOOLS = {
  drag: { places: "arrows", masks: { source: ["mask"] } },
  move: { places: "object", masks: { source: ["mask", "fill_mask"] }, object: "mask" },
  paste: {
    places: "object",
    masks: { reference: ["reference_mask"] },
    object: "reference_mask",
  },
  appearance: { places: null, masks: { source: ["mask"], reference: ["reference_mask"] } },
  face: { places: "landmarks", masks: {} },
};

export const needsReference = (tool) => ["paste", "appearance", "face"].includes(tool);

export const sideOf = (key) => (key.startsWith("reference") ? "reference" : "source");

export const landmarksKey = (side) => (side === "source" ? "landmarks" : "reference_landmarks");

// The state before anything was done. `move` and `paste` are null until the object was moved;
// `pick` is what the present mask was segmented from: {key, base, box, positive, negative}.
export const empty = () => ({
  source: null,
  reference: null,
  ...unmarked("source"),
  ...unmarked("reference"),
});

function unmarked(side) {
  if (side === "reference") {
    return { reference_mask: null, reference_landmarks: null, paste: null, pick: null };
  }
  return {
    mask: null,
    fill_mask: null,
    arrows: [],
    move: null,
    paste: null,
    landmarks: null,
    pick: null,
  };
}

export const withPicture = (state, side, picture) => ({
  ...state,
  ...unmarked(side),
  [side]: picture,
});

export const withMask = (state, key, mask) => ({ ...state, [key]: mask, pick: null });

export const withoutArrow = (state, index) => ({
  ...state,
  arrows: state.arrows.filter((_, i) => i !== index),
});

// The state after a patch from Python: only fields of `Patch` are taken over.
export function patched(state, patch) {
  let next = { ...state, pick: null };
  for (const side of SIDES) {
    if (side in patch) next = withPicture(next, side, patch[side]);
  }
  for (const key of MASKS) {
    if (key in patch) next[key] = patch[key] && { png: patch[key], runs: null, box: null };
  }
  for (const key of ["arrows", "move", "paste", "landmarks", "reference_landmarks"]) {
    if (key in patch) next[key] = patch[key];
  }
  return next;
}

// The object that the tool moves over the source picture: {key, side, mask, box, placement}, box in
// pixels; null without one.
export function objectOf(state, tool) {
  const key = TOOLS[tool].object;
  const mask = key && state[key];
  if (!mask?.box || !state.source) return null;
  return { key: tool, side: sideOf(key), mask, box: mask.box, placement: placementOf(state, tool) };
}

function placementOf(state, tool) {
  if (state[tool]) return state[tool];
  const box = state.reference_mask?.box;
  return tool === "paste" && box && state.source ? restingPlace(box, state.source) : UNMOVED;
}

// The value that Python reads: the fields of `Value`.
export const toValue = (state, tool, rev) => ({
  version: schema.version,
  rev,
  tool,
  source: state.source,
  reference: state.reference,
  mask: state.mask?.png ?? null,
  fill_mask: state.fill_mask?.png ?? null,
  reference_mask: state.reference_mask?.png ?? null,
  arrows: state.arrows.map((arrow) => arrow.map(rounded)),
  move: placementOf(state, "move"),
  paste: placementOf(state, "paste"),
  landmarks: state.landmarks?.map((point) => point.map(rounded)) ?? null,
  reference_landmarks: state.reference_landmarks?.map((point) => point.map(rounded)) ?? null,
});
