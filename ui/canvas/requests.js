// What Python is asked for while the user edits: uploads, segmentation, landmarks. An answer may come
// in the middle of a gesture, which then ends first: its draft, made before the answer, would else
// become the state in the end, without what was answered.

import { schema } from "./schema.js";
import { fromPixels, fromRuns, inverted, union } from "./bitmap.js";
import { rounded } from "./geometry.js";
import { landmarksKey, sideOf, withMask, withPicture } from "./state.js";
import { loadImage, readPixels } from "./layers.js";
import { NOT_A_MASK, TOO_LARGE, wrongShape } from "./words.js";

const OTHER_SHAPE = 0.02; // how much the aspects of a mask and its picture may differ

const onPicture = ({ file, width, height }) => ({ path: file.path, width, height });

// Uploads a picture and puts it on a side.
export async function openPicture(board, side, file) {
  if (!file) return;
  if (file.size > schema.maxBytes) return board.say(TOO_LARGE);
  let folder = "";
  const answer = await board.work(async () => {
    const { path, url } = await board.upload(file);
    folder = url.slice(0, url.lastIndexOf("/file=") + "/file=".length);
    return board.server.open_picture({ path });
  });
  if (!answer) return;
  const { picture } = answer;
  for (const data of [picture.file, picture.view]) data.url = folder + encoded(data.path);
  board.end();
  board.commit(withPicture(board.state, side, picture), "a picture is opened");
}

const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");

// Adds a mask file to a mask.
export async function openMask(board, side, file) {
  const key = board.maskKey(side);
  const picture = board.state[side];
  if (!file || !key || !picture) return;
  const image = await board.work(() => readMask(file, picture));
  if (image && picture === board.state[side]) addToMask(board, key, image, "a mask is opened");
}

async function readMask(file, picture) {
  const address = URL.createObjectURL(file);
  const image = await loadImage(address).catch(() => null);
  URL.revokeObjectURL(address);
  if (!image) return { ok: false, error: NOT_A_MASK };
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const aspect = (width * picture.height) / (height * picture.width);
  if (Math.abs(aspect - 1) > OTHER_SHAPE) {
    return { ok: false, error: wrongShape({ width, height }, picture) };
  }
  return { ok: true, image };
}

function addToMask(board, key, { image }, label) {
  board.end();
  const layer = board.layers[key];
  const { width, height } = layer.bitmap;
  const added = fromPixels(readPixels(image, width, height), width, height);
  const mask = layer.sealed(union(layer.bitmap, added));
  board.commit(withMask(board.state, key, mask), label);
}

// Inside becomes outside.
export function invertMask(board, key) {
  const layer = board.layers[key];
  const mask = layer.sealed(inverted(layer.bitmap));
  board.commit(withMask(board.state, key, mask), "the mask is inverted");
}

// One more click, or another box, on what shall be selected: the mask becomes what it was before
// the first of them, and what all of them mean together.
export async function segment(board, key, { box, point, negative }) {
  const { state } = board;
  const picture = state[sideOf(key)];
  const before = state.pick?.key === key ? state.pick : fresh(key, state[key]);
  const pick = extended(before, box, point, negative);
  board.commit({ ...state, pick }, box ? "a box is selected" : "a click");
  const { positive, negative: excluded } = pick;
  const answer = await board.work(() =>
    board.server.segment({
      ...onPicture(picture),
      box: pick.box,
      positive,
      negative: excluded,
    }),
  );
  if (!answer || board.state.pick !== pick) return;
  const image = await loadImage(answer.mask);
  board.end();
  if (board.state.pick !== pick) return;
  board.amend({ ...board.state, [key]: unitedMask(board.layers[key], pick.base, image) });
}

const fresh = (key, base) => ({ key, base, box: null, positive: [], negative: [] });

function extended(pick, box, point, negative) {
  if (box) {
    const [a, b] = box;
    const [left, right] = [a.x, b.x].sort((u, v) => u - v);
    const [top, bottom] = [a.y, b.y].sort((u, v) => u - v);
    return { ...pick, box: [left, top, right, bottom].map(rounded) };
  }
  const name = negative ? "negative" : "positive";
  return { ...pick, [name]: [...pick[name], [rounded(point.x), rounded(point.y)]] };
}

function unitedMask(layer, base, image) {
  const { width, height } = layer.bitmap;
  const found = fromPixels(readPixels(image, width, height), width, height);
  return layer.sealed(base ? union(fromRuns(base.runs, width, height), found) : found);
}

// Finds the landmarks of every picture that is there.
export async function findLandmarks(board) {
  for (const side of ["source", "reference"]) {
    const picture = board.state[side];
    if (!picture) continue;
    const answer = await board.work(() => board.server.find_landmarks(onPicture(picture)));
    setLandmarks(board, side, picture, answer);
  }
}

// Landmarks from the two eyes and the mouth, as points of a side's picture.
export async function fitLandmarks(board, side, points) {
  const picture = board.state[side];
  const data = { ...onPicture(picture), points: points.map(({ x, y }) => [x, y].map(rounded)) };
  const answer = await board.work(() => board.server.fit_landmarks(data));
  setLandmarks(board, side, picture, answer);
}

function setLandmarks(board, side, picture, answer) {
  if (!answer || picture !== board.state[side]) return;
  board.end();
  const next = { ...board.state, [landmarksKey(side)]: answer.landmarks };
  board.commit(next, "the points of a face are found");
}
