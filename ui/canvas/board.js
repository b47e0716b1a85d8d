// The canvas as a whole: its states, what the user has chosen, and its value for Python.

import { schema } from "./schema.js";
import { clamp, movedBy, resizedBy } from "./geometry.js";
import { amended, canRedo, canUndo, committed, redone, started, undone } from "./history.js";
import {
  MASKS,
  SIDES,
  TOOLS,
  empty,
  patched,
  sideOf,
  toValue,
  withMask,
  withoutArrow,
} from "./state.js";
import { firstMode, modesOf } from "./modes.js";
import { Cutout, MaskLayer, Pictures } from "./layers.js";
import { FAILED, redoneWords, undoneWords } from "./words.js";

export const BRUSHES = [0.005, 0.4]; // smallest and largest diameter, as shares of the longer side

export class Board {
  constructor({ props, trigger, server, upload }) {
    Object.assign(this, { props, trigger, server, upload });
    this.history = started(empty());
    this.rev = 0;
    this.tool = schema.tools[0];
    this.mode = "place";
    this.gesture = null; // what the press that is going on does, on either side
    this.draft = null; // the state during a gesture
    this.selected = null; // {side, index} and, of an arrow, {end}
    this.rubber = null; // {side, a, b} while a box is drawn
    this.marks = null; // {side, points} while three clicks are asked for
    this.preview = null; // {address, rev}
    this.peek = true; // whether the preview is shown
    this.brush = 0.06; // diameter as a share of the picture's longer side
    this.filling = false; // whether the fill mask is drawn instead of the mask
    this.excluding = false; // whether a click says what is not meant
    this.active = "source"; // the side that was used last
    this.busy = 0;
    this.broken = false; // whether the last picture could not be loaded
    this.message = "";
    this.pictures = new Pictures((there) => this.#loaded(there));
    this.layers = Object.fromEntries(
      MASKS.map((key) => [key, new MaskLayer(key, () => this.#decoded())]),
    );
    this.cutout = new Cutout();
    this.repaint = () => {}; // draws the stages
    this.refresh = () => {}; // draws the stages and brings the tool bar up to date
  }

  get state() {
    return this.history.present;
  }

  get shown() {
    return this.draft ?? this.state;
  }

  image(side) {
    const picture = this.state[side];
    return picture && this.pictures.get(picture.view.url);
  }

  // The key of the mask that is drawn on a side; null where the tool has none there.
  maskKey(side) {
    const keys = TOOLS[this.tool].masks[side] ?? [];
    return keys[this.filling ? keys.length - 1 : 0] ?? null;
  }

  // The side whose mask is inverted, cleared or opened; null without one.
  maskSide() {
    const sides = [this.active, ...SIDES];
    return sides.find((side) => this.maskKey(side) && this.image(side)) ?? null;
  }

  previewImage() {
    const there = this.preview?.rev === this.rev && this.peek && !this.draft;
    return there ? this.pictures.get(this.preview.address) : null;
  }

  // Whether everything that is on the canvas can be drawn.
  get ready() {
    const there = (side) => !this.state[side] || this.image(side);
    return SIDES.every(there) && MASKS.every((key) => !this.state[key] || this.layers[key].ready);
  }

  // Gestures

  end() {
    const { gesture } = this;
    this.gesture = null;
    gesture?.end();
  }

  cancel() {
    const { gesture } = this;
    this.gesture = null;
    gesture?.cancel();
  }

  // Steps

  commit(state, label, series = null) {
    this.#step(state, label, series);
    this.#changed(label);
  }

  // The first picture is where the history begins.
  #step(state, label, series = null) {
    const untouched = !this.state.source && !this.state.reference;
    this.history = untouched ? started(state) : committed(this.history, state, label, series);
  }

  // Adds to the present state what belongs to the step that led to it.
  amend(state, label) {
    this.history = amended(this.history, state);
    this.#changed(label);
  }

  // A step to what is drawn on a mask now, if that is anything new.
  commitMask(key, label) {
    const mask = this.layers[key].sealed();
    if (mask?.png !== this.state[key]?.png) this.commit(withMask(this.state, key, mask), label);
    else this.restoreMask(key);
  }

  // Takes back what was drawn on a mask without a step.
  restoreMask(key) {
    this.layers[key].hide();
    this.syncLayers();
    this.refresh();
  }

  moveObject({ key, placement }, dx, dy) {
    const next = { ...this.state, [key]: movedBy(placement, dx, dy) };
    this.commit(next, "the object is moved", "nudge");
  }

  resizeObject({ key, placement }, factor, series) {
    const next = { ...this.state, [key]: resizedBy(placement, factor, schema) };
    this.commit(next, "the object is resized", series);
  }

  deleteArrow(index) {
    this.selected = null;
    this.commit(withoutArrow(this.state, index), "an arrow is deleted");
  }

  deleteSelected() {
    if (this.selected?.end !== undefined) this.deleteArrow(this.selected.index);
  }

  clearMask(key) {
    if (this.state[key]) this.commit(withMask(this.state, key, null), "the mask is cleared");
  }

  undo() {
    if (!canUndo(this.history)) return;
    const { label } = this.history.past.at(-1);
    this.#travel(undone(this.history), undoneWords(label));
  }

  redo() {
    if (!canRedo(this.history)) return;
    const { label } = this.history.future[0];
    this.#travel(redone(this.history), redoneWords(label));
  }

  #travel(history, message) {
    this.cancel();
    this.history = history;
    this.selected = null;
    this.#changed(message);
  }

  #changed(message) {
    this.rev += 1;
    this.syncLayers();
    this.emit();
    this.trigger("edit", { rev: this.rev });
    this.say(message);
  }

  // Choices that are no steps

  setTool(tool) {
    if (tool === this.tool || !schema.tools.includes(tool)) return;
    this.tool = tool;
    this.filling = false;
    this.marks = null;
    this.selected = null;
    this.mode = firstMode(this.state, this.tool);
    this.#changed("");
  }

  setMode(mode) {
    if (!this.modes().includes(mode)) return;
    [this.mode, this.marks, this.selected] = [mode, null, null];
    this.say("");
  }

  modes() {
    return modesOf(this.tool, this.props.features.segment);
  }

  setBrush(share) {
    this.brush = clamp(share, ...BRUSHES);
    this.refresh();
  }

  say(message) {
    this.message = message;
    this.refresh();
  }

  // Runs what Python is asked for; says what went wrong.
  async work(task) {
    this.busy += 1;
    this.refresh();
    try {
      const answer = await task();
      this.message = answer?.ok ? this.message : (answer?.error ?? FAILED);
      return answer?.ok ? answer : null;
    } catch {
      this.message = FAILED;
      return null;
    } finally {
      this.busy -= 1;
      this.refresh();
    }
  }

  // The value

  // Always a new object, at once: whoever reads the value next gets this state.
  emit() {
    this.props.value = toValue(this.state, this.tool, this.rev);
  }

  // Takes what Python or another event of the page has put into the value.
  receive(given) {
    const value = given && JSON.parse(JSON.stringify(given));
    if (!value) return this.#replaced(empty());
    if (value.version === schema.version) return this.#replaced(patched(empty(), value), value.tool);
    const { preview, tool, ...fields } = value.patch ?? {};
    if (preview !== undefined) {
      this.preview = preview && { address: preview.file.url, rev: preview.rev };
    }
    if (Object.keys(fields).length) this.#replaced(patched(this.state, fields), tool);
    else if (tool) this.setTool(tool);
    this.emit();
    this.refresh();
  }

  #replaced(state, tool) {
    this.cancel();
    [this.selected, this.marks] = [null, null];
    if (tool && schema.tools.includes(tool)) this.tool = tool;
    this.#step(state, "a change by the page");
    if (!this.modes().includes(this.mode) || tool) this.mode = firstMode(this.state, this.tool);
    this.#changed("");
  }

  // Pixels

  syncLayers() {
    for (const key of MASKS) {
      const side = sideOf(key);
      const image = this.image(side);
      const sides = image && { width: image.naturalWidth, height: image.naturalHeight };
      if (sides) this.layers[key].show(this.state[key], this.state[side], sides);
      else this.layers[key].hide();
    }
  }

  #loaded(there) {
    this.broken = !there;
    this.syncLayers();
    this.refresh();
  }

  // Objects stand where their mask says, which is known only now: the value is told.
  #decoded() {
    this.emit();
    this.refresh();
  }
}
