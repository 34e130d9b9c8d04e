// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/http_fixture.h"
#include "net/http_priv.h"

#include <fcntl.h>
#include <time.h>

// --- requests as they go out ---

static void test_get_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    struct http_header headers[] = {{"Accept", "application/json"}, {"X-Empty", ""}};
    struct caller c = ask(f, &(struct http_options){.headers = headers, .n_headers = 2});
    assert_int_equal(c.response.code, STATUS_OK);
    assert_int_equal(c.response.status, 200);
    assert_string_equal(c.body, "ok");
    assert_int_equal(c.response.retry_after_us, -1);
    assert_true(c.response.elapsed_us > 0);
    char wanted[512];
    snprintf(wanted, sizeof(wanted),
             "GET /path?a=b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: cxsink/" CXSINK_VERSION
             "\r\nAccept: application/json\r\nX-Empty:\r\n\r\n",
             f->server->port);
    assert_string_equal(fake_request(f->server, 0), wanted);
}

static void test_post_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    struct http_header headers[] = {
        {"Content-Type", "text/x"}, {"User-Agent", "me"}, {"Accept", "a"}};
    struct http_options options = {.method = "POST",
                                   .headers = headers,
                                   .n_headers = 3,
                                   .body = "a\0b",
                                   .body_length = 3,
                                   .http1_only = true,
                                   .close = true,
                                   .secret = true};
    assert_int_equal(ask(f, &options).response.status, 200);
    char wanted[512];
    snprintf(wanted, sizeof(wanted),
             "POST /path?a=b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: text/x\r\n"
             "User-Agent: me\r\nAccept: a\r\nContent-Length: 3\r\n\r\na",
             f->server->port);
    assert_string_equal(fake_request(f->server, 0), wanted); // up to the NUL
}

static void test_methods(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = OK_REPLY},
        {.bytes = OK_REPLY},
        {.bytes = OK_REPLY},
        {.bytes = OK_REPLY},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}};
    serve(f, replies, 5);
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "HEAD"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ask(f, &(struct http_options){.method = methods[i]}).response.code, 0);
        const char *sent = fake_request(f->server, i);
        assert_memory_equal(sent, methods[i], strlen(methods[i]));
        assert_int_equal(strstr(sent, "Content-Length: 0\r\n") != NULL, i < 3);
        assert_null(strstr(sent, "Content-Type"));
    }
    assert_int_equal(f->server->n_accepted, 1); // kept alive
}

static void test_large_body_is_sent_at_once(void **state)
{
    struct fixture *f = *state;
    // An early answer: the server does not read the rest.
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    size_t length = FAKE_REQUEST_SIZE - 1024;
    char *body = malloc(length);
    memset(body, 'x', length);
    struct http_options options = {.method = "POST", .body = body, .body_length = length};
    assert_int_equal(ask(f, &options).response.status, 200);
    assert_null(strstr(fake_request(f->server, 0), "Expect"));
    free(body);
}

static void test_header_with_a_line_break_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    struct http_header bad[] = {{"Authorization", "Bearer s3cret\r\nX: y"}, {"X y", "z"}, {"", ""}};
    static const char *const words[] = {"Authorization holds a line break", "\"X y\"", "\"\""};
    for (size_t i = 0; i < 3; i++) {
        struct caller c = ask(f, &(struct http_options){.headers = &bad[i], .n_headers = 1});
        assert_int_equal(c.response.code, STATUS_INVALID);
        assert_contains(c.response.detail, words[i]);
        assert_null(strstr(c.response.detail, "s3cret"));
    }
    assert_int_equal(fake_count(f->server), 0);
}

static void test_wrong_urls(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = {"ftp://127.0.0.1/x", "file:///etc/passwd", "nonsense url",
                                       "http://", "https://user:s3cret@[::1/"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct caller c = ask(f, &(struct http_options){.url = urls[i]});
        assert_int_equal(c.response.code, STATUS_INVALID);
        assert_contains(c.response.detail, "URL");
        assert_null(strstr(c.response.detail, "s3cret"));
    }
}

// --- answers ---

