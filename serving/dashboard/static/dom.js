// Elements from data. Texts are texts, whatever they hold: nothing is ever parsed as HTML.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child != null));
  return made;
}

export const number = (value) =>
  value == null
    ? "–"
    : typeof value === "number"
      ? value.toLocaleString("en", { maximumFractionDigits: Number.isInteger(value) ? 0 : 2 })
      : typeof value === "object"
        ? JSON.stringify(value)
        : String(value);

export const shortTime = (text) => (text ? text.replace("T", " ").replace(/\.\d+/, "").replace("Z", "") : "–");
