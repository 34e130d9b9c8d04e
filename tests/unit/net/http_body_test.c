// SPDX-License-Identifier: Apache-2.0
// Bodies that are made while they are sent, and answers that come before they are.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/http_fixture.h"

#define LENGTH ((size_t)14 << 20)
#define REFUSAL "HTTP/1.1 413 Large\r\nContent-Length: 6\r\n\r\nno way"

// --- a source ---

struct maker {
    struct http_source source;
    uint64_t at, fail_at, sum; // sum: of all that it has given since the start
    size_t most;               // asked for in one call
    unsigned calls, rewinds, per_turn, most_per_turn;
    uint64_t turn;
    struct loop *loop;
    void (*on_read)(struct maker *maker);
    bool short_end, cannot_rewind, cancels_in_rewind;
    struct caller *caller;
};

static size_t make(void *owner, char *buffer, size_t size)
{
    struct maker *m = owner;
    m->calls++;
    m->per_turn = loop_turns(m->loop) == m->turn ? m->per_turn + 1 : 1;
    m->turn = loop_turns(m->loop);
    m->most_per_turn = m->per_turn > m->most_per_turn ? m->per_turn : m->most_per_turn;
    m->most = size > m->most ? size : m->most;
    if (m->on_read != NULL)
        m->on_read(m);
    if (m->at >= m->fail_at)
        return m->short_end ? 0 : HTTP_READ_FAILED;
    for (size_t i = 0; i < size; i++)
        buffer[i] = (char)((m->at + i) * 7 >> 3);
    m->sum = fake_sum(m->sum, buffer, size);
    m->at += size;
    return size;
}

static bool back(void *owner)
{
    struct maker *m = owner;
    m->rewinds++;
    m->at = m->sum = 0;
    if (m->cancels_in_rewind)
        http_request_cancel(&m->caller->request);
    return !m->cannot_rewind;
}

static void maker_init(struct maker *m, struct fixture *f, uint64_t length)
{
    *m = (struct maker){.loop = f->loop, .fail_at = UINT64_MAX, .source = {make, back, m, length}};
}

static struct http_options post(const struct maker *m)
{
    return (struct http_options){.method = "POST", .source = m->source};
}

// --- bodies ---

static void test_source_is_sent_whole_and_in_slices(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    static const uint64_t lengths[] = {1, 65536, 65537, LENGTH};
    for (size_t i = 0; i < 4; i++) {
        struct maker m;
        maker_init(&m, f, lengths[i]);
        struct http_options options = post(&m);
        assert_int_equal(ask(f, &options).response.status, 200);
        assert_int_equal(m.at, lengths[i]);
        assert_int_equal(m.rewinds, 0);
        assert_true(m.most <= 16384);
        assert_true(m.most_per_turn <= 2);
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "Content-Length: %llu\r\n",
                 (unsigned long long)lengths[i]);
        assert_contains(fake_request(f->server, i), wanted);
        assert_null(strstr(fake_request(f->server, i), "Expect"));
        if (lengths[i] > FAKE_BODY_KEPT)
            assert_true(f->server->body_sum == m.sum);
    }
    assert_int_equal(f->server->n_accepted, 1);
}

static void test_empty_source(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    struct maker m;
    maker_init(&m, f, 0);
    struct http_options options = post(&m);
    assert_int_equal(ask(f, &options).response.status, 200);
    assert_int_equal(m.calls, 0);
    assert_contains(fake_request(f->server, 0), "Content-Length: 0\r\n");
}

static void test_source_of_any_method(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    static const char *const methods[] = {"PUT", "PATCH", "DELETE", "GET"};
    serve(f, replies, 1);
    for (size_t i = 0; i < 4; i++) {
        struct maker m;
        maker_init(&m, f, 100);
        struct http_options options = post(&m);
        options.method = methods[i];
        assert_int_equal(ask(f, &options).response.status, 200);
        assert_memory_equal(fake_request(f->server, i), methods[i], strlen(methods[i]));
        assert_contains(fake_request(f->server, i), "Content-Length: 100\r\n");
    }
}

static void test_source_that_fails(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    for (int ends = 0; ends < 2; ends++) {
        static const uint64_t limits[] = {0, 1 << 20};
        for (int i = 0; i < 2; i++) {
            struct maker m;
            maker_init(&m, f, LENGTH);
            m.fail_at = limits[i];
            m.short_end = ends != 0;
            struct http_options options = post(&m);
            struct caller c = ask(f, &options);
            assert_int_equal(c.response.code, STATUS_IO);
            char wanted[64];
            snprintf(wanted, sizeof(wanted), "after %llu of 14680064 bytes",
                     (unsigned long long)m.at);
            assert_contains(c.response.detail, wanted);
        }
    }
    assert_int_equal(get(f).response.status, 200);
}

static void test_large_body_of_memory(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    char *body = malloc(LENGTH);
    for (size_t i = 0; i < LENGTH; i++)
        body[i] = (char)(i * 31 >> 4);
    struct http_options options = {.method = "PUT", .body = body, .body_length = LENGTH};
    assert_int_equal(ask(f, &options).response.status, 200);
    assert_true(f->server->body_sum == fake_sum(0, body, LENGTH));
    free(body);
}

