// SPDX-License-Identifier: Apache-2.0
// The checker: one line at a time through one buffer, so that an input of any size takes the memory
// of its longest line, and that has a cap.
#include "cli/validate_priv.h"
#include "config/units.h"
#include "core/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE ((size_t)256 << 10)
#define LINE_ERRORS_MAX 100
// Tokens that stay allocated after a large line.
#define KEPT_TOKENS (1u << 20)

void checker_init(struct checker *checker, const struct validate_request *request,
                  const struct schema *schema)
{
    *checker = (struct checker){.request = request, .schema = schema};
    tape_init(&checker->tape, 0);
    checker->errors = mem_realloc_array(NULL, LINE_ERRORS_MAX, sizeof(*checker->errors));
}

void checker_deinit(struct checker *checker)
{
    tape_deinit(&checker->tape);
    free(checker->errors);
    buf_deinit(&checker->window);
    buf_deinit(&checker->text);
    buf_deinit(&checker->uri);
}

// --- what is told of a line ----------------------------------------------------------------------

static void flush(struct checker *checker)
{
    checker->tell(checker->owner, checker->counts.lines, checker->text.data, checker->text.len);
    buf_clear(&checker->text);
}

static void begin_line(struct checker *checker)
{
    checker->counts.invalid++;
    buf_clear(&checker->text);
    if (checker->request->form == VALIDATE_BASIC)
        buf_append_text(&checker->text, "\"valid\":false,\"errors\":[");
}

static void add_fault(struct checker *checker, const struct validate_fault *fault)
{
    struct buf *text = &checker->text;
    bool basic = checker->request->form == VALIDATE_BASIC;

    if (basic && text->data[text->len - 1] == '}')
        buf_append_text(text, ",");
    validate_append_fault(checker->request->form, fault, text);
    if (!basic)
        flush(checker);
}

static void end_line(struct checker *checker)
{
    if (checker->request->quiet) {
        checker->stopped = true;
    } else if (checker->request->form == VALIDATE_BASIC) {
        buf_append_text(&checker->text, "]}");
        flush(checker);
    }
}

// A fault of the line as such, which no keyword has found.
static void add_line_fault(struct checker *checker, const char *code, const char *message)
{
    add_fault(checker,
              &(struct validate_fault){.instance = "", .keyword = code, .message = message});
}

static void tell_line_fault(struct checker *checker, const char *code, const char *message)
{
    begin_line(checker);
    if (!checker->request->quiet)
        add_line_fault(checker, code, message);
    end_line(checker);
}

static void tell_malformed(struct checker *checker)
{
    char code[32], message[256];

    snprintf(code, sizeof(code), "json.%s", tape_error_name(checker->tape.error));
    snprintf(message, sizeof(message), "%s, at byte %zu", checker->tape.error_message,
             checker->tape.error_offset + 1);
    tell_line_fault(checker, code, message);
}

static void tell_too_long(struct checker *checker)
{
    char message[64], size[UNITS_TEXT_SIZE];

    units_size_format(checker->request->max_line, size);
    snprintf(message, sizeof(message), "the line is longer than %s", size);
    tell_line_fault(checker, "frame.too_large", message);
}

// NULL when there is none, or the form has no place for it.
static const char *uri_of(struct checker *checker, const struct schema_error *error)
{
    buf_clear(&checker->uri);
    return checker->request->form == VALIDATE_BASIC &&
                   schema_error_uri(checker->schema, error, &checker->uri)
               ? buf_text(&checker->uri)
               : NULL;
}

static void tell_failures(struct checker *checker, size_t n, size_t max)
{
    char more[64];

    begin_line(checker);
    for (size_t i = 0; i < n && i < max; i++) {
        const struct schema_error *error = &checker->errors[i];
        add_fault(checker, &(struct validate_fault){.instance = error->instance,
                                                    .schema = error->schema,
                                                    .location = error->location,
                                                    .keyword = error->keyword,
                                                    .message = error->message,
                                                    .uri = uri_of(checker, error),
                                                    .beneath = error->beneath});
    }
    if (max > 0 && n > max) {
        snprintf(more, sizeof(more), "%zu more faults on this line", n - max);
        add_line_fault(checker, "more", more);
    }
    end_line(checker);
}

