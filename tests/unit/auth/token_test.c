// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/token.h"
#include "config/load.h"
#include "core/loop.h"
#include "net/fake_http.h"
#include "net/http.h"
#include "net/resolve.h"
#include "support/patience.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#define DATED "Content-Type: application/json\r\n\r\n"
#define OK(json)                                                 \
    {                                                            \
        .bytes = "HTTP/1.1 200 OK\r\n" DATED json, .close = true \
    }
#define STATUS(code, json)                                           \
    {                                                                \
        .bytes = "HTTP/1.1 " code " x\r\n" DATED json, .close = true \
    }
#define TOKEN(name) OK("{\"access_token\":\"" name "\",\"expires_in\":3600}")

// --- time travel: the C library's clocks, moved on ---

static _Atomic int64_t mono_shift_s, wall_shift_s;

int clock_gettime(clockid_t id, struct timespec *t)
{
    long result = syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_MONOTONIC)
        t->tv_sec += (time_t)mono_shift_s;
    if (id == CLOCK_REALTIME)
        t->tv_sec += (time_t)wall_shift_s;
    return (int)result;
}

static void travel(int64_t seconds)
{
    mono_shift_s += seconds;
    wall_shift_s += seconds;
}

// --- a token with its server, its owner and those who ask ---

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    struct http_client *http;
    struct fake_http *server;
    struct config_auth config;
    char url[128];
    struct token *token;
    unsigned events[4];
    struct status last_event;
    bool destroy_on_event;
};

struct asker {
    struct fixture *fixture;
    struct token_waiter *waiter;
    unsigned calls;
    bool handle_was_null;
    char bearer[64]; // "" when it failed
    struct status failure;
    void (*then)(struct asker *asker);
};

static void on_event(void *owner, const char *auth, enum token_event event, const struct status *st)
{
    struct fixture *f = owner;
    assert_string_equal(auth, "cxone");
    assert_non_null(st);
    f->events[event]++;
    f->last_event = *st;
    if (f->destroy_on_event)
        token_destroy(&f->token);
}

static const struct token_callbacks callbacks = {.event = on_event};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct status st;
    mono_shift_s = wall_shift_s = 0;
    f->loop = loop_create(&st);
    f->resolver = resolver_create(f->loop, &st);
    f->http = http_client_create(f->loop, f->resolver, &st);
    f->config = (struct config_auth){.name = "cxone",
                                     .client_id = "id",
                                     .client_secret = "s3cret",
                                     .refresh_margin_us = 30 * US_PER_S,
                                     .default_expires_us = 1800 * US_PER_S,
                                     .timeout_us = 10 * US_PER_S};
    *state = f;
    return f->http != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    token_destroy(&f->token);
    http_client_destroy(&f->http);
    resolver_destroy(&f->resolver);
    if (f->server != NULL)
        fake_stop(&f->server);
    loop_destroy(&f->loop);
    free(f);
    return 0;
}

static void begin(struct fixture *f, const struct fake_reply *replies, size_t n)
{
    if (replies != NULL) {
        f->server = fake_start(replies, n);
        snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/token", f->server->port);
        f->config.token_url = f->url;
    }
    loop_refresh_time(f->loop);
    f->token = token_create(f->loop, f->http, &f->config, &callbacks, f);
}

#define BEGIN(f, ...)                                         \
    static const struct fake_reply replies[] = {__VA_ARGS__}; \
    begin(f, replies, sizeof(replies) / sizeof(replies[0]))

static void got(void *owner, const char *bearer, const struct status *st)
{
    struct asker *asker = owner;
    asker->calls++;
    asker->handle_was_null = asker->waiter == NULL;
    assert_int_equal(bearer == NULL, st->code != STATUS_OK);
    snprintf(asker->bearer, sizeof(asker->bearer), "%s", bearer != NULL ? bearer : "");
    asker->failure = *st;
    if (asker->then != NULL)
        asker->then(asker);
}

// Turns without sleeping in the loop: its timerfd does not travel in time.
static void wait_for(struct fixture *f, const unsigned *counter, unsigned wanted)
{
    struct mono limit = mono_add(mono_read(), PATIENCE_US);
    while (*counter < wanted && mono_diff(limit, mono_read()) > 0) {
        loop_turn(f->loop, false);
        usleep(200);
    }
    assert_true(*counter >= wanted);
}

