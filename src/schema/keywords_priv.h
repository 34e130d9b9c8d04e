// SPDX-License-Identifier: Apache-2.0
// Every keyword of JSON Schema's drafts 4 to 2020-12 in one table: where it is known, what its
// value must look like, and what becomes of it. The meta-schemas are made from it as well.
#ifndef CXSINK_SCHEMA_KEYWORDS_PRIV_H
#define CXSINK_SCHEMA_KEYWORDS_PRIV_H

#include "schema/compile.h"

#include <stddef.h>
#include <stdint.h>

struct tape;

// Drafts as bits, in order.
enum { DRAFT_4 = 1, DRAFT_6 = 2, DRAFT_7 = 4, DRAFT_19 = 8, DRAFT_20 = 16 };
#define DRAFTS_ALL (DRAFT_4 | DRAFTS_6_ON)
#define DRAFTS_6_ON (DRAFT_6 | DRAFTS_7_ON)
#define DRAFTS_7_ON (DRAFT_7 | DRAFTS_19_ON)
#define DRAFTS_19_ON (DRAFT_19 | DRAFT_20)
#define DRAFTS_TO_7 (DRAFT_4 | DRAFT_6 | DRAFT_7)
#define DRAFTS_TO_19 (DRAFTS_TO_7 | DRAFT_19)

// The standard vocabularies, as bits; drafts before 2019-09 know all their keywords always. What is
// "unevaluated" belongs to 2019-09's "applicator": that brings both bits there.
// X(identifier, the last part of its URI, drafts that have it)
#define VOCABULARY_TABLE(X)                         \
    X(CORE, "core", DRAFTS_19_ON)                   \
    X(APPLICATOR, "applicator", DRAFTS_19_ON)       \
    X(UNEVALUATED, "unevaluated", DRAFT_20)         \
    X(VALIDATION, "validation", DRAFTS_19_ON)       \
    X(META_DATA, "meta-data", DRAFTS_19_ON)         \
    X(FORMAT, "format", DRAFT_19)                   \
    X(FORMAT_NOTES, "format-annotation", DRAFT_20)  \
    X(FORMAT_ASSERTS, "format-assertion", DRAFT_20) \
    X(CONTENT, "content", DRAFTS_19_ON)

enum vocabulary {
#define VOCABULARY_ENUM(id, name, drafts) VOCABULARY_##id,
    VOCABULARY_TABLE(VOCABULARY_ENUM)
#undef VOCABULARY_ENUM
        VOCABULARY_COUNT,
};
enum {
#define VOCABULARY_BIT(id, name, drafts) IN_##id = 1 << VOCABULARY_##id,
    VOCABULARY_TABLE(VOCABULARY_BIT)
#undef VOCABULARY_BIT
        IN_ANY_FORMAT = IN_FORMAT | IN_FORMAT_NOTES | IN_FORMAT_ASSERTS,
    VOCABULARIES_ALL = (1 << VOCABULARY_COUNT) - 1,
};

enum keyword_role {
    ROLE_CORE,  // handled by itself ($schema, $id, $ref, ...)
    ROLE_CHECK, // asserts something, or applies schemas
    ROLE_NOTE,  // annotates: nothing to check
};

// What the value of a keyword must be.
enum keyword_shape {
    SHAPE_ANY,
    SHAPE_BOOLEAN,
    SHAPE_STRING,
    SHAPE_URI,
    SHAPE_URI_REFERENCE,
    SHAPE_ID, // a URI reference; from 2019-09 on without fragment, or with an empty one
    SHAPE_REGEX,
    SHAPE_ANCHOR, // a plain name
    SHAPE_NUMBER,
    SHAPE_POSITIVE,  // a number > 0
    SHAPE_EXCLUSIVE, // a number; in draft 4 a boolean
    SHAPE_COUNT,     // a whole number >= 0
    SHAPE_ARRAY,
    SHAPE_TYPES,        // a type, or an array of different ones
    SHAPE_NAMES,        // an array of different strings
    SHAPE_NAMES_MAP,    // an object of those
    SHAPE_SCHEMA,       // an object or (from draft 6 on) a boolean
    SHAPE_ADDITIONAL,   // an object or a boolean in every draft
    SHAPE_SCHEMAS,      // a non-empty array of schemas
    SHAPE_SCHEMA_MAP,   // an object of those
    SHAPE_PATTERN_MAP,  // the same, the names being patterns
    SHAPE_ITEMS,        // a schema or (before 2020-12) an array of them
    SHAPE_DEPENDENCIES, // an object of schemas and arrays of names
    SHAPE_VOCABULARIES, // an object of booleans, the names being URIs
};

