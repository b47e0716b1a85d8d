// Puts the canvas to work in its element. Every listener sits on a part of the element, or goes with
// it, so that nothing is left when the page takes it away.

import { Board } from "./board.js";
import { press, travel } from "./keys.js";
import { openMask, openPicture } from "./requests.js";
import { needsReference } from "./state.js";
import { Stage } from "./stage.js";
import { Toolbar } from "./toolbar.js";
import { BUSY, GONE, LOADING, hint } from "./words.js";

// gradio: what Gradio gives to a component's code, `element, trigger, props, server, upload, watch`.
export function mount(gradio) {
  const root = gradio.element.querySelector(".canvas");
  const board = new Board(gradio);
  const stages = Object.fromEntries(
    [...root.querySelectorAll(".stage")].map((section) => [
      section.dataset.side,
      new Stage(board, section),
    ]),
  );
  const choose = chooser(board, root.querySelector("[data-file]"));
  const toolbar = new Toolbar(board, root.querySelector(".bar"), stages, choose);
  board.repaint = () => Object.values(stages).forEach((stage) => stage.repaint());
  board.refresh = () => {
    toolbar.update();
    show(board, root, stages);
    board.repaint();
  };
  for (const stage of Object.values(stages)) listen(board, stage, choose);
  listenToKeys(board, root, stages);
  guard(root);
  root.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    openPicture(board, board.active, file);
  });
  gradio.watch("value", () => board.receive(gradio.props.value));
  if (gradio.props.value) board.receive(gradio.props.value);
  board.refresh();
  root.dataset.ready = "true";
}

// Opens the file dialog for a picture or a mask of a side.
function chooser(board, input) {
  let purpose = null;
  input.addEventListener("change", () => {
    const open = purpose.what === "mask" ? openMask : openPicture;
    open(board, purpose.side, input.files[0]);
    input.value = "";
  });
  return (what, side) => {
    purpose = { what, side };
    input.click();
  };
}

function listen(board, { side, element }, choose) {
  for (const button of element.querySelectorAll("[data-open]")) {
    button.addEventListener("click", () => choose("picture", side));
  }
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.dataset.over = "true";
  });
  element.addEventListener("dragleave", () => delete element.dataset.over);
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    delete element.dataset.over;
    openPicture(board, side, event.dataTransfer.files[0]);
  });
}

// Keeps the browser from opening a file that was dropped beside a stage in place of the page.
function guard(root) {
  const away = new AbortController();
  const on = (name, listener) =>
    document.addEventListener(
      name,
      (event) => (root.isConnected ? listener(event) : away.abort()),
      { signal: away.signal },
    );
  on("dragover", (event) => {
    if (!bringsFile(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
  on("drop", (event) => {
    if (bringsFile(event)) event.preventDefault();
  });
}

// Whether a file is dragged over what does not take it.
const bringsFile = ({ defaultPrevented, dataTransfer }) =>
  !defaultPrevented && dataTransfer?.types.includes("Files");

function listenToKeys(board, root, stages) {
  const stageOf = (target) => Object.values(stages).find(({ surface }) => surface === target);
  root.addEventListener("keydown", (event) => {
    const stage = stageOf(event.target);
    const did = stage ? press(board, stage, event) : travel(board, event);
    if (did) event.preventDefault();
  });
  root.addEventListener("keyup", (event) => {
    const stage = stageOf(event.target);
    if (stage && event.key === " ") stage.holding = false;
  });
}

// What is to be seen beside the pictures themselves.
function show(board, root, stages) {
  root.dataset.tool = board.tool;
  root.dataset.mode = board.mode;
  root.dataset.rev = board.rev;
  root.setAttribute("aria-busy", board.busy > 0 || !board.ready);
  for (const { side, element } of Object.values(stages)) {
    element.hidden = side === "reference" && !needsReference(board.tool);
    const picture = board.state[side];
    element.dataset.filled = picture !== null;
    if (picture) element.style.setProperty("--aspect", picture.width / picture.height);
    element.dataset.draws = board.maskKey(side) !== null;
  }
  root.querySelector(".status").textContent = status(board);
}

function status(board) {
  if (board.busy) return BUSY;
  if (!board.ready) return board.broken ? GONE : LOADING;
  const next = hint(board.state, board.tool, board.mode);
  return board.message ? `${sentence(board.message)} ${next}` : next;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/[^.]$/, "$&.");
