// SPDX-License-Identifier: Apache-2.0
// Metrics, declared in one table. A metric has up to two labels; a series is one combination of
// label values. Owners look a series up once and keep the pointer; changing it is one addition.
// ops/metrics renders the table as Prometheus text.
#ifndef CXSINK_CORE_COUNTER_H
#define CXSINK_CORE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

// X(identifier, type, buckets of a histogram, name, label 1 or NULL, label 2 or NULL, help)
#define METRIC_TABLE(X)                                                                         \
    X(EVENTS_RECEIVED, COUNTER, none, "cxsink_events_received_total", "stream", NULL,           \
      "Events that are durable in the spool")                                                   \
    X(EVENTS_COMMITTED, COUNTER, none, "cxsink_events_committed_total", "stream", "result",     \
      "Events committed to PostgreSQL, by what the upsert did")                                 \
    X(EVENTS_REJECTED, COUNTER, none, "cxsink_events_rejected_total", "stream", "reason",       \
      "Events that became dead letters, by reason")                                             \
    X(EVENTS_DROPPED, COUNTER, none, "cxsink_events_dropped_total", "stream", "policy",         \
      "Events dropped because the spool was full, by policy")                                   \
    X(RECEIVED_BYTES, COUNTER, none, "cxsink_received_bytes_total", "stream", NULL,             \
      "Bytes of event payload received")                                                        \
    X(STREAM_CONNECTS, COUNTER, none, "cxsink_stream_connects_total", "stream", NULL,           \
      "Successful WebSocket handshakes")                                                        \
    X(STREAM_DISCONNECTS, COUNTER, none, "cxsink_stream_disconnects_total", "stream", "code",   \
      "Ended connections and failed attempts, by close code or kind")                           \
    X(TOKEN_REFRESHES, COUNTER, none, "cxsink_token_refreshes_total", "auth", "result",         \
      "Token requests, by result")                                                              \
    X(BATCHES, COUNTER, none, "cxsink_batches_total", "result", NULL,                           \
      "Batches finished, by result (committed, isolated, retried)")                             \
    X(BATCH_RETRIES, COUNTER, none, "cxsink_batch_retries_total", "sqlstate", NULL,             \
      "Batches that PostgreSQL refused and that are tried again, by SQLSTATE")                  \
    X(HTTP_REQUESTS, COUNTER, none, "cxsink_http_requests_total", "api", "status",              \
      "HTTP requests sent, by status or kind of failure")                                       \
    X(JOBS_FINISHED, COUNTER, none, "cxsink_jobs_finished_total", "action", "state",            \
      "Jobs that reached a final state")                                                        \
    X(SPOOL_CORRUPT, COUNTER, none, "cxsink_spool_corrupt_total", NULL, NULL,                   \
      "Damaged places skipped while reading the spool")                                         \
    X(STREAM_CONNECTED, GAUGE, none, "cxsink_stream_connected", "stream", NULL,                 \
      "1 while the stream's WebSocket is open")                                                 \
    X(STREAM_HELD, GAUGE, none, "cxsink_stream_held", "stream", NULL,                           \
      "1 while the stream is held, since too many of its events were refused")                  \
    X(SPOOL_EVENTS, GAUGE, none, "cxsink_spool_events", NULL, NULL,                             \
      "Events in the spool that are not yet committed to PostgreSQL")                           \
    X(SPOOL_BYTES, GAUGE, none, "cxsink_spool_bytes", NULL, NULL, "Bytes of the spool's files") \
    X(SPOOL_MAX_BYTES, GAUGE, none, "cxsink_spool_max_bytes", NULL, NULL,                       \
      "Bytes that the spool may hold: spool.max_bytes")                                         \
    X(SPOOL_OLDEST, GAUGE, none, "cxsink_spool_oldest_seconds", NULL, NULL,                     \
      "Age of the oldest event that is not yet committed")                                      \
    X(PG_CONNECTIONS, GAUGE, none, "cxsink_pg_connections", "state", NULL,                      \
      "Connections to PostgreSQL, by state")                                                    \
    X(TOKEN_EXPIRY, GAUGE, none, "cxsink_token_expiry_timestamp_seconds", "auth", NULL,         \
      "When the token in use expires, Unix time")                                               \
    X(JOBS, GAUGE, none, "cxsink_jobs", "state", NULL, "Jobs in the queue's table, by state")   \
    X(BREAKER_STATE, GAUGE, none, "cxsink_breaker_state", "api", NULL,                          \
      "0 closed, 1 half-open, 2 open")                                                          \
    X(BUILD_INFO, GAUGE, none, "cxsink_build_info", "version", NULL, "Always 1")                \
    X(COMMIT_LATENCY, HISTOGRAM, seconds, "cxsink_commit_latency_seconds", "stream", NULL,      \
      "From the frame's receipt to COMMIT")                                                     \
    X(BATCH_EVENTS, HISTOGRAM, count, "cxsink_batch_events", NULL, NULL, "Events in a batch")   \
    X(BATCH_SECONDS, HISTOGRAM, short, "cxsink_batch_seconds", NULL, NULL,                      \
      "From sending a batch to its COMMIT")                                                     \
    X(SPOOL_SYNC, HISTOGRAM, short, "cxsink_spool_sync_seconds", NULL, NULL,                    \
      "Time of one group commit of the spool (write and fdatasync)")                            \
    X(JOB_SECONDS, HISTOGRAM, seconds, "cxsink_job_seconds", "action", NULL,                    \
      "From a job's first lease to its end")                                                    \
    X(LOOP_STALL, HISTOGRAM, short, "cxsink_loop_stall_seconds", NULL, NULL,                    \
      "Time of one turn of the event loop, without its sleep")

