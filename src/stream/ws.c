// SPDX-License-Identifier: Apache-2.0
// Turns libwebsockets' client callbacks into the events of stream/ws.h.
//
// Structure: a struct ws owns a vhost, which libwebsockets destroys when its last connection has
// gone; the struct is freed by the vhost's finalizer, so no callback ever meets freed memory.
// `wsi` is the current attempt or connection. Dying ones of the past still call back; they are told
// apart by their pointer (and, until the library has named the pointer, by the attempt's number)
// and are ignored.
#include "stream/ws.h"

#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"

#include <ctype.h>
#include <libwebsockets.h>
#include <poll.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>

struct ws {
    struct loop *loop;
    const struct ws_callbacks *callbacks;
    void *owner;
    struct ws_url url;
    char *name;
    struct lws_vhost *vhost;
    struct ssl_ctx_st *tls;

    struct lws *wsi;   // NULL: nothing current, or the library has not named it yet
    uintptr_t attempt; // number of the current attempt, its opaque user data
    bool active;       // from ws_connect() to the end
    bool connecting;   // inside lws_client_connect_via_info()
    bool open;
    bool want_ping;
    int want_close; // close code to send; 0: none
    bool close_sent;
    int http_status;
    int64_t retry_after_us;
    struct ws_request request;
    struct ws_end late_end; // of an attempt that failed inside ws_connect()
};

// Pings and their deadline are the session's own: libwebsockets takes whole seconds only, counts
// on while reading is paused, and does not say that it was the reason. All zero: off.
static const lws_retry_bo_t no_validity_check;

// The wsi's struct ws when the wsi is the current one, else NULL.
static struct ws *current(struct lws *wsi, void *user)
{
    struct ws *ws = user;
    if (ws == NULL)
        return NULL;
    if (ws->wsi == NULL && ws->active && (uintptr_t)lws_get_opaque_user_data(wsi) == ws->attempt)
        ws->wsi = wsi;
    return ws->wsi == wsi ? ws : NULL;
}

// --- endings ---

static void emit_late_end(void *owner)
{
    struct ws *ws = owner;
    ws->callbacks->end(ws->owner, &ws->late_end);
}

static void forget(struct ws *ws)
{
    loop_unpost(ws->loop, ws);
    ws->wsi = NULL;
    ws->active = false;
    ws->open = false;
    ws->want_ping = false;
    ws->want_close = 0;
    ws->close_sent = false;
}

// The one exit of a connection: whichever of the library's signals comes first wins.
static void over(struct ws *ws, const struct ws_end *end)
{
    bool inside_connect = ws->connecting;
    forget(ws);
    if (inside_connect) { // no event within ws_connect()
        ws->late_end = *end;
        loop_post(ws->loop, emit_late_end, ws);
        return;
    }
    ws->callbacks->end(ws->owner, end);
}

static void set_detail(struct ws_end *end, const char *text, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length && n + 1 < sizeof(end->detail); i++)
        end->detail[n++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '.';
    end->detail[n] = '\0';
}

static const char *certificate_fault(long result)
{
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "the certificate is not for this host";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "the certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the certificate is not valid yet; check this machine's clock";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: // another CA of the same name
        return "the certificate's issuer is not trusted; set tls.ca_file for a private CA";
    default:
        return "the certificate does not verify";
    }
}

// The library's own text says nothing on 4.1 ("SSL err 1"), so the TLS state is asked itself.
static bool tls_fault(struct lws *wsi, struct ws_end *end)
{
    SSL *ssl = lws_get_ssl(wsi);
    if (ssl == NULL)
        return false;
    long result = SSL_get_verify_result(ssl);
    if (result == X509_V_OK && SSL_is_init_finished(ssl))
        return false;
    end->kind = WS_END_TLS;
    if (result == X509_V_OK)
        snprintf(end->detail, sizeof(end->detail), "the TLS handshake failed");
    else
        snprintf(end->detail, sizeof(end->detail), "%s (%s)", certificate_fault(result),
                 X509_verify_cert_error_string(result));
    return true;
}

