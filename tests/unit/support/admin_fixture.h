// SPDX-License-Identifier: Apache-2.0
// An admin endpoint and its clients over real sockets, turn by turn on one loop.
#ifndef CXSINK_TEST_ADMIN_FIXTURE_H
#define CXSINK_TEST_ADMIN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "ops/admin_priv.h"
#include "support/patience.h"

struct fixture {
    struct loop *loop;
    struct admin *admin;
    struct status st;
    char dir[64], path[96];
    bool ready;
    size_t metrics_size; // of the answer; 0: a short one
    size_t live_size;
    unsigned calls;
};

static inline void on_status(void *owner, struct buf *out)
{
    struct fixture *f = owner;
    f->calls++;
    buf_append_text(out, "{\"streams\":[]}");
}

static inline bool on_ready(void *owner, struct buf *reasons)
{
    struct fixture *f = owner;
    f->calls++;
    if (!f->ready)
        buf_append_text(reasons, "[\"no database\",\"spool full\"]");
    return f->ready;
}

static inline void on_metrics(void *owner, struct buf *out)
{
    struct fixture *f = owner;
    f->calls++;
    for (size_t i = 0; i < f->metrics_size; i += 16)
        buf_printf(out, "line %010zu\n", i);
    if (f->metrics_size == 0)
        buf_append_text(out, "cxsink_up 1\n");
}

// What a viewer gets: its mark, counted up, and as much text as the test wants.
static inline void on_live(void *owner, struct admin_mark *mark, struct buf *out)
{
    struct fixture *f = owner;
    f->calls++;
    buf_printf(out, "{\"seen\":%u,\"fill\":\"", (unsigned)mark->seen[0]++);
    for (size_t i = 0; i < f->live_size; i += 16)
        buf_append_text(out, "0123456789abcdef");
    buf_append_text(out, "\"}");
}

static const struct admin_callbacks callbacks = {on_status, on_ready, on_metrics, on_live, NULL};

static inline int set_up(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    f->loop = loop_create(&f->st);
    assert_non_null(f->loop);
    f->ready = true;
    strcpy(f->dir, "/tmp/admin_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/control.sock", f->dir);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    admin_destroy(&f->admin);
    loop_destroy(&f->loop);
    assert_int_equal(rmdir(f->dir), 0); // the socket is gone
    free(f);
    return 0;
}

static inline void start(struct fixture *f, const char *token)
{
    const struct admin_settings settings = {
        .host = "127.0.0.1", .token = token, .socket_path = f->path};
    f->admin = admin_create(f->loop, &settings, &callbacks, f, &f->st);
    assert_non_null(f->admin);
    assert_int_not_equal(admin_port(f->admin), 0);
}

// --- a client ---

struct answer {
    int status;
    struct buf bytes; // headers and body
    const char *body;
    bool closed; // by the server
};

static inline int connect_tcp(const struct fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(admin_port(f->admin)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static inline int connect_control(const struct fixture *f)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, f->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static inline void send_all(struct fixture *f, int fd, const char *data, size_t length)
{
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    while (length > 0 && mono_read().us < end.us) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; // the server closed: what it answered is looked at
        data += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
        loop_turn(f->loop, false);
    }
    assert_int_equal(length, 0);
}

// Bytes of a body that the headers promise, -1 when they are not complete.
static inline long promised(struct buf *bytes, bool head)
{
    const char *text = buf_text(bytes);
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return -1;
    const char *length = strcasestr(text, "\r\ncontent-length:");
    return end + 4 - text + (length != NULL && length < end && !head ? atol(length + 17) : 0);
}

// Reads one answer: until it is complete, or the server closes.
static inline struct answer receive(struct fixture *f, int fd, bool head)
{
    struct answer a = {0};
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    long want = -1;
    while (!a.closed && (want < 0 || a.bytes.len < (size_t)want) && mono_read().us < end.us) {
        loop_turn(f->loop, false);
        // As much as is promised, so that an answer behind it stays for the next call.
        size_t most = want < 0 ? 1 : (size_t)want - a.bytes.len;
        char *at = buf_reserve(&a.bytes, most);
        ssize_t n = recv(fd, at, most, 0);
        a.closed = n == 0 || (n < 0 && errno != EAGAIN);
        a.bytes.len += n > 0 ? (size_t)n : 0;
        if (want < 0 && n > 0)
            want = promised(&a.bytes, head);
    }
    const char *text = buf_text(&a.bytes);
    a.status = strncmp(text, "HTTP/1.", 7) == 0 ? atoi(text + 9) : 0;
    const char *gap = strstr(text, "\r\n\r\n");
    a.body = gap != NULL ? gap + 4 : "";
    return a;
}

// Whether the server closes without a further byte.
static inline bool closes(struct fixture *f, int fd)
{
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    char byte;
    ssize_t n = -1;
    do {
        loop_turn(f->loop, false);
        n = recv(fd, &byte, 1, 0);
    } while (n < 0 && errno == EAGAIN && mono_read().us < end.us);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static inline void answer_free(struct answer *a)
{
    buf_deinit(&a->bytes);
}

static inline struct answer ask(struct fixture *f, int fd, const char *request)
{
    send_all(f, fd, request, strlen(request));
    return receive(f, fd, strncmp(request, "HEAD", 4) == 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

// Lets the server see that the clients left.
static inline void settle(struct fixture *f)
{
    for (int i = 0; i < 50; i++)
        loop_turn(f->loop, false);
}

#endif
