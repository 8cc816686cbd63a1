/** Making elements. Text goes in as text nodes only, so nothing that a player sent is ever read as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (false and null leave one out) and children: nodes or texts. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for a part of a drawing. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** Changes the text only when it differs: a screen reader speaks a live region whenever it is written. */
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** `make run` in a message as code, the rest as text. */
export function withCode(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
