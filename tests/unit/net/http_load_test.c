// SPDX-License-Identifier: Apache-2.0
// Many requests, cancelled and broken ones among them, leave nothing behind.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/fake_ca.h"
#include "net/http_fixture.h"
#include "support/patience.h"

#include <malloc.h>

#if defined(__SANITIZE_ADDRESS__)
#define MANY 2000 // its own books say what is left behind
#else
#define MANY 10000
#endif
#define PARALLEL 500

// Beyond what was in use before: caches of malloc and handles that are kept. One block for each
// request, 32 bytes at least, is more.
#define SLACK 32768

static size_t bytes_in_use(void)
{
    return mallinfo2().uordblks;
}

// The server's own ends of connections go when its thread gets to them.
static void wait_for_files(unsigned most)
{
    struct mono limit = mono_add(mono_read(), PATIENCE_US);
    while (open_files() > most && mono_diff(limit, mono_read()) > 0)
        usleep(1000);
    assert_true(open_files() <= most);
}

static void test_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"}};
    serve(f, replies, 1);
    struct http_pool *pool = http_pool_create(f->client, "api", 4);
    struct http_options options = {.method = "POST", .body = "x", .body_length = 1, .pool = pool};
    for (int i = 0; i < FAKE_REQUESTS + 100; i++) // until the server keeps no more of them
        assert_int_equal(ask(f, &options).response.status, 200);
    unsigned files = open_files();
    size_t bytes = bytes_in_use();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ask(f, &options).response.status, 200);
    assert_true(open_files() <= files);
    assert_true(bytes_in_use() <= bytes + SLACK);
    assert_int_equal(f->server->n_accepted, 1);
}

static void all_at_once(struct fixture *f, struct caller *callers, struct http_pool *pool)
{
    memset(callers, 0, PARALLEL * sizeof(*callers));
    for (size_t i = 0; i < PARALLEL; i++)
        start(f, &callers[i], &(struct http_options){.pool = pool});
    for (size_t i = 0; i < PARALLEL; i++) {
        wait_for(f, &callers[i].calls, 1);
        assert_int_equal(callers[i].response.status, 200);
    }
}

static void test_all_at_once(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    struct caller *callers = malloc(PARALLEL * sizeof(*callers));
    struct http_pool *pool = http_pool_create(f->client, "api", 20);
    all_at_once(f, callers, NULL);
    http_client_destroy(&f->client); // its connections, too
    renew_client(f);
    wait_for_files(30);
    unsigned files = open_files();
    pool = http_pool_create(f->client, "api", 20);
    all_at_once(f, callers, pool);
    size_t bytes = bytes_in_use();
    for (int i = 0; i < 5; i++) {
        all_at_once(f, callers, pool);
        assert_true(open_files() <= files + 2 * 20);
    }
    assert_true(bytes_in_use() <= bytes + 65536);
    http_client_destroy(&f->client);
    renew_client(f);
    wait_for_files(files);
    free(callers);
}

static void test_broken_ones(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "", .reset = true},
        {.bytes = "", .close = true},
        {.bytes = "garbage\r\n\r\n", .close = true},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .reset = true},
        {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", .close = true},
        {.bytes = "HTTP/1.1 999999 OK\r\nContent-Length: -1\r\n\r\n", .close = true},
        {.bytes = "\x16\x03\x01\x02", .close = true},
    };
    enum { N = sizeof(replies) / sizeof(replies[0]), ROUNDS = 400 };
    static struct fake_reply script[N * ROUNDS];
    for (int i = 0; i < N * ROUNDS; i++)
        script[i] = replies[i % N];
    serve(f, script, N * ROUNDS);
    unsigned files = open_files() + 2; // the loop's and the resolver's own, made when needed
    size_t bytes = 0;
    for (int i = 0; i < N * ROUNDS; i++) {
        struct caller c = get(f);
        if (c.response.code != STATUS_UNAVAILABLE)
            fail_msg("%d: %d, %d", i % N, (int)c.response.code, c.response.status);
        assert_true(c.response.sent);
        wait_for_files(files);
        if (i == N * ROUNDS / 2)
            bytes = bytes_in_use();
    }
    assert_true(bytes_in_use() <= bytes + SLACK);
}

// --- headers ---

static char *headers_of(size_t lines, size_t length)
{
    char *text = malloc(lines * (length + 32) + 256);
    size_t used = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
    for (size_t i = 0; i < lines; i++) {
        used += (size_t)sprintf(text + used, "X-H%zu: ", i);
        memset(text + used, 'v', length);
        used += length;
        used += (size_t)sprintf(text + used, "\r\n");
    }
    sprintf(text + used, "\r\nok");
    return text;
}

