// SPDX-License-Identifier: Apache-2.0
// One raw frame to one row or one dead letter, pure: parse, validate, look for U+0000, extract.
// Which comes first decides the reason: frame.*, json.*, schema.*, text.nul, column.*.
#ifndef CXSINK_EVENT_DECODE_H
#define CXSINK_EVENT_DECODE_H

#include "core/buf.h"
#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

struct mapping;
struct schema;

#define DECODE_REASON_MAX 96 // with the NUL; "column." and 63 bytes fit

enum decode_frame { DECODE_TEXT, DECODE_BINARY, DECODE_TOO_LARGE };

struct decode_limits {
    unsigned depth; // of nesting; 0: the default of 128
};

// Scratch memory of decoding, reused for every event; one a daemon is enough.
struct decoder;
struct decoder *decoder_create(const struct decode_limits *limits);
void decoder_destroy(struct decoder **decoder);

struct decode_result {
    bool is_row;
    uint64_t key_hash;              // of a row
    char reason[DECODE_REASON_MAX]; // of a dead letter: the reason code
    struct buf detail;              // of a dead letter: a JSON array of {instance, schema, keyword,
                                    // message} or {column, message}; owned by the caller, reused
};

// Appends the row's cells to `cells`, or fills reason and detail. `schema` may be NULL (no
// validation). `frame` other than text is a dead letter at once.
void decode_event(struct decoder *decoder, const struct schema *schema,
                  const struct mapping *mapping, enum decode_frame frame, const char *data,
                  size_t length, struct buf *cells, struct decode_result *result_r);

#endif
