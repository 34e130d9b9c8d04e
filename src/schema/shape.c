// SPDX-License-Identifier: Apache-2.0
// What the values of keywords must look like: the parts of the drafts' meta-schemas that matter.
#include "schema/compile_priv.h"

#include "core/hash.h"
#include "json/number.h"
#include "json/text.h"

#include <string.h>

static const struct {
    const char *name;
    unsigned kinds;
} types[] = {
    {"null", KIND_NULL},       {"boolean", KIND_BOOLEAN}, {"number", KIND_NUMBER},
    {"integer", KIND_INTEGER}, {"string", KIND_STRING},   {"array", KIND_ARRAY},
    {"object", KIND_OBJECT},
};

unsigned shape_type(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (strlen(types[i].name) == length && memcmp(types[i].name, name, length) == 0)
            return types[i].kinds;
    return 0;
}

static enum tape_kind kind_of(const struct compiler *compiler, uint32_t token)
{
    return (enum tape_kind)compiler->tape->tokens[token].kind;
}

static bool is_boolean(const struct compiler *compiler, uint32_t token)
{
    return kind_of(compiler, token) == TAPE_TRUE || kind_of(compiler, token) == TAPE_FALSE;
}

// A fault that tells what the value must be and what it is.
static bool wrong(struct compiler *compiler, uint32_t at, uint32_t value, const char *expected)
{
    compiler_fault(compiler, at, "expected %s, found %s", expected,
                   tape_kind_name(kind_of(compiler, value)));
    return false;
}

static bool expect(struct compiler *compiler, uint32_t at, uint32_t value, enum tape_kind kind,
                   const char *expected)
{
    return kind_of(compiler, value) == kind || wrong(compiler, at, value, expected);
}

static bool check_count(struct compiler *compiler, uint32_t key)
{
    size_t length;
    const char *text = tape_raw(compiler->tape, key + 1, &length);

    if (!expect(compiler, key, key + 1, TAPE_NUMBER, "a whole number from 0"))
        return false;
    if (!number_is_integer(text, length) || number_compare(text, length, "0", 1) < 0) {
        compiler_fault(compiler, key, "expected a whole number from 0");
        return false;
    }
    return true;
}

static bool check_positive(struct compiler *compiler, uint32_t key)
{
    size_t length;
    const char *text = tape_raw(compiler->tape, key + 1, &length);

    if (!expect(compiler, key, key + 1, TAPE_NUMBER, "a number above 0"))
        return false;
    if (number_compare(text, length, "0", 1) <= 0) {
        compiler_fault(compiler, key, "expected a number above 0");
        return false;
    }
    return true;
}

// Puts the string among those seen before; false when it is one of them.
static bool is_new_name(struct compiler *compiler, struct index *seen, uint32_t string)
{
    size_t length;
    const char *name = compiler_name_text(compiler, string, &length);
    uint64_t hash = hash_bytes(name, length, 0);
    size_t at = hash;
    uint32_t other;

    while ((other = index_next(seen, hash, &at)) != INDEX_NONE)
        if (text_strings_equal(compiler->tape, other, compiler->tape, string))
            return false;
    index_put(seen, hash, string);
    return true;
}

// An array of different strings.
static bool check_names(struct compiler *compiler, uint32_t at, uint32_t array)
{
    const struct tape *tape = compiler->tape;
    struct index seen = {0};
    bool right = true;

    if (!expect(compiler, at, array, TAPE_ARRAY, "an array of names"))
        return false;
    FOR_ELEMENTS(tape, element, array)
    {
        if (!expect(compiler, element, element, TAPE_STRING, "a name")) {
            right = false;
        } else if (!is_new_name(compiler, &seen, element)) {
            compiler_fault(compiler, element, "the name stands here twice");
            right = false;
        }
    }
    index_deinit(&seen);
    return right;
}

