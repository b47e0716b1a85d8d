// States for undo and redo: {past, present, future, series}. States are never changed in place.
// `past` and `future` hold {state, label}; the label says what the step between it and the next
// one towards the present was.

export const LIMIT = 100; // steps that can be undone

export const started = (present) => ({ past: [], present, future: [], series: null });

// A step to a new state. Steps of one series, such as presses of an arrow key, are undone together.
export function committed(history, present, label, series = null) {
  const continued = series !== null && series === history.series;
  const step = { state: history.present, label };
  const past = continued ? history.past : [...history.past, step].slice(-LIMIT);
  return { past, present, future: [], series };
}

// The present state with something added that belongs to its own step.
export const amended = (history, present) => ({ ...history, present });

export function undone({ past, present, future }) {
  const { state, label } = past.at(-1);
  return {
    past: past.slice(0, -1),
    present: state,
    future: [{ state: present, label }, ...future],
    series: null,
  };
}

export function redone({ past, present, future }) {
  const [{ state, label }, ...rest] = future;
  return { past: [...past, { state: present, label }], present: state, future: rest, series: null };
}

export const canUndo = (history) => history.past.length > 0;

export const canRedo = (history) => history.future.length > 0;
