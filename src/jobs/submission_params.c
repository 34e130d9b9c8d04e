// SPDX-License-Identifier: Apache-2.0
#include "core/mem.h"
#include "json/text.h"
#include "place_priv.h"
#include "publish_priv.h"
#include "submission_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct writing {
    const struct config_action *action;
    const char *dir; // where relative paths start; NULL: nowhere
    const struct tape *tape;
    uint32_t object; // the job
    struct buf *out;
    struct job_faults *faults;
};

// --- what PostgreSQL cannot hold -----------------------------------------------------------------

static void check_value(const struct tape *tape, uint32_t at, struct job_faults *faults)
{
    size_t length;
    const char *raw = tape_raw(tape, at, &length);
    const struct tape_token *token = &tape->tokens[at];
    if (token->kind == TAPE_STRING && (token->flags & TAPE_HAS_NUL) != 0)
        check_fault(tape, at, faults, "holds U+0000, which PostgreSQL cannot keep; remove it");
    if (token->kind == TAPE_NUMBER && !json_number_fits(raw, length))
        check_fault(tape, at, faults,
                    "is beyond what PostgreSQL keeps as a number; write it as a string");
}

static void check_all(const struct tape *tape, uint32_t object, struct job_faults *faults)
{
    for (uint32_t i = object; i < tape->tokens[object].next; i++)
        check_value(tape, i, faults);
}

// --- files ---------------------------------------------------------------------------------------

// NULL after a fault.
static char *absolute(const struct writing *w, uint32_t at)
{
    char *path = lookup_text(w->tape, at);
    char *whole = path;
    if (*path == '\0' || (*path != '/' && w->dir == NULL)) {
        check_fault(w->tape, at, w->faults,
                    "is not an absolute path, and relative to nothing here");
        whole = NULL;
    } else if (*path != '/') {
        whole = mem_printf("%s/%s", w->dir, path);
    }
    if (whole != path)
        free(path);
    return whole;
}

static bool read_all(int fd, size_t size, struct buf *out)
{
    while (out->len < size) {
        ssize_t n = read(fd, buf_reserve(out, size - out->len), size - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        out->len += (size_t)n;
    }
    return true;
}

static void read_code(int fd, const char *path, uint64_t size, struct buf *code, struct status *st)
{
    if (size > PUBLISH_CODE_MAX)
        status_set(st, STATUS_INVALID,
                   "%s has %" PRIu64 " bytes, more than the %zu that code may have", path, size,
                   PUBLISH_CODE_MAX);
    else if (!read_all(fd, (size_t)size, code))
        status_set(st, STATUS_IO, "%s cannot be read to its end", path);
    else if (!text_utf8_valid(code->data, code->len))
        status_set(st, STATUS_INVALID, "%s is not UTF-8", path);
    else if (memchr(buf_text(code), '\0', code->len) != NULL)
        status_set(st, STATUS_INVALID, "%s holds a NUL character, which no code does", path);
}

// The code stands in the queue, as it is now: neither a restart nor a change of the file alters it.
static void put_code(const struct writing *w, uint32_t at, const char *path)
{
    struct status st = {0};
    struct buf code = {0};
    uint64_t size;
    int fd = place_open(path, w->action->file_dir, &size, &st);
    if (fd >= 0) {
        read_code(fd, path, size, &code, &st);
        close(fd);
    }
    if (st.code != STATUS_OK) {
        check_fault(w->tape, at, w->faults, "%s", st.detail);
    } else {
        put_json(w->out, "code", "");
        buf_json_string(w->out, buf_text(&code), code.len);
    }
    buf_deinit(&code);
}

static void put_file(const struct writing *w, uint32_t at)
{
    char *path = absolute(w, at);
    if (path != NULL && w->action->kind == ACTION_PUBLISH)
        put_code(w, at, path);
    else if (path != NULL)
        put_text(w->out, "file", path);
    free(path);
}

// --- the rest ------------------------------------------------------------------------------------

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

// Bytes up to a line end, or some of them.
static size_t line_length(const char *text, size_t length)
{
    length = length < 4096 ? length : 4096; // what is looked through in vain is little
    const char *lf = memchr(text, '\n', length);
    if (lf != NULL)
        length = (size_t)(lf - text);
    const char *cr = memchr(text, '\r', length);
    return cr != NULL ? (size_t)(cr - text) : length;
}

// Line ends count for nothing in it.
static void put_data(struct buf *out, const struct tape *tape, uint32_t at)
{
    size_t length;
    tape_string(tape, at, &length);
    char *text = mem_alloc(length + 1);
    length = text_unescape(tape, at, text);
    size_t n = 0;
    for (size_t i = 0; i < length;) {
        size_t run = line_length(text + i, length - i);
        memmove(text + n, text + i, run);
        n += run;
        i += run;
        while (i < length && is_line_end(text[i]))
            i++;
    }
    put_json(out, "data", "");
    buf_json_string(out, text, n);
    free(text);
}

static bool is_common(const struct tape *tape, uint32_t key)
{
    const char *const *name = submission_common;
    while (*name != NULL && !lookup_is(tape, key, *name))
        name++;
    return *name != NULL;
}

static bool is_member(const struct writing *w, uint32_t key, enum config_kind kind,
                      const char *name)
{
    return w->action->kind == kind && w->tape->tokens[key + 1].kind == TAPE_STRING &&
           lookup_is(w->tape, key, name);
}

static void put_member(const struct writing *w, uint32_t key)
{
    bool code_file = is_member(w, key, ACTION_PUBLISH, "code_file");
    if (code_file && lookup_member(w->tape, w->object, "code") != TAPE_NONE) {
        check_fault(w->tape, key + 1, w->faults, "there is \"code\" already; remove one of them");
    } else if (code_file || is_member(w, key, ACTION_EXECUTE, "file")) {
        put_file(w, key + 1);
    } else if (is_member(w, key, ACTION_EXECUTE, "data")) {
        put_data(w->out, w->tape, key + 1);
    } else {
        char *name = lookup_text(w->tape, key);
        put_value(w->out, name, w->tape, key + 1);
        free(name);
    }
}

void submission_write_params(const struct config_action *action, const char *dir,
                             const struct tape *tape, uint32_t object, struct buf *params,
                             struct job_faults *faults)
{
    const struct writing w = {action, dir, tape, object, params, faults};
    uint32_t end = tape->tokens[object].next;
    check_all(tape, object, faults);
    buf_append_text(params, "{");
    for (uint32_t key = object + 1; key != end; key = tape->tokens[key + 1].next) {
        if (!is_common(tape, key))
            put_member(&w, key);
    }
    buf_append_text(params, "}");
}