static void turns(struct fixture *f, int n)
{
    while (n-- > 0)
        loop_turn(f->loop, false);
}

static void start(struct fixture *f, struct asker *asker)
{
    asker->fixture = f;
    token_get(f->token, got, asker, &asker->waiter);
    assert_int_equal(asker->calls, 0);
    assert_non_null(asker->waiter);
}

static struct asker ask(struct fixture *f)
{
    struct asker asker = {0};
    loop_refresh_time(f->loop);
    start(f, &asker);
    wait_for(f, &asker.calls, 1);
    assert_true(asker.handle_was_null);
    return asker;
}

#define assert_contains(text, part)                          \
    do {                                                     \
        if (strstr(text, part) == NULL)                      \
            fail_msg("\"%s\" is not in \"%s\"", part, text); \
    } while (0)

#define assert_range(value, least, most)                                           \
    do {                                                                           \
        int64_t v = (value);                                                       \
        if (v < (least) || v > (most))                                             \
            fail_msg("%s is %lld, not within %lld and %lld", #value, (long long)v, \
                     (long long)(least), (long long)(most));                       \
    } while (0)

// --- fetching ---

static void test_first_token(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"));
    assert_int_equal(token_state(f->token), TOKEN_EMPTY);
    assert_int_equal(token_expires_us(f->token), 0);
    struct asker a = {0};
    start(f, &a);
    assert_int_equal(token_state(f->token), TOKEN_FETCHING);
    wait_for(f, &a.calls, 1);
    assert_string_equal(a.bearer, "one");
    assert_int_equal(token_state(f->token), TOKEN_VALID);
    assert_null(token_last_error(f->token));
    assert_int_equal(token_retry_in_us(f->token), 0);
    assert_range(token_expires_us(f->token) - wall_read_us(), 3590 * US_PER_S, 3600 * US_PER_S);
    assert_int_equal(f->events[TOKEN_EVENT_REFRESHED], 1);
    assert_int_equal(f->events[TOKEN_EVENT_LIFETIME] + f->events[TOKEN_EVENT_FAILED], 0);
    assert_string_equal(ask(f).bearer, "one");
    assert_int_equal(fake_count(f->server), 1);
}

static void test_request_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    struct config_pair headers[] = {{"X-Tenant", "7"}};
    f->config.headers = (struct config_pairs){headers, 1};
    f->config.scope = "a b";
    BEGIN(f, TOKEN("one"));
    ask(f);
    char wanted[512];
    snprintf(wanted, sizeof(wanted),
             "POST /token HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: cxsink/" CXSINK_VERSION
             "\r\nX-Tenant: 7\r\nAccept: application/json\r\n"
             "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 77\r\n\r\n"
             "grant_type=client_credentials&client_id=id&client_secret=s3cret&scope=a%%20b",
             f->server->port);
    size_t body = strlen(strstr(wanted, "\r\n\r\n") + 4);
    char length[32];
    snprintf(length, sizeof(length), "Length: %zu", body);
    memcpy(strstr(wanted, "Length: "), length, strlen(length));
    assert_string_equal(fake_request(f->server, 0), wanted);
}

static void test_empty_body_with_configured_content_type(void **state)
{
    struct fixture *f = *state;
    struct config_pair headers[] = {{"content-type", "application/json"},
                                    {"ACCEPT", "application/vnd.x+json"}};
    f->config.headers = (struct config_pairs){headers, 2};
    f->config.client_auth = CLIENT_AUTH_QUERY;
    f->config.params_in = PARAMS_IN_QUERY;
    BEGIN(f, TOKEN("one"));
    ask(f);
    char wanted[512];
    snprintf(wanted, sizeof(wanted),
             "POST /token?grant_type=client_credentials&client_id=id&client_secret=s3cret "
             "HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: cxsink/" CXSINK_VERSION
             "\r\ncontent-type: application/json\r\nACCEPT: application/vnd.x+json\r\n"
             "Content-Length: 0\r\n\r\n",
             f->server->port);
    assert_string_equal(fake_request(f->server, 0), wanted);
}

