// SPDX-License-Identifier: Apache-2.0
// What the tests of schema share: compile a schema, validate a text, look at the outcome.
#ifndef CXSINK_TEST_SCHEMA_FIXTURE_H
#define CXSINK_TEST_SCHEMA_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "json/tape.h"
#include "schema/compile.h"
#include "schema/validate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_ERRORS 8
#define FIXTURE_FAULTS 16

static inline struct schema *must_compile(const char *text)
{
    struct schema *schema;
    struct schema_fault fault;
    struct status st = {0};

    if (schema_compile("test", text, strlen(text), &schema, &fault, 1, NULL, &st) != STATUS_OK)
        fail_msg("%s\n  %s", text, st.detail);
    return schema;
}

// Validates a copy without anything behind it, so that reading too far is found. Counts.
static inline bool run_schema(const struct schema *schema, const char *json, size_t length,
                              struct schema_error *errors, size_t max, size_t *n)
{
    struct tape tape;
    char *copy = malloc(length > 0 ? length : 1);

    memcpy(copy, json, length);
    tape_init(&tape, 0);
    if (!tape_parse(&tape, copy, length))
        fail_msg("%s: %s", json, tape.error_message);
    bool valid = schema_validate(schema, &tape, errors, max, n);
    size_t n_verdict;
    assert_int_equal(schema_validate(schema, &tape, NULL, 0, &n_verdict), valid);
    assert_int_equal(n_verdict, valid ? 0 : 1);
    assert_int_equal(*n == 0, valid);
    tape_deinit(&tape);
    free(copy);
    return valid;
}

static inline bool is_valid(const char *schema_text, const char *json)
{
    struct schema *schema = must_compile(schema_text);
    struct schema_error errors[FIXTURE_ERRORS];
    size_t n;
    bool valid = run_schema(schema, json, strlen(json), errors, FIXTURE_ERRORS, &n);

    schema_destroy(&schema);
    return valid;
}

#define assert_valid(schema, json)                      \
    do {                                                \
        if (!is_valid(schema, json))                    \
            fail_msg("%s\n  refuses %s", schema, json); \
    } while (0)
#define assert_invalid(schema, json)                    \
    do {                                                \
        if (is_valid(schema, json))                     \
            fail_msg("%s\n  accepts %s", schema, json); \
    } while (0)

// The n-th failure is this one; `message` may be NULL.
static inline void assert_failure(const char *schema_text, const char *json, size_t at,
                                  const char *instance, const char *place, const char *keyword,
                                  const char *message)
{
    struct schema *schema = must_compile(schema_text);
    struct schema_error errors[FIXTURE_ERRORS];
    size_t n;

    assert_false(run_schema(schema, json, strlen(json), errors, FIXTURE_ERRORS, &n));
    assert_true(n > at);
    assert_string_equal(errors[at].instance, instance);
    assert_string_equal(errors[at].schema, place);
    assert_string_equal(errors[at].keyword, keyword);
    if (message != NULL)
        assert_string_equal(errors[at].message, message);
    schema_destroy(&schema);
}

static inline size_t count_failures(const char *schema_text, const char *json)
{
    struct schema *schema = must_compile(schema_text);
    struct schema_error errors[1];
    size_t n;

    run_schema(schema, json, strlen(json), errors, 1, &n);
    schema_destroy(&schema);
    return n;
}

#endif
