// The server renders every state of the search page at an address of its own. This script follows its links and sends its
// forms without loading a new page, and adds keys and dropping of files. Without it everything but those works.

const main = document.getElementById("main");
const status = document.getElementById("status");
let waiting = 0;

// One after the other: each click acts upon what the one before made.
let last = Promise.resolve();
const act = (work) => (last = last.then(work).catch(() => say("The server does not answer: is it still running?", true)));

// To a screen reader; what hinders everybody is shown too.
function say(text, shown = false) {
  status.textContent = text;
  status.classList.toggle("unseen", !shown);
}

// Shows the answer to a request. `history` is "push", "replace" or nothing, when the address already changed.
async function show(response, history) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("main");
  const flags = fresh.dataset.view === main.dataset.view && main.querySelector("#results") && response.ok;
  clearTimeout(waiting);
  document.title = page.title;
  if (response.ok && history) window.history[`${history}State`](null, "", response.url);
  if (flags) patch(fresh);
  else swap(fresh, Boolean(history));
  if ("wait" in main.dataset) waiting = setTimeout(() => act(() => go(location.href, "replace")), 700);
}

async function go(address, history) {
  await show(await fetch(address), history);
}

function adopt(fresh) {
  for (const { name } of [...main.attributes]) if (name.startsWith("data-")) main.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (name.startsWith("data-")) main.setAttribute(name, value);
}

function swap(fresh, up) {
  const focused = document.activeElement?.id;
  const waits = "wait" in main.dataset && "wait" in fresh.dataset;
  adopt(fresh);
  say(main.dataset.said);
  if (waits) {
    main.querySelector("#stage").replaceWith(fresh.querySelector("#stage"));
    return;
  }
  main.replaceChildren(...fresh.childNodes);
  const kept = main.querySelector("[aria-invalid]") ?? (focused && document.getElementById(focused));
  (kept || main.querySelector("h2[tabindex], h1[tabindex]") || main).focus({ preventScroll: true });
  if (kept) kept.scrollIntoView({ block: "nearest" });
  else if (up) scrollTo(0, 0);
}

// Within one ranking only flags change: the results stay where they are, with their focus.
function patch(fresh) {
  for (const now of fresh.querySelectorAll(".result, .flag, #save-form")) {
    const old = document.getElementById(now.id);
    for (const { name, value } of now.attributes) old.setAttribute(name, value);
    if (!now.hasAttribute("title")) old.removeAttribute("title");
  }
  for (const now of fresh.querySelectorAll("[data-part]")) document.getElementById(now.id).replaceWith(now);
}

function press(flag) {
  const id = flag.id;
  act(async () => {
    await go(document.getElementById(id).href, "replace");
    const card = document.getElementById(id).closest(".result");
    say(`${card.getAttribute("aria-label")}. ${document.getElementById("bar").dataset.said}`);
  });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.dataset.flag) press(link);
  // Looked up again when its turn comes: a flag before it changes where it leads.
  else act(() => go((document.getElementById(link.id) ?? link).href, "push"));
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-swap]");
  if (!form) return;
  event.preventDefault();
  const data = new FormData(form);
  // Attributes, because a field of the form takes the place of the form's property of the same name: form.method is the
  // field "method" where there is one.
  const [method, action, most] = ["method", "action", "data-most"].map((name) => form.getAttribute(name));
  if (method === "get") {
    act(() => go(`${action}?${new URLSearchParams(data)}`, "push"));
    return;
  }
  const file = data.get("image");
  if (file && file.size > most) {
    refuse(`The file is larger than ${most / 1e6} MB: choose a smaller one.`);
    return;
  }
  if (file) say("The image is being sent.");
  act(async () => show(await fetch(action, { method: "POST", body: data }), "push"));
});

function refuse(text) {
  const error = document.getElementById("upload-error");
  error.textContent = text;
  error.hidden = false;
  document.getElementById("image").setAttribute("aria-invalid", "true");
}

addEventListener("popstate", () => act(() => go(location.href)));

// Keys act only while a result has the focus, so that they take none from the browser or a screen reader.
document.addEventListener("keydown", (event) => {
  const card = event.target.closest?.(".result");
  if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const flag = (verdict) => card.querySelector(`[data-flag=${verdict}]`);
  const follow = (...ids) =>
    act(() => {
      const link = ids.map((id) => document.getElementById(id)).find(Boolean);
      return link && go(link.href, "push");
    });
  const move = (by) => {
    const cards = [...card.parentElement.children];
    const kind = event.target.dataset.flag ?? "relevant";
    cards[cards.indexOf(card) + by]?.querySelector(`[data-flag=${kind}]`).focus();
  };
  const columns = () => [...card.parentElement.children].filter((other) => other.offsetTop === card.parentElement.firstElementChild.offsetTop).length;
  const actions = {
    r: () => press(flag("relevant")),
    i: () => press(flag("irrelevant")),
    n: () => follow("next", "forward"),
    b: () => follow("back"),
    f: () => follow("forward"),
    ArrowRight: () => move(1),
    ArrowLeft: () => move(-1),
    ArrowDown: () => move(columns()),
    ArrowUp: () => move(-columns()),
    // A link that acts as a button must also take the space bar.
    " ": () => event.target.dataset.flag && press(event.target),
  };
  if (!actions[key]) return;
  event.preventDefault();
  actions[key]();
});

// Files may be dropped anywhere.
const carriesFile = (event) => document.getElementById("upload") && [...(event.dataTransfer?.types ?? [])].includes("Files");
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
  document.getElementById("image").files = event.dataTransfer.files;
  document.getElementById("upload").requestSubmit();
});

if ("wait" in main.dataset) waiting = setTimeout(() => act(() => go(location.href, "replace")), 700);
