/** Asks the service. A failure is always an ApiError, which says what the service said. */

import { askForKey, authorization } from "./sign_in.js";

/** Longer than any report takes: a connection that died is reported like one that is refused. */
const MOST_MS = 15_000;
const MOST_MS_OF_READINESS = 4_000;
/** What a proxy before the service says: too slow, too early, too many. */
const MAY_PASS = [408, 425, 429];

const within = (ms, signal) => AbortSignal.any([AbortSignal.timeout(ms), ...(signal ? [signal] : [])]);

/** An answer that is an error (a problem detail), or no answer at all (status 0). */
export class ApiError extends Error {
  constructor(status, problem = {}) {
    super(problem.detail ?? (status ? `The service answered ${status}.` : "The service does not answer."));
    this.status = status;
    this.errors = problem.errors ?? [];
  }

  /** For people: what is wrong with each value, or with the whole. */
  get words() {
    return this.errors.length ? this.errors.map(({ detail }) => detail).join(" ") : this.message;
  }

  /** Whether the same request may succeed later. */
  get passes() {
    return this.status === 0 || this.status >= 500 || MAY_PASS.includes(this.status);
  }
}

/**
 * The JSON at an address of the service, and when it answered by its own clock (ms).
 * Never from the browser's cache: the service has its own, and two of them would show numbers twice as old.
 */
export async function ask(path, { signal, ...options } = {}) {
  const address = new URL(path, document.baseURI);
  const headers = { Accept: "application/json", ...authorization(), ...options.headers };
  let response;
  try {
    response = await fetch(address, { cache: "no-store", ...options, headers, signal: within(MOST_MS, signal) });
  } catch (error) {
    throw signal?.aborted ? error : new ApiError(0);
  }
  const body = await response.json().catch((error) => {
    if (signal?.aborted) throw error;
    if (response.ok) throw new ApiError(0);
    return {};
  });
  if (!response.ok) throw errorOf(response.status, body);
  return { status: response.status, body, answeredAt: Date.parse(response.headers.get("Date")) };
}

/** The error that an answer is; one that wants a key asks the reader for it. */
function errorOf(status, body) {
  if (status === 401) askForKey(body.type?.endsWith(":key-required") ? undefined : body.detail);
  return new ApiError(status, body);
}

/** The addresses of the reports, of what is asked there. */
export const paths = {
  countries: (asked) => `api/v1/reports/starts/?${new URLSearchParams(asked)}`,
  timeline: (asked) => `api/v1/reports/starts/timeline/?${new URLSearchParams(asked)}`,
  measures: (asked) => `api/v1/reports/measures/?${new URLSearchParams(asked)}`,
  country: (country, asked) => `api/v1/reports/starts/${encodeURIComponent(country)}/?${new URLSearchParams(asked)}`,
  player: (player, asked) =>
    `api/v1/reports/players/${encodeURIComponent(player)}/sessions/?${new URLSearchParams(asked)}`,
};

export const startsByCountry = (window, options) => ask(paths.countries({ ...window, sessions: 0 }), options);

export const timeline = (window, options) => ask(paths.timeline(window), options);

export const measures = (asked, options) => ask(paths.measures(asked), options);

export const startsOfCountry = (country, asked, options) => ask(paths.country(country, asked), options);

export const sessionsOfPlayer = (player, asked) => ask(paths.player(player, asked));

/** The cursor in a link to the next page; null: this is the last one. */
export const cursorOf = (next) => next && new URL(next).searchParams.get("cursor");

export const sendBatch = (text, { lenient }) =>
  ask("api/v1/events/", {
    method: "POST",
    body: text,
    headers: { "Content-Type": "application/json", ...(lenient && { Prefer: "handling=lenient" }) },
  });

/** What the service misses, in its own words, such as "Cassandra does not answer"; null when nothing that it knows. */
export async function whatIsMissing({ signal }) {
  const options = { cache: "no-store", signal: within(MOST_MS_OF_READINESS, signal) };
  const response = await fetch(new URL("readyz", document.baseURI), options);
  const { checks } = await response.json();
  return response.ok ? null : checks?.cassandra ?? null;
}

/** What comes over the network, or an ApiError when it breaks off. */
const arrived = (promised) =>
  promised.catch(() => {
    throw new ApiError(0);
  });

/** Has the browser save a file of the service, under the name that the service gives it. Throws an ApiError. */
export async function download(address) {
  const response = await arrived(fetch(address, { headers: authorization() }));
  if (!response.ok) throw errorOf(response.status, await response.json().catch(() => ({})));
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))?.[1] ?? "report.csv";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await arrived(response.blob()));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), MOST_MS); // some browsers begin to save it later
}
