// SPDX-License-Identifier: Apache-2.0
// cxsink-sim: a CXone tenant in one process, for trying things out and for load: token endpoint in
// every variant, event stream over WebSocket, faults on request. Not part of the daemon.
//
// Structure: a struct sim is the tenant: its settings, what it will do wrong next, its counts. Each
// WebSocket client is a struct sim_client. Events are numbered; event n is always the same bytes,
// so that after a broken connection the stream simply starts again some megabytes earlier, as CXone
// delivers again what it is not sure of.
#ifndef CXSINK_SIM_SIM_H
#define CXSINK_SIM_SIM_H

#include "core/buf.h"
#include "core/loop.h"
#include "core/timer.h"

#include <stdbool.h>
#include <stdint.h>

struct lws;

struct sim_settings {
    const char *host;
    unsigned short port;                   // 0: any free one
    const char *cert, *key;                // PEM; NULL: no TLS
    const char *client_id, *client_secret; // NULL: any
    const char *port_file;                 // the port in use is written here
    bool no_auth;                          // the stream takes any client
    double rate;                           // events/s, 0: as fast as they are taken
    uint64_t count;                        // events in all, 0: no end
    unsigned size;                         // bytes of an event, about; 0: the default of 230
    double duplicates;                     // percent: the same event again
    double older;                          // percent: an older version of an event that was sent
    double malformed;                      // percent: events that must be rejected
    double expires_in;                     // seconds a token lives
    uint64_t seed;
    int64_t shift_ms; // added to every timestamp: with the same seed, newer versions of all events
    bool exit_when_done; // ends when everything was sent and the clients are gone
    bool paused;         // sends nothing until told to
};

// What is done wrong the next `times` times.
struct sim_fault {
    unsigned times;
    int status;   // HTTP status; 0: none
    double delay; // seconds before the answer
    char retry_after[64];
    char body[512]; // "": a default
};

struct sim_counts {
    uint64_t next;                                 // number of the next event
    uint64_t high;                                 // events sent for the first time: 0 to high - 1
    uint64_t unique, duplicates, older, malformed; // of those
    uint64_t resent;                               // events sent again after a broken connection
    uint64_t connections, refused, tokens;
};

struct sim {
    struct sim_settings settings;
    struct loop *loop;
    struct timer pace;
    struct sim_counts counts;
    struct sim_fault token_fault, stream_fault;
    struct sim_client *clients;
    struct lws_vhost *vhost;
    double credit; // events that the rate allows now
    struct mono credited;
};

// event.c
enum sim_kind { SIM_UNIQUE, SIM_DUPLICATE, SIM_OLDER, SIM_MALFORMED };
// Appends event `n` as one WebSocket frame (RFC 6455 section 5.2, unmasked).
enum sim_kind sim_event_frame(const struct sim *sim, uint64_t n, struct buf *out);

// tokens.c: the answer to a token request; whatever variant of cxone-api it is.
int sim_token_answer(struct sim *sim, struct lws *wsi, const char *body, struct buf *out);
bool sim_token_valid(const struct sim *sim, const char *authorization);

// control.c: /sim/...
int sim_control(struct sim *sim, struct lws *wsi, const char *path, struct buf *out);
// A query parameter as text; false when it is not there.
bool sim_query(struct lws *wsi, const char *name, char *value, unsigned size);

// server.c
bool sim_listen(struct sim *sim);
enum sim_action { SIM_CLOSE, SIM_RESET, SIM_SILENCE, SIM_SPEAK, SIM_GARBAGE };
// To every connected client. `code` and `text` are for SIM_CLOSE.
void sim_act(struct sim *sim, enum sim_action action, int code, const char *text);
// After rate, count or pause changed: clients go on.
void sim_wake(struct sim *sim);
unsigned sim_clients(const struct sim *sim);

#endif
