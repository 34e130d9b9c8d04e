// SPDX-License-Identifier: Apache-2.0
// How open connections end, by the far side's doing or its silence.
#include "stream/fixture.h"

static void serve(struct peer *p)
{
    if (peer_handshake(p))
        peer_serve(p);
}

static void say_hello(struct peer *p)
{
    if (peer_handshake(p) && peer_send(p, "hello"))
        peer_serve(p);
}

// --- open connections that end ---

static void close_1000(struct peer *p)
{
    if (peer_handshake(p))
        peer_close_frame(p, 1000, "");
    peer_wait_eof(p);
}

static void close_1011(struct peer *p)
{
    if (peer_handshake(p))
        peer_close_frame(p, 1011, "over\nloaded");
    peer_wait_eof(p);
}

static void close_1013(struct peer *p)
{
    if (peer_handshake(p))
        peer_close_frame(p, 1013, "try later");
    peer_wait_eof(p);
}

static void close_empty(struct peer *p)
{
    if (peer_handshake(p))
        peer_frame(p, 0x88, "", 0);
    peer_wait_eof(p);
}

static void close_tcp(struct peer *p)
{
    peer_handshake(p);
}

static void reset_tcp(struct peer *p)
{
    peer_handshake(p);
    peer_await(p, 1);
    peer_reset(p);
}

static void send_reserved(struct peer *p)
{
    if (peer_handshake(p))
        peer_frame(p, 0x83, "x", 1);
    peer_wait_eof(p);
}

static void send_rsv1(struct peer *p)
{
    if (peer_handshake(p))
        peer_frame(p, 0xc1, "x", 1); // compressed, which was never agreed
    peer_wait_eof(p);
}

static void send_stray_continuation(struct peer *p)
{
    if (peer_handshake(p))
        peer_frame(p, 0x80, "x", 1);
    peer_wait_eof(p);
}

static void end_inside_a_message(struct peer *p)
{
    if (peer_handshake(p))
        peer_frame(p, 0x01, "half", 4);
}

static void tells_endings_apart(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    peer_go(&f->peer, 1);
    BEGIN(f, close_1000, close_1011, close_1013, close_empty, close_tcp, reset_tcp, send_reserved,
          send_rsv1, send_stray_continuation, end_inside_a_message, say_hello);
    WAIT_FOR(f, f->n_messages == 1);
    // 4.1 of the library shows 1013 as 1002.
    static const char *const labels[] = {"1000", "1011", "1013", "1005", "1006",
                                         "1006", "1006", "1006", "1006", "1006"};
    assert_int_equal(f->n_ended, COUNT(labels));
    for (int i = 0; i < COUNT(labels); i++) {
        bool rewritten = i == 2 && strcmp(f->ends[i].label, "1002") == 0;
        if (!rewritten)
            assert_string_equal(f->ends[i].label, labels[i]);
        assert_true(f->ends[i].was_live);
        assert_true(f->ends[i].retry_in_us >= 0);
    }
    assert_non_null(strstr(f->ends[1].detail, "over.loaded")); // no line break gets through
    assert_string_equal(buf_text(&f->messages), "T:hello\n");
    assert_int_equal(f->n_connected, 11);
    finish(f);
}

static void stops_after_a_normal_close(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.on_normal_close = NORMAL_CLOSE_STOP;
    BEGIN(f, close_1000, say_hello);
    WAIT_FOR(f, f->n_ended == 1);
    assert_int_equal(session_state(f->session), SESSION_STOPPED);
    assert_int_equal(f->ends[0].retry_in_us, -1);
    session_start(f->session); // may be started again
    WAIT_FOR(f, f->n_messages == 1);
    finish(f);
}

// The close frame is answered, and a server that never ends TCP keeps no descriptor open.
static void close_and_hang(struct peer *p)
{
    if (!peer_handshake(p))
        return;
    peer_close_frame(p, 1001, "");
    peer_check(p, peer_receive_close(p, 1001), "the close frame was not answered");
    peer_go(p, 1);
    peer_check(p, peer_wait_eof(p), "the client keeps the connection");
    peer_go(p, 2);
}

static void leaves_hanging_servers(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.reconnect_base_us = f->config.reconnect_cap_us = 100 * US_PER_S;
    BEGIN(f, close_and_hang);
    WAIT_FOR(f, f->n_ended == 1);
    WAIT_FOR(f, f->peer.step == 2);
    finish(f);
}

// Frames of every kind, right and wrong, with random content; under valgrind and the sanitizers
// this shows what the library's parser does with them.
static void send_random_frames(struct peer *p)
{
    static unsigned char data[200000];
    unsigned random = (unsigned)p->connections * 2654435761u;
    if (!peer_handshake(p))
        return;
    for (int i = 0; i < 30; i++) {
        random = random * 1664525u + 1013904223u;
        int first = (int)(random >> 24 & 0x8f); // any opcode, FIN or not
        size_t length = random >> 16 & 7 ? random >> 8 & 255 : random % sizeof(data);
        for (size_t j = 0; j < length; j++)
            data[j] = (unsigned char)(random >> (j % 24));
        if (i % 6 != 5) // often a right one, so that it goes on for a while
            first = i % 2 == 1 ? 0x81 : 0x82;
        if (!peer_frame(p, first, data, length))
            return;
    }
}

