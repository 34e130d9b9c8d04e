// SPDX-License-Identifier: Apache-2.0
// How long parsing, extracting and decoding the default event take, in microseconds an event. No
// limits are checked. Usage: bench_decode [SCHEMA-FILE]
#include "core/clock.h"
#include "core/fsio.h"
#include "support/default_event.h"
#include "json/tape.h"
#include "schema/compile.h"
#include "schema/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 7
#define EVENTS 200000

struct bench {
    struct tape tape;
    struct decoder *decoder;
    struct mapping *mapping;
    struct schema *schema; // NULL: not validated
    struct buf cells;
    struct decode_result result;
};

static bool parse(struct bench *b)
{
    return tape_parse(&b->tape, default_event, sizeof(default_event) - 1);
}

static bool extract(struct bench *b)
{
    uint64_t hash;
    buf_clear(&b->cells);
    return mapping_extract(b->mapping, &b->tape, &b->cells, &hash, NULL, 0) == 0;
}

static bool validate(struct bench *b)
{
    size_t n;
    return b->schema == NULL || schema_validate(b->schema, &b->tape, NULL, 0, &n);
}

static bool decode(struct bench *b)
{
    buf_clear(&b->cells);
    decode_event(b->decoder, b->schema, b->mapping, DECODE_TEXT, default_event,
                 sizeof(default_event) - 1, &b->cells, &b->result);
    return b->result.is_row;
}

// The best of several rounds: what the work costs, without what else the machine did.
static void measure(const char *name, struct bench *b, bool (*step)(struct bench *b))
{
    int64_t best = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        struct mono start = mono_read();
        for (int i = 0; i < EVENTS; i++) {
            if (!step(b)) {
                fprintf(stderr, "bench_decode: %s failed on the default event\n", name);
                exit(1);
            }
        }
        int64_t us = mono_diff(mono_read(), start);
        best = us < best ? us : best;
    }
    printf("%-28s %7.3f us/event\n", name, (double)best / EVENTS);
}

static void load_schema(struct bench *b, const char *path)
{
    struct buf text = {0};
    struct status st = {0};
    struct schema_fault faults[4];
    size_t n = 0;
    if (fsio_read_file(path, 1 << 20, &text, &st) != STATUS_OK ||
        schema_compile(path, text.data, text.len, &b->schema, faults, 4, &n, &st) != STATUS_OK) {
        fprintf(stderr, "bench_decode: %s\n", st.detail);
        exit(1);
    }
    buf_deinit(&text);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    tape_init(&b.tape, 0);
    b.decoder = decoder_create(NULL);
    b.mapping = default_event_mapping();
    if (argc > 1)
        load_schema(&b, argv[1]);
    printf("event of %zu bytes\n", sizeof(default_event) - 1);
    measure("parse", &b, parse);
    measure("extract", &b, extract);
    if (b.schema != NULL)
        measure("validate", &b, validate);
    measure(b.schema != NULL ? "decode, with schema" : "decode, without schema", &b, decode);
    schema_destroy(&b.schema);
    mapping_destroy(&b.mapping);
    decoder_destroy(&b.decoder);
    tape_deinit(&b.tape);
    buf_deinit(&b.cells);
    buf_deinit(&b.result.detail);
    return 0;
}
