// SPDX-License-Identifier: Apache-2.0
// Puts what is known onto the page: headline, charts, tables.
import { Chart } from "./chart.js";
import { ago, badge, by, bytes, clock, count, duration, facts, make, mark, moment, rate, say, short, table } from "./text.js";
import { headline, problems } from "./verdict.js";

const CHARTS = [
  { title: "Events a second", show: rate, axis: short, least: 4, lines: [
    { column: "received", name: "received", kind: "one", area: true },
    { column: "committed", name: "committed", kind: "two" },
    { column: "rejected", name: "rejected", kind: "three", sparse: true, peak: true }] },
  { title: "Commit latency, from frame to COMMIT", show: duration, axis: duration, least: 0.02, lines: [
    { column: "p50", name: "median", kind: "one", area: true },
    { column: "p99", name: "99th percentile", kind: "two", peak: true }] },
  { title: "Events waiting in the spool", show: count, axis: short, least: 4, lines: [
    { column: "spool_events", name: "not yet committed", kind: "one", area: true, peak: true }] },
  { title: "Database batches a second", show: rate, axis: short, least: 4, lines: [
    { column: "batches", name: "committed", kind: "one", area: true },
    { column: "retries", name: "tried again", kind: "three", sparse: true, peak: true }] },
];
const charts = CHARTS.map((chart) => new Chart(by("charts"), chart));

// The last of `n` seconds, as a mean or a sum.
function lately(state, column, n) {
  const samples = state.history.seconds.slice(-n);
  return { sum: samples.reduce((sum, s) => sum + s[column], 0), length: samples.length };
}

// --- the headline ---

function describeStored(state, now) {
  const events = lately(state, "committed", 10);
  const sample = state.history.seconds.findLast((s) => s.p99 !== null && s.at > now / 1000 - 60);
  const rated = `${rate(events.length ? events.sum / events.length : 0)} events a second stored`;
  return sample && events.sum ? [rated, `99 % of them within ${duration(sample.p99)}`] : [rated];
}

function describe(state, now) {
  const { status } = state;
  const live = status.streams.filter((s) => s.connected).length;
  const parts = [`${live} of ${status.streams.length} ${status.streams.length === 1 ? "stream" : "streams"} connected`];
  if (status.database.state === "ready") parts.push(...describeStored(state, now));
  if (status.spool.events > 1000 || status.database.state !== "ready") parts.push(`${count(status.spool.events)} events wait in the spool`);
  return parts.join(", ") + ".";
}

function bytesPerSecond(state) {
  const samples = state.history.seconds.slice(-60);
  if (samples.length < 2) return 0;
  const first = samples[0], last = samples.at(-1);
  return (last.spool_bytes - first.spool_bytes) / (last.at - first.at);
}

// Commands stand in quotes.
function advise(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(...text.split(/"(cxsink [^"]+)"/).map((part, i) => i % 2 ? make("code", {}, part) : part));
}

function showHeadline(state, now) {
  const { status } = state;
  const rejected = Math.round(lately(state, "rejected", 900).sum);
  const found = problems(status, { rejected, bytesPerSecond: bytesPerSecond(state) });
  const { level, text } = headline(found);
  mark(by("headline"), "data-level", level);
  say(by("headline-text"), text);
  say(by("headline-more"), describe(state, now));
  const list = by("problems");
  while (list.children.length > found.length) list.lastChild.remove();
  found.forEach((problem, i) => {
    const item = list.children[i] ?? list.appendChild(make("li", {}, make("strong"), make("p"), make("p")));
    mark(item, "data-level", problem.level);
    say(item.children[0], problem.what);
    say(item.children[1], problem.why ?? "");
    advise(item.children[2], problem.act);
  });
  document.title = level === "good" ? "cxsink: all is well" : `cxsink: ${text}`;
}

// --- streams, database, spool ---

function perSecond(state, s) {
  const before = state.previous?.streams.find((p) => p.name === s.name);
  const seconds = (Date.parse(state.status.now) - Date.parse(state.previous?.now)) / 1000;
  return before && seconds > 0 ? Math.max(0, s.received - before.received) / seconds : null;
}