// --- lines ---------------------------------------------------------------------------------------

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

static void check_line(struct checker *checker, const char *line, size_t length)
{
    size_t max = checker->request->quiet ? 0 : LINE_ERRORS_MAX;
    size_t n;

    checker->counts.lines++;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (is_blank(line, length))
        return;
    if (length > checker->request->max_line)
        tell_too_long(checker);
    else if (!tape_parse(&checker->tape, line, length))
        tell_malformed(checker);
    else if (!schema_validate(checker->schema, &checker->tape, checker->errors, max, &n))
        tell_failures(checker, n, max);
    tape_shrink(&checker->tape, KEPT_TOKENS);
}

// What is read on without being looked at.
enum skipping {
    SKIP_NOTHING,
    SKIP_BEFORE, // a line that started before the part
    SKIP_TOLD,   // the rest of a line that is too long, and told so
};

// Where a part is being read.
struct reading {
    const struct validate_part *part;
    uint64_t offset; // of the window's first byte
    size_t scanned;  // bytes of the window without a line's end
    enum skipping skipping;
};

// Drops the first bytes of the window.
static void drop(struct buf *window, size_t n, struct reading *reading)
{
    memmove(window->data, window->data + n, window->len - n);
    window->len -= n;
    reading->offset += n;
    reading->scanned = window->len;
}

// Takes whole lines out of the window. False when the part is at its end.
static bool take_lines(struct checker *checker, struct reading *reading)
{
    struct buf *window = &checker->window;
    size_t start = 0;

    for (;;) {
        const char *newline =
            memchr(window->data + reading->scanned, '\n', window->len - reading->scanned);
        if (newline == NULL)
            break;
        size_t end = (size_t)(newline - window->data);
        if (reading->skipping == SKIP_NOTHING)
            check_line(checker, window->data + start, end - start);
        reading->skipping = SKIP_NOTHING;
        start = reading->scanned = end + 1;
        if (checker->stopped || reading->offset + start >= reading->part->end)
            return false;
    }
    drop(window, start, reading);
    if (reading->skipping == SKIP_NOTHING && window->len > checker->request->max_line + 1) {
        checker->counts.lines++;
        tell_too_long(checker);
        reading->skipping = SKIP_TOLD;
    }
    if (reading->skipping != SKIP_NOTHING)
        drop(window, window->len, reading);
    return !checker->stopped &&
           (reading->skipping != SKIP_BEFORE || reading->offset < reading->part->end);
}

static ssize_t read_more(struct checker *checker, const struct reading *reading)
{
    struct buf *window = &checker->window;
    char *room = buf_reserve(window, READ_SIZE);
    ssize_t n;

    do {
        n = reading->part->seekable
                ? pread(reading->part->fd, room, READ_SIZE, (off_t)(reading->offset + window->len))
                : read(reading->part->fd, room, READ_SIZE);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        window->len += (size_t)n;
    return n;
}

int checker_run(struct checker *checker, const struct validate_part *part)
{
    struct reading reading = {.part = part,
                              .offset = part->continued ? part->start - 1 : part->start,
                              .skipping = part->continued ? SKIP_BEFORE : SKIP_NOTHING};
    ssize_t n;

    checker->counts = (struct validate_counts){0};
    buf_clear(&checker->window);
    while ((n = read_more(checker, &reading)) > 0) {
        if (!take_lines(checker, &reading))
            return 0;
        if (checker->progress != NULL)
            checker->progress(checker->owner, reading.offset);
    }
    if (n < 0)
        return errno;
    if (checker->window.len > 0) // the last line, without its end
        check_line(checker, checker->window.data, checker->window.len);
    return 0;
}
