// SPDX-License-Identifier: Apache-2.0
// Parser of ECMA-262 regular expressions (section 22.2.1, with the u flag): checks one and writes
// it again for PCRE2 so that it means the same. Strict, but for one liberty: any ASCII punctuation
// may be escaped ("\-", "\@"), which has only one meaning. Pure.
#ifndef CXSINK_SCHEMA_ECMA_PRIV_H
#define CXSINK_SCHEMA_ECMA_PRIV_H

#include "core/buf.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ECMA_PIECES_MAX 12
#define ECMA_NO_LIMIT UINT32_MAX

// One step of a scan: between min and max code points of a set, as many as there are.
struct ecma_piece {
    uint64_t ascii[2]; // the set's members below 0x80
    bool beyond;       // and whether it has all code points from 0x80 on (else none)
    uint32_t min, max;
};

struct ecma_pattern {
    // The pattern for PCRE2; owned. It has a callout wherever there is something to choose, and
    // around long fixed work, so that who runs it can count every step: number 0 for one step,
    // number n for 2^n of them to come.
    struct buf pcre;
    bool has_references; // a step may compare as much as the whole text
    // A pattern that is "^", pieces, and perhaps "$", where taking as many code points as a piece
    // can never spoils the match: no going back is needed.
    bool is_scan;
    bool to_end; // with "$"
    size_t n_pieces;
    struct ecma_piece pieces[ECMA_PIECES_MAX];
};

// Fills *pattern_r, to be ended with ecma_deinit() also after a failure. STATUS_INVALID: wrong, or
// not expressible for PCRE2; with the offset in bytes.
enum status_code ecma_translate(const char *text, size_t length, struct ecma_pattern *pattern_r,
                                struct status *st) STATUS_MUST_CHECK;
void ecma_deinit(struct ecma_pattern *pattern);

// "Lu", "Letter", "Script=Greek", "Alphabetic", ...: what stands between the braces of \p{ }, as
// PCRE2 calls it. False when unknown.
bool ecma_property(const char *name, size_t length, struct buf *out);

#endif
