// SPDX-License-Identifier: Apache-2.0
// Back-pressure: pauses in the middle of what was read, longer than the ping window, across lost
// connections; nothing is lost, doubled or out of order.
#include "stream/fixture.h"

#define MANY 5000

// --- scripts ---

// MANY numbered messages in large writes, so that many come in one read.
static bool send_numbers(struct peer *p)
{
    static char data[MANY * 8];
    size_t n = 0;
    for (int i = 1; i <= MANY; i++) {
        char text[8];
        int length = snprintf(text, sizeof(text), "%d", i);
        n += peer_frame_header((unsigned char *)data + n, 0x81, (size_t)length);
        memcpy(data + n, text, (size_t)length);
        n += (size_t)length;
    }
    return peer_write(p, data, n);
}

static void numbers_then_serve(struct peer *p)
{
    if (peer_handshake(p) && send_numbers(p))
        peer_serve(p);
}

static void numbers_then_close(struct peer *p)
{
    if (peer_handshake(p) && send_numbers(p))
        peer_close_frame(p, 1011, "bye");
    peer_wait_eof(p);
}

static void numbers_then_eof(struct peer *p)
{
    if (peer_handshake(p))
        send_numbers(p);
}

static void one_then_reset(struct peer *p)
{
    if (peer_handshake(p))
        peer_send(p, "1");
    peer_await(p, 1);
    peer_reset(p);
}

static void two_then_serve(struct peer *p)
{
    if (peer_handshake(p) && peer_send(p, "2"))
        peer_serve(p);
}

static void one_then_serve(struct peer *p)
{
    if (peer_handshake(p) && peer_send(p, "1"))
        peer_serve(p);
}

static void empty_fragmented_large(struct peer *p)
{
    static char data[100000];
    if (!peer_handshake(p))
        return;
    memset(data, 'f', sizeof(data));
    peer_frame(p, 0x81, "", 0);
    peer_frame(p, 0x02, "ab", 2);
    peer_frame(p, 0x80, "cd", 2);
    peer_frame(p, 0x81, data, sizeof(data));
    peer_send(p, "end");
    peer_serve(p);
}

static void large_then_serve(struct peer *p)
{
    if (!peer_handshake(p))
        return;
    peer_send(p, "123456789");
    peer_serve(p);
}

// --- pausing now and then ---

static void pause_every_100(struct fixture *f)
{
    if (f->n_messages % 100 == 50)
        f->pause_at = f->n_messages + 1;
}

static struct fixture *begin_numbers(void)
{
    struct fixture *f = fixture_create();
    f->in_order = true;
    f->on_message = pause_every_100;
    f->config.reconnect_base_us = f->config.reconnect_cap_us = 100 * US_PER_S;
    return f;
}

// Resumes whenever it pauses, after `wait_us`, until all numbers came.
static void take_numbers(struct fixture *f, int64_t wait_us)
{
    unsigned pauses = 0;
    while (f->n_messages < MANY) {
        WAIT_FOR(f, session_state(f->session) == SESSION_PAUSED || f->n_messages == MANY ||
                        f->n_ended > 0);
        if (f->n_messages == MANY) // with the last ones the end may have come
            break;
        if (f->n_ended != 0)
            fail_msg("%s after %u messages", f->ends[0].detail, f->n_messages);
        unsigned before = f->n_messages;
        turn_for(f, wait_us);
        assert_int_equal(f->n_messages, before);
        pauses++;
        session_resume(f->session);
    }
    assert_int_equal(f->n_messages, MANY);
    assert_int_equal(pauses, MANY / 100);
}

static void pauses_in_the_middle_of_a_read(void **state)
{
    (void)state;
    struct fixture *f = begin_numbers();
    BEGIN(f, numbers_then_serve);
    take_numbers(f, 0);
    assert_int_equal(session_state(f->session), SESSION_LIVE);
    finish(f);
}

static void delivers_what_was_sent_before_a_close(void **state)
{
    (void)state;
    struct fixture *f = begin_numbers();
    BEGIN(f, numbers_then_close);
    take_numbers(f, 5 * US_PER_MS);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(f->ends[0].label, "1011");
    assert_int_equal(f->n_messages, MANY);
    finish(f);
}

static void delivers_what_was_sent_before_the_end(void **state)
{
    (void)state;
    struct fixture *f = begin_numbers();
    BEGIN(f, numbers_then_eof);
    take_numbers(f, 5 * US_PER_MS);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(f->ends[0].label, "1006");
    finish(f);
}

// The ping window is 2 s, the pause 5 s.
static void outlasts_the_ping_window(void **state)
{
    (void)state;
    struct fixture *f = begin_numbers();
    f->on_message = NULL;
    f->pause_at = 1234;
    f->config.ping_interval_us = f->config.ping_timeout_us = US_PER_S;
    f->config.idle_timeout_us = US_PER_S;
    BEGIN(f, numbers_then_serve);
    WAIT_FOR(f, session_state(f->session) == SESSION_PAUSED);
    int64_t cpu = cpu_us();
    turn_for(f, 5 * US_PER_S);
    assert_true(cpu_us() - cpu < US_PER_S / 2); // and it does not spin
    assert_int_equal(f->n_messages, 1233);
    session_resume(f->session);
    WAIT_FOR(f, f->n_messages == MANY);
    assert_int_equal(f->n_connected, 1);
    assert_int_equal(f->n_ended, 0);
    assert_int_equal(session_state(f->session), SESSION_LIVE);
    finish(f);
}

