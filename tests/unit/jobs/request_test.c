// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "jobs/request.h"

#include <string.h>

static const char *value_of(const struct http_header *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0)
            return list[i].value;
    }
    return NULL;
}

static void test_an_effect_with_a_body(void **state)
{
    (void)state;
    struct config_pair pairs[] = {{"X-Org", "o"}};
    struct config_api api = {.headers = {pairs, 1}};
    struct job job = {.idempotency_key = "key", .trace_id = "trace"};
    struct job_op op = {.effect = true};
    struct http_header list[REQUEST_HEADERS_MAX];
    buf_append_text(&op.body, "{}");
    size_t n = request_headers(&api, &job, &op, "Bearer t", list);
    assert_int_equal(n, 6);
    assert_string_equal(value_of(list, n, "Authorization"), "Bearer t");
    assert_string_equal(value_of(list, n, "Content-Type"), "application/json");
    assert_string_equal(value_of(list, n, "Accept"), "application/json");
    assert_string_equal(value_of(list, n, "X-Request-Id"), "trace");
    assert_string_equal(value_of(list, n, "Idempotency-Key"), "key");
    assert_string_equal(value_of(list, n, "X-Org"), "o");
    strcpy(op.idempotency_key, "own"); // of what undoes another
    n = request_headers(&api, &job, &op, "Bearer t", list);
    assert_string_equal(value_of(list, n, "Idempotency-Key"), "own");
    job_op_deinit(&op);
}

static void test_a_reading(void **state)
{
    (void)state;
    struct config_api api = {.auth = CONFIG_NONE};
    struct job job = {.idempotency_key = "key", .trace_id = "trace"};
    struct job_op op = {0};
    struct http_header list[REQUEST_HEADERS_MAX];
    size_t n = request_headers(&api, &job, &op, NULL, list);
    assert_int_equal(n, 2);
    assert_null(value_of(list, n, "Authorization"));
    assert_null(value_of(list, n, "Content-Type"));
    assert_null(value_of(list, n, "Idempotency-Key"));
}

static void test_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    struct config_pair pairs[REQUEST_HEADERS_MAX];
    for (size_t i = 0; i < REQUEST_HEADERS_MAX; i++)
        pairs[i] = (struct config_pair){"X", "x"};
    struct config_api api = {.headers = {pairs, REQUEST_HEADERS_MAX}};
    struct job job = {.trace_id = "trace"};
    struct job_op op = {0};
    struct http_header list[REQUEST_HEADERS_MAX];
    assert_int_equal(request_headers(&api, &job, &op, NULL, list), REQUEST_HEADERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_effect_with_a_body),
        cmocka_unit_test(test_a_reading),
        cmocka_unit_test(test_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
