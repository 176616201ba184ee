// One stream as it is now: numbers, depth, charts, coverage.

import { read, readRows } from "./api.js";
import { Chart } from "./charts.js";
import { byId, childrenOf, make, mark, readouts, show, write } from "./dom.js";
import { fixed, isNumber, moment, NS_PER_S, plural, shortTime, size, span, spreadBp } from "./format.js";
import { DEPTH, Ladder } from "./ladder.js";
import { attend, causeText, coveredText, holeText, paint } from "./ribbon.js";
import { keyOf } from "./streams.js";

const WITH_BOOK = new Set(["book", "bbo"]);
const EARLIER_S = 900;
const EARLIER_POINTS = 180;
const MOST_HOLES_LISTED = 200;

export class Detail {
  #book = null;
  #asking = false;
  #asked = "";
  #holes = null;

  constructor({ history, table, onHole }) {
    Object.assign(this, { history, table, onHole });
    this.stream = null;
    this.coverage = null; // shown below: the last hours', or a day's
    this.values = readouts(byId("readouts"), {
      mid: "Mid",
      microprice: "Microprice",
      spread: "Spread",
      basis: "Spread, bp",
      imbalance: "Imbalance",
      rate: "Updates/s",
      lag: "Lag",
      age: "Last update",
    });
    this.ladder = new Ladder();
    const price = (value) => fixed(value, this.digits);
    this.digits = 2;
    const parent = byId("charts");
    this.charts = [
      [["mid", "microprice"], new Chart(parent, { title: "Price", height: 150, format: price, series: [{ label: "mid", colour: "--mid" }, { label: "micro", colour: "--micro" }] })],
      [["spread_bp"], new Chart(parent, { title: "Spread, bp", height: 86, format: (value) => fixed(value, 2), series: [{ label: "spread", colour: "--mid" }] })],
      [["lag_s"], new Chart(parent, { title: "Lag", height: 86, format: span, series: [{ label: "lag", colour: "--mid" }] })],
    ];
    attend(byId("large-ribbon"), () => this.coverage, (hole) => this.onHole(this.stream, hole));
  }

