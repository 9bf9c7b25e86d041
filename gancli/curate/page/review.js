// The review page: a virtual grid of thumbnails, decisions by key and mouse, each sent to the disk at once.
import { cropDialog, labelDialog, lookDialog } from "/page/dialogs.js";

const $ = (id) => document.getElementById(id);
const GAP = 10, FOOT = 24, HEAD = 44, BEYOND = 500;
const FLAG_WORDS = { "low-information": "little to see", "odd-aspect": "odd shape", "odd-size": "odd size", "few-colours": "few colours", "low-quality": "low quality" };

const state = {
  set: null, items: new Map(), groups: [], pairs: [], views: [], view: "look", query: "",
  lines: [], cells: [], cursor: 0, undo: [], failed: false, ended: false,
};

// ---- what is kept ---------------------------------------------------------------------------------------------------

const isOut = (item) => item.decision === "reject" || (item.decision !== "keep" && item.status !== "ok" && !item.chosen);

/** Within a group: a person's keeps win, else the proposal (its first); the others are copies. */
function settleGroups() {
  for (const group of state.groups) {
    const members = group.map((id) => state.items.get(id));
    const kept = members.filter((item) => item.decision === "keep");
    const keepers = kept.length ? kept : members.slice(0, 1).filter((item) => item.decision !== "reject");
    for (const item of members) { item.chosen = keepers.includes(item); item.copy = !item.chosen; item.grouped = true; }
  }
}
const isDecided = (item) => item.decision !== null || item.flip || item.crop !== null || item.touched === true;

// ---- views ----------------------------------------------------------------------------------------------------------

function makeViews() {
  const all = [...state.items.values()];
  const single = all.filter((item) => item.status !== "dup");
  const flags = new Map();
  for (const item of single) if (item.status === "ok") for (const flag of item.flags) flags.set(flag, (flags.get(flag) || 0) + 1);
  const flagged = single.filter((item) => item.status === "ok" && item.flags.length)
    .sort((a, b) => b.flags.length - a.flags.length || a.id - b.id);
  const views = [
    { key: "look", name: "To look at", count: flagged.length + state.pairs.length + state.groups.length,
      blocks: () => [...pairBlocks(), ...groupBlocks(), { title: "Flagged", note: plural(flagged.length, "picture"), ids: flagged.map((i) => i.id) }] },
    { key: "all", name: "All", count: single.length, blocks: () => [{ ids: single.map((i) => i.id) }] },
    { key: "copies", name: "Copies", count: state.groups.length, blocks: groupBlocks },
    { key: "alike", name: "Alike?", count: state.pairs.length, blocks: pairBlocks },
    ...[...flags].sort((a, b) => b[1] - a[1]).map(([flag, count]) => ({
      key: "flag:" + flag, name: FLAG_WORDS[flag] || flag, count,
      blocks: () => [{ ids: single.filter((i) => i.status === "ok" && i.flags.includes(flag)).map((i) => i.id) }] })),
    { key: "rejected", name: "Rejected", count: () => all.filter((i) => i.decision === "reject").length,
      blocks: () => [{ ids: all.filter((i) => i.decision === "reject").map((i) => i.id) }] },
  ];
  return views.filter((view) => view.key === "all" || view.key === "rejected" || view.count);
}
const groupBlocks = () => state.groups.map((ids, n) => ({
  title: `Copies ${n + 1} of ${state.groups.length}`, note: "the first is proposed to stay", ids, group: true }));
const pairBlocks = () => state.pairs.map((pair, n) => ({
  title: `Alike? ${n + 1} of ${state.pairs.length}`, group: true, pair: true, ids: [pair.a, pair.b],
  note: `${pair.distance} of 64 bits apart${pair.mirrored ? ", mirrored" : ""}: both stay unless you reject one` }));
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function matches(item) {
  if (!state.query) return true;
  return [item.name, item.title, item.label, item.license, ...item.flags, "#" + item.number]
    .some((text) => text && String(text).toLowerCase().includes(state.query));
}

function showView(key, keep) {
  state.view = key;
  const at = keep && state.cells[state.cursor] ? state.cells[state.cursor].id : null;
  layout();
  const found = at === null ? -1 : state.cells.findIndex((cell) => cell.id === at);
  if (!keep) $("scroll").scrollTop = 0;
  drawViews();
  moveTo(found < 0 ? 0 : found, { quiet: true, focus: document.activeElement === document.body });
}