static void test_answer_kinds(void **state)
{
    struct fixture *f = *state;
    static const struct {
        struct fake_reply reply;
        int status;
        const char *body;
    } cases[] = {
        {{.bytes = "HTTP/1.1 204 No Content\r\n\r\n"}, 204, ""},
        {{.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
                   "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"},
         200,
         "abcde"},
        {{.bytes = "HTTP/1.1 200 OK\r\n\r\nto the end", .close = true}, 200, "to the end"},
        {{.bytes =
              "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx"},
         201,
         "x"},
        {{.bytes = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                   "Content-Length: 0\r\n\r\n"},
         302,
         ""},
        {{.bytes = "HTTP/1.1 500 Broken\r\nContent-Length: 4\r\n\r\noops"}, 500, "oops"},
        {{.bytes = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n"
                   "Content-Length: 0\r\n\r\n"},
         401,
         ""},
    };
    enum { N = sizeof(cases) / sizeof(cases[0]) };
    struct fake_reply replies[N];
    for (size_t i = 0; i < N; i++)
        replies[i] = cases[i].reply;
    serve(f, replies, N);
    for (size_t i = 0; i < N; i++) {
        struct caller c = get(f);
        assert_int_equal(c.response.code, STATUS_OK);
        assert_int_equal(c.response.status, cases[i].status);
        assert_string_equal(c.body, cases[i].body);
    }
    assert_int_equal(fake_count(f->server), N); // no redirect was followed
}

static void test_retry_after(void **state)
{
    struct fixture *f = *state;
    char date[128];
    time_t then = time(NULL) + 90;
    struct tm tm;
    strftime(date, sizeof(date),
             "HTTP/1.1 503 Wait\r\nRetry-After: %a, %d %b %Y %H:%M:%S GMT\r\n"
             "Content-Length: 0\r\n\r\n",
             gmtime_r(&then, &tm));
    const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = date},
        {.bytes = "HTTP/1.1 429 Slow\r\nretry-after: 0\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"}};
    serve(f, replies, 4);
    assert_int_equal(get(f).response.retry_after_us, 17 * US_PER_S);
    int64_t wait = get(f).response.retry_after_us;
    assert_true(wait > 80 * US_PER_S && wait <= 90 * US_PER_S);
    assert_int_equal(get(f).response.retry_after_us, 0);
    assert_int_equal(get(f).response.retry_after_us, -1);
}

static void test_retry_after_values(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t wait_us;
    } cases[] = {
        {"5", 5 * US_PER_S},
        {" 5 ", 5 * US_PER_S},
        {"0", 0},
        {"86401", HTTP_RETRY_AFTER_MAX_US},
        {"99999999999999999999", HTTP_RETRY_AFTER_MAX_US},
        {"Fri, 31 Dec 1999 23:59:59 GMT", 0},
        {"Sat, 01 Jan 2000 00:00:10 GMT", 10 * US_PER_S},
        {"Saturday, 01-Jan-00 00:00:10 GMT", 10 * US_PER_S},
        {"Sat Jan  1 00:00:10 2000", 10 * US_PER_S},
        {"Fri, 01 Jan 2100 00:00:00 GMT", HTTP_RETRY_AFTER_MAX_US},
        {"", -1},
        {"soon", -1},
        {"5 apples", -1},
        {"-5", -1},
    };
    int64_t now = 946684800 * US_PER_S; // 2000-01-01T00:00:00Z
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t wait = http_retry_after_parse(cases[i].value, now);
        if (wait != cases[i].wait_us)
            fail_msg("\"%s\": %lld", cases[i].value, (long long)wait);
    }
}

static void test_response_cap(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789a"},
        {.bytes = OK_REPLY}};
    serve(f, replies, 3);
    struct http_options options = {.max_response = 10};
    struct caller c = ask(f, &options);
    assert_int_equal(c.response.code, STATUS_OK);
    assert_string_equal(c.body, "0123456789");
    c = ask(f, &options);
    assert_int_equal(c.response.code, STATUS_FULL);
    assert_contains(c.response.detail, "larger than 10 bytes");
    assert_int_equal(c.response.body_length, 0);
    assert_int_equal(ask(f, &options).response.code, STATUS_OK);
}

// --- failures ---

static void test_connection_refused(void **state)
{
    struct fixture *f = *state;
    unsigned short port;
    int fd = fake_listen(&port);
    close(fd);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/?token=s3cret", port);
    struct caller c = get(f);
    assert_int_equal(c.response.code, STATUS_UNAVAILABLE);
    assert_int_equal(c.response.status, 0);
    char origin[32];
    snprintf(origin, sizeof(origin), "127.0.0.1:%u", port);
    assert_contains(c.response.detail, origin);
    assert_contains(c.response.detail, "onnect");
    assert_null(strstr(c.response.detail, "s3cret"));
}

static void test_broken_connections(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "", .length = 0, .reset = true},
        {.bytes = "", .close = true},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", .close = true},
        {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha", .reset = true},
        {.bytes = "nonsense\r\n\r\n", .close = true},
        {.bytes = "HTTP/1.1 200 OK\r\n", .close = true},
        {.bytes = "HTTP/1.1 204 No Content\r\nServer: x\r\n", .close = true},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", .reset = true},
        {.bytes = OK_REPLY}};
    serve(f, replies, 9);
    for (int i = 0; i < 8; i++) {
        struct caller c = get(f);
        assert_int_equal(c.response.code, STATUS_UNAVAILABLE);
        assert_int_equal(c.response.body_length, 0);
        assert_true(strlen(c.response.detail) > 20);
    }
    assert_int_equal(get(f).response.code, STATUS_OK);
}

