// SPDX-License-Identifier: Apache-2.0
#include "sink/sink_priv.h"

#include "config/load.h"
#include "core/counter.h"
#include "core/log.h"
#include "core/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// How long sink_reconfigure waits for transactions in flight before it cuts their connections.
#define PATIENCE_US (5 * US_PER_S)

const char *sink_state_name(enum sink_state state)
{
    static const char *const names[] = {
#define SINK_NAME(id, name, sentence) [SINK_##id] = name,
        SINK_STATES(SINK_NAME)
#undef SINK_NAME
    };
    return names[state];
}

bool sink_has_tables(const struct sink *sink)
{
    return sink->tables.items != NULL;
}

void tables_deinit(struct tables *tables)
{
    for (size_t i = 0; i < tables->count; i++)
        upsert_deinit(&tables->items[i]);
    free(tables->items);
    *tables = (struct tables){0};
}

// --- life ----------------------------------------------------------------------------------------

void sink_make_lanes(struct sink *sink)
{
    sink->n_lanes = sink->settings.config->postgres.connections;
    sink->lanes = mem_zalloc(sink->n_lanes * sizeof(*sink->lanes));
    for (unsigned i = 0; i < sink->n_lanes; i++)
        lane_init(&sink->lanes[i], sink, i);
}

void sink_drop_lanes(struct sink *sink)
{
    for (unsigned i = 0; i < sink->n_lanes; i++)
        lane_deinit(&sink->lanes[i]);
    free(sink->lanes);
    sink->lanes = NULL;
    sink->n_lanes = 0;
}

// Transactions in flight had their time: the server ends them when it notices the closed socket.
static void on_impatience(void *owner)
{
    struct sink *sink = owner;
    for (unsigned i = 0; i < sink->n_lanes; i++)
        lane_disconnect(&sink->lanes[i]);
}

struct sink *sink_create(const struct sink_settings *settings)
{
    struct sink *sink = mem_zalloc(sizeof(*sink));
    sink->settings = *settings;
    sink->state = SINK_DOWN;
    timer_init(&sink->patience, settings->loop, "sink reconfiguration", on_impatience, sink);
    sink_make_lanes(sink);
    return sink;
}

static void free_sink(void *object)
{
    struct sink *sink = object;
    tables_deinit(&sink->tables);
    tables_deinit(&sink->incoming);
    tables_deinit(&sink->retired);
    dead_tallies_clear(&sink->dead);
    for (size_t i = 0; i < BATCH_COLUMNS_MAX; i++)
        buf_deinit(&sink->columns[i]);
    buf_deinit(&sink->payload);
    buf_deinit(&sink->faults);
    for (uint32_t i = 0; i < sink->n_streams; i++)
        guard_deinit(&sink->streams[i].guard);
    free(sink->streams);
    free(sink);
}

void sink_destroy(struct sink **sink_p)
{
    struct sink *sink = *sink_p;
    *sink_p = NULL;
    if (sink == NULL)
        return;
    sink->state = SINK_STOPPED;
    timer_stop(&sink->patience);
    loop_unpost(sink->settings.loop, sink);
    sink_drop_lanes(sink);
    account_connections(sink);
    loop_defer_free(sink->settings.loop, sink, free_sink);
}

void sink_start(struct sink *sink)
{
    if (sink->started)
        return;
    sink->started = true;
    lane_connect(&sink->lanes[0]);
}

void sink_reconfigure(struct sink *sink, const struct config *config)
{
    sink->settings.config = config;
    for (uint32_t i = 0; i < sink->n_streams; i++)
        hold_configure(sink, &sink->streams[i]);
    sink->starved = false;
    sink->again = false; // `restarted` comes with the tables
    sink->pushed = sink->acked;
    sink->install = false;
    tables_deinit(&sink->incoming);
    if (sink_has_tables(sink)) {
        sink->retired = sink->tables;
        sink->tables = (struct tables){0};
    }
    if (!sink->started) {
        sink_drop_lanes(sink);
        sink_make_lanes(sink);
        return;
    }
    sink->reconfigure = true;
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        lane_forget(&sink->lanes[i]);
        if (!lane_in_transaction(&sink->lanes[i]))
            lane_disconnect(&sink->lanes[i]);
    }
    // Of the first: reconfiguring again and again must not hold on to what is stuck.
    if (!timer_running(&sink->patience))
        timer_start(&sink->patience, PATIENCE_US);
    sink_wake(sink);
}

// --- pushing -------------------------------------------------------------------------------------

const struct mapping *sink_mapping(const struct sink *sink, size_t table)
{
    return table < sink->tables.count ? sink->tables.items[table].mapping : NULL;
}

static struct batch_origin make_origin(struct sink *sink, const struct sink_origin *origin,
                                       size_t table)
{
    return (struct batch_origin){
        .seq = origin->seq,
        .received_us = origin->received_us,
        .dead_id = origin->dead_id,
        .stream = account_stream(sink, origin->stream),
        .table = (uint32_t)table,
    };
}

