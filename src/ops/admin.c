// SPDX-License-Identifier: Apache-2.0
#include "ops/admin.h"

#include "core/loop.h"
#include "core/mem.h"
#include "ops/admin_priv.h"
#include "ops/page_priv.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct admin_answer (*route_fn)(struct admin *admin, struct buf *body);

// --- routes ---

static struct admin_answer route_metrics(struct admin *admin, struct buf *body)
{
    admin->callbacks.metrics(admin->owner, body);
    return (struct admin_answer){200, "text/plain; version=0.0.4; charset=utf-8"};
}

static struct admin_answer route_health(struct admin *admin, struct buf *body)
{
    (void)admin;
    buf_append_text(body, "{\"ok\":true}\n");
    return (struct admin_answer){200, "application/json"};
}

static struct admin_answer route_ready(struct admin *admin, struct buf *body)
{
    struct buf reasons = {0};
    bool ready = admin->callbacks.ready(admin->owner, &reasons);
    buf_printf(body, "{\"ready\":%s,\"reasons\":", ready ? "true" : "false");
    buf_append_text(body, reasons.len != 0 ? buf_text(&reasons) : "[]");
    buf_append_text(body, "}\n");
    buf_deinit(&reasons);
    return (struct admin_answer){ready ? 200 : 503, "application/json"};
}

static struct admin_answer route_status(struct admin *admin, struct buf *body)
{
    admin->callbacks.status(admin->owner, body);
    buf_append(body, "\n", 1);
    return (struct admin_answer){200, "application/json"};
}

static struct admin_answer route_live(struct admin *admin, struct buf *body)
{
    (void)admin;
    return admin_refuse(body, 426, "this is for WebSocket alone");
}

static const struct {
    const char *path;
    route_fn fn;
    bool public; // holds no data: no token is asked for
} routes[] = {
    {"/metrics", route_metrics, false}, {"/healthz", route_health, true},
    {"/readyz", route_ready, false},    {"/api/status", route_status, false},
    {"/api/live", route_live, false},
};

static const struct page_file *find_file(const char *path)
{
    for (size_t i = 0; i < n_page_files; i++) {
        if (strcmp(page_files[i].path, path) == 0)
            return &page_files[i];
    }
    return NULL;
}

bool admin_is_public(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].path, path) == 0)
            return routes[i].public;
    }
    return find_file(path) != NULL;
}

struct admin_answer admin_refuse(struct buf *body, int status, const char *why)
{
    buf_printf(body, "{\"error\":\"%s\"}\n", why);
    return (struct admin_answer){status, "application/json"};
}

struct admin_answer admin_route(struct admin *admin, const char *path, struct buf *body)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].path, path) == 0)
            return routes[i].fn(admin, body);
    }
    const struct page_file *file = find_file(path);
    if (file == NULL)
        return admin_refuse(body, 404, "no such page");
    buf_append(body, file->data, file->size);
    return (struct admin_answer){200, file->type};
}

// --- listening ---

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
    info->protocols = admin_protocols();
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
    else
        gate->trusted = true;
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
    buf_deinit(&admin->snapshot.text);
    free(admin);
}

unsigned short admin_port(const struct admin *admin)
{
    return admin->tcp != NULL ? (unsigned short)lws_get_vhost_listen_port(admin->tcp->vhost) : 0;
}

void admin_tick(struct admin *admin)
{
    struct mono now = loop_now(admin->loop);
    struct gate *const gates[] = {admin->tcp, admin->control};
    admin->ticks++;
    for (size_t i = 0; i < 2; i++) {
        if (gates[i] == NULL)
            continue;
        admin_sweep(gates[i], now);
        admin_live_tick(gates[i]);
    }
}
