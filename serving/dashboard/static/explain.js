// What a step is made of: batch runs and live generations, in words, and the messages themselves.
import { element, number, shortTime } from "./dom.js";

const place = document.getElementById("explained");

async function asked(name, path, parameters) {
  const answer = await fetch(`/api/v1/definitions/${encodeURIComponent(name)}/${path}?${new URLSearchParams(parameters)}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

const row = (head, ...cells) => element("tr", {}, element("th", { scope: "row" }, head), cells.map((cell) => element("td", { class: "number" }, cell)));

function parts(found, result) {
  const rows = [
    ...found.batch.map((each) => row(element("span", {}, element("i", { class: "batch" }), "batch ", element("code", {}, each.run)),
      number(each.events), number(each.results[result]), each.receipt ? `repair, receipt ${each.receipt}` : shortTime(each.created_at))),
    ...found.live.map((each) => row(element("span", {}, element("i", { class: "live" }), "live ", `generation ${each.generation}`),
      number(each.events), number(each.results[result]), "")),
  ];
  if (!rows.length) return element("p", { class: "none" }, "No event is counted here.");
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Parts" }, element("table", {},
    element("thead", {}, element("tr", {}, ["Part", "Events", result, "Written"].map((text, at) => element("th", { scope: "col", class: at && "number" }, text)))),
    element("tbody", {}, rows)));
}

function sentences(found) {
  return element("details", {}, element("summary", {}, "In words"),
    element("dl", { class: "words" }, found.sentences.map(({ word, text }) => element("div", {}, element("dt", {}, word), element("dd", {}, text)))));
}

function message(each) {
  return element("li", {},
    element("div", {}, element("span", { class: `pill ${each.fate === "batch" || each.fate === "live" ? each.fate : "attention"}` }, each.fate),
      ` ${shortTime(each.event_time)} `, element("code", {}, each.position)),
    element("pre", { tabindex: "0" }, each.payload ?? each.payload_hex));
}

function messages(view, span) {
  const list = element("ol", { class: "messages" });
  const more = element("button", { type: "button" }, "Show the messages");
  let after = null;
  more.addEventListener("click", async () => {
    more.disabled = true;
    try {
      const page = await asked(view.name, "messages", { ...span, limit: 20, ...(after ? { after } : {}) });
      list.append(...page.messages.map(message));
      if (!after && page.files.length) list.append(element("li", { class: "none" }, `Events of these tiles also lie in ${page.files.join(", ")}.`));
      if (!list.children.length) list.append(element("li", { class: "none" }, "The journal has none."));
      after = page.next;
      more.textContent = "Show more";
      more.hidden = !after;
    } catch (error) {
      list.append(element("li", { class: "problem" }, error.message));
    }
    more.disabled = false;
  });
  return element("div", {}, list, more);
}

export async function explain(view, point, { focus = true } = {}) {
  const span = { ...(view.asked.key ? { key: view.asked.key } : {}), from: point.start, to: point.end };
  place.hidden = false;
  place.replaceChildren(element("p", { class: "none" }, "…"));
  try {
    const found = await asked(view.name, "explanation", span);
    const { certificate } = found;
    place.replaceChildren(
      element("header", {},
        element("h2", {}, `${view.result} ${number(found.results[view.result])} `, element("small", {}, `${shortTime(point.start)} to ${shortTime(point.end)}`)),
        element("span", { class: `pill status ${certificate.status.toLowerCase()}` }, certificate.status)),
      element("ul", { class: "reasons" }, certificate.reasons.map((reason) => element("li", {}, reason))),
      parts(found, view.result), sentences(found), messages(view, span));
  } catch (error) {
    place.replaceChildren(element("p", { class: "problem", role: "alert" }, error.message));
  }
  if (focus) place.focus({ preventScroll: false });
}
