// SPDX-License-Identifier: Apache-2.0
// What the files of the admin endpoint share. admin.c listens and routes; admin_http.c is the
// library's callback and the answers; admin_live.c the viewers of /api/live; admin_guard.c says who
// is served; admin_address.c asks the kernel whether an address can be listened on.
//
// Structure: a struct admin owns up to two gates (TCP, control socket); a gate has a vhost and a
// list of struct connection, one for each socket that is open.
#ifndef CXSINK_OPS_ADMIN_PRIV_H
#define CXSINK_OPS_ADMIN_PRIV_H

#include "core/buf.h"
#include "core/clock.h"
#include "core/status.h"
#include "ops/admin.h"

#include <stdbool.h>
#include <stddef.h>

struct lws;
struct lws_protocols;
struct lws_vhost;

// Connections that a gate has at most; one more is closed at once.
#define ADMIN_CONNECTIONS_MAX 128
// From connecting, or the last answer, to the end of the next request's headers.
#define ADMIN_REQUEST_US (15 * US_PER_S)
// From a request to the last byte of its answer.
#define ADMIN_ANSWER_US (30 * US_PER_S)
// Longest path with its query.
#define ADMIN_URL_MAX 2048
// Viewers of /api/live that a gate has at most.
#define ADMIN_VIEWERS_MAX 32
// From the handshake to the message with the token.
#define ADMIN_TOKEN_US (5 * US_PER_S)
// From a snapshot being there to its being taken.
#define ADMIN_SNAPSHOT_US (10 * US_PER_S)
// Longest message of a viewer.
#define ADMIN_MESSAGE_MAX 4096

struct admin {
    struct loop *loop;
    struct admin_settings settings;
    struct admin_callbacks callbacks;
    void *owner;
    struct gate *tcp, *control; // NULL: none
    uint64_t ticks;
    // The last snapshot that was made, for all who wait for the same.
    struct {
        struct buf text; // with LWS_PRE bytes of room in front
        uint64_t tick;
        struct admin_mark from, to;
    } snapshot;
};

// A place that is listened on. libwebsockets keeps a vhost, and connections may end, until after
// the endpoint is gone: the vhost frees it.
struct gate {
    struct admin *admin; // NULL: gone
    struct lws_vhost *vhost;
    char *interface; // address or path; libwebsockets keeps the pointer
    bool trusted;    // the control socket: asks for no token
    struct connection *first;
    unsigned n_connections, n_viewers;
};

// X(identifier, sentence): what a connection is to /api/live.
#define LIVE_STATES(X)                         \
    X(NONE, "plain HTTP")                      \
    X(TOKEN, "waits for the token to be sent") \
    X(VIEWING, "gets snapshots")               \
    X(REFUSED, "gets a close frame, and its end")

enum live_state {
#define LIVE_ENUM(id, sentence) LIVE_##id,
    LIVE_STATES(LIVE_ENUM)
#undef LIVE_ENUM
};

// A socket, from its acceptance to its end.
struct connection {
    struct gate *gate;
    struct lws *wsi;
    struct connection *previous, *next;
    struct mono deadline; // when it is closed; 0: it has none
    struct buf body;      // the answer that is being sent, with LWS_PRE bytes of room in front
    size_t sent;
    bool head; // the headers are all that is sent
    bool last; // the connection ends after this answer
    // Of a viewer:
    enum live_state live;
    bool waits; // for a snapshot to be taken
    bool known; // brought the token with the handshake, or none is asked for
    int close_code;
    const char *close_reason;
    struct buf message; // that is being received
    struct admin_mark mark;
};

struct admin_answer {
    int status;
    const char *type;
};

// --- admin.c ---

struct admin_answer admin_route(struct admin *admin, const char *path, struct buf *body);
// Whether it is served to whoever may reach the endpoint: it holds no data.
bool admin_is_public(const char *path);
struct admin_answer admin_refuse(struct buf *body, int status, const char *why);

// --- admin_http.c ---

const struct lws_protocols *admin_protocols(void);
// Closes the connections whose time is over.
void admin_sweep(struct gate *gate, struct mono now);

// The connection's deadline is so much from now.
void admin_set_deadline(struct connection *c, int64_t after_us);
// Who asks, by the headers.
struct admin_asker {
    const char *refused; // NULL: not at all
    int status;          // of the refusal
    bool known;          // needs no token, or brings it
};
struct admin_asker admin_who_asks(const struct gate *gate, struct lws *wsi);

// --- admin_live.c: the callbacks of a WebSocket; non-zero closes ---

int admin_live_handshake(struct connection *c);
int admin_live_established(struct connection *c);
int admin_live_received(struct connection *c, const char *data, size_t length);
int admin_live_writable(struct connection *c);
// Of a connection that ends.
void admin_live_ended(struct connection *c);
void admin_live_tick(struct gate *gate);

// --- admin_change.c ---

struct admin_answer admin_change(struct admin *admin, struct lws *wsi, const char *path,
                                 struct buf *body);

// --- admin_guard.c: pure ---

// Whether a Host header's name, without port and brackets, is a loopback name or `own`, the
// configured one. Where `own` is every address, any address is: only names can be rebound.
bool admin_guard_host(const char *own, const char *host);
// Whether the page that asks came from here: no Origin header (""), or one whose authority is that
// of the Host header (RFC 6454 section 7).
bool admin_guard_origin(const char *origin, const char *host);
// Whether they are the same, in a time that does not tell how much of it was right.
bool admin_guard_token(const char *token, const char *given, size_t length);
// Whether an Authorization header brings the token. `token` NULL: none is asked for.
bool admin_guard_bearer(const char *token, const char *header);

// --- admin_address.c ---
// libwebsockets takes an address that is not here for an interface that is yet to come, and waits
// for it; it does not say why it failed; and 4.1 reads freed memory at the next vhost after one
// that failed.

// "localhost" as an address, others as they are.
const char *admin_numeric(const char *host);
// STATUS_BUSY: in use. STATUS_INVALID: not this machine's. STATUS_DENIED: not without a privilege.
enum status_code admin_check_address(const char *host, unsigned short port,
                                     struct status *st) STATUS_MUST_CHECK;
// Removes what is at the path, as libwebsockets does. STATUS_INVALID: too long. STATUS_IO: other
// faults.
enum status_code admin_check_socket(const char *path, struct status *st) STATUS_MUST_CHECK;

#endif
