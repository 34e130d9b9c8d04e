// SPDX-License-Identifier: Apache-2.0
// JSON Schema compiled once into a flat program that schema/validate runs over a tape.
//
// Drafts 2020-12, 2019-09, 7 and 6, as "$schema" names them (absent: the option's draft). Supported
// are all assertions and applicators of a single file but "unevaluatedItems",
// "unevaluatedProperties", "$dynamicRef", "$recursiveRef", an "$id" below the root, and references
// out of the file. What is not supported, not of the schema's draft, or not known at all is a fault
// and never ignored: a schema that compiles gives the verdicts of the standard.
#ifndef CXSINK_SCHEMA_COMPILE_H
#define CXSINK_SCHEMA_COMPILE_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>

struct schema;

// Longest text of a schema, in bytes.
#define SCHEMA_TEXT_MAX ((size_t)16 << 20)

// One fault of a schema: where (JSON Pointer into the schema, cut at its size; line and column of
// the text, both from 1, the column in bytes) and what, with a remedy where there is one.
struct schema_fault {
    char pointer[256];
    unsigned line, column;
    char message[STATUS_DETAIL_MAX];
};

enum schema_draft {
    SCHEMA_DRAFT_2020_12, // the default
    SCHEMA_DRAFT_2019_09,
    SCHEMA_DRAFT_7,
    SCHEMA_DRAFT_6,
    SCHEMA_DRAFT_4, // named only to be refused: its keywords mean other things
};

struct schema_options {
    enum schema_draft draft; // where the schema has no "$schema"
    bool annotate_formats;   // "format" asserts nothing; else it does, and must be a supported one
};

// Where faults go; `count` counts all of them, the first `max` are kept, in the text's order.
struct schema_faults {
    struct schema_fault *list; // the caller's; may be NULL when max is 0
    size_t max;
    size_t count;
};

// "2020-12", "2019-09", "7", "6", "4"; false when unknown.
bool schema_draft_parse(const char *name, enum schema_draft *draft_r);

// Compiles `text` (JSON, at most SCHEMA_TEXT_MAX; copied). On failure STATUS_INVALID, with up to
// `max_faults` faults, all found in one go; *schema_r is NULL then. `name` is used in the status
// sentence, which tells the first fault and how many there are. `n_faults_r` may be NULL.
enum status_code schema_compile(const char *name, const char *text, size_t length,
                                struct schema **schema_r, struct schema_fault *faults_r,
                                size_t max_faults, size_t *n_faults_r,
                                struct status *st) STATUS_MUST_CHECK;
// The same with options (NULL: defaults), faults only.
enum status_code schema_compile_with(const struct schema_options *options, const char *text,
                                     size_t length, struct schema_faults *faults,
                                     struct schema **schema_r) STATUS_MUST_CHECK;
void schema_destroy(struct schema **schema);

#endif
