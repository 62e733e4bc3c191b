// A page that shows how things are is fetched again every few seconds, and its part put in place of the old one.
const EVERY = 5000;
const told = document.getElementById("refreshed");

async function refresh() {
  if (document.hidden || document.querySelector("[data-refresh] :focus")) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-refresh]");
    if (fresh) document.querySelector("[data-refresh]").replaceWith(fresh);
    told.textContent = "";
  } catch {
    told.textContent = "The server doesn't answer; what is shown may be old.";
  }
}

setInterval(refresh, EVERY);
