// SPDX-License-Identifier: Apache-2.0
// JSON Schema compiled once into a flat program that schema/validate runs over a tape.
//
// Drafts 2020-12, 2019-09, 7, 6 and 4, complete, as "$schema" names them for each schema resource
// (absent: the option's draft), or a custom meta-schema with its "$vocabulary". Schemas refer to
// one another across files through the `lookup` of the options; the drafts' own meta-schemas are
// known without it. Compiling is pure: it reads no file and no network.
//
// How it is compiled: all texts become one tape; each schema (object or boolean) reached from the
// root becomes a block of instructions, and references become calls, so that nothing is looked up
// while validating. What "unevaluatedProperties" and "unevaluatedItems" see is worked out
// beforehand wherever it does not depend on the value; only else does a bitmap record it. A
// "$dynamicRef" becomes a plain call when only one target can be meant. The instruction set, one
// line each, is in src/schema/program_priv.h.
#ifndef CXSINK_SCHEMA_COMPILE_H
#define CXSINK_SCHEMA_COMPILE_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>

struct schema;

// Longest text of a schema, and of all that it refers to together, in bytes.
#define SCHEMA_TEXT_MAX ((size_t)16 << 20)
#define SCHEMA_TEXTS_MAX ((size_t)64 << 20)

// One fault of a schema: where (JSON Pointer into the schema, cut at its size; line and column of
// the text, both from 1, the column in bytes) and what, with a remedy where there is one.
struct schema_fault {
    char file[256]; // the referenced text that has it, by the name its lookup gave; "": the root's
    char pointer[256];
    unsigned line, column;
    char message[STATUS_DETAIL_MAX];
};

enum schema_draft {
    SCHEMA_DRAFT_2020_12, // the default
    SCHEMA_DRAFT_2019_09,
    SCHEMA_DRAFT_7,
    SCHEMA_DRAFT_6,
    SCHEMA_DRAFT_4,
};

// What is not known is ignored, as the standard has it. Refused as faults are:
enum schema_strict {
    SCHEMA_STRICT_TYPOS, // keywords and formats that look like misspelt ones, and keywords of
                         // another draft that would assert something there (the default)
    SCHEMA_STRICT_OFF,   // nothing
    SCHEMA_STRICT_ALL,   // every unknown keyword and format, and what stands beside a "$ref" where
                         // the draft ignores that
};

// A text that a schema refers to: the lookup's, unchanged until compiling ends.
struct schema_source {
    const char *text;
    size_t length;
    const char *name; // for faults and failures: a path, or what people know it by
};

struct schema_options {
    enum schema_draft draft; // where the schema has no "$schema"
    bool annotate_formats;   // "format" asserts nothing; else it does
    enum schema_strict strict;
    const char *base_uri; // of the root's text, absolute; NULL: none. Its "$id" is relative to it
    // Finds the text at `uri` (absolute, normalised, without fragment). STATUS_NOT_FOUND: not known
    // here; anything else but STATUS_OK: known, but not to be had, and `st` says why. May be NULL.
    enum status_code (*lookup)(void *data, const char *uri, struct schema_source *source_r,
                               struct status *st);
    void *lookup_data;
};

// Where faults go; `count` counts all of them, the first `max` are kept, in the text's order.
struct schema_faults {
    struct schema_fault *list; // the caller's; may be NULL when max is 0
    size_t max;
    size_t count;
};

// "2020-12", "2019-09", "7", "6", "4"; false when unknown.
bool schema_draft_parse(const char *name, enum schema_draft *draft_r);
// "off", "typos", "all"; false when unknown.
bool schema_strict_parse(const char *name, enum schema_strict *strict_r);

// Compiles `text` (JSON, at most SCHEMA_TEXT_MAX; copied). On failure STATUS_INVALID, with up to
// `max_faults` faults, all found in one go; *schema_r is NULL then. `name` is used in the status
// sentence, which tells the first fault and how many there are. `n_faults_r` may be NULL.
enum status_code schema_compile(const char *name, const char *text, size_t length,
                                struct schema **schema_r, struct schema_fault *faults_r,
                                size_t max_faults, size_t *n_faults_r,
                                struct status *st) STATUS_MUST_CHECK;
// The same with options (NULL: defaults), faults only.
enum status_code schema_compile_with(const struct schema_options *options, const char *text,
                                     size_t length, struct schema_faults *faults,
                                     struct schema **schema_r) STATUS_MUST_CHECK;
void schema_destroy(struct schema **schema);

#endif
