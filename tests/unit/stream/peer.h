// SPDX-License-Identifier: Apache-2.0
// A scripted WebSocket server for tests: a thread with plain blocking sockets that writes every
// byte itself, so that fragments, resets, garbage and silence can be made to happen. Connection i
// runs script i (the last one again for all later connections). Scripts must not use cmocka's
// assertions (another thread): peer_check() notes a fault, peer_stop() returns it.
#ifndef CXSINK_TEST_STREAM_PEER_H
#define CXSINK_TEST_STREAM_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEER_UNUSED __attribute__((unused))
#define PEER_PATIENCE_MS 10000

struct peer;
typedef void (*peer_script)(struct peer *peer);

struct peer {
    const peer_script *scripts;
    int n_scripts;
    SSL_CTX *tls; // NULL: plain
    int family;   // AF_INET or AF_INET6
    int listener;
    unsigned short port;
    pthread_t thread;
    int stop_pipe[2];
    int backlog_only;       // never accept
    atomic_int connections; // accepted so far
    atomic_int step;        // for scripts and tests to wait for each other
    atomic_bool stopping;
    // Of the connection being served.
    int fd;
    SSL *ssl;
    char request[65536];
    char fault[200];
    // The last frame received.
    int opcode;
    unsigned char payload[256];
    size_t payload_length;
};

static PEER_UNUSED void peer_check(struct peer *p, bool ok, const char *what)
{
    if (!ok && p->fault[0] == '\0' && !p->stopping)
        snprintf(p->fault, sizeof(p->fault), "connection %d: %s", (int)p->connections, what);
}

// --- bytes ---

// Waits for events on the connection; false when the test is over or patience ran out.
static PEER_UNUSED bool peer_wait(struct peer *p, short events)
{
    struct pollfd fds[2] = {{.fd = p->fd, .events = events},
                            {.fd = p->stop_pipe[0], .events = POLLIN}};
    return poll(fds, 2, PEER_PATIENCE_MS) > 0 && !(fds[1].revents & POLLIN);
}