static void test_basic_and_empty_body(void **state)
{
    struct fixture *f = *state;
    f->config.client_auth = CLIENT_AUTH_BASIC;
    f->config.params_in = PARAMS_IN_QUERY;
    BEGIN(f, TOKEN("one"));
    ask(f);
    char wanted[512];
    snprintf(wanted, sizeof(wanted),
             "POST /token?grant_type=client_credentials HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
             "User-Agent: cxsink/" CXSINK_VERSION "\r\nAccept: application/json\r\n"
             "Authorization: Basic aWQ6czNjcmV0\r\nContent-Length: 0\r\n\r\n",
             f->server->port);
    assert_string_equal(fake_request(f->server, 0), wanted);
}

static void test_access_key(void **state)
{
    struct fixture *f = *state;
    f->config.grant = GRANT_ACCESS_KEY;
    f->config.username = "K";
    f->config.password = "S";
    BEGIN(f, OK("{\"accessToken\":\"ak\",\"expiresIn\":600}"));
    assert_string_equal(ask(f).bearer, "ak");
    assert_contains(fake_request(f->server, 0),
                    "\r\n\r\n{\"accessKeyId\":\"K\",\"accessKeySecret\":\"S\"}");
    assert_null(strstr(fake_request(f->server, 0), "Authorization"));
}

static void test_one_request_for_many_waiters(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"));
    static struct asker askers[50];
    memset(askers, 0, sizeof(askers));
    for (size_t i = 0; i < 50; i++)
        start(f, &askers[i]);
    token_cancel(&askers[7].waiter);
    token_cancel(&askers[7].waiter);
    wait_for(f, &askers[49].calls, 1);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(askers[i].calls, i != 7);
    assert_int_equal(fake_count(f->server), 1);
}

static void test_missing_lifetime_takes_the_default_and_says_so_once(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, OK("{\"access_token\":\"one\"}"), OK("{\"access_token\":\"two\"}"));
    ask(f);
    assert_range(token_expires_us(f->token) - wall_read_us(), 1790 * US_PER_S, 1800 * US_PER_S);
    assert_int_equal(f->events[TOKEN_EVENT_LIFETIME], 1);
    assert_contains(f->last_event.detail, "expires_in");
    token_invalidate(f->token, "one");
    assert_string_equal(ask(f).bearer, "two");
    assert_int_equal(f->events[TOKEN_EVENT_LIFETIME], 1);
    assert_int_equal(f->events[TOKEN_EVENT_REFRESHED], 2);
}

static void test_scope_that_lacks_a_part(void **state)
{
    struct fixture *f = *state;
    f->config.scope = "read write admin";
    BEGIN(f, OK("{\"access_token\":\"one\",\"expires_in\":60,\"scope\":\"admin  read\"}"));
    assert_string_equal(ask(f).bearer, "one");
    assert_int_equal(f->events[TOKEN_EVENT_SCOPE], 1);
    assert_contains(f->last_event.detail, "lacks \"write\"");
}

// --- refresh and expiry ---

static void test_refresh_before_expiry(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), TOKEN("two"));
    ask(f);
    travel(3565); // margin 30 s: not yet
    turns(f, 5);
    assert_int_equal(f->events[TOKEN_EVENT_REFRESHED], 1);
    travel(10);
    turns(f, 1);
    assert_int_equal(token_state(f->token), TOKEN_VALID); // while the request is out
    assert_string_equal(ask(f).bearer, "one");
    wait_for(f, &f->events[TOKEN_EVENT_REFRESHED], 2);
    assert_string_equal(ask(f).bearer, "two");
    assert_int_equal(fake_count(f->server), 2);
}

static void test_margin_is_at_most_half_the_life(void **state)
{
    struct fixture *f = *state;
    f->config.refresh_margin_us = 3600 * US_PER_S;
    BEGIN(f, OK("{\"access_token\":\"one\",\"expires_in\":100}"), TOKEN("two"));
    ask(f);
    travel(48);
    turns(f, 5);
    assert_int_equal(fake_count(f->server), 1);
    travel(3);
    wait_for(f, &f->events[TOKEN_EVENT_REFRESHED], 2);
}

static void test_expired_while_the_machine_slept(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), TOKEN("two"));
    ask(f);
    wall_shift_s += 7200; // the monotonic clock stood still
    loop_refresh_time(f->loop);
    assert_int_equal(token_state(f->token), TOKEN_EMPTY);
    assert_int_equal(token_expires_us(f->token), 0);
    assert_string_equal(ask(f).bearer, "two");
}

