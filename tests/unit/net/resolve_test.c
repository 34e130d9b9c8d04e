// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/loop.h"
#include "core/timer.h"
#include "net/resolve.h"
#include "net/resolve_priv.h"
#include "support/patience.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- the scripted getaddrinfo ---

static atomic_int lookups, releases;
static sem_t entered, leave; // of a lookup of "slow.test"
static atomic_int blocked_signals;

static void add(struct addrinfo **list, const char *text)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *made;
    if (getaddrinfo(text, NULL, &hints, &made) != 0)
        abort();
    while (*list != NULL)
        list = &(*list)->ai_next;
    *list = made;
}

static int scripted(const char *host, const char *service, const struct addrinfo *hints,
                    struct addrinfo **list_r)
{
    (void)service;
    (void)hints;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    blocked_signals = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
    lookups++;
    *list_r = NULL;
    if (strcmp(host, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(host, "again.test") == 0)
        return EAI_AGAIN;
    if (strcmp(host, "system.test") == 0) {
        errno = ECONNREFUSED;
        return EAI_SYSTEM;
    }
    if (strcmp(host, "empty.test") == 0)
        return 0;
    if (strcmp(host, "slow.test") == 0) {
        sem_post(&entered);
        while (sem_wait(&leave) != 0)
            continue;
    }
    if (strcmp(host, "many.test") == 0) {
        for (int i = 1; i <= 40; i++) {
            char text[32];
            snprintf(text, sizeof(text), "192.0.2.%d", i);
            add(list_r, text);
        }
        return 0;
    }
    add(list_r, "2001:db8::1");
    add(list_r, "192.0.2.7");
    add(list_r, "192.0.2.7");
    return 0;
}

static void scripted_release(struct addrinfo *list)
{
    releases++;
    if (list != NULL)
        freeaddrinfo(list);
}

static const struct resolve_lookup script = {scripted, scripted_release};

// --- a loop with a resolver, and somebody who asks ---

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
};

struct asker {
    struct fixture *fixture;
    struct resolve_request *request;
    struct resolve_result result;
    unsigned calls;
    bool handle_was_null;
    void (*then)(struct asker *asker);
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct status st;
    f->loop = loop_create(&st);
    f->resolver = f->loop != NULL ? resolver_create(f->loop, &st) : NULL;
    if (f->resolver == NULL)
        return -1;
    resolver_set_lookup(f->resolver, &script);
    lookups = releases = 0;
    sem_init(&entered, 0, 0);
    sem_init(&leave, 0, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    resolver_destroy(&f->resolver);
    loop_destroy(&f->loop);
    free(f);
    return 0;
}

static void asked(void *owner, const struct resolve_result *result)
{
    struct asker *asker = owner;
    asker->calls++;
    asker->result = *result;
    asker->handle_was_null = asker->request == NULL;
    if (asker->then != NULL)
        asker->then(asker);
}

static void ask(struct fixture *f, struct asker *asker, const char *host)
{
    asker->fixture = f;
    resolver_start(f->resolver, host, asked, asker, &asker->request);
    assert_int_equal(asker->calls, 0);
    assert_non_null(asker->request);
}

static void give_up(void *owner)
{
    *(bool *)owner = true;
}

static void wait_for(struct fixture *f, const unsigned *counter, unsigned wanted)
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

static void turns(struct fixture *f, int n)
{
    while (n-- > 0)
        loop_turn(f->loop, false);
}

// --- tests ---

static void test_addresses_come_in_order_without_repeats(void **state)
{
    struct fixture *f = *state;
    struct asker a = {0};
    ask(f, &a, "two.test");
    wait_for(f, &a.calls, 1);
    assert_true(a.handle_was_null);
    assert_int_equal(a.result.code, STATUS_OK);
    assert_int_equal(a.result.count, 2);
    assert_string_equal(a.result.addresses[0], "2001:db8::1");
    assert_string_equal(a.result.addresses[1], "192.0.2.7");
    assert_int_equal(releases, 1);
    assert_true(blocked_signals);
}

static void test_list_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct asker a = {0};
    ask(f, &a, "many.test");
    wait_for(f, &a.calls, 1);
    assert_int_equal(a.result.count, RESOLVE_ADDRESSES_MAX);
    assert_string_equal(a.result.addresses[15], "192.0.2.16");
}

