// SPDX-License-Identifier: Apache-2.0
// The events of the audit log: when each comes, and its members. config/audit.md is printed from
// this table (CXSINK_REGENERATE=1 build/unit/ops/audit_event_test); a test holds that the sources
// write these and no others.
#ifndef CXSINK_OPS_AUDIT_EVENT_H
#define CXSINK_OPS_AUDIT_EVENT_H

#include "core/buf.h"
#include "core/log_event.h"

// clang-format off
// name, the message (core/log_event.h) that its line in the log is, when it comes, members
#define AUDIT_EVENTS(X) \
    X("daemon.started", NONE, \
      "The daemon is up.", \
      "version, config (its path)") \
    X("daemon.stopping", NONE, \
      "A signal asked it to stop; it drains.", \
      "signal, pid and uid of the sender") \
    X("daemon.stopped", NONE, \
      "It ends in good order. Without this before the next daemon.started it was " \
      "killed.", \
      "") \
    X("config.reload", NONE, \
      "SIGHUP: the configuration, schemas and credentials were read again.", \
      "result (taken, refused), pid and uid of the sender") \
    X("stream.connected", STREAM_UP, \
      "A stream is connected.", \
      "stream") \
    X("stream.disconnected", STREAM_ENDED, \
      "A connected stream is not any more.", \
      "stream, code (close code or cause), detail, next") \
    X("stream.held", NONE, \
      "More of a stream's events would have been refused than its reject_guard allows; " \
      "they stay in the spool.", \
      "stream, refused, events (of so many), reason") \
    X("stream.resumed", NONE, \
      "A held stream goes on.", \
      "stream, by (reload, the spool, who asked), accept (true: what is refused becomes " \
      "dead letters)") \
    X("control.asked", NONE, \
      "A change was asked for over the control socket.", \
      "what, uid, gid and pid of who asked") \
    X("token.refreshed", NONE, \
      "A token was fetched.", \
      "auth, detail") \
    X("token.failed", NONE, \
      "A token could not be fetched.", \
      "auth, detail") \
    X("token.scope", NONE, \
      "A token lacks a part of the scope that was asked for.", \
      "auth, detail (which part)") \
    X("token.lifetime", NONE, \
      "A token does not tell its life; default_expires_in is taken.", \
      "auth, detail") \
    X("spool.dropped", NONE, \
      "The spool is full and when_full says to drop: the first event, and then about " \
      "each thousandth. The counter cxsink_events_dropped_total has each.", \
      "stream, policy, total") \
    X("spool.corrupt", NONE, \
      "Damaged bytes were skipped.", \
      "file, where, what") \
    X("spool.write_failed", NONE, \
      "The spool cannot be written; streams pause.", \
      "error") \
    X("spool.recovered", SPOOL_RECOVERED, \
      "It can be written again.", \
      "") \
    X("spool.lost", NONE, \
      "Received events could not be written before the end.", \
      "events, error") \
    X("database.state", NONE, \
      "The database takes writes, takes none, or needs a person.", \
      "from, to, reason") \
    X("dead.replay", NONE, \
      "`cxsink dead replay` begins.", \
      "stream, count, which, reason, since, until, limit, ids, user") \
    X("dead.replayed", NONE, \
      "It has ended.", \
      "replayed, refused, user") \
    X("dead.purge", NONE, \
      "`cxsink dead purge` begins.", \
      "stream, count, which, reason, since, until, limit, ids, user") \
    X("dead.purged", NONE, \
      "It has ended.", \
      "deleted, never_replayed, user") \
    X("job.queued", NONE, \
      "A job was put on the queue: by the configuration, a file, a command, SQL.", \
      "job, kind, action, source") \
    X("job.requeue", NONE, \
      "`cxsink jobs retry`: a job that has ended is queued again.", \
      "job, outcome, user") \
    X("job.cancel", NONE, \
      "`cxsink jobs cancel`.", \
      "job, outcome, user") \
    X("job.running", NONE, \
      "An attempt begins.", \
      "job, kind, action, trace_id, remote_id, attempt, correlationId; of execute " \
      "mimeType, originalSize, encodedSize; of publish version, environment, checksum") \
    X("job.polling", NONE, \
      "The far side took an invocation; its result is asked for.", \
      "job, kind, action, trace_id, remote_id, attempt, correlationId; of execute " \
      "mimeType, originalSize, encodedSize; of publish version, environment, checksum") \
    X("job.retry", NONE, \
      "An attempt that was sent failed, and another one comes.", \
      "the same, status (of HTTP), detail") \
    X("job.restoring", NONE, \
      "A publish failed after it was sent; the state of before is put back.", \
      "job, kind, action, trace_id, remote_id, attempt, correlationId; of execute " \
      "mimeType, originalSize, encodedSize; of publish version, environment, checksum") \
    X("job.succeeded", NONE, \
      "A job has ended.", \
      "the same, status, latency_ms") \
    X("job.failed", NONE, \
      "A job has ended.", \
      "the same, status, latency_ms, detail") \
    X("job.cancelled", NONE, \
      "A job has ended.", \
      "the same, status, latency_ms, detail") \
    X("api.held", NONE, \
      "An API said 429; nothing is sent to it for a time.", \
      "api, detail") \
    X("breaker.open", BREAKER_OPEN, \
      "Requests to an API failed in a row; its jobs wait.", \
      "api, detail") \
    X("breaker.closed", BREAKER_CLOSED, \
      "It answers again.", \
      "api") \
    X("notification.delivered", NONE, \
      "A job's end was told to notify_url or webhook_url.", \
      "job, action") \
    X("notification.failed", NONE, \
      "It was not, and is given up.", \
      "job, action, detail") \
    X("audit.rotated", NONE, \
      "First line of a new file.", \
      "file (the one before), last (its last hash)") \
    X("audit.removed", NONE, \
      "An old file was deleted, as audit.keep says.", \
      "file") \
    X("audit.torn", NONE, \
      "The line before it is a part of one, left by a crash.", \
      "") \
    X("audit.missed", NONE, \
      "Events could not be written; they are in the journal alone.", \
      "events (how many)") \
    X("audit.truncated", NONE, \
      "The file is shorter than this process left it.", \
      "from, to (bytes)") \
    X("audit.key", NONE, \
      "From here on the lines have another key, or none.", \
      "before (its id, or none)")
// clang-format on

// The message of an event; LOG_ID_COUNT: it has none.
enum log_id audit_event_message(const char *event);
// config/audit.md.
void audit_event_print(struct buf *out);

#endif