// --- early answers ---

// The answer and a reset came between the last look at the socket and the send behind it.
static bool is_lost(const struct caller *c)
{
    return c->response.code == STATUS_UNAVAILABLE && c->response.status == 0;
}

static bool is_refusal(const struct caller *c)
{
    return c->response.code == STATUS_OK && c->response.status == 413 &&
           strcmp(c->body, "no way") == 0;
}

// By turns from a source and from memory; returns how many of 20 heard the server's answer.
static unsigned refused_early(struct fixture *f, const struct fake_reply *kind, const char *body)
{
    unsigned heard = 0;
    serve(f, kind, 1);
    for (unsigned i = 0; i < 20; i++) {
        struct maker m;
        maker_init(&m, f, LENGTH);
        struct http_options options = post(&m);
        if (i % 2 == 1)
            options = (struct http_options){.method = "POST", .body = body, .body_length = LENGTH};
        struct caller c = ask(f, &options);
        heard += is_refusal(&c);
        assert_true(is_refusal(&c) || is_lost(&c)); // and nothing else
        assert_true(c.response.sent);
        assert_true(m.at < LENGTH);
    }
    assert_int_equal(f->server->n_accepted, 20); // none used again
    fake_stop(&f->server);
    return heard;
}

static void test_early_answers_win(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply reads_on = {.bytes = REFUSAL, .early = 1};
    static const struct fake_reply stays = {.bytes = REFUSAL, .early = 1, .stop_reading = true};
    static const struct fake_reply resets = {.bytes = REFUSAL, .early = 1, .close = true};
    char *body = calloc(1, LENGTH);
    assert_int_equal(refused_early(f, &reads_on, body), 20);
    assert_int_equal(refused_early(f, &stays, body), 20);
    assert_true(refused_early(f, &resets, body) > 0);
    free(body);
}

static void test_early_answer_that_breaks_off(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 401 No\r\nContent-Length: 60\r\n\r\nhalf", .early = 1, .close = true}};
    serve(f, replies, 1);
    struct caller c;
    do {
        struct maker m;
        maker_init(&m, f, LENGTH);
        struct http_options options = post(&m);
        c = ask(f, &options);
    } while (is_lost(&c));
    assert_int_equal(c.response.code, STATUS_OK);
    assert_int_equal(c.response.status, 401);
    assert_string_equal(c.body, "half");
}

static void test_expect_is_the_callers_choice(void **state)
{
    struct fixture *f = *state;
    // The first says nothing before it has the body; the second does not want it.
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY},
                                                {.bytes = REFUSAL, .early = 1}};
    struct http_header expect[] = {{"Expect", "100-continue"}};
    serve(f, replies, 2);
    struct maker m;
    maker_init(&m, f, 1 << 20);
    struct http_options options = post(&m);
    options.headers = expect;
    options.n_headers = 1;
    struct caller c = ask(f, &options);
    assert_int_equal(c.response.status, 200);
    assert_true(c.response.elapsed_us > 200 * US_PER_MS);
    assert_contains(fake_request(f->server, 0), "Expect: 100-continue\r\n");
    maker_init(&m, f, 1 << 20);
    c = ask(f, &options);
    assert_true(is_refusal(&c));
    assert_int_equal(m.calls, 0);
}

// --- the same body twice ---

static void test_rewind_for_a_connection_that_died(void **state)
{
    struct fixture *f = *state;
    // The connection dies under the second request, when most of it is sent.
    static const struct fake_reply replies[] = {
        {.bytes = OK_REPLY}, {.bytes = "", .early = 1 << 20, .reset = true}, {.bytes = OK_REPLY}};
    serve(f, replies, 3);
    get(f);
    struct maker m;
    maker_init(&m, f, LENGTH);
    struct http_options options = post(&m);
    assert_int_equal(ask(f, &options).response.status, 200);
    assert_int_equal(m.rewinds, 1);
    assert_true(f->server->body_sum == m.sum);
    assert_int_equal(fake_count(f->server), 3);
}

static void test_no_rewind_no_second_try(void **state)
{
    struct fixture *f = *state;
    for (int kind = 0; kind < 2; kind++) {
        static const struct fake_reply replies[] = {{.bytes = OK_REPLY},
                                                    {.bytes = "", .early = 1 << 20, .reset = true},
                                                    {.bytes = OK_REPLY}};
        serve(f, replies, 3);
        get(f);
        struct maker m;
        maker_init(&m, f, LENGTH);
        if (kind == 0)
            m.source.rewind = NULL;
        m.cannot_rewind = true;
        struct http_options options = post(&m);
        struct caller c = ask(f, &options);
        assert_int_equal(c.response.code, STATUS_UNAVAILABLE);
        assert_contains(c.response.detail, "127.0.0.1:");
        assert_true(c.response.sent);
        assert_int_equal(fake_count(f->server), 2);
        fake_stop(&f->server);
    }
}

