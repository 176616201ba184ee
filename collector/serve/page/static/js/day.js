// One day of a stream, from the database: price and spread, coverage, and the rows at a hole's edges.

import { readAll, readRows } from "./api.js";
import { Chart, DAY_S } from "./charts.js";
import { byId, make, show, write } from "./dom.js";
import { fixed, isNumber, NS_PER_MS, NS_PER_S, time } from "./format.js";
import { keyOf } from "./streams.js";

const POINTS = 288; // one each five minutes
const EDGE_ROWS = 5;
const EDGE_COLUMNS = { timestamp: "Time", bid_price_1: "Bid", ask_price_1: "Ask", spread_bps: "Spread bp", sequence: "Sequence" };

export class Day {
  #shown = "";

  constructor({ table, onCoverage }) {
    Object.assign(this, { table, onCoverage });
    this.stream = null;
    this.digits = 2;
    const parent = byId("day-charts");
    const price = (value) => fixed(value, this.digits);
    this.charts = [
      ["mid_price", new Chart(parent, { title: "Mid price", height: 160, format: price, series: [{ label: "mid", colour: "--mid" }] })],
      ["spread_bps", new Chart(parent, { title: "Spread, bp", height: 90, format: (value) => fixed(value, 2), series: [{ label: "spread", colour: "--mid" }] })],
    ];
    this.input = byId("day-date");
    this.input.addEventListener("change", () => this.#read());
    byId("day-before").addEventListener("click", () => this.#step(-1));
    byId("day-after").addEventListener("click", () => this.#step(1));
  }

  /** Show the stream's day: that of `atNs`, if none was chosen yet. */
  render(stream, atNs) {
    this.stream = stream;
    this.digits = this.table.decimals(stream) + 1;
    if (!this.input.value) this.input.value = dateOf(atNs);
    if (this.#shown !== `${keyOf(stream)} ${this.input.value}`) this.#read();
  }

  /** Show this day from the next rendering on. */
  choose(date) {
    this.input.value = date;
  }

  redraw() {
    for (const [, chart] of this.charts) chart.redraw();
  }

  #step(days) {
    const start = Date.parse(`${this.input.value}T00:00:00Z`);
    if (Number.isNaN(start)) return;
    this.input.value = new Date(start + days * DAY_S * 1000).toISOString().slice(0, 10);
    this.#read();
  }

  async #read() {
    const startS = Date.parse(`${this.input.value}T00:00:00Z`) / 1000;
    if (!this.stream || Number.isNaN(startS)) return;
    const wanted = (this.#shown = `${keyOf(this.stream)} ${this.input.value}`);
    const isWanted = () => this.#shown === wanted;
    const { exchange, symbol, channel } = this.stream;
    write(byId("day-note"), "Reading …");
    this.#edges("Choose a hole below.");
    try {
      const range = { start: startS * NS_PER_S, end: (startS + DAY_S) * NS_PER_S };
      const coverage = await readAll("/api/coverage", { exchange, symbol, channel, ...range }, "streams", 50);
      if (!isWanted()) return;
      this.onCoverage(coverage, `Coverage on ${this.input.value}`);
      const points = await readRows(this.stream, { ...range, points: POINTS });
      if (!isWanted()) return;
      const slots = evenly(points, startS);
      for (const [column, chart] of this.charts) {
        const values = slots.map(({ row }) => row?.[column] ?? null);
        chart.set([slots.map(({ atS }) => atS), values], [startS, startS + DAY_S]);
      }
      write(byId("day-note"), points.length ? "One state each 5 min" : "No rows on this day");
    } catch (error) {
      if (isWanted()) write(byId("day-note"), `Not read: ${error.message}`);
    }
  }

  /** Show the last rows before a hole and the first after it. */
  async edgesOf(hole) {
    this.#edges("Reading …");
    try {
      const limit = EDGE_ROWS;
      // Not exact to the nanosecond here: numbers of a browser end at 53 bits.
      const before = await readRows(this.stream, { end: hole.start_ns + NS_PER_MS, limit, order: "newest" });
      const after = await readRows(this.stream, { start: hole.end_ns - NS_PER_MS, limit, order: "oldest" });
      const lasted = `${time(hole.start_ns)} – ${time(hole.end_ns)} UTC: ${hole.cause}`;
      this.#edges("", [...before.reverse(), lasted, ...after]);
    } catch (error) {
      this.#edges(`Not read: ${error.message}`);
    }
  }

  #edges(note, rows = []) {
    write(byId("edge-note"), note || " ");
    show(byId("edge-note"), Boolean(note));
    show(byId("edge-table"), rows.length > 0);
    const head = make("tr");
    for (const title of Object.values(EDGE_COLUMNS)) {
      const cell = make("th", "n", title);
      cell.scope = "col";
      head.append(cell);
    }
    byId("edge-head").replaceChildren(head);
    byId("edge-rows").replaceChildren(...rows.map((row) => this.#edgeRow(row)));
  }

  #edgeRow(row) {
    const element = make("tr", typeof row === "string" ? "gap" : "");
    if (typeof row === "string") {
      const cell = make("td", "", row);
      cell.colSpan = Object.keys(EDGE_COLUMNS).length;
      element.append(cell);
      return element;
    }
    for (const column of Object.keys(EDGE_COLUMNS)) {
      const value = row[column];
      const isPrice = column.includes("price");
      const text = isNumber(value) ? (isPrice ? fixed(value, this.digits) : column === "spread_bps" ? fixed(value, 2) : String(value)) : String(value ?? "–").slice(11, 26) || "–";
      element.append(make("td", "n", text));
    }
    return element;
  }
}

/** Return a point for each slot of the day, with the row that is its last state, or none. */
const evenly = (points, startS) => {
  const stepS = DAY_S / POINTS;
  const slots = Array.from({ length: POINTS }, (_, index) => ({ atS: startS + (index + 1) * stepS, row: null }));
  for (const row of points) slots[Math.round((row.at_ns / NS_PER_S - startS) / stepS) - 1].row = row;
  return slots;
};

const dateOf = (ns) => new Date(ns / 1e6).toISOString().slice(0, 10);