function drawViews() {
  const box = $("views");
  state.views.forEach((view, n) => {
    let button = box.children[n];
    if (!button) {
      button = document.createElement("button");
      button.type = "button"; button.className = "view";
      button.setAttribute("role", "radio");
      button.append(document.createTextNode(view.name), document.createElement("b"));
      button.addEventListener("click", () => showView(view.key));
      box.append(button);
    }
    const count = typeof view.count === "function" ? view.count() : view.count;
    write(button.lastChild, count.toLocaleString("en"));
    button.setAttribute("aria-checked", String(view.key === state.view));
  });
}

// ---- layout: lines of cells, only those in sight are in the document --------------------------------------------------

let cellWidth = 148, frameHeight = 148, columns = 1;

function layout() {
  const view = state.views.find((v) => v.key === state.view) || state.views[0];
  const width = $("scroll").clientWidth - 32;
  cellWidth = Number($("zoom").value);
  columns = Math.max(1, Math.floor((width + GAP) / (cellWidth + GAP)));
  cellWidth = Math.floor((width + GAP) / columns) - GAP;
  frameHeight = Math.round(cellWidth * Math.min(2, state.set.size[1] / state.set.size[0]));
  state.lines = []; state.cells = [];
  let top = 0, group = -1;
  for (const block of view.blocks()) {
    const ids = block.ids.filter((id) => matches(state.items.get(id)));
    if (!ids.length) continue;
    group += 1;
    if (block.title) { state.lines.push({ top, height: HEAD, title: block.title, note: block.note }); top += HEAD; }
    for (let start = 0; start < ids.length; start += columns) {
      const line = { top, height: frameHeight + FOOT + GAP + 2, first: state.cells.length, ids: ids.slice(start, start + columns) };
      line.ids.forEach((id, column) => state.cells.push({ id, line: state.lines.length, column, group, block: block.group ? block : null }));
      state.lines.push(line);
      top += line.height;
    }
  }
  const grid = $("grid");
  grid.style.height = top + "px";
  grid.setAttribute("aria-rowcount", String(state.lines.length));
  grid.setAttribute("aria-colcount", String(columns));
  grid.hidden = !state.cells.length;
  $("empty").hidden = state.cells.length > 0;
  for (const element of drawn.values()) element.remove();
  drawn.clear();
  draw();
}

const drawn = new Map();
function draw() {
  const scroll = $("scroll"), from = scroll.scrollTop - BEYOND, to = scroll.scrollTop + scroll.clientHeight + BEYOND;
  let low = 0, high = state.lines.length;
  while (low < high) { const mid = (low + high) >> 1; if (state.lines[mid].top + state.lines[mid].height < from) low = mid + 1; else high = mid; }
  const wanted = new Set();
  for (let n = low; n < state.lines.length && state.lines[n].top < to; n++) wanted.add(n);
  for (const [n, element] of drawn) if (!wanted.has(n) && !element.contains(document.activeElement)) { element.remove(); drawn.delete(n); }
  const fresh = document.createDocumentFragment();
  for (const n of wanted) if (!drawn.has(n)) { const element = makeLine(state.lines[n], n); drawn.set(n, element); fresh.append(element); }
  $("grid").append(fresh);
  loadSoon();
}

function makeLine(line, n) {
  const element = document.createElement("div");
  element.className = line.title ? "line head" : "line";
  element.setAttribute("role", "row");
  element.setAttribute("aria-rowindex", String(n + 1));
  element.style.transform = `translateY(${line.top}px)`;
  if (line.title) {
    element.style.height = line.height + "px";
    const title = document.createElement("div"), note = document.createElement("span");
    title.setAttribute("role", "gridcell");
    title.textContent = line.title + " "; note.textContent = line.note || "";
    title.append(note); element.append(title);
  } else line.ids.forEach((id, column) => element.append(makeCell(line.first + column)));
  return element;
}

