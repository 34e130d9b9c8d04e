// SPDX-License-Identifier: Apache-2.0
// Figures, times and elements as text; nothing here is ever parsed as HTML.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function count(n) {
  return whole.format(n ?? 0);
}

// Large figures for axes: 12k, 3.4M.
export function short(n) {
  const steps = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
  const step = steps.find(([size]) => n >= size * 10 || (n >= size && n % size === 0) || n >= size * 1.0001);
  return step ? tenth.format(n / step[0]) + step[1] : tenth.format(n);
}

export function rate(n) {
  if (n === null || n === undefined) return "–";
  return n >= 100 || n === 0 ? whole.format(n) : n >= 0.05 ? tenth.format(n) : "<0.1";
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.001) return seconds === 0 ? "0 ms" : "<1 ms";
  if (seconds < 0.01) return tenth.format(seconds * 1000) + " ms";
  if (seconds < 1) return whole.format(seconds * 1000) + " ms";
  if (seconds < 10) return tenth.format(seconds) + " s";
  if (seconds < 90) return whole.format(seconds) + " s";
  if (seconds < 5400) return whole.format(seconds / 60) + " min";
  if (seconds < 172800) return tenth.format(seconds / 3600) + " h";
  return tenth.format(seconds / 86400) + " d";
}

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
  return (unit ? tenth : whole).format(n) + " " + units[unit];
}

export function clock(ms, seconds = true) {
  const form = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (seconds) form.second = "2-digit";
  return new Date(ms).toLocaleTimeString("en-GB", form);
}

// Today: the time alone.
export function moment(iso) {
  const date = new Date(iso);
  const today = date.toDateString() === new Date().toDateString();
  const day = today ? "" : date.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) + ", ";
  return day + clock(date);
}

export function ago(iso, now) {
  if (!iso) return "none yet";
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  return seconds < 2 ? "just now" : duration(Math.floor(seconds)) + " ago";
}

// --- elements ---

export const by = (id) => document.getElementById(id);

// Changes nothing that is so already: a screen reader would read it again, a selection be lost.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// make("p", {class: "x"}, "text", child...)
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const badge = (text, level) => ({ text, level });

// Fills a cell with text, or {text, small, level, title, code}.
function fill(cell, value) {
  const v = typeof value === "object" && value !== null ? value : { text: value };
  const key = JSON.stringify(v);
  if (cell.dataset.key === key) return;
  cell.dataset.key = key;
  const inner = make("div");
  if (v.level) inner.append(make("span", { class: "badge", "data-level": v.level }, String(v.text)));
  else if (v.code) inner.append(make("code", {}, String(v.text)));
  else inner.append(String(v.text));
  if (v.small) inner.append(make("small", {}, v.small));
  if (v.title) inner.title = v.title;
  cell.replaceChildren(inner);
}

// columns: [name, class]; rows: arrays of values. Rows and cells that are there are used again. The
// roles keep it a table where the narrow screen's style makes blocks of it.
export function table(box, columns, rows, empty) {
  if (rows.length === 0) {
    if (box.dataset.empty !== empty) box.replaceChildren(make("p", { class: "empty" }, empty));
    box.dataset.empty = empty;
    return;
  }
  if (!box.querySelector("table")) {
    delete box.dataset.empty;
    const head = make("tr", { role: "row" }, ...columns.map(([name, kind]) =>
      make("th", { scope: "col", role: "columnheader", class: kind ?? "" }, name)));
    box.replaceChildren(make("table", { role: "table", "aria-labelledby": `${box.id}-title` },
      make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" })));
  }
  const body = box.querySelector("tbody");
  while (body.rows.length > rows.length) body.lastChild.remove();
  rows.forEach((row, i) => {
    const line = body.rows[i] ?? body.appendChild(make("tr", { role: "row" }, ...columns.map(([name, kind]) =>
      make("td", { role: "cell", class: kind ?? "", "data-label": name }))));
    row.forEach((value, j) => fill(line.cells[j], value));
  });
}

// pairs: [name, value] of a dl.
export function facts(list, pairs, wrap = false) {
  if (list.querySelectorAll("dt").length !== pairs.length) {
    list.replaceChildren(...pairs.flatMap(() => {
      const both = [make("dt"), make("dd")];
      return wrap ? [make("div", {}, ...both)] : both;
    }));
  }
  const terms = list.querySelectorAll("dt"), values = list.querySelectorAll("dd");
  pairs.forEach(([name, value], i) => {
    say(terms[i], name);
    fill(values[i], value);
  });
}
