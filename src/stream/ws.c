// SPDX-License-Identifier: Apache-2.0
// The life of a WebSocket client and what is asked of it; its events are in ws_event.c.
#include "stream/ws.h"

#include "core/loop.h"
#include "core/mem.h"
#include "stream/ws_priv.h"

#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

// Pings and their deadline are the session's own: libwebsockets takes whole seconds only, counts
// on while reading is paused, and does not say that it was the reason. All zero: off.
static const lws_retry_bo_t no_validity_check;

void ws_forget(struct ws *ws)
{
    loop_unpost(ws->loop, ws);
    ws->wsi = NULL;
    ws->active = false;
    ws->open = false;
    ws->want_ping = false;
    ws->want_close = 0;
    ws->close_sent = false;
}

// --- life ---

static void ws_free(struct ws *ws)
{
    tls_context_free(&ws->tls);
    free(ws->name);
    free(ws);
}

// The finalizer. A vhost that fails while it is created may come here too; ws_create() frees then.
static void on_vhost_gone(struct lws_vhost *vhost, void *arg)
{
    struct ws *ws = arg;
    (void)vhost;
    if (ws->vhost != NULL)
        ws_free(ws);
}

// libwebsockets checks a certificate against a host name only, so for an address the check is put
// into our own context, and the library's is switched off for it (see connect_flags).
static bool prepare_tls(struct ws *ws, const struct tls_settings *settings, struct status *st)
{
    ws->tls = tls_context_create(settings, st);
    if (ws->tls == NULL)
        return false;
    if (ws->url.numeric &&
        X509_VERIFY_PARAM_set1_ip_asc(SSL_CTX_get0_param(ws->tls), ws->url.host) != 1) {
        status_set(st, STATUS_INTERNAL, "cannot set the address to check the certificate for");
        return false;
    }
    return true;
}

static struct lws_vhost *create_vhost(struct ws *ws, const struct ws_settings *settings)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .vhost_name = ws->name,
        .protocols = ws_protocols,
        .extensions = NULL, // permessage-deflate hangs in 4.1 (libwebsockets 2794)
        .provided_client_ssl_ctx = ws->tls,
        // Only with TLS: else the library would build a context of its own.
        .options = ws->tls != NULL ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
        .connect_timeout_secs = (unsigned)(settings->connect_timeout_us / US_PER_S) + 2,
        .retry_and_idle_policy = &no_validity_check,
        // For a peer that vanishes while pings are off or reading is paused.
        .ka_time = 60,
        .ka_interval = 15,
        .ka_probes = 4,
        // Port 0 is "none": else $http_proxy would be taken, and this stream does not support it.
        .http_proxy_address = "none:0",
        .finalize = on_vhost_gone,
        .finalize_arg = ws,
    };
    return lws_create_vhost(loop_lws(ws->loop), &info);
}

struct ws *ws_create(struct loop *loop, const struct ws_settings *settings,
                     const struct ws_callbacks *callbacks, void *owner, struct status *st)
{
    struct ws *ws = mem_zalloc(sizeof(*ws));
    ws->loop = loop;
    ws->callbacks = callbacks;
    ws->owner = owner;
    ws->url = *settings->url;
    ws->name = mem_strdup(settings->name);
    if (ws->url.tls && !prepare_tls(ws, &settings->tls, st)) {
        ws_free(ws);
        return NULL;
    }
    ws->vhost = create_vhost(ws, settings);
    if (ws->vhost == NULL) {
        status_set(st, STATUS_INTERNAL, "libwebsockets refused a vhost");
        ws_free(ws);
        return NULL;
    }
    return ws;
}

static void destroy_vhost(void *object)
{
    struct ws *ws = object;
    lws_vhost_destroy(ws->vhost);
}

void ws_destroy(struct ws **pointer)
{
    struct ws *ws = *pointer;
    if (ws == NULL)
        return;
    *pointer = NULL;
    ws_drop(ws);
    // At the end of the turn, when none of the vhost's callbacks is on the stack.
    loop_defer_free(ws->loop, ws, destroy_vhost);
}

