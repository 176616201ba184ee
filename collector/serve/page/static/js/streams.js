// The table of streams. Rows are made once; only those on the screen are written, and only what changed.

import { bar, byId, glyph, lean, make, mark, show, write } from "./dom.js";
import { decimalsOf, fixed, isNumber, percent, plural, roughly, span, spreadBp, whole } from "./format.js";
import { attend, coveredText, paint } from "./ribbon.js";

export const keyOf = (one) => `${one.exchange} ${one.symbol} ${one.channel}`;
export const FINE = "verified";
const OTHERS_AT_ONCE = 5;

const CELLS = ["state", "stream", "channel", "price", "spread", "imbalance", "rate", "lag", "gaps", "covered", "ribbon"];
const WIDE = new Set(["channel", "spread", "imbalance", "rate", "gaps", "covered"]);
const NUMBERS = new Set(["price", "spread", "rate", "lag", "gaps", "covered"]);

export class StreamTable {
  #rows = new Map();
  #keys = "";
  #decimals = new Map(); // by stream; grows only, so that a column does not jump
  #onScreen = new Set();
  #rest = []; // rows off the screen, waiting for their turn
  #watcher;

  constructor({ coverage, onChoose, onHole }) {
    this.coverage = coverage;
    this.onChoose = onChoose;
    this.onHole = onHole;
    this.body = byId("rows");
    this.#watcher = new IntersectionObserver((seen) => this.#look(seen), { rootMargin: "60px" });
    for (const id of ["filter", "only-trouble"]) byId(id).addEventListener("input", () => this.#sift());
  }

  /** Return how many decimals the stream's prices are written with. */
  decimals(stream) {
    const key = keyOf(stream);
    const now = Math.max(decimalsOf(stream.bid), decimalsOf(stream.ask), decimalsOf(stream.last_price));
    const most = Math.min(10, Math.max(this.#decimals.get(key) ?? 0, now));
    this.#decimals.set(key, most);
    return most;
  }

  render({ streams, live }, chosen) {
    this.isPast = !live;
    write(byId("rate-head"), live ? "Upd/s" : "Rows");
    const { span_s } = this.coverage;
    write(byId("ribbon-head"), span_s ? `${live ? "Last" : "All"} ${roughly(span_s)}` : "Coverage");
    const keys = streams.map(keyOf).join("\n");
    if (keys !== this.#keys) this.#build(streams, keys);
    for (const stream of streams) {
      const row = this.#rows.get(keyOf(stream));
      row.stream = stream;
      mark(row.element, stream.state);
      const isChosen = String(keyOf(stream) === chosen);
      if (row.button.ariaPressed !== isChosen) row.button.ariaPressed = isChosen;
    }
    this.#sift();
    for (const key of this.#onScreen) this.#fill(this.#rows.get(key));
    this.#fillSomeOthers();
    this.#tally(streams);
  }

  /** Draw the ribbons on the screen anew: coverage, the theme or a width changed. */
  ribbons() {
    for (const key of this.#onScreen) this.#ribbon(this.#rows.get(key));
  }

  /** Keep the rows off the screen from growing old: a screen reader reads them where they stand. */
  #fillSomeOthers() {
    if (!this.#rest.length) this.#rest = [...this.#rows.keys()];
    for (const key of this.#rest.splice(0, OTHERS_AT_ONCE)) if (!this.#onScreen.has(key)) this.#fill(this.#rows.get(key));
  }

  #build(streams, keys) {
    this.#keys = keys;
    this.#watcher.disconnect();
    this.#onScreen.clear();
    this.#rows = new Map(streams.map((stream) => [keyOf(stream), this.#row(stream)]));
    this.body.replaceChildren(...[...this.#rows.values()].map((row) => row.element));
    this.#rest = [];
    for (const row of this.#rows.values()) {
      this.#fill(row);
      this.#watcher.observe(row.element);
    }
  }

  #row(stream) {
    const key = keyOf(stream);
    const element = withRole(make("tr"), "row"); // laid out as a grid, it would be a row no longer
    element.dataset.key = key;
    const row = { key, stream, element, cells: {}, drawn: null };
    for (const name of CELLS) {
      const looks = `c-${name}${WIDE.has(name) ? " wide" : ""}${NUMBERS.has(name) ? " n" : ""}`;
      const isName = name === "stream";
      const cell = withRole(make(isName ? "th" : "td", looks), isName ? "rowheader" : "cell");
      row.cells[name] = cell;
      element.append(cell);
    }
    row.word = make("span", "word");
    row.cells.state.append(glyph(), row.word);
    row.button = make("button", "choose");
    row.button.type = "button";
    row.button.append(make("span", "symbol", stream.symbol), make("span", "exchange", stream.exchange));
    row.cells.stream.append(row.button);
    row.cells.channel.textContent = stream.channel;
    row.meter = bar();
    row.imbalance = make("span", "n");
    row.cells.imbalance.append(row.meter, row.imbalance);
    row.canvas = withRole(make("canvas", "ribbon"), "img");
    row.cells.ribbon.append(row.canvas);
    attend(row.canvas, () => this.coverage.byKey.get(key), (hole) => this.onHole(row.stream, hole));
    element.addEventListener("click", () => this.onChoose(key));
    return row;
  }

  #fill(row) {
    const { stream, cells } = row;
    const digits = this.decimals(stream);
    write(row.word, stream.state);
    write(cells.price, isNumber(stream.mid) ? fixed(stream.mid, digits + 1) : fixed(stream.last_price, digits));
    write(cells.spread, fixed(spreadBp(stream), 2));
    write(row.imbalance, fixed(stream.imbalance, 2).replace("-", "−"));
    row.meter.classList.toggle("none", !isNumber(stream.imbalance));
    lean(row.meter, stream.imbalance ?? 0);
    write(cells.rate, this.isPast ? whole(stream.counts?.written) : fixed(stream.updates_per_s, 1));
    write(cells.lag, span(stream.lag_s));
    write(cells.gaps, whole(stream.gaps));
    const covered = this.coverage.byKey.get(row.key);
    write(cells.covered, percent(covered?.covered));
    if (covered !== row.drawn) this.#ribbon(row);
  }

  #ribbon(row) {
    row.drawn = this.coverage.byKey.get(row.key);
    paint(row.canvas, row.drawn);
    const covered = row.drawn ? `${coveredText(row.drawn)}, ${plural(row.drawn.holes.length, "hole")}` : "coverage not known";
    row.canvas.setAttribute("aria-label", covered);
  }

  #look(seen) {
    for (const { target, isIntersecting } of seen) {
      const row = this.#rows.get(target.dataset.key);
      if (!row) continue;
      if (!isIntersecting) this.#onScreen.delete(row.key);
      else if (!this.#onScreen.has(row.key)) {
        this.#onScreen.add(row.key);
        this.#fill(row);
      }
    }
  }

  #sift() {
    const wanted = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const onlyTrouble = byId("only-trouble").checked;
    let shown = 0;
    for (const { stream, element } of this.#rows.values()) {
      const text = `${keyOf(stream)} ${stream.name ?? ""} ${stream.state}`.toLowerCase();
      const fits = wanted.every((word) => text.includes(word)) && !(onlyTrouble && stream.state === FINE);
      show(element, fits);
      shown += fits;
    }
    const none = byId("no-rows");
    show(none, shown === 0);
    if (shown) return;
    none.textContent = !this.#rows.size
      ? "Nothing has been collected yet."
      : onlyTrouble && !wanted.length
        ? "Every stream is verified."
        : "No stream fits.";
  }

  #tally(streams) {
    const counts = new Map();
    for (const { state } of streams) counts.set(state, (counts.get(state) ?? 0) + 1);
    write(byId("tally"), [...counts].map(([state, count]) => `${whole(count)} ${state}`).join(" · ") || " ");
  }
}

const withRole = (element, role) => {
  element.setAttribute("role", role);
  return element;
};
