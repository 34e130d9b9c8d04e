// SPDX-License-Identifier: Apache-2.0
// /api/live: handshakes, tokens, snapshots, viewers that are slow or too many; and the page's
// files.
#include "support/admin_fixture.h"

#include "ops/page_priv.h"

#define HANDSHAKE(path, more)                                            \
    "GET " path " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" \
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"

#define TEXT 1
#define CLOSE 8

// A frame of the server; its payload is at `data`.
struct frame {
    int opcode; // 0: none came before the deadline, or the server closed without one
    struct buf data;
};

static bool read_bytes(struct fixture *f, int fd, void *to, size_t length)
{
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    char *at = to;
    while (length > 0 && mono_read().us < end.us) {
        loop_turn(f->loop, false);
        ssize_t n = recv(fd, at, length, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
        at += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return length == 0;
}

static struct frame next_frame(struct fixture *f, int fd)
{
    struct frame frame = {0};
    unsigned char head[2], more[8];
    if (!read_bytes(f, fd, head, 2))
        return frame;
    size_t length = head[1];
    size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    assert_true(read_bytes(f, fd, more, extra));
    for (size_t i = 0; i < extra; i++)
        length = (i == 0 ? 0 : length << 8) | more[i];
    assert_true(read_bytes(f, fd, buf_reserve(&frame.data, length + 1), length));
    frame.data.len = length;
    frame.opcode = head[0] & 0x0f;
    return frame;
}

// Expects a snapshot of so much seen.
static void expect_snapshot(struct fixture *f, int fd, unsigned seen)
{
    char want[64];
    struct frame frame = next_frame(f, fd);
    snprintf(want, sizeof(want), "{\"seen\":%u,\"fill\":\"", seen);
    assert_int_equal(frame.opcode, TEXT);
    assert_memory_equal(frame.data.data, want, strlen(want));
    assert_int_equal(frame.data.len, strlen(want) + f->live_size + 2);
    buf_deinit(&frame.data);
}

static void expect_close(struct fixture *f, int fd, int code)
{
    struct frame frame = next_frame(f, fd);
    assert_int_equal(frame.opcode, CLOSE);
    assert_true(frame.data.len >= 2);
    const unsigned char *data = (const unsigned char *)frame.data.data;
    assert_int_equal(data[0] << 8 | data[1], code);
    buf_deinit(&frame.data);
}

// A text frame of a client, masked with zeros.
static void send_text(struct fixture *f, int fd, const char *text, bool final)
{
    unsigned char head[8] = {final ? 0x81 : 0x01, (unsigned char)(0x80 | strlen(text))};
    size_t room = 6;
    if (strlen(text) > 125) {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char)(strlen(text) >> 8);
        head[3] = (unsigned char)strlen(text);
        room = 8;
    }
    send_all(f, fd, (const char *)head, room);
    send_all(f, fd, text, strlen(text));
}

static int view(struct fixture *f, const char *handshake)
{
    int fd = connect_tcp(f);
    struct answer a = ask(f, fd, handshake);
    assert_int_equal(a.status, 101);
    answer_free(&a);
    return fd;
}

static bool refused(struct fixture *f, int fd, const char *handshake)
{
    struct answer a = ask(f, fd, handshake);
    bool no = a.status != 101;
    answer_free(&a);
    close(fd);
    return no;
}

static void a_viewer_gets_a_snapshot_at_once_and_one_a_tick(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = view(f, HANDSHAKE("/api/live", ""));
    expect_snapshot(f, fd, 0);
    for (unsigned i = 1; i < 4; i++) {
        settle(f);
        assert_int_equal(f->calls, i); // none between the ticks
        admin_tick(f->admin);
        expect_snapshot(f, fd, i);
    }
    close(fd);
    settle(f);
    admin_tick(f->admin);
    settle(f);
    assert_int_equal(f->calls, 4); // nor for nobody
}

static void viewers_who_saw_as_much_share_a_snapshot(void **state)
{
    struct fixture *f = *state;
    int fds[5];
    start(f, NULL);
    for (int i = 0; i < 5; i++) {
        fds[i] = view(f, HANDSHAKE("/api/live", ""));
        expect_snapshot(f, fds[i], 0);
    }
    f->calls = 0;
    admin_tick(f->admin);
    for (int i = 0; i < 5; i++)
        expect_snapshot(f, fds[i], 1);
    assert_int_equal(f->calls, 1);
    for (int i = 0; i < 5; i++)
        close(fds[i]);
}

static void large_snapshots_come_whole(void **state)
{
    struct fixture *f = *state;
    f->live_size = 1 << 20;
    start(f, NULL);
    int fd = view(f, HANDSHAKE("/api/live", ""));
    expect_snapshot(f, fd, 0);
    admin_tick(f->admin);
    expect_snapshot(f, fd, 1);
    close(fd);
}

static void only_our_page_may_look(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    assert_true(refused(f, connect_tcp(f), HANDSHAKE("/api/live", "Origin: http://evil.io\r\n")));
    assert_true(refused(f, connect_control(f), HANDSHAKE("/api/live", "Origin: null\r\n")));
    assert_true(refused(f, connect_tcp(f), HANDSHAKE("/", "")));
    assert_true(refused(f, connect_tcp(f), HANDSHAKE("/metrics", "")));
    assert_true(refused(f, connect_tcp(f), HANDSHAKE("/api/live/and/something/more", "")));
    assert_true(refused(f, connect_tcp(f),
                        "GET /api/live HTTP/1.1\r\nHost: evil.io\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    assert_int_equal(f->calls, 0);
    int fd = view(f, HANDSHAKE("/api/live", "Origin: http://localhost\r\n"));
    expect_snapshot(f, fd, 0);
    close(fd);
    struct answer a = ask(f, fd = connect_tcp(f), GET("/api/live"));
    assert_int_equal(a.status, 426);
    assert_non_null(strcasestr(a.bytes.data, "upgrade: websocket"));
    answer_free(&a);
    close(fd);
}

static void the_first_message_brings_the_token(void **state)
{
    struct fixture *f = *state;
    start(f, "admin \"token\"");
    int fd = view(f, HANDSHAKE("/api/live", ""));
    admin_tick(f->admin);
    settle(f);
    assert_int_equal(f->calls, 0); // nothing before it
    send_text(f, fd, "{\"token\":\"admin ", false);
    settle(f);
    unsigned char head[6] = {0x80, 0x80 | 12}; // the rest of it
    send_all(f, fd, (const char *)head, 6);
    send_all(f, fd, "\\\"token\\\"\"}  ", 12);
    expect_snapshot(f, fd, 0);
    send_text(f, fd, "{\"token\":\"what comes later is not looked at\"}", true);
    admin_tick(f->admin);
    expect_snapshot(f, fd, 1);
    close(fd);
}

static void a_wrong_token_is_told_by_a_code(void **state)
{
    static const char *const wrong[] = {"{\"token\":\"admin-toke\"}",
                                        "{\"token\":\"admin-tokenx\"}",
                                        "{\"token\":null}",
                                        "{\"token\":7}",
                                        "{}",
                                        "[]",
                                        "\"admin-token\"",
                                        "admin-token",
                                        "",
                                        "{\"Token\":\"admin-token\"}"};
    struct fixture *f = *state;
    start(f, "admin-token");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int fd = view(f, HANDSHAKE("/api/live", ""));
        send_text(f, fd, wrong[i], true);
        expect_close(f, fd, 4401);
        close(fd);
    }
    int fd = view(f, HANDSHAKE("/api/live", "Authorization: Bearer wrong\r\n"));
    send_text(f, fd, "{}", true);
    expect_close(f, fd, 4401);
    close(fd);
    settle(f);
    assert_int_equal(f->calls, 0);
    assert_int_equal(f->admin->tcp->n_viewers, 0);
}

static void others_bring_it_as_a_header(void **state)
{
    struct fixture *f = *state;
    start(f, "admin-token");
    int fd = view(f, HANDSHAKE("/api/live", "Authorization: Bearer admin-token\r\n"));
    expect_snapshot(f, fd, 0);
    close(fd);
    fd = connect_control(f); // is trusted
    struct answer a = ask(f, fd, HANDSHAKE("/api/live", ""));
    assert_int_equal(a.status, 101);
    answer_free(&a);
    expect_snapshot(f, fd, 0);
    close(fd);
}

static void a_token_is_waited_for_only_so_long(void **state)
{
    struct fixture *f = *state;
    start(f, "admin-token");
    struct mono begin = mono_read();
    int fd = view(f, HANDSHAKE("/api/live", ""));
    admin_sweep(f->admin->tcp, mono_add(begin, ADMIN_TOKEN_US - 1));
    settle(f);
    assert_int_equal(f->admin->tcp->n_connections, 1);
    admin_sweep(f->admin->tcp, mono_add(mono_read(), ADMIN_TOKEN_US));
    settle(f);
    assert_int_equal(f->admin->tcp->n_connections, 0);
    close(fd);
}

static void long_messages_are_refused(void **state)
{
    struct fixture *f = *state;
    char text[ADMIN_MESSAGE_MAX + 2];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        start(f, i == 0 ? NULL : "admin-token");
        int fd = view(f, HANDSHAKE("/api/live", ""));
        if (i == 0)
            expect_snapshot(f, fd, 0);
        send_text(f, fd, text, true);
        expect_close(f, fd, 1009);
        close(fd);
        settle(f);
        admin_destroy(&f->admin);
        settle(f);
    }
}

static void a_viewer_that_does_not_read_is_closed(void **state)
{
    struct fixture *f = *state;
    f->live_size = 16 << 20;
    start(f, NULL);
    struct mono begin = mono_read();
    int fd = view(f, HANDSHAKE("/api/live", ""));
    settle(f); // the first one is on its way
    f->calls = 0;
    for (int i = 0; i < 5; i++) {
        admin_tick(f->admin);
        settle(f);
    }
    assert_int_equal(f->calls, 0); // no further one is made for it
    admin_sweep(f->admin->tcp, mono_add(begin, ADMIN_SNAPSHOT_US - 1));
    settle(f);
    assert_int_equal(f->admin->tcp->n_viewers, 1);
    admin_sweep(f->admin->tcp, mono_add(mono_read(), ADMIN_SNAPSHOT_US));
    settle(f);
    assert_int_equal(f->admin->tcp->n_viewers, 0);
    close(fd);
}

static void a_viewer_that_reads_stays(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = view(f, HANDSHAKE("/api/live", ""));
    expect_snapshot(f, fd, 0);
    admin_sweep(f->admin->tcp, mono_add(mono_read(), 3600 * US_PER_S));
    settle(f);
    admin_tick(f->admin);
    expect_snapshot(f, fd, 1);
    close(fd);
}

static void there_are_only_so_many_viewers(void **state)
{
    struct fixture *f = *state;
    int fds[ADMIN_VIEWERS_MAX];
    start(f, NULL);
    for (int i = 0; i < ADMIN_VIEWERS_MAX; i++) {
        fds[i] = view(f, HANDSHAKE("/api/live", ""));
        expect_snapshot(f, fds[i], 0);
    }
    int more = view(f, HANDSHAKE("/api/live", ""));
    expect_close(f, more, 1013);
    close(more);
    close(fds[0]);
    settle(f);
    fds[0] = view(f, HANDSHAKE("/api/live", ""));
    expect_snapshot(f, fds[0], 0);
    for (int i = 0; i < ADMIN_VIEWERS_MAX; i++)
        close(fds[i]);
    settle(f);
    assert_int_equal(f->admin->tcp->n_viewers, 0);
}

static void it_may_end_under_viewers(void **state)
{
    struct fixture *f = *state;
    f->live_size = 1 << 20;
    start(f, NULL);
    int reads = view(f, HANDSHAKE("/api/live", "")), lazy = view(f, HANDSHAKE("/api/live", ""));
    expect_snapshot(f, reads, 0);
    admin_tick(f->admin);
    admin_destroy(&f->admin);
    settle(f);
    close(reads);
    close(lazy);
}

// --- the page ---

static void the_page_is_served_without_a_token(void **state)
{
    struct fixture *f = *state;
    start(f, "admin-token");
    assert_true(n_page_files > 1);
    int fd = connect_tcp(f);
    for (size_t i = 0; i < n_page_files; i++) {
        char request[256];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 page_files[i].path);
        struct answer a = ask(f, fd, request);
        assert_int_equal(a.status, 200);
        assert_non_null(strcasestr(a.bytes.data, page_files[i].type));
        assert_int_equal(strlen(a.body), page_files[i].size);
        assert_memory_equal(a.body, page_files[i].data, page_files[i].size);
        answer_free(&a);
    }
    struct answer a = ask(f, fd, GET("/"));
    assert_non_null(strstr(a.body, "<title>cxsink</title>"));
    answer_free(&a);
    close(fd);
    assert_int_equal(f->calls, 0); // nothing of the daemon is in it
}

#define LIVE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE_TEST(a_viewer_gets_a_snapshot_at_once_and_one_a_tick),
        LIVE_TEST(viewers_who_saw_as_much_share_a_snapshot),
        LIVE_TEST(large_snapshots_come_whole),
        LIVE_TEST(only_our_page_may_look),
        LIVE_TEST(the_first_message_brings_the_token),
        LIVE_TEST(a_wrong_token_is_told_by_a_code),
        LIVE_TEST(others_bring_it_as_a_header),
        LIVE_TEST(a_token_is_waited_for_only_so_long),
        LIVE_TEST(long_messages_are_refused),
        LIVE_TEST(a_viewer_that_does_not_read_is_closed),
        LIVE_TEST(a_viewer_that_reads_stays),
        LIVE_TEST(there_are_only_so_many_viewers),
        LIVE_TEST(it_may_end_under_viewers),
        LIVE_TEST(the_page_is_served_without_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
