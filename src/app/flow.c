// SPDX-License-Identifier: Apache-2.0
// The path of an event: session -> spool (group commit) -> pipeline -> sink -> acknowledgement.
#include "core/log_event.h"
#include "core/mem.h"
#include "daemon_priv.h"

#include <stdio.h>
#include <stdlib.h>

// A group commit happens when this much is pending, or this long after the first append.
#define COMMIT_BYTES (512u << 10)
#define COMMIT_DELAY_US US_PER_MS
// After a failed write or read of the spool.
#define RETRY_DELAY_US US_PER_S
// Records decoded in one go before the loop looks at its sockets again.
#define PUMP_RECORDS 512

// --- frames into the spool ---

static const enum spool_kind spool_kinds[] = {
    [SESSION_TEXT] = SPOOL_TEXT,
    [SESSION_BINARY] = SPOOL_BINARY,
    [SESSION_TOO_LARGE] = SPOOL_TOO_LARGE,
};

enum session_verdict flow_message(struct app_stream *s, enum session_frame frame, const char *data,
                                  size_t length)
{
    struct daemon *d = s->daemon;
    int64_t now_us = loop_wall_us(d->loop);
    struct spool_record record = {.received_us = now_us,
                                  .kind = spool_kinds[frame],
                                  .stream = s->name,
                                  .stream_len = strlen(s->name),
                                  .payload = data,
                                  .len = length};
    switch (spool_append(d->spool, &record)) {
    case SPOOL_FULL:
        if (!s->starved)
            log_event(LOG_ID_SPOOL_FULL, &(struct log_fields){.stream = s->name},
                      "the spool is full: the stream pauses until there is room");
        s->starved = true;
        return SESSION_PAUSE;
    case SPOOL_DROPPED: // counted and audited by on_dropped
        return SESSION_TAKEN;
    case SPOOL_APPENDED:
        break;
    }
    s->pending++;
    s->last_event_us = now_us;
    metric_add(s->received_bytes, (double)length);
    if (d->commit_failing)
        return SESSION_TAKEN; // the retry timer runs
    if (spool_pending_bytes(d->spool) >= COMMIT_BYTES)
        flow_commit(d);
    else if (!timer_running(&d->commit_timer) || timer_left_us(&d->commit_timer) > COMMIT_DELAY_US)
        timer_start(&d->commit_timer, COMMIT_DELAY_US);
    return SESSION_TAKEN;
}

// What is durable now counts as received.
static void count_received(struct daemon *d)
{
    for (size_t i = 0; i < d->n_streams; i++) {
        struct app_stream *s = d->streams[i];
        metric_add(s->received_events, (double)s->pending);
        s->pending = 0;
    }
}

static void commit_failed(struct daemon *d, const struct status *st)
{
    if (!d->commit_failing) {
        struct audit_field fields[] = {{"error", st->detail}};
        audit_write(d->audit, "spool.write_failed", NULL, fields, 1);
    }
    d->commit_failing = true;
    log_event(LOG_ID_SPOOL_WRITE_FAILED, NULL,
              "cannot write to the spool: %s; streams pause, trying again in 1 s", st->detail);
    timer_start(&d->commit_timer, RETRY_DELAY_US);
}

void flow_commit(struct daemon *d)
{
    struct status st = {0};
    bool any = spool_pending_bytes(d->spool) > 0;
    timer_stop(&d->commit_timer);
    struct mono before = mono_read();
    enum status_code code = spool_commit(d->spool, before.us, &st);
    metric_observe(METRIC_SPOOL_SYNC, d->sync_seconds, (double)mono_diff(mono_read(), before) / 1e6,
                   1);
    if (code != STATUS_OK) {
        commit_failed(d, &st);
        return;
    }
    if (d->commit_failing) {
        d->commit_failing = false;
        audit_write(d->audit, "spool.recovered", NULL, NULL, 0);
    }
    // What was written now is synced by the commit after the interval at the latest.
    if (any && d->ref->config->spool.sync == SYNC_INTERVAL)
        timer_start(&d->commit_timer, d->ref->config->spool.sync_interval_us);
    count_received(d);
    hold_relieve(d);
    flow_pump_soon(d);
    app_streams_resume(d);
}