static void read_reply(struct ws *ws, struct lws *wsi)
{
    char text[64];
    int status = (int)lws_http_client_http_response(wsi);
    if (status == 0)
        return;
    ws->http_status = status;
    int n = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_RETRY_AFTER);
    if (n > 0)
        ws->retry_after_us = ws_retry_after(text, loop_wall_us(ws->loop));
}

// A failed attempt. `in` is the library's text, may be NULL, and differs between versions.
static void on_connect_error(struct ws *ws, struct lws *wsi, const char *in, size_t length)
{
    struct ws_end end = {.kind = WS_END_CONNECT, .retry_after_us = -1};
    read_reply(ws, wsi);
    if (in != NULL)
        set_detail(&end, in, length);
    if (end.detail[0] == '\0')
        set_detail(&end, "no reply", 8);
    if (ws->http_status != 0 && ws->http_status != 101) {
        end.kind = WS_END_REFUSED;
        end.http_status = ws->http_status;
        end.retry_after_us = ws->retry_after_us;
    } else {
        tls_fault(wsi, &end);
    }
    over(ws, &end);
}

// CLIENT_CLOSED; CLOSED_CLIENT_HTTP, where 4.1 lacks an error for a reply that never came; and
// WSI_DESTROY, which comes for every connection.
static void on_gone(struct ws *ws, struct lws *wsi)
{
    static const char lost[] = "the connection ended without a close frame";
    struct ws_end end = {.kind = WS_END_LOST, .retry_after_us = -1};
    if (!ws->open) {
        static const char unanswered[] = "closed before the handshake was answered";
        on_connect_error(ws, wsi, unanswered, sizeof(unanswered) - 1);
        return;
    }
    if (ws->want_close != 0)
        end.kind = WS_END_LOCAL;
    else
        set_detail(&end, lost, sizeof(lost) - 1);
    over(ws, &end);
}

// 4.1 shows 1012 to 1014 and 1016 to 2999 as 1002. The connection counts as over already now; the
// library still answers the frame. Nothing behind it may be parsed: 4.1 goes on collecting bytes
// after a close, beyond the end of its buffer.
static int on_peer_close(struct ws *ws, struct lws *wsi, const unsigned char *in, size_t length)
{
    struct ws_end end = {.kind = WS_END_CLOSED, .close_code = 1005, .retry_after_us = -1};
    int answered = ws->close_sent ? -1 : 0;
    if (ws->want_close != 0)
        end.kind = WS_END_LOCAL;
    if (length >= 2) {
        end.close_code = in[0] << 8 | in[1];
        set_detail(&end, (const char *)in + 2, length - 2);
    }
    lws_rx_flow_control(wsi, 0);
    over(ws, &end);
    return answered;
}

// --- the handshake's request ---

static bool add_header(struct lws *wsi, const struct config_pair *pair, unsigned char **at,
                       unsigned char *end)
{
    char *name = mem_printf("%s:", pair->name);
    int failed = lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                             (const unsigned char *)pair->value,
                                             (int)strlen(pair->value), at, end);
    free(name);
    return !failed;
}

static bool add_bearer(struct lws *wsi, const char *bearer, unsigned char **at, unsigned char *end)
{
    char *value = mem_printf("Bearer %s", bearer);
    int failed =
        lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                     (const unsigned char *)value, (int)strlen(value), at, end);
    mem_wipe_free(&value);
    return !failed;
}

// Redirects are off (NO_FOLLOW_REDIRECT), so this comes once, for the host that was asked for; else
// the token would go to the next host too.
static int on_headers(struct ws *ws, struct lws *wsi, unsigned char **at, size_t room)
{
    unsigned char *end = *at + room;
    const struct ws_request *request = &ws->request;
    if (request->bearer != NULL && !add_bearer(wsi, request->bearer, at, end))
        return -1;
    for (size_t i = 0; request->headers != NULL && i < request->headers->count; i++) {
        const struct config_pair *pair = &request->headers->items[i];
        if (request->bearer != NULL && strcasecmp(pair->name, "authorization") == 0)
            continue;
        if (!add_header(wsi, pair, at, end))
            return -1;
    }
    return 0;
}

