// States during a gesture. Each function takes the state in which the gesture began and returns
// what the state is when the pointer has got to a point p of the picture.

import { schema } from "./schema.js";
import { distance, movedBy, resizedBy, rounded, within } from "./geometry.js";
import { landmarksKey } from "./state.js";

function pair(picture, p) {
  const { x, y } = within(picture, p);
  return [rounded(x), rounded(y)];
}

export function arrowDrawn(state, start) {
  const from = pair(state.source, start);
  return (p) => ({ ...state, arrows: [...state.arrows, [...from, ...pair(state.source, p)]] });
}

export const arrowEndMoved = (state, { index, end }) => (p) => {
  const moved = [...state.arrows[index]];
  moved.splice(2 * end, 2, ...pair(state.source, p));
  return { ...state, arrows: state.arrows.with(index, moved) };
};

export const objectMoved = (state, { key, placement }, start) => (p) => ({
  ...state,
  [key]: movedBy(placement, p.x - start.x, p.y - start.y),
});

// Resized about the object's centre c by dragging one of its corners from `start`.
export const objectResized = (state, { key, placement }, c, start) => (p) => ({
  ...state,
  [key]: resizedBy(placement, distance(c, p) / Math.max(1e-6, distance(c, start)), schema),
});

export const landmarkMoved = (state, side, index) => (p) => {
  const key = landmarksKey(side);
  return { ...state, [key]: state[key].with(index, pair(state[side], p)) };
};
