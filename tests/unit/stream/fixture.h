// SPDX-License-Identifier: Apache-2.0
// A session on a loop of its own against a scripted peer, and a record of what it told its owner.
#ifndef CXSINK_TEST_STREAM_FIXTURE_H
#define CXSINK_TEST_STREAM_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/load.h"
#include "core/buf.h"
#include "core/counter.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/timer.h"
#include "net/resolve.h"
#include "stream/peer.h"
#include "stream/session.h"
#include "support/patience.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/resource.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    struct session *session;
    struct config_stream config;
    struct config_pair headers[4];
    struct peer peer;
    struct timer tick; // so that a wait looks at its deadline
    char url[256];
    // What the owner was told.
    struct buf messages; // each as "T:...\n", "B:...\n" or "L:...\n"; long ones by their length
    unsigned n_messages;
    unsigned pause_at; // message number that is answered with SESSION_PAUSE; 0: none
    bool pausing;      // every message is
    bool in_order;     // messages are numbers, counting up from 1
    unsigned n_connected, n_ended, n_tokens_wanted, n_refused;
    struct session_end ends[16];
    char refused[64];
    const char *token; // given when one is wanted; NULL: none
    bool token_fails;
    void (*on_message)(struct fixture *f);
    void (*on_connected)(struct fixture *f);
    void (*on_ended)(struct fixture *f);
};

// --- names: "peer.test" and friends, without a network ---

static PEER_UNUSED int fake_names(const char *node, const struct addrinfo *hints,
                                  struct addrinfo **result)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    if (strcmp(node, "peer.test") == 0 || strcmp(node, "sub.peer.test") == 0 ||
        strcmp(node, "other.test") == 0)
        return real("127.0.0.1", NULL, hints, result);
    if (strcmp(node, "two.test") == 0) { // the first of the two refuses
        struct addrinfo *second = NULL;
        int error = real("127.0.0.2", NULL, hints, result);
        if (error == 0)
            error = real("127.0.0.1", NULL, hints, &second);
        if (error == 0) {
            struct addrinfo *last = *result;
            while (last->ai_next != NULL)
                last = last->ai_next;
            last->ai_next = second;
        }
        return error;
    }
    if (strcmp(node, "slow.test") == 0)
        usleep(300000);
    return EAI_NONAME;
}

// Stands in for the library's function in the whole process. Numeric addresses pass: the stream
// hands nothing else to libwebsockets, as any name would be refused here.
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
            RTLD_NEXT, "getaddrinfo");
    struct in6_addr address;
    if (node == NULL || inet_pton(AF_INET, node, &address) == 1 ||
        inet_pton(AF_INET6, node, &address) == 1)
        return real(node, service, hints, result);
    return fake_names(node, hints, result);
}

// --- the owner ---

static PEER_UNUSED enum session_verdict record_message(void *owner, enum session_frame frame,
                                                       const char *data, size_t length)
{
    struct fixture *f = owner;
    assert_non_null(data);
    if (f->pausing || (f->pause_at != 0 && f->n_messages + 1 == f->pause_at)) {
        f->pause_at = 0;
        return SESSION_PAUSE;
    }
    f->n_messages++;
    if (f->in_order) {
        char text[24];
        int n = snprintf(text, sizeof(text), "%u", f->n_messages);
        assert_int_equal(length, n);
        assert_memory_equal(data, text, length);
    } else if (length <= 200) {
        buf_printf(&f->messages, "%c:%.*s\n", "TBL"[frame], (int)length, data);
    } else {
        buf_printf(&f->messages, "%c#%zu%c%c\n", "TBL"[frame], length, data[0], data[length - 1]);
    }
    if (f->on_message != NULL)
        f->on_message(f);
    return SESSION_TAKEN;
}

static PEER_UNUSED void record_need_token(void *owner)
{
    struct fixture *f = owner;
    f->n_tokens_wanted++;
    struct status st;
    status_set(&st, STATUS_UNAVAILABLE, "the token endpoint is away");
    if (f->token_fails)
        session_token(f->session, NULL, &st);
    else if (f->token != NULL)
        session_token(f->session, f->token, NULL);
}

static PEER_UNUSED void record_refused(void *owner, const char *bearer)
{
    struct fixture *f = owner;
    f->n_refused++;
    snprintf(f->refused, sizeof(f->refused), "%s", bearer);
}

