// SPDX-License-Identifier: Apache-2.0
// How much CPU receiving costs: a forked sender writes small frames as fast as it can in large
// writes; the receiving process prints its CPU time a message, for the whole session and for a
// bare libwebsockets client beside it, so that the session's own share shows.
//
//   bench_stream [MESSAGES [BYTES]]
#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"
#include "net/resolve.h"
#include "stream/session.h"
#include "../unit/stream/peer.h"

#include <libwebsockets.h>
#include <sys/resource.h>
#include <sys/wait.h>

static unsigned long wanted = 1000000;
static size_t payload = 216;

struct count {
    struct loop *loop;
    unsigned long messages;
    bool done;
};

// --- the sender ---

static void send_messages(struct peer *p)
{
    static char block[1 << 20];
    size_t frame = 0;
    char *data = calloc(1, payload);
    memset(data, 'x', payload);
    if (!peer_handshake(p))
        return;
    for (unsigned long sent = 0; sent < wanted;) {
        size_t n = 0;
        for (; n + payload + 16 < sizeof(block) && sent < wanted; sent++) {
            frame = peer_frame_header((unsigned char *)block + n, 0x81, payload);
            memcpy(block + n + frame, data, payload);
            n += frame + payload;
        }
        if (!peer_write(p, block, n))
            break;
    }
    free(data);
    peer_wait_eof(p);
}

// One connection, then the process ends.
static void send_once(struct peer *p)
{
    p->fd = accept(p->listener, NULL, NULL);
    if (pipe(p->stop_pipe) == 0)
        send_messages(p);
    _exit(0);
}

static pid_t start_sender(struct peer *p)
{
    *p = (struct peer){0};
    p->listener = peer_listen(AF_INET, &p->port);
    pid_t pid = fork();
    if (pid == 0)
        send_once(p);
    close(p->listener);
    return pid;
}

// --- the two receivers ---

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void one_more(struct count *c)
{
    if (++c->messages == wanted) {
        c->done = true;
        loop_stop(c->loop);
    }
}

static enum session_verdict take(void *owner, enum session_frame frame, const char *data,
                                 size_t length)
{
    (void)frame;
    (void)data;
    (void)length;
    one_more(owner);
    return SESSION_TAKEN;
}

static void connected(void *owner)
{
    (void)owner;
}

static void ended(void *owner, const struct session_end *end)
{
    struct count *c = owner;
    fprintf(stderr, "bench_stream: ended: %s\n", end->detail);
    loop_stop(c->loop);
}

static const struct session_callbacks callbacks = {
    .message = take, .connected = connected, .ended = ended};

static void receive_with_session(struct count *c, unsigned short port)
{
    char url[64];
    struct status st;
    snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", port);
    struct config_stream config = {.name = (char *)"bench",
                                   .url = url,
                                   .auth = CONFIG_NONE,
                                   .max_message = 1 << 20,
                                   .ping_interval_us = 30 * US_PER_S,
                                   .ping_timeout_us = 10 * US_PER_S,
                                   .reconnect_base_us = US_PER_S,
                                   .reconnect_cap_us = 30 * US_PER_S,
                                   .reconnect_stable_us = 60 * US_PER_S,
                                   .connect_timeout_us = 5 * US_PER_S};
    struct resolver *resolver = resolver_create(c->loop, &st);
    struct session *session = session_create(c->loop, resolver, &config, &callbacks, c, &st);
    if (session == NULL)
        return;
    session_start(session);
    loop_run(c->loop);
    session_destroy(&session);
    resolver_destroy(&resolver);
}

static int bare(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                size_t length)
{
    (void)wsi;
    (void)in;
    (void)length;
    if (reason == LWS_CALLBACK_CLIENT_RECEIVE)
        one_more(user);
    return 0;
}

static void receive_bare(struct count *c, unsigned short port)
{
    static const struct lws_protocols protocols[] = {{.name = "bare", .callback = bare}, {0}};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN, .vhost_name = "bare", .protocols = protocols};
    struct lws_vhost *vhost = lws_create_vhost(loop_lws(c->loop), &info);
    struct lws_client_connect_info to = {.context = loop_lws(c->loop),
                                         .vhost = vhost,
                                         .address = "127.0.0.1",
                                         .port = port,
                                         .host = "127.0.0.1",
                                         .path = "/",
                                         .local_protocol_name = "bare",
                                         .userdata = c,
                                         .ietf_version_or_minus_one = -1};
    if (lws_client_connect_via_info(&to) != NULL)
        loop_run(c->loop);
}

static double measure(const char *name, void (*receive)(struct count *, unsigned short))
{
    struct peer peer;
    struct status st;
    pid_t sender = start_sender(&peer);
    struct count c = {.loop = loop_create(&st)};
    if (sender < 0 || c.loop == NULL)
        return 0;
    double cpu = cpu_seconds();
    int64_t start = mono_read().us;
    receive(&c, peer.port);
    double us = (cpu_seconds() - cpu) * 1e6 / (double)wanted;
    double seconds = (double)(mono_read().us - start) / 1e6;
    loop_destroy(&c.loop);
    waitpid(sender, NULL, 0);
    printf("%-8s %lu messages of %zu bytes: %.3f us CPU each, %.0f/s%s\n", name, c.messages,
           payload, us, (double)c.messages / seconds, c.done ? "" : " (incomplete)");
    return us;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        wanted = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        payload = strtoul(argv[2], NULL, 10);
    double session = measure("session", receive_with_session);
    double library = measure("bare lws", receive_bare);
    printf("the session's own share: %.3f us\n", session - library);
    return 0;
}
