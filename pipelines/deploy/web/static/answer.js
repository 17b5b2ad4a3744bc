// An answer in words, bars and tables. Whatever a server says becomes text, never markup.

export const make = (tag, kind, ...content) => {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...content);
  return made;
};

const SPACE = "\u00a0"; // a number and its sign stay on one line
export const share = (value) => {
  if (value > 0.999 && value < 1) return `>${SPACE}99.9${SPACE}%`;
  if (value < 0.001 && value > 0) return `<${SPACE}0.1${SPACE}%`;
  return `${(100 * value).toFixed(1)}${SPACE}%`;
};
const short = (value) => Number(value.toPrecision(3)).toString();

// A bar of 0 to 1, and where the decision falls.
const bar = ({ title, value, text, first, mark }) => {
  const track = make("span", "track");
  const filled = make("i");
  filled.style.width = `${100 * Math.min(1, Math.max(0, value))}%`;
  track.append(filled);
  if (mark !== undefined) {
    const line = make("b");
    line.style.left = `${100 * mark}%`;
    track.append(line);
  }
  track.setAttribute("aria-hidden", "true");
  return make("div", first ? "bar first" : "bar", make("span", "", title), make("span", "value", text), track);
};

const unlike = () => make("div", "warning",
  make("strong", "", "Unlike the training films"),
  make("p", "", "It does not belong to what the bundle was trained on, so the answer means nothing."));

const classification = (record, point) => {
  const classes = Object.entries(record.probabilities);
  const two = classes.length === 2;
  const positive = point.positive_classes ?? [];
  const bars = classes.map(([title, value]) => bar({
    title, value, text: share(value), first: title === record.predicted_label,
    mark: two && positive.includes(title) && point.threshold !== null ? point.threshold : undefined,
  }));
  const together = positive.reduce((sum, title) => sum + (record.probabilities[title] ?? 0), 0);
  const rule = point.threshold === null || !positive.length
    ? "The most probable class is called."
    : `${positive.join(", ")} ${positive.length > 1 ? `together (here ${share(together)}) are` : "is"} called from ${share(point.threshold)}.`;
  return [
    make("div", "called", make("p", "meaning", "Called"), make("h2", "", record.predicted_label),
      make("p", "", `Calibrated probability ${share(record.confidence)}`)),
    make("div", "bars", ...bars), make("p", "meaning", `Operating point: ${rule}`),
  ];
};

const anomaly = (record, point) => {
  const full = 2 * point.threshold;
  const text = `${short(record.anomaly_score)}${record.anomaly_score > full ? ", beyond the bar" : ""}`;
  return [
    make("div", "called", make("p", "meaning", "Called"), make("h2", "", record.anomalous ? "anomalous" : "normal")),
    make("div", "bars", bar({ title: "Anomaly score", value: record.anomaly_score / full, text, first: true, mark: 0.5 })),
    make("p", "meaning", `Operating point: anomalous from ${short(point.threshold)}; does not belong above ${short(point.out_of_distribution_limit)}.`),
  ];
};

const structures = (record, light) => {
  const found = record.regions.filter((region) => region.area_px > 0);
  const lengths = (region) => (region.length_mm === null ? `${region.length_px.toFixed(0)} px` : `${region.length_mm.toFixed(1)} mm`);
  const areas = (region) => (region.area_mm2 === null ? `${region.area_px.toLocaleString("en")} px` : `${region.area_mm2.toFixed(0)} mm²`);
  const rows = record.regions.map((region, number) => {
    if (!region.area_px) return null;
    const dot = make("span", `dot c${number % 6}`);
    const name = make("th", "", dot, region.name);
    name.scope = "row";
    const row = make("tr", "", name, make("td", "", lengths(region)), make("td", "", areas(region)));
    row.tabIndex = 0;
    for (const [event, lit] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) {
      row.addEventListener(event, () => light(lit ? region.name : null));
    }
    return row;
  }).filter(Boolean);
  const heads = ["Structure", "Length", "Area"].map((title) => make("th", "", title));
  const missing = record.regions.filter((region) => !region.area_px).map((region) => region.name);
  const table = make("div", "structures", make("table", "", make("thead", "", make("tr", "", ...heads)), make("tbody", "", ...rows)));
  return [
    make("div", "called", make("h2", "", `${found.length} of ${record.regions.length} found`)), table,
    make("p", "meaning", missing.length ? `Not found: ${missing.join(", ")}.` : "Point at a row, or step to it, to light its outline."),
  ];
};

// What the side panel says of an answer; `light` lights one structure on the film.
export const describe = ({ record, operating_point: point }, light) => {
  let said;
  if ("probabilities" in record) said = classification(record, point);
  else if ("regions" in record) said = structures(record, light);
  else said = anomaly(record, point);
  const doubted = record.out_of_distribution === true;
  return [...(doubted ? [unlike()] : []), make("div", doubted ? "doubted" : "", ...said)];
};

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;

export const refusal = ({ reason, message }) => make("div", "refusal",
  make("strong", "", `Refused: ${String(reason).replaceAll("_", " ")}`), make("p", "", sentence(String(message))));

const written = (value) => {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value)) return value.map(written).join(" x ");
  return typeof value === "number" && !Number.isInteger(value) ? short(value) : String(value);
};

// Names and values of what stands behind an answer.
export const facts = (answer) => {
  const { film, record, guard } = answer;
  const told = [
    ["Bundle", `${answer.bundle} ${answer.bundle_version}`],
    ["Weights, SHA-256", answer.weights_sha256],
    ["plainfilm", `${answer.plainfilm_version}, ${answer.engine} on ${answer.device}`],
    ["Film", `${film.rows} x ${film.columns}, ${film.bits} bits, ${film.format}`],
    ["Spacing, mm", film.spacing_mm ? written(film.spacing_mm) : "unknown"],
    ["Grey scale", `${film.voi}${film.voi_function ? ` ${film.voi_function}` : ""}${film.inverted ? ", inverted" : ""}`],
    ["Flags", film.flags.length ? film.flags.join(", ").replaceAll("_", " ") : "none"],
  ];
  if (guard) told.push(["Guard", `score ${written(record.guard_score)}, limit ${written(guard.guard_limit)}`]);
  for (const [name, value] of Object.entries(answer.operating_point)) {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      const text = Array.isArray(value) ? value.join(", ") : written(value);
      told.push([name.replaceAll("_", " "), text]);
    }
  }
  return told.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]);
};
