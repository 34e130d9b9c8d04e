// SPDX-License-Identifier: Apache-2.0
#include "submission_priv.h"

#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const struct config *config;
    const char *dir;
    struct submissions *out;
    size_t room; // of out->items
    struct job_faults *faults;
    size_t place;
    char prefix[24];      // pointer of the job in the text: "", "/3"
    char tape_prefix[24]; // pointer of the tape's root in it
};

// --- one job -------------------------------------------------------------------------------------

static bool is_told(const struct job_faults *faults, size_t from, const char *pointer)
{
    while (from < faults->count && strcmp(faults->items[from].pointer, pointer) != 0)
        from++;
    return from < faults->count;
}

// Empties `own`.
static void hand_on(struct reading *r, const char *prefix, struct job_faults *own)
{
    for (size_t i = 0; i < own->count; i++) {
        char *pointer = mem_printf("%s%s", prefix, own->items[i].pointer);
        job_faults_add(r->faults, pointer, "%s", own->items[i].message);
        free(pointer);
    }
    job_faults_free(own);
}

// Of the parameters as they are queued. The code may be that of a file, whose faults they are then;
// what could not be read was told when that was tried, from the fault `told` on.
static void hand_on_checks(struct reading *r, struct job_faults *own, bool in_file, size_t told)
{
    for (size_t i = 0; i < own->count; i++) {
        const char *suffix = in_file && strcmp(own->items[i].pointer, "/code") == 0 ? "_file" : "";
        char *pointer = mem_printf("%s%s%s", r->prefix, own->items[i].pointer, suffix);
        if (!is_told(r->faults, told, pointer))
            job_faults_add(r->faults, pointer, "%s", own->items[i].message);
        free(pointer);
    }
    job_faults_free(own);
}

static void submission_deinit(struct submission *s)
{
    free(s->id);
    free(s->params);
    free(s->cron);
    free(s->time_zone);
}

static void keep(struct reading *r, struct submission *s)
{
    if (r->out->count == r->room) {
        r->room = r->room > 0 ? 2 * r->room : 16;
        r->out->items = mem_realloc_array(r->out->items, r->room, sizeof(*s));
    }
    r->out->items[r->out->count++] = *s;
}

static void read_params(struct reading *r, const struct tape *tape, uint32_t object,
                        struct submission *s)
{
    const struct config_action *action = &r->config->jobs.actions[s->action];
    struct job_faults own = {0};
    struct buf text = {0};
    struct tape params;
    size_t told = r->faults->count;
    submission_write_params(action, r->dir, tape, object, &text, &own);
    hand_on(r, r->tape_prefix, &own);
    tape_init(&params, 0);
    if (tape_parse(&params, text.data, text.len)) {
        const struct kind_context context = {.action = action, .params = &params};
        submission_check_params(&context, &own);
        hand_on_checks(r, &own, lookup_member(tape, object, "code_file") != TAPE_NONE, told);
    }
    buf_text(&text);
    s->params = text.data;
    tape_deinit(&params);
}

// Keeps it when nothing is wrong with it.
static void read_job(struct reading *r, const struct tape *tape, uint32_t object)
{
    size_t before = r->faults->count;
    struct submission s = {.place = r->place, .action = CONFIG_NONE};
    struct job_faults own = {0};
    if (tape->tokens[object].kind != TAPE_OBJECT) {
        job_faults_add(r->faults, r->prefix, "expected a job as an object, not %s",
                       tape_kind_name(tape->tokens[object].kind));
        return;
    }
    submission_read_common(&r->config->jobs, tape, object, &s, &own);
    hand_on(r, r->tape_prefix, &own);
    if (s.action != CONFIG_NONE)
        read_params(r, tape, object, &s);
    if (r->faults->count == before && before < JOB_FAULTS_MAX)
        keep(r, &s);
    else
        submission_deinit(&s);
}

void submission_check_params(const struct kind_context *context, struct job_faults *faults)
{
    const struct job_kind *kind = job_kind(context->action->kind);
    check_known(context->params, 0, kind->members, submission_common, faults);
    if (context->data != NULL && kind != &job_kind_execute)
        job_faults_add(faults, "/data", "unknown member \"data\"");
    kind->check(context, faults);
}

// --- one text ------------------------------------------------------------------------------------