static void test_clock_set_back_does_not_prolong(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), TOKEN("two"));
    ask(f);
    mono_shift_s += 3601;
    wall_shift_s -= 86400;
    assert_string_equal(ask(f).bearer, "two");
}

static void test_failed_refresh_keeps_the_token_until_it_expires(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), STATUS("500", "{}"), TOKEN("two"));
    ask(f);
    travel(3575);
    wait_for(f, &f->events[TOKEN_EVENT_FAILED], 1);
    assert_int_equal(token_state(f->token), TOKEN_VALID);
    assert_contains(f->last_event.detail, "the present token is good for");
    assert_non_null(token_last_error(f->token));
    assert_string_equal(ask(f).bearer, "one");
    travel(2); // the retry, within 1 s
    wait_for(f, &f->events[TOKEN_EVENT_REFRESHED], 2);
    assert_null(token_last_error(f->token));
    assert_string_equal(ask(f).bearer, "two");
}

static void test_expires_while_refreshing_fails(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), STATUS("400", "{\"error\":\"invalid_client\"}"), TOKEN("two"));
    ask(f);
    travel(3599);
    wait_for(f, &f->events[TOKEN_EVENT_FAILED], 1);
    travel(1);
    loop_refresh_time(f->loop);
    if (token_state(f->token) != TOKEN_FETCHING) // the retry is 1 to 5 s away
        assert_int_equal(token_state(f->token), TOKEN_WAITING);
    struct asker a = {0};
    start(f, &a);
    travel(10);
    wait_for(f, &a.calls, 1);
    assert_string_equal(a.bearer, "two");
}

// --- failures ---

// One answer, a failure: what it leads to.
static struct asker fail_once(struct fixture *f, const struct fake_reply *reply)
{
    begin(f, reply, 1);
    struct asker a = ask(f);
    assert_string_equal(a.bearer, "");
    assert_int_equal(f->events[TOKEN_EVENT_FAILED], 1);
    assert_int_equal(token_state(f->token), TOKEN_WAITING);
    assert_string_equal(token_last_error(f->token)->detail, a.failure.detail);
    assert_string_equal(f->last_event.detail, a.failure.detail);
    assert_contains(a.failure.detail, "next try in ");
    assert_null(strstr(a.failure.detail, "s3cret"));
    return a;
}

// What was met, for those who look only once.
static void test_the_last_exchange(void **state)
{
    struct fixture *f = *state;
    char answer[256];
    struct tm tm;
    time_t hour_ago = time(NULL) - 3600;
    gmtime_r(&hour_ago, &tm);
    strftime(answer, sizeof(answer),
             "HTTP/1.1 401 x\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n" DATED "{\"error\":\"x\"}",
             &tm);
    const struct fake_reply replies[] = {{.bytes = answer, .close = true}};
    fail_once(f, replies);
    const struct token_exchange *met = token_last_exchange(f->token);
    assert_int_equal(met->failure.code, STATUS_DENIED);
    assert_contains(met->failure.detail, "answered 401: x; check the grant");
    assert_null(strstr(met->failure.detail, "next try"));
    assert_true(met->has_clock && met->certificate_until_us == 0);
    assert_in_range(met->clock_ahead_us, 3599 * US_PER_S, 3620 * US_PER_S);
}

static void test_refused_client_is_slow(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply reply =
        STATUS("401", "{\"error\":\"x\",\"error_description\":\"No client id with s3cret\"}");
    struct asker a = fail_once(f, &reply);
    assert_int_equal(a.failure.code, STATUS_DENIED);
    assert_contains(a.failure.detail, "answered 401: No client id with ***; check the grant");
    assert_range(token_retry_in_us(f->token), 900 * US_PER_MS, 5 * US_PER_S);
    for (unsigned i = 2; i <= 12; i++) { // the delay grows to 5 min and no further
        travel(300);
        wait_for(f, &f->events[TOKEN_EVENT_FAILED], i);
        assert_range(token_retry_in_us(f->token), 900 * US_PER_MS, 300 * US_PER_S);
    }
}

