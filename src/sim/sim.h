// SPDX-License-Identifier: Apache-2.0
// cxsink-sim: a CXone tenant in one process, for trying things out and for load: token endpoint in
// every variant, event stream over WebSocket, the REST operations of jobs, faults on request. Not
// part of the daemon.
//
// Structure: a struct sim is the tenant: its settings, what it will do wrong next, its counts. Each
// WebSocket client is a struct sim_client, each plain request a struct exchange. Events are
// numbered; event n is always the same bytes, so that after a broken connection the stream simply
// starts again some megabytes earlier, as CXone delivers again what it is not sure of. A struct
// sim_rest is what REST requests changed: effects by Idempotency-Key, and documents.
#ifndef CXSINK_SIM_SIM_H
#define CXSINK_SIM_SIM_H

#include "core/buf.h"
#include "core/loop.h"
#include "core/timer.h"
#include "json/tape.h"

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

// How an answer ends.
enum sim_ending {
    SIM_WHOLE,
    SIM_CUT,   // a reset in the middle of the body
    SIM_STALL, // the headers, and then nothing
};

// What is done wrong the next `times` times, after `skip` times right. The last members are for
// REST.
struct sim_fault {
    unsigned times;
    int status;   // HTTP status; 0: none
    double delay; // seconds before the answer
    char retry_after[64];
    char body[512]; // "": a default
    unsigned skip;
    double retry_at;    // Retry-After as an HTTP date so many seconds ahead; 0: none
    char location[256]; // "": none
    enum sim_ending ending;
    bool effect; // what was asked for is done all the same
};

struct sim_reply {
    int status;
    struct buf body; // JSON
    char retry_after[64];
    char location[256];
    double delay; // seconds
    enum sim_ending ending;
};

struct sim_counts {
    uint64_t next;                                 // number of the next event
    uint64_t high;                                 // events sent for the first time: 0 to high - 1
    uint64_t unique, duplicates, older, malformed; // of those
    uint64_t resent;                               // events sent again after a broken connection
    uint64_t connections, refused, tokens;
    uint64_t revoked; // tokens up to this number are refused
};

// The operations, by the names that an action's "paths" has for them.
// X(identifier, name)
#define SIM_SURFACE_LIST(X) \
    X(INVOKE, "invoke")     \
    X(STATUS, "status")     \
    X(EXECUTE, "execute")   \
    X(VERSION, "version")   \
    X(HEALTH, "health")     \
    X(UPDATE, "update")     \
    X(READ, "read")

#define SIM_SURFACE_ENUM(identifier, name) SIM_##identifier,
enum sim_surface { SIM_SURFACE_LIST(SIM_SURFACE_ENUM) SIM_SURFACES };
#undef SIM_SURFACE_ENUM

// What a request with an effect did: the first of its Idempotency-Key (any without one).
struct sim_effect {
    uint64_t key;      // hash of surface and key
    uint32_t next;     // in its bucket: index + 1; 0: none
    uint32_t requests; // with this key
    uint32_t polls;    // of an invocation, until it ends
    uint64_t number;   // from 1
};

// The last SIM_EFFECTS_MAX effects; older ones are forgotten, so that a repetition of them would
// happen again.
#define SIM_EFFECTS_MAX (1u << 20)
struct sim_effects {
    struct sim_effect *ring; // NULL until the first
    uint32_t *buckets;
    uint64_t made;
};

// JSON texts by name: versions' states and actions' configurations; the last SIM_DOCUMENTS_MAX,
// each of at most SIM_DOCUMENT_BYTES.
#define SIM_DOCUMENTS_MAX 1024
#define SIM_DOCUMENT_BYTES 65536
struct sim_documents {
    struct {
        uint64_t name; // hash
        char *text;    // owned
    } items[SIM_DOCUMENTS_MAX];
    uint64_t made;
};

