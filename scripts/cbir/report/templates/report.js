// Clicking a heading sorts its table. Without scripts, tables keep their order.
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
      // The first click sorts numbers from the largest, names alphabetically.
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

// Opens the target of a link and everything that it is folded into. A link to errors filters the others out.
const errors = document.querySelector("#errors");
const go = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (errors && errors !== target && errors.contains(target)) choose(target);
  for (let fold = target.querySelector(":scope > .fold") ?? target; fold; fold = fold.parentElement) {
    if (fold.localName === "details") fold.open = true;
  }
  target.scrollIntoView();
};
addEventListener("hashchange", go);
// Clicking the same link again fires no hashchange event.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  if (link && link.hash === location.hash) go();
});

// Filters the errors by method, true category and predicted category.
const filters = errors?.querySelector(".filters");
const set = (name, value) => {
  const select = filters.querySelector(`[name=${name}]`);
  if (select) select.value = value;
};
const filter = () => {
  const wanted = Object.fromEntries([...filters.querySelectorAll("select")].map((select) => [select.name, select.value]));
  const fits = (name, value) => !wanted[name] || wanted[name] === value;
  let shown = 0;
  for (const list of errors.querySelectorAll(".errors")) {
    let some = false;
    for (const category of list.querySelectorAll(".of-category")) {
      let any = false;
      for (const pair of category.children) {
        pair.hidden = !(fits("method", list.dataset.method) && fits("category", pair.dataset.category) && fits("taken", pair.dataset.taken));
        if (!pair.hidden) {
          any = some = true;
          shown += pair.querySelectorAll(".error").length;
        }
      }
      category.hidden = !any;
    }
    const fold = list.closest(".method");
    if (fold) {
      fold.hidden = !fits("method", list.dataset.method);
      if (wanted.method && some) fold.open = true;
    }
  }
  filters.querySelector("output").textContent = `${shown.toLocaleString("en")} shown`;
};
const choose = (target) => {
  const { method } = target.closest(".errors").dataset;
  set("method", method);
  set("category", target.dataset.category ?? "");
  set("taken", target.dataset.taken ?? "");
  filter();
};
if (filters) {
  filters.hidden = false;
  filters.addEventListener("change", filter);
  filters.querySelector("button").addEventListener("click", () => {
    for (const select of filters.querySelectorAll("select")) select.value = "";
    filter();
  });
  filter();
}

// Shows the picture of the point under the pointer on a map. A click on a misclassified query leads to its errors.
for (const map of document.querySelectorAll(".map")) {
  const hint = document.createElement("div");
  hint.className = "hint";
  hint.hidden = true;
  hint.append(document.createElement("span"), document.createElement("span"));
  map.append(hint);
  for (const point of map.querySelectorAll("[data-picture]")) {
    const title = point.querySelector("title");
    point.dataset.text = title.textContent;
    title.remove();
  }
  map.addEventListener("pointerover", (event) => {
    const point = event.target.closest("[data-picture]");
    hint.hidden = !point;
    if (!point) return;
    hint.firstChild.className = `picture ${point.dataset.picture}`;
    hint.lastChild.textContent = point.dataset.text;
    const [frame, spot] = [map.getBoundingClientRect(), point.getBoundingClientRect()];
    const left = spot.right - frame.left + 8;
    hint.style.left = `${left + hint.offsetWidth > frame.width ? Math.max(0, spot.left - frame.left - hint.offsetWidth - 8) : left}px`;
    hint.style.top = `${Math.max(0, Math.min(spot.top - frame.top, frame.height - hint.offsetHeight))}px`;
  });
  map.addEventListener("pointerleave", () => (hint.hidden = true));
  map.addEventListener("click", (event) => {
    const point = event.target.closest("[data-to]");
    if (point) location.hash = point.dataset.to;
  });
}
for (const entry of document.querySelectorAll(".legend .entry")) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  entry.replaceWith(button);
  button.append(entry);
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    const chosen = new Set([...document.querySelectorAll(".legend [aria-pressed=true]")].map((one) => one.textContent));
    for (const map of document.querySelectorAll(".map")) {
      map.classList.toggle("some", chosen.size > 0);
      for (const group of map.querySelectorAll("[data-category]")) group.classList.toggle("chosen", chosen.has(group.dataset.category));
    }
  });
}

// Marks the section in view in the table of contents, which is folded at first on a narrow screen.
const contents = document.querySelector(".contents details");
const narrow = matchMedia("(max-width: 75.99rem)");
const fit = () => (contents.open = !narrow.matches);
narrow.addEventListener("change", fit);
fit();
contents.addEventListener("click", (event) => {
  if (narrow.matches && event.target.closest("a")) contents.open = false;
});
const links = new Map([...contents.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      for (const [name, link] of links) {
        if (name === entry.target.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    }
  },
  { rootMargin: "-10% 0px -80% 0px" },
);
document.querySelectorAll("main > section").forEach((section) => watcher.observe(section));
if (location.hash) go();

// Unfolds everything but the errors for printing.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open], .error)")];
  folded.forEach((details) => (details.open = true));
});
addEventListener("afterprint", () => folded.forEach((details) => (details.open = false)));
