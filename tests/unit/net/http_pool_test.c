// SPDX-License-Identifier: Apache-2.0
// Pools, and the clocks that run while a request waits, sends and reads.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/counter.h"
#include "net/http_fixture.h"
#include "support/patience.h"

static const struct fake_reply silent[] = {{.bytes = NULL}};
static const struct fake_reply fine[] = {{.bytes = OK_REPLY}};

static void wait_requests(struct fixture *f, size_t n)
{
    struct mono limit = mono_add(mono_read(), PATIENCE_US);
    while (fake_count(f->server) < n && mono_diff(limit, mono_read()) > 0) {
        loop_turn(f->loop, false);
        usleep(100);
    }
    assert_int_equal(fake_count(f->server), n);
}

static void turn_a_little(struct fixture *f)
{
    for (int i = 0; i < 20; i++)
        loop_turn(f->loop, false);
}

static double counted(const char *api, const char *status)
{
    return metric_series(METRIC_HTTP_REQUESTS, api, status)->value;
}

// --- pools ---

static unsigned order[64], n_order;

static void note_order(struct caller *caller)
{
    order[n_order++] = (unsigned)(caller - (struct caller *)caller->fixture->tag);
}

static void test_first_come_first_served(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    struct http_pool *pool = http_pool_create(f->client, "api", 1);
    struct caller callers[20];
    memset(callers, 0, sizeof(callers));
    f->tag = callers;
    n_order = 0;
    for (unsigned i = 0; i < 20; i++) {
        callers[i].then = note_order;
        start(f, &callers[i], &(struct http_options){.pool = pool});
    }
    assert_int_equal(http_pool_waiting(pool), 20);
    for (unsigned i = 0; i < 20; i++) {
        wait_for(f, &callers[i].calls, 1);
        assert_int_equal(callers[i].response.status, 200);
        assert_int_equal(order[i], i);
        assert_true(http_pool_active(pool) <= 1);
        assert_true(callers[i].response.waited_us <= callers[i].response.elapsed_us);
    }
    assert_int_equal(http_pool_waiting(pool) + http_pool_active(pool), 0);
    assert_int_equal(f->server->n_accepted, 1);
    http_pool_destroy(&pool);
    assert_null(pool);
}

static void test_cap_holds_and_pools_are_apart(void **state)
{
    struct fixture *f = *state;
    serve(f, silent, 1);
    struct fake_http *other = fake_start(fine, 1);
    struct http_pool *slow = http_pool_create(f->client, "slow", 3);
    struct http_pool *quick = http_pool_create(f->client, "quick", 2);
    struct caller callers[10];
    memset(callers, 0, sizeof(callers));
    for (unsigned i = 0; i < 10; i++)
        start(f, &callers[i], &(struct http_options){.pool = slow});
    wait_requests(f, 3);
    assert_int_equal(http_pool_active(slow), 3);
    assert_int_equal(http_pool_waiting(slow), 7);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", other->port);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(ask(f, &(struct http_options){.url = url, .pool = quick}).response.status,
                         200);
    assert_int_equal(fake_count(f->server), 3);
    // A slot that comes free is taken; a place in the queue is given up without a trace.
    http_request_cancel(&callers[0].request);
    http_request_cancel(&callers[9].request);
    http_request_cancel(&callers[5].request);
    wait_requests(f, 4);
    assert_int_equal(http_pool_active(slow), 3);
    assert_int_equal(http_pool_waiting(slow), 4);
    http_pool_resize(slow, 5);
    wait_requests(f, 6);
    assert_int_equal(http_pool_waiting(slow), 2);
    http_pool_resize(slow, 0); // one at least
    http_request_cancel(&callers[1].request);
    turn_a_little(f);
    assert_int_equal(http_pool_active(slow), 4);
    assert_int_equal(http_pool_waiting(slow), 2);
    http_pool_destroy(&slow);
    http_pool_destroy(&slow); // NULL is fine
    turn_a_little(f);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(callers[i].calls, 0);
        assert_null(callers[i].request);
    }
    assert_int_equal(ask(f, &(struct http_options){.url = url, .pool = quick}).response.status,
                     200);
    http_client_destroy(&f->client); // and the pool with it
    fake_stop(&other);
}

static void test_failures_give_their_slot_back(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    struct http_pool *pool = http_pool_create(f->client, "api", 1);
    static const char *const urls[] = {"ftp://x/", "http://none.test/", "http://127.0.0.1:1/"};
    struct caller callers[6];
    memset(callers, 0, sizeof(callers));
    for (unsigned i = 0; i < 6; i++)
        start(f, &callers[i], &(struct http_options){.url = i < 3 ? urls[i] : NULL, .pool = pool});
    for (unsigned i = 0; i < 6; i++) {
        wait_for(f, &callers[i].calls, 1);
        assert_int_equal(callers[i].response.code == STATUS_OK, i >= 3);
        assert_int_equal(callers[i].response.sent, i >= 3);
    }
    assert_int_equal(http_pool_active(pool), 0);
}

