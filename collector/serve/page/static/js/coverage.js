// Keep what the collector covered in the last hours, by stream; fetched seldom, and again after a change.

import { read, readAll } from "./api.js";
import { NS_PER_S } from "./format.js";

const REFRESH_MS = 30_000;
const AFTER_CHANGE_MS = 1_500; // the segment's end is stored with the next batch
const MOST_STREAMS = 1_000;
const SHORTEST_NS = 120 * NS_PER_S;

export class CoverageStore {
  byKey = new Map();
  span_s = null; // how much time a ribbon shows
  #dueAt = 0;
  #busy = false;
  #states = "";

  constructor(keyOf, onChange) {
    this.keyOf = keyOf;
    this.onChange = onChange;
  }

  /** Fetch if it is time to, or soon after a stream changed its state. */
  check(now, overview) {
    const { streams } = overview;
    const states = streams.map((stream) => stream.state).join();
    if (states !== this.#states) {
      this.#states = states;
      this.#dueAt = Math.min(this.#dueAt, now + AFTER_CHANGE_MS);
    }
    if (now >= this.#dueAt && !this.#busy) this.#fetch(now, overview);
  }

  async #fetch(now, overview) {
    this.#busy = true;
    this.#dueAt = now + REFRESH_MS;
    try {
      // Of a database that nobody writes, all of it; else what the API gives unasked, the last hours.
      const range = overview.live ? {} : { start: await firstOfAll(overview), end: overview.at_ns };
      this.take(await readAll("/api/coverage", range, "streams", MOST_STREAMS));
    } catch {
      // What is shown stays; the link says that nobody answers.
    } finally {
      this.#busy = false;
    }
  }

  take(document) {
    const { end_ns } = document;
    // What was before anything was collected is left out: a young collector's minutes would be a pixel of hours.
    const firsts = document.streams.flatMap((one) => one.segments.map((segment) => segment.start_ns));
    const start_ns = Math.max(document.start_ns, Math.min(end_ns - SHORTEST_NS, ...firsts));
    this.span_s = document.streams.length ? (end_ns - start_ns) / NS_PER_S : null;
    const grouped = new Map();
    for (const one of document.streams) {
      const known = grouped.get(this.keyOf(one)); // a long list may be cut within a stream
      if (known) {
        known.segments.push(...one.segments);
        known.holes.push(...one.holes);
      } else grouped.set(this.keyOf(one), { ...one, start_ns, end_ns });
    }
    this.byKey = grouped;
    this.onChange();
  }
}

const firstOfAll = async (overview) => {
  const { symbols } = await read("/api/symbols");
  const known = symbols.map((symbol) => symbol.first_ns).filter(Number.isFinite);
  return Math.min(overview.started_ns ?? overview.at_ns, ...known);
};
