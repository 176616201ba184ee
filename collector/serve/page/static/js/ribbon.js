// Draw a stream's coverage over time on a canvas; say on hover what a hole was, and pass a click on.

import { moment, NS_PER_S, percent, span, time } from "./format.js";
import { byId } from "./dom.js";

const NARROWEST_HOLE_PX = 2; // a hole of a second in six hours would be a twentieth of a pixel
const REACH_PX = 4; // how far from a hole the pointer may be
let colours = null;

/** Read the colours of the theme; called again after it changed. */
export const readColours = () => {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(name).trim();
  colours = { ok: named("--ok-fill"), filled: named("--filled"), bad: named("--bad"), none: named("--track") };
};

// A size that is asked for while the document is being written costs a layout each time.
const sizes = new WeakMap();
const watcher = new ResizeObserver((changes) => {
  for (const { target, contentRect } of changes) {
    const shown = sizes.get(target);
    Object.assign(shown, { width: contentRect.width, height: contentRect.height });
    paint(target, shown.coverage);
  }
});

/** Draw the coverage, now and whenever the canvas changes its size. */
export const paint = (canvas, coverage) => {
  if (!sizes.has(canvas)) {
    sizes.set(canvas, { width: 0, height: 0 });
    watcher.observe(canvas);
  }
  const shown = sizes.get(canvas);
  shown.coverage = coverage;
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(shown.width * ratio);
  const height = Math.round(shown.height * ratio);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  if (!colours) readColours();
  const context = canvas.getContext("2d");
  context.fillStyle = colours.none;
  context.fillRect(0, 0, width, height);
  if (!coverage) return;
  const scale = width / (coverage.end_ns - coverage.start_ns);
  const draw = (one, least) => {
    const left = Math.max(0, (one.start_ns - coverage.start_ns) * scale);
    const right = Math.min(width, (one.end_ns - coverage.start_ns) * scale);
    const wide = Math.max(least, right - left);
    context.fillRect(Math.min(left, width - wide), 0, wide, height);
  };
  for (const filled of [true, false]) {
    context.fillStyle = filled ? colours.filled : colours.ok;
    for (const segment of coverage.segments) if (segment.filled === filled) draw(segment, ratio);
  }
  context.fillStyle = colours.bad;
  for (const hole of coverage.holes) draw(hole, NARROWEST_HOLE_PX * ratio);
};

/** Say how much is covered, and how much of that was filled afterwards. */
export const coveredText = ({ covered, filled }) =>
  `${percent(covered)} covered${filled ? ` (${percent(filled)} filled afterwards)` : ""}`;

/** Return the hole under the pointer, or the nearest one within reach. */
export const holeAt = (coverage, x, width) => {
  const nsPerPx = (coverage.end_ns - coverage.start_ns) / width;
  const at = coverage.start_ns + x * nsPerPx;
  const far = (hole) => Math.max(0, hole.start_ns - at, at - hole.end_ns);
  let nearest = null;
  for (const hole of coverage.holes) if (!nearest || far(hole) < far(nearest)) nearest = hole;
  return nearest && far(nearest) <= REACH_PX * nsPerPx ? nearest : null;
};

export const holeText = (hole, nowNs) => {
  const lasted = span((hole.end_ns - hole.start_ns) / NS_PER_S);
  return `${moment(hole.start_ns, nowNs)}, ${lasted}: ${causeText(hole)}`;
};

export const causeText = (hole) => [hole.cause || "no cause known", hole.detail].filter(Boolean).join(" – ");

/** Answer hover and click on a ribbon. `coverageOf` and `onHole` are asked at that moment. */
export const attend = (canvas, coverageOf, onHole) => {
  const tip = byId("tip");
  const under = (event) => {
    const coverage = coverageOf();
    const box = canvas.getBoundingClientRect();
    return coverage ? { coverage, box, x: event.clientX - box.left } : null;
  };
  canvas.addEventListener("pointermove", (event) => {
    const found = under(event);
    if (!found) return;
    const { coverage, box, x } = found;
    const hole = holeAt(coverage, x, box.width);
    const atNs = coverage.start_ns + (x / box.width) * (coverage.end_ns - coverage.start_ns);
    const here = coverage.segments.filter((one) => one.start_ns <= atNs && atNs <= one.end_ns);
    const inside = here.find((one) => !one.filled) ?? here[0];
    tip.textContent = hole
      ? `Hole, ${holeText(hole, coverage.end_ns)}`
      : inside
        ? `${inside.filled ? "Filled afterwards" : "Verified"}, ${time(inside.start_ns)} – ${inside.open ? "now" : time(inside.end_ns)} UTC`
        : `${time(atNs)} UTC: not collected`;
    tip.hidden = false;
    const left = Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    const below = box.bottom + 6;
    tip.style.top = `${below + tip.offsetHeight > window.innerHeight ? box.top - tip.offsetHeight - 6 : below}px`;
    canvas.style.cursor = hole ? "pointer" : "";
  });
  canvas.addEventListener("pointerleave", () => (tip.hidden = true));
  canvas.addEventListener("click", (event) => {
    const found = under(event);
    const hole = found && holeAt(found.coverage, found.x, found.box.width);
    if (!hole) return;
    event.stopPropagation();
    tip.hidden = true;
    onHole(hole);
  });
};