// "definitions" and "dependencies" mean what they did in every draft that follows, as those say.
// X(identifier, name, drafts, vocabularies, role, shape)
#define KEYWORD_TABLE(X)                                                                           \
    X(SCHEMA, "$schema", DRAFTS_ALL, IN_CORE, CORE, URI)                                           \
    X(ID, "$id", DRAFTS_6_ON, IN_CORE, CORE, ID)                                                   \
    X(ID_4, "id", DRAFT_4, IN_CORE, CORE, STRING)                                                  \
    X(REF, "$ref", DRAFTS_ALL, IN_CORE, CORE, URI_REFERENCE)                                       \
    X(ANCHOR, "$anchor", DRAFTS_19_ON, IN_CORE, CORE, ANCHOR)                                      \
    X(DYNAMIC_REF, "$dynamicRef", DRAFT_20, IN_CORE, CORE, URI_REFERENCE)                          \
    X(DYNAMIC_ANCHOR, "$dynamicAnchor", DRAFT_20, IN_CORE, CORE, ANCHOR)                           \
    X(RECURSIVE_REF, "$recursiveRef", DRAFT_19, IN_CORE, CORE, URI_REFERENCE)                      \
    X(RECURSIVE_ANCHOR, "$recursiveAnchor", DRAFT_19, IN_CORE, CORE, BOOLEAN)                      \
    X(VOCABULARY, "$vocabulary", DRAFTS_19_ON, IN_CORE, CORE, VOCABULARIES)                        \
    X(DEFS, "$defs", DRAFTS_ALL, IN_CORE, CORE, SCHEMA_MAP)                                        \
    X(DEFINITIONS, "definitions", DRAFTS_ALL, IN_CORE, CORE, SCHEMA_MAP)                           \
    X(COMMENT, "$comment", DRAFTS_7_ON, IN_CORE, NOTE, STRING)                                     \
    X(TYPE, "type", DRAFTS_ALL, IN_VALIDATION, CHECK, TYPES)                                       \
    X(CONST, "const", DRAFTS_6_ON, IN_VALIDATION, CHECK, ANY)                                      \
    X(ENUM, "enum", DRAFTS_ALL, IN_VALIDATION, CHECK, ARRAY)                                       \
    X(MINIMUM, "minimum", DRAFTS_ALL, IN_VALIDATION, CHECK, NUMBER)                                \
    X(MAXIMUM, "maximum", DRAFTS_ALL, IN_VALIDATION, CHECK, NUMBER)                                \
    X(EXCLUSIVE_MINIMUM, "exclusiveMinimum", DRAFTS_ALL, IN_VALIDATION, CHECK, EXCLUSIVE)          \
    X(EXCLUSIVE_MAXIMUM, "exclusiveMaximum", DRAFTS_ALL, IN_VALIDATION, CHECK, EXCLUSIVE)          \
    X(MULTIPLE_OF, "multipleOf", DRAFTS_ALL, IN_VALIDATION, CHECK, POSITIVE)                       \
    X(MIN_LENGTH, "minLength", DRAFTS_ALL, IN_VALIDATION, CHECK, COUNT)                            \
    X(MAX_LENGTH, "maxLength", DRAFTS_ALL, IN_VALIDATION, CHECK, COUNT)                            \
    X(FORMAT, "format", DRAFTS_ALL, IN_ANY_FORMAT, CHECK, STRING)                                  \
    X(PATTERN, "pattern", DRAFTS_ALL, IN_VALIDATION, CHECK, REGEX)                                 \
    X(REQUIRED, "required", DRAFTS_ALL, IN_VALIDATION, CHECK, NAMES)                               \
    X(PROPERTIES, "properties", DRAFTS_ALL, IN_APPLICATOR, CHECK, SCHEMA_MAP)                      \
    X(PATTERN_PROPERTIES, "patternProperties", DRAFTS_ALL, IN_APPLICATOR, CHECK, PATTERN_MAP)      \
    X(ADDITIONAL_PROPERTIES, "additionalProperties", DRAFTS_ALL, IN_APPLICATOR, CHECK, ADDITIONAL) \
    X(MIN_PROPERTIES, "minProperties", DRAFTS_ALL, IN_VALIDATION, CHECK, COUNT)                    \
    X(MAX_PROPERTIES, "maxProperties", DRAFTS_ALL, IN_VALIDATION, CHECK, COUNT)                    \
    X(PROPERTY_NAMES, "propertyNames", DRAFTS_6_ON, IN_APPLICATOR, CHECK, SCHEMA)                  \
    X(DEPENDENT_REQUIRED, "dependentRequired", DRAFTS_19_ON, IN_VALIDATION, CHECK, NAMES_MAP)      \
    X(DEPENDENT_SCHEMAS, "dependentSchemas", DRAFTS_19_ON, IN_APPLICATOR, CHECK, SCHEMA_MAP)       \
    X(DEPENDENCIES, "dependencies", DRAFTS_ALL, IN_APPLICATOR, CHECK, DEPENDENCIES)                \
    X(UNEVALUATED_PROPERTIES, "unevaluatedProperties", DRAFTS_19_ON, IN_UNEVALUATED, CHECK,        \
      SCHEMA)                                                                                      \
    X(MIN_ITEMS, "minItems", DRAFTS_ALL, IN_VALIDATION, CHECK, COUNT)                              \
    X(MAX_ITEMS, "maxItems", DRAFTS_ALL, IN_VALIDATION, CHECK, COUNT)                              \
    X(PREFIX_ITEMS, "prefixItems", DRAFT_20, IN_APPLICATOR, CHECK, SCHEMAS)                        \
    X(ITEMS, "items", DRAFTS_ALL, IN_APPLICATOR, CHECK, ITEMS)                                     \
    X(ADDITIONAL_ITEMS, "additionalItems", DRAFTS_TO_19, IN_APPLICATOR, CHECK, ADDITIONAL)         \
    X(CONTAINS, "contains", DRAFTS_6_ON, IN_APPLICATOR, CHECK, SCHEMA)                             \
    X(MIN_CONTAINS, "minContains", DRAFTS_19_ON, IN_VALIDATION, CHECK, COUNT)                      \
    X(MAX_CONTAINS, "maxContains", DRAFTS_19_ON, IN_VALIDATION, CHECK, COUNT)                      \
    X(UNIQUE_ITEMS, "uniqueItems", DRAFTS_ALL, IN_VALIDATION, CHECK, BOOLEAN)                      \
    X(UNEVALUATED_ITEMS, "unevaluatedItems", DRAFTS_19_ON, IN_UNEVALUATED, CHECK, SCHEMA)          \
    X(ALL_OF, "allOf", DRAFTS_ALL, IN_APPLICATOR, CHECK, SCHEMAS)                                  \
    X(ANY_OF, "anyOf", DRAFTS_ALL, IN_APPLICATOR, CHECK, SCHEMAS)                                  \
    X(ONE_OF, "oneOf", DRAFTS_ALL, IN_APPLICATOR, CHECK, SCHEMAS)                                  \
    X(NOT, "not", DRAFTS_ALL, IN_APPLICATOR, CHECK, SCHEMA)                                        \
    X(IF, "if", DRAFTS_7_ON, IN_APPLICATOR, CHECK, SCHEMA)                                         \
    X(THEN, "then", DRAFTS_7_ON, IN_APPLICATOR, CHECK, SCHEMA)                                     \
    X(ELSE, "else", DRAFTS_7_ON, IN_APPLICATOR, CHECK, SCHEMA)                                     \
    X(TITLE, "title", DRAFTS_ALL, IN_META_DATA, NOTE, STRING)                                      \
    X(DESCRIPTION, "description", DRAFTS_ALL, IN_META_DATA, NOTE, STRING)                          \
    X(DEFAULT, "default", DRAFTS_ALL, IN_META_DATA, NOTE, ANY)                                     \
    X(EXAMPLES, "examples", DRAFTS_6_ON, IN_META_DATA, NOTE, ARRAY)                                \
    X(DEPRECATED, "deprecated", DRAFTS_19_ON, IN_META_DATA, NOTE, BOOLEAN)                         \
    X(READ_ONLY, "readOnly", DRAFTS_7_ON, IN_META_DATA, NOTE, BOOLEAN)                             \
    X(WRITE_ONLY, "writeOnly", DRAFTS_7_ON, IN_META_DATA, NOTE, BOOLEAN)                           \
    X(CONTENT_ENCODING, "contentEncoding", DRAFTS_7_ON, IN_CONTENT, NOTE, STRING)                  \
    X(CONTENT_MEDIA_TYPE, "contentMediaType", DRAFTS_7_ON, IN_CONTENT, NOTE, STRING)               \
    X(CONTENT_SCHEMA, "contentSchema", DRAFTS_19_ON, IN_CONTENT, NOTE, SCHEMA)

