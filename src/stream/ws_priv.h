// SPDX-License-Identifier: Apache-2.0
// What ws.c (life, requests) and ws_event.c (the library's callbacks) share.
//
// Structure: a struct ws owns a vhost, which libwebsockets destroys when its last connection has
// gone; the struct is freed by the vhost's finalizer, so no callback ever meets freed memory.
// `wsi` is the current attempt or connection. Dying ones of the past still call back; they are told
// apart by their pointer (and, until the library has named the pointer, by the attempt's number)
// and are ignored.
#ifndef CXSINK_STREAM_WS_PRIV_H
#define CXSINK_STREAM_WS_PRIV_H

#include "stream/ws.h"

#include <libwebsockets.h>

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

extern const struct lws_protocols ws_protocols[];

// Nothing is current any more, and a pending end event is taken back.
void ws_forget(struct ws *ws);
// The one exit of a connection: whichever of the library's signals comes first wins.
void ws_over(struct ws *ws, const struct ws_end *end);

#endif
