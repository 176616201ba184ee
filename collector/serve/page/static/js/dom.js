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
  const outer = make("span", "meter");
  outer.append(make("span"));
  outer.setAttribute("aria-hidden", "true");
  return outer;
};

/** Set a bar's length. A transform costs no layout. */
export const fill = (outer, share) => {
  const scale = `scaleX(${Math.min(1, Math.max(0, share)).toFixed(3)})`;
  const inner = outer.firstElementChild;
  if (inner.style.transform !== scale) inner.style.transform = scale;
};
