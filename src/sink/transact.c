// SPDX-License-Identifier: Apache-2.0
// A lane's batch as one pipeline: BEGIN, the upserts, dead letters, replays, stream state, COMMIT.
// No prepared statement and no session setting: it works through PgBouncer in transaction mode.
#include "sink/sink_priv.h"

#include "config/load.h"
#include "core/mem.h"
#include "event/mapping.h"
#include "pg/array.h"
#include "sink/arrays.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEAD_ANSWER ") SELECT stream, reason, count(*), min(id) FROM d GROUP BY stream, reason"

static const char insert_dead[] =
    "WITH d AS (INSERT INTO cxsink.dead_letters (source, source_seq, stream, received_at, reason, "
    "detail, payload, payload_sha256) SELECT $1::uuid, s.seq, s.stream, s.at, s.reason, "
    "s.detail::jsonb, s.payload, sha256(s.payload) FROM unnest($2::bigint[], $3::text[], "
    "$4::timestamptz[], $5::text[], $6::text[], $7::bytea[]) AS s(seq, stream, at, reason, detail, "
    "payload) ON CONFLICT (source, source_seq) DO NOTHING "
    "RETURNING id, stream, reason" DEAD_ANSWER;

// The history has every refusal: the first one, which the row held until now, and this one. Of more
// than 50 the second oldest goes.
static const char update_dead[] =
    "WITH d AS (UPDATE cxsink.dead_letters AS t SET reason = s.reason, detail = s.detail::jsonb, "
    "history = CASE jsonb_array_length(t.history) "
    "WHEN 0 THEN jsonb_build_array(jsonb_build_object('at', t.created_at, 'reason', t.reason, "
    "'detail', t.detail)) WHEN 50 THEN t.history - 1 ELSE t.history END "
    "|| jsonb_build_object('at', now(), 'reason', s.reason, 'detail', s.detail::jsonb) "
    "FROM unnest($1::bigint[], $2::text[], $3::text[]) AS s(id, reason, detail) "
    "WHERE t.id = s.id RETURNING t.id, t.stream, t.reason" DEAD_ANSWER;

static const char update_replayed[] =
    "UPDATE cxsink.dead_letters SET replayed_at = now() WHERE id = ANY($1::bigint[])";

static const char upsert_state[] =
    "INSERT INTO cxsink.stream_lanes AS t (stream, lane, last_event_at, committed_events) "
    "SELECT s.stream, $1::integer, s.at, s.n FROM unnest($2::text[], $3::timestamptz[], "
    "$4::bigint[]) AS s(stream, at, n) ORDER BY s.stream ON CONFLICT (stream, lane) DO UPDATE SET "
    "committed_events = t.committed_events + EXCLUDED.committed_events, "
    "last_event_at = greatest(t.last_event_at, EXCLUDED.last_event_at), updated_at = now()";

void transact_reset(struct lane *lane)
{
    lane->n_steps = 0;
    lane->at = 0;
    lane->failed = false;
    lane->committed = false;
}

// Sends one statement with the first `n` of the sink's parameters. A connection that does not take
// it is failing: its `failed` comes, and the batch is sent again over the next one.
static void send_step(struct lane *lane, struct step step, const char *sql, size_t n)
{
    if (lane->n_steps == lane->steps_capacity) {
        lane->steps_capacity = lane->steps_capacity == 0 ? 32 : lane->steps_capacity * 2;
        lane->steps = mem_realloc_array(lane->steps, lane->steps_capacity, sizeof(*lane->steps));
    }
    lane->steps[lane->n_steps++] = step;
    (void)!pg_send(lane->conn, sql, lane->sink->params, (int)n);
}

void transact_step(struct lane *lane, struct step step, const char *sql)
{
    send_step(lane, step, sql, 0);
}

static void plain(struct lane *lane, const char *sql)
{
    transact_step(lane, (struct step){.kind = STEP_PLAIN}, sql);
}

void transact_begin(struct lane *lane)
{
    char text[64];
    int64_t timeout_us = lane->sink->settings.config->postgres.statement_timeout_us;
    plain(lane, "BEGIN");
    if (timeout_us <= 0)
        return;
    snprintf(text, sizeof(text), "SET LOCAL statement_timeout = %" PRId64,
             (timeout_us + US_PER_MS - 1) / US_PER_MS);
    plain(lane, text);
}

