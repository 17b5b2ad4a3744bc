import "./theme.js";
import { describe, facts, make, refusal } from "./answer.js";
import { drawRamp, parseView, Viewer } from "./viewer.js";

const find = (id) => document.getElementById(id);
const viewer = new Viewer({ frame: find("frame"), film: find("film"), heat: find("heat"), outlines: find("outlines") });
const EMPTY_NAME = "film";
let chosen = null; // the file as it was given
let answer = null;
let frame = 1; // of a file that holds several films, counted as DICOM counts
let asking = null; // ends what is under way when another film comes

// How hot a place must be to cover the film. Errors of a reconstruction are small.
const OPACITY = {
  Classification: (heat) => 0.65 * heat,
  AnomalyDetection: (heat) => 0.85 * Math.min(1, heat / 0.3),
};

const PASSING = ["busy", "no_answer", "too_slow_to_send"]; // reasons that may be gone in a moment

const ask = async (route, signal) => {
  const form = new FormData();
  form.append("film", chosen, EMPTY_NAME); // its own name may name a patient, and is nobody's business
  const response = await fetch(route, { method: "POST", body: form, signal, credentials: "omit" });
  if (response.ok) return response;
  throw Object.assign(new Error("refused"), { refused: await response.json() });
};
const saying = (error) => error.refused
  ?? { reason: "no_answer", message: "expected an answer of the server, got none; look whether it is still running" };

// The window.
const shownNumber = (value) => (Number.isInteger(viewer.view.step) ? String(Math.round(value)) : value.toPrecision(4));
const SOURCES = {
  window: "The file's own window",
  lut: "The file's VOI LUT",
  percentile: "No window in the file: percentiles 0.5 to 99.5",
  full_range: "The whole range of the file",
};
const sayWindow = () => {
  if (!viewer.adjustable) return;
  const { window, stored, inverted } = viewer.shown;
  for (const [id, value] of [["level", window.center], ["width", window.width]]) {
    find(id).value = String(value);
    find(`${id}-value`).textContent = shownNumber(value);
    find(id).setAttribute("aria-valuetext", shownNumber(value));
  }
  find("stored").setAttribute("aria-pressed", String(stored && !inverted));
  find("invert").setAttribute("aria-pressed", String(inverted));
  find("source").textContent = stored ? SOURCES[viewer.view.source] ?? "" : "Set by hand";
};
const buildWindow = () => {
  find("window-tools").hidden = !viewer.adjustable;
  if (!viewer.adjustable) return;
  const { first, step, top, window } = viewer.view;
  const last = first + step * top;
  const limits = {
    level: [Math.min(first, window.center), Math.max(last, window.center)],
    width: [Math.min(step, window.width), Math.max(1.5 * (last - first), 1.5 * window.width, 2 * step)],
  };
  for (const [id, [least, most]] of Object.entries(limits)) Object.assign(find(id), { min: least, max: most, step: "any" });
  sayWindow();
};
const setWindow = (center, width) => {
  viewer.set(center, width);
  sayWindow();
};
const moveWindow = (across, down) => {
  const { window } = viewer.shown;
  const range = Number(find("width").max);
  const width = Math.min(range, window.width + across * range);
  const level = Math.min(Number(find("level").max), Math.max(Number(find("level").min), window.center + down * range));
  setWindow(level, width);
};
for (const id of ["level", "width"]) {
  find(id).addEventListener("input", () => setWindow(Number(find("level").value), Number(find("width").value)));
}
find("stored").addEventListener("click", () => {
  viewer.reset();
  sayWindow();
});
find("invert").addEventListener("click", () => {
  viewer.invert();
  sayWindow();
});
let held = null;
find("film").addEventListener("pointerdown", (event) => {
  // Fingers scroll the page.
  if (!viewer.adjustable || event.pointerType === "touch" || event.button !== 0) return;
  held = { x: event.clientX, y: event.clientY };
  find("film").setPointerCapture(event.pointerId);
});
find("film").addEventListener("pointermove", (event) => {
  if (!held) return;
  const box = find("film").getBoundingClientRect();
  moveWindow((event.clientX - held.x) / box.width, (event.clientY - held.y) / box.height / 2);
  held = { x: event.clientX, y: event.clientY };
});
for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) find("film").addEventListener(end, () => { held = null; });
const ARROWS = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] };
find("film").addEventListener("keydown", (event) => {
  if (!viewer.adjustable || !(event.key in ARROWS)) return;
  event.preventDefault();
  moveWindow(...ARROWS[event.key]);
});

