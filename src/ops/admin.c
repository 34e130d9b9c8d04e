// SPDX-License-Identifier: Apache-2.0
#include "ops/admin.h"

#include "core/buf.h"
#include "core/loop.h"
#include "core/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <libwebsockets.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_CHUNK 16384

struct admin {
    struct loop *loop;
    struct admin_settings settings;
    struct admin_callbacks callbacks;
    void *owner;
    struct lws_vhost *tcp, *control;
};

// What libwebsockets keeps for each connection; zeros at first.
struct exchange {
    struct buf body;
    size_t sent;
};

struct answer {
    int status;
    const char *type;
};

typedef struct answer (*route_fn)(struct admin *admin, struct buf *body);

// --- routes ---

static struct answer route_metrics(struct admin *admin, struct buf *body)
{
    admin->callbacks.metrics(admin->owner, body);
    return (struct answer){200, "text/plain; version=0.0.4; charset=utf-8"};
}

static struct answer route_health(struct admin *admin, struct buf *body)
{
    (void)admin;
    buf_append_text(body, "{\"ok\":true}\n");
    return (struct answer){200, "application/json"};
}

static struct answer route_ready(struct admin *admin, struct buf *body)
{
    struct buf reasons = {0};
    bool ready = admin->callbacks.ready(admin->owner, &reasons);
    buf_printf(body, "{\"ready\":%s,\"reasons\":", ready ? "true" : "false");
    buf_append_text(body, reasons.len != 0 ? buf_text(&reasons) : "[]");
    buf_append_text(body, "}\n");
    buf_deinit(&reasons);
    return (struct answer){ready ? 200 : 503, "application/json"};
}

static struct answer route_status(struct admin *admin, struct buf *body)
{
    admin->callbacks.status(admin->owner, body);
    buf_append(body, "\n", 1);
    return (struct answer){200, "application/json"};
}

static const struct {
    const char *path;
    route_fn fn;
} routes[] = {
    {"/metrics", route_metrics},
    {"/healthz", route_health},
    {"/readyz", route_ready},
    {"/api/status", route_status},
};

static struct answer refuse(struct buf *body, int status, const char *why)
{
    buf_printf(body, "{\"error\":\"%s\"}\n", why);
    return (struct answer){status, "application/json"};
}

static bool is_loopback_name(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0;
}

// The name of a Host header, without port and brackets, is a loopback name or the configured one.
static bool host_allowed(const struct admin *admin, char *host)
{
    char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    if (end != NULL)
        *end = '\0';
    const char *name = host[0] == '[' ? host + 1 : host;
    return is_loopback_name(name) ||
           (admin->settings.host != NULL && strcasecmp(name, admin->settings.host) == 0);
}

// Without a way to tell by time how much of the token was right.
static bool token_allowed(const struct admin *admin, const char *header)
{
    if (admin->settings.token == NULL)
        return true;
    size_t length = strlen(admin->settings.token);
    return strncasecmp(header, "Bearer ", 7) == 0 && strlen(header + 7) == length &&
           CRYPTO_memcmp(header + 7, admin->settings.token, length) == 0;
}

static struct answer answer_request(struct admin *admin, struct lws *wsi, const char *path,
                                    struct buf *body)
{
    char header[1024] = "";
    if (lws_get_vhost(wsi) != admin->control) {
        lws_hdr_copy(wsi, header, sizeof(header), WSI_TOKEN_HOST);
        if (!host_allowed(admin, header))
            return refuse(body, 403, "this Host is not served here");
        header[0] = '\0';
        lws_hdr_copy(wsi, header, sizeof(header), WSI_TOKEN_HTTP_AUTHORIZATION);
        bool allowed = token_allowed(admin, header);
        mem_wipe(header, sizeof(header));
        if (!allowed && strcmp(path, "/healthz") != 0)
            return refuse(body, 401, "the admin token is missing or wrong");
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) == 0)
        return refuse(body, 405, "only GET is served");
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].path, path) == 0)
            return routes[i].fn(admin, body);
    }
    return refuse(body, 404, "no such page");
}

// --- libwebsockets ---

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                      unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), p, end);
}

