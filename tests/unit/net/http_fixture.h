// SPDX-License-Identifier: Apache-2.0
// A loop with a client of net/http, and requests to a scripted server. Include after cmocka.h.
#ifndef CXSINK_TEST_HTTP_FIXTURE_H
#define CXSINK_TEST_HTTP_FIXTURE_H

#include "core/loop.h"
#include "core/timer.h"
#include "net/fake_http.h"
#include "net/http.h"
#include "net/resolve.h"
#include "net/resolve_priv.h"
#include "support/patience.h"

#include <dirent.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// --- a loop with a client ---

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    struct http_client *client;
    struct fake_http *server;
    char url[128];
    void *tag; // the test's own
};

struct caller {
    struct fixture *fixture;
    struct http_request *request;
    unsigned calls;
    bool handle_was_null;
    struct http_response response; // its body is below
    char body[4096];
    void (*then)(struct caller *caller);
};

static const char *_Atomic lookup_answer; // of every name; NULL: 127.0.0.1
static atomic_int lookups, slow_ones;     // the latter: under way
static sem_t leave;                       // a lookup of "slow.test"

static inline int scripted(const char *host, const char *service, const struct addrinfo *hints,
                           struct addrinfo **list_r)
{
    (void)hints;
    lookups++;
    if (strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(host, "slow.test") == 0) {
        slow_ones++;
        while (sem_wait(&leave) != 0)
            continue;
        slow_ones--;
    }
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    return getaddrinfo(lookup_answer != NULL ? lookup_answer : "127.0.0.1", service, &numeric,
                       list_r);
}

static inline void renew_client(struct fixture *f)
{
    struct status st;
    http_client_destroy(&f->client);
    resolver_destroy(&f->resolver);
    f->resolver = resolver_create(f->loop, &st);
    f->client = f->resolver != NULL ? http_client_create(f->loop, f->resolver, &st) : NULL;
    assert_non_null(f->client);
    resolver_set_lookup(f->resolver, &(struct resolve_lookup){scripted, freeaddrinfo});
}

static inline int set_up(void **state)
{
    static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY"};
    for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++)
        unsetenv(proxies[i]);
    struct fixture *f = calloc(1, sizeof(*f));
    struct status st;
    *state = f;
    f->loop = loop_create(&st);
    if (f->loop == NULL)
        return -1;
    renew_client(f);
    lookups = 0;
    lookup_answer = NULL;
    sem_init(&leave, 0, 0);
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    http_client_destroy(&f->client);
    resolver_destroy(&f->resolver);
    if (f->server != NULL)
        fake_stop(&f->server);
    loop_destroy(&f->loop);
    free(f);
    while (slow_ones > 0) // one that was let go; the next test makes a new semaphore
        usleep(100);
    return 0;
}

static inline void serve(struct fixture *f, const struct fake_reply *replies, size_t n)
{
    f->server = fake_start(replies, n);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/path?a=b", f->server->port);
}

static inline void called(void *owner, const struct http_response *response)
{
    struct caller *caller = owner;
    caller->calls++;
    caller->response = *response;
    caller->handle_was_null = caller->request == NULL;
    assert_non_null(response->body);
    assert_int_equal(response->body[response->body_length], '\0');
    snprintf(caller->body, sizeof(caller->body), "%s", response->body);
    if (caller->then != NULL)
        caller->then(caller);
}

static inline void start(struct fixture *f, struct caller *caller,
                         const struct http_options *options)
{
    caller->fixture = f;
    struct http_options all = *options;
    if (all.url == NULL)
        all.url = f->url;
    http_request_start(f->client, &all, called, caller, &caller->request);
    assert_int_equal(caller->calls, 0);
    assert_non_null(caller->request);
}

static inline void give_up(void *owner)
{
    *(bool *)owner = true;
}

static inline void wait_for(struct fixture *f, const unsigned *counter, unsigned wanted)
{
    bool late = false;
    struct timer limit;
    timer_init(&limit, f->loop, "test", give_up, &late);
    timer_start(&limit, PATIENCE_US);
    while (*counter < wanted && !late)
        loop_turn(f->loop, true);
    timer_stop(&limit);
    assert_false(late);
}

static inline struct caller ask(struct fixture *f, const struct http_options *options)
{
    struct caller caller = {0};
    start(f, &caller, options);
    wait_for(f, &caller.calls, 1);
    assert_true(caller.handle_was_null);
    assert_int_equal(caller.calls, 1);
    return caller;
}

static inline struct caller get(struct fixture *f)
{
    return ask(f, &(struct http_options){0});
}

#define assert_contains(text, part)                          \
    do {                                                     \
        if (strstr(text, part) == NULL)                      \
            fail_msg("\"%s\" is not in \"%s\"", part, text); \
    } while (0)

static inline unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
