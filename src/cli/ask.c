// SPDX-License-Identifier: Apache-2.0
#include "ask_priv.h"

#include "core/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CHUNK 16384

static int connect_control(const char *dir, struct status *st)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", dir);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path)) {
        status_set(st, STATUS_INVALID, "the path %s/control.sock is too long for a socket", dir);
        return -1;
    }
    // Not blocking: a daemon that hangs takes no connection once its backlog is full.
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    if (errno == EAGAIN)
        status_set(st, STATUS_TIMEOUT, "the daemon at %s takes no more connections; does it hang?",
                   address.sun_path);
    else
        status_set(st, errno == EACCES || errno == EPERM ? STATUS_DENIED : STATUS_UNAVAILABLE,
                   "no daemon answers on %s (%s): is it running, with this configuration, and may "
                   "you write to the socket?",
                   address.sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

// False when the time is over.
static bool wait_readable(int fd, struct mono end)
{
    int64_t left_ms;
    int ready = 0;
    while (ready <= 0 && (left_ms = mono_diff(end, mono_read()) / US_PER_MS) > 0) {
        ready = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, (int)left_ms);
        if (ready < 0 && errno != EINTR)
            return false;
    }
    return ready > 0;
}

// Reads to the end of the connection.
static bool receive(int fd, struct mono end, struct buf *answer)
{
    while (wait_readable(fd, end)) {
        ssize_t n = recv(fd, buf_reserve(answer, CHUNK), CHUNK, 0);
        if (n == 0)
            return true;
        if (n > 0)
            answer->len += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            return false;
    }
    return false;
}

const char *ask_daemon(const char *runtime_dir, const char *asked, int64_t patience_us,
                       struct buf *answer, struct status *st)
{
    char request[512];
    struct mono end = mono_add(mono_read(), patience_us);
    int length = snprintf(request, sizeof(request),
                          "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                          "Connection: close\r\n\r\n",
                          asked);
    buf_clear(answer);
    int fd = connect_control(runtime_dir, st);
    if (fd < 0)
        return NULL;
    bool done =
        send(fd, request, (size_t)length, MSG_NOSIGNAL) == length && receive(fd, end, answer);
    close(fd);
    const char *text = buf_text(answer);
    const char *body = strstr(text, "\r\n\r\n");
    if (done && body != NULL && strncmp(text, "HTTP/1.1 200", 12) == 0)
        return body + 4;
    status_set(st, done ? STATUS_IO : STATUS_TIMEOUT,
               "the daemon does not answer; is it stopping?");
    return NULL;
}
