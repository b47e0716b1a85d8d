// One picture on the screen: its view, and pointers on it.

import {
  arrowEnd,
  contains,
  distance,
  fitted,
  middle,
  panned,
  placedBox,
  reachable,
  toPicture,
  zoomed,
} from "./geometry.js";
import { begin } from "./gestures.js";
import { objectOf } from "./state.js";
import { paint } from "./paint.js";
import { sceneOf } from "./scene.js";

const REACH = { mouse: 10, pen: 14, touch: 22 }; // CSS pixels
const WHEEL = 0.0015; // change of the logarithm of a size per wheel step

export class Stage {
  constructor(board, element) {
    this.board = board;
    this.element = element;
    this.side = element.dataset.side;
    this.surface = element.querySelector("canvas");
    this.context = this.surface.getContext("2d");
    this.size = { width: 0, height: 0 };
    this.view = null;
    this.fits = true; // whether the view follows the stage's size
    this.pointers = new Map();
    this.hover = null; // point under the pointer
    this.cursor = null; // point of the keyboard's cursor
    this.holding = false; // whether the space bar makes the pointer a hand
    this.#listen();
    new ResizeObserver(() => this.#resized()).observe(this.surface);
  }

  get picture() {
    return this.board.state[this.side];
  }

  #resized() {
    this.size = { width: this.surface.clientWidth, height: this.surface.clientHeight };
    if (this.fits) this.view = null;
    this.repaint();
  }

  repaint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#paint();
    });
  }

  #paint() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(this.size.width * ratio);
    const height = Math.round(this.size.height * ratio);
    if (this.surface.width !== width) this.surface.width = width;
    if (this.surface.height !== height) this.surface.height = height;
    const image = this.board.image(this.side);
    if (!width || !height) return;
    if (!image) return this.context.clearRect(0, 0, width, height);
    paint(this.context, sceneOf(this.board, this.seen(), image));
  }

  // The stage with a view of the present picture.
  seen() {
    const { width, height } = this.picture;
    if (!this.view || this.viewed !== `${width} ${height}`) this.fit();
    return this;
  }

  fit() {
    if (!this.picture) return;
    this.view = fitted(this.picture, this.size);
    this.viewed = `${this.picture.width} ${this.picture.height}`;
    this.fits = true;
    this.repaint();
  }

  zoom(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    this.#look(zoomed(this.view, at, factor));
  }

  #look(view) {
    this.view = reachable(view, this.picture, this.size);
    this.fits = false;
    this.repaint();
  }

  // Pointers

  #listen() {
    const on = (name, listener) => this.surface.addEventListener(name, listener, { passive: false });
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", (event) => this.#lost(event));
    on("pointerleave", () => this.#hovered(null));
    // Else a stroke that ends quickly is a fling to the browser, which then swallows the next tap.
    on("touchmove", (event) => event.preventDefault());
    on("wheel", (event) => this.#wheel(event));
    on("contextmenu", (event) => event.preventDefault());
    on("dblclick", (event) => this.#delete(event));
  }

  #at(event) {
    const box = this.surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #point(event) {
    return toPicture(this.view, this.#at(event));
  }

  #down(event) {
    if (!this.board.ready || !this.picture) return;
    event.preventDefault();
    this.surface.focus({ preventScroll: true });
    this.surface.setPointerCapture(event.pointerId);
    this.board.active = this.side;
    this.cursor = null;
    this.pointers.set(event.pointerId, this.#at(event));
    const alone = this.pointers.size === 1;
    this.panning = alone && (event.button === 1 || this.holding || this.board.mode === "hand");
    this.board.cancel();
    if (!alone || this.panning || (event.button === 2 && this.#delete(event))) return;
    this.begin(this.#point(event), event.button === 2 || event.altKey, event.pointerType);
  }

  #move(event) {
    if (!this.picture || !this.view) return;
    this.#hovered(this.#point(event));
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#at(event);
    if (this.pointers.size === 2) this.#pinch(event.pointerId, before, now);
    else if (this.panning) this.#look(panned(this.view, now.x - before.x, now.y - before.y));
    else if (this.board.gesture) this.#follow(event);
    this.pointers.set(event.pointerId, now);
  }

  // Every place where the pointer was, also those that the browser put together in one event.
  #follow(event) {
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) this.board.gesture.move(this.#point(one));
  }

  #pinch(id, before, now) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, at]) => at);
    const [from, to] = [middle(before, other), middle(now, other)];
    const factor = distance(now, other) / Math.max(1, distance(before, other));
    this.#look(panned(zoomed(this.view, from, factor), to.x - from.x, to.y - from.y));
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId) || !this.board.gesture) return;
    this.board.gesture.move(this.#point(event));
    this.board.end();
  }

  #lost(event) {
    this.pointers.delete(event.pointerId);
    this.board.cancel();
  }

  #hovered(point) {
    this.hover = point;
    this.repaint();
  }

  // Over the object the wheel resizes it, with Ctrl it zooms (so does a pinch on a touch pad), and
  // otherwise it scrolls the page.
  #wheel(event) {
    if (!this.picture || !this.view) return;
    const factor = Math.exp(-WHEEL * event.deltaY);
    const object = this.movable();
    if (event.ctrlKey || event.metaKey) this.zoom(factor, this.#at(event));
    else if (object && contains(placedBox(object.box, object.placement), this.#point(event))) {
      this.board.resizeObject(object, factor, "wheel");
    } else return;
    event.preventDefault();
  }

  // The object that can be moved on this stage now, or null.
  movable() {
    const { board, side } = this;
    const can = side === "source" && board.mode === "place" && board.ready;
    return can ? objectOf(board.state, board.tool) : null;
  }

  // Deletes the arrow under the pointer, if there is one.
  #delete(event) {
    const { board, side } = this;
    if (side !== "source" || board.mode !== "place" || board.tool !== "drag") return false;
    const hit = arrowEnd(board.state.arrows, this.#point(event), REACH.mouse / this.view.scale);
    if (hit) board.deleteArrow(hit.index);
    return hit !== null;
  }

  // Gestures, of a pointer or of the keyboard's cursor

  begin(point, negative = false, pointer = "mouse") {
    const reach = (REACH[pointer] ?? REACH.mouse) / this.view.scale;
    const excludes = this.board.mode === "segment" && this.board.excluding;
    this.board.gesture = begin(this.board, this.side, point, { reach, negative: negative || excludes });
    this.board.refresh();
  }
}