static enum sink_push refuse_push(struct sink *sink, unsigned lane)
{
    sink->starved = true;
    sink->starved_lane = lane;
    return SINK_BUSY;
}

static enum sink_push pushed(struct sink *sink, struct lane *lane, uint64_t seq)
{
    if (seq > sink->pushed)
        sink->pushed = seq;
    lane_pushed(lane);
    return SINK_TAKEN;
}

void sink_fetch_payload(struct sink *sink, uint64_t seq, struct dead_texts *texts)
{
    const struct sink_callbacks *callbacks = &sink->settings.callbacks;
    texts->payload = NULL;
    texts->payload_length = 0;
    buf_clear(&sink->payload);
    buf_shrink(&sink->payload, sink->settings.config->postgres.batch_bytes);
    buf_reserve(&sink->payload, 1); // never NULL, also when the frame is empty
    if (callbacks->payload == NULL ||
        !callbacks->payload(sink->settings.owner, seq, &sink->payload))
        return;
    texts->payload = sink->payload.data;
    texts->payload_length = sink->payload.len;
}

// A row that is not of its table's shape would take its whole statement down. It cannot come from
// event/mapping; it is kept as a dead letter all the same.
static void push_misshapen(struct sink *sink, struct lane *lane, const struct batch_origin *origin)
{
    static const char detail[] =
        "[{\"sqlstate\":\"XX000\",\"message\":\"the row's cells are not those of the table\"}]";
    struct dead_texts texts = {
        .reason = "db.XX000", .detail = detail, .detail_length = sizeof(detail) - 1};
    sink_fetch_payload(sink, origin->seq, &texts);
    batch_push_dead(lane->open, origin, &texts);
}

enum sink_push sink_push_row(struct sink *sink, size_t table, const struct sink_origin *origin,
                             uint64_t key_hash, const struct buf *cells)
{
    struct lane *lane = &sink->lanes[key_hash % sink->n_lanes];
    if (table >= sink->tables.count || sink->tables.items[table].sql == NULL ||
        batch_full(lane->open))
        return refuse_push(sink, lane->index);
    struct batch_origin made = make_origin(sink, origin, table);
    const struct batch_shape *shape = &sink->tables.items[table].shape;
    if (!batch_push_row(lane->open, shape, &made, cells->data, cells->len))
        push_misshapen(sink, lane, &made);
    return pushed(sink, lane, origin->seq);
}

enum sink_push sink_push_dead(struct sink *sink, const struct sink_origin *origin,
                              const char *reason, const char *detail, size_t detail_len,
                              const char *payload, size_t payload_len)
{
    struct dead_texts texts = {.reason = reason,
                               .detail = detail_len != 0 ? detail : "[]",
                               .detail_length = detail_len != 0 ? detail_len : 2,
                               .payload = payload_len != 0 ? payload : "",
                               .payload_length = payload_len};
    if (!sink_has_tables(sink))
        return refuse_push(sink, sink->n_lanes);
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        struct lane *lane = &sink->lanes[(origin->seq + i) % sink->n_lanes];
        if (batch_full(lane->open))
            continue;
        struct batch_origin made = make_origin(sink, origin, 0);
        batch_push_dead(lane->open, &made, &texts);
        return pushed(sink, lane, origin->seq);
    }
    return refuse_push(sink, sink->n_lanes);
}

void sink_flush(struct sink *sink)
{
    for (unsigned i = 0; i < sink->n_lanes; i++)
        lane_flush(&sink->lanes[i]);
}

// --- looking -------------------------------------------------------------------------------------

bool sink_idle(const struct sink *sink)
{
    if (sink->dead.count != 0)
        return false;
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        if (batch_events(sink->lanes[i].open) != 0 || batch_events(sink->lanes[i].flight) != 0)
            return false;
    }
    return true;
}

enum sink_state sink_state(const struct sink *sink)
{
    return sink->state;
}

const struct status *sink_trouble(const struct sink *sink)
{
    return &sink->trouble;
}

void sink_stat(const struct sink *sink, struct sink_stats *stats_r)
{
    struct mono now = loop_now(sink->settings.loop);
    *stats_r = sink->stats;
    stats_r->connections_total = sink->n_lanes;
    for (unsigned i = 0; i < sink->n_lanes; i++) {
        const struct lane *lane = &sink->lanes[i];
        int64_t waiting_us = lane_in_transaction(lane) ? mono_diff(now, lane->asked_at) : 0;
        stats_r->open_events += batch_events(lane->open);
        stats_r->in_flight_events += batch_events(lane->flight);
        stats_r->connections_ready += lane_connected(lane);
        if (waiting_us > stats_r->waiting_us)
            stats_r->waiting_us = waiting_us;
    }
}
