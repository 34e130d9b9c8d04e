// SPDX-License-Identifier: Apache-2.0
// Numbers found by a hash: what the compiler finds resources, anchors and names with. Several
// numbers may have one hash; whoever asks compares what they stand for.
#ifndef CXSINK_SCHEMA_INDEX_PRIV_H
#define CXSINK_SCHEMA_INDEX_PRIV_H

#include <stddef.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_slot {
    uint64_t hash;
    uint32_t value; // INDEX_NONE: free
};

// Zeros: empty.
struct index {
    struct index_slot *slots; // owned; 2^n of them
    size_t n, cap;
};

void index_put(struct index *index, uint64_t hash, uint32_t value);
// The first number under the hash from slot *at_r on (start with the hash), INDEX_NONE after the
// last. *at_r is set behind it:
//     size_t at = hash;
//     while ((value = index_next(index, hash, &at)) != INDEX_NONE && !is_it(value)) {}
uint32_t index_next(const struct index *index, uint64_t hash, size_t *at);
void index_deinit(struct index *index);

#endif
