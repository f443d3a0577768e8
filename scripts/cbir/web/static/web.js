// The server renders every state of the search page at an address of its own. This script follows its links and sends its
// forms without loading a new page, shows pictures large in place, and adds keys, dropping, pasting and undoing. Without
// it everything but those works.

const main = document.getElementById("main");
const status = document.getElementById("status");
const large = document.getElementById("large");
document.documentElement.classList.add("scripts");
let waiting = 0;
// Addresses before each flag of the ranking that is shown.
let undos = [];

// One after the other: each click acts upon what the one before made.
let last = Promise.resolve();
const act = (work) => (last = last.then(work).catch(() => say("The server does not answer: is it still running?", true)));

// To a screen reader; what hinders everybody is shown too.
function say(text, shown = false) {
  status.textContent = text;
  status.classList.toggle("unseen", !shown);
}

const parse = async (response) => new DOMParser().parseFromString(await response.text(), "text/html");

// Shows the answer to a request. `history` is "push", "replace" or nothing, when the address already changed. Returns
// whether the results were made anew meanwhile.
async function show(response, history) {
  const page = await parse(response);
  const fresh = page.getElementById("main");
  const anew = response.ok && main.dataset.version && fresh.dataset.version !== main.dataset.version;
  const flags = fresh.dataset.view === main.dataset.view && main.querySelector("#results") && response.ok && !anew;
  clearTimeout(waiting);
  document.title = page.title;
  if (response.ok && history) window.history[`${history}State`](null, "", response.url);
  if (flags) {
    patch(fresh);
  } else {
    undos = [];
    large.close();
    swap(fresh, Boolean(history));
  }
  offerUndo();
  if (anew) say("The results were made anew. This page shows the new ones.");
  wait();
  return anew;
}

function wait() {
  if ("wait" in main.dataset) waiting = setTimeout(() => act(() => go(location.href, "replace")), 700);
}

async function go(address, history) {
  return show(await fetch(address), history);
}

function adopt(fresh) {
  for (const { name } of [...main.attributes]) if (name.startsWith("data-")) main.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (name.startsWith("data-")) main.setAttribute(name, value);
}

function swap(fresh, up) {
  const focused = document.activeElement?.id;
  const waits = "wait" in main.dataset && "wait" in fresh.dataset && main.querySelector("#stage");
  const open = main.querySelector("#controls")?.open;
  adopt(fresh);
  say(main.dataset.said);
  if (waits) {
    main.querySelector("#stage").replaceWith(fresh.querySelector("#stage"));
    return;
  }
  main.replaceChildren(...fresh.childNodes);
  if (open && main.querySelector("#controls")) main.querySelector("#controls").open = true;
  const kept = main.querySelector("[aria-invalid]") ?? (focused && document.getElementById(focused));
  (kept || main.querySelector("h2[tabindex], h1[tabindex]") || main).focus({ preventScroll: true });
  if (kept) kept.scrollIntoView({ block: "nearest", behavior: "instant" });
  else if (up) scrollTo({ top: 0, behavior: "instant" });
}

// Within one ranking only flags change: the results stay where they are, with their focus.
function patch(fresh) {
  for (const now of fresh.querySelectorAll(".result, .flag, .zoom, #save-form")) {
    const old = document.getElementById(now.id);
    for (const { name, value } of now.attributes) old.setAttribute(name, value);
    if (!now.hasAttribute("title")) old.removeAttribute("title");
  }
  for (const now of fresh.querySelectorAll("[data-part]")) document.getElementById(now.id).replaceWith(now);
}

function press(flag) {
  const id = flag.id;
  act(async () => {
    const before = location.href;
    if (await go(document.getElementById(id).href, "replace")) return;
    if (location.href !== before) undos.push(before);
    offerUndo();
    const card = document.getElementById(id).closest(".result");
    say(`${card.getAttribute("aria-label")}. ${document.getElementById("bar").dataset.said}`);
    if (large.open) large.dataset.verdict = card.classList.contains("relevant") ? "relevant" : card.classList.contains("irrelevant") ? "irrelevant" : "";
  });
}

