// SPDX-License-Identifier: Apache-2.0
// A chart of a few lines over the time, as SVG; pointer and arrow keys read single samples.
import { clock, make, mark, say } from "./text.js";

const HEIGHT = 170, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 20;
// Seconds: how far back it goes, how little it shows of a daemon that just started, from a sample to
// the next, and how far more two are apart that no line joins.
const RANGES = {
  seconds: { span: 900, least: 120, step: 1, gap: 15 },
  minutes: { span: 86400, least: 3600, step: 60, gap: 180 },
};
const TICKS = [15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200];
const TICK_WIDTH = 85;

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// The least of 1, 2, 5, 10, 20... that lets three or four rules reach the top.
function step(top) {
  const power = 10 ** Math.floor(Math.log10(top / 3));
  return power * [1, 2, 5, 10].find((n) => n * power * 4 >= top);
}

export class Chart {
  // lines: [{column, name, kind: "one" | "two" | "three", area, sparse, peak}]; show(value) is its text, axis(value)
  // a short one; least: what the axis reaches at least.
  constructor(box, { title, lines, show, axis, least }) {
    Object.assign(this, { title, lines, show, axis, least, samples: [], range: "seconds", cursor: null });
    this.legend = make("div", { class: "legend" });
    this.figures = lines.map((line) => {
      const figure = make("b");
      const swatch = svg("svg", { viewBox: "0 0 20 8", "aria-hidden": "true" },
        svg("path", { class: `line ${line.kind}`, d: "M1 4H19" }));
      this.legend.append(make("span", {}, swatch, figure, " " + line.name));
      return figure;
    });
    this.when = make("span", { class: "when" });
    this.legend.append(this.when);
    this.plot = svg("svg", { class: "plot", role: "slider", tabindex: "0", "aria-label": title });
    box.append(make("article", { class: "card chart" }, make("h3", {}, title), this.legend, this.plot));
    this.build();
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  build() {
    this.back = svg("g", { "aria-hidden": "true" });
    this.areas = this.lines.map((line) => line.area ? svg("path", { class: `area ${line.kind}` }) : null);
    this.paths = this.lines.map((line) => svg("path", { class: `line ${line.kind}` }));
    this.rule = svg("path", { class: "cursor" });
    this.plot.append(this.back, ...this.areas.filter(Boolean), ...this.paths, this.rule);
  }

  listen() {
    const leave = () => { this.cursor = null; this.tell(); };
    this.plot.addEventListener("pointermove", (event) => {
      const box = this.plot.getBoundingClientRect();
      this.point(this.start + (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * this.span);
    });
    this.plot.addEventListener("pointerleave", leave);
    this.plot.addEventListener("blur", leave);
    this.plot.addEventListener("keydown", (event) => {
      const far = Math.max(1, Math.round(this.samples.length / 15));
      const moves = { ArrowLeft: -1, ArrowRight: 1, PageDown: -far, PageUp: far, Home: -1e6, End: 1e6 };
      if (event.key === "Escape") leave();
      if (!(event.key in moves) || this.samples.length === 0) return;
      event.preventDefault();
      const last = this.samples.length - 1;
      const at = this.cursor === null ? last + 1 : this.place();
      this.cursor = this.samples[Math.min(last, Math.max(0, at + moves[event.key]))].at;
      this.tell();
    });
  }

  // The index of the sample under the cursor.
  place() {
    let best = 0;
    this.samples.forEach((sample, i) => {
      if (Math.abs(sample.at - this.cursor) < Math.abs(this.samples[best].at - this.cursor)) best = i;
    });
    return best;
  }

  point(at) {
    if (this.samples.length === 0) return;
    this.cursor = at;
    this.cursor = this.samples[this.place()].at;
    this.tell();
  }

  set(samples, range, now) {
    const oldest = now - RANGES[range].span;
    const kept = samples.filter((sample) => sample.at > oldest);
    const start = Math.max(oldest, Math.min(kept[0]?.at ?? now, now - RANGES[range].least));
    Object.assign(this, { samples: kept, range, start, span: now - start });
    this.draw();
  }

  x(at) {
    return LEFT + (at - this.start) / this.span * (this.width - LEFT - RIGHT);
  }

  y(value) {
    return TOP + (1 - value / this.top) * (HEIGHT - TOP - BOTTOM);
  }

  draw() {
    this.width = this.plot.clientWidth;
    if (!this.width || this.start === undefined) return;
    let most = this.least;
    for (const sample of this.samples)
      for (const line of this.lines) most = Math.max(most, sample[line.column] ?? 0);
    this.unit = step(most);
    this.top = Math.ceil(most / this.unit) * this.unit;
    mark(this.plot, "viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.drawAxes();
    this.lines.forEach((line, i) => {
      const [path, area] = this.trace(line);
      mark(this.paths[i], "d", path);
      if (this.areas[i]) mark(this.areas[i], "d", area);
    });
    this.tell();
  }

  drawAxes() {
    const parts = [];
    for (let value = 0; value <= this.top * 1.001; value += this.unit) {
      const y = this.y(value).toFixed(1);
      parts.push(svg("path", { class: "rule", d: `M${LEFT} ${y}H${this.width - RIGHT}` }));
      parts.push(svg("text", { x: LEFT - 6, y: +y + 3.5, "text-anchor": "end" }, this.axis(value)));
    }
    const room = (this.width - LEFT - RIGHT) / TICK_WIDTH;
    const every = TICKS.find((tick) => this.span / tick <= room) ?? TICKS.at(-1);
    const zone = new Date().getTimezoneOffset() * 60;
    const first = Math.ceil((this.start - zone) / every) * every + zone;
    for (let at = first; at <= this.start + this.span; at += every) {
      const x = this.x(at);
      if (x < LEFT + 14 || x > this.width - RIGHT - 14) continue;
      parts.push(svg("text", { x: x.toFixed(1), y: HEIGHT - 5, "text-anchor": "middle" }, clock(at * 1000, every < 60)));
    }
    this.back.replaceChildren(...parts);
  }

  // No more points than there is room for: the mean of those that share one, of a peak the most. They
  // share it by the clock, so that a line does not tremble as it moves.
  thin({ column, sparse, peak }) {
    const length = Math.ceil(this.samples.length / ((this.width - LEFT - RIGHT) / 2)) * RANGES[this.range].step;
    const groups = new Map();
    for (const { at, [column]: value } of this.samples) {
      if (value === null || value === undefined || (sparse && value === 0)) continue;
      const slot = Math.floor(at / length);
      if (!groups.has(slot)) groups.set(slot, { at, values: [] });
      groups.get(slot).values.push(value);
    }
    const points = [...groups.values()].map(({ at, values }) => (
      { at, value: peak ? Math.max(...values) : values.reduce((sum, v) => sum + v, 0) / values.length }));
    return [points, length];
  }

  // The line, and the area under it: pieces, since nothing is drawn over what is not known. A piece
  // of one sample is a dot. Of a sparse line nothing is drawn where it is zero.
  trace(line) {
    const [points, length] = this.thin(line);
    const gap = RANGES[this.range].gap + length;
    const pieces = [];
    let last = -Infinity;
    for (const { at, value } of points) {
      if (at - last > gap) pieces.push([]);
      pieces.at(-1).push([this.x(at).toFixed(1), this.y(value).toFixed(1)]);
      last = at;
    }
    const floor = this.y(0).toFixed(1);
    const joined = (piece) => piece.map((xy) => xy.join(" ")).join("L");
    const dot = ([[x, y]]) => `M${x - 1.5} ${y}a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0`;
    const path = pieces.map((piece) => piece.length === 1 ? dot(piece) : "M" + joined(piece));
    const area = pieces.map((piece) => piece.length === 1 ? "" :
      `M${piece[0][0]} ${floor}L${joined(piece)}L${piece.at(-1)[0]} ${floor}Z`);
    return [path.join(""), area.join("")];
  }

  // The figures of the cursor's sample, else the newest ones.
  tell() {
    const last = this.samples.length - 1;
    const index = this.cursor === null ? last : this.place();
    const sample = this.samples[index];
    this.lines.forEach((line, i) => say(this.figures[i], sample ? this.show(sample[line.column] ?? null) : "–"));
    const at = sample && this.cursor !== null;
    say(this.when, at ? clock(sample.at * 1000, this.range === "seconds") : "");
    mark(this.rule, "d", at ? `M${this.x(sample.at).toFixed(1)} ${TOP}V${HEIGHT - BOTTOM}` : "");
    mark(this.plot, "aria-valuemin", "0");
    mark(this.plot, "aria-valuemax", String(Math.max(0, last)));
    mark(this.plot, "aria-valuenow", String(Math.max(0, index)));
    mark(this.plot, "aria-valuetext", sample ? this.sentence(sample) : "nothing yet");
  }

  sentence(sample) {
    const told = this.lines.map((line) => `${line.name} ${this.show(sample[line.column] ?? null)}`);
    return `${clock(sample.at * 1000, this.range === "seconds")}: ${told.join(", ")}`;
  }
}
