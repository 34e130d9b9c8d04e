// SPDX-License-Identifier: Apache-2.0
#include "ops/admin.h"

#include "core/buf.h"
#include "core/loop.h"
#include "core/mem.h"
#include "ops/admin_priv.h"

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
    struct gate *tcp, *control; // NULL: none
};

// A place that is listened on. libwebsockets keeps a vhost, and connections may end, until after
// the endpoint is gone: the vhost frees it.
struct gate {
    struct admin *admin; // NULL: gone
    struct lws_vhost *vhost;
    char *interface; // address or path; libwebsockets keeps the pointer
};

// What libwebsockets keeps for each connection; zeros at first.
struct exchange {
    struct buf body;
    size_t sent;
    bool head; // the headers are all that is sent
    bool last; // the connection ends after this answer
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

// An address is read as a whole: "127.0.0.1.example.com" is a name that anybody may own.
static bool is_loopback_name(const char *host)
{
    struct in_addr address;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

// The name of a Host header, without port and brackets, is a loopback name or the configured one.
// Where every address is listened on, any address is: only names can be rebound.
static bool host_allowed(const struct admin *admin, char *host)
{
    const char *own = admin->settings.host;
    char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    if (end != NULL)
        *end = '\0';
    const char *name = host[0] == '[' ? host + 1 : host;
    if (is_loopback_name(name) || strcasecmp(name, own) == 0)
        return true;
    return (strcmp(own, "0.0.0.0") == 0 || strcmp(own, "::") == 0) && is_address(name);
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

static struct answer answer_request(struct admin *admin, struct lws *wsi, const char *path,
                                    struct buf *body)
{
    char header[1024] = "";
    if (admin->control == NULL || lws_get_vhost(wsi) != admin->control->vhost) {
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
    if (!is_read(wsi))
        return refuse(body, 405, "only GET and HEAD are served");
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

static int write_headers(struct lws *wsi, const struct answer *answer, const struct exchange *x)
{
    size_t length = x->body.len - LWS_PRE;
    unsigned char room[LWS_PRE + 1024];
    unsigned char *start = room + LWS_PRE;
    unsigned char *p = start;
    unsigned char *end = room + sizeof(room) - 1;
    if (lws_add_http_common_headers(wsi, (unsigned)answer->status, answer->type, length, &p, end) ||
        add_header(wsi, "cache-control:", "no-store", &p, end) ||
        add_header(wsi, "x-content-type-options:", "nosniff", &p, end) ||
        (answer->status == 401 && add_header(wsi, "www-authenticate:", "Bearer", &p, end)) ||
        (answer->status == 405 && add_header(wsi, "allow:", "GET, HEAD", &p, end)) ||
        (x->last && add_header(wsi, "connection:", "close", &p, end)) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return 1;
    return 0;
}

static int on_request(struct lws *wsi, struct exchange *x, const char *in)
{
    const struct gate *gate = lws_vhost_user(lws_get_vhost(wsi));
    if (gate->admin == NULL)
        return -1;
    struct admin *admin = gate->admin;
    char path[256];
    snprintf(path, sizeof(path), "%s%s", in[0] == '/' ? "" : "/", in);
    buf_clear(&x->body);
    x->sent = 0;
    x->head = method_of(wsi) == LWSHUMETH_HEAD;
    x->last = !is_read(wsi); // its body, if any, is not read
    // Room for libwebsockets in front of what it sends.
    buf_append(&x->body, (char[LWS_PRE]){0}, LWS_PRE);
    struct buf body = {0};
    struct answer answer = answer_request(admin, wsi, path, &body);
    buf_append(&x->body, body.data, body.len);
    buf_deinit(&body);
    if (write_headers(wsi, &answer, x))
        return -1;
    if (x->head) {
        buf_deinit(&x->body);
        return lws_http_transaction_completed(wsi) ? -1 : 0;
    }
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
    return x->last || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int admin_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t length)
{
    struct exchange *x = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return on_request(wsi, x, in);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(wsi, x);
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
    case LWS_CALLBACK_CLOSED_HTTP:
        if (x != NULL)
            buf_deinit(&x->body);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: // an upgrade to WebSocket
        return -1;
    default:
        (void)length;
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = admin_callback, .per_session_data_size = sizeof(struct exchange)},
    {0},
};

static void gate_free(struct lws_vhost *vhost, void *arg)
{
    struct gate *gate = arg;
    (void)vhost;
    free(gate->interface);
    free(gate);
}

static struct gate *gate_open(struct admin *admin, const char *name, const char *interface,
                              struct lws_context_creation_info *info)
{
    struct gate *gate = mem_zalloc(sizeof(*gate));
    gate->admin = admin;
    gate->interface = mem_strdup(interface);
    info->vhost_name = name;
    info->iface = gate->interface;
    info->protocols = protocols;
    info->user = gate;
    info->finalize = gate_free;
    info->finalize_arg = gate;
    info->options |= LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
    struct lws_vhost *vhost = lws_create_vhost(loop_lws(admin->loop), info);
    if (vhost == NULL) // and the gate is freed
        return NULL;
    gate->vhost = vhost;
    return gate;
}

static void gate_close(struct gate *gate)
{
    if (gate == NULL)
        return;
    gate->admin = NULL;
    lws_vhost_destroy(gate->vhost);
}

static struct gate *listen_tcp(struct admin *admin, struct status *st)
{
    const struct admin_settings *s = &admin->settings;
    if (admin_check_address(s->host, s->port, st) != STATUS_OK)
        return NULL;
    const char *address = admin_numeric(s->host);
    struct lws_context_creation_info info = {
        .port = s->port,
        .options = strchr(address, ':') == NULL ? LWS_SERVER_OPTION_DISABLE_IPV6 : 0,
    };
    struct gate *gate = gate_open(admin, "admin", address, &info);
    if (gate == NULL)
        status_set(st, STATUS_IO, "cannot listen on %s port %u for the admin endpoint", s->host,
                   s->port);
    return gate;
}

static struct gate *listen_control(struct admin *admin, struct status *st)
{
    const char *path = admin->settings.socket_path;
    if (admin_check_socket(path, st) != STATUS_OK)
        return NULL;
    struct lws_context_creation_info info = {.options = LWS_SERVER_OPTION_UNIX_SOCK};
    // The mode comes from the umask; chmod afterwards would leave a gap.
    mode_t before = umask(0117);
    struct gate *gate = gate_open(admin, "control", path, &info);
    umask(before);
    if (gate == NULL)
        status_set(st, STATUS_IO, "cannot listen on the control socket %s", path);
    return gate;
}

static bool listen_everywhere(struct admin *admin, struct status *st)
{
    const struct admin_settings *s = &admin->settings;
    return (s->host == NULL || (admin->tcp = listen_tcp(admin, st)) != NULL) &&
           (s->socket_path == NULL || (admin->control = listen_control(admin, st)) != NULL);
}

struct admin *admin_create(struct loop *loop, const struct admin_settings *settings,
                           const struct admin_callbacks *callbacks, void *owner, struct status *st)
{
    struct admin *admin = mem_zalloc(sizeof(*admin));
    *admin = (struct admin){
        .loop = loop, .settings = *settings, .callbacks = *callbacks, .owner = owner};
    if (!listen_everywhere(admin, st))
        admin_destroy(&admin);
    return admin;
}

void admin_destroy(struct admin **pointer)
{
    struct admin *admin = *pointer;
    if (admin == NULL)
        return;
    *pointer = NULL;
    if (admin->control != NULL)
        unlink(admin->control->interface); // libwebsockets does so only when its context ends
    gate_close(admin->control);
    gate_close(admin->tcp);
    free(admin);
}

unsigned short admin_port(const struct admin *admin)
{
    return admin->tcp != NULL ? (unsigned short)lws_get_vhost_listen_port(admin->tcp->vhost) : 0;
}
