// Small line charts over uPlot. One colour a series, with a fixed meaning; the value stands in the title.

import { make, write } from "./dom.js";

const AXIS_PX = 64;
const HOUR_S = 3600;

const named = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One chart with a title, a readout of the value under the pointer (or the last), and room kept for it. */
export class Chart {
  #plot = null;
  #data = null;
  #width = 0;

  /** `series`: [{label, colour: a CSS variable}], `format`: a number to text. */
  constructor(parent, { title, series, height, format }) {
    Object.assign(this, { series, height, format, title });
    const figure = make("figure", "chart");
    const caption = make("figcaption");
    caption.append(make("span", "title", title));
    this.values = series.map(({ label, colour }) => {
      const value = make("span", "n");
      const item = make("span", `series ${colour.slice(2)}`, series.length > 1 ? `${label} ` : "");
      item.append(value);
      caption.append(item);
      return value;
    });
    this.holder = make("div", "plot");
    this.holder.style.height = `${height}px`;
    this.holder.setAttribute("role", "img");
    this.holder.setAttribute("aria-label", `${title}: nothing yet`);
    figure.append(caption, this.holder);
    parent.append(figure);
    new ResizeObserver(([{ contentRect }]) => this.#fit(contentRect.width)).observe(this.holder);
  }

  /** Show [times in s, ...values]; `range` fixes the time axis. */
  set(data, range = null) {
    this.#data = data;
    this.range = range;
    if (this.#plot) this.#plot.setData(data);
    else this.redraw();
    this.#read(null);
  }

  #fit(width) {
    if (width === this.#width) return;
    this.#width = width; // 0 while it is hidden
    this.redraw();
  }

  /** Make the plot anew: the theme or the width changed. */
  redraw() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#width && this.#data) this.#plot = new window.uPlot(this.#options(), this.#data, this.holder);
  }

  #options() {
    const line = { stroke: named("--dim"), grid: { stroke: named("--line"), width: 1 }, ticks: { show: false } };
    const font = `11px ${named("--font")}`;
    const size = AXIS_PX;
    return {
      width: this.#width,
      height: this.height,
      padding: [6, 17, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 5 } },
      tzDate: (s) => window.uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      scales: {
        x: { range: (_plot, least, most) => this.range ?? [Math.min(least, most - 60), most] },
        y: { range: (_plot, least, most) => around(least, most) },
      },
      axes: [
        { ...line, font, size: 22, space: 72, values: (_plot, marks) => clockMarks(marks) },
        { ...line, font, size, values: (_plot, marks) => marks.map((mark) => this.format(mark)) },
      ],
      series: [
        {},
        ...this.series.map(({ colour }) => ({ stroke: named(colour), width: 1.25, points: { show: true, size: 3, filter: alone }, spanGaps: false })),
      ],
      hooks: { setCursor: [(plot) => this.#read(plot.cursor.idx)] },
    };
  }

  #read(index) {
    const shown = this.values.map((value, number) => {
      const column = this.#data?.[number + 1] ?? [];
      const last = this.range ? column.findLast((value) => value !== null) : column.at(-1);
      const found = (index === null ? last : column[index]) ?? null;
      const text = found === null ? "–" : this.format(found);
      write(value, text);
      return `${this.series[number].label} ${text}`;
    });
    if (index === null) this.holder.setAttribute("aria-label", `${this.title}: ${shown.join(", ")}`);
  }
}

/** Return a range with some room; one number alone is its middle. */
const around = (least, most) => {
  if (least === null) return [0, 1];
  const room = (most - least) * 0.1 || Math.abs(most) * 0.001 || 1;
  return [least - room, most + room];
};

/** Return the points that no line leads to. */
const alone = (plot, number) => {
  const values = plot.data[number];
  const isThere = (index) => values[index] !== null && values[index] !== undefined;
  return values.map((_, index) => index).filter((index) => isThere(index) && !isThere(index - 1) && !isThere(index + 1));
};

const clockMarks = (marks) => {
  const short = marks.length > 1 && marks[1] - marks[0] < 60;
  return marks.map((mark) => new Date(mark * 1000).toISOString().slice(11, short ? 19 : 16));
};

export const DAY_S = 24 * HOUR_S;