enum keyword {
#define KEYWORD_ENUM(id, name, drafts, vocabularies, role, shape) KEYWORD_##id,
    KEYWORD_TABLE(KEYWORD_ENUM)
#undef KEYWORD_ENUM
        KEYWORD_FALSE, // not a keyword: the schema `false` at the root
    KEYWORD_COUNT = KEYWORD_FALSE,
};

struct keyword_info {
    const char *name;
    size_t length;
    unsigned drafts;
    unsigned vocabularies; // any of these brings it, from 2019-09 on
    enum keyword_role role;
    enum keyword_shape shape;
};

const struct keyword_info *keyword_info(enum keyword keyword);
// KEYWORD_COUNT when there is none of that name.
enum keyword keyword_find(const char *name, size_t length);
// The same of a string token, unescaped.
enum keyword keyword_of_token(const struct tape *tape, uint32_t string);
// Is it one of the draft (its bit) and of at least one of the vocabularies?
bool keyword_is_known(enum keyword keyword, unsigned draft, unsigned vocabularies);
// The keyword of these drafts that `name` looks like a misspelling of, or NULL when of none.
const char *keyword_nearest(const char *name, size_t length, unsigned drafts);
// The bit of a draft, and its name as people write it.
unsigned keyword_draft_bit(enum schema_draft draft);
const char *keyword_draft_name(enum schema_draft draft);
// The last part of a vocabulary's URI, and the drafts that have it.
const char *keyword_vocabulary_name(enum vocabulary vocabulary);
unsigned keyword_vocabulary_drafts(enum vocabulary vocabulary);

// What a text is a misspelling of: the names of a list are offered in turn, and the one that comes
// closest is kept. The distance is in edits (insert, delete, replace, swap of neighbours; not
// changes of case), the caller's `limit` and more being too far; of two as far, the one that begins
// like the text for longer. Texts of more than 63 bytes are like nothing.
struct spelling {
    const char *text;
    size_t length;
    unsigned limit;      // what comes next must be closer, or as far and more alike
    size_t alike;        // bytes at the front of `nearest`
    const char *nearest; // NULL: none yet
};
void spelling_offer(struct spelling *spelling, const char *name);

#endif
