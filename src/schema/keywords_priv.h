// SPDX-License-Identifier: Apache-2.0
// Every keyword of JSON Schema's drafts 6 to 2020-12 in one table: where it is known, what its
// value must look like, and what becomes of it.
#ifndef CXSINK_SCHEMA_KEYWORDS_PRIV_H
#define CXSINK_SCHEMA_KEYWORDS_PRIV_H

#include "schema/compile.h"

#include <stddef.h>

// Drafts as bits, in order.
enum { DRAFT_6 = 1, DRAFT_7 = 2, DRAFT_19 = 4, DRAFT_20 = 8 };
#define DRAFTS_ALL (DRAFT_6 | DRAFT_7 | DRAFT_19 | DRAFT_20)
#define DRAFTS_7_ON (DRAFT_7 | DRAFT_19 | DRAFT_20)
#define DRAFTS_19_ON (DRAFT_19 | DRAFT_20)
#define DRAFTS_TO_7 (DRAFT_6 | DRAFT_7)
#define DRAFTS_TO_19 (DRAFT_6 | DRAFT_7 | DRAFT_19)

enum keyword_role {
    ROLE_CORE,    // handled by itself ($schema, $id, $ref, ...)
    ROLE_CHECK,   // asserts something, or applies schemas
    ROLE_NOTE,    // annotates: nothing to check
    ROLE_NOT_YET, // known, but not supported
};

// What the value of a keyword must be.
enum keyword_shape {
    SHAPE_ANY,
    SHAPE_BOOLEAN,
    SHAPE_STRING,
    SHAPE_NUMBER,
    SHAPE_POSITIVE, // a number > 0
    SHAPE_COUNT,    // a whole number >= 0
    SHAPE_ARRAY,
    SHAPE_TYPES,        // a type, or an array of different ones
    SHAPE_NAMES,        // an array of different strings
    SHAPE_NAMES_MAP,    // an object of those
    SHAPE_SCHEMA,       // an object or a boolean
    SHAPE_SCHEMAS,      // a non-empty array of those
    SHAPE_SCHEMA_MAP,   // an object of those
    SHAPE_ITEMS,        // a schema or (before 2020-12) an array of them
    SHAPE_DEPENDENCIES, // an object of schemas and arrays of names
};