static void test_network_failure_is_fast(void **state)
{
    struct fixture *f = *state;
    unsigned short port;
    close(fake_listen(&port));
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/token?x=s3cret", port);
    f->config.token_url = f->url;
    begin(f, NULL, 0);
    struct asker a = ask(f);
    assert_int_equal(a.failure.code, STATUS_UNAVAILABLE);
    assert_contains(a.failure.detail, "the token request failed: 127.0.0.1:");
    assert_null(strstr(a.failure.detail, "s3cret"));
    assert_range(token_retry_in_us(f->token), 50 * US_PER_MS, US_PER_S);
    for (unsigned i = 2; i <= 12; i++) {
        travel(30);
        wait_for(f, &f->events[TOKEN_EVENT_FAILED], i);
        assert_range(token_retry_in_us(f->token), 50 * US_PER_MS, 30 * US_PER_S);
    }
}

static void test_wrong_url_is_slow(void **state)
{
    struct fixture *f = *state;
    f->config.token_url = "ftp://x/s3cret";
    begin(f, NULL, 0);
    struct asker a = ask(f);
    assert_int_equal(a.failure.code, STATUS_INVALID);
    assert_range(token_retry_in_us(f->token), 900 * US_PER_MS, 5 * US_PER_S);
    assert_null(strstr(a.failure.detail, "s3cret"));
}

static void test_stalled_endpoint(void **state)
{
    struct fixture *f = *state;
    f->config.timeout_us = 100 * US_PER_MS;
    static const struct fake_reply reply = {.bytes = NULL};
    struct asker a = fail_once(f, &reply);
    assert_int_equal(a.failure.code, STATUS_TIMEOUT);
    assert_contains(a.failure.detail, "timeout after 0.1 s");
}

static void test_throttled(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply reply = {.bytes = "HTTP/1.1 429 x\r\nRetry-After: 77\r\n\r\n",
                                            .close = true};
    struct asker a = fail_once(f, &reply);
    assert_int_equal(a.failure.code, STATUS_UNAVAILABLE);
    assert_range(token_retry_in_us(f->token), 60 * US_PER_S, 77 * US_PER_S);
}

static void test_throttled_by_date(void **state)
{
    struct fixture *f = *state;
    char bytes[128];
    time_t then = time(NULL) + 120;
    struct tm tm;
    strftime(bytes, sizeof(bytes),
             "HTTP/1.1 503 x\r\nRetry-After: %a, %d %b %Y %H:%M:%S GMT\r\n\r\n",
             gmtime_r(&then, &tm));
    struct fake_reply reply = {.bytes = bytes, .close = true};
    fail_once(f, &reply);
    assert_range(token_retry_in_us(f->token), 60 * US_PER_S, 120 * US_PER_S);
}

static void test_throttled_without_a_time(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply reply = STATUS("429", "{}");
    fail_once(f, &reply);
    assert_range(token_retry_in_us(f->token), 3 * US_PER_S, 5 * US_PER_S);
}

static void test_retry_after_is_bounded_and_never_spins(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply replies[] = {
        {.bytes = "HTTP/1.1 503 x\r\nRetry-After: 86400\r\n\r\n", .close = true},
        {.bytes = "HTTP/1.1 429 x\r\nRetry-After: 0\r\n\r\n", .close = true}};
    begin(f, replies, 2);
    ask(f);
    assert_range(token_retry_in_us(f->token), 3590 * US_PER_S, 3600 * US_PER_S);
    travel(3600);
    wait_for(f, &f->events[TOKEN_EVENT_FAILED], 2);
    assert_range(token_retry_in_us(f->token), 50 * US_PER_MS, 2 * US_PER_S);
}

static void test_redirect_is_not_followed(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply reply = {
        .bytes = "HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\n\r\n", .close = true};
    struct asker a = fail_once(f, &reply);
    assert_int_equal(a.failure.code, STATUS_INVALID);
    assert_contains(a.failure.detail, "answered 302: no explanation; check token_url");
}

static void test_answer_without_a_token(void **state)
{
    struct fixture *f = *state;
    static const struct fake_reply reply = OK("{\"access_token\":\"\",\"expires_in\":1}");
    struct asker a = fail_once(f, &reply);
    assert_int_equal(a.failure.code, STATUS_INVALID);
    assert_contains(a.failure.detail, "127.0.0.1:");
    assert_contains(a.failure.detail, "no access_token");
}

