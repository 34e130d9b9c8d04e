// SPDX-License-Identifier: Apache-2.0
// URI references (RFC 3986): taken apart, and resolved against a base. Pure. What is no URI comes
// out as something else that is none: then nothing is found under it.
#ifndef CXSINK_SCHEMA_URI_PRIV_H
#define CXSINK_SCHEMA_URI_PRIV_H

#include "core/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct uri_part {
    const char *at;
    size_t length;
    bool present; // its delimiter is there; always of the path
};

struct uri {
    struct uri_part scheme, authority, path, query, fragment;
};

// Points into `text` (appendix B).
void uri_split(const char *text, size_t length, struct uri *uri_r);
// Appends the target of `reference` without its fragment (section 5.2), normalised (section 6.2.2:
// case, percent-encoding, dot segments). The base may be empty; both may point into one text, but
// not into `out`.
void uri_resolve(const struct uri *base, const struct uri *reference, struct buf *out);
// Decodes %XX in place. False when a "%" is not followed by two hex digits.
bool uri_percent_decode(char *text, size_t *length);

#endif
