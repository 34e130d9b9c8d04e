// SPDX-License-Identifier: Apache-2.0
// The messages that an operator may have to act on. Each has an identifier for good, which goes
// into the journal as MESSAGE_ID, and into JSON lines; systemd/cxsink.catalog, printed from this
// table, explains it (`journalctl -x`).
//
// A new one: a row here with a new id (`systemd-id128 new`), log_event(LOG_ID_NAME, ...) where it
// happens, and CXSINK_REGENERATE=1 build/unit/core/log_event_test. An id is never given to another
// message, and never changed.
#ifndef CXSINK_CORE_LOG_EVENT_H
#define CXSINK_CORE_LOG_EVENT_H

#include "core/buf.h"
#include "core/log.h"

// clang-format off
// name, level, id, subject, what happened, what to do
#define LOG_EVENTS(X) \
    X(STARTED, INFO, "193675b6b388439eb41882934baaaa10", \
      "cxsink is running", \
      "It has read its configuration, opened its spool and connects its streams and its " \
      "database now.", \
      "Nothing is to be done. `cxsink status` shows when all of it is ready.") \
    X(STOPPED, INFO, "0af2ec5211e74c90ac32a0343db724a9", \
      "cxsink has stopped", \
      "Everything it received is in PostgreSQL or in the spool.", \
      "Nothing is to be done; the next start goes on from there.") \
    X(START_FAILED, ERROR, "51a10f8935704d9692e713e5cffeb729", \
      "cxsink could not start", \
      "The message says what it could not open, and why. Nothing was received and " \
      "nothing is lost.", \
      "Mend what the message names; `cxsink check` looks at the whole configuration " \
      "without starting anything.") \
    X(CONFIG_FAULT, ERROR, "323b128184914165b6b6b59cec51d699", \
      "The configuration is faulty", \
      "The message names the file, the line and the setting, and says how to mend it. " \
      "There may be several of these lines, one a fault.", \
      "Mend the file, run `cxsink check`, then start or reload (SIGHUP) again.") \
    X(CONFIG_REFUSED, ERROR, "acaf6beaa8ab432eb09d1146b79e716c", \
      "A reload was refused, the old configuration stays in force", \
      "The new configuration or a schema is faulty, as the messages before this one " \
      "say. Everything goes on as it was.", \
      "Mend the file, run `cxsink check`, and reload again. A restart now would fail.") \
    X(CONFIG_RESTART, WARN, "2bc2ba17c27b445084031251b23576c8", \
      "Changed settings wait for a restart", \
      "The message names settings that a reload cannot take. The rest of the new " \
      "configuration is in force.", \
      "Restart cxsink at a good moment: what it received stays in the spool.") \
    X(STREAM_DOWN, WARN, "2f205ecba92b440f974672d84365e46f", \
      "A stream cannot connect", \
      "The message says why, and when the next attempt comes. CXone delivers again what " \
      "it could not, as far as it keeps it.", \
      "401 or 403: look at the credentials and the scope of the stream's `auth`. 404: " \
      "look at its `url`. A name or an address that cannot be reached: look at DNS, " \
      "firewall and proxy. `cxsink check --connect` tries token and TLS.") \
    X(STREAM_UP, INFO, "2a64d61ad1654593aa69922fc331583c", \
      "A stream is connected", \
      "Events are received.", \
      "Nothing is to be done.") \
    X(STREAM_ENDED, INFO, "3999703382294f79a790fcecc81aa2ac", \
      "A stream's connection has ended", \
      "The message has the close code, the far side's words, and when the next attempt " \
      "comes.", \
      "Nothing is to be done: it connects again by itself. Many of these in a row: look " \
      "at the network, and at the code in cxsink_stream_disconnects_total.") \
    X(TOKEN_FAILED, WARN, "e117c3192a7c41b98e812500cd9c3f23", \
      "A token could not be fetched", \
      "The token endpoint refused the credentials, or could not be reached; the message " \
      "says which. Streams and jobs that need the token wait.", \
      "Refused: mend `client_id`, `client_secret` or `scope` under the `auth` that the " \
      "message names, and reload. Not reached: it is tried again without end; look at " \
      "the network.") \
    X(TOKEN_ODD, WARN, "879e3784c3c447939f2605634f4a4d4c", \
      "A token is not what was asked for", \
      "It lacks a scope that was asked for, or does not tell its life. It is used all " \
      "the same.", \
      "Have the scope granted to the client, or ask for less in `auth.*.scope`; set " \
      "`auth.*.default_expires_in` where the endpoint tells no life.") \
    X(SPOOL_FULL, WARN, "0b1b58effa504656aa8890ccb64dc4e3", \
      "The spool is full, the stream pauses", \
      "PostgreSQL takes less than the stream brings, or is away. With `when_full` " \
      "\"block\" the socket is not read until there is room; nothing is lost here, but " \
      "CXone may give up waiting.", \
      "Look at the database first: `cxsink status`. Give the spool more room with " \
      "`spool.max_bytes`.") \
    X(SPOOL_ROOM, INFO, "111e539a1f124a06b392aec99e583dcc", \
      "The spool has room again, the stream goes on", \
      "What was held up is read now.", \
      "Nothing is to be done.") \
    X(SPOOL_DROPPED, WARN, "9c5e7f855426456e9d2fd3dba1faaea9", \
      "Events were dropped", \
      "The spool is full, and `when_full` says to drop rather than to wait. The events " \
      "are counted in cxsink_events_dropped_total and audited, and they are gone.", \
      "Look at the database: `cxsink status`. Give the spool more room with " \
      "`spool.max_bytes`, or set `spool.when_full` to \"block\".") \
    X(SPOOL_WRITE_FAILED, ERROR, "4c774490a8ed49799c98b362c63bf7f6", \
      "The spool cannot be written", \
      "The disk is full, or does not take writes. Streams pause; nothing that was " \
      "acknowledged is lost, and it is tried again every second.", \
      "Make room below `state_dir`, or mend the disk. cxsink goes on by itself.") \
    X(SPOOL_RECOVERED, INFO, "28bb58f8a46f4057a627eb2d77a6b9d1", \
      "The spool can be written again", \
      "The streams go on.", \
      "Nothing is to be done.") \
    X(SPOOL_READ_FAILED, ERROR, "27cf6818c81d41ed801e2038234756dd", \
      "The spool cannot be read", \
      "What it holds stays there; it is tried again every second.", \
      "Look at the disk and the permissions below `state_dir`; `cxsink spool verify` " \
      "checks every record.") \
    X(SPOOL_CORRUPT, ERROR, "6ef56561bce14c62a7f6c1f89bacbf02", \
      "A file of the spool is damaged", \
      "A part of it is not what was written: a failing disk, or another program wrote " \
      "to it. The damaged bytes are skipped, the records behind them are read.", \
      "Look at the disk. `cxsink spool verify` lists the places; events that stood " \
      "there are lost unless CXone delivers them again.") \
    X(SPOOL_LOST, ERROR, "6dfad2ad6d16488bb5f2f4008a69656d", \
      "Events were lost at the stop", \
      "They were taken off the sockets, and the disk did not take them before the end.", \
      "Make room below `state_dir`, or mend the disk. CXone may deliver them again " \
      "after a reconnect; the time of this message says which they are.") \
    X(DATABASE_DOWN, WARN, "07fec103c2a74825a1757eb13b2df0f9", \
      "PostgreSQL is not there", \
      "The connection was refused or lost, or the server is not ready. Events stay in " \
      "the spool meanwhile, and it is tried again without end.", \
      "Look at the server and the network; the message has the server's own words. " \
      "Watch cxsink_spool_bytes against `spool.max_bytes`.") \
    X(DATABASE_BLOCKED, ERROR, "560333f3586a43f79af4d34e71937189", \
      "PostgreSQL refuses, and needs a person", \
      "Credentials, permissions, a table or a column are not as cxsink needs them. " \
      "Events stay in the spool meanwhile.", \
      "`cxsink check --connect` compares the tables with the mapping and prints the SQL " \
      "that mends them. cxsink looks again by itself.") \
    X(DATABASE_READY, INFO, "884d05aa4ecb4887b18abb7b69fef8e0", \
      "PostgreSQL takes writes", \
      "What waits in the spool is written now.", \
      "Nothing is to be done.") \
    X(DEAD_LETTERS, WARN, "1d9e7dd5c56346c0af5f60e430cd5c8e", \
      "Events became dead letters", \
      "They do not match the schema or do not fit the table. Each is kept, whole, in " \
      "cxsink.dead_letters; the message names the reason and one of them.", \
      "`cxsink dead show ID` says what is wrong. Mend the schema, the mapping or the " \
      "table, then `cxsink dead replay --reason REASON`.") \
    X(STREAM_HELD, ERROR, "9d3feae547b641b3b9a46f754e05cbb2", \
      "A stream is held", \
      "More of its last events were refused than `reject_guard` allows: a schema or a mapping " \
      "is wrong, or the events have changed. They stay in the spool, receiving goes on, and " \
      "the other streams are written. When the spool is four fifths full they become dead " \
      "letters after all.", \
      "Mend the schema or the mapping and reload. Or `cxsink resume --stream NAME` to try " \
      "again as it is; with --accept what is refused becomes dead letters.") \
    X(STREAM_RESUMED, WARN, "9c9b7886fef94cb389bceb17e6de21aa", \
      "A stream is no longer held", \
      "After a reload, on request, or since the spool is nearly full, as the message says. It " \
      "is held again when too many of its events are refused.", \
      "Nothing is to be done after a reload. Where what is refused becomes dead letters: mend " \
      "the cause, then `cxsink dead replay`.") \
    X(JOB_FAILED, WARN, "1a04530f6e72432194d6e5c9eae1cc43", \
      "A job has failed", \
      "Its attempts are used up, or the answer was final.", \
      "`cxsink jobs show ID` lists each attempt and its answer; `cxsink jobs retry ID` " \
      "queues it again.") \
    X(JOB_LEASE_LOST, WARN, "6ea9046944a643abb00504d84465a8e8", \
      "A job's lease is lost", \
      "This daemon did not renew it in time, so another one takes the job over, with " \
      "the same idempotency keys.", \
      "Look at whether this daemon was stopped, suspended or cut off from the database " \
      "for longer than a lease lasts.") \
    X(JOBS_DATABASE, WARN, "d020fce45f834f1e8bf6de428129ba6d", \
      "The queue of jobs cannot be reached", \
      "Jobs wait in their table, and it is tried again without end.", \
      "Look at the server and the network; the message has the server's own words.") \
    X(JOBS_NOT_QUEUED, ERROR, "5a548325ea8d4fef99a9461705154cdf", \
      "A job was not queued", \
      "A job of the configuration or a file in `drop_dir` is faulty, or the queue did " \
      "not take it. The message says which.", \
      "Mend it and reload, or drop the file again. A refused file stands in failed/, " \
      "with its faults beside it.") \
    X(DROP_DIR_TROUBLE, ERROR, "9371825986544160af13f1d6bca3c222", \
      "The drop directory cannot be used", \
      "A file or the directory cannot be read, moved or made durable. Files stay where " \
      "they are, and are looked at again.", \
      "Look at the owner, the permissions and the disk of `jobs.drop_dir`.") \
    X(NOTIFICATION_FAILED, WARN, "84337818cdcf46f49218e7654e856faa", \
      "A notification of a job is given up", \
      "Its receiver did not take it. The job itself is not touched by that.", \
      "Look at `notify_url` or `webhook_url` of the action; `cxsink jobs show ID` has " \
      "the result that was to be told.") \
    X(BREAKER_OPEN, WARN, "37d46b93587e4da68bc2d56f76b7ab78", \
      "Requests to an API are suspended", \
      "It failed several times in a row, so that its jobs wait, without using up " \
      "attempts. One request tries again after the reset time.", \
      "Look at the API: its answers are in `cxsink jobs show ID`. Nothing is to be done " \
      "here when it comes back.") \
    X(BREAKER_CLOSED, INFO, "c8be5e74665244e2963c4661b8f9eeef", \
      "An API answers again", \
      "Its jobs go on.", \
      "Nothing is to be done.") \
    X(AUDIT_FAILED, ERROR, "6f2c904b0b494bdca04c26d1712b6e7d", \
      "The audit log cannot be written", \
      "The event is in the journal alone, and the log tells how many it lacks as soon " \
      "as it can be written again.", \
      "Make room below `state_dir`, or mend the permissions of audit.jsonl: it belongs " \
      "to the daemon's user.") \
    X(AUDIT_CUT, ERROR, "f0cb5505e9194adcb048b8e88021ccd6", \
      "Lines were removed from the audit log", \
      "The file is shorter than this process left it. cxsink never shortens it.", \
      "Find out who did. `cxsink audit verify` names the place; the journal has the " \
      "lines: journalctl CXSINK_AUDIT_HASH=...")
// clang-format on

#define LOG_ID_MEMBER(name, level, id, subject, explanation, remedy) LOG_ID_##name,
enum log_id { LOG_EVENTS(LOG_ID_MEMBER) LOG_ID_COUNT };
#undef LOG_ID_MEMBER

// log_event(LOG_ID_NAME, fields or NULL, format, ...): as log_error() and its like do, at the level
// of the table.
#define log_event(id, fields, ...) log_event_write(id, fields, __FILE__, __LINE__, __VA_ARGS__)

void log_event_write(enum log_id id, const struct log_fields *fields, const char *file, int line,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));
enum log_level log_event_level(enum log_id id);
// 32 hex digits.
const char *log_event_id(enum log_id id);
// Appends the message catalog (systemd.directives(7), "Message Catalog Developer Documentation").
void log_event_print_catalog(struct buf *out);

#endif