// What asserts nothing is taken in every draft, where at worst it is unknown and ignored.
// X(identifier, name, drafts, role, shape)
#define KEYWORD_TABLE(X)                                                           \
    X(SCHEMA, "$schema", DRAFTS_ALL, CORE, STRING)                                 \
    X(ID, "$id", DRAFTS_ALL, CORE, STRING)                                         \
    X(REF, "$ref", DRAFTS_ALL, CORE, STRING)                                       \
    X(ANCHOR, "$anchor", DRAFTS_19_ON, CORE, STRING)                               \
    X(DEFS, "$defs", DRAFTS_ALL, CORE, SCHEMA_MAP)                                 \
    X(DEFINITIONS, "definitions", DRAFTS_ALL, CORE, SCHEMA_MAP)                    \
    X(COMMENT, "$comment", DRAFTS_ALL, NOTE, STRING)                               \
    X(VOCABULARY, "$vocabulary", DRAFTS_19_ON, NOT_YET, ANY)                       \
    X(DYNAMIC_REF, "$dynamicRef", DRAFT_20, NOT_YET, ANY)                          \
    X(DYNAMIC_ANCHOR, "$dynamicAnchor", DRAFT_20, NOT_YET, ANY)                    \
    X(RECURSIVE_REF, "$recursiveRef", DRAFT_19, NOT_YET, ANY)                      \
    X(RECURSIVE_ANCHOR, "$recursiveAnchor", DRAFT_19, NOT_YET, ANY)                \
    X(TYPE, "type", DRAFTS_ALL, CHECK, TYPES)                                      \
    X(CONST, "const", DRAFTS_ALL, CHECK, ANY)                                      \
    X(ENUM, "enum", DRAFTS_ALL, CHECK, ARRAY)                                      \
    X(MINIMUM, "minimum", DRAFTS_ALL, CHECK, NUMBER)                               \
    X(MAXIMUM, "maximum", DRAFTS_ALL, CHECK, NUMBER)                               \
    X(EXCLUSIVE_MINIMUM, "exclusiveMinimum", DRAFTS_ALL, CHECK, NUMBER)            \
    X(EXCLUSIVE_MAXIMUM, "exclusiveMaximum", DRAFTS_ALL, CHECK, NUMBER)            \
    X(MULTIPLE_OF, "multipleOf", DRAFTS_ALL, CHECK, POSITIVE)                      \
    X(MIN_LENGTH, "minLength", DRAFTS_ALL, CHECK, COUNT)                           \
    X(MAX_LENGTH, "maxLength", DRAFTS_ALL, CHECK, COUNT)                           \
    X(FORMAT, "format", DRAFTS_ALL, CHECK, STRING)                                 \
    X(PATTERN, "pattern", DRAFTS_ALL, CHECK, STRING)                               \
    X(REQUIRED, "required", DRAFTS_ALL, CHECK, NAMES)                              \
    X(PROPERTIES, "properties", DRAFTS_ALL, CHECK, SCHEMA_MAP)                     \
    X(PATTERN_PROPERTIES, "patternProperties", DRAFTS_ALL, CHECK, SCHEMA_MAP)      \
    X(ADDITIONAL_PROPERTIES, "additionalProperties", DRAFTS_ALL, CHECK, SCHEMA)    \
    X(MIN_PROPERTIES, "minProperties", DRAFTS_ALL, CHECK, COUNT)                   \
    X(MAX_PROPERTIES, "maxProperties", DRAFTS_ALL, CHECK, COUNT)                   \
    X(PROPERTY_NAMES, "propertyNames", DRAFTS_ALL, CHECK, SCHEMA)                  \
    X(DEPENDENT_REQUIRED, "dependentRequired", DRAFTS_19_ON, CHECK, NAMES_MAP)     \
    X(DEPENDENT_SCHEMAS, "dependentSchemas", DRAFTS_19_ON, CHECK, SCHEMA_MAP)      \
    X(DEPENDENCIES, "dependencies", DRAFTS_TO_7, CHECK, DEPENDENCIES)              \
    X(UNEVALUATED_PROPERTIES, "unevaluatedProperties", DRAFTS_19_ON, NOT_YET, ANY) \
    X(MIN_ITEMS, "minItems", DRAFTS_ALL, CHECK, COUNT)                             \
    X(MAX_ITEMS, "maxItems", DRAFTS_ALL, CHECK, COUNT)                             \
    X(PREFIX_ITEMS, "prefixItems", DRAFT_20, CHECK, SCHEMAS)                       \
    X(ITEMS, "items", DRAFTS_ALL, CHECK, ITEMS)                                    \
    X(ADDITIONAL_ITEMS, "additionalItems", DRAFTS_TO_19, CHECK, SCHEMA)            \
    X(CONTAINS, "contains", DRAFTS_ALL, CHECK, SCHEMA)                             \
    X(MIN_CONTAINS, "minContains", DRAFTS_19_ON, CHECK, COUNT)                     \
    X(MAX_CONTAINS, "maxContains", DRAFTS_19_ON, CHECK, COUNT)                     \
    X(UNIQUE_ITEMS, "uniqueItems", DRAFTS_ALL, CHECK, BOOLEAN)                     \
    X(UNEVALUATED_ITEMS, "unevaluatedItems", DRAFTS_19_ON, NOT_YET, ANY)           \
    X(ALL_OF, "allOf", DRAFTS_ALL, CHECK, SCHEMAS)                                 \
    X(ANY_OF, "anyOf", DRAFTS_ALL, CHECK, SCHEMAS)                                 \
    X(ONE_OF, "oneOf", DRAFTS_ALL, CHECK, SCHEMAS)                                 \
    X(NOT, "not", DRAFTS_ALL, CHECK, SCHEMA)                                       \
    X(IF, "if", DRAFTS_7_ON, CHECK, SCHEMA)                                        \
    X(THEN, "then", DRAFTS_7_ON, CHECK, SCHEMA)                                    \
    X(ELSE, "else", DRAFTS_7_ON, CHECK, SCHEMA)                                    \
    X(TITLE, "title", DRAFTS_ALL, NOTE, STRING)                                    \
    X(DESCRIPTION, "description", DRAFTS_ALL, NOTE, STRING)                        \
    X(DEFAULT, "default", DRAFTS_ALL, NOTE, ANY)                                   \
    X(EXAMPLES, "examples", DRAFTS_ALL, NOTE, ARRAY)                               \
    X(DEPRECATED, "deprecated", DRAFTS_ALL, NOTE, BOOLEAN)                         \
    X(READ_ONLY, "readOnly", DRAFTS_ALL, NOTE, BOOLEAN)                            \
    X(WRITE_ONLY, "writeOnly", DRAFTS_ALL, NOTE, BOOLEAN)                          \
    X(CONTENT_ENCODING, "contentEncoding", DRAFTS_ALL, NOTE, STRING)               \
    X(CONTENT_MEDIA_TYPE, "contentMediaType", DRAFTS_ALL, NOTE, STRING)            \
    X(CONTENT_SCHEMA, "contentSchema", DRAFTS_ALL, NOTE, SCHEMA)

enum keyword {
#define KEYWORD_ENUM(id, name, drafts, role, shape) KEYWORD_##id,
    KEYWORD_TABLE(KEYWORD_ENUM)
#undef KEYWORD_ENUM
        KEYWORD_FALSE, // not a keyword: the schema `false` at the root
    KEYWORD_COUNT = KEYWORD_FALSE,
};

struct keyword_info {
    const char *name;
    unsigned drafts;
    enum keyword_role role;
    enum keyword_shape shape;
};

const struct keyword_info *keyword_info(enum keyword keyword);
// KEYWORD_COUNT when there is none of that name.
enum keyword keyword_find(const char *name, size_t length);
// The supported keyword of these drafts that looks most like `name`, or NULL when none does.
const char *keyword_nearest(const char *name, size_t length, unsigned drafts);
// The bit of a draft, and its name as people write it.
unsigned keyword_draft_bit(enum schema_draft draft);
const char *keyword_draft_name(enum schema_draft draft);

// Edits (insert, delete, replace, swap of neighbours; not changes of case) between two short texts;
// more than `limit`, or a text of more than 63 bytes, comes back as limit + 1.
unsigned keyword_distance(const char *a, size_t a_length, const char *b, size_t b_length,
                          unsigned limit);

#endif
