// The daily report: a row for each stream of a day, the worst first, or by the heading that was pressed.

import { read } from "./api.js";
import { byId, childrenOf, glyph, make, mark, show, write } from "./dom.js";
import { bytes, isNumber, milliseconds, percent, plural, span, whole } from "./format.js";
import { keyOf } from "./streams.js";

const REFRESH_MS = 300_000;
const NUMBER = "n";
const RARE = "n wide"; // not on a phone

// Each column: its heading, its cells' text, what it is sorted by, and whether the least is the worst.
const COLUMNS = [
  { title: "Stream", text: null, by: (row) => keyOf(row), leastFirst: true, looks: "name" },
  { title: "Covered", text: (row) => percent(row.covered), by: (row) => row.covered, leastFirst: true, looks: NUMBER },
  { title: "Holes", text: (row) => whole(row.holes), by: (row) => row.holes, looks: NUMBER },
  { title: "Missing", text: (row) => (row.holes ? span(row.holes_s) : "–"), by: (row) => row.holes_s, looks: RARE },
  { title: "Causes", text: (row) => causesOf(row), by: (row) => causesOf(row), leastFirst: true, looks: "causes" },
  { title: "Filled", text: (row) => (row.filled ? percent(row.filled) : "–"), by: (row) => row.filled, looks: RARE, help: "The share that REST filled afterwards" },
  { title: "Rows", text: (row) => whole(row.rows), by: (row) => row.rows, leastFirst: true, looks: RARE },
  { title: "Size", text: (row) => bytes(row.bytes), by: (row) => row.bytes, looks: RARE, help: "About, without indexes" },
  { title: "Resyncs", text: (row) => whole(row.resyncs), by: (row) => row.resyncs, looks: RARE, help: "Segments that ended though nobody asked them to" },
  { title: "Disagreed", text: (row) => (row.witnessed ? `${whole(row.disagreed)} of ${whole(row.witnessed)}` : "–"), by: (row) => row.disagreed, looks: RARE, help: "Comparisons with a book of REST: how many failed, of how many" },
  { title: "Lag p50", text: (row) => milliseconds(row.lag_p50_ms), by: (row) => row.lag_p50_ms, looks: RARE },
  { title: "p95", text: (row) => milliseconds(row.lag_p95_ms), by: (row) => row.lag_p95_ms, looks: NUMBER, help: "Lag" },
  { title: "p99", text: (row) => milliseconds(row.lag_p99_ms), by: (row) => row.lag_p99_ms, looks: RARE, help: "Lag" },
];
const STATES = ["unhealthy", "degraded", "healthy"]; // the worst first

export class QualityPanel {
  #rows = [];
  #kept = [];
  #column = null; // null: the worst first
  #turned = false;
  #dueAt = 0;
  #isSeen = false;
  #asked = 0;

