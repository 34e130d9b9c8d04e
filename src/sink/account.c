// SPDX-License-Identifier: Apache-2.0
// What transactions did, counted once COMMIT was seen.
#include "sink/sink_priv.h"

#include "core/counter.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

uint32_t account_stream(struct sink *sink, const char *name)
{
    for (uint32_t i = 0; i < sink->n_streams; i++) {
        if (sink->streams[i].name == name)
            return i;
    }
    for (uint32_t i = 0; i < sink->n_streams; i++) {
        if (strcmp(sink->streams[i].name, name) == 0)
            return i;
    }
    sink->streams = mem_realloc_array(sink->streams, sink->n_streams + 1, sizeof(*sink->streams));
    sink->streams[sink->n_streams] = (struct sink_stream){
        .name = name,
        .inserted = metric_series(METRIC_EVENTS_COMMITTED, name, "inserted"),
        .updated = metric_series(METRIC_EVENTS_COMMITTED, name, "updated"),
        .unchanged = metric_series(METRIC_EVENTS_COMMITTED, name, "unchanged"),
        .latency = metric_series(METRIC_COMMIT_LATENCY, name, NULL),
    };
    hold_configure(sink, &sink->streams[sink->n_streams]);
    return sink->n_streams++;
}

void account_upsert(struct lane *lane, const struct step *step, const struct pg_result *result)
{
    uint32_t n_streams = lane->sink->n_streams;
    if (lane->n_tallies < n_streams) {
        lane->tallies = mem_realloc_array(lane->tallies, n_streams, sizeof(*lane->tallies));
        memset(lane->tallies + lane->n_tallies, 0,
               (n_streams - lane->n_tallies) * sizeof(*lane->tallies));
        lane->n_tallies = n_streams;
    }
    uint64_t inserted = strtoull(pg_result_text(result, 0, 0), NULL, 10);
    uint64_t written = strtoull(pg_result_text(result, 0, 1), NULL, 10);
    struct tally *tally = &lane->tallies[step->stream];
    tally->inserted += inserted;
    tally->updated += written - inserted;
    tally->unchanged += step->count - written;
}

static void add_tally(struct dead_tallies *to, const struct dead_tally *tally)
{
    if (to->count == to->capacity) {
        to->capacity = to->capacity == 0 ? 8 : to->capacity * 2;
        to->items = mem_realloc_array(to->items, to->capacity, sizeof(*to->items));
    }
    to->items[to->count++] = *tally;
}

void account_dead(struct lane *lane, const struct pg_result *result)
{
    for (int row = 0; row < pg_result_rows(result); row++) {
        struct dead_tally tally = {
            .stream = mem_strdup(pg_result_text(result, row, 0)),
            .reason = mem_strdup(pg_result_text(result, row, 1)),
            .count = strtoull(pg_result_text(result, row, 2), NULL, 10),
            .example_id = strtoll(pg_result_text(result, row, 3), NULL, 10),
        };
        add_tally(&lane->dead, &tally);
    }
}

void dead_tallies_clear(struct dead_tallies *tallies)
{
    for (size_t i = 0; i < tallies->count; i++) {
        free(tallies->items[i].stream);
        free(tallies->items[i].reason);
    }
    free(tallies->items);
    *tallies = (struct dead_tallies){0};
}

void account_reset(struct lane *lane)
{
    if (lane->n_tallies != 0)
        memset(lane->tallies, 0, lane->n_tallies * sizeof(*lane->tallies));
    dead_tallies_clear(&lane->dead);
}

static void commit_tallies(struct lane *lane)
{
    struct sink *sink = lane->sink;
    for (size_t i = 0; i < lane->n_tallies; i++) {
        const struct tally *tally = &lane->tallies[i];
        metric_add(sink->streams[i].inserted, (double)tally->inserted);
        metric_add(sink->streams[i].updated, (double)tally->updated);
        metric_add(sink->streams[i].unchanged, (double)tally->unchanged);
        sink->stats.inserted += tally->inserted;
        sink->stats.updated += tally->updated;
        sink->stats.unchanged += tally->unchanged;
    }
}