enum metric {
#define METRIC_ENUM(id, type, buckets, name, label1, label2, help) METRIC_##id,
    METRIC_TABLE(METRIC_ENUM)
#undef METRIC_ENUM
        METRIC_COUNT
};

// Most buckets a histogram has, +Inf included.
#define METRIC_BUCKETS_MAX 20
// Most series a metric has; further label values share one series with the value "other".
#define METRIC_SERIES_MAX 256

struct metric_series {
    const char *labels[2];                // owned copies; NULL where the metric has none
    double value;                         // counter, gauge
    uint64_t buckets[METRIC_BUCKETS_MAX]; // histogram: not cumulative
    uint64_t count;
    double sum;
    struct metric_series *next;
};

struct metric_info {
    const char *name;
    const char *help;
    const char *labels[2];
    enum metric_type type;
    const double *bounds; // upper bounds of a histogram's buckets, ascending, without +Inf
    size_t n_bounds;
};

const struct metric_info *metric_info(enum metric metric);
// The series of these label values (copied), made when it is not there yet. Never NULL; the pointer
// stays valid for the life of the process.
struct metric_series *metric_series(enum metric metric, const char *value1, const char *value2);
// First series of a metric, for rendering; NULL when there is none.
const struct metric_series *metric_first(enum metric metric);
void metric_observe(enum metric metric, struct metric_series *series, double value, uint64_t times);
// Upper bound of the bucket in which the quantile (0..1) falls; 0 when nothing was observed.
double metric_quantile(enum metric metric, const struct metric_series *series, double quantile);
// The quantile (0..1) of such buckets, evenly spread within each; the highest bound for what lies
// above it. NAN when they are empty.
double metric_interpolate(enum metric metric, const uint64_t *buckets, double quantile);
// Forgets every series (tests only; pointers become invalid).
void metric_reset_all(void);

static inline void metric_add(struct metric_series *series, double n)
{
    series->value += n;
}

static inline void metric_set(struct metric_series *series, double value)
{
    series->value = value;
}

#endif
