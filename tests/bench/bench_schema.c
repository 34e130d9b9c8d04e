// SPDX-License-Identifier: Apache-2.0
// How long compiling, parsing, validating and decoding take. No limits are checked.
// Usage: bench_schema [SCHEMA-FILE [NDJSON-FILE]]; without a file, the default event, which is
// decoded to a row as well, and texts parsed by each means of the CPU's.
// bench_schema --event prints the default event.
#include "core/buf.h"
#include "core/clock.h"
#include "core/fsio.h"
#include "core/mem.h"
#include "support/default_event.h"
#include "json/tape.h"
#include "schema/compile.h"
#include "schema/validate.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 9
#define EVENTS_AT_LEAST 100000 // of a round
#define TRANSCRIPT ((size_t)200 << 10)

struct line {
    const char *text;
    size_t length;
};

struct lines {
    struct buf content;
    struct line *list;
    size_t n;
};

static void must_read(const char *path, struct buf *content)
{
    struct status st = {0};

    if (fsio_read_file(path, (size_t)1 << 30, content, &st) != STATUS_OK) {
        fprintf(stderr, "bench_schema: %s\n", st.detail);
        exit(1);
    }
}

static void split(struct lines *lines)
{
    const char *p = lines->content.data, *end = p + lines->content.len;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *line_end = newline != NULL ? newline : end;
        lines->list = mem_realloc_array(lines->list, lines->n + 1, sizeof(*lines->list));
        lines->list[lines->n++] = (struct line){p, (size_t)(line_end - p)};
        p = line_end + 1;
    }
}

static void show(const char *what, double us, size_t bytes)
{
    printf("%-32s  %9.3f us  %8.0f MB/s\n", what, us, (double)bytes / us);
}

// Compiles several times for the time, and once more to keep.
static struct schema *must_compile(const char *path)
{
    struct buf text = {0};
    struct status st = {0};
    struct schema *schema = NULL;
    int64_t best = INT64_MAX;
    size_t memory = 0;

    must_read(path, &text);
    for (int round = 0; round < ROUNDS; round++) {
        schema_destroy(&schema);
        size_t before = mallinfo2().uordblks;
        struct mono start = mono_read();
        if (schema_compile(path, text.data, text.len, &schema, NULL, 0, NULL, &st) != STATUS_OK) {
            fprintf(stderr, "bench_schema: %s\n", st.detail);
            exit(1);
        }
        int64_t us = mono_diff(mono_read(), start);
        best = us < best ? us : best;
        memory = mallinfo2().uordblks - before;
    }
    printf("%-32s  %9.3f ms\n", "compile", (double)best / 1000);
    printf("%-32s  %9zu bytes  %6.1f times the text\n", "memory", memory,
           (double)memory / (double)text.len);
    buf_deinit(&text);
    return schema;
}

// Microseconds a line of parsing all and, with a schema, validating; the best of several rounds.
static double measure_all(const struct schema *schema, struct tape *tape, const struct lines *lines)
{
    double best = 1e9;
    size_t n_errors, n_valid;

    for (int round = 0; round < ROUNDS; round++) {
        size_t n = n_valid = 0;
        struct mono start = mono_read();
        for (; n < EVENTS_AT_LEAST; n += lines->n)
            for (size_t i = 0; i < lines->n; i++)
                n_valid += tape_parse(tape, lines->list[i].text, lines->list[i].length) &&
                           (schema == NULL || schema_validate(schema, tape, NULL, 0, &n_errors));
        double us = (double)mono_diff(mono_read(), start) / (double)n;
        best = us < best ? us : best;
        if (n_valid != n) {
            fprintf(stderr, "bench_schema: %zu of %zu lines are not valid\n", n - n_valid, n);
            exit(1);
        }
    }
    return best;
}

// Validation alone: each line parsed once and validated many times on end.
static double measure_validate(const struct schema *schema, struct tape *tape,
                               const struct lines *lines)
{
    size_t times = EVENTS_AT_LEAST / lines->n + 1, n_errors;
    double sum = 0;

    for (size_t i = 0; i < lines->n; i++) {
        int64_t best = INT64_MAX;
        if (!tape_parse(tape, lines->list[i].text, lines->list[i].length))
            exit(1);
        for (int round = 0; round < ROUNDS; round++) {
            struct mono start = mono_read();
            for (size_t n = 0; n < times; n++)
                schema_validate(schema, tape, NULL, 0, &n_errors);
            int64_t us = mono_diff(mono_read(), start);
            best = us < best ? us : best;
        }
        sum += (double)best / (double)times;
    }
    return sum / (double)lines->n;
}

