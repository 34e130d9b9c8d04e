// SPDX-License-Identifier: Apache-2.0
// Turns libwebsockets' client callbacks into the events of stream/ws.h.
#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"
#include "stream/ws_priv.h"

#include <stdlib.h>
#include <strings.h>

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

void ws_over(struct ws *ws, const struct ws_end *end)
{
    bool inside_connect = ws->connecting;
    ws_forget(ws);
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
    ws_over(ws, &end);
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
    ws_over(ws, &end);
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
    ws_over(ws, &end);
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

const struct lws_protocols ws_protocols[] = {
    {.name = "stream", .callback = on_event},
    {0},
};
