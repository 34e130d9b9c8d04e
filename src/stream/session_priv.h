// SPDX-License-Identifier: Apache-2.0
// What the files of stream/session share.
//
// Structure: a struct session owns a struct ws, the lookup in flight, the bearer of the attempt and
// its timers. session.c has the states; session_rx.c joins, offers and keeps messages and pauses;
// session_watch.c has pings and the idle deadline; session_end.c words an ending and decides when
// the next attempt comes.
#ifndef CXSINK_STREAM_SESSION_PRIV_H
#define CXSINK_STREAM_SESSION_PRIV_H

#include "config/load.h"
#include "core/backoff.h"
#include "core/buf.h"
#include "core/loop.h"
#include "core/timer.h"
#include "stream/session.h"
#include "stream/url.h"
#include "stream/ws.h"

// How much of a message over the cap is handed on.
#define SESSION_HEAD_MAX 65536

struct session_rx {
    struct buf joined;             // of a message in several pieces; reused
    struct buf kept;               // the message that met SESSION_PAUSE
    enum session_frame kept_frame; // its kind
    bool has_kept;                 // outlives the connection: it was received
};

struct session {
    struct loop *loop;
    struct resolver *resolver;
    const struct config_stream *config;
    const struct session_callbacks *callbacks;
    void *owner;
    struct ws_url url;
    struct ws *ws; // NULL after session_destroy()

    enum session_state state;
    bool stopping; // CLOSING because of session_stop()
    char *bearer;  // of this attempt; wiped when it ends
    struct resolve_request *lookup;
    size_t rotation;  // which of the host's addresses is next
    char address[64]; // of this attempt; "" before it is known
    struct session_rx rx;

    struct timer attempt; // RESOLVING, CONNECTING: connect_timeout
    struct timer closing; // CLOSING: bound of the close handshake
    struct timer retry;   // BACKOFF
    struct timer stable;  // LIVE, PAUSED: until the backoff starts over
    struct timer ping;    // LIVE, PAUSED
    struct timer pong;    // LIVE: runs while a PING is unanswered
    struct timer idle;    // LIVE, PAUSED
    struct mono last_data;
    uint64_t bytes_since_ping;

    struct backoff backoff; // connections lost
    struct backoff refused; // handshakes refused with 401 or 403
    bool was_stable;        // the connection lasted for reconnect.stable
    bool token_closed;      // the last stable connection was followed by a token close already

    struct session_end end; // the last one; while CLOSING: the one to report
    bool has_end;
};

// --- session.c ---
void session_set_state(struct session *s, enum session_state to);
// An attempt or a connection is over, or no token came: the one exit towards BACKOFF and STOPPED.
// `retry_after_us` as the server asked for; -1: it did not.
void session_over(struct session *s, const struct session_end *end, int64_t retry_after_us);
// Starts closing with `code`; `end` is reported when that is done or took too long.
void session_close(struct session *s, int code, const struct session_end *end);
bool session_is_open(const struct session *s);

// --- session_rx.c ---
void session_on_data(struct session *s, const char *data, size_t length, unsigned flags);
void session_rx_deinit(struct session_rx *rx);

// --- session_watch.c ---
void session_watch_init(struct session *s);
void session_watch_start(struct session *s);
void session_watch_stop(struct session *s);
void session_watch_pause(struct session *s);
void session_watch_resume(struct session *s);
void session_on_pong(struct session *s);

// --- session_end.c ---
struct session_end session_end_make(const char *label, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct session_end session_end_of_ws(const struct session *s, const struct ws_end *end);
bool session_end_refuses_token(const struct session *s, const struct session_end *end);
// Microseconds until the next attempt; -1: none. Counts the attempt.
int64_t session_retry_delay(struct session *s, const struct session_end *end,
                            int64_t retry_after_us);

#endif