static void test_numeric_needs_no_lookup(void **state)
{
    struct fixture *f = *state;
    static const char *const hosts[] = {"127.0.0.1", "::1", "fe80::1%lo"};
    for (size_t i = 0; i < 3; i++) {
        struct asker a = {0};
        ask(f, &a, hosts[i]);
        wait_for(f, &a.calls, 1);
        assert_int_equal(a.result.code, STATUS_OK);
        assert_int_equal(a.result.count, 1);
        assert_string_equal(a.result.addresses[0], hosts[i]);
    }
    assert_int_equal(lookups, 0);
}

static void test_failures_have_codes_and_sentences(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *host;
        enum status_code code;
        const char *words;
    } cases[] = {
        {"none.test", STATUS_NOT_FOUND, "cannot resolve \"none.test\": Name or service not known"},
        {"again.test", STATUS_UNAVAILABLE, "Temporary failure"},
        {"system.test", STATUS_UNAVAILABLE, "Connection refused"},
        {"empty.test", STATUS_NOT_FOUND, "no address"},
        {"", STATUS_INVALID, "not a host name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct asker a = {0};
        ask(f, &a, cases[i].host);
        wait_for(f, &a.calls, 1);
        assert_int_equal(a.result.code, cases[i].code);
        assert_non_null(strstr(a.result.detail, cases[i].words));
        assert_int_equal(a.result.count, 0);
    }
}

static void test_name_too_long(void **state)
{
    struct fixture *f = *state;
    char host[400];
    memset(host, 'x', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    struct asker a = {0};
    ask(f, &a, host);
    wait_for(f, &a.calls, 1);
    assert_int_equal(a.result.code, STATUS_INVALID);
    assert_int_equal(lookups, 0);
}

static void test_answers_are_cached(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        struct asker good = {0}, bad = {0};
        ask(f, &good, "two.test");
        ask(f, &bad, "none.test");
        wait_for(f, &good.calls, 1);
        wait_for(f, &bad.calls, 1);
        assert_int_equal(good.result.count, 2);
        assert_int_equal(bad.result.code, STATUS_NOT_FOUND);
    }
    assert_int_equal(lookups, 2);
}

static void test_failure_is_forgotten_soon(void **state)
{
    struct fixture *f = *state;
    struct asker a = {0}, good = {0};
    ask(f, &a, "none.test");
    ask(f, &good, "two.test");
    wait_for(f, &a.calls, 1);
    wait_for(f, &good.calls, 1);
    bool late = false;
    struct timer after;
    timer_init(&after, f->loop, "test", give_up, &late);
    timer_start(&after, 2100 * US_PER_MS); // the time it is kept
    while (!late)
        loop_turn(f->loop, true);
    struct asker b = {0}, again = {0};
    ask(f, &b, "none.test");
    ask(f, &again, "two.test");
    wait_for(f, &b.calls, 1);
    wait_for(f, &again.calls, 1);
    assert_int_equal(lookups, 3); // the address was kept
}

static void test_requests_share_a_lookup(void **state)
{
    struct fixture *f = *state;
    struct asker a[5] = {0};
    for (int i = 0; i < 5; i++)
        ask(f, &a[i], "slow.test");
    sem_post(&leave);
    for (int i = 0; i < 5; i++)
        wait_for(f, &a[i].calls, 1);
    assert_int_equal(lookups, 1);
}

static void test_slow_lookup_does_not_hold_the_loop(void **state)
{
    struct fixture *f = *state;
    struct asker slow = {0}, numeric = {0}, other = {0};
    ask(f, &slow, "slow.test");
    sem_wait(&entered);
    ask(f, &other, "two.test"); // waits for the one thread
    ask(f, &numeric, "192.0.2.1");
    wait_for(f, &numeric.calls, 1);
    turns(f, 10);
    assert_int_equal(slow.calls, 0);
    assert_int_equal(other.calls, 0);
    sem_post(&leave);
    wait_for(f, &slow.calls, 1);
    wait_for(f, &other.calls, 1);
}