static void test_all_waiters_hear_of_the_failure_and_later_ones_of_the_next_outcome(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, STATUS("500", "{}"), TOKEN("one"));
    struct asker first[3] = {0}, later = {0};
    for (int i = 0; i < 3; i++)
        start(f, &first[i]);
    wait_for(f, &first[2].calls, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(first[i].calls, 1);
        assert_int_equal(first[i].failure.code, STATUS_UNAVAILABLE);
    }
    start(f, &later);
    turns(f, 5);
    assert_int_equal(later.calls, 0);
    wait_for(f, &later.calls, 1); // by the timer alone
    assert_string_equal(later.bearer, "one");
    assert_int_equal(fake_count(f->server), 2);
}

// --- refresh tokens ---

#define WITH_REFRESH(name, refresh) \
    OK("{\"access_token\":\"" name "\",\"expires_in\":3600,\"refresh_token\":\"" refresh "\"}")

static void use_password(struct fixture *f)
{
    f->config.grant = GRANT_PASSWORD;
    f->config.username = "u";
    f->config.password = "p";
}

static void refresh_now(struct fixture *f, unsigned nth)
{
    travel(3575);
    wait_for(f, &f->events[TOKEN_EVENT_REFRESHED], nth);
}

static void test_refresh_grant_follows_the_password(void **state)
{
    struct fixture *f = *state;
    use_password(f);
    BEGIN(f, WITH_REFRESH("one", "r1"), TOKEN("two"), WITH_REFRESH("three", "r3"), TOKEN("four"));
    ask(f);
    refresh_now(f, 2);
    refresh_now(f, 3); // the answer had no new one: the old one is good
    refresh_now(f, 4);
    assert_contains(fake_request(f->server, 0), "grant_type=password&username=u&password=p");
    assert_contains(fake_request(f->server, 1), "grant_type=refresh_token&refresh_token=r1&");
    assert_contains(fake_request(f->server, 2), "grant_type=refresh_token&refresh_token=r1&");
    assert_contains(fake_request(f->server, 3), "grant_type=refresh_token&refresh_token=r3&");
}

static void test_refused_refresh_token_falls_back_to_the_password(void **state)
{
    struct fixture *f = *state;
    use_password(f);
    BEGIN(f, WITH_REFRESH("one", "r1"), STATUS("400", "{\"error\":\"invalid_grant\"}"),
          WITH_REFRESH("two", "r2"), STATUS("401", "{}"), TOKEN("three"));
    ask(f);
    refresh_now(f, 2);
    assert_string_equal(ask(f).bearer, "two");
    refresh_now(f, 3);
    assert_string_equal(ask(f).bearer, "three");
    assert_contains(fake_request(f->server, 2), "grant_type=password");
    assert_contains(fake_request(f->server, 4), "grant_type=password");
    assert_int_equal(f->events[TOKEN_EVENT_FAILED], 0);
}

static void test_refresh_token_survives_a_server_fault(void **state)
{
    struct fixture *f = *state;
    use_password(f);
    BEGIN(f, WITH_REFRESH("one", "r1"), STATUS("503", "r1 is not liked"), TOKEN("two"));
    ask(f);
    travel(3575);
    wait_for(f, &f->events[TOKEN_EVENT_FAILED], 1);
    assert_contains(f->last_event.detail, "*** is not liked");
    wait_for(f, &f->events[TOKEN_EVENT_REFRESHED], 2);
    assert_contains(fake_request(f->server, 2), "refresh_token=r1");
}

static void test_other_grants_do_not_use_refresh_tokens(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, WITH_REFRESH("one", "r1"), TOKEN("two"));
    ask(f);
    refresh_now(f, 2);
    assert_contains(fake_request(f->server, 1), "grant_type=client_credentials");
}

// --- refusals ---

static void test_refused_token_is_not_handed_out_again(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), TOKEN("two"));
    ask(f);
    token_invalidate(f->token, "other"); // not in use
    token_invalidate(f->token, NULL);
    assert_int_equal(token_state(f->token), TOKEN_VALID);
    token_invalidate(f->token, "one");
    assert_int_equal(token_state(f->token), TOKEN_EMPTY);
    token_invalidate(f->token, "one"); // by a second stream
    assert_string_equal(ask(f).bearer, "two");
    token_invalidate(f->token, "one"); // late
    assert_string_equal(ask(f).bearer, "two");
}

