// SPDX-License-Identifier: Apache-2.0
// Runs a compiled schema over a tape. No clock, no logging; no allocation but in rare places: a
// pattern over an escaped string of more than 4 KiB, uniqueItems over more than 64 elements or long
// escaped strings, comparing objects of more than 32 members, and the format "regex".
//
// A schema holds the scratch memory of its patterns and records, so it is for one thread at a time.
#ifndef CXSINK_SCHEMA_VALIDATE_H
#define CXSINK_SCHEMA_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct schema;
struct tape;

// The "keyword" of a pattern (also of patternProperties) that was given up, because all patterns
// together may take some 20 ms, and 100 ns for each byte of the event, counted in steps: the same
// event always gets the same answer. Whether the value is valid is not known then; it fails,
// wherever the pattern stands.
#define SCHEMA_PATTERN_LIMIT "pattern_limit"
// The same for everything else: validation was given up, because schemas that apply to one value
// over and over (anyOf, oneOf, if and not within one another) multiply. It may take some 20 ms, and
// 200 ns for each byte of the event, counted in steps likewise.
#define SCHEMA_LIMIT "limit"

// One failure. Pointers are RFC 6901, cut at their size; `message` names what was expected and what
// kind of value was found, never the value itself.
//   instance  the value that fails; of "required" the object that lacks a member, of
//             "additionalProperties": false the member that is not allowed
//   schema    the keyword where it stands, also when reached through $ref; in another text than the
//             root's with that text's name and "#" before it
//   location  the way to it from the root schema, through each $ref (JSON Schema Core 2020-12,
//             section 12.3.1); the same as `schema` where there is none
//   keyword   its name; for a schema `false` the keyword that holds it, for a root `false` "false";
//             SCHEMA_PATTERN_LIMIT, SCHEMA_LIMIT
//   beneath   0; of the failures of the branch of anyOf or oneOf that came closest, which follow
//             that keyword's own failure, one more than that has
struct schema_error {
    char instance[512];
    char schema[512];
    char location[512];
    const char *keyword; // a literal
    unsigned beneath;
    unsigned place; // for schema_error_uri() alone
    char message[256];
};

// True when valid. Otherwise all failures are counted in *n_errors_r and the first `max_errors`
// described; with max_errors 0 it stops at the first.
//
// The order is that of evaluation and always the same: of a value first type, const, enum, limits
// of numbers and lengths, format, pattern; of an object required, the members in the event's order
// (properties, patternProperties), additionalProperties, minProperties, maxProperties,
// propertyNames, dependentRequired, dependencies; of an array its limits, the elements in order,
// contains, uniqueItems; then $ref, $dynamicRef, allOf, anyOf, oneOf, not, if, dependentSchemas,
// unevaluatedProperties (with additionalProperties where it does not depend on the value),
// unevaluatedItems. What fails inside not, if and contains is told as that keyword's one failure.
//
// Where no branch of anyOf or oneOf matches, the failures of the branch that came closest are told
// beneath the keyword's own, up to four branches deep, and counted. It is the branch
//   1. with the fewest failures that say what the value is not: type, const, enum or `false` of the
//      value itself, const or enum of its direct members ("kind": {"const": "call"});
//   2. among those, with the fewest failures in all;
//   3. among those, where most of the value, in its own order, was right before the first failure;
//   4. among those, that stands first.
bool schema_validate(const struct schema *schema, const struct tape *tape,
                     struct schema_error *errors_r, size_t max_errors, size_t *n_errors_r);

// Appends the absolute URI of the keyword that failed (JSON Schema Core 2020-12, section 12.3.2).
// False, and `out` of no use, when the schema that holds it has no URI, or `out` is at its cap.
bool schema_error_uri(const struct schema *schema, const struct schema_error *error,
                      struct buf *out);

#endif
