// SPDX-License-Identifier: Apache-2.0
// Whether all is well, in words, and what to do where it is not. A problem is {level, short, what,
// why, act}: "bad" makes the daemon not ready or loses something, and `short` of it is for the
// headline; "warn" wants to be looked at.
import { bytes, count, duration } from "./text.js";

const TOLD = /^(stream |database|the spool|stopping)/; // reasons that are told from the figures below

function streamProblem(s, tokens) {
  const token = tokens.find((t) => t.last_error && t.state !== "valid");
  const why = s.last_error ?? s.sentence;
  const short = `stream ${s.name} is not connected`;
  if (s.state === "stopped")
    return { level: "bad", short, what: `Stream ${s.name} is stopped`, why,
             act: "The far side ended it with a normal close, and streams.*.on_normal_close says to stop then. Restart cxsink to connect again." };
  if (s.state === "token" && token)
    return { level: "bad", short, what: `Stream ${s.name} waits for a token`, why: token.last_error,
             act: `Look at auth.${token.auth}: "cxsink check --connect" shows what the token endpoint answers. cxsink keeps trying.` };
  const refused = /\b40[13]\b/.test(why);
  return { level: "bad", short, what: `Stream ${s.name} is not connected (${s.state})`, why,
           act: refused ? "CXone refuses the token: look at the client, its scope, and the stream's id. cxsink fetches another token and tries again."
                        : "cxsink keeps trying by itself. If it lasts, look at the network, and at the stream's url with \"cxsink check --connect\"." };
}

const DATABASE_ACTS = {
  blocked: "\"cxsink check --connect\" says what is wrong, and prints the SQL that mends a table. Events wait in the spool; cxsink tries again by itself.",
  stopped: "It ends with cxsink.",
};
const DATABASE_AWAY = "Look whether PostgreSQL runs and can be reached from here. Events wait in the spool, and nothing is lost; cxsink tries again by itself.";

function databaseProblems(d) {
  const problems = [];
  if (d.state !== "ready") {
    const verb = d.state === "blocked" ? "PostgreSQL refuses to store events" : "The database cannot be written to";
    problems.push({ level: "bad", short: verb.replace("The", "the"), what: `${verb} (${d.state})`, why: d.trouble ?? "There is no answer yet.",
                    act: DATABASE_ACTS[d.state] ?? DATABASE_AWAY });
  } else if (d.waiting_seconds >= 3) {
    problems.push({ level: "bad", short: "PostgreSQL does not answer",
                    what: "PostgreSQL does not answer: a batch has been under way for " + duration(d.waiting_seconds),
                    act: "Look for locks (pg_stat_activity, wait_event_type Lock), for a full disk, and at the network." });
  }
  return problems;
}

// How long the room that is left lasts, at the rate of the last minute.
function roomLeft(spool, perSecond) {
  const seconds = (spool.max_bytes - spool.bytes) / perSecond;
  return perSecond > 0 && seconds < 30 * 86400 ? ` At the rate of the last minute there is room for ${duration(seconds)}.` : "";
}

function spoolProblems(spool, perSecond) {
  const problems = [];
  const share = spool.max_bytes ? spool.bytes / spool.max_bytes : 0;
  if (spool.no_space)
    problems.push({ level: "bad", short: "the spool's file system is full", what: "The spool's file system is full", act: "Make room on the file system of state_dir." });
  else if (spool.write_failing)
    problems.push({ level: "bad", short: "the spool cannot be written", what: "The spool cannot be written", act: "Look at the disk of state_dir and at cxsink's log." });
  if (spool.full || share >= 0.9)
    problems.push({ level: "bad", short: "the spool is full, or nearly so",
                    what: `The spool is ${spool.full ? "full" : Math.round(share * 100) + " % full"}: ${bytes(spool.bytes)} of ${bytes(spool.max_bytes)}`,
                    act: "The database is away, or slower than the streams: that is to be mended. spool.max_bytes may be raised by a reload." });
  else if (share >= 0.5)
    problems.push({ level: "warn", what: `The spool is filling: ${bytes(spool.bytes)} of ${bytes(spool.max_bytes)}`,
                    act: "The database is away, or slower than the streams." + roomLeft(spool, perSecond) });
  if (spool.dropped > 0)
    problems.push({ level: "warn", what: `${count(spool.dropped)} events were dropped since the start, because the spool was full`,
                    act: "spool.when_full says so. The audit log below has each time." });
  if (spool.corrupt > 0)
    problems.push({ level: "warn", what: `${count(spool.corrupt)} damaged places of the spool were skipped`,
                    act: "Look at the disk; \"cxsink spool verify\" lists them." });
  return problems;
}

function tokenProblems(tokens, streams) {
  const told = streams.some((s) => s.state === "token");
  return tokens.filter((t) => t.last_error && t.state !== "valid" && !told).map((t) => (
    { level: "warn", what: `There is no token for ${t.auth}`, why: t.last_error, act: `Look at auth.${t.auth}; cxsink keeps trying.` }));
}

function jobProblems(jobs) {
  const problems = [];
  if (jobs.last_error && !jobs.connected)
    problems.push({ level: "warn", what: "The job queue cannot be reached", why: jobs.last_error, act: "Jobs wait; it is tried again by itself." });
  for (const api of jobs.apis ?? []) {
    if (api.breaker !== "closed")
      problems.push({ level: "warn", what: `The API ${api.name} failed ${count(api.failures)} times in a row; its jobs wait`,
                      act: "No attempt of theirs is used up. \"cxsink jobs list --state queued\" lists them; \"cxsink jobs show ID\" tells the answers." });
  }
  return problems;
}

function rejectProblem(rejected) {
  if (!rejected) return [];
  return [{ level: "warn", what: `${count(rejected)} ${rejected === 1 ? "event" : "events"} of the last 15 minutes ${rejected === 1 ? "is a dead letter" : "are dead letters"}`,
            act: "\"cxsink dead list\" says why; mend the schema or the table, then \"cxsink dead replay\"." }];
}

// lately: {rejected, bytesPerSecond}
export function problems(status, lately) {
  const found = [];
  if (status.state === "stopping")
    found.push({ level: "warn", what: "cxsink is stopping", act: "It closes the streams and stores what was received." });
  found.push(...databaseProblems(status.database), ...spoolProblems(status.spool, lately.bytesPerSecond));
  for (const s of status.streams)
    if (!s.connected && status.state !== "stopping") found.push(streamProblem(s, status.tokens));
  found.push(...tokenProblems(status.tokens, status.streams));
  for (const reason of status.reasons) if (!TOLD.test(reason)) found.push({ level: "bad", short: reason, what: reason, act: "" });
  if (status.jobs) found.push(...jobProblems(status.jobs));
  found.push(...rejectProblem(lately.rejected));
  return found.sort((a, b) => (a.level === "bad" ? 0 : 1) - (b.level === "bad" ? 0 : 1));
}

export function headline(found) {
  const bad = found.filter((p) => p.level === "bad");
  if (bad.length > 0) return { level: "bad", text: `Not well: ${bad[0].short}${bad.length > 1 ? `, and ${bad.length - 1} more` : ""}` };
  if (found.length > 0) return { level: "warn", text: "Working, with something to look at" };
  return { level: "good", text: "All is well" };
}