struct sim_rest {
    struct sim_fault faults[SIM_SURFACES];
    unsigned polls;       // of a new invocation until it ends
    char invocation[16];  // how it ends; "": COMPLETED
    char publish[32];     // a PATCH answers this status and changes nothing; "": it publishes
    unsigned wrong_reads; // configurations that read back another value
    uint64_t requests[SIM_SURFACES], done[SIM_SURFACES]; // done: effects
    uint64_t duplicates, refused, faulty;
    struct sim_effects effects;
    struct sim_documents documents;
    struct tape tape; // of the request's body
};

struct sim {
    struct sim_settings settings;
    struct loop *loop;
    struct timer pace;
    struct sim_counts counts;
    struct sim_fault token_fault, stream_fault;
    struct sim_client *clients;
    struct sim_rest rest;
    struct lws_vhost *vhost;
    double credit; // events that the rate allows now
    struct mono credited;
};

// event.c
enum sim_kind { SIM_UNIQUE, SIM_DUPLICATE, SIM_OLDER, SIM_MALFORMED };
// Appends event `n` as one WebSocket frame (RFC 6455 section 5.2, unmasked).
enum sim_kind sim_event_frame(const struct sim *sim, uint64_t n, struct buf *out);

// tokens.c: the answer to a token request; whatever variant of cxone-api it is.
void sim_token_answer(struct sim *sim, struct lws *wsi, const char *body, struct sim_reply *reply);
bool sim_token_valid(const struct sim *sim, const char *authorization);

// effects.c
struct sim_effect *sim_effect_find(const struct sim_effects *effects, uint64_t key);
struct sim_effect *sim_effect_add(struct sim_effects *effects, uint64_t key);
void sim_effects_deinit(struct sim_effects *effects);
const char *sim_document_find(const struct sim_documents *documents, const char *name);
// False when it is too long.
bool sim_document_put(struct sim_documents *documents, const char *name, const char *text,
                      size_t length);
void sim_documents_deinit(struct sim_documents *documents);

// rest.c
struct sim_request {
    const char *method, *path; // decoded, without the query
    const char *authorization; // the header; "": none
    const char *key;           // Idempotency-Key; "": none
    const char *body;
    size_t length;
};
void sim_rest_init(struct sim_rest *rest);
void sim_rest_deinit(struct sim_rest *rest);
// False when the path is none of the operations'.
bool sim_rest_answer(struct sim *sim, const struct sim_request *request, struct sim_reply *reply);
// The effect of a key, on whatever surface; NULL: none, or forgotten.
const struct sim_effect *sim_rest_effect(const struct sim_rest *rest, const char *key);
const char *sim_surface_name(enum sim_surface surface);

// control.c: /sim/...; returns the status
int sim_control(struct sim *sim, struct lws *wsi, const char *path, struct buf *out);
// A query parameter as text; false when it is not there.
bool sim_query(struct lws *wsi, const char *name, char *value, unsigned size);

// http.c: plain requests
struct sim_client;
// One connection, of either protocol.
struct exchange {
    struct sim_client *client; // of the stream
    struct buf request;
    struct sim_reply reply;
    char path[1024];
    bool answered; // libwebsockets tells of an empty body too
    bool too_long; // the body, which is read and thrown away
    bool ready;    // to be written
    struct timer delay;
    struct lws *wsi;
};
// What callbacks return: -1 closes.
int http_on_request(struct sim *sim, struct lws *wsi, struct exchange *x, const char *uri);
int http_on_body(struct exchange *x, const void *data, size_t length);
int http_on_body_end(struct sim *sim, struct lws *wsi, struct exchange *x);
int http_on_writable(struct lws *wsi, struct exchange *x);
void http_free(struct exchange *x);

// server.c
struct sim *sim_of(struct lws *wsi);
bool sim_listen(struct sim *sim);
enum sim_action { SIM_CLOSE, SIM_RESET, SIM_SILENCE, SIM_SPEAK, SIM_GARBAGE };
// To every connected client. `code` and `text` are for SIM_CLOSE.
void sim_act(struct sim *sim, enum sim_action action, int code, const char *text);
// After rate, count or pause changed: clients go on.
void sim_wake(struct sim *sim);
unsigned sim_clients(const struct sim *sim);
// The connection ends by a reset instead of orderly, when it is closed.
void sim_reset_at_close(struct lws *wsi);

#endif
