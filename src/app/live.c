// SPDX-License-Identifier: Apache-2.0
// What the status page shows: the status, what happened lately, the last audit events.
#include "daemon_priv.h"

// --- history ---

static void add_latency(struct history_totals *totals)
{
    for (const struct metric_series *s = metric_first(METRIC_COMMIT_LATENCY); s != NULL;
         s = s->next) {
        for (size_t i = 0; i < METRIC_BUCKETS_MAX; i++)
            totals->latency[i] += s->buckets[i];
    }
}

void live_sample(struct daemon *d)
{
    struct spool_stats spool;
    struct sink_stats sink;
    spool_stat(d->spool, &spool);
    sink_stat(d->sink, &sink);
    struct history_totals totals = {
        .received = report_sum(METRIC_EVENTS_RECEIVED, NULL),
        .committed = report_sum(METRIC_EVENTS_COMMITTED, NULL),
        .rejected = report_sum(METRIC_EVENTS_REJECTED, NULL),
        .batches = (double)sink.batches,
        .retries = (double)sink.retries,
        .spool_events = (double)spool.events,
        .spool_bytes = (double)spool.bytes,
    };
    add_latency(&totals);
    history_add(d->history, loop_now(d->loop), loop_wall_us(d->loop), &totals);
}

// --- a snapshot ---

enum { SEEN_SECONDS, SEEN_MINUTES, SEEN_AUDIT };

void live_snapshot(void *owner, struct admin_mark *mark, struct buf *out)
{
    struct daemon *d = owner;
    struct history_mark seen = {mark->seen[SEEN_SECONDS], mark->seen[SEEN_MINUTES]};
    buf_append_text(out, "{\"status\":");
    report_status(d, out);
    buf_append_text(out, ",\"history\":");
    history_json(d->history, &seen, out);
    buf_append_text(out, ",\"audit\":");
    audit_recent(d->audit, &mark->seen[SEEN_AUDIT], out);
    buf_append_text(out, "}");
    mark->seen[SEEN_SECONDS] = seen.seconds;
    mark->seen[SEEN_MINUTES] = seen.minutes;
}
