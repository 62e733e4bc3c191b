// What operators may do; each asks why, and the server writes it down.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-roll-back], [data-drop]");
  if (!button) return;
  const { name, rollBack, drop } = button.dataset;
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
  else document.getElementById("outcome").textContent = (await answer.json()).detail;
});