function makeCell(place) {
  const cell = document.createElement("div");
  cell.className = "cell"; cell.dataset.place = place;
  cell.setAttribute("role", "gridcell");
  cell.style.width = cellWidth + "px";
  const frame = document.createElement("span"), image = document.createElement("img"), foot = document.createElement("div");
  frame.className = "frame"; frame.style.height = frameHeight + "px";
  image.alt = ""; image.decoding = "async"; image.draggable = false;
  foot.className = "foot"; foot.append(document.createElement("b"), document.createElement("em"));
  frame.append(image); cell.append(frame, foot);
  paint(cell, place);
  return cell;
}

/** Brings one cell up to date with its item; a key changes few, and the browser lays out and draws only those again. */
function paint(cell, place) {
  const { id, column, block } = state.cells[place], item = state.items.get(id);
  const out = isOut(item) || Boolean(item.grouped && item.copy), chosen = place === state.cursor;
  const looks = JSON.stringify([id, out, chosen, item.chosen, item.decision, item.flip, item.crop, item.label]);
  if (cell.dataset.looks === looks) return;
  cell.dataset.looks = looks;
  cell.classList.toggle("out", out); cell.classList.toggle("chosen", chosen);
  cell.setAttribute("aria-colindex", String(column + 1));
  cell.setAttribute("aria-selected", String(chosen));
  cell.tabIndex = chosen ? 0 : -1;
  const image = cell.querySelector("img");
  image.dataset.src = `/thumb/${id}` + (item.crop ? `?crop=${item.crop.map((edge) => edge.toFixed(4)).join(",")}` : "");
  if (image.src && !image.src.endsWith(image.dataset.src)) image.src = image.dataset.src;
  image.classList.toggle("flipped", item.flip);
  for (const tag of cell.querySelectorAll(".tag")) tag.remove();
  const say = (words, kind) => {
    const tag = document.createElement("span");
    tag.className = "tag " + kind; tag.textContent = words; cell.firstChild.append(tag);
  };
  const state_ = item.decision === "reject" ? "rejected" : item.decision === "keep" ? "kept" : block && !block.pair ? (item.chosen ? "stays" : copyWords(item)) : item.status === "skip" ? item.reason : "";
  if (state_) say({ rejected: "✕ rejected", kept: "✓ kept", stays: "✓ stays" }[state_] || state_, item.decision === "reject" ? "reject" : out ? "copy" : "keep");
  const more = [item.flip ? "flipped" : "", item.crop ? "recropped" : ""].filter(Boolean).join(", ");
  if (more) say(more, "more");
  const flags = item.flags.map((flag) => FLAG_WORDS[flag] || flag).join(", ");
  const [number, words] = cell.lastChild.children;
  number.textContent = item.number;
  words.textContent = item.label ? `${item.label}${flags ? " · " + flags : ""}` : block ? `${item.width}×${item.height}${flags ? " · " + flags : ""}` : flags || `${item.width}×${item.height}`;
  words.className = flags ? "flag" : "";
  cell.title = item.name + (item.title ? `\n${item.title}` : "") + `\n${item.width}×${item.height}${flags ? "\n" + flags : ""}`;
  cell.setAttribute("aria-label", [`${item.number}`, item.title || item.name, state_ || "stays", more, flags, item.label].filter(Boolean).join(", "));
}
const copyWords = (item) => (item.distance === null ? "copy" : `copy, ${item.distance} bits${item.mirrored ? ", mirrored" : ""}`);

/** Thumbnails are asked for when their line has stayed in sight for a moment: a fast scroll asks for few. */
let loading = 0;
function loadSoon() {
  clearTimeout(loading);
  loading = setTimeout(() => {
    for (const element of drawn.values()) for (const image of element.querySelectorAll("img")) if (!image.src) image.src = image.dataset.src;
  }, 60);
}

function repaint() {
  for (const element of drawn.values()) for (const cell of element.querySelectorAll(".cell")) paint(cell, Number(cell.dataset.place));
}

// ---- moving ---------------------------------------------------------------------------------------------------------

function cellElement(place) {
  const cell = state.cells[place], line = cell && drawn.get(cell.line);
  return line ? line.children[cell.column] : null;
}

