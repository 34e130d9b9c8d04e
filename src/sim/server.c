// SPDX-License-Identifier: Apache-2.0
// The simulator's server and its WebSocket. The stream writes many frames with one call, so that it
// is never the bottleneck.
#include "sim.h"

#include "core/mem.h"

#include <arpa/inet.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Bytes of frames handed to libwebsockets in one go.
#define CHUNK (64u << 10)
// What may be on its way and lost with a broken connection: events of this many bytes are sent
// again after one.
#define REDELIVERY_BYTES (8u << 20)

enum speech { SPEAKING, SILENT, CLOSING };

struct sim_client {
    struct lws *wsi;
    enum speech speech;
    int close_code;
    char close_reason[120];
    bool garbage;
    bool orderly; // closed by a close frame after everything was written
    struct sim_client *next;
};

struct sim *sim_of(struct lws *wsi)
{
    return lws_vhost_user(lws_get_vhost(wsi));
}

unsigned sim_clients(const struct sim *sim)
{
    unsigned count = 0;
    for (const struct sim_client *c = sim->clients; c != NULL; c = c->next)
        count++;
    return count;
}

// --- the stream ---

// Refuses an upgrade with a status, when a fault is set or the token is not good.
static int filter_stream(struct sim *sim, struct lws *wsi)
{
    char header[8192] = "";
    struct sim_fault *fault = &sim->stream_fault;
    const char *retry_after = "";
    int status = 0;
    lws_hdr_copy(wsi, header, sizeof(header), WSI_TOKEN_HTTP_AUTHORIZATION);
    if (fault->times > 0) {
        fault->times--;
        status = fault->status;
        retry_after = fault->retry_after;
    } else if (!sim->settings.no_auth && !sim_token_valid(sim, header)) {
        status = 401;
    }
    if (status == 0)
        return 0;
    char answer[512];
    int n = snprintf(answer, sizeof(answer),
                     "HTTP/1.1 %d Refused\r\n%s%s%sContent-Length: 0\r\nConnection: close\r\n\r\n",
                     status, retry_after[0] ? "Retry-After: " : "", retry_after,
                     retry_after[0] ? "\r\n" : "");
    sim->counts.refused++;
    unsigned char room[LWS_PRE + sizeof(answer)];
    memcpy(room + LWS_PRE, answer, (size_t)n);
    (void)!lws_write(wsi, room + LWS_PRE, (size_t)n, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

static void on_stream_open(struct sim *sim, struct lws *wsi, struct exchange *x)
{
    struct sim_client *c = mem_zalloc(sizeof(*c));
    c->wsi = wsi;
    c->next = sim->clients;
    sim->clients = c;
    x->client = c;
    sim->counts.connections++;
    sim->credited = loop_now(sim->loop);
    lws_callback_on_writable(wsi);
}

static void on_stream_closed(struct sim *sim, struct sim_client *c)
{
    if (c == NULL) // its handshake was refused
        return;
    for (struct sim_client **p = &sim->clients; *p != NULL; p = &(*p)->next) {
        if (*p == c) {
            *p = c->next;
            break;
        }
    }
    if (!c->orderly) {
        uint64_t size = sim->settings.size > 230 ? sim->settings.size : 230;
        uint64_t again = REDELIVERY_BYTES / size;
        if (again > sim->counts.next)
            again = sim->counts.next;
        sim->counts.next -= again;
        sim->counts.resent += again;
    }
    free(c);
    if (sim->clients == NULL && sim->settings.exit_when_done && sim->settings.count != 0 &&
        sim->counts.high >= sim->settings.count)
        loop_stop(sim->loop);
}

static void count(struct sim *sim, uint64_t n, enum sim_kind kind)
{
    struct sim_counts *c = &sim->counts;
    if (n < c->high)
        return;
    c->high = n + 1;
    c->unique += kind == SIM_UNIQUE;
    c->duplicates += kind == SIM_DUPLICATE;
    c->older += kind == SIM_OLDER;
    c->malformed += kind == SIM_MALFORMED;
}

// How many events may go out now.
static uint64_t allowance(struct sim *sim)
{
    const struct sim_settings *s = &sim->settings;
    uint64_t next = sim->counts.next;
    uint64_t left = s->count == 0 ? UINT64_MAX : s->count > next ? s->count - next : 0;
    if (s->paused)
        return 0;
    if (s->rate <= 0)
        return left;
    struct mono now = loop_now(sim->loop);
    sim->credit += s->rate * (double)mono_diff(now, sim->credited) / 1e6;
    sim->credited = now;
    if (sim->credit > s->rate / 2 + 1) // no burst after a pause
        sim->credit = s->rate / 2 + 1;
    uint64_t may = (uint64_t)sim->credit;
    return may < left ? may : left;
}

// libwebsockets writes what it is told as HTTP as it is: many frames in one go.
static int write_raw(struct lws *wsi, struct buf *out)
{
    size_t length = out->len - LWS_PRE;
    return lws_write(wsi, (unsigned char *)out->data + LWS_PRE, length, LWS_WRITE_HTTP) <
                   (int)length
               ? -1
               : 0;
}

static int send_events(struct sim *sim, struct lws *wsi)
{
    static struct buf out; // one thread
    uint64_t may = allowance(sim);
    bool all = true;
    buf_clear(&out);
    buf_append(&out, (char[LWS_PRE]){0}, LWS_PRE);
    for (; may > 0; may--) {
        count(sim, sim->counts.next, sim_event_frame(sim, sim->counts.next, &out));
        sim->counts.next++;
        sim->credit -= 1;
        all = out.len < CHUNK;
        if (!all)
            break;
    }
    if (out.len == LWS_PRE)
        return 0; // the pace timer or sim_wake() comes
    if (write_raw(wsi, &out))
        return -1;
    if (!all)
        lws_callback_on_writable(wsi);
    return 0;
}

static int on_stream_writable(struct sim *sim, struct lws *wsi, struct sim_client *c)
{
    if (c->speech == SILENT)
        return 0;
    if (c->speech == CLOSING) {
        lws_close_reason(wsi, (enum lws_close_status)c->close_code,
                         (unsigned char *)c->close_reason, strlen(c->close_reason));
        c->orderly = true;
        return -1;
    }
    if (c->garbage) {
        struct buf out = {0};
        c->garbage = false;
        buf_append(&out, (char[LWS_PRE]){0}, LWS_PRE);
        buf_append(&out, "\xf7\xff\xff\xff this is not a frame", 24);
        int result = write_raw(wsi, &out);
        buf_deinit(&out);
        return result;
    }
    return send_events(sim, wsi);
}

void sim_reset_at_close(struct lws *wsi)
{
    struct linger linger = {1, 0};
    setsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void sim_act(struct sim *sim, enum sim_action action, int code, const char *text)
{
    for (struct sim_client *c = sim->clients; c != NULL; c = c->next) {
        if (action == SIM_CLOSE) {
            c->speech = CLOSING;
            c->close_code = code;
            snprintf(c->close_reason, sizeof(c->close_reason), "%s", text);
        } else if (action == SIM_RESET) {
            sim_reset_at_close(c->wsi);
            lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
            continue;
        } else if (action == SIM_SILENCE || action == SIM_SPEAK) {
            c->speech = action == SIM_SPEAK ? SPEAKING : SILENT;
            lws_rx_flow_control(c->wsi, action == SIM_SPEAK);
        } else {
            c->garbage = true;
        }
        lws_callback_on_writable(c->wsi);
    }
}

void sim_wake(struct sim *sim)
{
    for (struct sim_client *c = sim->clients; c != NULL; c = c->next)
        lws_callback_on_writable(c->wsi);
}

// --- libwebsockets ---

static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t length)
{
    struct exchange *x = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return http_on_request(sim_of(wsi), wsi, x, in);
    case LWS_CALLBACK_HTTP_BODY:
        return http_on_body(x, in, length);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return http_on_body_end(sim_of(wsi), wsi, x);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return http_on_writable(wsi, x);
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (x != NULL)
            http_free(x);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return filter_stream(sim_of(wsi), wsi);
    case LWS_CALLBACK_ESTABLISHED:
        on_stream_open(sim_of(wsi), wsi, x);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_stream_writable(sim_of(wsi), wsi, x->client);
    case LWS_CALLBACK_CLOSED:
        on_stream_closed(sim_of(wsi), x->client);
        x->client = NULL;
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "cxone",
     .callback = http_callback,
     .per_session_data_size = sizeof(struct exchange),
     .rx_buffer_size = 4096,
     .tx_packet_size = CHUNK + 16384},
    {0},
};

// libwebsockets 4.3 tries for ever to bind where it may not (a port below 1024, say).
static bool may_bind(const char *host, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
        return false;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool bound = bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return bound;
}

bool sim_listen(struct sim *sim)
{
    const struct sim_settings *s = &sim->settings;
    if (!may_bind(s->host, s->port))
        return false;
    struct lws_context_creation_info info = {
        .vhost_name = "sim",
        .port = s->port,
        .iface = s->host,
        .protocols = protocols,
        .user = sim,
        .keepalive_timeout = 60,
        .ssl_cert_filepath = s->cert,
        .ssl_private_key_filepath = s->key,
        // Without the last one libwebsockets 4.1 serves in the clear, certificate or not.
        .options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND | LWS_SERVER_OPTION_DISABLE_IPV6 |
                   (s->cert != NULL ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
    };
    sim->vhost = lws_create_vhost(loop_lws(sim->loop), &info);
    return sim->vhost != NULL;
}
