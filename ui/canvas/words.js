// What the status line says.

import { schema } from "./schema.js";
import { TOOLS, needsReference } from "./state.js";

export const BUSY = "Working on it";
export const LOADING = "Loading";
export const GONE = "The picture is no longer there; open it again.";
export const FAILED = "That did not work; try again.";
export const FULL = "There are 100 arrows; delete one first.";
export const TOO_LARGE =
  `The file has more than ${schema.maxBytes / 2 ** 20} MB; ` +
  "save the picture smaller, or as JPEG.";
export const NOT_A_MASK = "The mask is not a picture that can be read; save it as PNG.";

export const CLICKS = [
  "Click on the eye that is on the left of the picture.",
  "Click on the eye on the right.",
  "Click on the middle of the mouth.",
];

const PLACE = {
  arrows: ["Arrows", "Draw and drag arrows"],
  object: ["Move", "Drag and resize the object"],
  landmarks: ["Landmarks", "Drag the points of the face"],
};

// Name and description of the tool's own mode.
export const placeWords = (tool) => PLACE[TOOLS[tool].places] ?? PLACE.arrows;

export const wrongShape = (mask, picture) =>
  `The mask is ${mask.width} x ${mask.height} pixels and its picture ` +
  `${picture.width} x ${picture.height}; make both the same size.`;

export const undoneWords = (label) => `Undone: ${label}.`;

export const redoneWords = (label) => `Redone: ${label}.`;

// What to do next, in one sentence.
export function hint(state, tool, mode) {
  if (!state.source) return "Open a picture to begin.";
  if (needsReference(tool) && !state.reference) return NEEDS_REFERENCE[tool];
  return HINTS[tool](state, mode);
}

const NEEDS_REFERENCE = {
  paste: "Open the second picture, the one with the object.",
  appearance: "Open the second picture, the one with the look to take.",
  face: "Open the second portrait, whose expression the face shall take.",
};

const HINTS = {
  drag(state) {
    if (!state.arrows.length) return "Press on a point and drag it to where it shall go.";
    if (!state.mask) return "Brush over the area that may change.";
    return "Ready. Drag an arrow's ends to change it; Delete removes it.";
  },
  move(state, mode) {
    if (!state.mask) return "Brush over the object, or click on it with Select.";
    if (mode !== "place" && !state.move) return "Now choose Move, and drag it where it shall go.";
    if (!state.move) return "Drag the object; pull a corner to resize it.";
    return "Ready. Drag the object or its corners to change your mind.";
  },
  paste(state, mode) {
    if (!state.reference_mask) return "Brush over the object in the second picture.";
    if (mode !== "place") return "Now choose Move, and drag it where it shall go.";
    return "Ready. Drag the object or its corners on your picture.";
  },
  appearance(state) {
    if (!state.mask) return "Brush over what shall look different.";
    if (!state.reference_mask) return "Brush over the look to take in the second picture.";
    return "Ready.";
  },
  face(state) {
    if (!state.landmarks || !state.reference_landmarks) {
      return "Ready. To see and drag the points of the faces, find them first.";
    }
    return "Ready. Drag the points where they are not right.";
  },
};
