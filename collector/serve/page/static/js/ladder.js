// The depth ladder: ten levels a side, in rows that are made once.

import { bar, byId, fill, make, show, write } from "./dom.js";
import { fixed, isNumber, size } from "./format.js";

export const DEPTH = 10;

export class Ladder {
  #rows = [];

  constructor() {
    for (let level = 0; level < DEPTH; level++) {
      const row = make("tr");
      const cells = ["size bid", "price bid", "price ask", "size ask"].map((name) => make("td", name));
      row.append(...cells);
      const [bidSize, bid, ask, askSize] = cells;
      const side = (price, cell) => {
        const text = make("span", "", "–");
        const meter = bar();
        cell.append(meter, text);
        return { price, size: text, meter };
      };
      write(bid, "–");
      write(ask, "–");
      this.#rows.push({ bids: side(bid, bidSize), asks: side(ask, askSize) });
      byId("ladder").append(row);
    }
  }

  render(book, decimals) {
    const levels = [...(book?.bids ?? []).slice(0, DEPTH), ...(book?.asks ?? []).slice(0, DEPTH)];
    const largest = Math.max(0, ...levels.map(([, amount]) => amount));
    for (const side of ["bids", "asks"]) {
      this.#rows.forEach((row, index) => {
        const [price, amount] = book?.[side]?.[index] ?? [];
        write(row[side].price, fixed(price, decimals));
        write(row[side].size, size(amount));
        fill(row[side].meter, isNumber(amount) && largest ? amount / largest : 0);
      });
    }
  }

  note(text) {
    write(byId("ladder-note"), text || " ");
    show(byId("ladder-note"), true);
  }
}