static void test_stalls_end_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = NULL},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Le"},
        {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"},
        {.bytes = OK_REPLY}};
    static const char *const words[] = {"waiting for the answer", "reading the answer",
                                        "reading the answer"};
    serve(f, replies, 4);
    for (int i = 0; i < 3; i++) {
        struct caller c = ask(f, &(struct http_options){.timeout_us = 100 * US_PER_MS});
        assert_int_equal(c.response.code, STATUS_TIMEOUT);
        assert_contains(c.response.detail, "timeout after 0.1 s");
        assert_contains(c.response.detail, words[i]);
        assert_true(c.response.elapsed_us >= 95 * US_PER_MS);
    }
    assert_int_equal(get(f).response.code, STATUS_OK);
}

static void test_connect_timeout_names_the_tls_handshake(void **state)
{
    struct fixture *f = *state;
    unsigned short port; // accepts by the backlog, says nothing
    int fd = fake_listen(&port);
    snprintf(f->url, sizeof(f->url), "https://127.0.0.1:%u/", port);
    struct caller c = ask(f, &(struct http_options){.connect_timeout_us = 150 * US_PER_MS});
    assert_int_equal(c.response.code, STATUS_TIMEOUT);
    assert_contains(c.response.detail,
                    "no connection within 0.15 s (in the TCP connect or the TLS handshake)");
    close(fd);
}

// --- names ---

static void test_name_goes_through_the_resolver(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    snprintf(f->url, sizeof(f->url), "http://Some.Test:%u/", f->server->port);
    for (int i = 0; i < 3; i++)
        assert_int_equal(get(f).response.status, 200);
    assert_int_equal(lookups, 1);
    char host[64];
    snprintf(host, sizeof(host), "Host: Some.Test:%u\r\n", f->server->port);
    assert_contains(fake_request(f->server, 0), host);
}

static void test_sockets_are_not_inherited(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = NULL}};
    serve(f, replies, 1);
    struct caller caller = {0};
    start(f, &caller, &(struct http_options){0});
    while (fake_count(f->server) == 0)
        loop_turn(f->loop, true);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++) {
        struct sockaddr_in address;
        socklen_t size = sizeof(address);
        bool ours = getpeername(fd, (struct sockaddr *)&address, &size) == 0 &&
                    address.sin_family == AF_INET;
        assert_true(!ours || (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    http_request_cancel(&caller.request);
}

static void test_unknown_name(void **state)
{
    struct fixture *f = *state;
    struct caller c = ask(f, &(struct http_options){.url = "https://none.test/x"});
    assert_int_equal(c.response.code, STATUS_UNAVAILABLE);
    assert_contains(c.response.detail, "none.test:443: cannot resolve \"none.test\"");
}

static void test_slow_name_ends_at_the_connect_timeout(void **state)
{
    struct fixture *f = *state;
    struct http_options options = {.url = "http://slow.test/",
                                   .connect_timeout_us = 100 * US_PER_MS};
    struct caller c = ask(f, &options);
    assert_int_equal(c.response.code, STATUS_TIMEOUT);
    assert_contains(c.response.detail, "no connection within 0.1 s (looking the name up)");
    sem_post(&leave);
}

static void test_proxy_of_the_environment(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", f->server->port);
    setenv("http_proxy", proxy, 1);
    struct caller c = ask(f, &(struct http_options){.url = "http://none.test/x"});
    unsetenv("http_proxy");
    assert_int_equal(c.response.status, 200);
    assert_contains(fake_request(f->server, 0), "GET http://none.test/x HTTP/1.1");
    assert_int_equal(lookups, 0);
}

// --- life ---

static void test_cancel_in_every_phase(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = NULL}};
    serve(f, replies, 1);
    struct caller at_once = {0}, running = {0}, resolving = {0}, answered = {0};
    start(f, &at_once, &(struct http_options){0});
    http_request_cancel(&at_once.request);
    assert_null(at_once.request);
    http_request_cancel(&at_once.request); // NULL is fine
    start(f, &resolving, &(struct http_options){.url = "http://slow.test/"});
    start(f, &running, &(struct http_options){0});
    while (fake_count(f->server) == 0)
        loop_turn(f->loop, true);
    start(f, &answered, &(struct http_options){.url = "ftp://x/"});
    http_request_cancel(&resolving.request);
    http_request_cancel(&running.request);
    http_request_cancel(&answered.request);
    for (int i = 0; i < 10; i++)
        loop_turn(f->loop, false);
    sem_post(&leave);
    assert_int_equal(at_once.calls + running.calls + resolving.calls + answered.calls, 0);
}

