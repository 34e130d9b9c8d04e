// SPDX-License-Identifier: Apache-2.0
// schema/validate: a schema in the first line, an instance behind it. The verdict is the same
// however often and however it is asked for, failures point to what is there, and schemas made of
// this one give what logic says.
#include "fuzz.h"

#include "core/buf.h"
#include "json/pointer.h"
#include "json/tape.h"
#include "schema/compile.h"
#include "schema/validate.h"

#define ERRORS_MAX 8
#define FORMS 8

static struct schema *compile(const char *text, size_t size)
{
    struct schema_options options = {.strict = SCHEMA_STRICT_OFF};
    struct schema_faults faults = {0};
    struct schema *schema;
    return schema_compile_with(&options, text, size, &faults, &schema) == STATUS_OK ? schema : NULL;
}

static void check_pointer(const char *text, size_t size, const struct tape *tape)
{
    struct pointer *pointer;
    size_t length = strnlen(text, size);
    FUZZ_CHECK(length < size, "a pointer without an end");
    if (length + 5 > size || tape->has_nul) // may be cut, or have a '?' for a NUL
        return;
    FUZZ_CHECK(pointer_compile(text, length, &pointer, NULL) == STATUS_OK, "%s", text);
    FUZZ_CHECK(pointer_find(pointer, tape, 0) != TAPE_NONE, "%s leads nowhere", text);
    pointer_destroy(&pointer);
}

static bool is_limit(const struct schema_error *error)
{
    return strstr(error->keyword, "limit") != NULL;
}

// The verdict; *limit_r: it is that of a pattern that was given up.
static bool check_verdict(const struct schema *schema, const struct tape *schema_tape,
                          const struct tape *tape, bool *limit_r)
{
    struct schema_error errors[ERRORS_MAX], again[ERRORS_MAX];
    size_t n = 7, n_again = 7, none = 7;

    memset(errors, 0, sizeof(errors));
    memset(again, 0, sizeof(again));
    bool valid = schema_validate(schema, tape, errors, ERRORS_MAX, &n);
    FUZZ_CHECK(schema_validate(schema, tape, NULL, 0, &none) == valid, "without errors");
    FUZZ_CHECK(schema_validate(schema, tape, again, ERRORS_MAX, &n_again) == valid, "again");
    FUZZ_CHECK(valid == (n == 0) && valid == (none == 0) && n == n_again, "%zu, %zu, %zu", n, none,
               n_again);
    *limit_r = false;
    for (size_t i = 0; i < n && i < ERRORS_MAX; i++) {
        FUZZ_CHECK(strcmp(errors[i].instance, again[i].instance) == 0 &&
                       strcmp(errors[i].schema, again[i].schema) == 0 &&
                       strcmp(errors[i].message, again[i].message) == 0,
                   "failure %zu", i);
        FUZZ_CHECK(errors[i].keyword != NULL && errors[i].message[0] != '\0', "failure %zu", i);
        check_pointer(errors[i].instance, sizeof(errors[i].instance), tape);
        if (schema_tape != NULL)
            check_pointer(errors[i].schema, sizeof(errors[i].schema), schema_tape);
        *limit_r |= is_limit(&errors[i]);
    }
    return valid;
}

// A schema with references or a draft of its own means something else inside another one.
static bool stands_alone(struct fuzz_piece schema)
{
    return memchr(schema.data, '$', schema.size) == NULL &&
           memmem(schema.data, schema.size, "\\u", 2) == NULL &&
           memmem(schema.data, schema.size, "id\"", 3) == NULL;
}

static void check_forms(struct fuzz_piece schema, const struct tape *tape, bool valid)
{
    static const struct {
        const char *before, *between, *after; // around the schema, twice when `between` is there
        bool negated;
    } forms[FORMS] = {
        {"{\"not\":", NULL, "}", true},
        {"{\"not\":{\"not\":", NULL, "}}", false},
        {"{\"allOf\":[", ",", "]}", false},
        {"{\"allOf\":[", NULL, "],\"unevaluatedProperties\":true,\"unevaluatedItems\":true}",
         false},
        {"{\"anyOf\":[false,", NULL, "]}", false},
        {"{\"oneOf\":[", NULL, ",false]}", false},
        {"{\"if\":", NULL, ",\"then\":true,\"else\":false}", false},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":", NULL, "}}", false},
    };
    for (size_t i = 0; i < FORMS; i++) {
        struct buf text = {0};
        bool limit;
        buf_append_text(&text, forms[i].before);
        buf_append(&text, schema.data, schema.size);
        if (forms[i].between != NULL) {
            buf_append_text(&text, forms[i].between);
            buf_append(&text, schema.data, schema.size);
        }
        buf_append_text(&text, forms[i].after);
        struct schema *form = compile(text.data, text.len);
        FUZZ_CHECK(form != NULL, "form %zu does not compile", i);
        bool verdict = check_verdict(form, NULL, tape, &limit);
        FUZZ_CHECK(limit || verdict == (valid != forms[i].negated), "form %zu", i);
        schema_destroy(&form);
        buf_deinit(&text);
    }
}

// A value is equal to itself, however it is asked.
static void check_itself(struct fuzz_piece value, const struct tape *tape)
{
    static const struct {
        const char *before, *after;
        bool valid;
    } forms[] = {
        {"{\"const\":", "}", true},
        {"{\"not\":{\"enum\":[1,", "]}}", false},
        {"{\"enum\":[0,1,2,3,4,5,6,7,8,9,", "]}", true},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        struct buf text = {0};
        bool limit;
        buf_append_text(&text, forms[i].before);
        buf_append(&text, value.data, value.size);
        buf_append_text(&text, forms[i].after);
        struct schema *schema = compile(text.data, text.len);
        FUZZ_CHECK(schema != NULL, "form %zu does not compile", i);
        bool valid = check_verdict(schema, NULL, tape, &limit);
        FUZZ_CHECK(limit || valid == forms[i].valid, "form %zu", i);
        schema_destroy(&schema);
        buf_deinit(&text);
    }
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_piece instance = {(const char *)data, size}, text = fuzz_line(&instance);
    struct tape tape, schema_tape;
    bool limit;

    struct schema *schema = compile(text.data, text.size);
    if (schema == NULL)
        return 0;
    tape_init(&tape, 0);
    tape_init(&schema_tape, 512);
    if (tape_parse(&tape, instance.data, instance.size)) {
        FUZZ_CHECK(tape_parse(&schema_tape, text.data, text.size),
                   "a schema that compiles is JSON");
        bool valid = check_verdict(schema, &schema_tape, &tape, &limit);
        if (!limit && stands_alone(text))
            check_forms(text, &tape, valid);
        check_itself(instance, &tape);
    }
    tape_deinit(&schema_tape);
    tape_deinit(&tape);
    schema_destroy(&schema);
    return 0;
}
