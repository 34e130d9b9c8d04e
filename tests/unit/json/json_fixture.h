// SPDX-License-Identifier: Apache-2.0
// Texts for the tests of json/: parsed from an allocation of exactly their size, so that the
// address sanitizer sees a read beyond them.
#ifndef CXSINK_TESTS_JSON_FIXTURE_H
#define CXSINK_TESTS_JSON_FIXTURE_H

#include "json/tape.h"

#include <stdlib.h>
#include <string.h>

struct doc {
    struct tape tape;
    char *copy;
    bool ok;
};

// The variant that parses; TAPE_VARIANTS: the CPU's best.
static enum tape_variant doc_variant = TAPE_VARIANTS;

static inline struct doc doc_parse_bytes(const char *data, size_t length, unsigned depth)
{
    struct doc doc = {0};
    tape_init(&doc.tape, depth);
    if (doc_variant != TAPE_VARIANTS && !tape_use(&doc.tape, doc_variant))
        abort();
    doc.copy = malloc(length != 0 ? length : 1);
    memcpy(doc.copy, data, length);
    doc.ok = tape_parse(&doc.tape, doc.copy, length);
    return doc;
}

static inline struct doc doc_parse(const char *text)
{
    return doc_parse_bytes(text, strlen(text), 0);
}

// Is the variant there?
static inline bool doc_use(enum tape_variant variant)
{
    struct tape tape;
    tape_init(&tape, 0);
    bool there = tape_use(&tape, variant);
    tape_deinit(&tape);
    if (there)
        doc_variant = variant;
    return there;
}

static inline void doc_free(struct doc *doc)
{
    tape_deinit(&doc->tape);
    free(doc->copy);
}

#endif