static void cancel_the_next(struct caller *caller)
{
    http_request_cancel(&(caller + 1)->request);
}

static void start_another(struct caller *caller)
{
    caller->then = NULL;
    http_request_start(caller->fixture->client, &(struct http_options){.url = caller->fixture->url},
                       called, caller, &caller->request);
}

static void destroy_the_client(struct caller *caller)
{
    http_client_destroy(&caller->fixture->client);
}

static void test_callbacks_may_do_anything(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}, {.bytes = NULL}};
    serve(f, replies, 2);
    struct caller again = {.then = start_another};
    start(f, &again, &(struct http_options){.url = "ftp://x/"});
    wait_for(f, &again.calls, 2);
    assert_int_equal(again.response.status, 200);
    struct caller pair[2] = {{.then = cancel_the_next}, {0}};
    start(f, &pair[0], &(struct http_options){.url = "ftp://x/"});
    start(f, &pair[1], &(struct http_options){0});
    wait_for(f, &pair[0].calls, 1);
    struct caller last[2] = {{.then = destroy_the_client}, {0}};
    start(f, &last[1], &(struct http_options){0}); // never answered
    while (fake_count(f->server) < 2)
        loop_turn(f->loop, true);
    start(f, &last[0], &(struct http_options){.url = "ftp://x/"});
    wait_for(f, &last[0].calls, 1);
    for (int i = 0; i < 5; i++)
        loop_turn(f->loop, false);
    assert_int_equal(pair[1].calls + last[1].calls, 0);
    assert_null(last[1].request);
}

static void test_parallel_requests(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    serve(f, replies, 1);
    static struct caller callers[40];
    memset(callers, 0, sizeof(callers));
    for (size_t i = 0; i < 40; i++)
        start(f, &callers[i], &(struct http_options){0});
    for (size_t i = 0; i < 40; i++) {
        wait_for(f, &callers[i].calls, 1);
        assert_int_equal(callers[i].response.status, 200);
    }
}

static void test_thousand_requests_leave_no_descriptor(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         .close = true}};
    serve(f, replies, 1);
    get(f);
    unsigned before = open_files();
    for (int i = 0; i < 500; i++)
        assert_int_equal(get(f).response.status, 200);
    struct http_options options = {.close = true, .secret = true, .http1_only = true};
    for (int i = 0; i < 500; i++)
        assert_int_equal(ask(f, &options).response.status, 200);
    // The server's own ends go when its thread gets to them.
    struct mono limit = mono_add(mono_read(), PATIENCE_US);
    while (open_files() > before && mono_diff(limit, mono_read()) > 0)
        usleep(1000);
    assert_true(open_files() <= before);
}

static void test_date(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 401 x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                  "Content-Length: 0\r\n\r\n"},
        {.bytes = "HTTP/1.1 200 OK\r\nDate: yesterday or so\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = OK_REPLY}};
    serve(f, replies, 3);
    assert_int_equal(get(f).response.date_us, 784111777 * US_PER_S);
    assert_int_equal(get(f).response.date_us, 0);
    assert_int_equal(get(f).response.date_us, 0);
}

static void test_kept_connection_that_died_is_replaced(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY, .close = true}};
    serve(f, replies, 1); // closes without having said so
    for (int i = 0; i < 20; i++)
        assert_int_equal(get(f).response.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get_byte_by_byte),
        TEST(test_post_byte_by_byte),
        TEST(test_methods),
        TEST(test_large_body_is_sent_at_once),
        TEST(test_header_with_a_line_break_is_refused),
        TEST(test_wrong_urls),
        TEST(test_answer_kinds),
        TEST(test_retry_after),
        TEST(test_retry_after_values),
        TEST(test_date),
        TEST(test_response_cap),
        TEST(test_connection_refused),
        TEST(test_broken_connections),
        TEST(test_stalls_end_at_the_deadline),
        TEST(test_connect_timeout_names_the_tls_handshake),
        TEST(test_name_goes_through_the_resolver),
        TEST(test_sockets_are_not_inherited),
        TEST(test_unknown_name),
        TEST(test_slow_name_ends_at_the_connect_timeout),
        TEST(test_proxy_of_the_environment),
        TEST(test_cancel_in_every_phase),
        TEST(test_callbacks_may_do_anything),
        TEST(test_parallel_requests),
        TEST(test_thousand_requests_leave_no_descriptor),
        TEST(test_kept_connection_that_died_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