static void pause_next(struct fixture *f)
{
    f->pause_at = f->n_messages + 1;
}

static void keeps_every_kind_of_message(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->pause_at = 1;
    f->on_message = pause_next; // every message is refused once or twice
    BEGIN(f, empty_fragmented_large);
    for (unsigned i = 0; i < 4; i++) {
        WAIT_FOR(f, session_state(f->session) == SESSION_PAUSED);
        f->pausing = true;
        session_resume(f->session); // there is still no room
        assert_int_equal(session_state(f->session), SESSION_PAUSED);
        assert_int_equal(f->n_messages, i);
        f->pausing = false;
        session_resume(f->session);
        assert_int_equal(session_state(f->session), SESSION_LIVE);
        assert_int_equal(f->n_messages, i + 1);
    }
    assert_string_equal(buf_text(&f->messages), "T:\nB:abcd\nT#100000ff\nT:end\n");
    finish(f);
}

// --- connections that end while paused ---

static void keeps_the_message_over_a_reset(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->in_order = true;
    f->pausing = true;
    BEGIN(f, one_then_reset, two_then_serve);
    WAIT_FOR(f, session_state(f->session) == SESSION_PAUSED);
    peer_go(&f->peer, 1);
    WAIT_FOR(f, f->n_ended == 1);
    WAIT_FOR(f, f->n_connected == 2);
    assert_int_equal(session_state(f->session), SESSION_PAUSED); // still no room
    turn_for(f, 50 * US_PER_MS);
    assert_int_equal(f->n_messages, 0);
    f->pausing = false;
    session_resume(f->session);
    WAIT_FOR(f, f->n_messages == 2);
    assert_int_equal(session_state(f->session), SESSION_LIVE);
    finish(f);
}

static void takes_the_message_between_connections(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->in_order = true;
    f->pausing = true;
    f->config.reconnect_base_us = f->config.reconnect_cap_us = 300 * US_PER_MS;
    BEGIN(f, one_then_reset, two_then_serve);
    WAIT_FOR(f, session_state(f->session) == SESSION_PAUSED);
    peer_go(&f->peer, 1);
    WAIT_FOR(f, session_state(f->session) == SESSION_BACKOFF);
    f->pausing = false;
    session_resume(f->session);
    assert_int_equal(f->n_messages, 1);
    WAIT_FOR(f, f->n_messages == 2);
    finish(f);
}

// A reset connection that is not read must not make poll() spin.
static void does_not_spin_on_a_dead_connection(void **state)
{
    (void)state;
    struct fixture *f = begin_numbers();
    f->pausing = true;
    peer_go(&f->peer, 1);
    BEGIN(f, one_then_reset);
    WAIT_FOR(f, f->n_connected == 1);
    int64_t cpu = cpu_us();
    turn_for(f, US_PER_S);
    assert_true(cpu_us() - cpu < US_PER_S / 4);
    finish(f);
}

static void keeps_the_head_of_a_large_message(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->pausing = true;
    f->config.max_message = 4;
    BEGIN(f, large_then_serve, one_then_serve);
    WAIT_FOR(f, f->n_connected == 2);
    assert_string_equal(f->ends[0].label, "too_large");
    assert_int_equal(session_state(f->session), SESSION_PAUSED);
    f->pausing = false;
    session_resume(f->session);
    WAIT_FOR(f, f->n_messages == 2);
    assert_string_equal(buf_text(&f->messages), "L:123456789\nT:1\n");
    finish(f);
}

static void stops_while_paused(void **state)
{
    (void)state;
    struct fixture *f = begin_numbers();
    BEGIN(f, numbers_then_serve);
    WAIT_FOR(f, session_state(f->session) == SESSION_PAUSED);
    int64_t start = mono_read().us;
    session_stop(f->session);
    WAIT_FOR(f, session_state(f->session) == SESSION_STOPPED);
    assert_true(mono_read().us - start < 1900 * US_PER_MS); // the close handshake is read
    assert_int_equal(f->n_messages, 50);
    session_resume(f->session); // what was kept is still there
    assert_int_equal(f->n_messages, 51);
    assert_int_equal(session_state(f->session), SESSION_STOPPED);
    finish(f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_in_the_middle_of_a_read),
        cmocka_unit_test(delivers_what_was_sent_before_a_close),
        cmocka_unit_test(delivers_what_was_sent_before_the_end),
        cmocka_unit_test(outlasts_the_ping_window),
        cmocka_unit_test(keeps_every_kind_of_message),
        cmocka_unit_test(keeps_the_message_over_a_reset),
        cmocka_unit_test(takes_the_message_between_connections),
        cmocka_unit_test(does_not_spin_on_a_dead_connection),
        cmocka_unit_test(keeps_the_head_of_a_large_message),
        cmocka_unit_test(stops_while_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
