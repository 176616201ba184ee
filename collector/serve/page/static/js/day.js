// One day of a stream, from the database: price and spread, coverage, and the rows at a hole's edges.

import { read, readAll } from "./api.js";
import { Chart, DAY_S } from "./charts.js";
import { byId, make, show, write } from "./dom.js";
import { fixed, isNumber, NS_PER_S, time } from "./format.js";
import { keyOf } from "./streams.js";

const POINTS = 288; // one each five minutes
const AT_ONCE = 4;
const EDGE_NS = 10 * NS_PER_S;
const EDGE_ROWS = 5;
const EDGE_MOST = 1000;
const EDGE_COLUMNS = ["timestamp", "bid_price_1", "ask_price_1", "mid_price", "spread_bps", "sequence"];

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
      const segments = coverage.streams.flatMap((one) => one.segments);
      const points = await this.#points(startS, segments, isWanted);
      if (!isWanted()) return;
      for (const [column, chart] of this.charts) {
        const values = points.map((point) => point?.[column] ?? null);
        chart.set([points.map((_, index) => startS + (index * DAY_S) / POINTS), values], [startS, startS + DAY_S]);
      }
      const found = points.filter(Boolean).length;
      write(byId("day-note"), found ? "A row each five minutes" : "No rows on this day");
    } catch (error) {
      if (isWanted()) write(byId("day-note"), `Not read: ${error.message}`);
    }
  }

  /** Read the first row of each five minutes: a day's rows are too many for a page. */
  async #points(startS, segments, isWanted) {
    const points = new Array(POINTS).fill(null);
    const stepNs = (DAY_S / POINTS) * NS_PER_S;
    const isCovered = (slot) => {
      const start = startS * NS_PER_S + slot * stepNs;
      return segments.some((one) => one.start_ns < start + stepNs && one.end_ns >= start);
    };
    const slots = [...points.keys()].filter(isCovered).values();
    const take = async () => {
      for (const slot of slots) {
        if (!isWanted()) return;
        const start = startS * NS_PER_S + slot * stepNs;
        const [row] = await this.#rows(start, start + stepNs, 1);
        points[slot] = row ?? null;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, take));
    return points;
  }

  async #rows(start, end, limit) {
    const { exchange, symbol } = this.stream;
    const { columns, rows } = await read(`/api/features/${encodeURIComponent(symbol)}`, { exchange, start, end, limit });
    return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])));
  }

  /** Show the last rows before a hole and the first after it. */
  async edgesOf(hole) {
    this.#edges("Reading …");
    try {
      const before = await this.#rows(hole.start_ns - EDGE_NS, hole.start_ns + 1, EDGE_MOST);
      const after = await this.#rows(hole.end_ns, hole.end_ns + EDGE_NS, EDGE_ROWS);
      const lasted = `${time(hole.start_ns)} – ${time(hole.end_ns)} UTC: ${hole.cause}`;
      this.#edges("", [...before.slice(-EDGE_ROWS), lasted, ...after]);
    } catch (error) {
      this.#edges(`Not read: ${error.message}`);
    }
  }

  #edges(note, rows = []) {
    write(byId("edge-note"), note || " ");
    show(byId("edge-note"), Boolean(note));
    show(byId("edge-table"), rows.length > 0);
    const head = make("tr");
    for (const column of EDGE_COLUMNS) {
      const cell = make("th", "n", column.replaceAll("_", " "));
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
      cell.colSpan = EDGE_COLUMNS.length;
      element.append(cell);
      return element;
    }
    for (const column of EDGE_COLUMNS) {
      const value = row[column];
      const isPrice = column.includes("price");
      const text = isNumber(value) ? (isPrice ? fixed(value, this.digits) : column === "spread_bps" ? fixed(value, 2) : String(value)) : String(value ?? "–").slice(11, 26) || "–";
      element.append(make("td", "n", text));
    }
    return element;
  }
}

const dateOf = (ns) => new Date(ns / 1e6).toISOString().slice(0, 10);
