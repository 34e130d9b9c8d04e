// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
// Else sd_journal_sendv() adds this file's own name and line to those of the caller.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
// A call site about one stream may write this many lines in a window; the rest is counted.
#define REPEAT_BURST 8
#define REPEAT_WINDOW_US (10 * US_PER_S)
#define REPEAT_SLOTS 64
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct repeat {
    uint64_t site;
    struct mono since;
    unsigned written, held;
    enum log_level level;
    char stream[64];        // that they are about; empty: none
    const char *message_id; // static; NULL: none
    char last[160];         // the start of the newest line that was held back
};

static struct {
    enum log_target target;
    enum log_target audit_target; // LOG_TARGET_AUTO: none
    enum log_level level;
    struct repeat repeats[REPEAT_SLOTS];
} state = {.target = LOG_TARGET_TEXT, .audit_target = LOG_TARGET_TEXT, .level = LOG_LEVEL_INFO};

struct name {
    const char *name;
    int value;
};

static const struct name level_names[] = {
    {"error", LOG_LEVEL_ERROR}, {"warn", LOG_LEVEL_WARN},   {"warning", LOG_LEVEL_WARN},
    {"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG}, {NULL, 0},
};
static const struct name target_names[] = {
    {"auto", LOG_TARGET_AUTO},
    {"journal", LOG_TARGET_JOURNAL},
    {"text", LOG_TARGET_TEXT},
    {"json", LOG_TARGET_JSON},
    {NULL, 0},
};

static const struct name *by_name(const struct name *table, const char *name)
{
    for (; table->name != NULL; table++) {
        if (strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

bool log_level_parse(const char *name, enum log_level *level_r)
{
    const struct name *found = by_name(level_names, name);
    if (found != NULL)
        *level_r = (enum log_level)found->value;
    return found != NULL;
}

bool log_target_parse(const char *name, enum log_target *target_r)
{
    const struct name *found = by_name(target_names, name);
    if (found != NULL)
        *target_r = (enum log_target)found->value;
    return found != NULL;
}

const char *log_level_name(enum log_level level)
{
    for (const struct name *n = level_names; n->name != NULL; n++) {
        if (n->value == (int)level)
            return n->name;
    }
    return "info";
}

// systemd sets JOURNAL_STREAM to "device:inode" of the stderr that it connected (systemd.exec(5)).
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat info;
    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

// Without one, sd_journal_sendv() succeeds and does nothing (sd_journal_send(3)).
static bool have_journal(void)
{
    return access(JOURNAL_SOCKET, W_OK) == 0;
}

void log_init(enum log_target target, enum log_level level)
{
    if (target == LOG_TARGET_AUTO)
        target = stderr_is_journal() ? LOG_TARGET_JOURNAL : LOG_TARGET_TEXT;
    bool missing = target == LOG_TARGET_JOURNAL && !have_journal();
    state.target = state.audit_target = missing ? LOG_TARGET_TEXT : target;
    state.level = level;
    if (missing)
        log_warn(NULL, "there is no journal at " JOURNAL_SOCKET ", logging to stderr instead");
}

bool log_audit_to(enum log_target target)
{
    if (target == LOG_TARGET_JOURNAL && !have_journal())
        return false;
    state.audit_target = target;
    return true;
}

void log_set_level(enum log_level level)
{
    state.level = level;
}

bool log_enabled(enum log_level level)
{
    return level <= state.level;
}

// --- the three forms of a line ---

struct line {
    enum log_level level;
    const struct log_fields *fields;
    const char *file;
    int number;
    const char *text;
};

struct field {
    const char *journal, *json;
    const char *value;
};

#define FIELDS 6

static void list_fields(const struct log_fields *f, struct field list[FIELDS])
{
    static const struct log_fields none;
    f = f != NULL ? f : &none;
    list[0] = (struct field){"CXSINK_STREAM", "stream", f->stream};
    list[1] = (struct field){"CXSINK_JOB", "job", f->job};
    list[2] = (struct field){"CXSINK_TRACE_ID", "trace_id", f->trace_id};
    list[3] = (struct field){"CXSINK_AUDIT", "audit", f->audit};
    list[4] = (struct field){"MESSAGE_ID", "message_id", f->message_id};
    list[5] = (struct field){"CXSINK_AUDIT_HASH", "audit_hash", f->audit_hash};
}

static void write_stderr(struct buf *b)
{
    buf_append(b, "\n", 1);
    // One write, so that lines of several processes on one stderr do not mix.
    ssize_t ignored = write(STDERR_FILENO, b->data, b->len);
    (void)ignored;
}

static void write_text(const struct line *line)
{
    char when[32];
    char room[LINE_MAX_BYTES + 256];
    wall_format(wall_read_us(), when, sizeof(when));
    int n = snprintf(room, sizeof(room), "%s %-5s %s%s%s%s", when, log_level_name(line->level),
                     line->fields != NULL && line->fields->stream ? "[" : "",
                     line->fields != NULL && line->fields->stream ? line->fields->stream : "",
                     line->fields != NULL && line->fields->stream ? "] " : "", line->text);
    size_t length = n < (int)sizeof(room) ? (size_t)n : sizeof(room) - 1;
    // A server's words may hold line feeds and terminal escapes; a message stays one plain line.
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)room[i] < 0x20 || room[i] == 0x7f)
            room[i] = ' ';
    }
    room[length] = '\n';
    ssize_t ignored = write(STDERR_FILENO, room, length + 1);
    (void)ignored;
}

static void write_json(const struct line *line)
{
    char when[32];
    struct buf b = {0};
    struct field list[FIELDS];
    wall_format(wall_read_us(), when, sizeof(when));
    buf_printf(&b, "{\"time\":\"%s\",\"level\":\"%s\"", when, log_level_name(line->level));
    list_fields(line->fields, list);
    for (int i = 0; i < FIELDS; i++) {
        if (list[i].value == NULL)
            continue;
        buf_printf(&b, ",\"%s\":", list[i].json);
        buf_json_string(&b, list[i].value, strlen(list[i].value));
    }
    buf_append_text(&b, ",\"message\":");
    buf_json_string(&b, line->text, strlen(line->text));
    buf_append_text(&b, "}");
    write_stderr(&b);
    buf_deinit(&b);
}

static void write_journal(const struct line *line)
{
    char texts[FIELDS + 5][LINE_MAX_BYTES + 32];
    struct iovec items[FIELDS + 5];
    struct field list[FIELDS];
    int n = 0;
    snprintf(texts[n++], sizeof(texts[0]), "MESSAGE=%s", line->text);
    snprintf(texts[n++], sizeof(texts[0]), "PRIORITY=%d", (int)line->level);
    snprintf(texts[n++], sizeof(texts[0]), "SYSLOG_IDENTIFIER=cxsink");
    snprintf(texts[n++], sizeof(texts[0]), "CODE_FILE=%s", line->file);
    snprintf(texts[n++], sizeof(texts[0]), "CODE_LINE=%d", line->number);
    list_fields(line->fields, list);
    for (int i = 0; i < FIELDS; i++) {
        if (list[i].value != NULL)
            snprintf(texts[n++], sizeof(texts[0]), "%s=%s", list[i].journal, list[i].value);
    }
    for (int i = 0; i < n; i++)
        items[i] = (struct iovec){texts[i], strlen(texts[i])};
    if (sd_journal_sendv(items, n) < 0)
        write_text(line); // no journal after all: say it where it can be read
}

static void emit_to(enum log_target target, const struct line *line)
{
    if (target == LOG_TARGET_JOURNAL)
        write_journal(line);
    else if (target == LOG_TARGET_JSON)
        write_json(line);
    else
        write_text(line);
}

static void emit(const struct line *line)
{
    emit_to(state.target, line);
}

// --- repeats ---

static void flush_repeat(struct repeat *r)
{
    if (r->held > 0) {
        char text[320];
        snprintf(text, sizeof(text), "held back %u more lines like: %s", r->held, r->last);
        const struct log_fields fields = {.stream = r->stream[0] != '\0' ? r->stream : NULL,
                                          .message_id = r->message_id};
        emit(&(struct line){r->level, &fields, __FILE__, __LINE__, text});
    }
    *r = (struct repeat){0};
}

void log_flush_repeats(bool all)
{
    struct mono now = mono_read();
    for (size_t i = 0; i < REPEAT_SLOTS; i++) {
        struct repeat *r = &state.repeats[i];
        if (r->site != 0 && (all || mono_diff(now, r->since) > REPEAT_WINDOW_US))
            flush_repeat(r);
    }
}

// Whether this line may be written now; else it was counted.
static bool allowed(const struct line *line)
{
    const struct log_fields *fields = line->fields;
    const char *stream = fields != NULL && fields->stream != NULL ? fields->stream : "";
    const char *event = fields != NULL && fields->audit != NULL ? fields->audit : "";
    uint64_t site = hash_bytes(line->file, strlen(line->file), (uint64_t)line->number);
    site = hash_bytes(event, strlen(event), site);
    site = hash_bytes(stream, strlen(stream), site) | 1;
    struct repeat *r = &state.repeats[site % REPEAT_SLOTS];
    struct mono now = mono_read();
    if (r->site != site || mono_diff(now, r->since) > REPEAT_WINDOW_US) {
        flush_repeat(r);
        *r = (struct repeat){.site = site, .since = now, .level = line->level};
        r->message_id = fields != NULL ? fields->message_id : NULL;
        snprintf(r->stream, sizeof(r->stream), "%s", stream);
    }
    if (r->written < REPEAT_BURST) {
        r->written++;
        return true;
    }
    r->held++;
    snprintf(r->last, sizeof(r->last), "%.*s", (int)sizeof(r->last) - 1, line->text);
    return false;
}

void log_write_args(enum log_level level, const struct log_fields *fields, const char *file,
                    int number, const char *format, va_list args)
{
    if (!log_enabled(level))
        return;
    char text[LINE_MAX_BYTES];
    vsnprintf(text, sizeof(text), format, args);
    struct line line = {level, fields, file, number, text};
    if (level == LOG_LEVEL_DEBUG || allowed(&line))
        emit(&line);
}

void log_write(enum log_level level, const struct log_fields *fields, const char *file, int number,
               const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_write_args(level, fields, file, number, format, args);
    va_end(args);
}

void log_audit(enum log_level level, const struct log_fields *fields, const char *text)
{
    struct line line = {level, fields, __FILE__, __LINE__, text};
    enum log_target target = state.audit_target;
    // As text it is one line among others, for eyes.
    if (target == LOG_TARGET_TEXT && (!log_enabled(level) || !allowed(&line)))
        return;
    if (target != LOG_TARGET_AUTO)
        emit_to(target, &line);
}
