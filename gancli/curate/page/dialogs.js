// The dialogs of the review page. Each returns a promise of what was chosen, undefined for nothing.
const $ = (id) => document.getElementById(id);

function closed(dialog) {
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue), { once: true }));
}
function open(dialog) {
  dialog.returnValue = "cancel";
  dialog.showModal();
  return closed(dialog);
}

/** The new crop [left, top, right, bottom] in 0..1 of the whole picture, null for the usual one. */
export async function cropDialog(item, size) {
  const image = $("crop-image"), frame = $("crop-frame"), dialog = $("crop-box");
  const shape = (size[0] / size[1]) * (item.height / item.width); // width over height of the crop, in shares
  const largest = { w: Math.min(1, shape), h: Math.min(1, 1 / shape) };
  let box = item.crop ? { x: item.crop[0], y: item.crop[1], w: item.crop[2] - item.crop[0] } : { x: (1 - largest.w) / 2, y: (1 - largest.h) / 2, w: largest.w };
  image.src = `/picture/${item.id}`;
  image.alt = item.name;
  const draw = () => {
    box.w = Math.min(Math.max(box.w, 0.04 * largest.w, 0.0101, 0.0101 * shape), largest.w);
    box.h = box.w / shape;
    box.x = Math.min(Math.max(box.x, 0), 1 - box.w); box.y = Math.min(Math.max(box.y, 0), 1 - box.h);
    frame.style.left = box.x * 100 + "%"; frame.style.top = box.y * 100 + "%";
    frame.style.width = box.w * 100 + "%"; frame.style.height = box.h * 100 + "%";
  };
  const grow = (by) => {
    const w = Math.min(largest.w, box.w * by);
    box.x += (box.w - w) / 2; box.y += (box.w - w) / shape / 2; box.w = w; draw();
  };
  let drag = null;
  frame.onpointerdown = (event) => {
    drag = { x: event.clientX, y: event.clientY, box: { ...box }, resize: event.target !== frame };
    frame.setPointerCapture(event.pointerId); event.preventDefault(); frame.focus();
  };
  frame.onpointermove = (event) => {
    if (!drag) return;
    const dx = (event.clientX - drag.x) / image.clientWidth, dy = (event.clientY - drag.y) / image.clientHeight;
    if (drag.resize) box.w = Math.min(drag.box.w + Math.max(dx, dy * shape), 1 - drag.box.x, (1 - drag.box.y) * shape);
    else { box.x = drag.box.x + dx; box.y = drag.box.y + dy; }
    draw();
  };
  frame.onpointerup = frame.onpointercancel = () => { drag = null; };
  frame.onkeydown = (event) => {
    const step = event.shiftKey ? 0.05 : 0.01;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) { box.x += moves[event.key][0]; box.y += moves[event.key][1]; draw(); }
    else if (event.key === "+" || event.key === "=") grow(1.05);
    else if (event.key === "-") grow(1 / 1.05);
    else if (event.key === "Enter") dialog.close("apply");
    else return;
    event.preventDefault();
    event.stopPropagation(); // the dialog may be closed by now, and the page must not take the key as its own
  };
  draw();
  const answer = open(dialog);
  frame.focus();
  const chosen = await answer;
  if (chosen === "reset") return null;
  if (chosen !== "apply") return undefined;
  return [box.x, box.y, Math.min(1, box.x + box.w), Math.min(1, box.y + box.h)].map((edge) => Math.round(edge * 1e4) / 1e4);
}

/** The label typed, '' for none. */
export async function labelDialog(item, labels) {
  const input = $("label-text");
  $("label-list").replaceChildren(...labels.map((label) => Object.assign(document.createElement("option"), { value: label })));
  input.value = item.label || "";
  input.onkeydown = (event) => { if (event.key === "Enter") { event.preventDefault(); event.stopPropagation(); $("label-box").close("apply"); } };
  const answer = open($("label-box"));
  input.select();
  return (await answer) === "apply" ? input.value.trim() : undefined;
}

/** The whole pictures, copies side by side. */
export async function lookDialog(items, first, copyWords) {
  const shown = items.length > 4 && !items.slice(0, 4).includes(first) ? [first, ...items.filter((i) => i !== first)] : items;
  $("look-stage").classList.toggle("many", shown.length > 1);
  $("look-stage").replaceChildren(...shown.slice(0, 4).map((item) => {
    const figure = document.createElement("figure"), image = new Image(), words = document.createElement("figcaption"), number = document.createElement("b");
    image.src = `/picture/${item.id}`; image.alt = item.title || item.name; image.classList.toggle("flipped", item.flip);
    number.textContent = `${item.number} `;
    const facts = [`${item.width}×${item.height}`, `${Math.max(1, Math.round(item.bytes / 1000))} kB`, item.license,
      item.grouped ? (item.chosen ? "stays" : copyWords(item)) : "", item.flags.join(", "), item.title || item.name];
    words.append(number, facts.filter(Boolean).join(" · "));
    figure.append(image, words);
    return figure;
  }));
  await open($("look-box"));
}
