// A definition's page: charts, the step that is chosen (in the URL, too), and the search for keys.
import { Charts } from "./charts.js";
import { explain } from "./explain.js";

const source = document.getElementById("view");

if (source) {
  const view = JSON.parse(source.textContent);
  const choose = (point) => {
    const url = new URL(location.href);
    url.searchParams.set("point", point.start);
    history.replaceState(null, "", url);
    explain(view, point);
  };
  const start = new URLSearchParams(location.search).get("point");
  const at = view.series.points.findIndex((point) => Date.parse(point.start) === Date.parse(start));
  const charts = new Charts(view, choose, at >= 0 ? at : null);
  if (at >= 0) explain(view, view.series.points[at], { focus: false });
  const keys = { ArrowLeft: () => charts.move(-1), ArrowRight: () => charts.move(1), Enter: () => charts.choose(charts.upper.cursor.idx) };
  document.getElementById("chart").addEventListener("keydown", (event) => {
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  setInterval(() => follow(view, charts), 5000);
}

// While the page is looked at its numbers are asked for again; the browser sends the tag, and mostly nothing comes back.
let tag = null;

async function follow(view, charts) {
  if (document.hidden) return;
  const told = document.getElementById("refreshed");
  const given = Object.entries(view.asked).filter(([, value]) => value);
  try {
    const answer = await fetch(`/api/v1/definitions/${encodeURIComponent(view.name)}/series?${new URLSearchParams(given)}`);
    if (!answer.ok) throw new Error(answer.statusText);
    told.textContent = "";
    const known = tag;
    tag = answer.headers.get("etag");
    if (known === null || known === tag) return;
    const page = new DOMParser().parseFromString(await (await fetch(location.href, { headers: { accept: "text/html" } })).text(), "text/html");
    const fresh = JSON.parse(page.getElementById("view").textContent);
    charts.update(fresh);
    for (const part of document.querySelectorAll("[data-fresh]")) {
      const other = page.querySelector(`[data-fresh="${part.dataset.fresh}"]`);
      if (other && !part.contains(document.activeElement)) part.replaceWith(other);
    }
  } catch {
    told.textContent = "The server doesn't answer; what is shown may be old.";
  }
}

const input = document.querySelector('input[name="key"]');
if (input) {
  const list = document.getElementById("keys");
  const name = location.pathname.split("/")[2];
  let wait;
  input.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(async () => {
      const text = input.value.trim();
      if (!text || text.startsWith("[")) return;
      const answer = await fetch(`/api/v1/definitions/${name}/keys?${new URLSearchParams({ text, limit: 20 })}`);
      if (!answer.ok) return;
      const found = await answer.json();
      list.replaceChildren(...found.keys.map((key) => {
        const option = document.createElement("option");
        option.value = JSON.stringify(Object.values(key));
        option.textContent = Object.values(key).join(", ");
        return option;
      }));
    }, 200);
  });
}
