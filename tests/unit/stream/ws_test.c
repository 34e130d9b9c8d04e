// SPDX-License-Identifier: Apache-2.0
// The WebSocket client below the session: its events, dropping and reusing it, and that nothing
// is left over when streams come and go (a reload makes and destroys them).
#include "stream/fixture.h"
#include "stream/ws.h"

#include <dirent.h>
#include <malloc.h>

struct client {
    struct fixture *f;
    struct ws *ws;
    struct ws_url url;
    unsigned n_open, n_pong, n_end, n_data;
    struct ws_end end;
    bool inside_connect;
    bool ended_inside_connect;
    unsigned data_after_drop;
    bool dropped;
    bool drop_on_data;
};

static void note_open(void *owner)
{
    ((struct client *)owner)->n_open++;
}

static void note_data(void *owner, const char *data, size_t length, unsigned flags)
{
    struct client *c = owner;
    (void)data;
    (void)length;
    (void)flags;
    c->n_data++;
    c->data_after_drop += c->dropped;
    if (c->drop_on_data) {
        c->dropped = true;
        ws_drop(c->ws);
    }
}

static void note_pong(void *owner)
{
    ((struct client *)owner)->n_pong++;
}

static void note_end(void *owner, const struct ws_end *end)
{
    struct client *c = owner;
    c->n_end++;
    c->end = *end;
    c->ended_inside_connect |= c->inside_connect;
}

static const struct ws_callbacks notes = {note_open, note_data, note_pong, note_end};

static void open_client(struct client *c, struct fixture *f, unsigned short port)
{
    char text[64];
    struct status st;
    *c = (struct client){.f = f};
    snprintf(text, sizeof(text), "ws://peer.test:%u/", port);
    assert_int_equal(ws_url_parse(text, &c->url, &st), STATUS_OK);
    struct ws_settings settings = {.name = "t", .url = &c->url, .connect_timeout_us = 5 * US_PER_S};
    c->ws = ws_create(f->loop, &settings, &notes, c, &st);
    assert_non_null(c->ws);
}

static void connect_client(struct client *c)
{
    struct ws_request request = {.address = "127.0.0.1"};
    c->inside_connect = true;
    ws_connect(c->ws, &request);
    c->inside_connect = false;
}

static void serve(struct peer *p)
{
    if (peer_handshake(p))
        peer_serve(p);
}

static void feed(struct peer *p)
{
    if (!peer_handshake(p))
        return;
    for (int i = 0; i < 100; i++)
        peer_send(p, "x");
    peer_serve(p);
}

static void refuse(struct peer *p)
{
    peer_refuse(p, "503 Busy\r\nRetry-After: 7");
}

static void opens_pings_and_closes(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    static const peer_script scripts[] = {serve};
    struct client c;
    assert_true(peer_start(&f->peer, scripts, 1));
    open_client(&c, f, f->peer.port);
    ws_ping(c.ws); // nothing is open: no effect
    ws_close(c.ws, 1000);
    ws_pause(c.ws);
    ws_resume(c.ws);
    assert_false(ws_unread(c.ws));
    for (unsigned i = 1; i <= 3; i++) { // one client, several connections
        connect_client(&c);
        WAIT_FOR(f, c.n_open == i);
        ws_ping(c.ws);
        ws_ping(c.ws);
        WAIT_FOR(f, c.n_pong == i);
        ws_close(c.ws, 1000);
        ws_close(c.ws, 1011);
        ws_ping(c.ws);
        WAIT_FOR(f, c.n_end == i);
        assert_int_equal(c.end.kind, WS_END_LOCAL);
        assert_int_equal(c.end.close_code, 1000);
    }
    ws_destroy(&c.ws);
    finish(f);
}

static void reports_after_ws_connect_returned(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    int fd = peer_listen(AF_INET, &f->peer.port);
    close(fd);
    struct client c;
    open_client(&c, f, f->peer.port);
    connect_client(&c);
    WAIT_FOR(f, c.n_end == 1);
    assert_false(c.ended_inside_connect);
    assert_int_equal(c.end.kind, WS_END_CONNECT);
    assert_true(c.end.detail[0] != '\0');
    struct ws_request bad = {.address = "not an address"}; // the library refuses it synchronously
    c.inside_connect = true;
    ws_connect(c.ws, &bad);
    c.inside_connect = false;
    WAIT_FOR(f, c.n_end == 2);
    assert_false(c.ended_inside_connect);
    ws_connect(c.ws, &bad);
    ws_drop(c.ws); // takes the pending event back
    turn_for(f, 30 * US_PER_MS);
    assert_int_equal(c.n_end, 2);
    ws_destroy(&c.ws);
    finish(f);
}

