// What is done now and then: when it ran, what came of it, when it runs again.

import { read } from "./api.js";
import { byId, childrenOf, glyph, make, mark, show, write } from "./dom.js";
import { moment, NS_PER_S, plural, span } from "./format.js";

const REFRESH_MS = 5_000;
const TROUBLE = new Set(["failed", "out_of_time"]);

export class JobsPanel {
  #dueAt = 0;
  #isSeen = false;
  #jobs = [];

  constructor({ onRun }) {
    this.onRun = onRun; // of a job by its name: it ran since the last look
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.#isSeen = isIntersecting;
    }).observe(byId("jobs"));
  }

  /** Read the jobs if they are seen and it is time to; `nowNs` is the collector's time. */
  check(now, nowNs) {
    if (!this.#isSeen || document.hidden) return;
    if (now >= this.#dueAt) this.#read(now, nowNs);
    else this.#render(nowNs);
  }

  async #read(now, nowNs) {
    this.#dueAt = now + REFRESH_MS;
    try {
      const { jobs } = await read("/api/jobs");
      const before = new Map(this.#jobs.map((job) => [job.name, job.runs]));
      for (const { name, runs } of jobs) if (before.has(name) && before.get(name) !== runs) this.onRun(name);
      this.#jobs = jobs;
      this.#render(nowNs);
    } catch {
      // What is shown stays; the link says that nobody answers.
    }
  }

  #render(nowNs) {
    const jobs = this.#jobs;
    show(byId("no-jobs"), jobs.length === 0);
    const rows = childrenOf(byId("jobs-rows"), jobs.length, made);
    jobs.forEach((job, index) => {
      const [name, due, last, took, came, next] = rows[index].children;
      const agoS = (nowNs - job.last_start_ns) / NS_PER_S;
      mark(rows[index], stateOf(job));
      write(name.children[1], job.name);
      if (name.title !== job.what) name.title = job.what;
      write(due, job.due);
      write(last, job.running ? `running for ${span(agoS)}` : job.last_start_ns ? moment(job.last_start_ns, nowNs) : "not yet");
      write(took, job.last_result ? span(job.last_s) : "–");
      write(came, cameOf(job, nowNs) || " ");
      write(next, job.next_ns ? moment(job.next_ns, nowNs) : "–");
    });
  }
}

const made = () => {
  const row = make("tr");
  const name = make("th", "name");
  name.scope = "row";
  name.append(glyph(), make("span"));
  row.append(name, make("td", "due wide"), make("td", "n last"), make("td", "n wide"), make("td", "came"), make("td", "n next"));
  return row;
};

const stateOf = ({ last_result }) => (TROUBLE.has(last_result) ? "degraded" : last_result ? "healthy" : "unknown");

/** Say how the last run ended and what it did; and of one that is well again, when it last failed. */
const cameOf = (job, nowNs) => {
  if (!job.last_result) return "";
  const ended = job.last_result.replaceAll("_", " ");
  const failed = TROUBLE.has(job.last_result);
  const before = job.last_error && !failed ? `failed last ${moment(job.last_error_ns, nowNs)}: ${job.last_error}` : "";
  const often = job.failures ? `${plural(job.failures, "failure")} in ${plural(job.runs, "run")}` : "";
  return [ended, job.last_text, often, before].filter(Boolean).join(", ");
};
