// SPDX-License-Identifier: Apache-2.0
// Does the chain of the audit log hold: each line by its hash and by the hash of the line before.
#include "audit_priv.h"
#include "core/buf.h"
#include "ops/audit_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// So many lines that are out of order are looked for; each takes a reading of all files.
#define SEARCHES 20

struct verify {
    const struct audit_read *read;
    const struct audit_verify_settings *settings;
    struct audit_verdict *verdict;
    char expected[AUDIT_HASH_DIGITS + 1];   // hash of the line before; empty: this is the first
    char last_key[AUDIT_KEY_ID_DIGITS + 1]; // of the line before
    const char *strange_path;               // lines that are none of the log; NULL: none for now
    uint64_t strange_line, strange;
    unsigned searches;
};

static void fault(struct verify *v, const char *path, uint64_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void fault(struct verify *v, const char *path, uint64_t line, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    v->verdict->faults++;
    v->settings->fault(v->settings->owner, path, line, what);
}

// --- where a line stands that another names ---

struct search {
    const char *hash;
    const char *path; // of the line that has it; NULL: none
    uint64_t line;
};

static bool has_hash(void *owner, const struct audit_read_line *line)
{
    struct search *search = owner;
    struct audit_seal seal;
    if (!audit_seal_read(line->text, line->length, &seal) || strcmp(seal.hash, search->hash) != 0)
        return true;
    search->path = line->path;
    search->line = line->number;
    return false;
}

static void out_of_place(struct verify *v, const struct audit_read_line *line, const char *prev)
{
    struct search search = {.hash = prev};
    for (size_t i = 0; v->searches < SEARCHES && i < v->read->n_files && search.path == NULL; i++)
        (void)!audit_read_lines(&v->read->files[i], has_hash, &search, NULL);
    if (v->searches++ >= SEARCHES)
        fault(v, line->path, line->number, "does not follow the line before it");
    else if (search.path != NULL)
        fault(v, line->path, line->number,
              "out of order: it follows %s:%" PRIu64 ", and another line stands before it",
              strrchr(search.path, '/') + 1, search.line);
    else
        fault(v, line->path, line->number,
              "the line that it follows is not there: it, or a whole file, was removed or altered");
}

// --- one line ---

static bool is_event(const char *text, const char *event)
{
    char mark[64];
    snprintf(mark, sizeof(mark), "\",\"event\":\"%s\"", event);
    const char *at = strchr(text + (strncmp(text, "{\"time\":\"", 9) == 0 ? 9 : 0), '"');
    return at != NULL && strncmp(at, mark, strlen(mark)) == 0;
}

// A part of a line is in order when the line behind it says that a crash left it.
static void settle_strange(struct verify *v, const char *next)
{
    if (v->strange_path == NULL)
        return;
    if (next != NULL && (is_event(next, "audit.torn") || is_event(next, "audit.rotated") ||
                         is_event(next, "audit.truncated")))
        v->verdict->torn += v->strange;
    else if (v->strange == 1)
        fault(v, v->strange_path, v->strange_line, "this is no line of an audit log");
    else
        fault(v, v->strange_path, v->strange_line,
              "this and %" PRIu64 " lines behind it are no lines of an audit log", v->strange - 1);
    v->strange_path = NULL;
    v->strange = 0;
}

// The key that a line names. False: it is not known.
static bool find_key(const struct verify *v, const char *id, const char **key_r)
{
    char other[AUDIT_KEY_ID_DIGITS + 1];
    *key_r = NULL;
    if (id[0] == '\0')
        return true;
    for (size_t i = 0; i < v->settings->n_keys; i++) {
        audit_key_id(v->settings->keys[i], other);
        if (strcmp(other, id) == 0) {
            *key_r = v->settings->keys[i];
            return true;
        }
    }
    return false;
}

static void check_hash(struct verify *v, const struct audit_read_line *line,
                       const struct audit_seal *seal)
{
    char hash[AUDIT_HASH_DIGITS + 1];
    const char *key;
    if (!find_key(v, seal->key_id, &key)) {
        if (strcmp(seal->key_id, v->last_key) != 0)
            fault(v, line->path, line->number,
                  "from here on the lines have the key %s, which is not known here; name its file "
                  "with --key-file",
                  seal->key_id);
        return;
    }
    audit_seal_hash(line->text, seal->sealed, key, hash);
    if (strcmp(hash, seal->hash) != 0)
        fault(v, line->path, line->number, "altered: its hash is not that of its text");
}

// With a key, a line that has none can have been made by anybody; before the first key that is told
// in the verdict, behind it no daemon writes one.
static void check_keyed(struct verify *v, const struct audit_read_line *line,
                        const struct audit_seal *seal)
{
    bool had_key = v->last_key[0] != '\0';
    v->verdict->unkeyed += seal->key_id[0] == '\0';
    if (v->settings->keys[0] != NULL && had_key && seal->key_id[0] == '\0')
        fault(v, line->path, line->number,
              "from here on the lines have no key, though those before it have one");
    strcpy(v->last_key, seal->key_id);
}

static void check_place(struct verify *v, const struct audit_read_line *line,
                        const struct audit_seal *seal)
{
    bool first = v->expected[0] == '\0';
    if (!first && strcmp(seal->prev, v->expected) != 0)
        out_of_place(v, line, seal->prev);
    v->verdict->cut_off = v->verdict->cut_off || (first && strcmp(seal->prev, AUDIT_NO_HASH) != 0);
    // Old files may go as a whole, and each new one begins with this.
    if (first && v->verdict->cut_off && !is_event(line->text, "audit.rotated"))
        fault(v, line->path, line->number, "lines before it were removed");
    strcpy(v->expected, seal->hash);
}

static bool verify_line(void *owner, const struct audit_read_line *line)
{
    struct verify *v = owner;
    struct audit_verdict *verdict = v->verdict;
    struct audit_seal seal;
    verdict->open_end = !line->ended;
    if (!audit_seal_read(line->text, line->length, &seal)) {
        if (v->strange++ == 0) {
            v->strange_path = line->path;
            v->strange_line = line->number;
        }
        return true;
    }
    settle_strange(v, line->text);
    verdict->lines++;
    check_hash(v, line, &seal);
    check_keyed(v, line, &seal);
    check_place(v, line, &seal);
    audit_line_time(line->text, verdict->last_time);
    if (verdict->lines == 1)
        strcpy(verdict->first_time, verdict->last_time);
    strcpy(verdict->last_hash, seal.hash);
    return true;
}

static void check_end(struct verify *v)
{
    char id[AUDIT_KEY_ID_DIGITS + 1];
    const char *newest = v->read->files[v->read->n_files - 1].path;
    bool torn = v->verdict->open_end && v->strange == 1;
    if (torn)
        v->strange_path = NULL;
    settle_strange(v, NULL);
    audit_key_id(v->settings->keys[0], id);
    if (v->verdict->lines > 0 && v->settings->keys[0] != NULL && strcmp(v->last_key, id) != 0)
        fault(v, newest, 0, "its last line does not have the key of the configuration (%s)", id);
}

enum status_code audit_verify(const struct audit_read *read,
                              const struct audit_verify_settings *settings,
                              struct audit_verdict *verdict_r, struct status *st)
{
    enum status_code code = STATUS_OK;
    *verdict_r = (struct audit_verdict){.files = read->n_files};
    struct verify v = {.read = read, .settings = settings, .verdict = verdict_r};
    for (size_t i = 0; code == STATUS_OK && i < read->n_files; i++)
        code = audit_read_lines(&read->files[i], verify_line, &v, st);
    if (code == STATUS_OK)
        check_end(&v);
    return code;
}