static void reads_a_refusal(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    static const peer_script scripts[] = {refuse, serve};
    struct client c;
    assert_true(peer_start(&f->peer, scripts, 2));
    open_client(&c, f, f->peer.port);
    connect_client(&c);
    WAIT_FOR(f, c.n_end == 1);
    assert_int_equal(c.end.kind, WS_END_REFUSED);
    assert_int_equal(c.end.http_status, 503);
    assert_int_equal(c.end.retry_after_us, 7 * US_PER_S);
    connect_client(&c);
    WAIT_FOR(f, c.n_open == 1);
    ws_destroy(&c.ws);
    finish(f);
}

static void is_silent_after_a_drop(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    static const peer_script scripts[] = {feed, serve};
    struct client c;
    assert_true(peer_start(&f->peer, scripts, 2));
    open_client(&c, f, f->peer.port);
    c.drop_on_data = true;
    connect_client(&c);
    WAIT_FOR(f, c.dropped);
    c.dropped = false; // a new one while the old one is still dying
    connect_client(&c);
    WAIT_FOR(f, c.n_open == 2);
    assert_int_equal(c.n_data, 1);
    assert_int_equal(c.n_end, 0);
    connect_client(&c); // drops the open one
    WAIT_FOR(f, c.n_open == 3);
    assert_int_equal(c.n_end, 0);
    ws_destroy(&c.ws);
    ws_destroy(&c.ws);
    finish(f);
}

// --- nothing left over ---

static int count_fds(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static long heap_bytes(void)
{
    return (long)mallinfo2().uordblks;
}

static void reload(struct fixture *f, int i)
{
    unsigned before = f->n_connected;
    create_session(f);
    session_start(f->session);
    if (i % 3 != 0) // every third is destroyed while it connects
        WAIT_FOR(f, f->n_connected > before);
    session_destroy(&f->session);
    loop_turn(f->loop, false);
}

static void leaves_nothing_over(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    static const peer_script scripts[] = {serve};
    assert_true(peer_start(&f->peer, scripts, 1));
    snprintf(f->url, sizeof(f->url), "ws://peer.test:%u/", f->peer.port);
    for (int i = 0; i < 20; i++)
        reload(f, i);
    turn_for(f, 50 * US_PER_MS);
    int fds = count_fds();
    long bytes = heap_bytes();
    for (int i = 0; i < 100; i++)
        reload(f, i);
    turn_for(f, 100 * US_PER_MS);
    WAIT_FOR(f, count_fds() <= fds + 1); // the peer may hold one
    assert_true(heap_bytes() - bytes < 16384);
    finish(f);
}

// --- Retry-After ---

static void parses_retry_after(void **state)
{
    (void)state;
    const int64_t now = INT64_C(784111777) * US_PER_S; // Sun, 06 Nov 1994 08:49:37 GMT
    assert_int_equal(ws_retry_after("120", now), 120 * US_PER_S);
    assert_int_equal(ws_retry_after(" 5 ", now), 5 * US_PER_S);
    assert_int_equal(ws_retry_after("0", now), 0);
    assert_int_equal(ws_retry_after("99999999999999999999999", now), 1000000 * US_PER_S);
    assert_int_equal(ws_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), 10 * US_PER_S);
    assert_int_equal(ws_retry_after("Sun, 06 Nov 1994 08:49:07 GMT", now), 0);
    assert_int_equal(ws_retry_after("", now), -1);
    assert_int_equal(ws_retry_after("soon", now), -1);
    assert_int_equal(ws_retry_after("-5", now), -1);
    assert_int_equal(ws_retry_after("5x", now), -1);
    assert_int_equal(ws_retry_after("Sun, 06 Nov 1994", now), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_pings_and_closes),
        cmocka_unit_test(reports_after_ws_connect_returned),
        cmocka_unit_test(reads_a_refusal),
        cmocka_unit_test(is_silent_after_a_drop),
        cmocka_unit_test(leaves_nothing_over),
        cmocka_unit_test(parses_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