static void test_waiting_uses_up_the_whole_time_only(void **state)
{
    struct fixture *f = *state;
    serve(f, silent, 1);
    struct http_pool *pool = http_pool_create(f->client, "api", 1);
    struct caller first = {0}, second = {0}, third = {0};
    start(f, &first, &(struct http_options){.pool = pool, .timeout_us = 300 * US_PER_MS});
    start(f, &second, &(struct http_options){.pool = pool, .timeout_us = 100 * US_PER_MS});
    // Waits longer than it may take to connect.
    start(f, &third,
          &(struct http_options){.pool = pool,
                                 .connect_timeout_us = 50 * US_PER_MS,
                                 .response_timeout_us = 60 * US_PER_MS});
    wait_for(f, &second.calls, 1);
    assert_int_equal(second.response.code, STATUS_TIMEOUT);
    assert_contains(second.response.detail, "timeout after 0.1 s (waiting for its turn)");
    assert_false(second.response.sent);
    wait_for(f, &third.calls, 1);
    assert_int_equal(first.calls, 1);
    assert_contains(first.response.detail, "timeout after 0.3 s (waiting for the answer)");
    assert_true(first.response.sent);
    assert_contains(third.response.detail, "no answer within 0.06 s (waiting for the answer)");
    assert_true(third.response.waited_us >= 290 * US_PER_MS);
    assert_true(third.response.sent);
}

static void test_requests_are_counted(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = OK_REPLY},
        {.bytes = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = "HTTP/1.1 307 There\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = OK_REPLY},
        {.bytes = NULL}};
    serve(f, replies, 5);
    struct http_pool *pool = http_pool_create(f->client, "counted", 4);
    struct http_options options = {.pool = pool, .redirects = 1};
    for (int i = 0; i < 3; i++)
        ask(f, &options);
    assert_true(counted("counted", "200") == 2 && counted("counted", "503") == 1);
    assert_true(counted("counted", "307") == 1);
    options.timeout_us = 50 * US_PER_MS;
    ask(f, &options);
    assert_true(counted("counted", "timeout") == 1);
    options.url = "http://none.test/";
    ask(f, &options);
    assert_true(counted("counted", "unavailable") == 1);
    struct caller cancelled = {0};
    start(f, &cancelled, &(struct http_options){.pool = pool});
    wait_requests(f, 6);
    http_request_cancel(&cancelled.request);
    assert_true(counted("counted", "cancelled") == 1);
    start(f, &cancelled, &(struct http_options){.pool = pool});
    http_request_cancel(&cancelled.request); // before it was sent: no request
    assert_true(counted("counted", "cancelled") == 1);
}

static void destroy_the_pool(struct caller *caller)
{
    http_pool_destroy((struct http_pool **)caller->fixture->tag);
}

static void test_pool_may_be_destroyed_by_a_callback(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    struct http_pool *pool = http_pool_create(f->client, "api", 1);
    f->tag = &pool;
    struct caller callers[3] = {{.then = destroy_the_pool}, {0}, {0}};
    for (unsigned i = 0; i < 3; i++)
        start(f, &callers[i], &(struct http_options){.pool = pool});
    wait_for(f, &callers[0].calls, 1);
    turn_a_little(f);
    assert_int_equal(callers[1].calls + callers[2].calls, 0);
    assert_null(callers[2].request);
}

// --- deadlines ---

static void test_answer_that_never_begins(void **state)
{
    struct fixture *f = *state;
    serve(f, silent, 1);
    static const char *const methods[] = {"GET", "POST"};
    for (int i = 0; i < 2; i++) {
        struct http_options options = {.method = methods[i],
                                       .body = i > 0 ? "x" : NULL,
                                       .body_length = (size_t)i,
                                       .response_timeout_us = 80 * US_PER_MS,
                                       .idle_timeout_us = 10 * US_PER_MS};
        struct caller c = ask(f, &options);
        assert_int_equal(c.response.code, STATUS_TIMEOUT);
        assert_contains(c.response.detail, "no answer within 0.08 s (waiting for the answer)");
        assert_true(c.response.elapsed_us >= 75 * US_PER_MS);
    }
}

static void test_stall_amid_the_answer(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"},
        {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf"}};
    serve(f, replies, 3);
    for (int i = 0; i < 3; i++) {
        struct caller c = ask(f, &(struct http_options){.response_timeout_us = 5 * US_PER_S,
                                                        .idle_timeout_us = 80 * US_PER_MS});
        assert_int_equal(c.response.code, STATUS_TIMEOUT);
        assert_contains(c.response.detail, "no byte moved for 0.08 s (reading the answer)");
        assert_int_equal(c.response.body_length, 0);
    }
}

static void test_stall_amid_the_body(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 100 Continue\r\n\r\n", .early = 1, .stop_reading = true}};
    serve(f, replies, 1);
    size_t length = (size_t)30 << 20; // more than the sockets hold
    char *body = calloc(1, length);
    struct http_options options = {.method = "POST",
                                   .body = body,
                                   .body_length = length,
                                   .response_timeout_us = 10 * US_PER_MS,
                                   .idle_timeout_us = 100 * US_PER_MS};
    struct caller c = ask(f, &options);
    assert_int_equal(c.response.code, STATUS_TIMEOUT);
    assert_contains(c.response.detail, "no byte moved for 0.1 s (sending the request)");
    assert_true(c.response.sent);
    free(body);
}

static void test_idle_time_is_no_total(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    size_t length = (size_t)64 << 20;
    char *body = calloc(1, length);
    struct http_options options = {
        .method = "POST", .body = body, .body_length = length, .idle_timeout_us = 5 * US_PER_S};
    assert_int_equal(ask(f, &options).response.status, 200);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_come_first_served),       TEST(test_cap_holds_and_pools_are_apart),
        TEST(test_failures_give_their_slot_back), TEST(test_waiting_uses_up_the_whole_time_only),
        TEST(test_requests_are_counted),          TEST(test_pool_may_be_destroyed_by_a_callback),
        TEST(test_answer_that_never_begins),      TEST(test_stall_amid_the_answer),
        TEST(test_stall_amid_the_body),           TEST(test_idle_time_is_no_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