// Parameter i is the array in the sink's column buffer i.
static void set_param(struct sink *sink, size_t i, uint32_t element)
{
    sink->params[i] = (struct pg_param){
        .type = array_type(element),
        .format = 1,
        .data = sink->columns[i].data,
        .length = (int)sink->columns[i].len,
    };
}

void transact_run(struct lane *lane, const struct batch_run *run)
{
    struct sink *sink = lane->sink;
    const struct upsert *upsert = &sink->tables.items[run->table];
    array_columns(sink->columns, upsert->wire, upsert->shape.n_columns, lane->flight, run);
    for (size_t i = 0; i < upsert->shape.n_columns; i++)
        set_param(sink, i, upsert->wire[i]);
    struct step step = {
        .kind = STEP_UPSERT, .stream = run->stream, .count = run->count, .splits = upsert->splits};
    send_step(lane, step, upsert->sql, upsert->shape.n_columns);
}

static void begin_columns(struct sink *sink, size_t first, const uint32_t *elements, size_t count,
                          size_t rows)
{
    for (size_t i = 0; i < count; i++) {
        buf_clear(&sink->columns[first + i]);
        array_begin(&sink->columns[first + i], elements[i], rows);
    }
}

static void set_params(struct sink *sink, size_t first, const uint32_t *elements, size_t count)
{
    for (size_t i = 0; i < count; i++)
        set_param(sink, first + i, elements[i]);
}

// How many of the list are new, or replays of dead letters that are there already.
static size_t count_dead(const struct dead_list *list, bool again)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += (list->items[i].origin.dead_id != 0) == again;
    return count;
}

static const char *stream_name(const struct lane *lane, uint32_t stream)
{
    return lane->sink->streams[stream].name;
}

static void put_detail(const struct lane *lane, struct buf *column, const struct dead_list *list,
                       const struct batch_dead *dead)
{
    if (lane->bare)
        array_put(column, "[]", 2);
    else
        array_put(column, list->texts.data + dead->at + dead->reason_length, dead->detail_length);
}

static void put_new_dead(struct lane *lane, const struct dead_list *list,
                         const struct batch_dead *dead)
{
    struct buf *column = lane->sink->columns + 1;
    const char *stream = stream_name(lane, dead->origin.stream);
    const char *text = list->texts.data + dead->at;
    array_put_int8(column++, (int64_t)dead->origin.seq);
    array_put(column++, stream, strlen(stream));
    array_put_time(column++, dead->origin.received_us);
    array_put(column++, text, dead->reason_length);
    put_detail(lane, column++, list, dead);
    if (dead->no_payload)
        array_put_null(column);
    else
        array_put(column, text + dead->reason_length + dead->detail_length, dead->payload_length);
}

static void send_new_dead(struct lane *lane, const struct dead_list *list)
{
    static const uint32_t elements[] = {PG_INT8, PG_TEXT, PG_TIMESTAMPTZ,
                                        PG_TEXT, PG_TEXT, PG_BYTEA};
    enum { N = sizeof(elements) / sizeof(*elements) };
    struct sink *sink = lane->sink;
    size_t rows = count_dead(list, false);
    if (rows == 0)
        return;
    begin_columns(sink, 1, elements, N, rows);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].origin.dead_id == 0)
            put_new_dead(lane, list, &list->items[i]);
    }
    sink->params[0] = (struct pg_param){.type = PG_UUID,
                                        .format = 1,
                                        .data = (const char *)sink->settings.source.bytes,
                                        .length = UUID_SIZE};
    set_params(sink, 1, elements, N);
    send_step(lane, (struct step){.kind = STEP_DEAD}, insert_dead, N + 1);
}