static double measure_decode(const struct schema *schema)
{
    struct decoder *decoder = decoder_create(NULL);
    struct mapping *mapping = default_event_mapping();
    struct decode_result result = {0};
    struct buf cells = {0};
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        struct mono start = mono_read();
        for (int i = 0; i < EVENTS_AT_LEAST; i++) {
            buf_clear(&cells);
            decode_event(decoder, schema, mapping, DECODE_TEXT, default_event,
                         sizeof(default_event) - 1, &cells, &result);
            if (!result.is_row)
                exit(1);
        }
        double us = (double)mono_diff(mono_read(), start) / EVENTS_AT_LEAST;
        best = us < best ? us : best;
    }
    buf_deinit(&cells);
    buf_deinit(&result.detail);
    mapping_destroy(&mapping);
    decoder_destroy(&decoder);
    return best;
}

static double measure_text(struct tape *tape, const char *text, size_t length)
{
    double best = 1e9;
    int times = length > 4096 ? 100 : EVENTS_AT_LEAST;

    for (int round = 0; round < ROUNDS; round++) {
        struct mono start = mono_read();
        for (int i = 0; i < times; i++)
            if (!tape_parse(tape, text, length))
                exit(1);
        double us = (double)mono_diff(mono_read(), start) / times;
        best = us < best ? us : best;
    }
    return best;
}

// The default event, a long string of ASCII, and one of three bytes a character.
static void compare_variants(void)
{
    static const char *const names[TAPE_VARIANTS] = {[TAPE_PORTABLE] = "words",
                                                     [TAPE_SSE42] = "SSE4.2",
                                                     [TAPE_AVX2] = "AVX2",
                                                     [TAPE_NEON] = "NEON"};
    char *ascii = mem_alloc(TRANSCRIPT), *wide = mem_alloc(TRANSCRIPT);
    char what[64];
    struct tape tape;

    memset(ascii, 'x', TRANSCRIPT);
    memset(wide, 'x', TRANSCRIPT);
    for (size_t i = 1; i + 3 < TRANSCRIPT; i += 3)
        memcpy(wide + i, "\xe4\xb8\xad", 3);
    ascii[0] = ascii[TRANSCRIPT - 1] = wide[0] = wide[TRANSCRIPT - 1] = '"';
    tape_init(&tape, 0);
    for (int v = 0; v < TAPE_VARIANTS; v++) {
        if (!tape_use(&tape, (enum tape_variant)v))
            continue;
        snprintf(what, sizeof(what), "parse by %s", names[v]);
        show(what, measure_text(&tape, default_event, sizeof(default_event) - 1),
             sizeof(default_event) - 1);
        snprintf(what, sizeof(what), "200 KiB of ASCII by %s", names[v]);
        show(what, measure_text(&tape, ascii, TRANSCRIPT), TRANSCRIPT);
        snprintf(what, sizeof(what), "200 KiB of Chinese by %s", names[v]);
        show(what, measure_text(&tape, wide, TRANSCRIPT), TRANSCRIPT);
    }
    tape_deinit(&tape);
    free(ascii);
    free(wide);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--event") == 0)
        return puts(default_event) < 0;
    struct schema *schema = must_compile(argc > 1 ? argv[1] : "config/schemas/cxone-event.json");
    struct lines lines = {0};
    struct tape tape;

    if (argc > 2)
        must_read(argv[2], &lines.content);
    else
        buf_append_text(&lines.content, default_event);
    split(&lines);
    tape_init(&tape, 0);
    size_t bytes = lines.content.len / lines.n;
    show("parse", measure_all(NULL, &tape, &lines), bytes);
    show("validate", measure_validate(schema, &tape, &lines), bytes);
    show("parse + validate", measure_all(schema, &tape, &lines), bytes);
    if (argc <= 2) {
        show("parse + validate + extract", measure_decode(schema), bytes);
        compare_variants();
    }
    tape_deinit(&tape);
    free(lines.list);
    buf_deinit(&lines.content);
    schema_destroy(&schema);
    return 0;
}
