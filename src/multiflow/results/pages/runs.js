/* Every run: a row per class and experiment opens into its seeds, a seed into its JSON. */

const DataTable = await library();
const data = JSON.parse(await unpack("data"));
const names = data.metrics;

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/* A button that says whether what it shows is open. */
function toggle(button, show) {
  const open = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", open);
  show(open);
}

/* The JSON as it lies in the run's folder. */
function record(run) {
  const provenance = {};
  for (const [key, index] of Object.entries(run.record.provenance)) provenance[key] = data.pools[key][index];
  return { ...run.record, provenance };
}

function percent(value) {
  return typeof value === "number" ? (100 * value).toFixed(2) : "-";
}

/* A seed's numbers, under those of its class, and its JSON below, hidden at first. */
function seedRows(run) {
  const whole = record(run);
  const line = element("tr", null, { class: "seed" });
  const button = element("button", `seed ${whole.seed}`, { type: "button", "aria-expanded": "false" });
  const heading = element("th", null, { scope: "row" });
  heading.append(button);
  line.append(heading, element("td", null, { colspan: 2 }));
  for (const name of names) line.append(element("td", percent(whole.metrics[name]), { class: "number" }));
  const below = element("tr", null, { class: "json" });
  const cell = element("td", null, { colspan: names.length + 3 });
  cell.append(element("code", run.source), element("pre", JSON.stringify(whole, null, 2)));
  below.append(cell);
  below.hidden = true;
  button.addEventListener("click", () => toggle(button, (open) => (below.hidden = !open)));
  return [line, below];
}

document.querySelector("#table tbody").innerHTML = data.body;
const table = new DataTable("#table", OPTIONS);

for (const button of document.querySelectorAll("#table tbody th button")) {
  const line = button.closest("tr");
  const index = Number(line.dataset.row);
  button.addEventListener("click", () =>
    toggle(button, (open) => {
      const child = table.row(line).child;
      if (open) child(data.rows[index].flatMap(seedRows)).show();
      else child.hide();
    }),
  );
}
