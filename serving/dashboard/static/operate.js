// What operators do. Each says why, where that is kept, and the server writes it down.
const outcome = document.getElementById("outcome");

const of = (name, path) => `/api/v1/definitions/${encodeURIComponent(name)}/${path}`;

async function send(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return [answer.ok, await answer.json()];
}

/** Reload where it was done, else say why it wasn't. */
async function act(url, body) {
  const [done, told] = await send(url, body);
  if (done) location.reload();
  else outcome.textContent = told.detail;
}

/** By the attribute of a button: what is asked first, and what is sent then. */
const ACTIONS = {
  rollBack: [(it) => `Serve publication ${it} again. Why?`, (it, note) => ["roll-back", { publication: Number(it), note }]],
  drop: [(it) => `Give ${it} up. Why?`, (it, note) => ["dead-letters/drop", { letters: [it], note }]],
  acknowledge: [() => "What is known of it?", (it, note) => [`alerts/${it}/acknowledge`, { note }]],
  endSilence: [null, (it) => [`silences/${it}/end`, {}]],
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-name]");
  if (!button) return;
  const { name, replay: letter } = button.dataset;
  if (letter) return replay(name, letter, button);
  const found = Object.entries(ACTIONS).find(([attribute]) => attribute in button.dataset);
  if (!found) return;
  const [attribute, [question, body]] = found;
  const note = question ? prompt(question(button.dataset[attribute])) : "";
  if (note === null || (question && attribute !== "acknowledge" && !note)) return;
  const [path, sent] = body(button.dataset[attribute], note);
  act(of(name, path), sent);
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-silence]");
  if (!form) return;
  event.preventDefault();
  const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  act(of(form.dataset.silence, "silences"), given);
});

// What the command says stays on the page: a message is counted only once a live run has taken it in.
async function replay(name, letter, button) {
  button.disabled = true;
  outcome.textContent = `${letter} is being replayed …`;
  const [done, told] = await send(of(name, "dead-letters/replay"), { letters: [letter] });
  outcome.textContent = done ? told.said.join(" · ") : told.detail;
  button.disabled = false;
}
