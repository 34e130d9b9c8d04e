// SPDX-License-Identifier: Apache-2.0
// JSON (RFC 8259) with // and /* */ comments to a tree whose nodes know their lines. Strings are
// decoded in place and live in the text, so that wiping the text wipes every secret written in it;
// that, the lines and the duplicate members are why this is not a library's parser.
#ifndef CXSINK_CONFIG_DOCUMENT_PRIV_H
#define CXSINK_CONFIG_DOCUMENT_PRIV_H

#include "config/load.h"

#define DOCUMENT_DEPTH_MAX 64

enum doc_type { DOC_NULL, DOC_BOOLEAN, DOC_NUMBER, DOC_STRING, DOC_ARRAY, DOC_OBJECT };

struct doc_node {
    enum doc_type type;
    bool duplicate;     // a member whose name an earlier member of the object has
    unsigned line;      // of the value's beginning
    unsigned name_line; // of a member's name
    const char *name;   // of a member, NUL-terminated; NULL for the root and for items of arrays
    const char *text;   // of a string: its NUL-terminated value; else, of a scalar, its spelling
    size_t length;      // of `text`, bytes
    struct doc_node *first, *next;
    size_t count; // members or items
};

struct document {
    char *text; // owned
    size_t size;
    struct doc_node *root; // owned
};

// Parses `text` (`size` bytes and one more that is NUL), which the document takes over even on
// failure. False with one fault (line, column) at the first syntax error.
bool document_parse(struct document *doc, char *text, size_t size, struct config_faults *faults);
// A document of a literal of the settings table.
void document_literal(struct document *doc, const char *json);
// Marks every duplicate member, anywhere; one fault each.
void document_find_duplicates(struct document *doc, struct config_faults *faults);
// Wipes and frees.
void document_deinit(struct document *doc);

// The first member of that name; NULL when there is none or `node` is not an object.
const struct doc_node *doc_member(const struct doc_node *node, const char *name);
// With its article: "a number".
const char *doc_type_name(enum doc_type type);
// Reads a number written as digits alone that fits. False for anything else.
bool doc_whole_number(const struct doc_node *node, uint64_t *value_r);

// Appends "/name" to a JSON Pointer, escaped as RFC 6901 section 3 asks; returns the length before.
size_t pointer_push(struct buf *pointer, const char *name);
size_t pointer_push_index(struct buf *pointer, size_t index);

#endif