static PEER_UNUSED bool peer_write(struct peer *p, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        if (!peer_wait(p, POLLOUT))
            return false;
        ssize_t n;
        if (p->ssl != NULL) {
            int done = SSL_write(p->ssl, at, length > 16384 ? 16384 : (int)length);
            if (done <= 0 && SSL_get_error(p->ssl, done) == SSL_ERROR_WANT_WRITE)
                continue;
            n = done;
        } else {
            n = send(p->fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
        }
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static PEER_UNUSED bool peer_read(struct peer *p, void *data, size_t length)
{
    char *at = data;
    while (length > 0) {
        if ((p->ssl == NULL || SSL_pending(p->ssl) == 0) && !peer_wait(p, POLLIN))
            return false;
        ssize_t n = p->ssl != NULL ? SSL_read(p->ssl, at, (int)length) : read(p->fd, at, length);
        if (n < 0 && p->ssl == NULL && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static PEER_UNUSED bool peer_text(struct peer *p, const char *text)
{
    return peer_write(p, text, strlen(text));
}

// Waits until the far side has closed (or reset) the connection, reading what still comes.
static PEER_UNUSED bool peer_wait_eof(struct peer *p)
{
    char byte;
    while (peer_read(p, &byte, 1))
        ;
    return !p->stopping;
}

// Waits until the test calls for it with peer_go(n) (or is over).
static PEER_UNUSED void peer_await(struct peer *p, int step)
{
    while (p->step < step && !p->stopping) {
        struct pollfd fd = {.fd = p->stop_pipe[0], .events = POLLIN};
        poll(&fd, 1, 2);
    }
}

static PEER_UNUSED void peer_go(struct peer *p, int step)
{
    p->step = step;
}

// --- the handshake ---

static PEER_UNUSED bool peer_read_request(struct peer *p)
{
    size_t n = 0;
    p->request[0] = '\0';
    while (strstr(p->request, "\r\n\r\n") == NULL) {
        if (n + 1 >= sizeof(p->request) || !peer_read(p, p->request + n, 1))
            return false;
        p->request[++n] = '\0';
    }
    return true;
}

// The value of a header of the request, in `value`; false when it is not there.
static PEER_UNUSED bool peer_header(const struct peer *p, const char *name, char *value,
                                    size_t size)
{
    for (const char *line = strstr(p->request, "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        size_t n = strlen(name);
        if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
            continue;
        const char *start = line + 3 + n + strspn(line + 3 + n, " ");
        snprintf(value, size, "%.*s", (int)strcspn(start, "\r"), start);
        return true;
    }
    return false;
}

static PEER_UNUSED void peer_format_101(const struct peer *p, char *text, size_t size)
{
    char key[128] = "";
    char joined[256];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char accept[64];
    unsigned length = 0;
    peer_header(p, "Sec-WebSocket-Key", key, sizeof(key));
    snprintf(joined, sizeof(joined), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(joined, strlen(joined), digest, &length, EVP_sha1(), NULL);
    EVP_EncodeBlock(accept, digest, (int)length);
    snprintf(text, size,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
}

// Reads the request and accepts it.
static PEER_UNUSED bool peer_handshake(struct peer *p)
{
    char text[512];
    if (!peer_read_request(p))
        return false;
    peer_format_101(p, text, sizeof(text));
    return peer_text(p, text);
}

// Reads the request and answers with a status line and headers ("401 Unauthorized\r\nA: b").
static PEER_UNUSED void peer_refuse(struct peer *p, const char *status_and_headers)
{
    char text[1024];
    peer_check(p, peer_read_request(p), "no request");
    snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status_and_headers);
    peer_text(p, text);
    peer_wait_eof(p);
}

// --- frames ---

// Writes the header of a server's frame (not masked) and returns its length.
static PEER_UNUSED size_t peer_frame_header(unsigned char *at, int first_byte, size_t length)
{
    at[0] = (unsigned char)first_byte;
    if (length < 126) {
        at[1] = (unsigned char)length;
        return 2;
    }
    int bytes = length < 65536 ? 2 : 8;
    at[1] = bytes == 2 ? 126 : 127;
    for (int i = 0; i < bytes; i++)
        at[2 + i] = (unsigned char)(length >> (8 * (bytes - 1 - i)));
    return 2 + (size_t)bytes;
}

// `first_byte` is FIN (0x80), the reserved bits and the opcode.
static PEER_UNUSED bool peer_frame(struct peer *p, int first_byte, const void *data, size_t length)
{
    unsigned char *frame = malloc(length + 10);
    size_t n = peer_frame_header(frame, first_byte, length);
    memcpy(frame + n, data, length);
    bool ok = peer_write(p, frame, n + length);
    free(frame);
    return ok;
}

static PEER_UNUSED bool peer_send(struct peer *p, const char *text)
{
    return peer_frame(p, 0x81, text, strlen(text));
}

static PEER_UNUSED bool peer_close_frame(struct peer *p, int code, const char *reason)
{
    char data[128] = {(char)(code >> 8), (char)code};
    snprintf(data + 2, sizeof(data) - 2, "%s", reason);
    return peer_frame(p, 0x88, data, 2 + strlen(reason));
}

// Reads one frame of the client into opcode and payload.
static PEER_UNUSED bool peer_receive(struct peer *p)
{
    unsigned char head[2];
    unsigned char mask[4];
    if (!peer_read(p, head, 2))
        return false;
    p->opcode = head[0] & 15;
    p->payload_length = head[1] & 127;
    peer_check(p, (head[1] & 0x80) != 0, "a client's frame is not masked");
    if (p->payload_length > 125 || !peer_read(p, mask, 4) ||
        !peer_read(p, p->payload, p->payload_length))
        return false;
    for (size_t i = 0; i < p->payload_length; i++)
        p->payload[i] ^= mask[i % 4];
    return true;
}

static PEER_UNUSED bool peer_receive_close(struct peer *p, int code)
{
    while (peer_receive(p)) {
        if (p->opcode == 8)
            return p->payload_length >= 2 && (p->payload[0] << 8 | p->payload[1]) == code;
    }
    return false;
}

// Answers pings and the close frame until the connection ends.
static PEER_UNUSED void peer_serve(struct peer *p)
{
    while (peer_receive(p)) {
        if (p->opcode == 9)
            peer_frame(p, 0x8a, p->payload, p->payload_length);
        if (p->opcode == 8) {
            peer_frame(p, 0x88, p->payload, p->payload_length);
            break;
        }
    }
}

// Ends the connection with RST.
static PEER_UNUSED void peer_reset(struct peer *p)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(p->fd);
    p->fd = -1;
}

// --- life ---

static PEER_UNUSED void peer_serve_one(struct peer *p)
{
    int i = p->connections++;
    if (p->tls != NULL) {
        p->ssl = SSL_new(p->tls);
        SSL_set_fd(p->ssl, p->fd);
    }
    if (p->ssl == NULL || SSL_accept(p->ssl) == 1)
        p->scripts[i < p->n_scripts ? i : p->n_scripts - 1](p);
    SSL_free(p->ssl);
    p->ssl = NULL;
    if (p->fd >= 0)
        close(p->fd);
}

static PEER_UNUSED void *peer_main(void *arg)
{
    struct peer *p = arg;
    struct pollfd fds[2] = {{.fd = p->listener, .events = POLLIN},
                            {.fd = p->stop_pipe[0], .events = POLLIN}};
    while (poll(fds, 2, -1) > 0 && !(fds[1].revents & POLLIN)) {
        p->fd = accept(p->listener, NULL, NULL);
        if (p->fd >= 0)
            peer_serve_one(p);
    }
    return NULL;
}

static PEER_UNUSED int peer_listen(int family, unsigned short *port)
{
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(*port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *address = family == AF_INET6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t length = family == AF_INET6 ? sizeof(v6) : sizeof(v4);
    int one = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, address, length) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, address, &length) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(family == AF_INET6 ? v6.sin6_port : v4.sin_port);
    return fd;
}

// `scripts` must stay. Port 0 in `p` takes a free one. False when it cannot listen.
static PEER_UNUSED bool peer_start(struct peer *p, const peer_script *scripts, int n)
{
    p->scripts = scripts;
    p->n_scripts = n;
    p->fd = -1;
    p->listener = peer_listen(p->family == 0 ? AF_INET : p->family, &p->port);
    if (p->listener < 0 || pipe(p->stop_pipe) != 0)
        return false;
    return pthread_create(&p->thread, NULL, peer_main, p) == 0;
}

// The first fault, or NULL.
static PEER_UNUSED const char *peer_stop(struct peer *p)
{
    p->stopping = true;
    if (write(p->stop_pipe[1], "x", 1) != 1)
        abort();
    pthread_join(p->thread, NULL);
    close(p->stop_pipe[0]);
    close(p->stop_pipe[1]);
    close(p->listener);
    return p->fault[0] != '\0' ? p->fault : NULL;
}

#endif
