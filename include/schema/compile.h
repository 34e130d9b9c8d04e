// SPDX-License-Identifier: Apache-2.0
// JSON Schema compiled once into a flat program that schema/validate runs over a tape.
#ifndef CXSINK_SCHEMA_COMPILE_H
#define CXSINK_SCHEMA_COMPILE_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>

struct schema;

// One fault of a schema: where (JSON Pointer into the schema, line and column of the file where
// known, else 0) and what.
struct schema_fault {
    char pointer[256];
    unsigned line, column;
    char message[STATUS_DETAIL_MAX];
};

// Compiles `text` (JSON). On failure STATUS_INVALID, with up to `max_faults` faults, all found in
// one go; an unsupported or misspelt keyword is a fault, never ignored. `name` is used in messages.
enum status_code schema_compile(const char *name, const char *text, size_t length,
                                struct schema **schema_r, struct schema_fault *faults_r,
                                size_t max_faults, size_t *n_faults_r,
                                struct status *st) STATUS_MUST_CHECK;
void schema_destroy(struct schema **schema);

#endif