static bool is_blank(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && strchr(" \t\r\n", text[n]) != NULL && text[n] != '\0')
        n++;
    return n == length;
}

// The line that starts at *at (to behind its end), without its newline.
static size_t next_line(const char *text, size_t length, size_t *at)
{
    const char *start = text + *at;
    const char *end = memchr(start, '\n', length - *at);
    size_t n = end != NULL ? (size_t)(end - start) : length - *at;
    *at += n + (end != NULL);
    return n;
}

// Lines that are JSON texts of their own: the first that says something is an object, and there is
// another.
static bool is_ndjson(struct tape *tape, const char *text, size_t length)
{
    bool one = false;
    for (size_t at = 0; at < length;) {
        const char *line = text + at;
        size_t n = next_line(text, length, &at);
        if (is_blank(line, n))
            continue;
        if (one)
            return true;
        one = tape_parse(tape, line, n) && tape->tokens[0].kind == TAPE_OBJECT;
        if (!one)
            return false;
    }
    return false;
}

struct submissions_reader {
    struct reading r;
    const char *text;
    size_t length;
    size_t faults_before;
    enum { ONE_JOB, ITEMS, LINES, NOTHING } shape; // of what is still to be read
    struct tape tape;                              // of the whole, or of a line
    uint32_t item;                                 // ITEMS: the next one
    size_t at;                                     // LINES: where the next one begins
    size_t n_read;
};

static void read_line(struct submissions_reader *reader)
{
    struct reading *r = &reader->r;
    struct tape *tape = &reader->tape;
    const char *line = reader->text + reader->at;
    size_t n = next_line(reader->text, reader->length, &reader->at);
    size_t number = reader->n_read++;
    r->place = number;
    snprintf(r->prefix, sizeof(r->prefix), "/%zu", number);
    strcpy(r->tape_prefix, r->prefix);
    if (is_blank(line, n))
        return;
    if (tape_parse(tape, line, n))
        read_job(r, tape, 0);
    else
        job_faults_add(r->faults, r->prefix, "line %zu is not JSON: column %zu: %s", number + 1,
                       tape->error_offset + 1, tape->error_message);
}

static void read_item(struct submissions_reader *reader)
{
    struct reading *r = &reader->r;
    r->place = reader->n_read++;
    snprintf(r->prefix, sizeof(r->prefix), "/%zu", r->place);
    read_job(r, &reader->tape, reader->item);
    reader->item = reader->tape.tokens[reader->item].next;
}

static void not_json(struct reading *r, const struct tape *tape)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < tape->error_offset; i++) {
        bool newline = tape->data[i] == '\n';
        line += newline;
        column = newline ? 1 : column + 1;
    }
    job_faults_add(r->faults, "", "is not JSON: line %zu, column %zu: %s", line, column,
                   tape->error_message);
}

static void look_at(struct submissions_reader *reader, const char *text, size_t length)
{
    struct tape *tape = &reader->tape;
    struct tape line;
    tape_init(&line, 0);
    reader->shape = NOTHING;
    if (length > SUBMISSION_TEXT_MAX) {
        job_faults_add(reader->r.faults, "", "is larger than %zu MiB; divide it",
                       SUBMISSION_TEXT_MAX >> 20);
    } else if (is_blank(text, length)) {
        job_faults_add(reader->r.faults, "", "holds no job");
    } else if (tape_parse(tape, text, length) && tape->tokens[0].kind == TAPE_ARRAY) {
        reader->shape = ITEMS;
        reader->item = 1;
    } else if (tape->error == TAPE_OK) {
        reader->shape = ONE_JOB;
    } else if (is_ndjson(&line, text, length)) {
        reader->shape = LINES;
    } else {
        not_json(&reader->r, tape);
    }
    tape_deinit(&line);
}

static bool is_at_end(const struct submissions_reader *reader)
{
    switch (reader->shape) {
    case ONE_JOB:
        return reader->n_read > 0;
    case ITEMS:
        return reader->item == reader->tape.tokens[0].next;
    case LINES:
        return reader->at == reader->length;
    default:
        return true;
    }
}

// --- ids -----------------------------------------------------------------------------------------

