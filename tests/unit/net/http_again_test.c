// SPDX-License-Identifier: Apache-2.0
// Redirects.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/http_fixture.h"

static const struct http_header headers[] = {
    {"Authorization", "Bearer s3cret"}, {"Content-Type", "text/x"}, {"X-Request-Id", "r"}};

// A redirect to `location`, and what follows.
// An answer to HEAD has no body; newer versions of libcurl close the connection for one.
static void serve_redirect(struct fixture *f, int status, const char *location, bool bodies)
{
    static char text[512];
    static struct fake_reply replies[2];
    snprintf(text, sizeof(text), "HTTP/1.1 %d There\r\nLocation: %s\r\nContent-Length: 4\r\n\r\n%s",
             status, location, bodies ? "gone" : "");
    replies[0] = (struct fake_reply){.bytes = text};
    replies[1] = (struct fake_reply){
        .bytes = bodies ? OK_REPLY : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"};
    if (f->server != NULL)
        fake_stop(&f->server);
    serve(f, replies, 2);
}

static struct caller follow(struct fixture *f, const char *method, unsigned redirects)
{
    bool body = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
    return ask(f, &(struct http_options){.method = method,
                                         .headers = headers,
                                         .n_headers = 3,
                                         .body = body ? "body" : NULL,
                                         .body_length = body ? 4 : 0,
                                         .redirects = redirects});
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void test_methods_and_bodies(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int status;
        const char *method, *second; // NULL: not followed
    } cases[] = {
        {301, "GET", "GET"},   {302, "GET", "GET"},     {303, "GET", "GET"},
        {307, "GET", "GET"},   {308, "GET", "GET"},     {301, "HEAD", "HEAD"},
        {303, "HEAD", "HEAD"}, {308, "HEAD", "HEAD"},   {301, "POST", NULL},
        {302, "POST", NULL},   {303, "POST", "GET"},    {307, "POST", "POST"},
        {308, "POST", "POST"}, {307, "PATCH", "PATCH"}, {303, "PUT", "GET"},
        {302, "DELETE", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        serve_redirect(f, cases[i].status, "/next?c=d", strcmp(cases[i].method, "HEAD") != 0);
        struct caller c = follow(f, cases[i].method, HTTP_REDIRECTS);
        if (cases[i].second == NULL) {
            assert_int_equal(c.response.code, STATUS_DENIED);
            assert_int_equal(c.response.status, cases[i].status);
            assert_contains(c.response.detail, cases[i].method);
            assert_contains(c.response.detail, "which leads to 127.0.0.1:");
            assert_null(strstr(c.response.detail, "c=d"));
            assert_int_equal(fake_count(f->server), 1);
            continue;
        }
        assert_int_equal(c.response.code, STATUS_OK);
        assert_int_equal(c.response.status, 200);
        assert_string_equal(c.body, strcmp(cases[i].second, "HEAD") == 0 ? "" : "ok");
        const char *sent = fake_request(f->server, 1);
        char line[64];
        snprintf(line, sizeof(line), "%s /next?c=d HTTP/1.1\r\n", cases[i].second);
        assert_true(starts_with(sent, line));
        assert_contains(sent, "Authorization: Bearer s3cret\r\n");
        assert_contains(sent, "X-Request-Id: r\r\n");
        bool body = strcmp(cases[i].second, "GET") != 0 && strcmp(cases[i].second, "HEAD") != 0;
        bool lost = cases[i].status == 303 && strcmp(cases[i].method, "GET") != 0 &&
                    strcmp(cases[i].method, "HEAD") != 0;
        assert_int_equal(strstr(sent, "\r\n\r\nbody") != NULL, body);
        assert_int_equal(strstr(sent, "Content-Length: 4\r\n") != NULL, body);
        assert_int_equal(strstr(sent, "Content-Type: text/x") != NULL, !lost);
        assert_int_equal(f->server->n_accepted, 1);
    }
}

static void test_targets(void **state)
{
    struct fixture *f = *state;
    struct fake_http *other = fake_start(&(struct fake_reply){.bytes = OK_REPLY}, 1);
    serve_redirect(f, 302, "/", true);
    char near[64], far[64], tls[64];
    snprintf(far, sizeof(far), "http://127.0.0.1:%u/?s3cret", other->port);
    for (int i = 0; i < 7; i++) {
        serve_redirect(f, 302, "/", true); // for its port
        unsigned port = f->server->port;
        snprintf(near, sizeof(near), "HTTP://127.0.0.1:%u/near", port);
        snprintf(tls, sizeof(tls), "https://127.0.0.1:%u/", port);
        const char *const targets[] = {
            near,           "relative/x", far, tls, "//other.test/?s3cret", "ftp://127.0.0.1/",
            "http://a b:x/"};
        static const char *const words[] = {"",
                                            "",
                                            "leads to http://127.0.0.1:",
                                            "leads to https://127.0.0.1:",
                                            "leads to http://other.test:80, another server",
                                            "leads nowhere: a URL for requests",
                                            "leads nowhere: the URL is not valid"};
        // The server's thread may look at them until it is stopped.
        static char text[256];
        static struct fake_reply replies[2];
        snprintf(text, sizeof(text),
                 "HTTP/1.1 302 There\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", targets[i]);
        replies[0] = (struct fake_reply){.bytes = text};
        replies[1] = (struct fake_reply){.bytes = OK_REPLY};
        f->server->replies = replies; // nothing was asked yet
        struct caller c = follow(f, "GET", HTTP_REDIRECTS);
        assert_contains(c.response.detail, words[i]);
        assert_null(strstr(c.response.detail, "s3cret"));
        assert_int_equal(c.response.code, i < 2 ? STATUS_OK : STATUS_DENIED);
        assert_int_equal(c.response.status, i < 2 ? 200 : 302);
        assert_int_equal(fake_count(f->server), i < 2 ? 2 : 1);
        if (i == 1)
            assert_true(starts_with(fake_request(f->server, 1), "GET /relative/x HTTP"));
    }
    assert_int_equal(other->n_accepted, 0);
    fake_stop(&other);
}

static void test_number_of_redirects(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply round[] = {
        {.bytes = "HTTP/1.1 308 There\r\nLocation: /path?a=b\r\nContent-Length: 0\r\n\r\n"}};
    serve(f, round, 1);
    struct caller c = follow(f, "POST", HTTP_REDIRECTS);
    assert_int_equal(c.response.code, STATUS_DENIED);
    assert_int_equal(c.response.status, 308);
    assert_contains(c.response.detail, "more than 5 redirects");
    assert_int_equal(fake_count(f->server), 6);
    c = follow(f, "POST", 0);
    assert_int_equal(c.response.code, STATUS_OK);
    assert_int_equal(c.response.status, 308);
    assert_int_equal(fake_count(f->server), 7);
}

static void keep_location(struct caller *caller)
{
    const char *location = http_response_header(&caller->response, "location");
    snprintf(caller->body, sizeof(caller->body), "%s", location != NULL ? location : "none");
}

static void test_3xx_that_lead_nowhere_are_answers(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 302 There\r\nContent-Length: 2\r\n\r\nno"},
        {.bytes = "HTTP/1.1 304 Same\r\nLocation: /x\r\n\r\n"},
        {.bytes = "HTTP/1.1 300 Choose\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"}};
    serve(f, replies, 3);
    static const int statuses[] = {302, 304, 300};
    for (int i = 0; i < 3; i++) {
        struct caller c = {.then = keep_location};
        start(f, &c, &(struct http_options){.redirects = HTTP_REDIRECTS});
        wait_for(f, &c.calls, 1);
        assert_int_equal(c.response.code, STATUS_OK);
        assert_int_equal(c.response.status, statuses[i]);
        assert_string_equal(c.body, i == 0 ? "none" : "/x");
    }
}

static void test_the_whole_time_goes_on(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 307 There\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"},
        {.bytes = NULL}};
    serve(f, replies, 2);
    struct caller c = ask(f, &(struct http_options){.redirects = 1, .timeout_us = 100 * US_PER_MS});
    assert_int_equal(c.response.code, STATUS_TIMEOUT);
}