static void survives_random_frames(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.reconnect_base_us = f->config.reconnect_cap_us = US_PER_MS;
    f->config.max_message = 100000;
    f->config.connect_timeout_us = US_PER_S;
    BEGIN(f, send_random_frames);
    WAIT_FOR(f, f->n_ended >= 100);
    assert_true(f->n_messages > 100);
    finish(f);
}

// What comes behind a close frame must not reach the library's parser (see stream/ws.c); under
// valgrind this shows.
static void close_and_flood(struct peer *p)
{
    static char data[300000];
    if (!peer_handshake(p))
        return;
    peer_close_frame(p, 1001, "");
    for (int i = 0; i < 20 && peer_frame(p, 0x81, data, sizeof(data)); i++)
        ;
}

static void survives_data_behind_a_close(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    BEGIN(f, close_and_flood, close_and_flood, say_hello);
    WAIT_FOR(f, f->n_messages == 1);
    assert_string_equal(f->ends[0].label, "1001");
    assert_int_equal(f->n_ended, 2);
    finish(f);
}

// --- pings and idleness ---

static void never_pong(struct peer *p)
{
    if (!peer_handshake(p))
        return;
    while (peer_receive(p)) // sends data now and then, but no pong
        peer_send(p, "data");
}

static void finds_half_open_connections(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.ping_interval_us = 50 * US_PER_MS;
    f->config.ping_timeout_us = 300 * US_PER_MS;
    BEGIN(f, never_pong, serve);
    WAIT_FOR(f, f->n_connected == 1);
    int64_t start = mono_read().us;
    WAIT_FOR(f, f->n_ended == 1);
    assert_in_range(mono_read().us - start, 200 * US_PER_MS, 5 * US_PER_S);
    assert_string_equal(f->ends[0].label, "ping_timeout");
    assert_true(f->ends[0].was_live);
    WAIT_FOR(f, f->n_connected == 2);
    turn_for(f, US_PER_S); // pongs come: it stays
    assert_int_equal(f->n_ended, 1);
    finish(f);
}

// The pong is behind data all the time; that is no reason to end the connection.
static void pong_late_behind_data(struct peer *p)
{
    static char data[400000];
    if (!peer_handshake(p) || !peer_receive(p))
        return;
    memset(data, 'd', sizeof(data));
    for (int i = 0; i < 100; i++) {
        peer_frame(p, 0x82, data, sizeof(data));
        struct pollfd none = {.fd = p->stop_pipe[0], .events = POLLIN};
        poll(&none, 1, 10);
    }
    peer_frame(p, 0x8a, p->payload, p->payload_length);
    peer_serve(p);
}

static void waits_for_pongs_behind_data(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.ping_interval_us = 50 * US_PER_MS;
    f->config.ping_timeout_us = 300 * US_PER_MS;
    BEGIN(f, pong_late_behind_data);
    WAIT_FOR(f, f->n_messages == 100);
    assert_int_equal(f->n_ended, 0);
    finish(f);
}

static void feed_then_pong_only(struct peer *p)
{
    if (!peer_handshake(p))
        return;
    for (int i = 0; i < 8; i++) {
        peer_send(p, "x");
        struct pollfd none = {.fd = p->stop_pipe[0], .events = POLLIN};
        poll(&none, 1, 50);
    }
    while (peer_receive(p)) { // pongs, but no data any more
        if (p->opcode == 9)
            peer_frame(p, 0x8a, p->payload, p->payload_length);
        if (p->opcode == 8) {
            peer_check(p, p->payload[0] == 1001 >> 8 && p->payload[1] == (1001 & 255), "not 1001");
            peer_frame(p, 0x88, p->payload, p->payload_length);
            peer_go(p, 1);
        }
    }
}

// S5: pongs arrive, data stopped.
static void finds_idle_connections(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.ping_interval_us = 30 * US_PER_MS;
    f->config.idle_timeout_us = 250 * US_PER_MS;
    BEGIN(f, feed_then_pong_only, serve);
    WAIT_FOR(f, f->n_messages == 8);
    int64_t start = mono_read().us;
    WAIT_FOR(f, f->n_ended == 1);
    assert_in_range(mono_read().us - start, 100 * US_PER_MS, 5 * US_PER_S);
    assert_string_equal(f->ends[0].label, "idle_timeout");
    WAIT_FOR(f, f->peer.step == 1 && f->n_connected == 2);
    finish(f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_endings_apart),
        cmocka_unit_test(stops_after_a_normal_close),
        cmocka_unit_test(leaves_hanging_servers),
        cmocka_unit_test(survives_random_frames),
        cmocka_unit_test(survives_data_behind_a_close),
        cmocka_unit_test(finds_half_open_connections),
        cmocka_unit_test(waits_for_pongs_behind_data),
        cmocka_unit_test(finds_idle_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