static void test_once_is_never_sent_twice(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = OK_REPLY}, {.bytes = "", .reset = true}, {.bytes = OK_REPLY}};
    serve(f, replies, 3);
    get(f);
    struct http_options options = {.method = "POST", .body = "x", .body_length = 1, .once = true};
    struct caller c = ask(f, &options);
    assert_int_equal(c.response.code, STATUS_UNAVAILABLE);
    assert_contains(c.response.detail, "may not be sent twice");
    assert_true(c.response.sent);
    assert_int_equal(fake_count(f->server), 2);
}

static void test_new_connection_that_breaks_is_not_tried_again(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = "", .early = 1 << 20, .reset = true},
                                                {.bytes = OK_REPLY}};
    serve(f, replies, 2);
    struct maker m;
    maker_init(&m, f, LENGTH);
    struct http_options options = post(&m);
    struct caller c = ask(f, &options);
    assert_int_equal(c.response.code, STATUS_UNAVAILABLE);
    assert_true(c.response.sent);
    assert_int_equal(fake_count(f->server), 1);
}

// --- cancelling from within ---

static void cancel_myself(struct maker *m)
{
    if (m->calls == 3)
        http_request_cancel(&m->caller->request);
}

static void cancel_the_other_and_start_one(struct maker *m)
{
    if (m->calls != 3)
        return;
    http_request_cancel(&m->caller[1].request); // it is in libcurl, too
    http_request_cancel(&m->caller[2].request); // it has failed, and is about to say so
    struct fixture *f = m->caller->fixture;
    http_request_start(f->client, &(struct http_options){.url = f->url}, called, &m->caller[3],
                       &m->caller[3].request);
}

static void turn_a_little(struct fixture *f)
{
    for (int i = 0; i < 20; i++)
        loop_turn(f->loop, false);
}

static void test_source_cancels_its_own_request(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    struct caller caller = {0};
    struct maker m;
    maker_init(&m, f, LENGTH);
    m.on_read = cancel_myself;
    m.caller = &caller;
    struct http_options options = post(&m);
    start(f, &caller, &options);
    while (caller.request != NULL)
        loop_turn(f->loop, true);
    unsigned calls = m.calls;
    turn_a_little(f);
    assert_int_equal(m.calls, calls);
    assert_int_equal(caller.calls, 0);
    assert_int_equal(get(f).response.status, 200);
}

static void test_source_cancels_and_starts_others(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    struct caller callers[4] = {{.fixture = f}, {0}, {0}, {.fixture = f}};
    struct maker m, other;
    maker_init(&m, f, LENGTH);
    maker_init(&other, f, LENGTH * 1000);
    m.on_read = cancel_the_other_and_start_one;
    m.caller = callers;
    struct http_options options = post(&other);
    start(f, &callers[1], &options);
    while (other.calls < 3)
        loop_turn(f->loop, true);
    options = post(&m);
    start(f, &callers[0], &options);
    while (m.calls < 2)
        loop_turn(f->loop, true);
    start(f, &callers[2], &(struct http_options){.url = "ftp://x/"});
    callers[2].calls = 0;
    while (m.calls < 3) { // the failed one may be heard of before
        loop_turn(f->loop, true);
    }
    wait_for(f, &callers[3].calls, 1);
    wait_for(f, &callers[0].calls, 1);
    assert_int_equal(callers[0].response.status, 200);
    assert_int_equal(callers[3].response.status, 200);
    assert_int_equal(callers[1].calls, 0);
    assert_null(callers[1].request);
}

static void test_rewind_cancels_its_own_request(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply dies[] = {
        {.bytes = OK_REPLY}, {.bytes = "", .early = 1 << 20, .reset = true}, {.bytes = OK_REPLY}};
    static const struct fake_reply redirects[] = {
        {.bytes = OK_REPLY},
        {.bytes = "HTTP/1.1 307 x\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = OK_REPLY}};
    for (int kind = 0; kind < 2; kind++) {
        serve(f, kind == 0 ? dies : redirects, 3);
        get(f);
        struct caller caller = {0};
        struct maker m;
        maker_init(&m, f, LENGTH);
        m.cancels_in_rewind = true;
        m.caller = &caller;
        struct http_options options = post(&m);
        options.redirects = 1;
        start(f, &caller, &options);
        while (caller.request != NULL)
            loop_turn(f->loop, true);
        turn_a_little(f);
        assert_int_equal(m.rewinds, 1);
        assert_int_equal(caller.calls, 0);
        assert_int_equal(get(f).response.status, 200);
        fake_stop(&f->server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_source_is_sent_whole_and_in_slices),
        TEST(test_empty_source),
        TEST(test_source_of_any_method),
        TEST(test_source_that_fails),
        TEST(test_large_body_of_memory),
        TEST(test_early_answers_win),
        TEST(test_early_answer_that_breaks_off),
        TEST(test_expect_is_the_callers_choice),
        TEST(test_rewind_for_a_connection_that_died),
        TEST(test_no_rewind_no_second_try),
        TEST(test_once_is_never_sent_twice),
        TEST(test_new_connection_that_breaks_is_not_tried_again),
        TEST(test_source_cancels_its_own_request),
        TEST(test_source_cancels_and_starts_others),
        TEST(test_rewind_cancels_its_own_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
