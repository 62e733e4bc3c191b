// What operators may do; each asks why, and the server writes it down.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-roll-back], [data-drop], [data-replay]");
  if (!button) return;
  const { name, rollBack, drop, replay: again } = button.dataset;
  const outcome = document.getElementById("outcome");
  if (again) return replay(name, again, button, outcome);
  const what = rollBack ? `Serve publication ${rollBack} again` : `Give ${drop} up`;
  const note = prompt(`${what}. Why?`);
  if (!note) return;
  const [path, body] = rollBack
    ? ["roll-back", { publication: Number(rollBack), note }]
    : ["dead-letters/drop", { letters: [drop], note }];
  const answer = await fetch(`/api/v1/definitions/${encodeURIComponent(name)}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.ok) location.reload();
  else outcome.textContent = (await answer.json()).detail;
});

// What the command says stays on the page: a message is counted only once a live run has taken it in.
async function replay(name, letter, button, outcome) {
  button.disabled = true;
  outcome.textContent = `${letter} is being replayed …`;
  const answer = await fetch(`/api/v1/definitions/${encodeURIComponent(name)}/dead-letters/replay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ letters: [letter] }),
  });
  const told = await answer.json();
  outcome.textContent = answer.ok ? told.said.join(" · ") : told.detail;
  button.disabled = false;
}
