// SPDX-License-Identifier: Apache-2.0
// One stream: get a token, resolve, connect, live, back off, pause, for ever. The WebSocket itself
// is stream/ws; this is the state machine above it. It never gives up by itself, except that a
// normal close (1000) ends it where the configuration says so.
#ifndef CXSINK_STREAM_SESSION_H
#define CXSINK_STREAM_SESSION_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_stream;
struct loop;
struct resolver;
struct session;

// X(identifier, name, sentence)
#define SESSION_STATES(X)                                            \
    X(IDLE, "idle", "not started")                                   \
    X(TOKEN, "token", "waiting for a token")                         \
    X(RESOLVING, "resolving", "looking the host's name up")          \
    X(CONNECTING, "connecting", "TCP, TLS and WebSocket handshake")  \
    X(LIVE, "live", "receiving")                                     \
    X(PAUSED, "paused", "connected, not reading: the spool is full") \
    X(CLOSING, "closing", "close frame sent, waiting for the end")   \
    X(BACKOFF, "backoff", "waiting for the next attempt")            \
    X(STOPPED, "stopped", "ended by a normal close or by a stop")

enum session_state {
#define SESSION_ENUM(id, name, sentence) SESSION_##id,
    SESSION_STATES(SESSION_ENUM)
#undef SESSION_ENUM
};

enum session_frame { SESSION_TEXT, SESSION_BINARY, SESSION_TOO_LARGE };

// What a message met; PAUSE: it was not taken, keep it and stop reading until session_resume().
enum session_verdict { SESSION_TAKEN, SESSION_PAUSE };

// Why a connection is over or an attempt failed.
struct session_end {
    int close_code;  // of WebSocket; 0: none was received
    int http_status; // of a refused handshake; 0: none
    bool was_live;
    char label[24]; // for the metric: "1006" (lost), "1005" (no code), "4001", "http_401", "dns",
                    // "connect", "tls", "token" (none came), "timeout", "ping_timeout",
                    // "idle_timeout" (no data; pongs do not count), "too_large"
    char detail[STATUS_DETAIL_MAX];
    int64_t retry_in_us; // until the next attempt; -1: none
};

// `message`, `connected` and `ended` may call any session_ function, session_destroy() too; the
// others only session_token() within need_token.
struct session_callbacks {
    // A whole message (fragments joined), or the first 64 KiB of one over the cap. Valid during
    // the call only; on SESSION_PAUSE the session keeps the message and offers it again.
    enum session_verdict (*message)(void *owner, enum session_frame frame, const char *data,
                                    size_t length);
    // The session wants a bearer token and will get session_token() later; not called without auth.
    void (*need_token)(void *owner);
    // The far side refused this token, or closed for its expiry.
    void (*token_refused)(void *owner, const char *bearer);
    void (*state)(void *owner, enum session_state from, enum session_state to);
    void (*connected)(void *owner);
    void (*ended)(void *owner, const struct session_end *end);
};

// libwebsockets' context comes from the loop; `config`, `callbacks` and `resolver` must outlive the
// session, and session_destroy() must come before loop_destroy(). The vhost and the TLS context of
// the stream are the session's own.
struct session *session_create(struct loop *loop, struct resolver *resolver,
                               const struct config_stream *config,
                               const struct session_callbacks *callbacks, void *owner,
                               struct status *st) STATUS_MUST_CHECK;
void session_destroy(struct session **session);

void session_start(struct session *session);
// Closes with code 1001 and goes to STOPPED: at once when not connected, else within 2 s. A message
// that was kept because of SESSION_PAUSE stays until session_resume() or session_destroy().
void session_stop(struct session *session);
// Hands over a token, or NULL with the reason: then it backs off and asks again.
void session_token(struct session *session, const char *bearer, const struct status *st);
// There is room again: offers the kept message, then reads on. Not within `message`.
void session_resume(struct session *session);

enum session_state session_state(const struct session *session);
const char *session_state_name(enum session_state state);
const char *session_state_sentence(enum session_state state);
// The last end since the last time it was live; NULL when there is none.
const struct session_end *session_last_end(const struct session *session);
// Microseconds until the next attempt in BACKOFF, else 0.
int64_t session_retry_in_us(const struct session *session);

#endif
