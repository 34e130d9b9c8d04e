// SPDX-License-Identifier: Apache-2.0
// HTTP and WebSocket of the simulator. The stream writes many frames with one call, so that it is
// never the bottleneck.
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
#define BODY_MAX 65536

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

// One connection, of either protocol.
struct exchange {
    struct sim_client *client;
    struct buf request, answer;
    char path[256];
    int status;
    bool answered; // libwebsockets tells of an empty body too
    struct timer delay;
    struct lws *wsi;
};

static struct sim *sim_of(struct lws *wsi)
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

// --- plain requests ---

static int write_answer(struct sim *sim, struct lws *wsi, struct exchange *x)
{
    unsigned char room[LWS_PRE + 1024];
    unsigned char *start = room + LWS_PRE, *p = start, *end = room + sizeof(room) - 1;
    const struct sim_fault *fault = &sim->token_fault;
    if (lws_add_http_common_headers(wsi, (unsigned)x->status, "application/json", x->answer.len, &p,
                                    end))
        return -1;
    if (x->status >= 400 && fault->retry_after[0] != '\0' &&
        lws_add_http_header_by_name(
            wsi, (const unsigned char *)"retry-after:", (const unsigned char *)fault->retry_after,
            (int)strlen(fault->retry_after), &p, end))
        return -1;
    if (lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    lws_callback_on_writable(wsi);
    return 0;
}

static void delayed_answer(void *owner)
{
    struct exchange *x = owner;
    if (write_answer(sim_of(x->wsi), x->wsi, x))
        lws_set_timeout(x->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static int answer_request(struct sim *sim, struct lws *wsi, struct exchange *x)
{
    if (x->answered)
        return 0;
    x->answered = true;
    bool control = strncmp(x->path, "/sim/", 5) == 0;
    double delay = !control && sim->token_fault.times > 0 ? sim->token_fault.delay : 0;
    if (control)
        x->status = sim_control(sim, wsi, x->path, &x->answer);
    else if (strstr(x->path, "token") != NULL)
        x->status = sim_token_answer(sim, wsi, buf_text(&x->request), &x->answer);
    else
        x->status = 404;
    if (delay <= 0)
        return write_answer(sim, wsi, x);
    x->wsi = wsi;
    timer_init(&x->delay, sim->loop, "slow answer", delayed_answer, x);
    timer_start(&x->delay, (int64_t)(delay * 1e6));
    return 0;
}

static int on_http(struct sim *sim, struct lws *wsi, struct exchange *x, const char *uri)
{
    snprintf(x->path, sizeof(x->path), "%s%s", uri[0] == '/' ? "" : "/", uri);
    char length[16] = "";
    lws_hdr_copy(wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH);
    bool has_body = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0 && atoi(length) > 0;
    x->request.max = BODY_MAX;
    x->answered = false;
    return has_body ? 0 : answer_request(sim, wsi, x);
}

static int on_http_writable(struct lws *wsi, struct exchange *x)
{
    struct buf out = {0};
    buf_append(&out, (char[LWS_PRE]){0}, LWS_PRE);
    buf_append(&out, x->answer.data, x->answer.len);
    int n =
        lws_write(wsi, (unsigned char *)out.data + LWS_PRE, x->answer.len, LWS_WRITE_HTTP_FINAL);
    buf_deinit(&out);
    buf_clear(&x->answer);
    buf_clear(&x->request);
    return n < 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static void free_exchange(struct exchange *x)
{
    if (x->delay.loop != NULL)
        timer_stop(&x->delay);
    buf_deinit(&x->request);
    buf_deinit(&x->answer);
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

// A reset instead of an orderly end.
static void reset(struct lws *wsi)
{
    struct linger linger = {1, 0};
    setsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

void sim_act(struct sim *sim, enum sim_action action, int code, const char *text)
{
    for (struct sim_client *c = sim->clients; c != NULL; c = c->next) {
        if (action == SIM_CLOSE) {
            c->speech = CLOSING;
            c->close_code = code;
            snprintf(c->close_reason, sizeof(c->close_reason), "%s", text);
        } else if (action == SIM_RESET) {
            reset(c->wsi);
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
        return on_http(sim_of(wsi), wsi, x, in);
    case LWS_CALLBACK_HTTP_BODY:
        return buf_append(&x->request, in, length) ? 0 : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return answer_request(sim_of(wsi), wsi, x);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return x->status != 0 ? on_http_writable(wsi, x) : 0;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (x != NULL)
            free_exchange(x);
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
        .ssl_cert_filepath = s->cert,
        .ssl_private_key_filepath = s->key,
        // Without the last one libwebsockets 4.1 serves in the clear, certificate or not.
        .options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND | LWS_SERVER_OPTION_DISABLE_IPV6 |
                   (s->cert != NULL ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
    };
    sim->vhost = lws_create_vhost(loop_lws(sim->loop), &info);
    return sim->vhost != NULL;
}
