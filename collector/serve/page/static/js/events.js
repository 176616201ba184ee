// Which events the panel shows: the recent ones, or those of a hole.

import { read } from "./api.js";
import { byId } from "./dom.js";
import { moment, NS_PER_S, span } from "./format.js";
import { EventList } from "./panels.js";

const AROUND_NS = 2 * NS_PER_S; // what led to a hole came shortly before it
const MOST = 200;

export class Events {
  #list = new EventList();
  #hole = null; // {title, events} while a hole's are shown

  constructor() {
    byId("events-back").addEventListener("click", () => {
      this.#hole = null;
      this.render(this.overview);
      byId("events-title").focus();
    });
  }

  render(overview) {
    this.overview = overview;
    const recent = overview.live ? "Recent events" : "Last events";
    const { title, events } = this.#hole ?? { title: recent, events: overview.events };
    this.#list.render(events, overview.at_ns, title, this.#hole === null);
  }

  /** Fetch the events around a hole, of its exchange, and show them instead. */
  async of(stream, hole) {
    const lasted = span((hole.end_ns - hole.start_ns) / NS_PER_S);
    const title = `Events around ${moment(hole.start_ns, this.overview.at_ns)} (${lasted}), ${stream.exchange} ${stream.symbol}`;
    const range = { start: hole.start_ns - AROUND_NS, end: hole.end_ns + AROUND_NS, limit: MOST };
    try {
      const { events } = await read("/api/events", range);
      const concerns = (event) =>
        (!event.exchange || event.exchange === stream.exchange) && (!event.symbol || event.symbol === stream.symbol);
      this.#hole = { title, events: events.filter(concerns) };
    } catch (error) {
      this.#hole = { title: `${title}: not read, ${error.message}`, events: [] };
    }
    this.render(this.overview);
    byId("events-title").focus({ preventScroll: true });
    byId("events-panel").scrollIntoView({ block: "nearest" });
  }
}
