// SPDX-License-Identifier: Apache-2.0
// What the files of the parser of ECMA-262 patterns share: ecma_class.c knows characters and their
// classes, ecma.c groups, references and repetitions. Functions return false after a fault that
// ecma_fail() has told.
#ifndef CXSINK_SCHEMA_ECMA_PARSER_PRIV_H
#define CXSINK_SCHEMA_ECMA_PARSER_PRIV_H

#include "schema/ecma_priv.h"

enum group_kind { GROUP_PLAIN, GROUP_AHEAD, GROUP_NOT_AHEAD, GROUP_BEHIND };

// A pair of parentheses, capturing or not.
struct ecma_group {
    uint32_t parent; // NOWHERE: the pattern itself
    enum group_kind kind;
    bool repeated;   // more than once
    unsigned number; // of a capturing one, from 1; else 0
    const char *name;
    size_t name_length;
};

struct ecma_reference {
    uint32_t inside; // the group it stands in
    unsigned number; // 0: by name
    const char *name;
    size_t name_length;
    size_t offset;
};

// What one atom can match, while a scan is still possible.
struct ecma_set {
    uint64_t ascii[2];
    bool all_beyond, some_beyond;
};

enum ecma_scan_state { SCAN_START, SCAN_PIECES, SCAN_END, SCAN_NO };

struct ecma_parser {
    const char *start, *p, *end;
    struct ecma_pattern *pattern;
    struct status *st;
    struct ecma_group *groups;
    uint32_t n_groups;
    struct ecma_reference *references;
    uint32_t n_references;
    unsigned n_captures;
    uint32_t inside; // the open group
    unsigned depth;
    enum ecma_scan_state scan;
};

bool ecma_fail(struct ecma_parser *parser, const char *what);
// Appends to the pattern for PCRE2.
bool ecma_put(struct ecma_parser *parser, const char *text);
// The callout of a step (ecma_priv.h).
#define ECMA_STEP "(?C)"
bool ecma_put_code_point(struct ecma_parser *parser, uint32_t c);
// Is the next byte this one?
bool ecma_at(const struct ecma_parser *parser, char c);
// Passes the text if it comes next.
bool ecma_take(struct ecma_parser *parser, const char *text);
uint32_t ecma_take_code_point(struct ecma_parser *parser);

// Adds code points to what an atom can match.
void ecma_set_add(struct ecma_set *set, uint32_t from, uint32_t to);
// Adds what a class escape (one of dDwWsS) stands for.
void ecma_set_add_escape(struct ecma_set *set, char escape);
// Notes an atom as the next piece of the scan, or that it is none.
void ecma_note_piece(struct ecma_parser *parser, const struct ecma_set *set);
// Is taking as much as possible right for every piece?
bool ecma_scan_is_exact(const struct ecma_pattern *pattern);

// Behind a backslash: an escape that stands for one code point.
bool ecma_character_escape(struct ecma_parser *parser, uint32_t *c_r);
// Behind a backslash: \p{...} or \P{...}.
bool ecma_property_escape(struct ecma_parser *parser);
// Behind a backslash: is it d, D, w, W, s or S?
bool ecma_at_class_escape(const struct ecma_parser *parser);
// Writes such an escape for use inside brackets.
bool ecma_put_class_escape(struct ecma_parser *parser, char escape);
// Behind "[".
bool ecma_class(struct ecma_parser *parser);

#endif
