// The few ways in which this page writes to the document. Text goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** Write text, and only if it differs: an unchanged cell costs no layout. */
export const write = (element, text) => {
  const node = element.firstChild;
  if (node === null) element.append(text);
  else if (node.data !== text) node.data = text;
};

export const mark = (element, state) => {
  if (element.dataset.state !== state) element.dataset.state = state;
};

export const show = (element, visible) => {
  if (element.hidden === visible) element.hidden = !visible;
};

export const make = (tag, className = "", text = "") => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
};

/** Return a glyph whose shape, not only its colour, tells the state that is written on `holder`. */
export const glyph = () => {
  const element = make("span", "glyph");
  element.setAttribute("aria-hidden", "true");
  return element;
};

/** Fill a definition list once; return the element of each value by its key. */
export const readouts = (list, names) => {
  const values = {};
  for (const [key, label] of Object.entries(names)) {
    const pair = make("div");
    values[key] = make("dd", "", "–");
    pair.append(make("dt", "", label), values[key]);
    list.append(pair);
  }
  return values;
};

/** Let only `most` children stand, made by `create` where there are too few; return them. */
export const childrenOf = (parent, count, create) => {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(create());
  return parent.children;
};

export const bar = () => {
  const meter = make("span", "meter");
  meter.setAttribute("aria-hidden", "true");
  return meter;
};

/** Set a bar's length, from 0 to 1. */
export const fill = (meter, share) => {
  const size = `${(Math.min(1, Math.max(0, share)) * 100).toFixed(1)}% 100%`;
  if (meter.style.backgroundSize !== size) meter.style.backgroundSize = size;
};

/** Let a bar lean to either side of its middle, by a number from -1 to 1. */
export const lean = (meter, value) => {
  const long = Math.min(1, Math.abs(value)) / 2;
  const start = value < 0 ? 0.5 - long : 0.5;
  fill(meter, long);
  const place = `${((start / (1 - long)) * 100).toFixed(1)}% 0`; // a percentage of the room that is left
  if (meter.style.backgroundPosition !== place) meter.style.backgroundPosition = place;
};