static void send_dead_again(struct lane *lane, const struct dead_list *list)
{
    static const uint32_t elements[] = {PG_INT8, PG_TEXT, PG_TEXT};
    enum { N = sizeof(elements) / sizeof(*elements) };
    struct sink *sink = lane->sink;
    size_t rows = count_dead(list, true);
    if (rows == 0)
        return;
    begin_columns(sink, 0, elements, N, rows);
    for (size_t i = 0; i < list->count; i++) {
        const struct batch_dead *dead = &list->items[i];
        if (dead->origin.dead_id == 0)
            continue;
        array_put_int8(&sink->columns[0], dead->origin.dead_id);
        array_put(&sink->columns[1], list->texts.data + dead->at, dead->reason_length);
        put_detail(lane, &sink->columns[2], list, dead);
    }
    set_params(sink, 0, elements, N);
    send_step(lane, (struct step){.kind = STEP_DEAD}, update_dead, N);
}

void transact_dead(struct lane *lane, const struct dead_list *list)
{
    send_new_dead(lane, list);
    send_dead_again(lane, list);
}

static void send_replayed(struct lane *lane)
{
    struct sink *sink = lane->sink;
    const struct batch *batch = lane->flight;
    size_t count = 0;
    for (size_t i = 0; i < batch->n_rows; i++)
        count += batch->rows[i].origin.dead_id != 0 && !batch->rows[i].refused;
    if (count == 0)
        return;
    begin_columns(sink, 0, &(uint32_t){PG_INT8}, 1, count);
    for (size_t i = 0; i < batch->n_rows; i++) {
        if (batch->rows[i].origin.dead_id != 0 && !batch->rows[i].refused)
            array_put_int8(&sink->columns[0], batch->rows[i].origin.dead_id);
    }
    set_param(sink, 0, PG_INT8);
    send_step(lane, (struct step){.kind = STEP_INTERNAL}, update_replayed, 1);
}

// What the batch adds to a stream's state.
struct progress {
    uint64_t rows;
    int64_t last_us;
};

static size_t sum_progress(const struct batch *batch, struct progress *of)
{
    size_t streams = 0;
    for (size_t i = 0; i < batch->n_rows; i++) {
        const struct batch_row *row = &batch->rows[i];
        struct progress *progress = &of[row->origin.stream];
        if (row->refused)
            continue;
        streams += progress->rows == 0;
        if (progress->rows++ == 0 || row->origin.received_us > progress->last_us)
            progress->last_us = row->origin.received_us;
    }
    return streams;
}

static void send_state(struct lane *lane)
{
    static const uint32_t elements[] = {PG_TEXT, PG_TIMESTAMPTZ, PG_INT8};
    enum { N = sizeof(elements) / sizeof(*elements) };
    struct sink *sink = lane->sink;
    char index[16];
    int length = snprintf(index, sizeof(index), "%u", lane->index);
    struct progress *of = mem_zalloc(sink->n_streams * sizeof(*of));
    size_t streams = sum_progress(lane->flight, of);
    begin_columns(sink, 1, elements, N, streams);
    for (uint32_t i = 0; i < sink->n_streams; i++) {
        if (of[i].rows == 0)
            continue;
        array_put(&sink->columns[1], sink->streams[i].name, strlen(sink->streams[i].name));
        array_put_time(&sink->columns[2], of[i].last_us);
        array_put_int8(&sink->columns[3], (int64_t)of[i].rows);
    }
    free(of);
    if (streams == 0)
        return;
    sink->params[0] = (struct pg_param){.data = index, .length = length};
    set_params(sink, 1, elements, N);
    send_step(lane, (struct step){.kind = STEP_INTERNAL}, upsert_state, N + 1);
}

// A value that a column could not hold may be one that it can hold now.
static bool has_column_faults(const struct dead_list *list)
{
    static const char prefix[] = "column.";
    for (size_t i = 0; i < list->count; i++) {
        const struct batch_dead *dead = &list->items[i];
        if (dead->reason_length >= sizeof(prefix) &&
            memcmp(list->texts.data + dead->at, prefix, sizeof(prefix) - 1) == 0)
            return true;
    }
    return false;
}

static void send_checks(struct lane *lane)
{
    const struct tables *tables = &lane->sink->tables;
    if (!has_column_faults(&lane->flight->dead))
        return;
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->items[i].check != NULL)
            send_step(lane, (struct step){.kind = STEP_INTERNAL}, tables->items[i].check, 0);
    }
}

