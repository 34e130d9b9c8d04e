// SPDX-License-Identifier: Apache-2.0
// A scripted HTTP/1.1 server in a thread, for tests. It answers the n-th request with the n-th
// reply of its script (the last one repeats), byte for byte, and keeps what it received: of a body
// beyond 32 KiB only its sum.
#ifndef CXSINK_TEST_FAKE_HTTP_H
#define CXSINK_TEST_FAKE_HTTP_H

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_CONNECTIONS 600
#define FAKE_REQUESTS 64
#define FAKE_REQUEST_SIZE 65536
#define FAKE_BODY_KEPT 32768

struct fake_reply {
    const char *bytes; // NULL: say nothing, and leave the connection open
    size_t length;     // 0: strlen(bytes)
    bool close;        // after the bytes
    bool reset;        // the same with RST
    size_t early;      // of a large body, wait for less than this; 0: for all
    bool stop_reading; // nothing more from this connection
};

struct fake_connection {
    int fd; // -1: free
    SSL *ssl;
    bool deaf;
    const struct fake_reply *due; // NULL: it was given
    size_t body_left, body_came;  // of a large body
    uint64_t sum;
    size_t length;
    char data[FAKE_REQUEST_SIZE];
};

struct fake_http {
    unsigned short port;
    SSL_CTX *tls; // NULL: plain
    const struct fake_reply *replies;
    size_t n_replies;
    // Under the lock.
    pthread_mutex_t lock;
    size_t n_requests;
    size_t n_accepted;
    uint64_t body_sum;             // of the last large body
    char *requests[FAKE_REQUESTS]; // the first ones
    // The thread's.
    pthread_t thread;
    int listen_fd, stop_fd;
    struct fake_connection *connections;
};

static inline int fake_listen(unsigned short *port_r)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        abort();
    *port_r = ntohs(address.sin_port);
    return fd;
}

static inline void fake_hang_up(struct fake_connection *c, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (reset)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (c->ssl != NULL && !reset)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->ssl = NULL;
    c->fd = -1;
}

static inline void fake_accept(struct fake_http *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct fake_connection *c = server->connections;
    while (c < server->connections + FAKE_CONNECTIONS && c->fd >= 0)
        c++;
    if (fd < 0 || c == server->connections + FAKE_CONNECTIONS)
        abort();
    c->fd = fd;
    c->length = c->body_left = 0;
    c->deaf = false;
    pthread_mutex_lock(&server->lock);
    server->n_accepted++;
    pthread_mutex_unlock(&server->lock);
    if (server->tls == NULL)
        return;
    struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    c->ssl = SSL_new(server->tls);
    SSL_set_fd(c->ssl, fd);
    if (SSL_accept(c->ssl) != 1)
        fake_hang_up(c, false);
}

// Bytes of the head at the start of the data, or 0 when more are to come; and of its body.
static inline size_t fake_head_length(const struct fake_connection *c, size_t *body_r)
{
    const char *end = memmem(c->data, c->length, "\r\n\r\n", 4);
    *body_r = 0;
    if (end == NULL)
        return 0;
    for (const char *line = c->data; line < end; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            *body_r = strtoul(line + 15, NULL, 10);
    }
    return (size_t)(end - c->data) + 4;
}

// A sum that sees every byte and its place; start with 0.
static inline uint64_t fake_sum(uint64_t sum, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ (unsigned char)data[i]) * UINT64_C(1099511628211) + 1;
    return sum;
}