// --- records through the pipeline ---

static const enum decode_frame decode_frames[] = {
    [SPOOL_TEXT] = DECODE_TEXT,
    [SPOOL_BINARY] = DECODE_BINARY,
    [SPOOL_TOO_LARGE] = DECODE_TOO_LARGE,
};

static size_t stream_index(const struct daemon *d, const char *name)
{
    const struct config *config = d->ref->config;
    for (size_t i = 0; i < config->n_streams; i++) {
        if (strcmp(config->streams[i].name, name) == 0)
            return i;
    }
    return CONFIG_NONE;
}

static enum sink_push push_record(struct daemon *d, const struct spool_record *record)
{
    struct sink_origin origin = {
        .seq = record->seq,
        .received_us = record->received_us,
        .stream = app_intern(d, record->stream, record->stream_len),
    };
    if (hold_skips(d, record->seq, origin.stream))
        return SINK_TAKEN;
    return pipeline_push(d->pipeline, stream_index(d, origin.stream), decode_frames[record->kind],
                         record->payload, record->len, &origin);
}

static void pump(void *owner)
{
    struct daemon *d = owner;
    struct spool_record record;
    struct status st = {0};
    d->pump_posted = false;
    if (!pipeline_ready(d->pipeline) || pipeline_retry(d->pipeline) == SINK_BUSY)
        return; // on_room or on_restarted comes
    for (int n = 0; n < PUMP_RECORDS; n++) {
        enum spool_read read = spool_read(d->spool, &record, &st);
        if (read == SPOOL_EMPTY) {
            if (d->hold.active)
                hold_acknowledge(d);
            return;
        }
        if (read == SPOOL_FAILED) {
            log_event(LOG_ID_SPOOL_READ_FAILED, NULL,
                      "cannot read the spool: %s; trying again in 1 s", st.detail);
            timer_start(&d->pump_timer, RETRY_DELAY_US);
            return;
        }
        if (push_record(d, &record) == SINK_BUSY)
            return;
    }
    flow_pump_soon(d);
}

void flow_pump_soon(struct daemon *d)
{
    if (d->pump_posted)
        return;
    d->pump_posted = true;
    loop_post(d->loop, pump, d);
}

// --- the sink's events ---

static void on_acked(void *owner, uint64_t seq)
{
    struct daemon *d = owner;
    hold_acked(d, seq);
    app_streams_resume(d);
}

static void on_room(void *owner)
{
    flow_pump_soon(owner);
}

static void on_restarted(void *owner)
{
    struct daemon *d = owner;
    pipeline_forget(d->pipeline);
    spool_rewind(d->spool);
    hold_rewound(d);
    flow_pump_soon(d);
}

static bool on_payload(void *owner, uint64_t seq, struct buf *payload)
{
    struct daemon *d = owner;
    return spool_fetch(d->spool, seq, payload);
}

static void on_dead(void *owner, const char *stream, const char *reason, uint64_t count,
                    int64_t example_id)
{
    (void)owner;
    metric_add(metric_series(METRIC_EVENTS_REJECTED, stream, reason), (double)count);
    log_event(LOG_ID_DEAD_LETTERS, &(struct log_fields){.stream = stream},
              "%llu event%s rejected (%s), kept as dead letter%s; see `cxsink dead show %lld`",
              (unsigned long long)count, count == 1 ? "" : "s", reason, count == 1 ? "" : "s",
              (long long)example_id);
}

static void on_sink_state(void *owner, enum sink_state from, enum sink_state to,
                          const struct status *st)
{
    struct daemon *d = owner;
    struct audit_field fields[] = {{"from", sink_state_name(from)},
                                   {"to", sink_state_name(to)},
                                   {"reason", st != NULL && st->code ? st->detail : NULL}};
    if (to == SINK_READY || from == SINK_READY || to == SINK_BLOCKED)
        audit_write(d->audit, "database.state", NULL, fields, 3);
    if (to == SINK_READY)
        log_event(LOG_ID_DATABASE_READY, NULL, "database ready"); // the sink tells of trouble
}

