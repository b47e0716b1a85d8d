// The tool bar: what its buttons do, and which of them are there, pressed or off.

import { BRUSHES } from "./board.js";
import { MASK_MODES } from "./modes.js";
import { canRedo, canUndo } from "./history.js";
import { TOOLS, landmarksKey } from "./state.js";
import { findLandmarks, invertMask } from "./requests.js";
import { CLICKS, placeWords } from "./words.js";

const ZOOM = 1.25;
const AHEAD = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class Toolbar {
  // stages: by side; choose: opens the file dialog for a purpose.
  constructor(board, element, stages, choose) {
    Object.assign(this, { board, element, stages, choose });
    this.size = element.querySelector("input");
    this.buttons = [...element.querySelectorAll("button")];
    this.#rove(this.buttons[0]);
    element.addEventListener("click", (event) => this.#click(event.target.closest("button")));
    element.addEventListener("keydown", (event) => this.#key(event));
    this.size.addEventListener("input", () => board.setBrush(fromSlider(this.size.valueAsNumber)));
  }

  #click(button) {
    if (!button) return;
    const { mode, act } = button.dataset;
    this.#rove(button);
    if (mode) this.board.setMode(mode);
    else ACTS[act](this.board, this);
    this.board.refresh();
  }

  // One tab stop for all buttons; arrow keys go from one to the next.
  #key(event) {
    const there = this.#there();
    const now = there.indexOf(event.target);
    const step = AHEAD[event.key];
    if (now < 0 || !step) return;
    const next = there[(now + step + there.length) % there.length];
    this.#rove(next);
    next.focus();
    event.preventDefault();
  }

  // The buttons that can be pressed now; a hidden group hides its own.
  #there() {
    return this.buttons.filter((button) => button.checkVisibility() && !button.disabled);
  }

  #rove(chosen) {
    for (const button of this.buttons) button.tabIndex = button === chosen ? 0 : -1;
  }

  update() {
    const { board } = this;
    const modes = board.modes();
    for (const button of this.buttons) {
      const { mode, act } = button.dataset;
      if (mode) {
        button.hidden = !modes.includes(mode);
        button.setAttribute("aria-pressed", board.mode === mode);
      } else {
        button.disabled = !(ENABLED[act]?.(board) ?? true);
        if (act in PRESSED) button.setAttribute("aria-pressed", PRESSED[act](board));
        if (act in SHOWN) button.hidden = !SHOWN[act](board);
      }
    }
    for (const part of this.element.querySelectorAll("[data-for]")) {
      part.hidden = !FOR[part.dataset.for](board);
    }
    this.#describe();
    const there = this.#there(); // none before the page is shown
    if (there.length && !there.some((button) => button.tabIndex === 0)) this.#rove(there[0]);
  }

  #describe() {
    const [name, description] = placeWords(this.board.tool);
    const place = this.element.querySelector("[data-mode=place]");
    place.querySelector("span").textContent = name;
    place.setAttribute("aria-label", name);
    for (const icon of place.querySelectorAll("svg")) {
      icon.toggleAttribute("hidden", icon.dataset.places !== TOOLS[this.board.tool].places);
    }
    place.title = `${description} (V)`;
    this.size.value = toSlider(this.board.brush);
    this.size.setAttribute("aria-valuetext", `${(100 * this.board.brush).toFixed(1)} %`);
  }
}

const fromSlider = (value) => BRUSHES[0] * (BRUSHES[1] / BRUSHES[0]) ** (value / 100);

const toSlider = (share) =>
  Math.round((100 * Math.log(share / BRUSHES[0])) / Math.log(BRUSHES[1] / BRUSHES[0]));

const zoom = (factor) => (board, { stages }) => {
  for (const stage of Object.values(stages)) if (stage.picture) stage.zoom(factor);
};

const onMask = (act) => (board) => {
  const side = board.maskSide();
  if (side) act(board, board.maskKey(side), side);
};

const ACTS = {
  undo: (board) => board.undo(),
  redo: (board) => board.redo(),
  smaller: zoom(1 / ZOOM),
  larger: zoom(ZOOM),
  fit: (board, { stages }) => Object.values(stages).forEach((stage) => stage.fit()),
  peek: (board) => (board.peek = !board.peek),
  include: (board) => (board.excluding = false),
  exclude: (board) => (board.excluding = true),
  object: (board) => (board.filling = false),
  fill: (board) => (board.filling = true),
  upload: (board, { choose }) => choose("mask", board.maskSide()),
  invert: onMask(invertMask),
  clear: onMask((board, key) => board.clearMask(key)),
  delete: (board) => board.deleteSelected(),
  none: (board) => board.commit({ ...board.state, arrows: [] }, "all arrows are deleted"),
  back: (board) => board.commit({ ...board.state, [board.tool]: null }, "the object is put back"),
  find: (board) => findLandmarks(board),
  three(board) {
    const side = board.state[board.active] ? board.active : "source";
    board.marks = { side, points: [] };
    board.say(CLICKS[0]);
  },
  forget(board) {
    const none = { [landmarksKey("source")]: null, [landmarksKey("reference")]: null };
    board.commit({ ...board.state, ...none }, "the points of the faces are taken away");
  },
};

const anyLandmarks = ({ state }) => Boolean(state.landmarks || state.reference_landmarks);
const masked = (board) => Boolean(board.maskSide() && board.state[board.maskKey(board.maskSide())]);

const ENABLED = {
  undo: ({ history }) => canUndo(history),
  redo: ({ history }) => canRedo(history),
  smaller: ({ state }) => Boolean(state.source || state.reference),
  larger: ({ state }) => Boolean(state.source || state.reference),
  fit: ({ state }) => Boolean(state.source || state.reference),
  upload: (board) => board.maskSide() !== null,
  invert: (board) => board.ready && board.maskSide() !== null,
  clear: masked,
  delete: ({ selected }) => selected?.end !== undefined,
  none: ({ state }) => state.arrows.length > 0,
  back: ({ state, tool }) => state[tool] !== null,
  find: ({ state }) => Boolean(state.source || state.reference),
  three: ({ state }) => Boolean(state.source || state.reference),
  forget: anyLandmarks,
};

const PRESSED = {
  peek: ({ peek }) => peek,
  include: ({ excluding }) => !excluding,
  exclude: ({ excluding }) => excluding,
  object: ({ filling }) => !filling,
  fill: ({ filling }) => filling,
  three: ({ marks }) => marks !== null,
};

const SHOWN = {
  peek: ({ preview, rev }) => preview?.rev === rev,
  find: ({ props }) => props.features.find,
  three: ({ props }) => props.features.fit,
};

const places = (what) => (board) => board.mode === "place" && TOOLS[board.tool].places === what;
const drawsMask = (board) => MASK_MODES.includes(board.mode);

const FOR = {
  size: ({ mode }) => mode === "brush" || mode === "erase",
  segment: ({ mode }) => mode === "segment",
  fill: (board) => board.tool === "move" && drawsMask(board),
  mask: drawsMask,
  arrows: places("arrows"),
  object: places("object"),
  face: ({ tool }) => tool === "face",
};