  render(stream, nowNs, isNow) {
    const changed = !this.stream || keyOf(this.stream) !== keyOf(stream);
    this.stream = stream;
    if (changed && this.#asked !== keyOf(stream)) this.#book = null;
    this.digits = this.table.decimals(stream) + 1;
    write(byId("detail-title"), `${stream.symbol} · ${stream.exchange}`);
    mark(byId("detail-state"), stream.state);
    const trouble = stream.last_cause_ns ? `, last gap ${moment(stream.last_cause_ns, nowNs)}: ${stream.last_cause}` : "";
    const proof = this.#book?.sequence ? `, sequence ${this.#book.sequence}` : "";
    write(byId("detail-word"), `${stream.channel}: ${stream.state}${proof}${trouble}`);
    if (!isNow) return;
    this.#numbers(stream);
    this.#depth(stream);
    this.draw();
  }

  /** Fetch the last minutes from the database, once a stream: what was before this page was opened. */
  async earlier(stream, nowNs) {
    const key = keyOf(stream);
    if (!WITH_BOOK.has(stream.kind) || this.history.has(key)) return;
    this.history.fill(key, []);
    const range = { start: nowNs - EARLIER_S * NS_PER_S, end: nowNs, points: EARLIER_POINTS };
    try {
      const rows = await readRows(stream, range);
      const point = (row) => ({ at_s: row.at_ns / NS_PER_S, mid: row.mid_price, microprice: row.microprice, spread_bp: row.spread_bps });
      this.history.fill(key, broken(rows.map(point)));
    } catch {
      // The charts begin with this page, then.
    }
  }

  draw() {
    if (!this.stream) return;
    for (const [fields, chart] of this.charts) chart.set(this.history.of(keyOf(this.stream), fields));
  }

  redraw() {
    for (const [, chart] of this.charts) chart.redraw();
    paint(byId("large-ribbon"), this.coverage);
  }

  /** Show the coverage and its holes; nothing is written when it is the same. */
  cover(coverage, title) {
    write(byId("coverage-title"), coverage ? `${title}: ${coveredText(coverage)}` : title);
    if (coverage === this.#holes) return;
    this.#holes = this.coverage = coverage;
    const ribbon = byId("large-ribbon");
    paint(ribbon, coverage);
    const holes = [...(coverage?.holes ?? [])].reverse();
    ribbon.setAttribute("aria-label", coverage ? `${title}: ${coveredText(coverage)}, ${plural(holes.length, "hole")}, listed below` : title);
    const middle = coverage ? (coverage.start_ns + coverage.end_ns) / 2 : null;
    for (const [id, ns] of [["start", coverage?.start_ns], ["middle", middle], ["end", coverage?.end_ns]])
      write(byId(`ruler-${id}`), shortTime(ns));
    this.#list(holes.slice(0, MOST_HOLES_LISTED), coverage?.end_ns);
  }

  #list(holes, nowNs) {
    const list = byId("holes");
    if (!holes.length) return list.replaceChildren(make("li", "empty", this.coverage ? "No hole." : "Not known yet."));
    if (list.querySelector(".empty")) list.replaceChildren();
    const items = childrenOf(list, holes.length, () => {
      const item = make("li");
      const button = make("button");
      button.type = "button";
      button.append(make("span", "n"), make("span", "cause"));
      button.addEventListener("click", () => this.onHole(this.stream, item.hole));
      item.append(button);
      return item;
    });
    holes.forEach((hole, index) => {
      const [when, cause] = items[index].firstElementChild.children;
      items[index].hole = hole;
      write(when, holeText(hole, nowNs).split(": ")[0]);
      write(cause, causeText(hole));
      cause.title = causeText(hole);
    });
  }

  #numbers(stream) {
    const { values, digits } = this;
    stream = { ...stream, ...touchOf(this.#book) }; // of the moment of the ladder, not of the overview
    const hasMid = WITH_BOOK.has(stream.kind);
    write(values.mid.previousElementSibling, hasMid ? "Mid" : "Last price");
    write(values.mid, hasMid ? fixed(stream.mid, digits) : fixed(stream.last_price, digits - 1));
    write(values.microprice, fixed(stream.microprice, digits));
    write(values.spread, fixed(stream.spread, digits - 1));
    write(values.basis, fixed(spreadBp(stream), 2));
    write(values.imbalance, isNumber(stream.imbalance) ? fixed(stream.imbalance, 3).replace("-", "−") : "–");
    write(values.rate, fixed(stream.updates_per_s, 1));
    write(values.lag, span(stream.lag_s));
    write(values.age, isNumber(stream.age_s) ? `${span(stream.age_s)} ago` : "–");
  }

  #depth(stream) {
    const hasBook = WITH_BOOK.has(stream.kind);
    if (!hasBook) {
      this.ladder.render(null, 0);
      return this.ladder.note("This channel has no book.");
    }
    this.ladder.render(this.#book, this.digits - 1);
    const best = `best ${size(stream.bid_size)} bid, ${size(stream.ask_size)} asked`;
    this.ladder.note(this.#book ? `${this.#book.verification || this.#book.state} · ${best}` : "");
  }

  /** Fetch the stream's book, for the next rendering. */
  async ask(stream) {
    const key = keyOf(stream);
    if (!WITH_BOOK.has(stream.kind) || (this.#asking && this.#asked === key)) return;
    this.#asking = true;
    this.#asked = key;
    try {
      const path = `/api/books/${encodeURIComponent(stream.symbol)}`;
      const book = await read(path, { exchange: stream.exchange, depth: DEPTH });
      if (this.#asked === key) this.#book = book;
    } catch (error) {
      if (this.#asked === key && error.status) this.#book = null; // no book stands; if nobody answers, the last is shown
    } finally {
      if (this.#asked === key) this.#asking = false;
    }
  }
}

/** Return the points with one of nothing wherever some are missing, so that no line bridges a hole. */
const broken = (points) =>
  points.flatMap((point, index) => {
    const gapS = index ? point.at_s - points[index - 1].at_s : 0;
    return gapS > (1.5 * EARLIER_S) / EARLIER_POINTS ? [{ at_s: point.at_s - 1 }, point] : [point];
  });

/** Return what the book's levels say, by the formulas of the stored features; nothing of an empty side. */
const touchOf = (book) => {
  const [bid, bidSize] = book?.bids[0] ?? [];
  const [ask, askSize] = book?.asks[0] ?? [];
  if (!isNumber(bid) || !isNumber(ask)) return {};
  const total = (levels) => levels.slice(0, DEPTH).reduce((sum, [, amount]) => sum + amount, 0);
  const [bids, asks] = [total(book.bids), total(book.asks)];
  const touch = { mid: (bid + ask) / 2, microprice: (bid * askSize + ask * bidSize) / (bidSize + askSize), spread: ask - bid };
  return book.bids.length < DEPTH || book.asks.length < DEPTH ? touch : { ...touch, imbalance: (bids - asks) / (bids + asks) };
};

export const showTab = (isNow) => {
  show(byId("now"), isNow);
  show(byId("day"), !isNow);
  byId("tab-now").ariaPressed = String(isNow);
  byId("tab-day").ariaPressed = String(!isNow);
};
