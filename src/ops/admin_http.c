// SPDX-License-Identifier: Apache-2.0
// The library's callback: connections, requests, answers.
#include "core/loop.h"
#include "core/mem.h"
#include "ops/admin_priv.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_CHUNK 16384

// --- connections ---

static struct gate *gate_of(struct lws *wsi)
{
    return lws_vhost_user(lws_get_vhost(wsi));
}

// NULL for what is none of ours: the listening socket, a stream of HTTP/2.
static struct connection *connection_of(struct lws *wsi)
{
    return lws_get_opaque_user_data(wsi);
}

void admin_set_deadline(struct connection *c, int64_t after_us)
{
    c->deadline = mono_add(loop_now(c->gate->admin->loop), after_us);
}

static int on_accepted(struct lws *wsi)
{
    struct gate *gate = gate_of(wsi);
    if (gate->admin == NULL)
        return -1;
    struct connection *c = mem_zalloc(sizeof(*c));
    *c = (struct connection){.gate = gate, .wsi = wsi, .next = gate->first};
    if (c->next != NULL)
        c->next->previous = c;
    gate->first = c;
    gate->n_connections++;
    lws_set_opaque_user_data(wsi, c);
    admin_set_deadline(c, ADMIN_REQUEST_US);
    return 0;
}

static void on_destroyed(struct lws *wsi)
{
    struct connection *c = connection_of(wsi);
    if (c == NULL)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        c->gate->first = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    c->gate->n_connections--;
    admin_live_ended(c);
    buf_deinit(&c->body);
    free(c);
}

void admin_sweep(struct gate *gate, struct mono now)
{
    for (struct connection *c = gate->first; c != NULL; c = c->next) {
        if (c->deadline.us != 0 && mono_diff(now, c->deadline) >= 0)
            lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
    }
}

// --- requests ---

static int method_of(struct lws *wsi)
{
    char *uri;
    int length;
    return lws_http_get_uri_and_method(wsi, &uri, &length);
}

static bool is_read(struct lws *wsi)
{
    int method = method_of(wsi);
    return method == LWSHUMETH_GET || method == LWSHUMETH_HEAD;
}

struct headers {
    char host[512], origin[512], authorization[4096];
};

// "" when there is none. False when it is longer than the room.
static bool copy_header(struct lws *wsi, enum lws_token_indexes token, char *room, size_t size)
{
    room[0] = '\0';
    return lws_hdr_total_length(wsi, token) == 0 || lws_hdr_copy(wsi, room, (int)size, token) >= 0;
}

static bool read_headers(struct lws *wsi, struct headers *h)
{
    bool host = copy_header(wsi, WSI_TOKEN_HOST, h->host, sizeof(h->host));
    bool origin = copy_header(wsi, WSI_TOKEN_ORIGIN, h->origin, sizeof(h->origin));
    bool authorization =
        copy_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, h->authorization, sizeof(h->authorization));
    return host && origin && authorization;
}

static struct admin_asker judge(const struct gate *gate, const struct headers *h)
{
    const struct admin_settings *settings = &gate->admin->settings;
    if (!gate->trusted && !admin_guard_host(settings->host, h->host))
        return (struct admin_asker){"this Host is not served here", 403, false};
    if (!admin_guard_origin(h->origin, h->host))
        return (struct admin_asker){"pages of another origin are not served", 403, false};
    bool known = gate->trusted || admin_guard_bearer(settings->token, h->authorization);
    return (struct admin_asker){.known = known};
}

struct admin_asker admin_who_asks(const struct gate *gate, struct lws *wsi)
{
    struct headers h;
    struct admin_asker asker = {"a header is too long", 431, false};
    if (read_headers(wsi, &h))
        asker = judge(gate, &h);
    mem_wipe(h.authorization, sizeof(h.authorization));
    return asker;
}

static bool url_too_long(struct lws *wsi)
{
    int path = lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI);
    int query = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
    return path + query + (query > 0) > ADMIN_URL_MAX;
}

static struct admin_answer answer_request(struct gate *gate, struct lws *wsi, const char *path,
                                          struct buf *body)
{
    struct admin_asker asker = admin_who_asks(gate, wsi);
    if (asker.refused != NULL)
        return admin_refuse(body, asker.status, asker.refused);
    if (!asker.known && !admin_is_public(path))
        return admin_refuse(body, 401, "the admin token is missing or wrong");
    bool change = method_of(wsi) == LWSHUMETH_POST && gate->trusted;
    if (!is_read(wsi) && !change)
        return admin_refuse(body, 405, "only GET and HEAD are served");
    if (url_too_long(wsi))
        return admin_refuse(body, 414, "the URL is too long");
    if (change)
        return admin_change(gate->admin, wsi, path, body);
    return admin_route(gate->admin, path, body);
}

