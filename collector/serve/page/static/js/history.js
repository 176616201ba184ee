// Remember each stream's last minutes, one point a second, for the charts.

const POINTS = 900;
const FIELDS = ["mid", "microprice", "spread_bp", "lag_s", "updates_per_s"];

export class History {
  #times = new Float64Array(POINTS);
  #count = 0; // of points ever taken
  #rings = new Map();

  /** Take one overview's numbers. `valueOf(stream, field)` is null where there is none. */
  take(atS, streams, keyOf, valueOf) {
    if (this.#count && atS <= this.#times[(this.#count - 1) % POINTS]) return;
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
    const columns = [this.#times, ...fields.map((field) => ring?.[field])];
    return columns.map((column) => {
      const list = new Array(shown);
      for (let index = 0; index < shown; index++) {
        const value = column?.[(this.#count - shown + index) % POINTS];
        list[index] = Number.isNaN(value) ? null : (value ?? null);
      }
      return list;
    });
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