  constructor({ onDay }) {
    this.onDay = onDay;
    this.known = new Set(); // the streams of the table, by key: of them a day can be opened
    this.heads = COLUMNS.map((column) => this.#head(column));
    byId("quality-head").append(...this.heads);
    this.choice = byId("quality-day");
    this.choice.addEventListener("change", () => this.#read());
    byId("quality-find").addEventListener("input", () => this.#sift());
    byId("quality-worst").addEventListener("click", () => this.#sortBy(null));
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.#isSeen = isIntersecting;
    }).observe(byId("quality"));
  }

  /** Read the report if it is seen and time to; `known` has the keys of the streams that the page shows. */
  check(now, known) {
    if (!sameKeys(known, this.known)) {
      this.known = known;
      for (const element of byId("quality-rows").children) this.#offer(element);
    }
    if (this.#isSeen && !document.hidden && now >= this.#dueAt) this.#read();
  }

  /** Read it at the next look: there is a new one. */
  expire() {
    this.#dueAt = 0;
  }

  async #read() {
    this.#dueAt = performance.now() + REFRESH_MS;
    const asked = ++this.#asked;
    try {
      const report = await read("/api/quality", { day: this.choice.value });
      if (asked === this.#asked) this.#take(report);
    } catch (error) {
      this.#dueAt = 0; // again at the next look
      if (asked === this.#asked) write(byId("quality-note"), `Not read: ${error.message}`);
    }
  }

  #take({ days, kept }) {
    const newest = kept[0] ?? "";
    if (kept.join() !== this.#kept.join()) {
      // "" is the newest day, whichever that is by then.
      const options = kept.map((day) => new Option(day, day === newest ? "" : day));
      const chosen = this.choice.value;
      this.choice.replaceChildren(...options);
      this.choice.value = chosen;
      this.#kept = kept;
    }
    this.#rows = days;
    show(byId("quality-choice"), kept.length > 0);
    show(byId("quality-table"), days.length > 0);
    write(byId("quality-note"), days.length ? told(days) : "No report yet: a day gets its own at 00:15 UTC, when it is over.");
    this.#render();
  }

  #sortBy(column) {
    this.#turned = column !== null && column === this.#column && !this.#turned;
    this.#column = column;
    this.#render();
    byId("quality-table").scrollTop = 0;
  }

  #render() {
    const { heads } = this;
    byId("quality-worst").ariaPressed = String(this.#column === null);
    COLUMNS.forEach((column, index) => {
      const upwards = Boolean(column.leastFirst) !== this.#turned;
      heads[index].ariaSort = column === this.#column ? (upwards ? "ascending" : "descending") : null;
    });
    const rows = [...this.#rows].sort(this.#column ? byColumn(this.#column, this.#turned) : worstFirst);
    const elements = childrenOf(byId("quality-rows"), rows.length, () => this.#made());
    rows.forEach((row, index) => this.#fill(elements[index], row));
    this.#sift();
  }

  #head(column) {
    const { title, help, looks } = column;
    const head = withRole(make("th", looks), "columnheader");
    head.scope = "col";
    const button = make("button", "sort", title);
    button.type = "button";
    if (help) button.title = help;
    button.addEventListener("click", () => this.#sortBy(column));
    head.append(button);
    return head;
  }

  #made() {
    const element = withRole(make("tr"), "row");
    const name = withRole(make("th", "name"), "rowheader");
    const button = make("button", "choose");
    button.type = "button";
    button.append(make("span", "symbol"), make("span", "exchange"));
    button.addEventListener("click", () => this.onDay(element.dataset.key, this.#rows[0].day));
    name.append(glyph(), make("span", "hush"), button);
    element.append(name, ...COLUMNS.slice(1).map(({ looks }) => withRole(make("td", looks), "cell")));
    return element;
  }

  #fill(element, row) {
    const key = keyOf(row);
    const state = stateOf(row);
    const [, word, button] = element.firstChild.children;
    element.dataset.key = key;
    this.#offer(element);
    mark(element, state);
    write(word, `${state}: `);
    write(button.firstChild, row.symbol);
    write(button.lastChild, `${row.exchange} ${row.channel}`);
    COLUMNS.forEach(({ text }, index) => text && write(element.children[index], text(row) || " "));
  }

  /** Let the day of a stream be opened that the page shows. */
  #offer(element) {
    element.querySelector("button").disabled = !this.known.has(element.dataset.key);
  }

  #sift() {
    const wanted = byId("quality-find").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const element of byId("quality-rows").children) {
      const text = `${element.dataset.key} ${element.querySelector(".causes").textContent}`.toLowerCase();
      show(element, wanted.every((word) => text.includes(word)));
    }
  }
}

/** A book that a comparison found wrong is worse than any hole, and a hole worse than none. */
const stateOf = (row) => (row.disagreed ? "unhealthy" : row.holes ? "degraded" : "healthy");

const worstFirst = (one, other) =>
  STATES.indexOf(stateOf(one)) - STATES.indexOf(stateOf(other)) ||
  compared(one.covered, other.covered) ||
  other.holes_s - one.holes_s ||
  -compared(one.lag_p95_ms, other.lag_p95_ms) ||
  compared(keyOf(one), keyOf(other));

const compared = (one, other) => (one === other ? 0 : one < other ? -1 : 1);

const isKnown = (value) => isNumber(value) || (typeof value === "string" && value !== "");

/** What is not known stands last, whichever way the others go. */
const byColumn = ({ by, leastFirst }, turned) => (one, other) => {
  const [here, there] = [by(one), by(other)];
  if (!isKnown(here) || !isKnown(there)) return isKnown(there) - isKnown(here);
  const upwards = Boolean(leastFirst) !== turned;
  return (upwards ? compared(here, there) : compared(there, here)) || worstFirst(one, other);
};

const causesOf = (row) =>
  Object.entries(row.holes_by_cause)
    .sort(([, one], [, other]) => other.seconds - one.seconds)
    .map(([cause, { holes, seconds }]) => `${cause} ${whole(holes)} (${span(seconds)})`)
    .join(", ");

const told = (rows) => {
  const count = (state) => rows.filter((row) => stateOf(row) === state).length;
  const parts = [plural(rows.length, "stream")];
  if (count("unhealthy")) parts.push(`${whole(count("unhealthy"))} with a book that disagreed`);
  if (count("degraded")) parts.push(`${whole(count("degraded"))} with holes`);
  parts.push(`${whole(count("healthy"))} whole`);
  return parts.join(" · ");
};

const sameKeys = (one, other) => one.size === other.size && [...one].every((key) => other.has(key));

const withRole = (element, role) => {
  element.setAttribute("role", role);
  return element;
};
