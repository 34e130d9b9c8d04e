// SPDX-License-Identifier: Apache-2.0
// Runs a compiled schema over a tape. No allocation, no clock, no logging.
#ifndef CXSINK_SCHEMA_VALIDATE_H
#define CXSINK_SCHEMA_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

struct schema;
struct tape;

// One failure. Pointers are RFC 6901, cut at their size; `message` names what was expected and what
// kind of value was found, never the value itself.
struct schema_error {
    char instance[256];
    char schema[256];
    const char *keyword; // a literal
    char message[256];
};

// True when valid. Otherwise all failures are counted in *n_errors_r and the first `max_errors`
// described; with max_errors 0 it stops at the first.
bool schema_validate(const struct schema *schema, const struct tape *tape,
                     struct schema_error *errors_r, size_t max_errors, size_t *n_errors_r);

#endif