// --- the open connection ---

static int on_open(struct ws *ws, struct lws *wsi)
{
    ws->open = true;
    ws->callbacks->open(ws->owner);
    return ws->wsi == wsi ? 0 : -1;
}

// Not by lws_close_reason(): that makes 4.1 wait for the answer in a state in which it writes what
// else the far side sends past the end of its buffer. So the library knows of no close, data goes
// on being delivered (and ignored above), and the answer comes as the far side's own close.
static int send_close(struct ws *ws, struct lws *wsi)
{
    // A whole frame of our own (RFC 6455 section 5.2): FIN and close, masked, 2 bytes, the mask,
    // the code. An all-zero mask leaves the code as it is; a close has nothing to hide.
    unsigned char frame[LWS_PRE + 8] = {0};
    unsigned char *at = frame + LWS_PRE;
    if (ws->close_sent)
        return 0;
    ws->close_sent = true;
    at[0] = 0x88;
    at[1] = 0x82;
    at[6] = (unsigned char)(ws->want_close >> 8);
    at[7] = (unsigned char)ws->want_close;
    return lws_write(wsi, at, 8, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

static int on_data(struct ws *ws, struct lws *wsi, const char *in, size_t length)
{
    unsigned flags = (lws_is_first_fragment(wsi) ? WS_FIRST : 0) |
                     (lws_is_final_fragment(wsi) ? WS_FINAL : 0) |
                     (lws_frame_is_binary(wsi) ? WS_BINARY : 0);
    ws->callbacks->data(ws->owner, in, length, flags);
    return ws->wsi == wsi ? 0 : -1; // dropped meanwhile
}

// The only place where the library takes data to send.
static int on_writeable(struct ws *ws, struct lws *wsi)
{
    if (ws->want_close != 0)
        return send_close(ws, wsi);
    if (ws->want_ping) {
        unsigned char frame[LWS_PRE + 4] = {0}; // room in front, masked in place
        ws->want_ping = false;
        if (lws_write(wsi, frame + LWS_PRE, 4, LWS_WRITE_PING) < 0)
            return -1;
    }
    return 0;
}

// No logic here. CONFIRM_UPGRADE and unknown reasons are not ours (CVE-2025-11677): return 0.
static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t length)
{
    struct ws *ws;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return (ws = current(wsi, user)) != NULL ? on_data(ws, wsi, in, length) : -1;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return (ws = current(wsi, user)) != NULL ? on_headers(ws, wsi, in, length) : -1;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        return (ws = current(wsi, user)) != NULL ? on_open(ws, wsi) : -1;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return (ws = current(wsi, user)) != NULL ? on_writeable(ws, wsi) : 0;
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP: // for every reply, 101 too
        if ((ws = current(wsi, user)) != NULL)
            read_reply(ws, wsi);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        if ((ws = current(wsi, user)) != NULL)
            ws->callbacks->pong(ws->owner);
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return (ws = current(wsi, user)) != NULL ? on_peer_close(ws, wsi, in, length) : -1;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        if ((ws = current(wsi, user)) != NULL)
            on_connect_error(ws, wsi, in, length);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
        if ((ws = current(wsi, user)) != NULL)
            on_gone(ws, wsi);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "stream", .callback = on_event},
    {0},
};

// --- life ---

static void ws_free(struct lws_vhost *vhost, void *arg)
{
    struct ws *ws = arg;
    (void)vhost;
    tls_context_free(&ws->tls);
    free(ws->name);
    free(ws);
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
        .protocols = protocols,
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
        .finalize = ws_free,
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
        ws_free(NULL, ws);
        return NULL;
    }
    ws->vhost = create_vhost(ws, settings);
    if (ws->vhost == NULL) {
        status_set(st, STATUS_INTERNAL, "libwebsockets refused a vhost");
        ws_free(NULL, ws);
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
        over(ws, &end);
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
    forget(ws);
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
