// SPDX-License-Identifier: Apache-2.0
// Requests that may reach the public internet only. connect(2) and getpeername(2) are ours, so
// that a public address leads to the scripted server on loopback.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/http_fixture.h"

#include <sys/syscall.h>

#define PUBLIC "8.8.8.8"

static unsigned connects_to_public;
static bool disguised[4096]; // by descriptor

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_in ipv4 = {0};
    if (address->sa_family == AF_INET)
        memcpy(&ipv4, address, sizeof(ipv4));
    disguised[fd] = ipv4.sin_addr.s_addr == inet_addr(PUBLIC);
    if (disguised[fd]) {
        connects_to_public++;
        ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address = (const struct sockaddr *)&ipv4;
    }
    return (int)syscall(SYS_connect, fd, address, length);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    int result = (int)syscall(SYS_getpeername, fd, address, length);
    if (result == 0 && disguised[fd])
        ((struct sockaddr_in *)address)->sin_addr.s_addr = inet_addr(PUBLIC);
    return result;
}

static const struct fake_reply fine[] = {{.bytes = OK_REPLY}};

static struct caller ask_public(struct fixture *f, const char *host)
{
    snprintf(f->url, sizeof(f->url), "http://%s:%u/", host, f->server->port);
    return ask(f, &(struct http_options){.public_only = true});
}

static void test_public_addresses_are_reached(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    lookup_answer = PUBLIC;
    connects_to_public = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_public(f, PUBLIC).response.status, 200);
        assert_int_equal(ask_public(f, "public.test").response.status, 200);
    }
    assert_int_equal(connects_to_public, 2); // kept alive
}

static void test_other_addresses_are_refused(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    static const char *const hosts[][2] = {
        {"127.0.0.1", "127.0.0.1 is a loopback address; allow_private permits it"},
        {"0x7f.1", "127.0.0.1 is a loopback address"},
        {"2130706433", "127.0.0.1 is a loopback address"},
        {"localhost", "is a loopback address"},
        {"private.test", "10.1.2.3 is a private address"},
        {"[::1]", "::1 is a loopback address"},
        {"[::ffff:127.0.0.1]", "is a loopback address"},
        {"[fe80::1]", "is a link-local address"},
    };
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        lookup_answer = i == 4 ? "10.1.2.3" : "127.0.0.1";
        struct caller c = ask_public(f, hosts[i][0]);
        assert_int_equal(c.response.code, STATUS_DENIED);
        assert_contains(c.response.detail, hosts[i][1]);
        assert_false(c.response.sent);
    }
    assert_int_equal(f->server->n_accepted, 0);
}

static void test_kept_connection_is_looked_at_too(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    snprintf(f->url, sizeof(f->url), "http://some.test:%u/", f->server->port);
    assert_int_equal(get(f).response.status, 200);
    struct caller c = ask_public(f, "some.test");
    assert_int_equal(c.response.code, STATUS_DENIED);
    assert_contains(c.response.detail, "127.0.0.1 is a loopback address");
    assert_false(c.response.sent);
    assert_int_equal(fake_count(f->server), 1);
}

static void test_name_that_changes_its_address(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply closes[] = {
        {.bytes =
             "HTTP/1.1 307 x\r\nLocation: /y\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
         .close = true}};
    serve(f, closes, 1);
    lookup_answer = PUBLIC;
    snprintf(f->url, sizeof(f->url), "http://rebind.test:%u/", f->server->port);
    struct caller c = ask(f, &(struct http_options){.public_only = true, .redirects = 2});
    assert_contains(c.response.detail, "more than 2 redirects"); // three connections, all public
    lookup_answer = "192.168.1.1";
    renew_client(f); // or the name would be known for 30 s
    c = ask(f, &(struct http_options){.public_only = true, .redirects = 2});
    assert_int_equal(c.response.code, STATUS_DENIED);
    assert_contains(c.response.detail, "192.168.1.1 is a private address");
    assert_int_equal(fake_count(f->server), 3);
}

static void test_public_server_that_is_down_is_no_denial(void **state)
{
    struct fixture *f = *state;
    unsigned short port;
    int fd = fake_listen(&port);
    close(fd);
    snprintf(f->url, sizeof(f->url), "http://" PUBLIC ":%u/", port);
    struct caller c = ask(f, &(struct http_options){.public_only = true});
    assert_int_equal(c.response.code, STATUS_UNAVAILABLE);
    assert_contains(c.response.detail, "onnect");
}

static void test_proxy(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    char proxy[64];
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", f->server->port);
    setenv("http_proxy", proxy, 1);
    setenv("no_proxy", "*", 1);
    static const char *const refused[] = {"127.0.0.1", "10.0.0.1",   "[::1]",
                                          "localhost", "LocalHost.", "a.localhost"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct caller c = ask_public(f, refused[i]);
        assert_int_equal(c.response.code, STATUS_DENIED);
        assert_contains(c.response.detail, "allow_private permits it");
    }
    assert_int_equal(fake_count(f->server), 0);
    static const char *const passed[] = {"name.test", "notlocalhost", "x.test", PUBLIC};
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++)
        assert_int_equal(ask_public(f, passed[i]).response.status, 200);
    unsetenv("http_proxy");
    unsetenv("no_proxy");
    assert_contains(fake_request(f->server, 0), "GET http://name.test:");
    assert_int_equal(lookups, 0);
}

static void test_https_only(void **state)
{
    struct fixture *f = *state;
    serve(f, fine, 1);
    struct caller c = ask(f, &(struct http_options){.https_only = true});
    assert_int_equal(c.response.code, STATUS_INVALID);
    assert_contains(c.response.detail, "must start with https://");
    assert_int_equal(f->server->n_accepted, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_public_addresses_are_reached),
        TEST(test_other_addresses_are_refused),
        TEST(test_kept_connection_is_looked_at_too),
        TEST(test_name_that_changes_its_address),
        TEST(test_public_server_that_is_down_is_no_denial),
        TEST(test_proxy),
        TEST(test_https_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