static PEER_UNUSED void record_connected(void *owner)
{
    struct fixture *f = owner;
    f->n_connected++;
    if (f->on_connected != NULL)
        f->on_connected(f);
}

static PEER_UNUSED void record_ended(void *owner, const struct session_end *end)
{
    struct fixture *f = owner;
    if (f->n_ended < COUNT(f->ends))
        f->ends[f->n_ended] = *end;
    f->n_ended++;
    if (f->on_ended != NULL)
        f->on_ended(f);
}

static const struct session_callbacks record = {
    .message = record_message,
    .need_token = record_need_token,
    .token_refused = record_refused,
    .connected = record_connected,
    .ended = record_ended,
};

// --- waiting ---

static PEER_UNUSED void tick(void *owner)
{
    (void)owner;
}

// Turns the loop until the condition holds; fails the test when it does not within the patience.
#define WAIT_FOR(f, condition)                                 \
    do {                                                       \
        int64_t until = mono_read().us + PATIENCE_US;          \
        while (!(condition)) {                                 \
            if (mono_read().us > until)                        \
                fail_msg("waited in vain for %s", #condition); \
            loop_turn((f)->loop, true);                        \
        }                                                      \
    } while (0)

static PEER_UNUSED void turn_for(struct fixture *f, int64_t us)
{
    for (int64_t until = mono_read().us + us; mono_read().us < until;)
        loop_turn(f->loop, true);
}

static PEER_UNUSED int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_S + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

// --- life ---

static PEER_UNUSED struct fixture *fixture_create(void)
{
    static unsigned short token_codes[] = {1008, 4001};
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct status st;
    f->loop = loop_create(&st);
    assert_non_null(f->loop);
    f->resolver = resolver_create(f->loop, &st);
    assert_non_null(f->resolver);
    timer_init(&f->tick, f->loop, "test tick", tick, f);
    timer_start_periodic(&f->tick, 10 * US_PER_MS);
    f->config = (struct config_stream){.name = (char *)"s",
                                       .url = f->url,
                                       .auth = CONFIG_NONE,
                                       .headers = {.items = f->headers},
                                       .max_message = 1 << 20,
                                       .ping_interval_us = 30 * US_PER_S,
                                       .ping_timeout_us = 10 * US_PER_S,
                                       .reconnect_base_us = 10 * US_PER_MS,
                                       .reconnect_cap_us = 50 * US_PER_MS,
                                       .reconnect_stable_us = 60 * US_PER_S,
                                       .connect_timeout_us = 5 * US_PER_S,
                                       .token_close_codes = token_codes,
                                       .n_token_close_codes = COUNT(token_codes)};
    return f;
}

static PEER_UNUSED void create_session(struct fixture *f)
{
    struct status st;
    status_clear(&st);
    f->session = session_create(f->loop, f->resolver, &f->config, &record, f, &st);
    if (f->session == NULL)
        fail_msg("%s", st.detail);
}

// Starts the peer with these scripts and a session towards "SCHEME://HOST:PORT/path?a=b".
static PEER_UNUSED void begin(struct fixture *f, const char *scheme_and_host,
                              const peer_script *scripts, int n)
{
    if (!peer_start(&f->peer, scripts, n))
        fail_msg("the peer cannot listen");
    snprintf(f->url, sizeof(f->url), "%s:%u/path?a=b", scheme_and_host, f->peer.port);
    create_session(f);
    session_start(f->session);
}

#define BEGIN(f, ...)                                          \
    do {                                                       \
        static const peer_script scripts_[] = {__VA_ARGS__};   \
        begin(f, "ws://peer.test", scripts_, COUNT(scripts_)); \
    } while (0)

static PEER_UNUSED void finish(struct fixture *f)
{
    session_destroy(&f->session);
    resolver_destroy(&f->resolver);
    loop_turn(f->loop, false);
    loop_turn(f->loop, false);
    timer_stop(&f->tick);
    loop_destroy(&f->loop);
    metric_reset_all();
    const char *fault = f->peer.scripts != NULL ? peer_stop(&f->peer) : NULL;
    if (fault != NULL)
        fail_msg("peer: %s", fault);
    buf_deinit(&f->messages);
    free(f);
}

#endif
