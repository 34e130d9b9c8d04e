// SPDX-License-Identifier: Apache-2.0
// What the files of the sink share: the sink, its lanes, and who does what.
//
//   sink.c             the interface
//   notify.c           everything that calls the owner; installs tables, rebuilds lanes
//   writer.c           a lane's life: connect, back off, block, take the open batch
//   transact.c         a lane's batch as one pipeline, and what the results say
//   writer_isolate.c   the same batch once more, in slices under savepoints
//   prepare.c          migrations and catalog, over one lane's connection
//   account.c          what a commit did: metrics, dead letters written
//   hold.c             streams that are held by their reject_guard
//
// The owner is only ever called from sink_notify(), which runs as a post of the loop, so it may
// push, flush, reconfigure or destroy in any callback. The one exception is `payload`.
#ifndef CXSINK_SINK_PRIV_H
#define CXSINK_SINK_PRIV_H

#include "core/backoff.h"
#include "core/loop.h"
#include "core/timer.h"
#include "pg/conn.h"
#include "sink/batch.h"
#include "sink/guard.h"
#include "sink/isolate.h"
#include "sink/sink.h"
#include "sink/upsert.h"

struct catalog_table;
struct metric_series;
struct migrate_run;
struct migrate_outcome;

// X(identifier, name, sentence)
#define LANE_STATES(X)                                                     \
    X(DOWN, "down", "no connection; the retry timer or the sink connects") \
    X(CONNECTING, "connecting", "pg/conn is logging in")                   \
    X(PREPARING, "preparing", "migrations or the catalog run over it")     \
    X(IDLE, "idle", "connected, nothing in flight")                        \
    X(SENT, "sent", "a whole batch is in flight, its COMMIT included")     \
    X(ISOLATING, "isolating", "a refused batch is being halved")           \
    X(ROLLBACK, "rollback", "a ROLLBACK is in flight after an error")      \
    X(WAITING, "waiting", "connected, the batch waits for the retry timer")

enum lane_state {
#define LANE_ENUM(id, name, sentence) LANE_##id,
    LANE_STATES(LANE_ENUM)
#undef LANE_ENUM
        LANE_STATE_COUNT
};

// A statement in flight: which answer to expect next.
enum step_kind {
    STEP_PLAIN,    // BEGIN, SET, SAVEPOINT...
    STEP_UPSERT,   // answers (inserted, written)
    STEP_DEAD,     // answers (stream, reason, count, example id)
    STEP_INTERNAL, // another statement on cxsink's own tables, or on the catalog
    STEP_COMMIT,
};

struct step {
    enum step_kind kind;
    uint32_t stream, count; // of STEP_UPSERT
    bool splits;            // likewise
};

// What a transaction did for one stream; counts once COMMIT was seen.
struct tally {
    uint64_t inserted, updated, unchanged;
};

// Dead letters that a transaction wrote.
struct dead_tally {
    char *stream, *reason; // owned
    uint64_t count;
    int64_t example_id;
};

struct dead_tallies {
    struct dead_tally *items; // owned
    size_t count, capacity;
};

struct lane {
    struct sink *sink;
    unsigned index;
    enum lane_state state;
    struct pg_conn *conn;
    struct timer linger; // since the first event of the open batch
    struct timer retry;
    struct backoff backoff; // attempts != 0: the last thing it did failed
    struct batch batches[2];
    struct batch *open, *flight; // the two of them
    bool ripe;                   // linger is over, or a flush was asked for
    bool forget;                 // what is in flight is not repeated, and not acknowledged
    bool blocked;                // somebody must mend something; the catalog is read again first
    bool bare;                   // the server refused a dead letter: write them without detail
    bool reread;                 // the server refused the flight's statements: look at the catalog
                                 // before anybody is asked to mend something

    // The transaction in flight.
    struct step *steps; // owned
    size_t n_steps, steps_capacity, at;
    bool failed; // `error` was met, at a step of kind `error_step`
    struct pg_error error;
    enum step_kind error_step;
    bool committed;
    struct mono sent_at;
    struct mono asked_at;  // when the answer that is awaited was asked for
    struct tally *tallies; // owned; one a stream
    size_t n_tallies;
    struct dead_tallies dead;

    // Isolation.
    bool isolated;   // the flight was isolated: no second time in one go
    bool undo;       // the last slice was refused: roll its savepoint back first
    bool slice_sent; // a slice is in flight; else the beginning, or the end
    struct isolate isolate;
    struct isolate_range slice;
    struct dead_list refused; // dead letters of refused rows, not yet sent
};

struct sink_stream {
    const char *name; // the caller's, interned
    struct metric_series *inserted, *updated, *unchanged, *latency;
    struct guard guard;
    bool held, told; // told: to the owner
    struct sink_hold hold;
};

// Of the configuration's tables, those that a stream uses; the others are empty.
struct tables {
    struct upsert *items; // owned
    size_t count;
};

struct prepare {
    struct lane *lane; // NULL: not running
    struct migrate_run *run;
    bool migrating; // else the catalog is read
    bool migrated;  // migrate_fn was called, with `code`, and `error` when it is not OK
    enum status_code code;
    struct catalog_table *catalog; // owned; one for each of config.tables
    size_t n_catalog, at;          // at: the table whose result is next
    bool failed;
    struct pg_error error;
};

