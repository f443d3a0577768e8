// Tables can be sorted by their headings; without scripts they stay as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if ("plain" in heading.dataset) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const number = heading.classList.contains("number");
      // The first click shows the largest numbers, or the names in order.
      const ascending = heading.getAttribute("aria-sort") === "descending" || (!number && !heading.hasAttribute("aria-sort"));
      const value = (row) => {
        const cell = row.cells[column];
        return number ? Number(cell.dataset.value ?? cell.textContent.replace(/[^0-9.-]/g, "")) : cell.textContent;
      };
      const order = (a, b) => (number ? value(a) - value(b) : value(a).localeCompare(value(b), undefined, { numeric: true }));
      const rows = [...table.tBodies[0].rows].sort((a, b) => (ascending ? order(a, b) : order(b, a)));
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    });
  });
}

// A printed report shows what is folded on the screen.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((details) => (details.open = true));
});
addEventListener("afterprint", () => folded.forEach((details) => (details.open = false)));
