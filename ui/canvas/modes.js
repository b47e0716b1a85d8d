// What the pointer can do with each tool.

import { TOOLS, landmarksKey } from "./state.js";

export const MASK_MODES = ["brush", "erase", "box", "segment"];

// The modes of a tool: its own one, if it places anything; those that draw its masks; the hand.
export function modesOf(tool, canSegment) {
  const { places, masks } = TOOLS[tool];
  const drawn = Object.keys(masks).length > 0;
  return [
    ...(places ? ["place"] : []),
    ...(drawn ? MASK_MODES.filter((mode) => mode !== "segment" || canSegment) : []),
    "hand",
  ];
}

// The mode to begin with: an object is marked before it is moved.
export function firstMode(state, tool) {
  const { places, object } = TOOLS[tool];
  return !places || (object && !state[object]) ? "brush" : "place";
}

// What can be selected on a side: the ends of arrows, {index, end}, or landmarks, {index}.
export function handlesOf(state, tool, side) {
  const { places } = TOOLS[tool];
  if (places === "landmarks") return (state[landmarksKey(side)] ?? []).map((_, index) => ({ index }));
  const arrows = places === "arrows" && side === "source" ? state.arrows : [];
  return arrows.flatMap((_, index) => [0, 1].map((end) => ({ index, end })));
}