struct sink_callbacks flow_sink_callbacks(void)
{
    return (struct sink_callbacks){
        .acked = on_acked,
        .room = on_room,
        .state = on_sink_state,
        .restarted = on_restarted,
        .payload = on_payload,
        .held = hold_began,
        .dead = on_dead,
    };
}

// --- the spool's events ---

static void on_corrupt(void *owner, const char *file, uint64_t offset, uint64_t bytes,
                       const char *what)
{
    struct daemon *d = owner;
    char where[96];
    metric_add(metric_series(METRIC_SPOOL_CORRUPT, NULL, NULL), 1);
    snprintf(where, sizeof(where), "%llu bytes at offset %llu", (unsigned long long)bytes,
             (unsigned long long)offset);
    log_event(LOG_ID_SPOOL_CORRUPT, NULL,
              "the spool file %s is damaged: %s (%s); skipped, going on", file, where, what);
    struct audit_field fields[] = {{"file", file}, {"where", where}, {"what", what}};
    audit_write(d->audit, "spool.corrupt", NULL, fields, 3);
}

static void on_dropped(void *owner, const char *stream, size_t stream_len, uint64_t count)
{
    static const char *const policies[] = {[SPOOL_BLOCK] = "block",
                                           [SPOOL_DROP_NEWEST] = "drop_newest",
                                           [SPOOL_DROP_OLDEST] = "drop_oldest"};
    struct daemon *d = owner;
    const char *name = app_intern(d, stream, stream_len);
    const char *policy = policies[d->ref->config->spool.when_full];
    struct metric_series *series = metric_series(METRIC_EVENTS_DROPPED, name, policy);
    bool first = series->value == 0;
    metric_add(series, (double)count);
    log_event(LOG_ID_SPOOL_DROPPED, &(struct log_fields){.stream = name},
              "the spool is full: dropped %llu event%s (%s)", (unsigned long long)count,
              count == 1 ? "" : "s", policy);
    // Each drop is counted; the audit log takes the first and then the running total, thinned out.
    if (first || (uint64_t)series->value % 1000 < count) {
        char total[32];
        snprintf(total, sizeof(total), "%.0f", series->value);
        struct audit_field fields[] = {{"policy", policy}, {"total", total}};
        audit_write(d->audit, "spool.dropped", name, fields, 2);
    }
}

struct spool_settings flow_spool_settings(struct daemon *d, const struct config *config,
                                          const char *dir)
{
    static const enum spool_when_full when_full[] = {
        [WHEN_FULL_BLOCK] = SPOOL_BLOCK,
        [WHEN_FULL_DROP_NEWEST] = SPOOL_DROP_NEWEST,
        [WHEN_FULL_DROP_OLDEST] = SPOOL_DROP_OLDEST,
    };
    static const enum spool_sync sync[] = {[SYNC_ALWAYS] = SPOOL_SYNC_ALWAYS,
                                           [SYNC_INTERVAL] = SPOOL_SYNC_INTERVAL,
                                           [SYNC_OFF] = SPOOL_SYNC_OFF};
    return (struct spool_settings){
        .dir = dir,
        .max_bytes = config->spool.max_bytes,
        .segment_bytes = config->spool.segment_bytes,
        .when_full = when_full[config->spool.when_full],
        .sync = sync[config->spool.sync],
        .sync_interval_us = config->spool.sync_interval_us,
        .callbacks = {.corrupt = on_corrupt, .dropped = on_dropped},
        .owner = d,
    };
}

static void commit_timer_fired(void *owner)
{
    flow_commit(owner);
}

static void pump_timer_fired(void *owner)
{
    flow_pump_soon(owner);
}

void flow_init(struct daemon *d)
{
    d->sync_seconds = metric_series(METRIC_SPOOL_SYNC, NULL, NULL);
    timer_init(&d->commit_timer, d->loop, "spool commit", commit_timer_fired, d);
    timer_init(&d->pump_timer, d->loop, "spool read", pump_timer_fired, d);
}