static void refuse(struct asker *asker)
{
    asker->then = NULL;
    token_invalidate(asker->fixture->token, asker->bearer);
}

static void test_waiters_posted_before_a_refusal_get_the_next_token(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), TOKEN("two"));
    struct asker a = {.then = refuse}, b = {0};
    start(f, &a);
    start(f, &b);
    wait_for(f, &b.calls, 1);
    assert_string_equal(a.bearer, "one");
    assert_string_equal(b.bearer, "two");
}

static void test_refusals_in_a_row_slow_down(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("t0"), TOKEN("t1"), TOKEN("t2"), TOKEN("t3"), TOKEN("t4"), TOKEN("t5"));
    token_invalidate(f->token, ask(f).bearer); // the first is answered at once
    assert_int_equal(token_state(f->token), TOKEN_EMPTY);
    int64_t bound = US_PER_S;
    for (int i = 1; i < 5; i++) {
        token_invalidate(f->token, ask(f).bearer);
        assert_int_equal(token_state(f->token), TOKEN_WAITING);
        assert_range(token_retry_in_us(f->token), 50 * US_PER_MS, bound);
        assert_contains(token_last_error(f->token)->detail, "fresh tokens in a row");
        struct asker a = {0};
        start(f, &a);
        turns(f, 3);
        assert_int_equal(a.calls, 0);
        travel(bound / US_PER_S);
        wait_for(f, &a.calls, 1);
        bound *= 2;
    }
    travel(61); // this one lived
    struct asker last = ask(f);
    token_invalidate(f->token, last.bearer);
    assert_int_equal(token_state(f->token), TOKEN_EMPTY);
}

static void test_refresh_ends_the_row(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("t0"), OK("{\"access_token\":\"t1\",\"expires_in\":20}"), TOKEN("t2"));
    token_invalidate(f->token, ask(f).bearer);
    ask(f);
    travel(11); // lived until its refresh at 10 s
    wait_for(f, &f->events[TOKEN_EVENT_REFRESHED], 3);
    token_invalidate(f->token, ask(f).bearer);
    assert_int_equal(token_state(f->token), TOKEN_EMPTY); // the first of a new row
}

static void test_same_token_again_is_turned_down_twice(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"));
    ask(f);
    token_invalidate(f->token, "one");
    struct asker a = ask(f);
    assert_string_equal(a.bearer, "");
    assert_int_equal(a.failure.code, STATUS_DENIED);
    assert_contains(a.failure.detail, "gave the token again");
    travel(5);
    wait_for(f, &f->events[TOKEN_EVENT_FAILED], 2);
    travel(10);
    assert_string_equal(ask(f).bearer, "one"); // there is no other
}

static void test_refused_while_a_refresh_is_out(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"), TOKEN("two"));
    ask(f);
    travel(3575);
    turns(f, 1);
    token_invalidate(f->token, "one");
    assert_int_equal(token_state(f->token), TOKEN_FETCHING);
    assert_string_equal(ask(f).bearer, "two");
    assert_int_equal(fake_count(f->server), 2);
}

// --- static tokens ---

static void test_static_token(void **state)
{
    struct fixture *f = *state;
    f->config.grant = GRANT_STATIC;
    f->config.token = "fixed";
    begin(f, NULL, 0);
    assert_int_equal(token_state(f->token), TOKEN_VALID);
    assert_string_equal(ask(f).bearer, "fixed");
    assert_int_equal(token_expires_us(f->token), 0);
    travel(86400);
    assert_string_equal(ask(f).bearer, "fixed");
    token_invalidate(f->token, "fixed");
    token_invalidate(f->token, "fixed"); // by a second stream
    assert_int_equal(f->events[TOKEN_EVENT_FAILED], 1);
    assert_int_equal(token_state(f->token), TOKEN_WAITING);
    assert_int_equal(token_last_error(f->token)->code, STATUS_DENIED);
    assert_contains(token_last_error(f->token)->detail, "the API refused the static token");
    assert_null(strstr(token_last_error(f->token)->detail, "fixed"));
    assert_range(token_retry_in_us(f->token), 900 * US_PER_MS, 5 * US_PER_S);
    struct asker a = {0};
    start(f, &a);
    turns(f, 3);
    assert_int_equal(a.calls, 0);
    travel(5);
    wait_for(f, &a.calls, 1);
    assert_string_equal(a.bearer, "fixed");
}

