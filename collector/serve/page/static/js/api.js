// Read the collector's API. A refusal carries its status, so that 401 can ask for the token.

export class Refused extends Error {
  constructor(status, reason, expected) {
    super(expected ? `${reason} (expected: ${expected})` : reason);
    this.status = status;
  }
}

const TIMEOUT_MS = 10_000;

const answerOf = async (response) => {
  const document = await response.json().catch(() => null);
  if (response.ok && document !== null) return document;
  const error = typeof document?.error === "object" ? document.error : (document ?? {});
  throw new Refused(response.status, error.reason ?? `status ${response.status}`, error.expected);
};

export const read = async (path, query = {}) => {
  const named = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(named.map(([name, value]) => [name, String(value)])).toString();
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  return answerOf(await fetch(text ? `${path}?${text}` : path, { signal, cache: "no-store" }));
};

/** Read all pages of a list of rows or things, `most` of them at the most. */
export const readAll = async (path, query, listName, most) => {
  const first = await read(path, query);
  let page = first;
  while (page.next && first[listName].length < most) {
    page = await read(path, { ...query, cursor: page.next });
    first[listName].push(...page[listName]);
  }
  return first;
};

/** Read stored states of a stream's market, each row by the names of its columns. */
export const readRows = async ({ exchange, symbol }, query) => {
  const { columns, rows } = await read(`/api/features/${encodeURIComponent(symbol)}`, { exchange, ...query });
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])));
};

/** Exchange the token for a cookie that scripts cannot read. */
export const openSession = async (token) => {
  const headers = { "Content-Type": "application/json" };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const options = { method: "POST", headers, body: JSON.stringify({ token }), signal };
  const response = await fetch("/api/session", options);
  if (!response.ok) await answerOf(response);
};
