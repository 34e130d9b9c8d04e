// SPDX-License-Identifier: Apache-2.0
// How long parsing and validating take, in microseconds an event. No limits are checked.
// Usage: bench_schema [SCHEMA-FILE [NDJSON-FILE]]; without a file, the default event.
#include "core/buf.h"
#include "core/clock.h"
#include "core/fsio.h"
#include "json/tape.h"
#include "schema/compile.h"
#include "schema/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 9
#define EVENTS_AT_LEAST 200000

static const char default_event[] =
    "{\"interactionId\":\"int-000000000001\",\"timestamp\":\"2025-03-14T09:26:53.589Z\","
    "\"type\":\"call\",\"idempotencyKey\":\"evt-000000000001\",\"attributes\":{\"duration\":412,"
    "\"disposition\":\"resolved\",\"queueName\":\"support\",\"agentId\":\"agent-17\"}}\n";

static void must_read(const char *path, struct buf *content)
{
    struct status st = {0};

    if (fsio_read_file(path, (size_t)1 << 30, content, &st) != STATUS_OK) {
        fprintf(stderr, "bench_schema: %s\n", st.detail);
        exit(1);
    }
}

static struct schema *must_compile(const char *path)
{
    struct buf text = {0};
    struct status st = {0};
    struct schema *schema;

    must_read(path, &text);
    if (schema_compile(path, text.data, text.len, &schema, NULL, 0, NULL, &st) != STATUS_OK) {
        fprintf(stderr, "bench_schema: %s\n", st.detail);
        exit(1);
    }
    buf_deinit(&text);
    return schema;
}

// One pass over all lines; counts them and the valid ones.
static void pass(const struct schema *schema, struct tape *tape, const struct buf *lines,
                 size_t *n_lines, size_t *n_valid)
{
    const char *p = lines->data, *end = p + lines->len;
    size_t n;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *line_end = newline != NULL ? newline : end;
        ++*n_lines;
        if (tape_parse(tape, p, (size_t)(line_end - p)) && schema != NULL)
            *n_valid += schema_validate(schema, tape, NULL, 0, &n);
        p = line_end + 1;
    }
}

// Microseconds a line, the best of several rounds.
static double measure(const struct schema *schema, const struct buf *lines, size_t *valid_r)
{
    struct tape tape;
    double best = 1e9;

    tape_init(&tape, 0);
    for (int round = 0; round < ROUNDS; round++) {
        size_t n_lines = 0, n_valid = 0;
        struct mono start = mono_read();
        while (n_lines < EVENTS_AT_LEAST)
            pass(schema, &tape, lines, &n_lines, &n_valid);
        double us = (double)mono_diff(mono_read(), start) / (double)n_lines;
        best = us < best ? us : best;
        *valid_r = n_valid * 100 / n_lines;
    }
    tape_deinit(&tape);
    return best;
}

// Validation alone, over one line parsed once.
static double measure_validate(const struct schema *schema, const struct buf *line)
{
    struct tape tape;
    double best = 1e9;
    size_t n;

    tape_init(&tape, 0);
    if (!tape_parse(&tape, line->data, line->len))
        exit(1);
    for (int round = 0; round < ROUNDS; round++) {
        struct mono start = mono_read();
        for (int i = 0; i < EVENTS_AT_LEAST; i++)
            if (!schema_validate(schema, &tape, NULL, 0, &n))
                exit(1);
        double us = (double)mono_diff(mono_read(), start) / EVENTS_AT_LEAST;
        best = us < best ? us : best;
    }
    tape_deinit(&tape);
    return best;
}

int main(int argc, char **argv)
{
    struct schema *schema = must_compile(argc > 1 ? argv[1] : "config/schemas/cxone-event.json");
    struct buf lines = {0};
    size_t valid;

    if (argc > 2)
        must_read(argv[2], &lines);
    else
        buf_append_text(&lines, default_event);
    printf("tape             %.3f us/event\n", measure(NULL, &lines, &valid));
    printf("tape + validate  %.3f us/event", measure(schema, &lines, &valid));
    printf("  (%zu %% valid)\n", valid);
    if (argc <= 2)
        printf("validate         %.3f us/event\n", measure_validate(schema, &lines));
    buf_deinit(&lines);
    schema_destroy(&schema);
    return 0;
}