static void fault_type(struct compiler *compiler, uint32_t token, const char *name, size_t length)
{
    struct spelling spelling = {.text = name, .length = length, .limit = 3};

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        spelling_offer(&spelling, types[i].name);
    bool found = spelling.nearest != NULL;
    compiler_fault(compiler, token,
                   "there is no such type%s%s%s; types are null, boolean, number, integer, "
                   "string, array, object",
                   found ? " (did you mean \"" : "", found ? spelling.nearest : "",
                   found ? "\"?)" : "");
}

static bool check_type(struct compiler *compiler, uint32_t token, unsigned *seen)
{
    size_t length;

    if (!expect(compiler, token, token, TAPE_STRING, "the name of a type"))
        return false;
    const char *name = compiler_name_text(compiler, token, &length);
    unsigned kinds = shape_type(name, length);
    if (kinds == 0) {
        fault_type(compiler, token, name, length);
        return false;
    }
    if ((*seen & kinds) != 0)
        compiler_fault(compiler, token, "the type stands here twice");
    *seen |= kinds;
    return true;
}

static bool check_types(struct compiler *compiler, uint32_t key)
{
    const struct tape *tape = compiler->tape;
    unsigned seen = 0;
    bool right = true;

    if (kind_of(compiler, key + 1) != TAPE_ARRAY)
        return check_type(compiler, key + 1, &seen);
    if (tape->tokens[key + 1].count == 0) {
        compiler_fault(compiler, key, "expected at least one type");
        return false;
    }
    FOR_ELEMENTS(tape, element, key + 1)
    right = check_type(compiler, element, &seen) && right;
    return right;
}

static bool check_schema(struct compiler *compiler, uint32_t at, uint32_t value)
{
    if (kind_of(compiler, value) == TAPE_OBJECT)
        return true;
    if (compiler->dialect->draft == SCHEMA_DRAFT_4)
        return wrong(compiler, at, value, "a schema (in draft 4 an object)");
    return is_boolean(compiler, value) ||
           wrong(compiler, at, value, "a schema (an object, true or false)");
}

static bool check_additional(struct compiler *compiler, uint32_t key)
{
    return is_boolean(compiler, key + 1) || check_schema(compiler, key, key + 1);
}

static bool check_exclusive(struct compiler *compiler, uint32_t key)
{
    if (compiler->dialect->draft != SCHEMA_DRAFT_4)
        return expect(compiler, key, key + 1, TAPE_NUMBER, "a number");
    return is_boolean(compiler, key + 1) ||
           wrong(compiler, key, key + 1,
                 "true or false (draft 4 has the number in \"minimum\" or "
                 "\"maximum\")");
}

// A plain name: draft 2020-12 section 8.2.2, and the colon of draft 2019-09.
static bool check_anchor(struct compiler *compiler, uint32_t key)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char others[] = "-0123456789.:";
    size_t length;

    if (!expect(compiler, key, key + 1, TAPE_STRING, "a string"))
        return false;
    const char *name = compiler_name_text(compiler, key + 1, &length);
    bool right = length > 0 && strchr(letters, name[0]) != NULL;
    for (size_t i = 1; i < length && right; i++)
        right = name[i] != '\0' &&
                (strchr(letters, name[i]) != NULL || strchr(others, name[i]) != NULL);
    if (!right)
        compiler_fault(compiler, key,
                       "an anchor is a letter or \"_\", and letters, digits, \"-\", \"_\" and "
                       "\".\" behind it");
    return right;
}

static bool check_vocabularies(struct compiler *compiler, uint32_t key)
{
    const struct tape *tape = compiler->tape;
    bool right = true;

    if (!expect(compiler, key, key + 1, TAPE_OBJECT, "an object of true and false"))
        return false;
    FOR_MEMBERS(tape, member, key + 1)
    right = (is_boolean(compiler, member + 1) ||
             wrong(compiler, member, member + 1, "true or false")) &&
            right;
    return right;
}

static bool check_schemas(struct compiler *compiler, uint32_t key)
{
    const struct tape *tape = compiler->tape;
    bool right = true;

    if (!expect(compiler, key, key + 1, TAPE_ARRAY, "an array of schemas"))
        return false;
    if (tape->tokens[key + 1].count == 0) {
        compiler_fault(compiler, key, "expected at least one schema");
        return false;
    }
    FOR_ELEMENTS(tape, element, key + 1)
    right = check_schema(compiler, element, element) && right;
    return right;
}

