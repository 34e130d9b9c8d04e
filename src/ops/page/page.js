// SPDX-License-Identifier: Apache-2.0
// The connection to /api/live, and what is kept of what comes over it.
import { by, clock, say } from "./text.js";
import { show } from "./view.js";

const SILENCE_MS = 5000; // a snapshot comes every second
const KEEP = { seconds: 900, minutes: 1440, audit: 100 };
const WRONG_TOKEN = 4401;

const state = { history: { seconds: [], minutes: [] }, audit: [], status: null, previous: null };
let socket = null, silence = 0, tries = 0, lostAt = null;

// --- what comes ---

function append(list, more, keep) {
  list.push(...more);
  if (list.length > keep) list.splice(0, list.length - keep);
}

// A snapshot brings what is new since the last one; the first of a connection brings everything.
function take(snapshot, first) {
  if (first) Object.assign(state, { history: { seconds: [], minutes: [] }, audit: [], previous: null });
  const { columns } = snapshot.history;
  for (const length of ["seconds", "minutes"]) {
    const samples = snapshot.history[length].map((row) => Object.fromEntries(row.map((v, i) => [columns[i], v])));
    append(state.history[length], samples, KEEP[length]);
  }
  append(state.audit, snapshot.audit, KEEP.audit);
  state.previous = state.status;
  state.status = snapshot.status;
}

// --- the connection ---

function linked(level, text) {
  by("link").dataset.level = level;
  say(by("link-text"), text);
}

function lost(reason) {
  lostAt ??= Date.now();
  document.body.classList.add("stale");
  const text = `No connection to cxsink since ${clock(lostAt)}, retrying`;
  linked("bad", "no connection");
  by("headline").hidden = false;
  by("headline").dataset.level = "bad";
  say(by("headline-text"), text);
  say(by("headline-more"), reason || (state.status ? "What is shown below was so then." : ""));
  by("problems").replaceChildren();
  document.title = `cxsink: no connection`;
  setTimeout(connect, Math.min(10000, 500 * 2 ** tries++) * (0.5 + Math.random() / 2));
}

function login(wrong) {
  by("data").hidden = by("headline").hidden = by("links").hidden = true;
  by("login").hidden = false;
  say(by("login-error"), wrong ? "This token is wrong." : "");
  linked("wait", "waiting for the token");
  document.title = "cxsink: token wanted";
  by("token").value = "";
  by("token").focus();
}

function quiet() {
  clearTimeout(silence);
  silence = setTimeout(() => end(socket, ""), SILENCE_MS);
}

// Once a connection, whatever ended it: events of it that come later are of no interest.
function end(which, reason, code) {
  if (which !== socket) return;
  socket = null;
  clearTimeout(silence);
  which.close();
  const token = sessionStorage.getItem("cxsink-token");
  if (code !== WRONG_TOKEN) return lost(reason);
  sessionStorage.removeItem("cxsink-token");
  login(token !== null);
}

function arrived(snapshot, first) {
  take(snapshot, first);
  quiet();
  tries = 0;
  lostAt = null;
  document.body.classList.remove("stale");
  linked("good", "live");
  by("login").hidden = true;
  by("data").hidden = by("headline").hidden = false;
  by("forget").hidden = sessionStorage.getItem("cxsink-token") === null;
  by("links").hidden = !by("forget").hidden; // a browser sends no token with a link
  show(state);
}

function connect() {
  const url = new URL("api/live", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const mine = socket = new WebSocket(url);
  let first = true;
  quiet();
  mine.onopen = () => mine.send(JSON.stringify({ token: sessionStorage.getItem("cxsink-token") }));
  mine.onclose = (event) => end(mine, event.reason, event.code);
  mine.onmessage = (event) => {
    if (mine !== socket) return;
    arrived(JSON.parse(event.data), first);
    first = false;
  };
}

by("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("cxsink-token", by("token").value);
  by("token").value = "";
  connect();
});
by("forget").addEventListener("click", () => {
  sessionStorage.removeItem("cxsink-token");
  location.reload();
});
connect();