// --- answers ---

// Of every answer: nothing is kept, framed, sniffed, told on, or embedded elsewhere, and the page
// loads and speaks to nothing but this endpoint.
static const struct {
    const char *name, *value;
} fixed_headers[] = {
    {"cache-control:", "no-store"},
    {"x-content-type-options:", "nosniff"},
    {"referrer-policy:", "no-referrer"},
    {"cross-origin-resource-policy:", "same-origin"},
    {"content-security-policy:",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
     "require-trusted-types-for 'script'"},
};

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                      unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), p, end);
}

static int add_fixed_headers(struct lws *wsi, unsigned char **p, unsigned char *end)
{
    for (size_t i = 0; i < sizeof(fixed_headers) / sizeof(fixed_headers[0]); i++) {
        if (add_header(wsi, fixed_headers[i].name, fixed_headers[i].value, p, end))
            return 1;
    }
    return 0;
}

static int write_headers(struct lws *wsi, const struct admin_answer *answer,
                         const struct connection *c)
{
    size_t length = c->body.len - LWS_PRE;
    unsigned char room[LWS_PRE + 2048];
    unsigned char *start = room + LWS_PRE;
    unsigned char *p = start;
    unsigned char *end = room + sizeof(room) - 1;
    if (lws_add_http_common_headers(wsi, (unsigned)answer->status, answer->type, length, &p, end) ||
        add_fixed_headers(wsi, &p, end) ||
        (answer->status == 401 && add_header(wsi, "www-authenticate:", "Bearer", &p, end)) ||
        (answer->status == 405 && add_header(wsi, "allow:", "GET, HEAD", &p, end)) ||
        (answer->status == 426 && add_header(wsi, "upgrade:", "websocket", &p, end)) ||
        (c->last && add_header(wsi, "connection:", "close", &p, end)) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return 1;
    return 0;
}

// The answer is out: the next request may come, or the connection ends.
static int answered(struct connection *c)
{
    buf_deinit(&c->body);
    admin_set_deadline(c, ADMIN_REQUEST_US);
    return c->last || lws_http_transaction_completed(c->wsi) ? -1 : 0;
}

static int on_request(struct lws *wsi, struct connection *c, const char *in)
{
    struct gate *gate = gate_of(wsi);
    if (gate->admin == NULL || c == NULL)
        return -1;
    char path[256];
    snprintf(path, sizeof(path), "%s%s", in[0] == '/' ? "" : "/", in);
    buf_clear(&c->body);
    c->sent = 0;
    c->head = method_of(wsi) == LWSHUMETH_HEAD;
    c->last = !is_read(wsi); // its body, if any, is not read
    admin_set_deadline(c, ADMIN_ANSWER_US);
    // Room for libwebsockets in front of what it sends.
    buf_append(&c->body, (char[LWS_PRE]){0}, LWS_PRE);
    struct admin_answer answer = answer_request(gate, wsi, path, &c->body);
    if (write_headers(wsi, &answer, c))
        return -1;
    if (c->head)
        return answered(c);
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_writable(struct lws *wsi, struct connection *c)
{
    if (c == NULL || c->gate->admin == NULL)
        return -1;
    if (c->body.len < LWS_PRE)
        return 0;
    size_t left = c->body.len - LWS_PRE - c->sent;
    size_t n = left < WRITE_CHUNK ? left : WRITE_CHUNK;
    bool last = n == left;
    if (lws_write(wsi, (unsigned char *)c->body.data + LWS_PRE + c->sent, n,
                  last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
        return -1;
    c->sent += n;
    if (last)
        return answered(c);
    lws_callback_on_writable(wsi);
    return 0;
}

// --- libwebsockets ---

static int admin_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t length)
{
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return gate_of(wsi)->n_connections >= ADMIN_CONNECTIONS_MAX;
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        return on_accepted(wsi);
    case LWS_CALLBACK_HTTP:
        return on_request(wsi, connection_of(wsi), in);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(wsi, connection_of(wsi));
    case LWS_CALLBACK_WSI_DESTROY:
        on_destroyed(wsi);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: // an upgrade to WebSocket
        return admin_live_handshake(connection_of(wsi));
    case LWS_CALLBACK_ESTABLISHED:
        return admin_live_established(connection_of(wsi));
    case LWS_CALLBACK_RECEIVE:
        return admin_live_received(connection_of(wsi), in, length);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return admin_live_writable(connection_of(wsi));
    default:
        return 0;
    }
}

const struct lws_protocols *admin_protocols(void)
{
    static const struct lws_protocols protocols[] = {
        {.name = "http", .callback = admin_callback},
        {0},
    };
    return protocols;
}
