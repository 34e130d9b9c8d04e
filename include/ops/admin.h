// SPDX-License-Identifier: Apache-2.0
// The admin endpoint: /metrics, /healthz, /readyz and /api/status over HTTP, on a TCP address and
// on the control socket. Read only; foreign Host headers are refused (DNS rebinding), and a TCP
// address that has a token wants it as "Authorization: Bearer".
#ifndef CXSINK_OPS_ADMIN_H
#define CXSINK_OPS_ADMIN_H

#include "core/status.h"

#include <stdbool.h>

struct admin;
struct buf;
struct loop;

struct admin_callbacks {
    // Appends the status as one JSON object.
    void (*status)(void *owner, struct buf *out);
    // Whether everything is well; otherwise appends a JSON array of reasons (strings).
    bool (*ready)(void *owner, struct buf *reasons);
    // Appends the metrics as Prometheus text.
    void (*metrics)(void *owner, struct buf *out);
};

struct admin_settings {
    const char *host;        // address to listen on; NULL: no TCP listener
    unsigned short port;     // 0: any free one
    const char *token;       // NULL: none is asked for
    const char *socket_path; // of the control socket (mode 0660); NULL: none
};

// The strings must outlive it. NULL with a sentence when an address cannot be bound.
struct admin *admin_create(struct loop *loop, const struct admin_settings *settings,
                           const struct admin_callbacks *callbacks, void *owner,
                           struct status *st) STATUS_MUST_CHECK;
// Before the loop is destroyed.
void admin_destroy(struct admin **admin);
// The TCP port in use, 0 when there is none.
unsigned short admin_port(const struct admin *admin);

#endif