function offerUndo() {
  const link = document.getElementById("undo");
  if (link) link.hidden = !undos.length;
}

function undo() {
  act(async () => {
    if (!undos.length) return;
    await go(undos.pop(), "replace");
    say(`Undone. ${document.getElementById("bar").dataset.said}`);
  });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap], a[data-look], #undo");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.id === "undo") undo();
  else if (link.dataset.flag) press(link);
  else if ("look" in link.dataset) enlarge(link.id);
  // Looked up again when its turn comes: a flag before it changes where it leads.
  else act(() => go(((link.id && document.getElementById(link.id)) || link).href, "push"));
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-swap]");
  if (!form) return;
  event.preventDefault();
  // With the button that was pressed: it may say what is to be done.
  const data = new FormData(form, event.submitter);
  // Attributes, because a field of the form takes the place of the form's property of the same name: form.method is the
  // field "method" where there is one.
  const [method, action, most] = ["method", "action", "data-most"].map((name) => form.getAttribute(name));
  if (method === "get") {
    for (const [name, value] of [...data]) if (!value) data.delete(name);
    act(() => go(`${action}?${new URLSearchParams(data)}`, "push"));
    return;
  }
  const size = data.getAll("image").reduce((sum, file) => sum + file.size, 0);
  if (most && size > most) {
    refuse(`The file is larger than ${most / 1e6} MB: choose a smaller one.`);
    return;
  }
  if (size) say("The image is being sent.");
  act(async () => {
    const response = await fetch(action, { method: "POST", body: data });
    // What is decided on a large picture leaves it open.
    if (large.contains(form) && response.ok) large.querySelector("#look").replaceWith((await parse(response)).getElementById("look"));
    else await show(response, "push");
  });
});

// A choice among filters needs no further click.
document.addEventListener("change", (event) => event.target.matches("#filters select, #filters input") && event.target.form.requestSubmit());

function refuse(text) {
  const error = document.getElementById("upload-error");
  error.textContent = text;
  error.hidden = false;
  document.getElementById("image").setAttribute("aria-invalid", "true");
}

addEventListener("popstate", () => act(() => go(location.href)));

// A large view in place; `id` is that of the link of the picture.
function enlarge(id) {
  act(async () => {
    const response = await fetch(document.getElementById(id).href);
    const article = (await parse(response)).getElementById("look");
    if (!article) return show(response, "push");
    const card = document.getElementById(id).closest(".result");
    large.dataset.from = id;
    large.dataset.verdict = card ? ["relevant", "irrelevant"].find((verdict) => card.classList.contains(verdict)) ?? "" : "";
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.textContent = "Close";
    close.addEventListener("click", () => large.close());
    const keys = document.createElement("p");
    keys.className = "note";
    keys.textContent = card ? "Keys: ← → another result, R relevant, I irrelevant, Esc close." : "Esc closes.";
    large.replaceChildren(close, article);
    article.querySelector(".beside").append(keys);
    if (!large.open) large.showModal();
    close.focus();
    say(large.querySelector("h1").textContent);
  });
}

large.addEventListener("close", () => document.getElementById(large.dataset.from)?.focus());
// A click beside the picture closes it; the end of a box that was dragged beyond the picture does not.
let pressed;
large.addEventListener("pointerdown", (event) => (pressed = event.target));
large.addEventListener("click", (event) => event.target === large && pressed === large && large.close());

