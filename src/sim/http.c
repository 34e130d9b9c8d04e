// SPDX-License-Identifier: Apache-2.0
// Plain requests to the simulator: an answer is written at once, headers and body together, unless
// it is to be late.
#include "sim.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// An execute job's payload of 10 MiB in base64, and what stands around it.
#define BODY_MAX (16u << 20)
// Room that an idle connection keeps.
#define BODY_KEEP 65536

static int send_answer(struct lws *wsi, struct exchange *x)
{
    static struct buf out; // one thread
    const struct sim_reply *reply = &x->reply;
    size_t length = reply->ending == SIM_WHOLE ? reply->body.len
                    : reply->ending == SIM_CUT ? reply->body.len / 2
                                               : 0;
    buf_clear(&out);
    buf_append(&out, (char[LWS_PRE]){0}, LWS_PRE);
    buf_printf(&out, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n", reply->status,
               reply->status < 300 ? "OK" : "Refused");
    if (reply->status != 204) // RFC 9110 section 8.6
        buf_printf(&out, "Content-Length: %zu\r\n", reply->body.len);
    if (reply->retry_after[0] != '\0')
        buf_printf(&out, "Retry-After: %s\r\n", reply->retry_after);
    if (reply->location[0] != '\0')
        buf_printf(&out, "Location: %s\r\n", reply->location);
    buf_append_text(&out, "\r\n");
    if (reply->status != 204)
        buf_append(&out, reply->body.data, length);
    return lws_write(wsi, (unsigned char *)out.data + LWS_PRE, out.len - LWS_PRE,
                     LWS_WRITE_HTTP_FINAL) < 0
               ? -1
               : 0;
}

static int finish(struct lws *wsi, struct exchange *x)
{
    enum sim_ending ending = x->reply.ending;
    int result = send_answer(wsi, x);
    x->ready = false;
    buf_clear(&x->reply.body);
    buf_clear(&x->request);
    buf_shrink(&x->request, BODY_KEEP);
    if (result != 0)
        return result;
    if (ending == SIM_STALL) { // until the client has enough of it
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
        return 0;
    }
    if (ending == SIM_CUT) {
        sim_reset_at_close(wsi);
        return -1;
    }
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static void on_delay(void *owner)
{
    struct exchange *x = owner;
    x->ready = true;
    lws_callback_on_writable(x->wsi);
}

static const char *method_name(struct lws *wsi)
{
    static const char *const names[] = {
        [LWSHUMETH_GET] = "GET",         [LWSHUMETH_POST] = "POST",
        [LWSHUMETH_OPTIONS] = "OPTIONS", [LWSHUMETH_PUT] = "PUT",
        [LWSHUMETH_PATCH] = "PATCH",     [LWSHUMETH_DELETE] = "DELETE",
        [LWSHUMETH_CONNECT] = "CONNECT", [LWSHUMETH_HEAD] = "HEAD",
    };
    char *uri;
    int length, method = lws_http_get_uri_and_method(wsi, &uri, &length);
    return method >= 0 && (size_t)method < sizeof(names) / sizeof(names[0]) ? names[method] : "";
}

static bool ask_rest(struct sim *sim, struct lws *wsi, struct exchange *x)
{
    static const char key_name[] = "idempotency-key:";
    char authorization[8192] = "", key[256] = "";
    struct sim_request request = {
        .method = method_name(wsi),
        .path = x->path,
        .authorization = authorization,
        .key = key,
        .body = buf_text(&x->request),
        .length = x->request.len,
    };
    lws_hdr_copy(wsi, authorization, sizeof(authorization), WSI_TOKEN_HTTP_AUTHORIZATION);
    lws_hdr_custom_copy(wsi, key, sizeof(key), key_name, sizeof(key_name) - 1);
    return sim_rest_answer(sim, &request, &x->reply);
}

static void answer(struct sim *sim, struct lws *wsi, struct exchange *x)
{
    struct sim_reply *reply = &x->reply;
    if (x->too_long)
        reply->status = 413;
    else if (strncmp(x->path, "/sim/", 5) == 0)
        reply->status = sim_control(sim, wsi, x->path, &reply->body);
    else if (ask_rest(sim, wsi, x))
        ;
    else if (strstr(x->path, "token") != NULL)
        sim_token_answer(sim, wsi, buf_text(&x->request), reply);
    else
        reply->status = 404;
}

int http_on_body_end(struct sim *sim, struct lws *wsi, struct exchange *x)
{
    if (x->answered)
        return 0;
    x->answered = true;
    answer(sim, wsi, x);
    if (x->reply.delay <= 0)
        return finish(wsi, x);
    x->wsi = wsi;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    timer_init(&x->delay, sim->loop, "slow answer", on_delay, x);
    timer_start(&x->delay, (int64_t)(x->reply.delay * 1e6));
    return 0;
}

// curl waits a second for this before it sends a large body.
static int tell_to_continue(struct lws *wsi)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    unsigned char room[LWS_PRE + sizeof(text)];
    memcpy(room + LWS_PRE, text, sizeof(text) - 1);
    return lws_write(wsi, room + LWS_PRE, sizeof(text) - 1, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

static bool is_chunked(struct lws *wsi)
{
    return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
}

int http_on_request(struct sim *sim, struct lws *wsi, struct exchange *x, const char *uri)
{
    struct buf body = x->reply.body;
    char length[24] = "";
    snprintf(x->path, sizeof(x->path), "%s%s", uri[0] == '/' ? "" : "/", uri);
    lws_hdr_copy(wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH);
    x->request.max = BODY_MAX + 1;
    x->answered = x->too_long = x->ready = false;
    x->reply = (struct sim_reply){.body = body};
    if (is_chunked(wsi)) { // libwebsockets does not take it apart
        x->answered = true;
        x->reply.status = 411;
        finish(wsi, x);
        return -1;
    }
    if (atoll(length) <= 0)
        return http_on_body_end(sim, wsi, x);
    return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_EXPECT) > 0 ? tell_to_continue(wsi) : 0;
}

int http_on_body(struct exchange *x, const void *data, size_t length)
{
    if (x->too_long || x->request.len + length > BODY_MAX) {
        x->too_long = true;
        buf_clear(&x->request);
    } else if (!buf_append(&x->request, data, length)) {
        return -1;
    }
    return 0;
}

int http_on_writable(struct lws *wsi, struct exchange *x)
{
    return x->ready ? finish(wsi, x) : 0;
}

void http_free(struct exchange *x)
{
    if (x->delay.loop != NULL)
        timer_stop(&x->delay);
    buf_deinit(&x->request);
    buf_deinit(&x->reply.body);
}