void transact_end(struct lane *lane)
{
    send_checks(lane);
    transact_dead(lane, &lane->flight->dead);
    send_replayed(lane);
    send_state(lane);
    transact_step(lane, (struct step){.kind = STEP_COMMIT}, "COMMIT");
    lane_sync(lane);
}

void transact_send(struct lane *lane)
{
    struct batch *batch = lane->flight;
    lane_set_state(lane, LANE_SENT);
    transact_reset(lane);
    account_reset(lane);
    lane->isolated = false;
    for (size_t i = 0; i < batch->n_rows; i++)
        batch->rows[i].refused = false;
    batch_plan(batch, BATCH_BY_KEY);
    lane->sent_at = loop_now(lane->sink->settings.loop);
    transact_begin(lane);
    for (size_t i = 0; i < batch->n_runs; i++)
        transact_run(lane, &batch->runs[i]);
    transact_end(lane);
}

void transact_result(struct lane *lane, const struct pg_result *result,
                     const struct pg_error *error)
{
    if (lane->at >= lane->n_steps)
        return;
    const struct step *step = &lane->steps[lane->at++];
    if (error != NULL) {
        // Those behind the first error are skipped and say nothing.
        if (!lane->failed && error->sqlstate[0] != '\0') {
            lane->failed = true;
            lane->error = *error;
            lane->error_step = step->kind;
        }
        return;
    }
    if (step->kind == STEP_UPSERT)
        account_upsert(lane, step, result);
    else if (step->kind == STEP_DEAD)
        account_dead(lane, result);
    else if (step->kind == STEP_COMMIT)
        lane->committed = strcmp(pg_result_tag(result), "COMMIT") == 0;
}

void transact_rollback(struct lane *lane)
{
    lane_set_state(lane, LANE_ROLLBACK);
    (void)!pg_send(lane->conn, "ROLLBACK", NULL, 0);
    lane_sync(lane);
}

void transact_synced(struct lane *lane)
{
    if (lane->committed) {
        lane_committed(lane);
        return;
    }
    if (!lane->failed) {
        lane->error = (struct pg_error){.sqlstate = "40000"};
        snprintf(lane->error.message, sizeof(lane->error.message),
                 "COMMIT was not confirmed: the server rolled the transaction back");
        lane->error_step = STEP_COMMIT;
    }
    transact_rollback(lane);
}

bool transact_refuses_row(const struct pg_error *error)
{
    // 21000: one statement met a key twice, where the key's type sees equality in unequal bytes.
    return pg_classify(error->sqlstate) == PG_CLASS_ROW || strcmp(error->sqlstate, "21000") == 0;
}

// A row is refused: looks for it. A dead letter is refused (which its detail alone can cause):
// goes without details. Both were tried: somebody must see what is in the way.
static void handle_refusal(struct lane *lane)
{
    bool in_rows = lane->error_step == STEP_UPSERT || lane->error_step == STEP_COMMIT;
    if (in_rows && !lane->isolated && lane->flight->n_rows != 0) {
        isolate_batch(lane);
    } else if (lane->error_step == STEP_DEAD && !lane->bare) {
        lane->bare = true;
        transact_send(lane);
    } else {
        lane_block(lane, &lane->error);
    }
}

// Errors that a table brings about which was altered since the catalog was read. A mapped column
// is never NULL where it must not be (event/mapping), so 23502 is about one that is new.
static bool may_be_altered(const struct lane *lane)
{
    const char *sqlstate = lane->error.sqlstate;
    return !lane->reread &&
           (pg_classify(sqlstate) == PG_CLASS_BLOCKED || strcmp(sqlstate, "23502") == 0);
}

void transact_rolled_back(struct lane *lane)
{
    const struct pg_error *error = &lane->error;
    if (lane->forget) {
        lane_drop_flight(lane);
        lane_continue(lane);
    } else if (may_be_altered(lane)) {
        lane_reread(lane, error);
    } else if (transact_refuses_row(error)) {
        handle_refusal(lane);
    } else if (pg_classify(error->sqlstate) == PG_CLASS_BLOCKED) {
        lane_block(lane, error);
    } else if (pg_classify(error->sqlstate) == PG_CLASS_RECONNECT) {
        lane_lost(lane, error);
    } else {
        lane_retry(lane, error);
    }
}
