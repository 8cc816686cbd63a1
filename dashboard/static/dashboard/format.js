/** Numbers, moments and countries as text. Moments are in one time zone: UTC, as in the API, or what is chosen. */

const shortCounts = new Intl.NumberFormat("en", { notation: "compact" });
const counts = new Intl.NumberFormat("en");
const shares = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const averages = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const names = new Intl.DisplayNames("en", { type: "region", fallback: "code" });

export const UTC = "UTC";
let zone = UTC;

/** Shows moments in a time zone from now on; returns whether there is one of this name. */
export function useZone(name) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
  } catch {
    return false;
  }
  zone = name;
  return true;
}

export const zoneName = () => zone;

/** Like a formatter of Intl, in the zone of the moment at which it is asked. */
function inZone(options) {
  let made = null;
  return {
    format(date) {
      if (made?.zone !== zone) made = { zone, of: new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }) };
      return made.of.format(date);
    },
  };
}

const times = inZone({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minutes = inZone({ hour: "2-digit", minute: "2-digit" });
const days = inZone({ day: "numeric", month: "short" });
const dates = inZone({ day: "numeric", month: "short", year: "numeric" });
const weekdays = inZone({ weekday: "short", day: "numeric", month: "short" });

export const HOUR_MS = 3_600_000;
const LEAST_SHARE = 0.001;

export const count = (number) => counts.format(number);
/** For the narrow axis: 1.2M. */
export const shortCount = (number) => shortCounts.format(number);
/** What is there is never 0. */
export function share(part, whole) {
  const ratio = whole ? part / whole : 0;
  return ratio > 0 && ratio < LEAST_SHARE ? `<${shares.format(LEAST_SHARE)}` : shares.format(ratio);
}
/** One decimal where it tells something. */
export const average = (number) => (number < 100 ? averages.format(number) : counts.format(Math.round(number)));
export const countryName = (code) => names.of(code);

export const time = (moment) => times.format(new Date(moment));
export const minute = (moment) => minutes.format(new Date(moment));
export const day = (moment) => days.format(new Date(moment));
/** Sessions are at most a year old: the day says enough. */
export const moment = (when) => `${day(when)}, ${time(when)}`;

export const date = (when) => `${dates.format(new Date(when))}, ${time(when)}`;

const weekday = (when) => weekdays.format(new Date(when)).replace(",", "");

/** "Tue 24 Nov, 18:05", "Tue 24 Nov, 18:00 to 19:00", "Tue 24 Nov", "week of Mon 23 Nov" */
export function part(interval, begin, end) {
  if (interval === "week") return `week of ${weekday(begin)}`;
  if (interval === "day") return weekday(begin);
  const until = interval === "hour" ? ` to ${minute(end)}` : "";
  return `${weekday(begin)}, ${minute(begin)}${until}`;
}

/** "+12.5%", "-3.0%" */
export const change = (ratio) => `${ratio > 0 ? "+" : ""}${shares.format(ratio)}`;

/** "2 h 05 min", "15 min 02 s", "7.5 s" */
export function duration(seconds) {
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  if (seconds < 60) return `${averages.format(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${count(Math.floor(seconds / 3600))} h ${two((seconds % 3600) / 60)} min`;
}

/** The units of a length, longest first: its name, its seconds, and from how many seconds on it is used. */
const UNITS = [["h", 3600, 7200], ["min", 60, 120], ["s", 1, 0]];

const isExact = ({ low, high }) => low === high;
const halfOf = ({ low, high }) => (high - low) / 2;
/** A margin is told with a decimal only when it is below one, and is never none. */
const fine = (margin) => (margin < 1 ? averages.format(Math.max(margin, 0.1)) : count(Math.round(margin)));

/** An estimated length as `{value: "12 min", margin: "1"}`; an exact one has no margin. */
export function aboutDuration(estimate) {
  if (isExact(estimate)) return { value: duration(estimate.value) };
  const [name, seconds] = UNITS.find(([, , from]) => estimate.value >= from);
  const margin = halfOf(estimate) / seconds;
  const inUnit = estimate.value / seconds;
  return { value: `${margin < 1 ? averages.format(inUnit) : count(Math.round(inUnit))} ${name}`, margin: fine(margin) };
}

/** The same of a number. That none was seen does not say that there is none. */
export function aboutCount(estimate) {
  const value = count(Math.round(estimate.value));
  if (isExact(estimate)) return { value };
  if (value === "0") return { value: `up to ${count(Math.ceil(estimate.high))}` };
  return { value, margin: count(Math.ceil(halfOf(estimate))) };
}

/** The same of a share, its margin in hundredths. */
export function aboutShare(estimate) {
  const value = share(estimate.value, 1);
  if (isExact(estimate)) return { value };
  if (estimate.value === 0) return { value: `up to ${share(estimate.high, 1)}` };
  return { value, margin: fine(100 * halfOf(estimate)) };
}