// What lies over the film.
const sayOverlay = () => {
  const shown = find("overlay").getAttribute("aria-pressed") === "true";
  find("overlay").textContent = shown ? "Shown" : "Hidden";
  find("opacity-value").textContent = `${find("opacity").value} %`;
  viewer.setOverlay(shown, Number(find("opacity").value) / 100);
};
find("overlay").addEventListener("click", () => {
  find("overlay").setAttribute("aria-pressed", String(find("overlay").getAttribute("aria-pressed") !== "true"));
  sayOverlay();
});
find("opacity").addEventListener("input", sayOverlay);
const cover = async () => {
  const seen = answer?.seen;
  const [heat] = seen?.heats ?? [];
  const outlines = seen?.outlines ?? [];
  find("overlay-tools").hidden = !viewer.view || (!heat && !outlines.length);
  if (find("overlay-tools").hidden) return;
  find("legend").hidden = !heat;
  if (heat) {
    const kind = "probabilities" in answer.record ? "Classification" : "AnomalyDetection";
    find("overlay-title").textContent = heat.name;
    find("most").textContent = seen.scale;
    drawRamp(find("ramp"), OPACITY[kind]);
    await viewer.setHeat(heat.png, OPACITY[kind]);
  } else {
    const places = answer.record.regions.map((region) => region.name);
    find("overlay-title").textContent = "Outlines";
    viewer.setOutlines(outlines.map((each) => ({ ...each, number: places.indexOf(each.name) })));
  }
  sayOverlay();
};

// One film.
const clear = () => {
  answer = null;
  find("result").replaceChildren();
  find("details").hidden = true;
  find("overlay-tools").hidden = true;
  viewer.cover();
};
const busy = (text) => {
  find("state").textContent = text;
  find("state").className = "meaning busy";
  find("state").hidden = false;
};
const see = async (signal) => {
  try {
    viewer.load(parseView(await (await ask(`film?frame=${frame}`, signal)).arrayBuffer()));
    find("frame").hidden = false;
    find("tools").hidden = false;
    find("unseen").hidden = true;
    buildWindow();
    const { frames } = viewer.view;
    find("frames").hidden = frames === 1;
    Object.assign(find("frame-number"), { max: frames, value: frame });
    find("frames-all").textContent = `of ${frames}`;
    find("film").setAttribute("aria-label", `Film, ${viewer.view.film_columns} by ${viewer.view.film_rows} pixels`);
  } catch (error) {
    if (signal.aborted) return;
    find("unseen").textContent = "No picture of this file.";
    find("unseen").hidden = false;
  }
};
const predict = async (signal) => {
  try {
    answer = await (await ask(`predict?explain=true&frame=${frame}&bundle=${encodeURIComponent(find("bundle").value)}`, signal)).json();
    find("result").replaceChildren(...describe(answer, (name) => viewer.light(name)));
    find("facts").replaceChildren(...facts(answer));
    find("details").hidden = false;
  } catch (error) {
    if (signal.aborted) return;
    const said = saying(error);
    find("result").replaceChildren(refusal(said));
    if (PASSING.includes(said.reason)) {
      const again = make("button", "", "Try again");
      again.type = "button";
      again.addEventListener("click", () => run({ anew: true }));
      find("result").append(again);
    }
  }
  find("state").hidden = true;
};
const run = async ({ anew }) => {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  delete document.documentElement.dataset.done;
  clear();
  busy("Reading and predicting");
  if (anew) {
    viewer.view = null;
    for (const id of ["drop", "frame", "tools", "unseen"]) find(id).hidden = true;
    await see(signal);
  }
  if (signal.aborted) return;
  await predict(signal);
  if (signal.aborted) return;
  await cover();
  document.documentElement.dataset.done = "true";
};
const take = (files) => {
  if (!files?.length) return;
  [chosen] = files;
  frame = 1;
  find("frames").hidden = true;
  find("name").textContent = chosen.name;
  find("another").hidden = false;
  run({ anew: true });
};
find("frame-number").addEventListener("change", () => {
  const { value, max } = find("frame-number");
  frame = Math.min(Number(max), Math.max(1, Math.round(Number(value)) || 1));
  run({ anew: true });
});
for (const id of ["file", "file-again"]) {
  find(id).addEventListener("change", () => {
    take(find(id).files);
    find(id).value = ""; // the same file may be chosen again
  });
}
// A film may be dropped anywhere: a page that opened it instead would lose what is shown.
addEventListener("dragover", (event) => {
  event.preventDefault();
  find("stage").classList.add("over");
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) find("stage").classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  find("stage").classList.remove("over");
  take(event.dataTransfer?.files);
});
addEventListener("paste", (event) => take(event.clipboardData?.files));
find("save").addEventListener("click", () => {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answer, null, 2)], { type: "application/json" }));
  link.download = "answer.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

// The page.
const tasks = {};
const sayTask = () => { find("task").textContent = tasks[find("bundle").value] ?? ""; };
find("bundle").addEventListener("change", () => {
  sayTask();
  if (chosen) run({ anew: false });
});
const begin = async () => {
  try {
    const status = await (await fetch("status", { credentials: "omit" })).json();
    find("version").textContent = status.plainfilm_version;
    for (const each of status.bundles) {
      tasks[each.name] = each.task;
      find("bundle").append(new Option(`${each.name} ${each.bundle_version}`, each.name));
    }
    sayTask();
  } catch {
    find("state").textContent = "The server does not answer.";
  }
  document.documentElement.dataset.ready = "true";
};
begin();
