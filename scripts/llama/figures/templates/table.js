"use strict";
// Sorts a table by its column headings, and hides rows that do not fit the filter.
(() => {
  const table = document.getElementById("events");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const told = document.getElementById("events-told");
  const words = document.getElementById("filter-words");
  const kind = document.getElementById("filter-kind");
  const value = (row, column) => {
    const cell = row.cells[column];
    return "sort" in cell.dataset ? Number(cell.dataset.sort || NaN) : cell.textContent.trim().toLowerCase();
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0);
  const missing = (x) => x === "" || Number.isNaN(x);
  const sort = (heading) => {
    const up = heading.getAttribute("aria-sort") !== "ascending";
    const column = heading.cellIndex;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    rows.sort((one, other) => {
      const a = value(one, column), b = value(other, column);
      if (missing(a) || missing(b)) return missing(a) - missing(b); // nothing comes last
      return up ? compare(a, b) : compare(b, a);
    });
    body.append(...rows);
    told.textContent = `Sorted by ${heading.textContent.trim()}, ${up ? "ascending" : "descending"}.`;
  };
  const filter = () => {
    const wanted = words.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = wanted.every((word) => text.includes(word)) &&
        (!kind?.value || row.dataset.marks.split(",").includes(kind.value));
      row.hidden = !fits;
      shown += fits;
    }
    told.textContent = `${shown} of ${rows.length} events shown.`;
  };
  for (const heading of table.tHead.rows[0].cells) {
    heading.querySelector("button")?.addEventListener("click", () => sort(heading));
  }
  words.addEventListener("input", filter);
  kind?.addEventListener("change", filter);
  document.getElementById("filters").hidden = false;
  const made = document.getElementById("made");
  if (!made) return;
  const age = () => {
    const minutes = Math.floor((Date.now() - Date.parse(made.dateTime)) / 60000);
    const old = document.getElementById("age");
    old.textContent = minutes < 2 ? "just now" : minutes < 120 ? `${minutes} min ago`
      : `${Math.floor(minutes / 60)} h ago: for the present state run llama status`;
    old.classList.toggle("old", minutes >= 120);
  };
  age();
  setInterval(age, 30000);
})();