static int write_headers(struct lws *wsi, const struct answer *answer, size_t length)
{
    unsigned char room[LWS_PRE + 1024];
    unsigned char *start = room + LWS_PRE;
    unsigned char *p = start;
    unsigned char *end = room + sizeof(room) - 1;
    if (lws_add_http_common_headers(wsi, (unsigned)answer->status, answer->type, length, &p, end) ||
        add_header(wsi, "cache-control:", "no-store", &p, end) ||
        add_header(wsi, "x-content-type-options:", "nosniff", &p, end) ||
        (answer->status == 401 && add_header(wsi, "www-authenticate:", "Bearer", &p, end)) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return 1;
    return 0;
}

static int on_request(struct admin *admin, struct lws *wsi, struct exchange *x, const char *in)
{
    char path[256];
    snprintf(path, sizeof(path), "%s%s", in[0] == '/' ? "" : "/", in);
    buf_clear(&x->body);
    x->sent = 0;
    // Room for libwebsockets in front of what it sends.
    buf_append(&x->body, (char[LWS_PRE]){0}, LWS_PRE);
    struct buf body = {0};
    struct answer answer = answer_request(admin, wsi, path, &body);
    buf_append(&x->body, body.data, body.len);
    buf_deinit(&body);
    if (write_headers(wsi, &answer, x->body.len - LWS_PRE))
        return -1;
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_writable(struct lws *wsi, struct exchange *x)
{
    if (x->body.len < LWS_PRE)
        return 0;
    size_t left = x->body.len - LWS_PRE - x->sent;
    size_t n = left < WRITE_CHUNK ? left : WRITE_CHUNK;
    bool last = n == left;
    if (lws_write(wsi, (unsigned char *)x->body.data + LWS_PRE + x->sent, n,
                  last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
        return -1;
    x->sent += n;
    if (!last) {
        lws_callback_on_writable(wsi);
        return 0;
    }
    buf_deinit(&x->body);
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int admin_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t length)
{
    struct exchange *x = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return on_request(lws_vhost_user(lws_get_vhost(wsi)), wsi, x, in);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(wsi, x);
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (x != NULL)
            buf_deinit(&x->body);
        return 0;
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
    case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
        return 0;
    default:
        (void)length;
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = admin_callback, .per_session_data_size = sizeof(struct exchange)},
    {0},
};

static struct lws_vhost *listen_tcp(struct admin *admin)
{
    struct lws_context_creation_info info = {
        .vhost_name = "admin",
        .port = admin->settings.port,
        .iface = admin->settings.host,
        .protocols = protocols,
        .user = admin,
        .options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   (strchr(admin->settings.host, ':') == NULL ? LWS_SERVER_OPTION_DISABLE_IPV6 : 0),
    };
    return lws_create_vhost(loop_lws(admin->loop), &info);
}

static struct lws_vhost *listen_control(struct admin *admin)
{
    struct lws_context_creation_info info = {
        .vhost_name = "control",
        .iface = admin->settings.socket_path,
        .protocols = protocols,
        .user = admin,
        .options = LWS_SERVER_OPTION_UNIX_SOCK | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND,
    };
    // The mode comes from the umask; chmod afterwards would leave a gap.
    mode_t before = umask(0117);
    struct lws_vhost *vhost = lws_create_vhost(loop_lws(admin->loop), &info);
    umask(before);
    return vhost;
}

struct admin *admin_create(struct loop *loop, const struct admin_settings *settings,
                           const struct admin_callbacks *callbacks, void *owner, struct status *st)
{
    struct admin *admin = mem_zalloc(sizeof(*admin));
    *admin = (struct admin){
        .loop = loop, .settings = *settings, .callbacks = *callbacks, .owner = owner};
    if (settings->host != NULL && (admin->tcp = listen_tcp(admin)) == NULL) {
        status_set(st, STATUS_BUSY,
                   "cannot listen on %s port %u for the admin endpoint: is the address right, and "
                   "free? Set admin.listen to another one",
                   settings->host, settings->port);
        admin_destroy(&admin);
    } else if (settings->socket_path != NULL && (admin->control = listen_control(admin)) == NULL) {
        status_set(st, STATUS_IO, "cannot listen on the control socket %s", settings->socket_path);
        admin_destroy(&admin);
    }
    return admin;
}

void admin_destroy(struct admin **pointer)
{
    struct admin *admin = *pointer;
    if (admin == NULL)
        return;
    *pointer = NULL;
    if (admin->tcp != NULL)
        lws_vhost_destroy(admin->tcp);
    if (admin->control != NULL)
        lws_vhost_destroy(admin->control);
    // Connections close in later turns, and look at nothing of ours but their own buffers.
    free(admin);
}

unsigned short admin_port(const struct admin *admin)
{
    return admin->tcp != NULL ? (unsigned short)lws_get_vhost_listen_port(admin->tcp) : 0;
}