// Hands the dead letters over to the sink, which tells them to the owner.
static void commit_dead(struct lane *lane)
{
    struct sink *sink = lane->sink;
    for (size_t i = 0; i < lane->dead.count; i++) {
        const struct dead_tally *tally = &lane->dead.items[i];
        sink->stats.dead += tally->count;
        add_tally(&sink->dead, tally);
    }
    free(lane->dead.items); // the texts moved
    lane->dead = (struct dead_tallies){0};
}

// Rows of one stream, one after the other, whose latencies fall into one bucket.
struct latencies {
    uint32_t stream;
    uint64_t count;
    double sum, above, upto; // above < latency <= upto
};

static void flush_latencies(struct sink *sink, struct latencies *run)
{
    if (run->count != 0)
        metric_observe(METRIC_COMMIT_LATENCY, sink->streams[run->stream].latency,
                       run->sum / (double)run->count, run->count);
    run->count = 0;
    run->sum = 0;
}

static void find_bucket(struct latencies *run, double seconds)
{
    const struct metric_info *info = metric_info(METRIC_COMMIT_LATENCY);
    run->above = -1;
    run->upto = 1e18;
    for (size_t i = 0; i < info->n_bounds; i++) {
        if (seconds <= info->bounds[i]) {
            run->upto = info->bounds[i];
            return;
        }
        run->above = info->bounds[i];
    }
}

// Neighbours arrived together: one look for the bucket serves many of them.
static void observe_latencies(struct lane *lane)
{
    struct sink *sink = lane->sink;
    int64_t now_us = loop_wall_us(sink->settings.loop);
    struct latencies run = {.upto = -1};
    for (size_t i = 0; i < lane->flight->n_rows; i++) {
        const struct batch_row *row = &lane->flight->rows[i];
        if (row->refused)
            continue;
        int64_t us = now_us - row->origin.received_us;
        double seconds = us > 0 ? (double)us / (double)US_PER_S : 0; // the clock was set back
        if (row->origin.stream != run.stream || seconds <= run.above || seconds > run.upto) {
            flush_latencies(sink, &run);
            run.stream = row->origin.stream;
            find_bucket(&run, seconds);
        }
        run.count++;
        run.sum += seconds;
    }
    flush_latencies(sink, &run);
}

void account_commit(struct lane *lane)
{
    struct sink *sink = lane->sink;
    double seconds =
        (double)mono_diff(loop_now(sink->settings.loop), lane->sent_at) / (double)US_PER_S;
    metric_add(metric_series(METRIC_BATCHES, lane->isolated ? "isolated" : "committed", NULL), 1);
    metric_observe(METRIC_BATCH_EVENTS, metric_series(METRIC_BATCH_EVENTS, NULL, NULL),
                   (double)batch_events(lane->flight), 1);
    metric_observe(METRIC_BATCH_SECONDS, metric_series(METRIC_BATCH_SECONDS, NULL, NULL), seconds,
                   1);
    sink->stats.batches++;
    hold_count(lane);
    commit_tallies(lane);
    commit_dead(lane);
    observe_latencies(lane);
}

void account_failure(struct lane *lane, const char *result, const char *sqlstate)
{
    if (batch_events(lane->flight) == 0)
        return;
    metric_add(metric_series(METRIC_BATCHES, result, NULL), 1);
    metric_add(
        metric_series(METRIC_BATCH_RETRIES, sqlstate[0] != '\0' ? sqlstate : "connection", NULL),
        1);
    lane->sink->stats.retries++;
}

void account_connections(struct sink *sink)
{
    static const char *const names[] = {"down", "connecting", "idle", "busy"};
    static const unsigned char group[LANE_STATE_COUNT] = {
        [LANE_DOWN] = 0, [LANE_CONNECTING] = 1, [LANE_PREPARING] = 3, [LANE_IDLE] = 2,
        [LANE_SENT] = 3, [LANE_ISOLATING] = 3,  [LANE_ROLLBACK] = 3,  [LANE_WAITING] = 2,
    };
    unsigned counts[4] = {0};
    for (unsigned i = 0; i < sink->n_lanes; i++)
        counts[group[sink->lanes[i].state]]++;
    for (unsigned i = 0; i < 4; i++) {
        if (sink->connections[i] == NULL)
            sink->connections[i] = metric_series(METRIC_PG_CONNECTIONS, names[i], NULL);
        metric_set(sink->connections[i], counts[i]);
    }
}
