// The writer, the identity and the events.

import { bar, byId, childrenOf, fill, glyph, make, mark, readouts, show, write } from "./dom.js";
import { isNumber, moment, span, time, whole } from "./format.js";

const TERMS = {
  received: "received",
  carried_in: "+ carried in",
  written: "− written",
  merged: "− merged",
  sampled_out: "− sampled out",
  rejected: "− rejected",
  dropped: "− dropped",
  pending: "− pending",
  difference: "= not accounted for",
};
const BAD_TERMS = new Set(["dropped", "difference"]); // 0, or something is wrong
const LEVELS = { debug: "unknown", info: "unknown", warning: "degraded", error: "unhealthy", critical: "unhealthy" };

export class WriterPanel {
  constructor() {
    this.values = readouts(byId("writer"), {
      buffer: "Buffer",
      commit: "Last commit took",
      age: "Last commit",
      batches: "Batches",
      breaker: "Breaker",
      spool: "Spool",
      error: "Last error",
    });
    this.meter = bar();
    this.values.buffer.after(this.meter);
    this.values.error.parentElement.classList.add("across");
  }

  render(writer) {
    if (!writer) return;
    const { values } = this;
    write(values.buffer, `${whole(writer.buffer_rows)} of ${whole(writer.buffer_max_rows)} rows`);
    const share = writer.buffer_max_rows ? writer.buffer_rows / writer.buffer_max_rows : 0;
    fill(this.meter, share);
    mark(this.meter, share > 0.8 ? "unhealthy" : share > 0.5 ? "degraded" : "healthy");
    write(values.commit, span(writer.last_commit_s));
    write(values.age, isNumber(writer.last_commit_age_s) ? `${span(writer.last_commit_age_s)} ago` : "none yet");
    write(values.batches, whole(writer.batches));
    write(values.breaker, writer.breaker.replace("_", " "));
    mark(values.breaker, writer.breaker === "closed" ? "healthy" : writer.breaker === "open" ? "unhealthy" : "degraded");
    write(values.spool, writer.spooled_rows || writer.spilling ? `${whole(writer.spooled_rows)} rows${writer.spilling ? ", filling" : ""}` : "empty");
    mark(values.spool, writer.spooled_rows || writer.spilling ? "degraded" : "healthy");
    write(values.error, writer.last_error || "none");
    mark(values.error, writer.last_error ? "degraded" : "healthy");
  }
}

export class IdentityPanel {
  constructor() {
    this.values = {};
    for (const [term, label] of Object.entries(TERMS)) {
      const row = make("tr", term);
      const name = make("th", "", label);
      name.scope = "row";
      this.values[term] = make("td", "n", "–");
      row.append(name, this.values[term]);
      byId("identity-rows").append(row);
    }
  }

  render(identity) {
    if (!identity) return;
    for (const [term, value] of Object.entries(this.values)) {
      write(value, whole(identity[term]));
      if (BAD_TERMS.has(term)) mark(value, identity[term] ? "unhealthy" : "healthy");
    }
  }
}

export class EventList {
  #shown = "";

  /** Show the events, the latest first; `title` says which. Nothing is written when they are the same. */
  render(events, nowNs, title, isRecent) {
    write(byId("events-title"), title);
    show(byId("events-back"), !isRecent);
    const latest = [...events].sort((one, other) => other.at_ns - one.at_ns || other.id - one.id);
    const ids = `${title} ${latest.map((event) => event.id).join()}`;
    if (ids === this.#shown) return;
    this.#shown = ids;
    show(byId("no-events"), latest.length === 0);
    const rows = childrenOf(byId("events"), latest.length, () => {
      const row = make("tr");
      const kind = make("td", "kind");
      kind.append(glyph(), make("span"));
      row.append(make("td", "n when"), kind, make("td", "of"), make("td", "what"));
      return row;
    });
    latest.forEach((event, index) => {
      const [when, kind, of, what] = rows[index].children;
      mark(rows[index], LEVELS[event.level] ?? "unknown");
      write(when, time(event.at_ns));
      when.title = moment(event.at_ns, nowNs);
      write(kind.lastElementChild, event.kind);
      write(of, [event.exchange, event.symbol, event.channel].filter(Boolean).join(" ") || " ");
      write(what, event.text || " ");
    });
  }
}
