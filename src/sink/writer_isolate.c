// SPDX-License-Identifier: Apache-2.0
// A refused batch once more, in slices: one transaction, each slice under a savepoint. What is
// refused alone becomes a dead letter, the rest commits.
//
// Constraints that are deferred are checked with each slice, so that COMMIT finds nothing new.
#include "sink/sink_priv.h"

#include <stdio.h>
#include <string.h>

static void plain(struct lane *lane, const char *sql)
{
    transact_step(lane, (struct step){.kind = STEP_PLAIN}, sql);
}

// Sends the next slice, or the end of the transaction.
static void send_next(struct lane *lane)
{
    size_t limit = lane->flight->limits.bytes;
    bool more = isolate_next(&lane->isolate, &lane->slice);
    if (!more && !hold_admits(lane)) {
        lane->forget = true;
        transact_rollback(lane);
        return;
    }
    if (lane->undo) {
        plain(lane, "ROLLBACK TO SAVEPOINT slice");
        plain(lane, "RELEASE SAVEPOINT slice");
        lane->undo = false;
    }
    // In portions, or a batch of refused rows would hold all their frames in memory.
    if (!more || lane->refused.texts.len >= limit) {
        transact_dead(lane, &lane->refused);
        dead_list_clear(&lane->refused, limit);
    }
    lane->slice_sent = more;
    if (!more) {
        lane->isolated = true;
        lane_set_state(lane, LANE_SENT);
        transact_end(lane);
        return;
    }
    const struct batch_run *run = &lane->flight->runs[lane->slice.run];
    struct batch_run slice = *run;
    slice.first = lane->slice.first;
    slice.count = lane->slice.count;
    plain(lane, "SAVEPOINT slice");
    transact_run(lane, &slice);
    plain(lane, "RELEASE SAVEPOINT slice");
    lane_sync(lane);
}

void isolate_batch(struct lane *lane)
{
    bool twice = strcmp(lane->error.sqlstate, "21000") == 0;
    lane_set_state(lane, LANE_ISOLATING);
    transact_reset(lane);
    account_reset(lane);
    batch_plan(lane->flight, twice ? BATCH_BY_ARRIVAL : BATCH_BY_KEY);
    isolate_start(&lane->isolate, lane->flight->runs, lane->flight->n_runs);
    dead_list_clear(&lane->refused, lane->flight->limits.bytes);
    lane->undo = false;
    transact_begin(lane);
    plain(lane, "SET CONSTRAINTS ALL IMMEDIATE");
    send_next(lane);
}

// The JSON array of a dead letter's detail.
static void put_detail(struct buf *out, const struct pg_error *error)
{
    buf_clear(out);
    buf_append_text(out, "[{\"sqlstate\":");
    buf_json_string(out, error->sqlstate, strlen(error->sqlstate));
    if (error->column[0] != '\0') {
        buf_append_text(out, ",\"column\":");
        buf_json_string(out, error->column, strlen(error->column));
    }
    if (error->constraint[0] != '\0') {
        buf_append_text(out, ",\"constraint\":");
        buf_json_string(out, error->constraint, strlen(error->constraint));
    }
    buf_append_text(out, ",\"message\":");
    buf_json_string(out, error->message, strlen(error->message));
    buf_append_text(out, "}]");
}

// The slice is one row, and the server does not want it.
static void refuse_row(struct lane *lane)
{
    struct sink *sink = lane->sink;
    struct batch_row *row = &lane->flight->rows[lane->flight->order[lane->slice.first]];
    struct buf *detail = &sink->columns[0];
    char reason[16];
    row->refused = true;
    put_detail(detail, &lane->error);
    snprintf(reason, sizeof(reason), "db.%s", lane->error.sqlstate);
    struct dead_texts texts = {
        .reason = reason, .detail = detail->data, .detail_length = detail->len};
    sink_fetch_payload(sink, row->origin.seq, &texts);
    dead_list_add(&lane->refused, &row->origin, &texts);
}

void isolate_synced(struct lane *lane)
{
    bool refused =
        lane->failed && lane->error_step == STEP_UPSERT && transact_refuses_row(&lane->error);
    if (lane->forget || (lane->failed && !refused)) {
        transact_rollback(lane);
        return;
    }
    if (refused) {
        lane->undo = true;
        if (isolate_refused(&lane->isolate))
            refuse_row(lane);
    }
    transact_reset(lane);
    send_next(lane);
}