const STREAM_COLUMNS = [["Stream"], ["State"], ["Events a second", "number"], ["Received", "number"],
  ["Committed", "number"], ["Rejected", "number"], ["Median latency", "number"], ["99 % latency", "number"], ["Last event", "number time"]];

function showStreams(state, now) {
  table(by("streams"), STREAM_COLUMNS, state.status.streams.map((s) => {
    const level = s.state === "live" ? "good" : s.connected ? "warn" : "bad";
    const again = s.retry_in_seconds > 0 ? `, again in ${duration(Math.ceil(s.retry_in_seconds))}` : "";
    return [s.name, { text: s.state, level, small: s.state === "live" ? "" : s.sentence + again, title: s.last_error ?? s.sentence },
      rate(perSecond(state, s)), count(s.received), count(s.committed), count(s.rejected),
      duration(s.commit_p50_seconds), duration(s.commit_p99_seconds),
      { text: ago(s.last_event_at, now), title: s.last_event_at ?? "" }];
  }), "No stream is configured.");
}

function showDatabase(d) {
  const level = d.state === "ready" ? "good" : d.state === "connecting" || d.state === "preparing" ? "warn" : "bad";
  facts(by("database"), [
    ["State", badge(d.state, level)],
    ["Connections ready", `${count(d.connections_ready)} of ${count(d.connections)}`],
    ["Events in flight", count(d.events_in_flight)],
    ["Waiting for an answer", d.waiting_seconds > 0 ? duration(d.waiting_seconds) : "no"],
    ["Inserted", count(d.inserted)],
    ["Updated", count(d.updated)],
    ["Unchanged (older versions)", count(d.unchanged)],
    ["Dead letters", count(d.dead_letters)],
    ["Batches", count(d.batches)],
    ["Batches tried again", count(d.retries)],
  ]);
}

function showSpool(s) {
  const share = s.max_bytes ? s.bytes / s.max_bytes : 0;
  const level = share >= 0.9 ? "bad" : share >= 0.5 ? "warn" : "good";
  facts(by("spool"), [
    ["In use", badge(share > 0 && share < 0.01 ? "below 1 %" : `${Math.round(share * 100)} %`, level)],
    ["Events waiting", count(s.events)],
    ["Not yet on disk", count(s.pending)],
    ["Oldest", s.events ? duration(s.oldest_seconds) : "none"],
    ["Bytes", `${bytes(s.bytes)} of ${bytes(s.max_bytes)}`],
    ["Segments", count(s.segments)],
    ["Damaged places", count(s.corrupt)],
    ["Dropped when full", count(s.dropped)],
  ]);
}

// --- rejects, tokens, jobs, audit ---

const REASONS = [
  [/^frame\.too_large/, "larger than max_message"],
  [/^frame\.binary/, "a binary frame"],
  [/^json\.syntax/, "not JSON"],
  [/^json\.encoding/, "not valid UTF-8 or Unicode"],
  [/^json\.depth/, "nested too deep"],
  [/^json\.duplicate_member/, "a member twice"],
  [/^schema\.(pattern_)?limit/, "too much work for the schema"],
  [/^schema\./, "the schema refuses it"],
  [/^text\.nul/, "holds U+0000, which PostgreSQL cannot store"],
  [/^column\./, "the column cannot hold it"],
  [/^db\./, "PostgreSQL refused the row"],
  [/^stream\.unknown/, "its stream is not configured any more"],
];

function showRejects(rejects) {
  const rows = [...rejects].sort((a, b) => b.count - a.count).map((r) => [r.reason,
    REASONS.find(([form]) => form.test(r.reason))?.[1] ?? "", r.stream, count(r.count),
    { text: `cxsink dead list --stream ${r.stream} --reason ${r.reason}`, code: true }]);
  table(by("rejects"), [["Reason"], ["Which is"], ["Stream"], ["Events", "number"], ["To see them"]], rows,
    "None: every event became a row.");
}