// A box dragged on the large picture fills in the four numbers of its form.
document.addEventListener("pointerdown", (event) => {
  const picture = event.target.closest?.("#whole");
  const form = picture?.closest(".look").querySelector(".part");
  if (!form || event.button) return;
  event.preventDefault();
  // The picture is centred in its element.
  const around = picture.getBoundingClientRect();
  const scale = Math.min(around.width / picture.naturalWidth, around.height / picture.naturalHeight);
  const [across, down] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
  const [edge, top] = [(around.width - across) / 2, (around.height - down) / 2];
  const box = picture.parentElement.querySelector(".box") ?? picture.parentElement.appendChild(Object.assign(document.createElement("span"), { className: "box" }));
  const share = (length, whole) => Math.min(Math.max((100 * length) / whole, 0), 100);
  const at = (moved) => [share(moved.clientX - around.left - edge, across), share(moved.clientY - around.top - top, down)];
  const [x, y] = at(event);
  const draw = (moved) => {
    const [right, bottom] = at(moved);
    const sides = { left: Math.min(x, right), top: Math.min(y, bottom), width: Math.abs(right - x), height: Math.abs(bottom - y) };
    if (sides.width < 1 || sides.height < 1) return;
    for (const [name, value] of Object.entries(sides)) form.elements[name].value = value.toFixed(1);
    box.style.left = `${edge + (sides.left * across) / 100}px`;
    box.style.top = `${top + (sides.top * down) / 100}px`;
    box.style.width = `${(sides.width * across) / 100}px`;
    box.style.height = `${(sides.height * down) / 100}px`;
  };
  const end = () => {
    document.removeEventListener("pointermove", draw);
    form.querySelector("button").focus();
  };
  document.addEventListener("pointermove", draw);
  document.addEventListener("pointerup", end, { once: true });
});

// Keys act only while a result has the focus or is shown large, so that they take none from the browser or a screen
// reader.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.("input, select, textarea");
  const shown = large.open && !typing && document.getElementById(large.dataset.from);
  const card = (shown || event.target).closest?.(".result");
  if (!card) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const flag = (verdict) => card.querySelector(`[data-flag=${verdict}]`);
  const follow = (...ids) =>
    act(() => {
      const link = ids.map((id) => document.getElementById(id)).find(Boolean);
      return link && go(link.href, "push");
    });
  const move = (by) => {
    const cards = [...card.parentElement.children];
    const other = cards[cards.indexOf(card) + by];
    if (shown) {
      if (other) enlarge(other.querySelector(".zoom").id);
      return;
    }
    const kind = event.target.dataset.flag ?? "relevant";
    other?.querySelector(`[data-flag=${kind}]`).focus();
  };
  const columns = () => [...card.parentElement.children].filter((other) => other.offsetTop === card.parentElement.firstElementChild.offsetTop).length;
  const actions = {
    r: () => press(flag("relevant")),
    i: () => press(flag("irrelevant")),
    u: () => undo(),
    ArrowRight: () => move(1),
    ArrowLeft: () => move(-1),
  };
  if (!shown)
    Object.assign(actions, {
      l: () => enlarge(card.querySelector(".zoom").id),
      n: () => follow("next", "forward"),
      b: () => follow("back"),
      f: () => follow("forward"),
      ArrowDown: () => move(columns()),
      ArrowUp: () => move(-columns()),
    });
  // A link that acts as a button must also take the space bar.
  if (event.target.dataset?.flag) actions[" "] = () => press(event.target);
  if (!actions[key]) return;
  event.preventDefault();
  actions[key]();
});

// Files may be dropped anywhere, and pasted.
const form = () => document.getElementById("upload");
const carriesFile = (event) => form() && [...(event.dataTransfer?.types ?? [])].includes("Files");
function send(files) {
  document.getElementById("image").files = files;
  form().requestSubmit();
}
addEventListener("dragover", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (!carriesFile(event)) return;
  event.preventDefault();
  send(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  const images = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (!form() || !images.length) return;
  event.preventDefault();
  const transfer = new DataTransfer();
  for (const file of images) transfer.items.add(file);
  send(transfer.files);
});

// Pictures of the page at hand cannot be dragged away as files while a box is drawn.
document.addEventListener("dragstart", (event) => event.target.id === "whole" && event.preventDefault());

wait();
