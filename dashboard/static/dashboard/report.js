/** One report: the countries of a window and their hours, all of the same moment. */

import { startsByCountry, timeline } from "./api.js";

/** Countries with a layer of their own in the plot; more shades of one colour look alike. */
const LAYERS = 5;

export class Report {
  #discarded = new AbortController();
  #timelines = new Map();

  /** Asks for the countries first: their report says its moment, and everything else is asked as of that. */
  static async of(window, { signal }) {
    const { body, answeredAt } = await startsByCountry(window, { signal });
    return new Report(body, answeredAt);
  }

  constructor(body, answeredAt) {
    this.total = body.total;
    this.countries = body.countries;
    this.window = { hours: body.hours, as_of: body.to };
    this.ageSeconds = Math.max(0, (answeredAt - Date.parse(body.to)) / 1000) || 0;
  }

  /** Nobody wants what has not been answered yet. */
  leave() {
    this.#discarded.abort();
  }

  /** The points of a country's timeline, or of all countries (null); asked once, or until there is an answer. */
  timelineOf(country) {
    if (!this.#timelines.has(country)) {
      const asked = country ? { ...this.window, country } : this.window;
      const points = timeline(asked, { signal: this.#discarded.signal }).then(({ body }) => body.points);
      points.catch(() => this.#timelines.delete(country));
      this.#timelines.set(country, points);
    }
    return this.#timelines.get(country);
  }

  /** The hours (ms), all starts of each, and the layers of the plot: the largest countries, then the others together. */
  async byHour() {
    const top = this.countries.slice(0, LAYERS).map(({ country }) => country);
    const [all, ...parts] = await Promise.all([null, ...top].map((country) => this.timelineOf(country)));
    const starts = all.map((point) => point.starts);
    const layers = top.map((country, index) => ({ country, starts: parts[index].map((point) => point.starts) }));
    if (this.countries.length > LAYERS) layers.push({ country: null, starts: remainder(starts, layers) });
    return { hours: all.map((point) => Date.parse(point.hour)), starts, layers };
  }
}

/** What the layers leave of the whole. A late event may come between two answers: never below zero. */
function remainder(starts, layers) {
  return starts.map((whole, hour) => Math.max(0, layers.reduce((left, layer) => left - layer.starts[hour], whole)));
}