static void test_large_headers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t lines, length;
        enum status_code code;
    } cases[] = {{1, 60000, STATUS_OK},     {100, 600, STATUS_OK},
                 {1, 70000, STATUS_FULL},   {1, 100 * 1024, STATUS_FULL},
                 {1, 1 << 20, STATUS_FULL}, {1000, 1000, STATUS_FULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = headers_of(cases[i].lines, cases[i].length);
        struct fake_reply reply = {.bytes = text};
        serve(f, &reply, 1);
        struct caller c = get(f);
        assert_int_equal(c.response.code, cases[i].code);
        if (cases[i].code != STATUS_OK)
            assert_contains(c.response.detail, "headers are larger than 65536 bytes");
        fake_stop(&f->server);
        free(text);
    }
}

static void look_at_headers(struct caller *caller)
{
    const struct http_response *r = &caller->response;
    assert_string_equal(http_response_header(r, "x-request-id"), "abc def");
    assert_string_equal(http_response_header(r, "LOCATION"), "/there");
    assert_string_equal(http_response_header(r, "X-Twice"), "1");
    assert_string_equal(http_response_header(r, "X-Empty"), "");
    assert_null(http_response_header(r, "X-None"));
    assert_null(http_response_header(r, ""));
    assert_null(http_response_header(r, "X-Interim"));
}

static void look_in_vain(struct caller *caller)
{
    assert_null(http_response_header(&caller->response, "Location"));
}

static void test_headers_can_be_read(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes =
             "HTTP/1.1 103 Early\r\nX-Interim: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
             "Location: /there\r\nX-Request-Id:   abc def  \r\nX-Twice: 1\r\nX-Twice: 2\r\n"
             "X-Empty:\r\n\r\n"},
        {.bytes = "HTTP/1.1 204 Fine\r\n\r\n"},
        {.bytes = "", .reset = true}};
    serve(f, replies, 3);
    struct caller answered = {.then = look_at_headers}, refused = {.then = look_in_vain},
                  unknown = {.then = look_in_vain}, others = {.then = look_in_vain},
                  broken = {.then = look_in_vain};
    start(f, &answered, &(struct http_options){0});
    wait_for(f, &answered.calls, 1);
    start(f, &refused, &(struct http_options){.url = "ftp://x/"});
    wait_for(f, &refused.calls, 1);
    start(f, &unknown, &(struct http_options){.url = "http://none.test/"});
    wait_for(f, &unknown.calls, 1);
    start(f, &others, &(struct http_options){0}); // with the first one's handle
    wait_for(f, &others.calls, 1);
    start(f, &broken, &(struct http_options){.once = true});
    wait_for(f, &broken.calls, 1);
    assert_int_equal(broken.response.code, STATUS_UNAVAILABLE);
}

// --- cancelling ---

static size_t read_zeros(void *owner, char *buffer, size_t size)
{
    (*(unsigned *)owner)++;
    memset(buffer, 0, size);
    return size;
}

static void serve_certificate(struct fixture *f, const struct fake_reply *replies, size_t n)
{
    struct fake_certificate_options options = {
        .name = "s", .san = "IP:127.0.0.1", .not_after = 600};
    struct fake_certificate made = fake_certificate_make(&options, NULL);
    f->server = fake_start_tls(replies, n, fake_server_context(&made));
    snprintf(f->url, sizeof(f->url), "https://127.0.0.1:%u/", f->server->port);
    fake_certificate_free(&made);
}

// Turns as often as `turns` says, at most until it is answered, then cancels: one number of turns
// after the other meets every stage.
static bool cancel_after(struct fixture *f, unsigned turns, const struct http_options *options)
{
    struct caller caller = {0};
    struct timer limit; // a turn that nothing ends
    bool late = false;
    timer_init(&limit, f->loop, "test", give_up, &late);
    start(f, &caller, options);
    for (unsigned i = 0; i < turns && caller.calls == 0; i++) {
        timer_start(&limit, 2 * US_PER_MS);
        loop_turn(f->loop, true);
    }
    timer_stop(&limit);
    bool done = caller.calls > 0;
    http_request_cancel(&caller.request);
    assert_null(caller.request);
    for (int i = 0; i < 3; i++)
        loop_turn(f->loop, false);
    assert_int_equal(caller.calls, done ? 1 : 0);
    return done;
}

static void test_cancel_after_any_turn(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    unsigned calls = 0, files = open_files();
    struct http_options options = {
        .method = "POST", .source = {read_zeros, NULL, &calls, 1 << 20}, .close = true};
    for (int tls = 0; tls < 2; tls++) {
        if (tls != 0)
            serve_certificate(f, replies, 1);
        else
            serve(f, replies, 1);
        bool done = false;
        for (unsigned turns = 0; turns < 200 && !done; turns++)
            done = cancel_after(f, turns, &options);
        assert_true(done);
        fake_stop(&f->server);
        wait_for_files(files);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_after_the_other), TEST(test_all_at_once),
        TEST(test_broken_ones),         TEST(test_large_headers),
        TEST(test_headers_can_be_read), TEST(test_cancel_after_any_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
