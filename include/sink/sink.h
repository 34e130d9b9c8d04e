// SPDX-License-Identifier: Apache-2.0
// The sink: rows and dead letters in, transactions out. A row goes to the lane that the hash of its
// key names; a lane has one connection, one open batch and one batch in flight, so that the
// versions of a key keep their order. A batch is one transaction: the upserts, its dead letters and
// the stream state.
//
// Structure: struct sink owns the tables (sink/upsert: statement and mapping) and the lanes
// (sink/writer); a lane owns its struct batch pair (sink/batch); sink/isolate finds the bad rows of
// a refused batch; src/sink/sink_priv.h says which file does what.
//
// Everything that was pushed and is not committed is in memory only and belongs to the source
// (spool, file, dead letters), which reads it again after the `restarted` callback.
//
// What it counts itself: METRIC_EVENTS_COMMITTED, BATCHES (committed, isolated, retried, blocked),
// BATCH_RETRIES (SQLSTATE; "connection" when that went, "catalog" when a table is not as it should
// be), PG_CONNECTIONS (down, connecting, idle, busy), COMMIT_LATENCY, BATCH_EVENTS, BATCH_SECONDS.
// EVENTS_REJECTED is the owner's, by `dead`. On a partitioned table the server does not say which
// rows are new: what was written counts as updated.
#ifndef CXSINK_SINK_SINK_H
#define CXSINK_SINK_SINK_H

#include "core/status.h"
#include "core/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct config;
struct config_table;
struct loop;
struct mapping;
struct resolver;
struct sink;

// X(identifier, name, sentence)
#define SINK_STATES(X)                                                                  \
    X(DOWN, "down", "not connected to PostgreSQL")                                      \
    X(CONNECTING, "connecting", "connecting to PostgreSQL")                             \
    X(PREPARING, "preparing", "reading the catalog, checking migrations")               \
    X(READY, "ready", "writing")                                                        \
    X(RETRYING, "retrying", "PostgreSQL refused for now, trying again")                 \
    X(BLOCKED, "blocked", "PostgreSQL refuses until somebody mends it; still spooling") \
    X(STOPPED, "stopped", "closed")

enum sink_state {
#define SINK_ENUM(id, name, sentence) SINK_##id,
    SINK_STATES(SINK_ENUM)
#undef SINK_ENUM
};

enum sink_push { SINK_TAKEN, SINK_BUSY };

// Where a row or a dead letter comes from.
struct sink_origin {
    uint64_t seq;        // of the source; never decreasing
    int64_t received_us; // wall clock
    const char *stream;  // interned by the caller: valid as long as the sink
    int64_t dead_id;     // of the dead letter that is being replayed; 0: none
};

// Why a stream is held: what its last events would have been with the batch that was not committed.
struct sink_hold {
    uint64_t refused, events;
    char reason[96]; // reason code of one that was refused
};

// Called from a post of the loop, never from inside a function of the sink, so that each may push,
// flush, reconfigure and destroy; but for `payload`, which must not call the sink. Any may be NULL.
struct sink_callbacks {
    // Everything up to and including `seq` is committed.
    void (*acked)(void *owner, uint64_t seq);
    // After SINK_BUSY: there is room again.
    void (*room)(void *owner);
    void (*state)(void *owner, enum sink_state from, enum sink_state to, const struct status *st);
    // The catalog was read, or changed: mappings are new; what was pushed is forgotten. Read again
    // from the oldest unacknowledged record.
    void (*restarted)(void *owner);
    // The raw frame of a row that PostgreSQL refused, for its dead letter: appended to `payload`.
    // False when it cannot be had (the dead letter is then written without).
    bool (*payload)(void *owner, uint64_t seq, struct buf *payload);
    // Dead letters were committed (metric, audit, log): how many of a stream and reason, and one
    // id. Also for replays that became dead letters again; not for those that were there already.
    void (*dead)(void *owner, const char *stream, const char *reason, uint64_t count,
                 int64_t example_id);
    // The stream's reject_guard tripped: it is held from now on, and `restarted` follows.
    void (*held)(void *owner, const char *stream, const struct sink_hold *hold);
};

struct sink_settings {
    struct loop *loop;
    struct resolver *resolver;
    const struct config *config; // postgres, tables and streams; until sink_reconfigure
    bool guarded;                // minds the streams' reject_guard
    struct uuid source;          // names the source in cxsink.dead_letters, for ever
    struct sink_callbacks callbacks;
    void *owner;
};

struct sink *sink_create(const struct sink_settings *settings);
// At any time, without a callback. What is in flight may or may not be committed: the source still
// has it, and writing it again changes nothing.
void sink_destroy(struct sink **sink);
// Starts to connect. Until the catalog was read nothing can be pushed.
void sink_start(struct sink *sink);
// Forgets what is in memory, takes the new configuration (mappings, batch and connection settings)
// and connects anew. The old configuration is not used any more when this returns. Transactions in
// flight get up to 5 s to end before their connections are cut. The `restarted` callback follows;
// until then sink_mapping is NULL and pushing is SINK_BUSY.
void sink_reconfigure(struct sink *sink, const struct config *config);

// The compiled mapping of a table, NULL until the catalog was read, and for a table that no stream
// of the configuration writes to. Valid until `restarted` returns.
const struct mapping *sink_mapping(const struct sink *sink, size_t table);

// One row: cells as mapping_extract wrote them (copied).
enum sink_push sink_push_row(struct sink *sink, size_t table, const struct sink_origin *origin,
                             uint64_t key_hash, const struct buf *cells);
// One dead letter. `detail` is a JSON array; `payload` the raw frame (copied).
enum sink_push sink_push_dead(struct sink *sink, const struct sink_origin *origin,
                              const char *reason, const char *detail, size_t detail_len,
                              const char *payload, size_t payload_len);
// Sends what is open without waiting for linger (end of a drain).
void sink_flush(struct sink *sink);
// Nothing open, nothing in flight, and every dead letter told.
bool sink_idle(const struct sink *sink);

// NULL when the stream is not held. Events of one that is must not be pushed.
const struct sink_hold *sink_held(const struct sink *sink, const char *stream);
// Goes on with a held stream, its window empty; `accept`: what is refused becomes dead letters
// until a whole window is well. False when it is not held. What was pushed and is not committed is
// forgotten: `restarted` follows, and acknowledgements begin anew from what is pushed then.
// sink_reconfigure goes on with all of them, too.
bool sink_release(struct sink *sink, const char *stream, bool accept);

enum sink_state sink_state(const struct sink *sink);
const char *sink_state_name(enum sink_state state);
// The last trouble while not READY; code STATUS_OK when there is none.
const struct status *sink_trouble(const struct sink *sink);

struct sink_stats {
    uint64_t inserted, updated, unchanged, dead; // committed since the start
    uint64_t batches, retries;                   // batches committed; attempts that failed
    uint64_t open_events, in_flight_events;
    unsigned connections_ready, connections_total;
    int64_t waiting_us; // longest time that the answer to a batch is awaited; 0: none is in flight
};
void sink_stat(const struct sink *sink, struct sink_stats *stats_r);

#endif
