// Remember each stream's last minutes, one point a second, for the charts.

const POINTS = 900;
const BREAK_S = 5;
const FIELDS = ["mid", "microprice", "spread_bp", "lag_s", "updates_per_s"];

export class History {
  #times = new Float64Array(POINTS);
  #count = 0; // of points ever taken
  #rings = new Map();
  #before = new Map(); // by stream: stored points, of the time before this page was opened

  /** Take one overview's numbers. `valueOf(stream, field)` is null where there is none. */
  take(atS, streams, keyOf, valueOf) {
    if (this.#count && atS <= this.#times[(this.#count - 1) % POINTS]) return;
    const lastS = this.#count ? this.#times[(this.#count - 1) % POINTS] : atS;
    if (atS - lastS > BREAK_S) this.#put(lastS + 1, [], keyOf, valueOf); // no line bridges what was not heard
    this.#put(atS, streams, keyOf, valueOf);
  }

  #put(atS, streams, keyOf, valueOf) {
    const place = this.#count % POINTS;
    this.#times[place] = atS;
    for (const ring of this.#rings.values()) for (const field of FIELDS) ring[field][place] = NaN;
    for (const stream of streams) {
      const ring = this.#ring(keyOf(stream));
      for (const field of FIELDS) ring[field][place] = valueOf(stream, field) ?? NaN;
    }
    this.#count += 1;
  }

  /** Return [times, ...one list for each field], oldest first, with null where nothing was known. */
  of(key, fields) {
    const ring = this.#rings.get(key);
    const shown = Math.min(this.#count, POINTS);
    const firstS = shown ? this.#times[(this.#count - shown) % POINTS] : Infinity;
    const before = (this.#before.get(key) ?? []).filter((point) => point.at_s < firstS);
    const names = ["at_s", ...fields];
    const columns = [this.#times, ...fields.map((field) => ring?.[field])];
    return columns.map((column, number) => {
      const list = new Array(shown);
      for (let index = 0; index < shown; index++) {
        const value = column?.[(this.#count - shown + index) % POINTS];
        list[index] = Number.isNaN(value) ? null : (value ?? null);
      }
      return before.length ? before.map((point) => point[names[number]] ?? null).concat(list) : list;
    });
  }

  has(key) {
    return this.#before.has(key);
  }

  /** Take what was stored of a stream before: [{at_s, mid, ...}], oldest first. */
  fill(key, points) {
    this.#before.set(key, points);
  }

  #ring(key) {
    let ring = this.#rings.get(key);
    if (!ring) {
      ring = Object.fromEntries(FIELDS.map((field) => [field, new Float64Array(POINTS).fill(NaN)]));
      this.#rings.set(key, ring);
    }
    return ring;
  }
}