// --- doing ---

static int connect_flags(const struct ws *ws)
{
    if (!ws->url.tls)
        return LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
    return LCCSCF_USE_SSL | LCCSCF_HTTP_NO_FOLLOW_REDIRECT |
           (ws->url.numeric ? LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK : 0);
}

static void reset(struct ws *ws, const struct ws_request *request)
{
    ws->attempt++;
    ws->active = true;
    ws->request = *request;
    ws->http_status = 0;
    ws->retry_after_us = -1;
}

void ws_connect(struct ws *ws, const struct ws_request *request)
{
    ws_drop(ws);
    reset(ws, request);
    struct lws_client_connect_info info = {
        .context = loop_lws(ws->loop),
        .vhost = ws->vhost,
        .address = request->address,
        .port = ws->url.port,
        .host = ws->url.authority,
        .path = ws->url.target,
        .ssl_connection = connect_flags(ws),
        .alpn = "http/1.1", // a WebSocket over HTTP/2 is not supported
        .local_protocol_name = "stream",
        .userdata = ws,
        .opaque_user_data = (void *)ws->attempt,
        .ietf_version_or_minus_one = -1,
        .retry_and_idle_policy = &no_validity_check,
    };
    ws->connecting = true;
    struct lws *wsi = lws_client_connect_via_info(&info);
    if (wsi == NULL && ws->active) { // refused without a callback
        struct ws_end end = {.kind = WS_END_CONNECT, .retry_after_us = -1};
        snprintf(end.detail, sizeof(end.detail), "cannot open a connection");
        ws_over(ws, &end);
    } else if (ws->active) {
        ws->wsi = wsi;
    }
    ws->connecting = false;
}

static bool peer_has_shut(const struct ws *ws)
{
    struct pollfd fd = {.fd = lws_get_socket_fd(ws->wsi), .events = POLLRDHUP};
    return poll(&fd, 1, 0) > 0 && (fd.revents & POLLRDHUP) != 0;
}

void ws_ping(struct ws *ws)
{
    if (!ws->open || ws->wsi == NULL)
        return;
    // A far side that has closed answers with RST, and the library then throws away what is not
    // read yet.
    if (peer_has_shut(ws))
        return;
    ws->want_ping = true;
    lws_callback_on_writable(ws->wsi);
}

void ws_close(struct ws *ws, int code)
{
    if (!ws->open || ws->wsi == NULL || ws->want_close != 0)
        return;
    ws->want_close = code;
    lws_rx_flow_control(ws->wsi, 1); // the answer must be read
    lws_callback_on_writable(ws->wsi);
}

void ws_drop(struct ws *ws)
{
    struct lws *wsi = ws->wsi;
    ws_forget(ws);
    // Asynchronously: this may be one of its own callbacks. The reason is not used.
    if (wsi != NULL)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

void ws_pause(struct ws *ws)
{
    if (ws->wsi != NULL)
        lws_rx_flow_control(ws->wsi, 0);
}

void ws_resume(struct ws *ws)
{
    if (ws->wsi != NULL)
        lws_rx_flow_control(ws->wsi, 1);
}

bool ws_unread(const struct ws *ws)
{
    int bytes = 0;
    return ws->wsi != NULL && ioctl(lws_get_socket_fd(ws->wsi), FIONREAD, &bytes) == 0 && bytes > 0;
}

int64_t ws_retry_after(const char *text, int64_t wall_us)
{
    while (*text == ' ')
        text++;
    if (isdigit((unsigned char)*text)) {
        char *end;
        unsigned long long seconds = strtoull(text, &end, 10);
        if (*end != '\0' && *end != ' ')
            return -1;
        return (int64_t)(seconds < 1000000 ? seconds : 1000000) * US_PER_S;
    }
    struct tm tm = {0};
    // The one form that a sender may generate (RFC 9110 section 5.6.7); no locale is ever set.
    if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) == NULL)
        return -1;
    int64_t left = (int64_t)timegm(&tm) * US_PER_S - wall_us;
    return left > 0 ? left : 0;
}