static bool check_schema_map(struct compiler *compiler, uint32_t key)
{
    const struct tape *tape = compiler->tape;
    bool right = true;

    if (!expect(compiler, key, key + 1, TAPE_OBJECT, "an object of schemas"))
        return false;
    FOR_MEMBERS(tape, member, key + 1)
    right = check_schema(compiler, member, member + 1) && right;
    return right;
}

static bool check_names_map(struct compiler *compiler, uint32_t key)
{
    const struct tape *tape = compiler->tape;
    bool right = true;

    if (!expect(compiler, key, key + 1, TAPE_OBJECT, "an object of arrays of names"))
        return false;
    FOR_MEMBERS(tape, member, key + 1)
    right = check_names(compiler, member, member + 1) && right;
    return right;
}

static bool check_dependencies(struct compiler *compiler, uint32_t key)
{
    const struct tape *tape = compiler->tape;
    bool right = true;

    if (!expect(compiler, key, key + 1, TAPE_OBJECT, "an object of schemas and arrays of names"))
        return false;
    FOR_MEMBERS(tape, member, key + 1)
    {
        bool names = kind_of(compiler, member + 1) == TAPE_ARRAY;
        right = (names ? check_names(compiler, member, member + 1)
                       : check_schema(compiler, member, member + 1)) &&
                right;
    }
    return right;
}

static bool check_items(struct compiler *compiler, uint32_t key)
{
    const struct tape *tape = compiler->tape;
    bool right = true;

    if (kind_of(compiler, key + 1) != TAPE_ARRAY)
        return check_schema(compiler, key, key + 1);
    if ((compiler->dialect->draft_bit & DRAFTS_TO_19) == 0) {
        compiler_fault(compiler, key,
                       "expected a schema, found array; draft 2020-12 calls this \"prefixItems\"");
        return false;
    }
    FOR_ELEMENTS(tape, element, key + 1)
    right = check_schema(compiler, element, element) && right;
    return right;
}

bool shape_check(struct compiler *compiler, uint32_t key, enum keyword keyword)
{
    uint32_t value = key + 1;

    switch (keyword_info(keyword)->shape) {
    case SHAPE_ANY:
        return true;
    case SHAPE_BOOLEAN:
        return is_boolean(compiler, value) || wrong(compiler, key, value, "true or false");
    case SHAPE_STRING:
    case SHAPE_URI:
    case SHAPE_URI_REFERENCE:
    case SHAPE_ID:
    case SHAPE_REGEX:
        return expect(compiler, key, value, TAPE_STRING, "a string");
    case SHAPE_ANCHOR:
        return check_anchor(compiler, key);
    case SHAPE_NUMBER:
        return expect(compiler, key, value, TAPE_NUMBER, "a number");
    case SHAPE_POSITIVE:
        return check_positive(compiler, key);
    case SHAPE_EXCLUSIVE:
        return check_exclusive(compiler, key);
    case SHAPE_COUNT:
        return check_count(compiler, key);
    case SHAPE_ARRAY:
        return expect(compiler, key, value, TAPE_ARRAY, "an array");
    case SHAPE_TYPES:
        return check_types(compiler, key);
    case SHAPE_NAMES:
        return check_names(compiler, key, value);
    case SHAPE_NAMES_MAP:
        return check_names_map(compiler, key);
    case SHAPE_SCHEMA:
        return check_schema(compiler, key, value);
    case SHAPE_ADDITIONAL:
        return check_additional(compiler, key);
    case SHAPE_SCHEMAS:
        return check_schemas(compiler, key);
    case SHAPE_SCHEMA_MAP:
    case SHAPE_PATTERN_MAP:
        return check_schema_map(compiler, key);
    case SHAPE_ITEMS:
        return check_items(compiler, key);
    case SHAPE_DEPENDENCIES:
        return check_dependencies(compiler, key);
    case SHAPE_VOCABULARIES:
        return check_vocabularies(compiler, key);
    }
    return false;
}
