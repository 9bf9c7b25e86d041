// The explore page: one spot (seed, truncation, moves, class) is shown; kept spots are saved as seeds or a walk.

const $ = (id) => document.getElementById(id);
const kept = [];
let sliders = [];
let wanted = null; // the newest spot to be drawn while one is being drawn
let drawing = false;

function say(text, failed = false) {
  $("said").textContent = text;
  $("said").classList.toggle("failed", failed);
}

async function send(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error || `The command answered ${answer.status}.`);
  }
  return answer;
}

function spot() {
  const seed = Math.min(Math.max(0, Math.floor(Number($("seed").value) || 0)), Number.MAX_SAFE_INTEGER);
  const label = $("class-row").hidden || $("class").value === "" ? null : Number($("class").value);
  return { seed, truncation: Number($("truncation").value), moves: sliders.map((s) => Number(s.value)), label };
}

// Draws the newest spot; what a slider passes on the way is skipped while the generator is busy.
async function draw() {
  wanted = spot();
  $("truncation-value").textContent = wanted.truncation.toFixed(2);
  for (const s of sliders) s.nextElementSibling.textContent = Number(s.value).toFixed(1);
  if (drawing) return;
  drawing = true;
  try {
    while (wanted) {
      const now = wanted;
      wanted = null;
      const blob = await (await send("/api/picture", now)).blob();
      const old = $("picture").src;
      $("picture").src = URL.createObjectURL(blob);
      $("picture").dataset.seed = now.seed;
      if (old.startsWith("blob:") && !kept.some((k) => k.url === old)) URL.revokeObjectURL(old);
    }
  } catch (error) {
    say(error.message, true);
  } finally {
    drawing = false;
  }
}

function goTo(seed) {
  $("seed").value = Math.max(0, seed);
  draw();
}

function setSpot(where) {
  $("seed").value = where.seed;
  $("truncation").value = where.truncation;
  sliders.forEach((s, i) => { s.value = where.moves[i] || 0; });
  if (!$("class-row").hidden) $("class").value = where.label === null ? "" : where.label;
  draw();
}

function reset() {
  for (const s of sliders) s.value = 0;
  draw();
}

async function keep() {
  while (drawing) await new Promise((resume) => setTimeout(resume, 30));
  kept.push({ spot: spot(), url: $("picture").src });
  showKept();
  say(`kept seed ${kept.at(-1).spot.seed}`);
}

function showKept() {
  $("kept").replaceChildren(...kept.map((item, index) => {
    const figure = document.createElement("figure");
    const back = document.createElement("button");
    back.type = "button";
    back.className = "spot";
    const moved = item.spot.moves.some((m) => m !== 0);
    back.title = `Back to seed ${item.spot.seed}`;
    const image = document.createElement("img");
    image.src = item.url;
    image.alt = `seed ${item.spot.seed}`;
    const name = document.createElement("span");
    name.textContent = item.spot.seed + (moved ? " moved" : "");
    back.append(image, name);
    back.addEventListener("click", () => setSpot(item.spot));
    const drop = document.createElement("button");
    drop.type = "button";
    drop.className = "drop";
    drop.textContent = "×";
    drop.title = `Drop seed ${item.spot.seed}`;
    drop.addEventListener("click", () => { kept.splice(index, 1); showKept(); });
    figure.append(back, drop);
    return figure;
  }));
  $("count").textContent = kept.length;
  $("none").hidden = kept.length > 0;
  $("save-seeds").disabled = kept.length < 1;
  $("save-walk").disabled = kept.length < 2;
}

async function save(kind) {
  const button = $(`save-${kind}`);
  if (button.disabled) return;
  button.disabled = true;
  say(kind === "walk" ? "walking …" : "saving …");
  try {
    const made = await (await send("/api/save", { kind, spots: kept.map((k) => k.spot) })).json();
    say(`saved ${made.path}`);
    if (kind === "walk") {
      $("walk").src = `/api/saved/${made.number}`;
      $("walk").hidden = false;
    }
  } catch (error) {
    say(error.message, true);
  }
  showKept();
}

async function begin() {
  const state = await (await fetch("/api/state")).json();
  $("title").textContent = state.title;
  document.title = `Explore ${state.title}`;
  $("picture").style.setProperty("--shape", `${state.size[0]} / ${state.size[1]}`);
  for (const id of ["picture", "kept"]) $(id).classList.toggle("small", Math.max(...state.size) < 48);
  state.shares.forEach((share, index) => {
    const row = document.createElement("div");
    row.className = "slider";
    const label = document.createElement("label");
    label.htmlFor = `direction-${index}`;
    label.append(`${index + 1} `, Object.assign(document.createElement("small"), { textContent: `${(100 * share).toFixed(1)} %` }));
    const input = Object.assign(document.createElement("input"), {
      id: `direction-${index}`, type: "range", min: "-6", max: "6", step: "0.1", value: "0",
    });
    input.addEventListener("input", draw);
    row.append(label, input, Object.assign(document.createElement("output"), { textContent: "0.0" }));
    $("directions").append(row);
    sliders.push(input);
  });
  if (state.classes.length) {
    $("class-row").hidden = false;
    $("class").append(new Option("from the seed", ""), ...state.classes.map((name, i) => new Option(name, i)));
    $("class").addEventListener("change", draw);
  }
  draw();
}

$("seed").addEventListener("change", draw);
$("truncation").addEventListener("input", draw);
$("previous").addEventListener("click", () => goTo(spot().seed - 1));
$("next").addEventListener("click", () => goTo(spot().seed + 1));
$("random").addEventListener("click", () => goTo(Math.floor(Math.random() * 100000)));
$("reset").addEventListener("click", reset);
$("keep").addEventListener("click", keep);
$("save-seeds").addEventListener("click", () => save("seeds"));
$("save-walk").addEventListener("click", () => save("walk"));
$("done").addEventListener("click", async () => {
  await send("/api/done", {});
  say("The command has ended; this page can be closed.");
  for (const button of document.querySelectorAll("button, input, select")) button.disabled = true;
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) {
    if (event.key === "Enter") event.target.blur();
    return;
  }
  const keys = {
    ArrowLeft: () => goTo(spot().seed - 1), ArrowRight: () => goTo(spot().seed + 1),
    r: () => $("random").click(), k: keep, 0: reset, s: () => save("seeds"), w: () => save("walk"),
  };
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
begin().catch((error) => say(error.message, true));