function moveTo(place, { quiet = false, focus = true } = {}) {
  if (!state.cells.length) return;
  const before = cellElement(state.cursor);
  state.cursor = Math.max(0, Math.min(state.cells.length - 1, place));
  const line = state.lines[state.cells[state.cursor].line], scroll = $("scroll");
  const head = state.cells[state.cursor].block ? HEAD + 4 : 14;
  if (line.top - head < scroll.scrollTop) scroll.scrollTop = Math.max(0, line.top - head);
  else if (line.top + line.height + 24 > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = line.top + line.height + 24 - scroll.clientHeight;
  draw();
  if (before) paint(before, Number(before.dataset.place));
  const now = cellElement(state.cursor);
  if (now) { paint(now, state.cursor); if (focus) now.focus({ preventScroll: true }); }
  if (!quiet) loadSoon();
}

function moveLine(step) {
  const here = state.cells[state.cursor];
  let n = here.line + step;
  while (state.lines[n] && state.lines[n].title) n += step;
  const line = state.lines[n];
  if (line) moveTo(line.first + Math.min(here.column, line.ids.length - 1));
}

function moveGroup(step) {
  const here = state.cells[state.cursor].group;
  const starts = state.cells.map((cell, n) => (cell.block && cell.column === 0 && (n === 0 || state.cells[n - 1].group !== cell.group) ? n : -1)).filter((n) => n >= 0);
  const next = step > 0 ? starts.find((n) => state.cells[n].group > here) : starts.filter((n) => state.cells[n].group < here).pop();
  if (next === undefined) announce(step > 0 ? "no further group" : "no group before");
  else moveTo(next);
}

// ---- deciding -------------------------------------------------------------------------------------------------------

const current = () => state.items.get(state.cells[state.cursor].id);

/** changes: [{item, set}]. Shown at once, sent in order, remembered for undo. */
function decide(changes, words, { remember = true } = {}) {
  if (!changes.length) return;
  const before = changes.map(({ item, set }) => ({ item, set: Object.fromEntries(Object.keys(set).map((name) => [name, item[name]])) }));
  for (const { item, set } of changes) { Object.assign(item, set); item.touched = true; }
  if (remember) state.undo.push({ changes: before, words });
  settleGroups(); repaint(); drawViews(); drawProgress(); announce(words);
  $("undo").disabled = !state.undo.length;
  send(changes.map(({ item, set }) => ({ id: item.id, set })));
}

/** Decisions go out in order; what could not be sent stays first in the queue and is tried again. */
let sending = Promise.resolve(), queue = [];
function send(changes) {
  queue.push(...changes); drawSaved();
  sending = sending.then(pump);
}
async function pump() {
  if (!queue.length) return;
  const batch = queue.slice(0, 5000);
  try {
    const answer = await fetch("/api/decide", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ changes: batch }) });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error || `the server said ${answer.status}`);
    queue = queue.slice(batch.length); state.failed = false;
  } catch (error) {
    if (!state.failed) toast(`Not saved: ${error.message}. It is tried again every few seconds.`);
    state.failed = true;
    setTimeout(() => { sending = sending.then(pump); }, 3000);
  }
  drawSaved();
}

function drawSaved() {
  const box = $("saved");
  box.className = state.failed ? "failed" : queue.length ? "waiting" : "";
  write(box, state.failed ? `${plural(queue.length, "decision")} not saved` : queue.length ? "saving …" : state.undo.length ? "all saved" : "nothing to save");
}

function drawProgress() {
  const flagged = [...state.items.values()].filter((item) => item.status === "ok" && item.flags.length);
  const some = (ids) => ids.some((id) => isDecided(state.items.get(id)));
  const total = flagged.length + state.groups.length + state.pairs.length;
  const done = flagged.filter(isDecided).length + state.groups.filter(some).length + state.pairs.filter((pair) => some([pair.a, pair.b])).length;
  const rejected = [...state.items.values()].filter((item) => item.decision === "reject").length;
  $("progress").max = Math.max(1, total); $("progress").value = total ? done : 1;
  write($("progress-text"), `${done.toLocaleString("en")} of ${total.toLocaleString("en")} looked at · ${rejected.toLocaleString("en")} rejected`);
}

function undo() {
  const last = state.undo.pop();
  if (!last) { announce("nothing to undo"); return; }
  const at = state.cells.findIndex((cell) => cell.id === last.changes[0].item.id);
  decide(last.changes, "undone: " + last.words, { remember: false });
  for (const { item } of last.changes) item.touched = undefined;
  drawProgress();
  if (at >= 0) moveTo(at);
}

