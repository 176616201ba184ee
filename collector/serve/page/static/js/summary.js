// The banner and the parts: is everything fine, since when, and what is not.

import { byId, childrenOf, glyph, make, mark, write } from "./dom.js";
import { fixed, isNumber, moment, NS_PER_S, span, whole } from "./format.js";
import { FINE } from "./streams.js";

const WORDS = { healthy: "Healthy", degraded: "Degraded", unhealthy: "Unhealthy" };
const SIGNS = { healthy: "●", degraded: "▲", unhealthy: "■", unknown: "○" };
const SILENT_S = 5; // an overview comes every second

const reasonOf = (part) => `${part.name}: ${part.reason || part.state}`;

export class Summary {
  constructor(link) {
    this.link = link;
  }

  /** Show the overview, `ageS` seconds after it came; null if none ever did. */
  render(overview, ageS) {
    const old = this.#old(overview, ageS);
    document.body.classList.toggle("old", Boolean(overview) && old);
    document.body.classList.toggle("past", overview?.live === false);
    this.#link(overview, ageS, old);
    if (!overview) return this.#nothingYet();
    const past = !overview.live;
    const state = old || past ? "unknown" : overview.health.state;
    mark(byId("banner"), state);
    write(byId("state-word"), old ? "No answer" : past ? "Not collecting" : (WORDS[state] ?? state));
    const seconds = (overview.at_ns - overview.health.since_ns) / NS_PER_S;
    const since = `since ${moment(overview.health.since_ns, overview.at_ns)} (${span(seconds)})`;
    const last = `What you see is from ${moment(overview.at_ns, overview.at_ns)}, ${span(ageS)} ago`;
    write(byId("since"), old ? last : past ? "A database that nobody writes now" : since);
    write(byId("why"), old ? this.#retrying() : this.#why(overview));
    document.title = `${SIGNS[state] ?? "○"} ${byId("state-word").textContent} · Collector`;
    this.#facts(overview);
    this.#parts(overview.health.parts);
    this.#exchanges(overview.exchanges);
    write(byId("foot-version"), `Collector ${overview.version ?? ""}`);
    write(byId("foot-session"), overview.session_id ? `session ${overview.session_id}${past ? "" : `, up ${span(overview.uptime_s)}`}` : "");
    write(byId("foot-database"), overview.database ?? "");
  }

  #old(overview, ageS) {
    return this.link.state !== "open" || (overview?.live && ageS > SILENT_S);
  }

  #retrying() {
    if (this.link.state === "locked") return "The collector asks for its token.";
    if (this.link.state === "open") return "The connection stands, and nothing comes.";
    const wait = (this.link.retryAt - performance.now()) / 1000;
    const what = this.link.reason || "The collector does not answer.";
    return `${what} Trying ${wait > 0 ? `again in ${Math.ceil(wait)} s` : "now"}.`;
  }

  #link(overview, ageS, old) {
    const state = old ? (overview ? "unhealthy" : "unknown") : "healthy";
    mark(byId("link"), state);
    const words = { locked: "locked", lost: "disconnected", connecting: "connecting" };
    const left = this.link.lost ? `, ${whole(this.link.lost)} skipped` : "";
    write(byId("link-word"), words[this.link.state] ?? (old ? `silent for ${span(ageS)}` : overview?.live === false ? "connected" : `live${left}`));
  }

  #nothingYet() {
    const { state } = this.link;
    write(byId("state-word"), { locked: "Locked", lost: this.link.reason ? "No data" : "No answer" }[state] ?? "Connecting");
    write(byId("why"), state === "connecting" ? " " : this.#retrying());
  }

  #why({ health, live, streams }) {
    if (!live) return streams.length ? "Choose a stream, then a day." : "Nothing was collected into it.";
    const wrong = health.parts.filter((part) => part.state !== "healthy");
    if (!wrong.length) return "Nothing is wrong.";
    return wrong.map(reasonOf).join(" · ");
  }

  #facts({ streams, identity, writer, live }) {
    const verified = streams.filter((stream) => stream.state === FINE).length;
    write(byId("fact-verified-name"), live ? "Streams verified" : "Streams");
    write(byId("fact-verified"), live ? `${whole(verified)} of ${whole(streams.length)}` : whole(streams.length));
    mark(byId("fact-verified"), !live || verified === streams.length ? "healthy" : "degraded");
    const rate = streams.reduce((sum, stream) => sum + (stream.updates_per_s ?? 0), 0);
    write(byId("fact-rate"), fixed(rate, rate < 1000 ? 1 : 0));
    write(byId("fact-rows"), whole(writer?.rows ?? identity?.written));
    write(byId("fact-lost"), whole(identity?.dropped));
    mark(byId("fact-lost"), identity?.dropped ? "unhealthy" : "healthy");
  }

  #parts(parts) {
    const tiles = childrenOf(byId("parts"), parts.length, () => {
      const tile = make("li");
      tile.append(glyph(), make("span", "name"), make("span", "word"));
      return tile;
    });
    parts.forEach((part, index) => {
      const tile = tiles[index];
      mark(tile, part.state);
      const [, name, word] = tile.children;
      write(name, part.name);
      write(word, part.state);
      if (tile.title !== (part.reason ?? "")) tile.title = part.reason ?? "";
    });
    const wrong = parts.filter((part) => part.state !== "healthy");
    const lines = childrenOf(byId("reasons"), Math.max(1, wrong.length), () => make("li"));
    if (!wrong.length) write(lines[0], "Every part is healthy.");
    wrong.forEach((part, index) => write(lines[index], reasonOf(part)));
  }

  #exchanges(exchanges) {
    const rows = childrenOf(byId("exchanges"), exchanges.length, () => {
      const row = make("tr");
      const name = make("th");
      name.scope = "row";
      name.append(glyph(), make("span"));
      row.append(name, make("td", "n"), make("td", "n"), make("td", "n"), make("td", "word"));
      return row;
    });
    exchanges.forEach((exchange, index) => {
      const [name, verified, lag, age, word] = rows[index].children;
      const fine = exchange.verified === exchange.streams && exchange.streams > 0;
      mark(rows[index], exchange.verified === 0 ? "unhealthy" : fine ? "healthy" : "degraded");
      write(name.lastElementChild, exchange.exchange);
      write(verified, `${whole(exchange.verified)}/${whole(exchange.streams)}`);
      write(lag, span(exchange.lag_s));
      write(age, isNumber(exchange.age_s) ? `${span(exchange.age_s)} ago` : "–");
      write(word, exchange.status || exchange.state || "–");
    });
  }
}

