// SPDX-License-Identifier: Apache-2.0
// The nearest of a list of names to one that was mistyped, by edit distance.
#ifndef CXSINK_CONFIG_SUGGEST_H
#define CXSINK_CONFIG_SUGGEST_H

#include "core/buf.h"

#include <stddef.h>

struct suggest {
    const char *wrong;
    const char *nearest; // NULL: none is near enough
    size_t distance;
    struct buf known; // all the names, comma-separated, as far as they fit into one sentence
    bool cut;
};

void suggest_init(struct suggest *s, const char *wrong);
// Weighs one name that would be right (kept by reference).
void suggest_consider(struct suggest *s, const char *name);
// `did you mean "x"?`, else `known here: x, y`, else "". Valid until deinit.
const char *suggest_sentence(struct suggest *s);
void suggest_deinit(struct suggest *s);

// Insertions, deletions, replacements and swaps of neighbours, case ignored, that lead from `a` to
// `b`. Names longer than 64 bytes are compared by their first 64.
size_t suggest_distance(const char *a, const char *b);

#endif