struct sink {
    struct sink_settings settings;
    enum sink_state state;
    struct status trouble;
    struct mono told_at; // when `trouble` was, the last time
    bool started;
    bool woken;    // sink_notify is posted
    bool migrated; // since the last start or block
    struct lane *lanes;
    unsigned n_lanes;
    struct tables tables;   // empty until the catalog was read
    struct tables incoming; // read, to be installed by sink_notify
    struct tables retired;  // of before sink_reconfigure; mappings are valid until `restarted`
    bool install;
    struct prepare prepare;
    struct buf faults; // the catalog's faults as they were logged last
    struct sink_stream *streams;
    uint32_t n_streams;
    struct sink_stats stats;

    bool reconfigure; // asked for; waits for what is in flight
    struct timer patience;

    bool again;      // what was pushed is to be forgotten, and read again by the owner
    uint64_t pushed; // highest seq since the last restart
    uint64_t acked;
    bool starved; // a push got SINK_BUSY from `starved_lane`, or from all (n_lanes)
    unsigned starved_lane;
    struct dead_tallies dead; // to be told
    struct metric_series *connections[4];

    // Scratch of transact.c.
    struct buf columns[BATCH_COLUMNS_MAX];
    struct pg_param params[BATCH_COLUMNS_MAX];
    struct buf payload;
};

// sink.c
void sink_make_lanes(struct sink *sink);
void sink_drop_lanes(struct sink *sink);
bool sink_has_tables(const struct sink *sink);
// Asks the owner for a row's frame; `texts` point into sink.payload, or have none.
void sink_fetch_payload(struct sink *sink, uint64_t seq, struct dead_texts *texts);
void tables_deinit(struct tables *tables);

// notify.c
// Something changed that the owner may have to know: calls it in this turn's tail.
void sink_wake(struct sink *sink);
// False when it is the trouble that there is already, which was told a short while ago.
bool sink_set_trouble(struct sink *sink, enum status_code code, const struct pg_error *error);

// writer.c
void lane_init(struct lane *lane, struct sink *sink, unsigned index);
void lane_deinit(struct lane *lane);
void lane_set_state(struct lane *lane, enum lane_state state);
const char *lane_state_name(enum lane_state state);
void lane_connect(struct lane *lane);
// Closes the connection; a batch in flight stays, to be sent again.
void lane_disconnect(struct lane *lane);
// Prepared or done: sends what waits, or becomes idle.
void lane_continue(struct lane *lane);
// Drops what is open; what is in flight ends, and is then dropped.
void lane_forget(struct lane *lane);
bool lane_in_transaction(const struct lane *lane);
bool lane_connected(const struct lane *lane);
// After a push: starts linger, or sends.
void lane_pushed(struct lane *lane);
void lane_flush(struct lane *lane);
// Ends a group of a transaction: its answer is awaited from now on.
void lane_sync(struct lane *lane);
// Backs off after `error`, with the connection (if there is one) kept.
void lane_retry(struct lane *lane, const struct pg_error *error);
void lane_block(struct lane *lane, const struct pg_error *error);
// Reads the catalog again, since `error` may come from a table that was altered.
void lane_reread(struct lane *lane, const struct pg_error *error);
// Over with this connection: `error` says why. Connects anew after a delay.
void lane_lost(struct lane *lane, const struct pg_error *error);
// The flight's transaction is over and committed.
void lane_committed(struct lane *lane);
// The flight is not wanted any more.
void lane_drop_flight(struct lane *lane);

// transact.c
void transact_send(struct lane *lane);
void transact_result(struct lane *lane, const struct pg_result *result,
                     const struct pg_error *error);
void transact_synced(struct lane *lane);
void transact_rolled_back(struct lane *lane);
// Parts that isolation uses too.
void transact_reset(struct lane *lane);
void transact_step(struct lane *lane, struct step step, const char *sql);
void transact_begin(struct lane *lane);
void transact_run(struct lane *lane, const struct batch_run *run);
void transact_dead(struct lane *lane, const struct dead_list *list);
// Dead letters, replays, stream state, COMMIT.
void transact_end(struct lane *lane);
void transact_rollback(struct lane *lane);
// The server refused a row, not the whole.
bool transact_refuses_row(const struct pg_error *error);

// writer_isolate.c
void isolate_batch(struct lane *lane);
void isolate_synced(struct lane *lane);

// prepare.c
void prepare_start(struct lane *lane);
void prepare_result(struct lane *lane, const struct pg_result *result,
                    const struct pg_error *error);
void prepare_synced(struct lane *lane);
// When the lane's connection ends, or the sink.
void prepare_cancel(struct lane *lane);

// hold.c
// Of a stream that is new, or that has another configuration.
void hold_configure(struct sink *sink, struct sink_stream *stream);
// Whether the flight may commit, with the rows that were refused so far. If not, streams are held,
// and sink.again is set: the flight must not be sent on.
bool hold_admits(struct lane *lane);
// The flight is committed.
void hold_count(struct lane *lane);
void hold_tell(struct sink *sink);

// account.c
uint32_t account_stream(struct sink *sink, const char *name);
void account_upsert(struct lane *lane, const struct step *step, const struct pg_result *result);
void account_dead(struct lane *lane, const struct pg_result *result);
void account_reset(struct lane *lane);
void account_commit(struct lane *lane);
void account_failure(struct lane *lane, const char *result, const char *sqlstate);
void account_connections(struct sink *sink);
void dead_tallies_clear(struct dead_tallies *tallies);

#endif
