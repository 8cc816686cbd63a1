/** Which colour a country has: its own, whatever its rank. Of two with the same that are shown, one gives way. */

/** The others together, by name and by colour. */
export const OTHERS = "others";
const COLOURS = 7;
const COLOUR_OF_OTHERS = 8;

/** What each country had when it was last shown: it stays. */
const given = new Map();

/** For each country (null: the others) the number of its colour in page.css. */
export function coloursOf(countries) {
  const taken = new Set();
  const found = new Map([[null, COLOUR_OF_OTHERS]]);
  // In the order of the alphabet, so that it depends on who is shown and not on who leads.
  for (const country of countries.filter(Boolean).sort()) {
    let colour = given.get(country) ?? own(country);
    while (taken.has(colour)) colour = (colour % COLOURS) + 1;
    taken.add(colour);
    found.set(country, colour);
    given.set(country, colour);
  }
  return found;
}

const own = (country) => ((country.charCodeAt(0) * 26 + country.charCodeAt(1)) % COLOURS) + 1;
