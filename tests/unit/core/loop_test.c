// SPDX-License-Identifier: Apache-2.0
// The loop: watches, posts, deferred frees; and the timers on it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/timer.h"
#include "support/patience.h"

struct fixture {
    struct loop *loop;
    struct loop_watch *watch, *other;
    int pair[2];
    int reads, writes, posts, frees;
    unsigned last;
};

static int set_up(void **state)
{
    struct status st;
    struct fixture *f = calloc(1, sizeof(*f));
    f->loop = loop_create(&st);
    assert_non_null(f->loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f->pair),
                     0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    loop_unwatch(&f->watch);
    loop_unwatch(&f->other);
    loop_destroy(&f->loop);
    close(f->pair[0]);
    close(f->pair[1]);
    free(f);
    return 0;
}

// Turns until *count reaches `want`, bounded by a deadline.
static void turn_until(struct fixture *f, const int *count, int want)
{
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    while (*count < want && mono_read().us < end.us)
        loop_turn(f->loop, false);
    assert_true(*count >= want);
}

static void turn_times(struct fixture *f, int times)
{
    for (int i = 0; i < times; i++)
        loop_turn(f->loop, false);
}

static void on_events(void *owner, unsigned events)
{
    struct fixture *f = owner;
    f->last = events;
    if (events & LOOP_READ) {
        char bytes[64];
        ssize_t n = read(f->pair[0], bytes, sizeof(bytes));
        (void)n;
        f->reads++;
    }
    if (events & LOOP_WRITE)
        f->writes++;
}

static void watch_tells_readable_and_writable(void **state)
{
    struct fixture *f = *state;
    struct status st;
    f->watch = loop_watch(f->loop, f->pair[0], LOOP_READ, on_events, f, &st);
    assert_non_null(f->watch);
    turn_times(f, 3);
    assert_int_equal(f->reads, 0);
    assert_int_equal(write(f->pair[1], "x", 1), 1);
    turn_until(f, &f->reads, 1);
    assert_int_equal(f->writes, 0);
    loop_watch_set(f->watch, LOOP_READ | LOOP_WRITE);
    turn_until(f, &f->writes, 2); // level-triggered: again and again
    loop_watch_set(f->watch, 0);
    int writes = f->writes;
    assert_int_equal(write(f->pair[1], "x", 1), 1);
    turn_times(f, 5);
    assert_int_equal(f->writes, writes);
    assert_int_equal(f->reads, 1);
}

static void watch_tells_end_of_file(void **state)
{
    struct fixture *f = *state;
    struct status st;
    f->watch = loop_watch(f->loop, f->pair[0], LOOP_READ, on_events, f, &st);
    shutdown(f->pair[1], SHUT_RDWR);
    turn_until(f, &f->reads, 1);
}

static void bad_descriptor_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct status st;
    assert_null(loop_watch(f->loop, 9999, LOOP_READ, on_events, f, &st));
    assert_int_equal(st.code, STATUS_IO);
    assert_non_null(strstr(st.detail, "9999"));
}

// What PQconnectPoll does: the old socket is closed, another one gets the same number.
static void update_follows_a_new_socket_on_the_same_number(void **state)
{
    struct fixture *f = *state;
    struct status st;
    int fresh[2];
    f->watch = loop_watch(f->loop, f->pair[0], LOOP_READ, on_events, f, &st);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fresh), 0);
    int number = f->pair[0];
    close(f->pair[0]);
    assert_int_equal(dup2(fresh[0], number), number);
    close(fresh[0]);
    assert_true(loop_watch_update(f->watch, number, LOOP_READ));
    assert_int_equal(write(fresh[1], "x", 1), 1);
    turn_until(f, &f->reads, 1);
    close(fresh[1]);
}

static void old_watch_does_not_unregister_a_number_taken_anew(void **state)
{
    struct fixture *f = *state;
    struct status st;
    int fresh[2];
    f->watch = loop_watch(f->loop, f->pair[0], LOOP_READ, on_events, f, &st);
    int number = f->pair[0];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fresh), 0);
    close(f->pair[0]);
    assert_int_equal(dup2(fresh[0], number), number);
    close(fresh[0]);
    f->other = loop_watch(f->loop, number, LOOP_READ, on_events, f, &st);
    assert_non_null(f->other);
    loop_unwatch(&f->watch);
    assert_int_equal(write(fresh[1], "x", 1), 1);
    turn_until(f, &f->reads, 1);
    close(fresh[1]);
}

static void unwatch_itself(void *owner, unsigned events)
{
    struct fixture *f = owner;
    (void)events;
    f->reads++;
    loop_unwatch(&f->watch);
    loop_unwatch(&f->other);
}

static void watches_may_end_inside_a_callback(void **state)
{
    struct fixture *f = *state;
    struct status st;
    f->watch = loop_watch(f->loop, f->pair[0], LOOP_WRITE, unwatch_itself, f, &st);
    f->other = loop_watch(f->loop, f->pair[1], LOOP_WRITE, unwatch_itself, f, &st);
    turn_times(f, 5);
    assert_int_equal(f->reads, 1); // the second one was ready too, and is not called any more
    assert_null(f->watch);
}