const members = () => { const cell = state.cells[state.cursor]; return cell.block ? cell.block.ids.map((id) => state.items.get(id)) : [state.items.get(cell.id)]; };

const actions = {
  reject() { const item = current(), on = item.decision !== "reject"; decide([{ item, set: { decision: on ? "reject" : null } }], `${item.number} ${on ? "rejected" : "no longer rejected"}`); },
  keep() {
    const item = current(), on = item.decision !== "keep";
    const others = on && item.grouped ? members().filter((other) => other !== item && other.decision === "keep").map((other) => ({ item: other, set: { decision: null } })) : [];
    decide([{ item, set: { decision: on ? "keep" : null } }, ...others], `${item.number} ${on ? "kept" : "left to the rules"}`);
  },
  both() { decide(members().map((item) => ({ item, set: { decision: "keep" } })), `${members().map((item) => item.number).join(" and ")} kept`); },
  accept() {
    const block = state.cells[state.cursor].block;
    const stay = block && !block.pair ? members().filter((item) => item.chosen) : block ? members().filter((item) => item.decision !== "reject") : [current()];
    decide(stay.filter((item) => item.decision !== "keep").map((item) => ({ item, set: { decision: "keep" } })), "proposal accepted");
    if (block) moveGroup(1); else moveTo(state.cursor + 1);
  },
  flip() { const item = current(); decide([{ item, set: { flip: !item.flip } }], `${item.number} ${item.flip ? "flipped back" : "flipped"}`); },
  async crop() {
    const item = current(), crop = await cropDialog(item, state.set.size);
    if (crop !== undefined) decide([{ item, set: { crop } }], `${item.number} ${crop ? "recropped" : "cropped as a whole"}`);
    refocus();
  },
  async label() {
    const item = current(), label = await labelDialog(item, state.set.labels);
    if (label !== undefined) setLabel(item, label);
    refocus();
  },
  async look() { await lookDialog(members(), current(), copyWords); refocus(); },
};
function setLabel(item, label) {
  if (label && !state.set.labels.includes(label)) { state.set.labels.push(label); state.set.labels.sort(); }
  decide([{ item, set: { label: label || null } }], label ? `${item.number} is ${label}` : `${item.number} has no label`);
}
const refocus = () => { const cell = cellElement(state.cursor); if (cell) cell.focus({ preventScroll: true }); };

// ---- words ----------------------------------------------------------------------------------------------------------

/** New words cost a layout, the same ones need none. */
function write(element, words) { if (element.textContent !== words) element.textContent = words; }
function announce(words) { $("live").textContent = words; }
let toasting = 0;
function toast(words) {
  $("toast").textContent = words; $("toast").hidden = false;
  clearTimeout(toasting); toasting = setTimeout(() => { $("toast").hidden = true; }, 8000);
}

// ---- keys and mouse -------------------------------------------------------------------------------------------------

const pageStep = () => Math.max(1, Math.floor($("scroll").clientHeight / (frameHeight + FOOT + GAP))) ;
const KEYS = {
  x: actions.reject, " ": actions.reject, Delete: actions.reject, k: actions.keep, b: actions.both, a: actions.accept,
  f: actions.flip, c: actions.crop, l: actions.label, Enter: actions.look, u: undo, g: () => moveGroup(1), G: () => moveGroup(-1),
  ArrowLeft: () => moveTo(state.cursor - 1), ArrowRight: () => moveTo(state.cursor + 1),
  ArrowUp: () => moveLine(-1), ArrowDown: () => moveLine(1), Home: () => moveTo(0), End: () => moveTo(state.cells.length - 1),
  PageDown: () => { for (let n = 0; n < pageStep(); n++) moveLine(1); }, PageUp: () => { for (let n = 0; n < pageStep(); n++) moveLine(-1); },
};
const GLOBAL = {
  "?": () => $("help-box").showModal(), "/": () => $("query").focus(), t: nextTheme,
  v: () => stepView(1), V: () => stepView(-1),
};
function stepView(step) {
  const at = state.views.findIndex((view) => view.key === state.view);
  const view = state.views[(at + step + state.views.length) % state.views.length];
  showView(view.key); announce(`view: ${view.name}`); refocus();
}

