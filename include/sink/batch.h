// SPDX-License-Identifier: Apache-2.0
// A batch: rows and dead letters that commit together, and the order in which they are written.
// Pure: no clock, no connection. A lane (sink/writer) owns two, one open and one in flight.
//
// Contract of the plan: a statement (a run) writes rows of one table and one stream, and holds a
// key at most once, because the server refuses to touch a row twice (SQLSTATE 21000). The n-th
// occurrence of a key goes to round n; round n is written before round n + 1, so the versions of a
// key are applied in the order in which they arrived, and the server alone decides by newest_by.
// Within a run, rows are sorted by their key's bytes: writers lock in the same order.
#ifndef CXSINK_SINK_BATCH_H
#define CXSINK_SINK_BATCH_H

#include "core/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What bounds a batch. An event is taken while both are not reached, so that a batch holds at most
// `bytes` and one event more.
struct batch_limits {
    unsigned events;
    size_t bytes;
};

// How to find the key in a row's cells.
struct batch_shape {
    size_t n_columns;
    const size_t *key; // indexes of the key's columns
    size_t n_key;
};

struct batch_origin {
    uint64_t seq;
    int64_t received_us; // wall clock
    int64_t dead_id;     // of the dead letter that is replayed; 0: none
    uint32_t stream;     // ordinal of the stream
    uint32_t table;      // of a row: ordinal of its table
};

struct batch_row {
    struct batch_origin origin;
    size_t cells; // offset in batch.cells
    size_t key;   // offset in batch.keys
    uint32_t key_length;
    bool refused; // by the server, while isolating
};

// Texts of a dead letter, one after the other from `at` in dead_list.texts.
struct batch_dead {
    struct batch_origin origin;
    size_t at;
    size_t reason_length, detail_length, payload_length;
    bool no_payload; // the frame could not be had
};

struct dead_list {
    struct batch_dead *items; // owned
    size_t count, capacity;
    struct buf texts;
};

// Consecutive entries of batch.order that one statement writes.
struct batch_run {
    uint32_t first, count;
    uint32_t table, stream;
};

// Most columns a row has (as event/mapping.h).
#define BATCH_COLUMNS_MAX 256

struct batch_item; // scratch of the sort

struct batch {
    struct batch_limits limits;
    struct batch_row *rows; // owned, in order of arrival
    size_t n_rows, rows_capacity;
    struct buf cells, keys;
    struct dead_list dead;
    uint64_t min_seq; // of anything in it; UINT64_MAX when empty
    // The plan.
    uint32_t *order; // indexes into rows
    struct batch_run *runs;
    size_t n_runs, runs_capacity;
    struct batch_item *items; // two times items_capacity
    size_t items_capacity;
};

void batch_init(struct batch *batch, const struct batch_limits *limits);
void batch_deinit(struct batch *batch);
// Empties it and keeps its memory, but for what one rare large event needed.
void batch_clear(struct batch *batch);

// Copies a row. False, with the batch unchanged, when `cells` are not exactly the shape's columns.
bool batch_push_row(struct batch *batch, const struct batch_shape *shape,
                    const struct batch_origin *origin, const char *cells, size_t length);

// Texts of a dead letter that is pushed; `detail` is a JSON array.
struct dead_texts {
    const char *reason; // NUL-terminated
    const char *detail;
    size_t detail_length;
    const char *payload; // NULL: it cannot be had
    size_t payload_length;
};
void batch_push_dead(struct batch *batch, const struct batch_origin *origin,
                     const struct dead_texts *texts);

size_t batch_events(const struct batch *batch);
bool batch_full(const struct batch *batch);

void dead_list_add(struct dead_list *list, const struct batch_origin *origin,
                   const struct dead_texts *texts);
// Empties it; memory beyond `keep` bytes of texts is given back.
void dead_list_clear(struct dead_list *list, size_t keep);
void dead_list_deinit(struct dead_list *list);

// BATCH_BY_ARRIVAL plans for a server that sees equal keys where the bytes differ (char(n), citext,
// numeric): rows stay in order of arrival, and a run may hold a key twice; isolation splits it.
enum batch_order { BATCH_BY_KEY, BATCH_BY_ARRIVAL };
// Fills order and runs from the rows.
void batch_plan(struct batch *batch, enum batch_order how);

#endif
