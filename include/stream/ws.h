// SPDX-License-Identifier: Apache-2.0
// One WebSocket client (RFC 6455) over libwebsockets: translates the library's callbacks to five
// typed events. It decides nothing: retries, tokens, deadlines and message joining are
// stream/session's.
//
// A struct ws is an endpoint (a vhost of its own with its TLS context) with at most one connection
// at a time; a further attempt reuses it. No event comes from within a call to a ws_ function;
// every ws_ function may be called inside an event. An attempt or connection ends with exactly one
// `end` event, however many ways the library has of saying so; after ws_drop() and ws_destroy()
// none comes.
#ifndef CXSINK_STREAM_WS_H
#define CXSINK_STREAM_WS_H

#include "core/status.h"
#include "net/tls.h"
#include "stream/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_pairs;
struct loop;
struct ws;

// Of a piece of a message. A piece with both FIRST and FINAL is a whole message.
#define WS_FIRST 1u
#define WS_FINAL 2u
#define WS_BINARY 4u

enum ws_end_kind {
    WS_END_CONNECT, // no TCP connection, or it ended before the handshake was answered
    WS_END_TLS,     // the TLS handshake failed; `detail` names the check of the certificate
    WS_END_REFUSED, // the handshake was answered with another status than 101
    WS_END_CLOSED,  // the far side sent a close frame
    WS_END_LOST,    // the open connection ended without a close frame, or broke the protocol
    WS_END_LOCAL,   // ended after ws_close()
};

struct ws_end {
    enum ws_end_kind kind;
    int close_code;         // WS_END_CLOSED: as received, 1005 when the frame held none
    int http_status;        // WS_END_REFUSED
    int64_t retry_after_us; // WS_END_REFUSED: from Retry-After (seconds or date); -1: none
    char detail[256];       // printable ASCII; may quote the far side's close reason
};

struct ws_callbacks {
    // The handshake is done.
    void (*open)(void *owner);
    // A piece of a message in order, valid during the call. A control frame between the pieces is
    // not seen here. The length may be 0. Invalid UTF-8 is passed on.
    void (*data)(void *owner, const char *data, size_t length, unsigned flags);
    void (*pong)(void *owner);
    void (*end)(void *owner, const struct ws_end *end);
};

struct ws_settings {
    const char *name;           // of the vhost; copied
    const struct ws_url *url;   // copied
    struct tls_settings tls;    // read by ws_create only
    int64_t connect_timeout_us; // the library's own outer bound; the caller has the exact one
};

// NULL with a sentence when the TLS files cannot be used.
struct ws *ws_create(struct loop *loop, const struct ws_settings *settings,
                     const struct ws_callbacks *callbacks, void *owner,
                     struct status *st) STATUS_MUST_CHECK;
// Drops the connection; the memory goes when libwebsockets has let go of the vhost, some turns
// later. Must come before loop_destroy().
void ws_destroy(struct ws **ws);

// One attempt. All of it must stay until `open` or `end`, except `address`.
struct ws_request {
    const char *address; // numeric: the library would look a name up and freeze the loop
    const char *bearer;  // NULL: none
    const struct config_pairs *headers; // without Authorization when `bearer` is given
};
// Drops a connection that is there.
void ws_connect(struct ws *ws, const struct ws_request *request);

// Sends a PING as soon as the socket takes it; not when the far side has ended its direction, where
// what it sent before is still to be read.
void ws_ping(struct ws *ws);
// Sends a close frame and waits for the far side's (the caller bounds the wait, then ws_drop()).
void ws_close(struct ws *ws, int code);
// Ends it without a word and without an event.
void ws_drop(struct ws *ws);
// No data event follows the pause, also not from what was already read, until the resume.
void ws_pause(struct ws *ws);
void ws_resume(struct ws *ws);
// Whether the socket holds bytes that were not read yet.
bool ws_unread(const struct ws *ws);

// Microseconds of a Retry-After value (RFC 9110 section 10.2.3), `wall_us` being now; -1 when it is
// neither a number of seconds nor a date.
int64_t ws_retry_after(const char *text, int64_t wall_us);

#endif