static int by_id(const void *a, const void *b)
{
    const struct submission *const *x = a;
    const struct submission *const *y = b;
    int order = strcmp((*x)->id, (*y)->id);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

static void remove_item(struct submissions *out, size_t i)
{
    submission_deinit(&out->items[i]);
    memmove(&out->items[i], &out->items[i + 1], (out->count - i - 1) * sizeof(*out->items));
    out->count--;
}

// The first of them stays.
static void drop_duplicates(struct reading *r)
{
    struct submissions *out = r->out;
    struct submission **sorted = mem_alloc((out->count + 1) * sizeof(*sorted));
    size_t first = 0;
    for (size_t i = 0; i < out->count; i++)
        sorted[i] = &out->items[i];
    qsort(sorted, out->count, sizeof(*sorted), by_id);
    for (size_t i = 1; i < out->count; i++) {
        char pointer[32];
        if (strcmp(sorted[first]->id, sorted[i]->id) != 0) {
            first = i;
            continue;
        }
        snprintf(pointer, sizeof(pointer), "/%zu/id", sorted[i]->place);
        job_faults_add(r->faults, pointer, "another job has this id already: the one at /%zu",
                       sorted[first]->place);
        sorted[i]->is_duplicate = true;
    }
    for (size_t i = out->count; i > 0; i--) {
        if (out->items[i - 1].is_duplicate)
            remove_item(out, i - 1);
    }
    free(sorted);
}

// --- the whole -----------------------------------------------------------------------------------

struct submissions_reader *submissions_open(const struct submissions_source *source,
                                            struct submissions *out, struct job_faults *faults)
{
    struct submissions_reader *reader = mem_zalloc(sizeof(*reader));
    reader->r = (struct reading){
        .config = source->config, .dir = source->dir, .out = out, .faults = faults};
    reader->text = source->text;
    reader->length = source->length;
    reader->faults_before = faults->count;
    *out = (struct submissions){0};
    tape_init(&reader->tape, 0);
    look_at(reader, source->text, source->length);
    return reader;
}

bool submissions_read(struct submissions_reader *reader, size_t jobs)
{
    for (; jobs > 0 && !is_at_end(reader); jobs--) {
        if (reader->shape == ITEMS) {
            read_item(reader);
        } else if (reader->shape == LINES) {
            read_line(reader);
        } else {
            read_job(&reader->r, &reader->tape, 0);
            reader->n_read++;
        }
    }
    return !is_at_end(reader);
}

bool submissions_close(struct submissions_reader **pointer)
{
    struct submissions_reader *reader = *pointer;
    *pointer = NULL;
    drop_duplicates(&reader->r);
    bool good = reader->r.faults->count == reader->faults_before;
    if (!good)
        submissions_free(reader->r.out);
    tape_deinit(&reader->tape);
    free(reader);
    return good;
}

bool submissions_parse(const struct config *config, const char *dir, const char *text,
                       size_t length, struct submissions *out_r, struct job_faults *faults)
{
    const struct submissions_source source = {config, dir, text, length};
    struct submissions_reader *reader = submissions_open(&source, out_r, faults);
    submissions_read(reader, SIZE_MAX);
    return submissions_close(&reader);
}

void submissions_parse_configured(const struct config *config, struct submissions *out_r,
                                  struct job_faults *faults)
{
    struct reading r = {.config = config, .dir = config->dir, .out = out_r, .faults = faults};
    size_t before = faults->count;
    struct tape tape;
    *out_r = (struct submissions){0};
    tape_init(&tape, 0);
    for (size_t i = 0; i < config->jobs.n_queue; i++) {
        const char *text = config->jobs.queue[i].text;
        r.place = i;
        snprintf(r.prefix, sizeof(r.prefix), "/%zu", i);
        strcpy(r.tape_prefix, r.prefix);
        if (tape_parse(&tape, text, strlen(text)))
            read_job(&r, &tape, 0);
        else // nested too deeply; the rest the configuration's parser has seen to
            job_faults_add(faults, r.prefix, "%s", tape.error_message);
    }
    drop_duplicates(&r);
    out_r->partial = faults->count > before;
    tape_deinit(&tape);
}

void submissions_free(struct submissions *submissions)
{
    for (size_t i = 0; i < submissions->count; i++)
        submission_deinit(&submissions->items[i]);
    free(submissions->items);
    *submissions = (struct submissions){0};
}
