/** One report: the countries of a window and their starts over time, all of the same moment. */

import { measures, startsByCountry, timeline } from "./api.js";

const MINUTE_MS = 60_000;
/** Of a day and a week mostly; of the last one the end is only drawn. */
const LENGTHS_MS = { minute: MINUTE_MS, hour: 60 * MINUTE_MS, day: 1_440 * MINUTE_MS, week: 10_080 * MINUTE_MS };
/** The service makes few reports at a time of more than a month, so that they do not slow everything else down. */
const LONG_HOURS = 31 * 24;
/** Countries with a layer of their own in the plot; more shades of one colour look alike. */
const LAYERS = 5;
/** Countries whose starts come with the whole: those that the page shows at first. */
const FIRST_COUNTRIES = 10;
/** The service tells no more numbers of countries at once. */
const MOST_NUMBERS = 200_000;

export class Report {
  #discarded = new AbortController();
  #timelines = new Map();
  #last = Promise.resolve();

  /** Asks for the countries first: their report says its moment, and everything else is asked as of that. */
  static async of(window, { country, shape, signal }) {
    const { body, answeredAt } = await startsByCountry(window, { signal });
    return new Report(body, { country, shape, answeredAt });
  }

  /** Of one `country`, or of all (null); its `shape` is by which parts, in which zone, and compared with what. */
  constructor(body, { country, shape, answeredAt }) {
    this.country = country;
    this.shape = shape;
    this.countries = body.countries;
    this.ofAll = body.total;
    this.total = country ? body.countries.find((one) => one.country === country)?.starts ?? 0 : body.total;
    this.late = body.late;
    this.window = { hours: body.hours, as_of: body.to };
    this.ageSeconds = Math.max(0, (answeredAt - Date.parse(body.to)) / 1000) || 0;
  }

  /** Nobody wants what has not been answered yet. */
  leave() {
    this.#discarded.abort();
  }

  /** What the timeline of this report asks. */
  get asked() {
    return { ...this.window, ...this.shape, ...(this.country && { country: this.country }) };
  }

  /** The timeline of what is shown, and those of the first countries. */
  whole() {
    return this.#timeline({ ...this.asked, ...(!this.country && { countries: FIRST_COUNTRIES }) });
  }

  /** What follows from the ends of its sessions. */
  measures() {
    const asked = { ...this.window, ...(this.country && { country: this.country }) };
    const ask = () => measures(asked, { signal: this.#discarded.signal }).then(({ body }) => body);
    return this.window.hours > LONG_HOURS ? this.#inTurn(ask) : ask();
  }

  /** The points of a country's timeline; null: there are too many countries. All are asked for at once, or none. */
  async timelineOf(country) {
    const whole = await this.whole();
    const starts = startsOf(country, whole) ?? startsOf(country, await this.#ofEveryCountry(whole));
    return starts && whole.points.map(({ begin }, at) => ({ begin, starts: starts[at] }));
  }

  #ofEveryCountry({ points }) {
    const countries = Math.min(this.countries.length, Math.floor(MOST_NUMBERS / points.length) - 1);
    const { interval, tz } = this.shape;
    return this.#timeline({ ...this.window, interval, tz, countries: Math.max(0, countries) });
  }

  #timeline(asked) {
    const question = JSON.stringify(asked);
    if (!this.#timelines.has(question)) {
      const ask = () => timeline(asked, { signal: this.#discarded.signal }).then(({ body }) => body);
      const answer = this.window.hours > LONG_HOURS ? this.#inTurn(ask) : ask();
      answer.catch(() => this.#timelines.delete(question));
      this.#timelines.set(question, answer);
    }
    return this.#timelines.get(question);
  }

  /** One after the other, whatever becomes of them. */
  #inTurn(ask) {
    const answer = this.#last.then(ask, ask);
    this.#last = answer;
    return answer;
  }

  /**
   * The parts of the window: when they begin and end (ms), all starts of each, and whether the window has all of it;
   * the layers of the plot, which are the country, or the largest countries and then the others together; and what
   * it is compared with.
   */
  async byPart() {
    const { compare, countries, interval, points } = await this.whole();
    const starts = points.map((point) => point.starts);
    const layers = this.country ? [{ country: this.country, starts }] : countries.slice(0, LAYERS);
    if (this.countries.length > layers.length && !this.country) {
      layers.push({ country: null, starts: remainder(starts, layers) });
    }
    const begins = points.map((point) => Date.parse(point.begin));
    return {
      interval,
      begins,
      ends: [...begins.slice(1), begins.at(-1) + LENGTHS_MS[interval]],
      starts,
      complete: points.map((point) => point.complete),
      layers: this.total || compare?.total ? layers : [],
      before: compare && points.map((point) => point.before),
      compare,
    };
  }
}

const startsOf = (country, { countries }) => countries.find((one) => one.country === country)?.starts ?? null;

/** What the layers leave of the whole. */
function remainder(starts, layers) {
  return starts.map((whole, at) => layers.reduce((left, layer) => left - layer.starts[at], whole));
}
