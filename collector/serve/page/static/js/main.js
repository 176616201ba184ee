// Put the page together: what comes over the link is rendered once a second, and only while it is seen.

import { openSession, read } from "./api.js";
import { CoverageStore } from "./coverage.js";
import { Day } from "./day.js";
import { Detail, showTab } from "./detail.js";
import { byId, show } from "./dom.js";
import { Events } from "./events.js";
import { NS_PER_S, roughly, spreadBp } from "./format.js";
import { History } from "./history.js";
import { Link } from "./link.js";
import { JobsPanel } from "./jobs.js";
import { IdentityPanel, WriterPanel } from "./panels.js";
import { QualityPanel } from "./quality.js";
import { readColours } from "./ribbon.js";
import { FINE, keyOf, StreamTable } from "./streams.js";
import { Summary } from "./summary.js";

const LATE_MS = 1500;
const LONGEST_FOR_BOOK_MS = 200;
const LEAST_BETWEEN_MS = 900; // at most about once a second, however fast overviews come
const HISTORY_FIELD = { spread_bp: spreadBp };

class Page {
  overview = null;
  #receivedAt = 0;
  #renderedAt = 0;
  #chosen = null;
  #isNow = true;
  #dayCoverage = null;

  constructor() {
    this.history = new History();
    this.coverage = new CoverageStore(keyOf, () => this.#covered());
    this.link = new Link((overview) => this.#take(overview), () => this.#linked());
    this.summary = new Summary(this.link);
    const onHole = (stream, hole) => this.#hole(stream, hole);
    this.table = new StreamTable({ coverage: this.coverage, onChoose: (key) => this.#choose(key), onHole });
    this.detail = new Detail({ history: this.history, table: this.table, onHole });
    this.day = new Day({ table: this.table, onCoverage: (document, title) => this.#dayCovered(document, title) });
    this.writer = new WriterPanel();
    this.identity = new IdentityPanel();
    this.events = new Events();
    this.quality = new QualityPanel({ onDay: (key, date) => this.#openDay(key, date) });
    this.jobs = new JobsPanel({ onRun: (name) => name === "quality" && this.quality.expire() });
    this.#chosen = decodeURIComponent(location.hash.slice(1)) || null;
  }

  start() {
    this.link.open();
    setInterval(() => this.#tick(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || this.#render());
    document.addEventListener("themechange", () => this.#redraw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
    let resized = 0;
    addEventListener("resize", () => {
      clearTimeout(resized);
      resized = setTimeout(() => this.#redraw(), 200);
    });
    byId("login-form").addEventListener("submit", (event) => this.#login(event));
    byId("tab-now").addEventListener("click", () => this.#tab(true));
    byId("tab-day").addEventListener("click", () => this.#tab(false));
  }

  #take(overview) {
    const isFirst = this.overview === null;
    this.overview = overview;
    this.link.expectsNews = overview.live;
    this.#receivedAt = performance.now();
    this.history.take(overview.at_ns / NS_PER_S, overview.streams, keyOf, (stream, field) =>
      HISTORY_FIELD[field] ? HISTORY_FIELD[field](stream) : stream[field],
    );
    if (isFirst && !overview.live) this.#tab(false);
    if (performance.now() - this.#renderedAt >= LEAST_BETWEEN_MS) this.#renderWithBook();
  }

  /** Wait a little for the book of the same moment: one rendering is cheaper than two, and agrees with itself. */
  async #renderWithBook() {
    const stream = this.#stream();
    if (document.hidden) return;
    if (stream && this.#isNow) {
      const late = new Promise((resolve) => setTimeout(resolve, LONGEST_FOR_BOOK_MS));
      this.detail.earlier(stream, this.overview.at_ns);
      await Promise.race([this.detail.ask(stream), late]);
    }
    this.#render();
  }

  #tick() {
    this.link.check(performance.now());
    if (performance.now() - this.#renderedAt >= LATE_MS) this.#render(); // nothing comes: say so
  }

  #linked() {
    show(byId("login"), this.link.state === "locked");
    if (this.link.state === "locked" && !document.hidden) byId("token").focus();
    this.#render();
  }

  #render() {
    if (document.hidden) return;
    const now = performance.now();
    this.#renderedAt = now;
    const ageS = (now - this.#receivedAt) / 1000;
    this.summary.render(this.overview, ageS);
    if (!this.overview || (this.link.state !== "open" && ageS > 2)) return;
    const { streams, writer, identity, at_ns } = this.overview;
    this.table.render(this.overview, this.#choice(streams));
    this.coverage.check(now, this.overview);
    this.#renderDetail(at_ns);
    this.writer.render(writer);
    this.identity.render(identity);
    this.events.render(this.overview);
    this.quality.check(now, new Set(streams.map(keyOf)));
    this.jobs.check(now, at_ns);
  }

  #renderDetail(atNs) {
    const stream = this.#stream();
    if (!stream) return;
    this.detail.render(stream, atNs, this.#isNow);
    if (!this.#isNow) this.day.render(stream, lastOf(this.overview));
    const hours = this.coverage.byKey.get(this.#chosen) ?? null;
    if (this.#isNow) this.detail.cover(hours, hours ? `Last ${roughly(this.coverage.span_s)}` : "Coverage");
    else this.detail.cover(this.#dayCoverage?.coverage ?? null, this.#dayCoverage?.title ?? "Coverage");
  }

  /** Return the chosen stream's key: the first with a book, where the chosen one is not there. */
  #choice(streams) {
    if (!streams.some((stream) => keyOf(stream) === this.#chosen)) {
      const first = streams.find((stream) => stream.kind === "book" && stream.state === FINE) ?? streams.find((stream) => stream.kind === "book") ?? streams[0];
      this.#chosen = first ? keyOf(first) : null;
    }
    return this.#chosen;
  }

  #stream() {
    return this.overview?.streams.find((stream) => keyOf(stream) === this.#chosen) ?? null;
  }

  #choose(key) {
    this.#chosen = key;
    this.#dayCoverage = null;
    history.replaceState(null, "", `#${encodeURIComponent(key)}`);
    this.#renderWithBook();
  }

  #hole(stream, hole) {
    if (keyOf(stream) !== this.#chosen) this.#choose(keyOf(stream));
    this.events.of(stream, hole);
    if (!this.#isNow) this.day.edgesOf(hole);
  }

  #tab(isNow) {
    this.#isNow = isNow;
    showTab(isNow);
    this.#render();
  }

  /** Show a stream's day, as the daily report names both. */
  #openDay(key, date) {
    this.day.choose(date);
    this.#choose(key);
    this.#tab(false);
    byId("detail-title").focus({ preventScroll: true });
    byId("detail").scrollIntoView({ block: "nearest" });
  }

  #covered() {
    if (!document.hidden && this.overview) this.#render();
  }

  #dayCovered(document, title) {
    const found = document.streams.find((one) => keyOf(one) === this.#chosen);
    const { start_ns, end_ns } = document;
    const coverage = found ? { ...found, start_ns, end_ns } : { covered: 0, segments: [], holes: [], start_ns, end_ns };
    this.#dayCoverage = { coverage, title };
    this.#render();
  }

  #redraw() {
    readColours();
    this.table.ribbons();
    this.detail.redraw();
    this.day.redraw();
    this.#render();
  }

  async #login(event) {
    event.preventDefault();
    const field = byId("token");
    byId("login-error").textContent = "";
    try {
      await openSession(field.value);
      field.value = "";
      await read("/api/overview");
      show(byId("login"), false);
      this.link.open();
    } catch (error) {
      const wrong = error.status === 401 || error.status === 403;
      byId("login-error").textContent = wrong ? "That is not the token." : `Not opened: ${error.message}`;
      field.focus();
    }
  }
}

/** Return when the latest data is from: now, or of a database that nobody writes, its last event. */
const lastOf = (overview) => {
  if (overview.live) return overview.at_ns;
  const known = overview.streams.map((stream) => stream.last_cause_ns ?? 0);
  return Math.max(...known, ...overview.events.map((event) => event.at_ns)) || overview.at_ns;
};

new Page().start();
