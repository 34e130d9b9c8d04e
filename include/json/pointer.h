// SPDX-License-Identifier: Apache-2.0
// JSON Pointer (RFC 6901): compiled once, followed on many tapes. Pure.
#ifndef CXSINK_JSON_POINTER_H
#define CXSINK_JSON_POINTER_H

#include "core/buf.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tape;

// Most reference tokens a pointer may have.
#define POINTER_PARTS_MAX 128

struct pointer_part {
    const char *name; // unescaped, NUL-terminated behind `length` bytes
    uint32_t length;
    uint32_t hash;  // tape_hash() of it
    bool is_index;  // 0, or digits without a leading zero: may also name an array's element
    uint32_t index; // then which; UINT32_MAX when too large to be one
};

struct pointer {
    size_t n_parts; // 0: the whole document
    struct pointer_part parts[];
};

// Compiles "" or "/a/b~1c/0". STATUS_INVALID: no leading '/', a '~' not followed by 0 or 1, not
// UTF-8, too many parts. The result is one allocation, ended with pointer_destroy().
enum status_code pointer_compile(const char *text, size_t length, struct pointer **pointer_r,
                                 struct status *st) STATUS_MUST_CHECK;
void pointer_destroy(struct pointer **pointer);

// Index of the value it names below the value at `root` (0: the document), or TAPE_NONE. "-" (the
// element behind the last) names nothing.
uint32_t pointer_find(const struct pointer *pointer, const struct tape *tape, uint32_t root);

// Appends the pointer of the token at `target` (a value, or a member's name: then the member's), as
// text in its string form, section 3. False when `out` is at its cap.
bool pointer_of(const struct tape *tape, uint32_t target, struct buf *out);
// The same, beginning at the value at `root`, which holds the target.
bool pointer_of_below(const struct tape *tape, uint32_t root, uint32_t target, struct buf *out);

#endif