static void test_cancelled_is_not_called(void **state)
{
    struct fixture *f = *state;
    struct asker pending = {0}, posted = {0}, kept = {0};
    ask(f, &pending, "slow.test");
    ask(f, &kept, "slow.test");
    ask(f, &posted, "192.0.2.1");
    resolver_cancel(&pending.request);
    resolver_cancel(&posted.request);
    assert_null(pending.request);
    resolver_cancel(&pending.request); // NULL is fine
    sem_post(&leave);
    wait_for(f, &kept.calls, 1);
    turns(f, 5);
    assert_int_equal(pending.calls + posted.calls, 0);
}

static void test_answer_may_be_in_the_cache_though_nobody_waited(void **state)
{
    struct fixture *f = *state;
    struct asker a = {0}, b = {0}, c = {0};
    ask(f, &a, "slow.test");
    resolver_cancel(&a.request);
    sem_post(&leave);
    ask(f, &b, "two.test"); // behind it in the queue
    wait_for(f, &b.calls, 1);
    ask(f, &c, "slow.test");
    wait_for(f, &c.calls, 1);
    assert_int_equal(lookups, 2);
}

static void cancel_the_next(struct asker *asker)
{
    struct asker *next = asker + 1;
    resolver_cancel(&next->request);
}

static void test_callback_cancels_another(void **state)
{
    struct fixture *f = *state;
    struct asker a[3] = {{.then = cancel_the_next}, {0}, {0}};
    for (int i = 0; i < 3; i++)
        ask(f, &a[i], "slow.test");
    sem_post(&leave);
    wait_for(f, &a[2].calls, 1);
    assert_int_equal(a[0].calls, 1);
    assert_int_equal(a[1].calls, 0);
}

static void destroy_all(struct asker *asker)
{
    resolver_destroy(&asker->fixture->resolver);
}

static void test_callback_destroys_the_resolver(void **state)
{
    struct fixture *f = *state;
    struct asker a[2] = {{.then = destroy_all}, {0}};
    ask(f, &a[0], "two.test");
    ask(f, &a[1], "two.test");
    wait_for(f, &a[0].calls, 1);
    turns(f, 3);
    assert_int_equal(a[1].calls, 0);
    assert_null(a[1].request);
}

static unsigned open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void test_destroy_does_not_wait_for_a_hanging_lookup(void **state)
{
    struct fixture *f = *state;
    struct asker a = {0}, queued = {0};
    unsigned before = open_files();
    ask(f, &a, "slow.test");
    ask(f, &queued, "two.test");
    sem_wait(&entered);
    struct mono start = mono_read();
    resolver_destroy(&f->resolver);
    assert_true(mono_diff(mono_read(), start) < US_PER_S);
    turns(f, 3);
    assert_int_equal(a.calls + queued.calls, 0);
    assert_null(a.request);
    sem_post(&leave);
    // The thread ends by itself and closes its eventfd.
    struct mono limit = mono_add(mono_read(), PATIENCE_US);
    while (open_files() >= before && mono_diff(limit, mono_read()) > 0)
        usleep(1000);
    assert_true(open_files() < before);
    assert_int_equal(lookups, 1);
}

static void test_real_resolver(void **state)
{
    struct fixture *f = *state;
    const struct resolve_lookup real = {getaddrinfo, freeaddrinfo};
    resolver_set_lookup(f->resolver, &real);
    struct asker a = {0};
    ask(f, &a, "localhost");
    wait_for(f, &a.calls, 1);
    assert_int_equal(a.result.code, STATUS_OK);
    assert_true(a.result.count >= 1);
}

static void test_null_is_destroyed(void **state)
{
    (void)state;
    struct resolver *none = NULL;
    resolver_destroy(&none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_addresses_come_in_order_without_repeats),
        TEST(test_list_is_bounded),
        TEST(test_numeric_needs_no_lookup),
        TEST(test_failures_have_codes_and_sentences),
        TEST(test_name_too_long),
        TEST(test_answers_are_cached),
        TEST(test_failure_is_forgotten_soon),
        TEST(test_requests_share_a_lookup),
        TEST(test_slow_lookup_does_not_hold_the_loop),
        TEST(test_cancelled_is_not_called),
        TEST(test_answer_may_be_in_the_cache_though_nobody_waited),
        TEST(test_callback_cancels_another),
        TEST(test_callback_destroys_the_resolver),
        TEST(test_destroy_does_not_wait_for_a_hanging_lookup),
        TEST(test_real_resolver),
        TEST(test_null_is_destroyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
