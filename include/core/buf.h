// SPDX-License-Identifier: Apache-2.0
// Growable bytes with a cap. A struct buf of zeros is empty and unbounded; `buf_deinit` frees.
#ifndef CXSINK_CORE_BUF_H
#define CXSINK_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data; // owned; NULL while empty and never grown
    size_t len; // bytes in use
    size_t cap; // bytes allocated
    size_t max; // bytes it may hold; 0: no cap
};

// Makes room for `more` further bytes. False when that passes the cap; the content is untouched.
bool buf_grow(struct buf *b, size_t more);
void buf_deinit(struct buf *b);
// Frees the memory beyond `keep` bytes when nothing is in use (after a rare large message).
void buf_shrink(struct buf *b, size_t keep);

// Appends a formatted text (no NUL is counted). False at the cap.
bool buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Appends `text` as a JSON string with its quotes, escaping what RFC 8259 section 7 asks for;
// bytes that are not valid UTF-8 become U+FFFD.
bool buf_json_string(struct buf *b, const char *text, size_t length);
// The content as a NUL-terminated text; the NUL is not counted in `len`.
const char *buf_text(struct buf *b);

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}

// Room for `more` bytes at the end, or NULL at the cap; commit by adding to `len`.
static inline char *buf_reserve(struct buf *b, size_t more)
{
    if (b->cap - b->len < more && !buf_grow(b, more))
        return NULL;
    return b->data + b->len;
}

static inline bool buf_append(struct buf *b, const void *data, size_t length)
{
    char *at = buf_reserve(b, length);
    if (at == NULL && length != 0)
        return false;
    if (length != 0)
        memcpy(at, data, length);
    b->len += length;
    return true;
}

static inline bool buf_append_text(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}

#endif
