// SPDX-License-Identifier: Apache-2.0
// The log: structured fields to the journal, or text or JSON lines on stderr. No payload and no
// secret is ever passed to it. Lines that repeat (same call site, same stream) more than a few
// times within ten seconds are held back and counted; the count follows as one line.
#ifndef CXSINK_CORE_LOG_H
#define CXSINK_CORE_LOG_H

#include "core/status.h"

#include <stdarg.h>
#include <stdbool.h>

// The numbers are syslog's priorities.
enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };
enum log_target { LOG_TARGET_AUTO, LOG_TARGET_JOURNAL, LOG_TARGET_TEXT, LOG_TARGET_JSON };

// What a line is about; every member may be NULL. Names of the journal's fields in brackets.
struct log_fields {
    const char *stream;     // [CXSINK_STREAM]
    const char *job;        // [CXSINK_JOB]
    const char *trace_id;   // [CXSINK_TRACE_ID]
    const char *audit;      // [CXSINK_AUDIT]
    const char *message_id; // [MESSAGE_ID] 32 hex digits, static: log_event() sets it
    const char *audit_hash; // [CXSINK_AUDIT_HASH] of the event's line in the audit log
};

// `auto` is the journal when stderr is connected to it (JOURNAL_STREAM, systemd.exec(5)), else
// text; `journal` on a machine without one is text too, after a warning. May be called again on
// reload.
void log_init(enum log_target target, enum log_level level);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
// "error", "warn" ("warning"), "info", "debug"; "auto", "journal", "text", "json". False if
// unknown.
bool log_level_parse(const char *name, enum log_level *level_r);
bool log_target_parse(const char *name, enum log_target *target_r);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const struct log_fields *fields, const char *file, int line,
               const char *format, ...) __attribute__((format(printf, 5, 6)));
void log_write_args(enum log_level level, const struct log_fields *fields, const char *file,
                    int line, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));
// The line of an audit event (`fields->audit`). The journal and JSON lines have each of them,
// whatever the level: they are the second witness beside the audit log.
void log_audit(enum log_level level, const struct log_fields *fields, const char *text);
// For a command, whose own words are for a terminal: where the lines of audit events go; `auto` is
// nowhere. False: it is to be the journal, and there is none; all is as before.
bool log_audit_to(enum log_target target);
// Writes the counts of lines that were held back, of those whose ten seconds are over, or of all:
// call it about once a second, and at the end.
void log_flush_repeats(bool all);

// log_info(fields or NULL, format, ...)
#define log_error(fields, ...) log_write(LOG_LEVEL_ERROR, fields, __FILE__, __LINE__, __VA_ARGS__)
#define log_warn(fields, ...) log_write(LOG_LEVEL_WARN, fields, __FILE__, __LINE__, __VA_ARGS__)
#define log_info(fields, ...) log_write(LOG_LEVEL_INFO, fields, __FILE__, __LINE__, __VA_ARGS__)
#define log_debug(fields, ...)                                                   \
    do {                                                                         \
        if (log_enabled(LOG_LEVEL_DEBUG))                                        \
            log_write(LOG_LEVEL_DEBUG, fields, __FILE__, __LINE__, __VA_ARGS__); \
    } while (0)

#endif
