// The server renders every state of the search page at its own address. This script follows links and submits forms
// without loading a new page, shows large pictures in a dialog, and adds keyboard shortcuts, drag and drop, pasting and
// undo. Everything else works without it.

const main = document.getElementById("main");
const status = document.getElementById("status");
const large = document.getElementById("large");
document.documentElement.classList.add("scripts");
let waiting = 0;
// The addresses before each flag of the current ranking, for undo.
let undos = [];

// Runs actions one after another, because each click acts on the page that the one before has produced.
let last = Promise.resolve();
const act = (work) => (last = last.then(work).catch(() => say("The server does not answer: is it still running?", true)));

// Announces a text to screen readers; if `shown`, also to everybody else.
function say(text, shown = false) {
  status.textContent = text;
  status.classList.toggle("unseen", !shown);
}

const parse = async (response) => new DOMParser().parseFromString(await response.text(), "text/html");

// Shows the response to a request. `history` is "push" or "replace", or undefined if the address has already changed.
// Returns whether a run has replaced the results since the last response.
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
  if (anew) say("A run replaced the results. This page shows the new ones.");
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

// Updates a page whose ranking is the same: only flags have changed, so the results keep their elements and the focus.
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
  // The link is looked up when the action runs, because an earlier action may have changed its address.
  else act(() => go(((link.id && document.getElementById(link.id)) || link).href, "push"));
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-swap]");
  if (!form) return;
  event.preventDefault();
  // Includes the pressed button, whose value may be the action.
  const data = new FormData(form, event.submitter);
  // Read as attributes, because a form field hides the form's property of the same name, such as form.method.
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
  if (size) say("The image is being uploaded.");
  act(async () => {
    const response = await fetch(action, { method: "POST", body: data });
    // A decision in the large view keeps it open.
    if (large.contains(form) && response.ok) large.querySelector("#look").replaceWith((await parse(response)).getElementById("look"));
    else await show(response, "push");
  });
});

// Choosing a filter submits the form.
document.addEventListener("change", (event) => event.target.matches("#filters select, #filters input") && event.target.form.requestSubmit());

function refuse(text) {
  const error = document.getElementById("upload-error");
  error.textContent = text;
  error.hidden = false;
  document.getElementById("image").setAttribute("aria-invalid", "true");
}

addEventListener("popstate", () => act(() => go(location.href)));

// Opens the large view; `id` is that of the picture's link.
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
// A click beside the picture closes the large view, but not if a box was dragged to there.
let pressed;
large.addEventListener("pointerdown", (event) => (pressed = event.target));
large.addEventListener("click", (event) => event.target === large && pressed === large && large.close());

// Dragging a box on the large picture fills in the four numbers of its form.
document.addEventListener("pointerdown", (event) => {
  const picture = event.target.closest?.("#whole");
  const form = picture?.closest(".look").querySelector(".part");
  if (!form || event.button) return;
  event.preventDefault();
  // object-fit centres the picture in its element, so it may be smaller than the element.
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

// Keyboard shortcuts work only while a result has the focus or is shown large, so that they do not interfere with those
// of browsers and screen readers.
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
  // A link with the role of a button must react to the space bar.
  if (event.target.dataset?.flag) actions[" "] = () => press(event.target);
  if (!actions[key]) return;
  event.preventDefault();
  actions[key]();
});

// Files may be dropped anywhere on the page, or pasted.
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

// Keeps the browser from dragging the picture itself while a box is drawn on it.
document.addEventListener("dragstart", (event) => event.target.id === "whole" && event.preventDefault());

wait();