static inline bool fake_send(struct fake_connection *c, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, data, (int)length)
                                   : send(c->fd, data, length, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

static inline const struct fake_reply *fake_note(struct fake_http *server, const char *request,
                                                 size_t length)
{
    pthread_mutex_lock(&server->lock);
    size_t n = server->n_requests++;
    if (n < FAKE_REQUESTS)
        server->requests[n] = strndup(request, length);
    pthread_mutex_unlock(&server->lock);
    return &server->replies[n < server->n_replies ? n : server->n_replies - 1];
}

static inline void fake_reply_with(struct fake_connection *c, const struct fake_reply *reply)
{
    bool sent =
        reply->bytes == NULL ||
        fake_send(c, reply->bytes, reply->length != 0 ? reply->length : strlen(reply->bytes));
    c->deaf = reply->stop_reading;
    if (!sent || reply->close || reply->reset)
        fake_hang_up(c, reply->reset);
}

static inline void fake_take(struct fake_connection *c, size_t length)
{
    memmove(c->data, c->data + length, c->length - length);
    c->length -= length;
}

static inline void fake_take_large_body(struct fake_http *server, struct fake_connection *c)
{
    size_t length = c->length < c->body_left ? c->length : c->body_left;
    c->sum = fake_sum(c->sum, c->data, length);
    fake_take(c, length);
    c->body_left -= length;
    c->body_came += length;
    if (c->body_left == 0) {
        pthread_mutex_lock(&server->lock);
        server->body_sum = c->sum;
        pthread_mutex_unlock(&server->lock);
    }
    const struct fake_reply *reply = c->due;
    if (reply == NULL ||
        (c->body_left > 0 && (reply->early == 0 || c->body_came + 1 < reply->early)))
        return;
    c->due = NULL;
    fake_reply_with(c, reply);
}

static inline void fake_answer(struct fake_http *server, struct fake_connection *c)
{
    size_t body, head = fake_head_length(c, &body);
    bool large = body > FAKE_BODY_KEPT;
    size_t length = large ? head : head + body;
    if (head == 0 || c->length < length)
        return;
    const struct fake_reply *reply = fake_note(server, c->data, length);
    fake_take(c, length);
    c->body_left = large ? body : 0;
    c->sum = c->body_came = 0;
    bool now = !large || reply->early == 1;
    c->due = now ? NULL : reply;
    if (now)
        fake_reply_with(c, reply);
}

static inline void fake_read(struct fake_http *server, struct fake_connection *c)
{
    size_t room = sizeof(c->data) - 1 - c->length;
    ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, c->data + c->length, (int)room)
                               : read(c->fd, c->data + c->length, room);
    if (n <= 0) {
        fake_hang_up(c, false);
        return;
    }
    c->length += (size_t)n;
    c->data[c->length] = '\0';
    if (c->body_left == 0)
        fake_answer(server, c);
    if (c->fd >= 0 && c->body_left > 0)
        fake_take_large_body(server, c);
}

static inline void *fake_main(void *argument)
{
    struct fake_http *server = argument;
    for (;;) {
        struct pollfd fds[FAKE_CONNECTIONS + 2];
        for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
            fds[i] =
                (struct pollfd){.fd = server->connections[i].deaf ? -1 : server->connections[i].fd,
                                .events = POLLIN};
        fds[FAKE_CONNECTIONS] = (struct pollfd){.fd = server->listen_fd, .events = POLLIN};
        fds[FAKE_CONNECTIONS + 1] = (struct pollfd){.fd = server->stop_fd, .events = POLLIN};
        poll(fds, FAKE_CONNECTIONS + 2, -1);
        if (fds[FAKE_CONNECTIONS + 1].revents != 0)
            return NULL;
        for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
            if (fds[i].revents != 0)
                fake_read(server, &server->connections[i]);
        }
        if (fds[FAKE_CONNECTIONS].revents != 0)
            fake_accept(server);
    }
}

// `tls` becomes the server's.
static inline struct fake_http *fake_start_tls(const struct fake_reply *replies, size_t n,
                                               SSL_CTX *tls)
{
    struct fake_http *server = calloc(1, sizeof(*server));
    server->connections = calloc(FAKE_CONNECTIONS, sizeof(*server->connections));
    for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
        server->connections[i].fd = -1;
    server->replies = replies;
    server->n_replies = n;
    server->tls = tls;
    server->listen_fd = fake_listen(&server->port);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&server->lock, NULL);
    if (pthread_create(&server->thread, NULL, fake_main, server) != 0)
        abort();
    return server;
}

static inline struct fake_http *fake_start(const struct fake_reply *replies, size_t n)
{
    return fake_start_tls(replies, n, NULL);
}

static inline void fake_stop(struct fake_http **pointer)
{
    struct fake_http *server = *pointer;
    *pointer = NULL;
    uint64_t one = 1;
    if (write(server->stop_fd, &one, sizeof(one)) != sizeof(one))
        abort();
    pthread_join(server->thread, NULL);
    for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
        if (server->connections[i].fd >= 0)
            fake_hang_up(&server->connections[i], false);
    }
    close(server->listen_fd);
    close(server->stop_fd);
    SSL_CTX_free(server->tls);
    for (size_t i = 0; i < FAKE_REQUESTS; i++)
        free(server->requests[i]);
    free(server->connections);
    free(server);
}

static inline size_t fake_count(struct fake_http *server)
{
    pthread_mutex_lock(&server->lock);
    size_t n = server->n_requests;
    pthread_mutex_unlock(&server->lock);
    return n;
}

// The n-th request as it came, from 0; valid until the server stops.
static inline const char *fake_request(struct fake_http *server, size_t n)
{
    pthread_mutex_lock(&server->lock);
    const char *text = n < FAKE_REQUESTS && server->requests[n] != NULL ? server->requests[n] : "";
    pthread_mutex_unlock(&server->lock);
    return text;
}

#endif