static void on_post(void *owner)
{
    struct fixture *f = owner;
    f->posts++;
    if (f->posts == 1)
        loop_post(f->loop, on_post, f);
}

static void posts_run_once_and_in_later_turns(void **state)
{
    struct fixture *f = *state;
    loop_post(f->loop, on_post, f);
    assert_int_equal(f->posts, 0);
    loop_turn(f->loop, true); // does not sleep while a post waits
    assert_int_equal(f->posts, 1);
    loop_turn(f->loop, true);
    assert_int_equal(f->posts, 2);
    loop_post(f->loop, on_post, f);
    loop_unpost(f->loop, f);
    turn_times(f, 3);
    assert_int_equal(f->posts, 2);
}

static void count_free(void *object)
{
    struct fixture *f = object;
    f->frees++;
}

static void deferred_frees_run_at_the_end_of_the_turn(void **state)
{
    struct fixture *f = *state;
    loop_defer_free(f->loop, f, count_free);
    assert_int_equal(f->frees, 0);
    loop_turn(f->loop, false);
    assert_int_equal(f->frees, 1);
    loop_turn(f->loop, false);
    assert_int_equal(f->frees, 1);
}

struct ticks {
    struct timer timers[40];
    struct loop *loop;
    int order[64];
    int count;
};
struct tick_owner {
    struct ticks *t;
    int number;
};

static void on_tick(void *owner)
{
    struct tick_owner *o = owner;
    if (o->t->count < 64)
        o->t->order[o->t->count] = o->number;
    o->t->count++;
}

static void timers_fire_in_order(void **state)
{
    struct fixture *f = *state;
    struct ticks t = {.loop = f->loop};
    struct tick_owner owners[40];
    for (int i = 0; i < 40; i++) {
        owners[i] = (struct tick_owner){&t, i};
        timer_init(&t.timers[i], f->loop, "tick", on_tick, &owners[i]);
    }
    for (int i = 39; i >= 0; i--) // started in another order than they fire in
        timer_start(&t.timers[(i * 7) % 40], (int64_t)((i * 7) % 40) * 200);
    timer_stop(&t.timers[5]);
    timer_stop(&t.timers[5]);
    turn_until(f, &t.count, 39);
    for (int i = 0, want = 0; i < 39; i++, want++) {
        want += want == 5;
        assert_int_equal(t.order[i], want);
    }
    turn_times(f, 3);
    assert_int_equal(t.count, 39);
    assert_false(timer_running(&t.timers[0]));
}

static void periodic_timer_goes_on_and_a_moved_one_fires_once(void **state)
{
    struct fixture *f = *state;
    struct ticks t = {.loop = f->loop};
    struct tick_owner periodic = {&t, 1};
    struct ticks moved = {.loop = f->loop};
    struct tick_owner once = {&moved, 2};
    timer_init(&t.timers[0], f->loop, "periodic", on_tick, &periodic);
    timer_init(&moved.timers[0], f->loop, "once", on_tick, &once);
    timer_start_periodic(&t.timers[0], 1000);
    timer_start(&moved.timers[0], 100 * US_PER_S);
    assert_true(timer_left_us(&moved.timers[0]) > 99 * US_PER_S);
    timer_start(&moved.timers[0], 500);
    turn_until(f, &t.count, 5);
    assert_int_equal(moved.count, 1);
    timer_stop(&t.timers[0]);
    int count = t.count;
    turn_times(f, 5);
    assert_int_equal(t.count, count);
    assert_int_equal(timer_left_us(&t.timers[0]), 0);
}

static void stop_the_loop(void *owner)
{
    loop_stop(owner);
}

static void run_sleeps_until_a_timer_and_stops(void **state)
{
    struct fixture *f = *state;
    struct timer timer;
    timer_init(&timer, f->loop, "stop", stop_the_loop, f->loop);
    timer_start(&timer, 20 * US_PER_MS);
    struct mono before = mono_read();
    uint64_t turns = loop_turns(f->loop);
    loop_run(f->loop);
    assert_true(mono_diff(mono_read(), before) >= 20 * US_PER_MS);
    assert_true(loop_turns(f->loop) - turns < 20); // it slept instead of spinning
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(watch_tells_readable_and_writable),
        TEST(watch_tells_end_of_file),
        TEST(bad_descriptor_is_an_error),
        TEST(update_follows_a_new_socket_on_the_same_number),
        TEST(old_watch_does_not_unregister_a_number_taken_anew),
        TEST(watches_may_end_inside_a_callback),
        TEST(posts_run_once_and_in_later_turns),
        TEST(deferred_frees_run_at_the_end_of_the_turn),
        TEST(timers_fire_in_order),
        TEST(periodic_timer_goes_on_and_a_moved_one_fires_once),
        TEST(run_sleeps_until_a_timer_and_stops),
    };
    return cmocka_run_group_tests_name("core/loop", tests, NULL, NULL);
}