// --- life ---

static void test_destroy_with_everything_under_way(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, {.bytes = NULL});
    struct asker a = {0};
    start(f, &a);
    while (fake_count(f->server) == 0)
        loop_turn(f->loop, false);
    token_destroy(&f->token);
    assert_null(f->token);
    assert_null(a.waiter);
    token_destroy(&f->token); // NULL is fine
    turns(f, 5);
    assert_int_equal(a.calls, 0);
}

static void destroy(struct asker *asker)
{
    token_destroy(&asker->fixture->token);
}

static void test_destroyed_by_a_waiter(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"));
    struct asker a = {.then = destroy}, b = {0};
    start(f, &a);
    start(f, &b);
    wait_for(f, &a.calls, 1);
    turns(f, 5);
    assert_int_equal(b.calls, 0);
    assert_null(b.waiter);
}

static void test_destroyed_by_an_event(void **state)
{
    struct fixture *f = *state;
    f->config.scope = "not granted";
    BEGIN(f, OK("{\"access_token\":\"one\",\"scope\":\"x\"}"));
    f->destroy_on_event = true;
    struct asker a = {0};
    start(f, &a);
    wait_for(f, &f->events[TOKEN_EVENT_REFRESHED], 1);
    turns(f, 5);
    assert_int_equal(a.calls, 0);
    assert_int_equal(f->events[TOKEN_EVENT_SCOPE] + f->events[TOKEN_EVENT_LIFETIME], 0);
}

static void ask_again(struct asker *asker)
{
    if (asker->calls < 5)
        token_get(asker->fixture->token, got, asker, &asker->waiter);
}

static void test_asked_again_in_the_callback(void **state)
{
    struct fixture *f = *state;
    BEGIN(f, TOKEN("one"));
    struct asker a = {.then = ask_again};
    start(f, &a);
    wait_for(f, &a.calls, 5);
    assert_int_equal(fake_count(f->server), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_token),
        TEST(test_request_byte_by_byte),
        TEST(test_empty_body_with_configured_content_type),
        TEST(test_basic_and_empty_body),
        TEST(test_access_key),
        TEST(test_one_request_for_many_waiters),
        TEST(test_missing_lifetime_takes_the_default_and_says_so_once),
        TEST(test_scope_that_lacks_a_part),
        TEST(test_refresh_before_expiry),
        TEST(test_margin_is_at_most_half_the_life),
        TEST(test_expired_while_the_machine_slept),
        TEST(test_clock_set_back_does_not_prolong),
        TEST(test_failed_refresh_keeps_the_token_until_it_expires),
        TEST(test_expires_while_refreshing_fails),
        TEST(test_the_last_exchange),
        TEST(test_refused_client_is_slow),
        TEST(test_network_failure_is_fast),
        TEST(test_wrong_url_is_slow),
        TEST(test_stalled_endpoint),
        TEST(test_throttled),
        TEST(test_throttled_by_date),
        TEST(test_throttled_without_a_time),
        TEST(test_retry_after_is_bounded_and_never_spins),
        TEST(test_redirect_is_not_followed),
        TEST(test_answer_without_a_token),
        TEST(test_all_waiters_hear_of_the_failure_and_later_ones_of_the_next_outcome),
        TEST(test_refresh_grant_follows_the_password),
        TEST(test_refused_refresh_token_falls_back_to_the_password),
        TEST(test_refresh_token_survives_a_server_fault),
        TEST(test_other_grants_do_not_use_refresh_tokens),
        TEST(test_refused_token_is_not_handed_out_again),
        TEST(test_waiters_posted_before_a_refusal_get_the_next_token),
        TEST(test_refusals_in_a_row_slow_down),
        TEST(test_refresh_ends_the_row),
        TEST(test_same_token_again_is_turned_down_twice),
        TEST(test_refused_while_a_refresh_is_out),
        TEST(test_static_token),
        TEST(test_destroy_with_everything_under_way),
        TEST(test_destroyed_by_a_waiter),
        TEST(test_destroyed_by_an_event),
        TEST(test_asked_again_in_the_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