struct parts {
    unsigned rewinds;
    bool cannot;
    size_t at;
};

static size_t read_part(void *owner, char *buffer, size_t size)
{
    struct parts *parts = owner;
    memset(buffer, 'p', size);
    parts->at += size;
    return size;
}

static bool rewind_parts(void *owner)
{
    struct parts *parts = owner;
    parts->rewinds++;
    parts->at = 0;
    return !parts->cannot;
}

static void test_sources_go_twice(void **state)
{
    struct fixture *f = *state;
    for (int kind = 0; kind < 3; kind++) {
        serve_redirect(f, kind < 2 ? 307 : 303, "/x", true);
        struct parts parts = {.cannot = kind == 1};
        struct http_options options = {
            .method = "PUT", .source = {read_part, rewind_parts, &parts, 100000}, .redirects = 1};
        struct caller c = ask(f, &options);
        assert_int_equal(c.response.code, kind == 1 ? STATUS_IO : STATUS_OK);
        assert_int_equal(parts.rewinds, kind < 2 ? 1 : 0);
        if (kind == 1)
            assert_contains(c.response.detail, "cannot be sent again after a redirect");
        else
            assert_int_equal(parts.at, 100000);
        assert_int_equal(fake_count(f->server), kind == 1 ? 1 : 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_methods_and_bodies),     TEST(test_targets),
        TEST(test_number_of_redirects),    TEST(test_3xx_that_lead_nowhere_are_answers),
        TEST(test_the_whole_time_goes_on), TEST(test_sources_go_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
