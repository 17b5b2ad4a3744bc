// A film on a canvas: its window is applied here, to the values that the file holds.

const INFERNO = [
  [0, 0, 4], [11, 7, 36], [33, 12, 74], [61, 9, 101], [87, 16, 110], [113, 25, 110], [138, 34, 106], [163, 44, 97], [188, 55, 84],
  [210, 70, 68], [228, 90, 49], [241, 115, 29], [249, 142, 9], [252, 172, 17], [249, 203, 53], [242, 234, 105], [252, 255, 164],
];
const COLOURS = 6;
const SVG = "http://www.w3.org/2000/svg";

// What `POST /film` gives: the length of a text, the text, the samples.
export const parseView = (buffer) => {
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const count = about.rows * about.columns;
  const samples = about.colour ? new Uint8Array(buffer, 4 + length, 3 * count) : new Uint16Array(buffer, 4 + length, count);
  return { ...about, samples };
};

// From a value to a grey of 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3).
const windowed = (value, { center, width, function: kind }) => {
  if (kind === "SIGMOID") return 1 / (1 + Math.exp((-4 * (value - center)) / width));
  if (kind === "LINEAR_EXACT") return Math.min(1, Math.max(0, (value - center) / width + 0.5));
  if (width <= 1) return value > center - 0.5 ? 1 : 0;
  return Math.min(1, Math.max(0, (value - (center - 0.5)) / (width - 1) + 0.5));
};

// A grey of 0 to 255 for each sample: as the file wants it, or through a window that was set.
export const greys = (film, { window, stored, inverted }) => {
  const table = new Uint8Array(film.top + 1);
  const last = film.curve.length - 1;
  for (let sample = 0; sample <= film.top; sample += 1) {
    let grey;
    if (stored) {
      const place = film.top ? (sample * last) / film.top : 0;
      const below = Math.floor(place);
      const above = Math.min(last, below + 1);
      grey = film.curve[below] + (film.curve[above] - film.curve[below]) * (place - below);
    } else {
      const upright = windowed(film.first + film.step * sample, window);
      grey = 255 * (film.inverted ? 1 - upright : upright);
    }
    table[sample] = Math.round(inverted ? 255 - grey : grey);
  }
  return table;
};

const inferno = (heat) => {
  const place = heat * (INFERNO.length - 1);
  const below = Math.min(INFERNO.length - 2, Math.floor(place));
  return INFERNO[below].map((low, channel) => low + (INFERNO[below + 1][channel] - low) * (place - below));
};

export class Viewer {
  constructor({ frame, film, heat, outlines }) {
    Object.assign(this, { frame, canvas: film, heat, outlines });
    this.view = null;
    this.drawing = 0;
  }

  get adjustable() {
    return this.view !== null && !this.view.colour;
  }

  load(view) {
    this.view = view;
    this.canvas.width = view.columns;
    this.canvas.height = view.rows;
    const ratio = view.columns / view.rows;
    this.frame.style.aspectRatio = String(ratio);
    this.frame.style.maxWidth = `min(100%, ${(78 * ratio).toFixed(2)}vh)`;
    this.image = this.canvas.getContext("2d").createImageData(view.columns, view.rows);
    this.reset();
    this.cover();
  }

  reset() {
    const { window } = this.view;
    this.shown = { window: window ? { ...window } : null, stored: true, inverted: false };
    this.draw();
  }

  // Sets level and width; a film of whole numbers has whole ones.
  set(center, width) {
    const { step } = this.view;
    const least = Math.max(step, this.shown.window.function === "LINEAR" ? 1 : 0);
    const rounded = (value) => (Number.isInteger(step) ? Math.round(value) : value);
    this.shown.window = { ...this.shown.window, center: rounded(center), width: Math.max(least, rounded(width)) };
    this.shown.stored = false;
    this.soon();
  }

  invert() {
    this.shown.inverted = !this.shown.inverted;
    this.draw();
  }

  // Dragging and sliders ask more often than a screen shows.
  soon() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.draw();
    });
  }

  draw() {
    const { samples, colour } = this.view;
    const pixels = new Uint32Array(this.image.data.buffer);
    if (colour) {
      for (let place = 0; place < pixels.length; place += 1) {
        const at = 3 * place;
        pixels[place] = 0xff000000 | (samples[at + 2] << 16) | (samples[at + 1] << 8) | samples[at];
      }
    } else {
      const table = new Uint32Array(greys(this.view, this.shown)).map((grey) => 0xff000000 | (grey * 0x010101));
      for (let place = 0; place < pixels.length; place += 1) pixels[place] = table[samples[place]];
    }
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
  }

  // Nothing lies over the film.
  cover() {
    this.heat.width = 1;
    this.heat.height = 1;
    this.outlines.replaceChildren();
  }

  // A grey picture becomes colours, the less transparent the hotter.
  async setHeat(png, opacity) {
    const picture = new Image();
    picture.src = `data:image/png;base64,${png}`;
    await picture.decode();
    this.heat.width = picture.naturalWidth;
    this.heat.height = picture.naturalHeight;
    const context = this.heat.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const image = context.getImageData(0, 0, this.heat.width, this.heat.height);
    for (let at = 0; at < image.data.length; at += 4) {
      const warmth = image.data[at] / 255;
      image.data.set(inferno(warmth), at);
      image.data[at + 3] = 255 * opacity(warmth);
    }
    context.putImageData(image, 0, 0);
  }

  setOutlines(structures) {
    const { film_rows: rows, film_columns: columns } = this.view;
    this.outlines.setAttribute("viewBox", `-0.5 -0.5 ${columns} ${rows}`);
    this.outlines.setAttribute("preserveAspectRatio", "none");
    this.outlines.replaceChildren(...structures.map(({ name, contours, number }) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", contours.map((line) => `M${line.join(" ")}Z`).join(""));
      path.setAttribute("class", `c${number % COLOURS}`);
      path.dataset.name = name;
      return path;
    }));
  }

  light(name) {
    for (const path of this.outlines.children) path.classList.toggle("lit", path.dataset.name === name);
  }

  setOverlay(shown, opacity) {
    for (const layer of [this.heat, this.outlines]) {
      layer.style.opacity = String(opacity);
      layer.style.visibility = shown ? "visible" : "hidden";
    }
  }
}

export const drawRamp = (canvas, opacity) => {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, 1);
  for (let place = 0; place < canvas.width; place += 1) {
    const warmth = place / (canvas.width - 1);
    image.data.set([...inferno(warmth), 255 * opacity(warmth)], 4 * place);
  }
  context.putImageData(image, 0, 0);
};