document.addEventListener("keydown", (event) => {
  if (state.ended || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = event.target;
  if (target.matches("input[type=search]")) {
    if (event.key === "Escape" || event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); refocus(); }
    return;
  }
  if (target.matches("input")) return;
  const onButton = target.matches("button, a") && (event.key === "Enter" || event.key === " ");
  if (GLOBAL[event.key]) { event.preventDefault(); GLOBAL[event.key](); return; }
  if (!state.cells.length || onButton) { if (event.key === "u") undo(); return; }
  if (/^[1-9]$/.test(event.key)) {
    const label = state.set.labels[Number(event.key) - 1];
    if (label) setLabel(current(), current().label === label ? "" : label); else announce("no such label; press L to type one");
    return;
  }
  const action = KEYS[event.key] || KEYS[event.key.toLowerCase()];
  if (action) { event.preventDefault(); action(); }
});

$("grid").addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (cell) moveTo(Number(cell.dataset.place));
});
$("grid").addEventListener("dblclick", (event) => { if (event.target.closest(".cell")) actions.look(); });
$("grid").addEventListener("contextmenu", (event) => {
  const cell = event.target.closest(".cell");
  if (cell) { event.preventDefault(); moveTo(Number(cell.dataset.place)); actions.reject(); }
});
let framed = false;
$("scroll").addEventListener("scroll", () => {
  if (!framed) { framed = true; requestAnimationFrame(() => { framed = false; draw(); }); }
}, { passive: true });
let resizing = 0;
new ResizeObserver(() => { clearTimeout(resizing); resizing = setTimeout(() => state.set && showView(state.view, true), 80); }).observe($("scroll"));
$("zoom").addEventListener("input", () => showView(state.view, true));
let typing = 0;
$("query").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    state.query = $("query").value.trim().toLowerCase();
    layout(); state.cursor = 0; $("scroll").scrollTop = 0; repaint();
    announce(plural(state.cells.length, "picture"));
  }, 120);
});
$("undo").addEventListener("click", undo);
$("help").addEventListener("click", () => $("help-box").showModal());
$("theme").addEventListener("click", nextTheme);
$("finish").addEventListener("click", finish);

function nextTheme() {
  const order = ["auto", "light", "dark"], root = document.documentElement;
  const next = order[(order.indexOf(root.dataset.theme) + 1) % 3];
  setTheme(next); announce(`theme: ${next}`);
  try { localStorage.setItem("gan-theme", next); } catch { /* a private window keeps none */ }
}
function setTheme(theme) { document.documentElement.dataset.theme = theme; $("theme").textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[theme]; }

async function finish() {
  $("finish-text").textContent = `${$("progress-text").textContent}. The training set is brought up to date and this page ends. You can review again at any time.`;
  const box = $("finish-box");
  box.returnValue = "cancel"; box.showModal();
  await new Promise((done) => box.addEventListener("close", done, { once: true }));
  if (box.returnValue !== "apply") { refocus(); return; }
  await sending;
  if (queue.length) { toast("Some decisions are not saved yet; is gan still running?"); return; }
  try {
    await fetch("/api/finish", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  } catch { toast("The server has stopped already; what was saved is on the disk."); }
  state.ended = true;
  document.body.innerHTML = '<div class="ended"><strong>Done.</strong><p>The training set is being brought up to date. You can close this page.</p></div>';
}
window.addEventListener("beforeunload", (event) => { if (!state.ended && queue.length) event.preventDefault(); });

// ---- start ----------------------------------------------------------------------------------------------------------

async function start() {
  let theme = "auto";
  try { theme = localStorage.getItem("gan-theme") || "auto"; } catch { /* as the system */ }
  setTheme(theme);
  const data = await (await fetch("/api/items")).json();
  state.set = { name: data.name, size: data.size, labels: data.labels };
  for (const item of data.items) state.items.set(item.id, item);
  state.groups = data.groups; state.pairs = data.pairs;
  settleGroups();
  $("name").textContent = data.name; document.title = `${data.name} · review`;
  state.views = makeViews();
  state.view = state.views[0].key;
  drawProgress(); drawSaved(); showView(state.view); refocus();
  document.documentElement.dataset.ready = "yes";
}
start().catch((error) => toast(`The page could not start: ${error.message}`));
