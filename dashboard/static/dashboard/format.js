/** Numbers, moments and countries as text. All moments are UTC, as in the API. */

const shortCounts = new Intl.NumberFormat("en", { notation: "compact" });
const counts = new Intl.NumberFormat("en");
const shares = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const averages = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const names = new Intl.DisplayNames("en", { type: "region", fallback: "code" });
const inUtc = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const times = inUtc({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minutes = inUtc({ hour: "2-digit", minute: "2-digit" });
const days = inUtc({ day: "numeric", month: "short" });
const dates = inUtc({ day: "numeric", month: "short", year: "numeric" });
const weekdays = inUtc({ weekday: "short", day: "numeric", month: "short" });

export const HOUR_MS = 3_600_000;

export const count = (number) => counts.format(number);
/** For the narrow axis: 1.2M. */
export const shortCount = (number) => shortCounts.format(number);
export const share = (part, whole) => shares.format(whole ? part / whole : 0);
/** One decimal where it tells something. */
export const average = (number) => (number < 100 ? averages.format(number) : counts.format(Math.round(number)));
export const countryName = (code) => names.of(code);

export const time = (moment) => times.format(new Date(moment));
export const minute = (moment) => minutes.format(new Date(moment));
export const day = (moment) => days.format(new Date(moment));
/** Sessions are at most a year old: the day says enough. */
export const moment = (when) => `${day(when)}, ${time(when)}`;

export const date = (when) => `${dates.format(new Date(when))}, ${time(when)}`;

/** "Tue 24 Nov, 18:00 to 19:00" */
export function hour(begin) {
  return `${weekdays.format(new Date(begin)).replace(",", "")}, ${minute(begin)} to ${minute(begin + HOUR_MS)}`;
}

/** "2 h 05 min", "15 min 02 s", "7.5 s" */
export function duration(seconds) {
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  if (seconds < 60) return `${averages.format(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${count(Math.floor(seconds / 3600))} h ${two((seconds % 3600) / 60)} min`;
}
