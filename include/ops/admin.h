// SPDX-License-Identifier: Apache-2.0
// The admin endpoint: the status page, /metrics, /healthz, /readyz and /api/status over HTTP, and
// /api/live over WebSocket, on a TCP address and on the control socket. Over TCP read only. Over
// TCP, Host headers other than a loopback name or the configured address are refused (DNS
// rebinding; any address is taken where all are listened on), and where there is a token it is
// wanted as "Authorization: Bearer", but for /healthz. The control socket alone takes changes
// (POST): its mode says who may write to it, and the kernel says who did.
#ifndef CXSINK_OPS_ADMIN_H
#define CXSINK_OPS_ADMIN_H

#include "core/status.h"

#include <stdbool.h>
#include <stdint.h>

struct admin;
struct buf;
struct loop;

// What a viewer of /api/live has seen.
struct admin_mark {
    uint64_t seen[3];
};

// A change that is asked for.
struct admin_change {
    const char *path;        // "/api/resume"
    const char *const *args; // "name=value", decoded; NULL ends them
    long uid, gid, pid;      // of the process that connected (unix(7), SO_PEERCRED)
};
// NULL: it is not among the arguments.
const char *admin_change_argument(const struct admin_change *change, const char *name);

struct admin_callbacks {
    // Appends the status as one JSON object.
    void (*status)(void *owner, struct buf *out);
    // Whether everything is well; otherwise appends a JSON array of reasons (strings).
    bool (*ready)(void *owner, struct buf *reasons);
    // Appends the metrics as Prometheus text.
    void (*metrics)(void *owner, struct buf *out);
    // Appends one JSON object with the status and what is new since the mark (zeros: everything),
    // and moves the mark. Its meaning is the owner's.
    void (*live)(void *owner, struct admin_mark *mark, struct buf *out);
    // Changes something, appends one JSON object and returns the HTTP status. May be NULL.
    int (*change)(void *owner, const struct admin_change *change, struct buf *out);
};

struct admin_settings {
    const char *host;        // address to listen on, or "localhost"; NULL: no TCP listener
    unsigned short port;     // 0: any free one
    const char *token;       // NULL: none is asked for
    const char *socket_path; // of the control socket (mode 0660); NULL: none
};

// The strings must outlive it, the path excepted. NULL with a sentence when an address cannot be
// listened on: STATUS_BUSY in use, STATUS_INVALID not this machine's or too long a path,
// STATUS_DENIED, else STATUS_IO.
struct admin *admin_create(struct loop *loop, const struct admin_settings *settings,
                           const struct admin_callbacks *callbacks, void *owner,
                           struct status *st) STATUS_MUST_CHECK;
// Before the loop is destroyed. Removes the control socket. libwebsockets gives addresses back only
// with the loop: until then connections are closed, and another endpoint wants other addresses.
void admin_destroy(struct admin **admin);
// Once a second: sends the viewers what is new, closes connections that are slow to ask or to take
// their answer.
void admin_tick(struct admin *admin);
// The TCP port in use, 0 when there is none.
unsigned short admin_port(const struct admin *admin);

#endif