function showTokens(tokens, now) {
  table(by("tokens"), [["Credential"], ["State"], ["Expires"], ["Last error"]], tokens.map((t) => {
    const left = t.expires_at ? (Date.parse(t.expires_at) - now) / 1000 : null;
    const level = t.state === "valid" ? "good" : t.last_error ? "bad" : "wait";
    const again = t.retry_in_seconds > 0 ? `again in ${duration(Math.ceil(t.retry_in_seconds))}` : "";
    return [t.auth, { text: t.state, level, small: again },
      left === null ? "–" : { text: left > 0 ? `in ${duration(left)}` : "expired", small: moment(t.expires_at) },
      t.last_error ?? "none"];
  }), "No stream needs a token.");
}

const BREAKERS = { closed: "good", "half-open": "warn", open: "bad" };

function showJobs(jobs) {
  by("jobs").hidden = !jobs;
  if (!jobs) return;
  facts(by("job-states"), Object.entries(jobs.states).map(([name, n]) => [name, count(n)]), true);
  table(by("actions"), [["Action"], ["Succeeded", "number"], ["Failed", "number"], ["Cancelled", "number"],
    ["Success", "number"], ["Average", "number"], ["Median", "number"], ["95 %", "number"], ["99 %", "number"]],
    jobs.actions.map((a) => {
      const runs = a.succeeded + a.failed;
      return [a.name, count(a.succeeded), count(a.failed), count(a.cancelled),
        runs ? `${rate(100 * a.succeeded / runs)} %` : "–", ...[a.average_seconds, a.p50_seconds, a.p95_seconds, a.p99_seconds].map(duration)];
    }), "No job has ended yet.");
  table(by("apis"), [["API"], ["Breaker"], ["Failures in a row", "number"], ["In flight", "number"], ["Waiting", "number"]],
    jobs.apis.map((a) => {
      const held = a.held_for_seconds > 0 ? `held back for ${duration(a.held_for_seconds)} (429 or rate limit)` : "";
      const open = a.open_for_seconds > 0 ? `tried again in ${duration(a.open_for_seconds)}` : "";
      return [a.name, { text: a.breaker, level: BREAKERS[a.breaker] ?? "wait", small: open || held },
        count(a.failures), count(a.in_flight), count(a.waiting)];
    }), "No API is configured.");
}

function showAudit(audit) {
  const rows = audit.toReversed().map(({ time, event, ...rest }) => {
    const details = Object.entries(rest).map(([name, value]) => `${name} ${value}`).join(", ");
    return [{ text: moment(time), title: time }, event, details];
  });
  table(by("audit"), [["Time", "time"], ["Event", "time"], ["Details"]], rows, "None yet.");
}

// --- all of it ---

function range() {
  return document.querySelector("input[name=range]:checked").value;
}

function showCharts(state) {
  const samples = state.history[range()];
  const now = Math.max(Date.parse(state.status.now) / 1000, samples.at(-1)?.at ?? 0);
  charts.forEach((chart) => chart.set(samples, range(), now));
}

let shown = null;
let drawnMinute = 0;

export function show(state) {
  shown = state;
  if (document.hidden) {
    showHeadline(state, Date.parse(state.status.now)); // for the title of the tab
    return;
  }
  const { status } = state;
  const now = Date.parse(status.now);
  say(by("instance"), `${status.version}, up ${duration((now - Date.parse(status.started_at)) / 1000)}`);
  showHeadline(state, now);
  // A chart of 24 hours changes once a minute.
  const minute = Math.floor(now / 60000);
  if (range() === "seconds" || minute !== drawnMinute) showCharts(state);
  drawnMinute = minute;
  showStreams(state, now);
  showDatabase(status.database);
  showSpool(status.spool);
  showRejects(status.rejects);
  showJobs(status.jobs);
  showTokens(status.tokens, now);
  showAudit(state.audit);
  say(by("about"), `Process ${status.pid}, started ${new Date(status.started_at).toLocaleString("en-GB")}, configuration ${status.config}. Times are of this browser's zone.`);
}

for (const choice of document.querySelectorAll("input[name=range]"))
  choice.addEventListener("change", () => shown && showCharts(shown));
document.addEventListener("visibilitychange", () => shown && !document.hidden && show(shown));
