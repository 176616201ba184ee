// Keep one event stream open, for as long as the page is: with backoff, and asking for the token at a 401.

import { read } from "./api.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const SILENCE_MS = 20_000; // an open stream that says nothing for so long is closed and opened anew

export class Link {
  state = "connecting"; // connecting, open, lost, locked
  expectsNews = true; // of a database that nobody writes none come
  retryAt = 0; // of performance.now()
  reason = ""; // why the server answers, and gives nothing
  lost = 0; // updates that the server left out because this page was slow
  #source = null;
  #attempt = 0;
  #timer = 0;
  #heardAt = 0;

  constructor(onOverview, onState) {
    this.onOverview = onOverview;
    this.onState = onState;
  }

  open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource("/api/stream?channels=overview");
    this.#source = source;
    this.#heardAt = performance.now();
    source.addEventListener("overview", (event) => this.#take(event.data));
    source.addEventListener("lost", (event) => (this.lost += Number(JSON.parse(event.data).count) || 0));
    source.addEventListener("error", () => source === this.#source && this.#fail());
  }

  /** Notice an open stream that has gone silent: a half-open connection raises no error. */
  check(now) {
    if (this.expectsNews && this.#source && this.state === "open" && now - this.#heardAt > SILENCE_MS) this.#fail();
  }

  #take(text) {
    this.#heardAt = performance.now();
    this.#attempt = 0;
    this.#become("open");
    this.onOverview(JSON.parse(text));
  }

  async #fail() {
    this.#source?.close(); // its own retrying knows neither backoff nor the status
    this.#source = null;
    const locked = await this.#isLocked();
    if (locked) return this.#become("locked");
    const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempt++);
    const wait = most / 2 + Math.random() * (most / 2);
    this.retryAt = performance.now() + wait;
    this.#timer = setTimeout(() => this.open(), wait);
    this.#become("lost");
  }

  async #isLocked() {
    this.reason = "";
    try {
      await read("/api/overview");
      return false;
    } catch (error) {
      if (error.status && error.status !== 401) this.reason = error.message;
      return error.status === 401;
    }
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.onState();
  }
}
