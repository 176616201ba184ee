// Turn numbers into text. Pure functions: no element, no clock.

const NOTHING = "–";
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "UTC" };
const TIME = new Intl.DateTimeFormat("en-GB", CLOCK);
const SHORT_TIME = new Intl.DateTimeFormat("en-GB", { ...CLOCK, second: undefined });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

export const NS_PER_MS = 1e6;
export const NS_PER_S = 1e9;

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const whole = (value) => (isNumber(value) ? WHOLE.format(value) : NOTHING);

export const fixed = (value, decimals) => (isNumber(value) ? value.toFixed(decimals) : NOTHING);

export const percent = (share) => {
  if (!isNumber(share)) return NOTHING;
  // Never rounded up to 100: a hole of a second is a hole.
  const floored = Math.floor(share * 100_000) / 1_000;
  return floored >= 100 ? "100 %" : `${floored.toFixed(floored > 99 ? 2 : 1)} %`;
};

/** Return a span of time in its two largest units, or one with a fraction below a minute. */
export const span = (seconds) => {
  if (!isNumber(seconds)) return NOTHING;
  const s = Math.max(0, seconds);
  if (s < 0.9995) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
};

/** Return a span of time in its largest unit, rounded up: for a heading. */
export const roughly = (seconds) => {
  if (!isNumber(seconds)) return NOTHING;
  if (seconds <= 5400) return `${Math.ceil(seconds / 60)} min`;
  return seconds <= 2 * 86400 ? `${Math.ceil(seconds / 3600)} h` : `${Math.ceil(seconds / 86400)} days`;
};

export const time = (ns) => (isNumber(ns) ? TIME.format(ns / NS_PER_MS) : NOTHING);

export const shortTime = (ns) => (isNumber(ns) ? SHORT_TIME.format(ns / NS_PER_MS) : NOTHING);

export const day = (ns) => DAY.format(ns / NS_PER_MS);

/** Return the time, with the day in front where it is not today's. */
export const moment = (ns, nowNs) => {
  if (!isNumber(ns) || ns <= 0) return NOTHING;
  return day(ns) === day(nowNs) ? `${time(ns)} UTC` : `${day(ns)}, ${time(ns)} UTC`;
};

export const size = (value) => {
  if (!isNumber(value)) return NOTHING;
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}M`;
  return value.toFixed(value >= 1000 ? 1 : 4);
};

/** Return how many decimals the number is written with. */
export const decimalsOf = (value) => {
  if (!isNumber(value)) return 0;
  const text = String(value);
  const [digits, exponent] = text.split("e-");
  const shown = (digits.split(".")[1] ?? "").length;
  return Math.min(12, shown + Number(exponent ?? 0));
};

export const spreadBp = (stream) =>
  isNumber(stream.spread) && stream.mid ? (stream.spread / stream.mid) * 10_000 : null;

export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export const bytes = (value) => {
  if (!isNumber(value)) return NOTHING;
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${(value / 1000 ** step).toFixed(step ? 1 : 0)} ${UNITS[step]}`;
};

export const milliseconds = (value) => (isNumber(value) ? `${whole(value)} ms` : NOTHING);
