// SPDX-License-Identifier: Apache-2.0
// What the daemon tells about itself: status JSON, readiness, gauges, systemd's status line.
#include "core/mem.h"
#include "daemon_priv.h"
#include "ops/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Above this share of its bound the spool makes the daemon not ready.
#define SPOOL_READY_PERCENT 90
// A batch without an answer for this long makes the daemon not ready: a lock, a full disk, a
// network that swallows. statement_timeout ends it much later.
#define STUCK_US (3 * US_PER_S)

static void json_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    if (value == NULL)
        buf_append_text(out, "null");
    else
        buf_json_string(out, value, strlen(value));
}

static void json_time(struct buf *out, const char *name, int64_t wall_us)
{
    char text[32];
    if (wall_us > 0)
        wall_format(wall_us, text, sizeof(text));
    json_text(out, name, wall_us > 0 ? text : NULL);
}

static void json_number(struct buf *out, const char *name, double value)
{
    buf_printf(out, ",\"%s\":%.15g", name, value);
}

static void json_flag(struct buf *out, const char *name, bool value)
{
    buf_printf(out, ",\"%s\":%s", name, value ? "true" : "false");
}

// --- sums of series ---

double report_value(enum metric metric, const char *value1, const char *value2)
{
    for (const struct metric_series *s = metric_first(metric); s != NULL; s = s->next) {
        if (strcmp(s->labels[0], value1) == 0 &&
            (value2 == NULL || strcmp(s->labels[1], value2) == 0))
            return s->value;
    }
    return 0;
}

double report_sum(enum metric metric, const char *value1)
{
    double sum = 0;
    for (const struct metric_series *s = metric_first(metric); s != NULL; s = s->next) {
        if (value1 == NULL || strcmp(s->labels[0], value1) == 0)
            sum += s->value;
    }
    return sum;
}

static void json_latency(struct buf *out, const char *stream)
{
    for (const struct metric_series *s = metric_first(METRIC_COMMIT_LATENCY); s != NULL;
         s = s->next) {
        if (strcmp(s->labels[0], stream) != 0 || s->count == 0)
            continue;
        json_number(out, "commit_p50_seconds", metric_quantile(METRIC_COMMIT_LATENCY, s, 0.5));
        json_number(out, "commit_p99_seconds", metric_quantile(METRIC_COMMIT_LATENCY, s, 0.99));
    }
}

// --- readiness ---

static void add_reason(struct buf *reasons, const char *text)
{
    buf_append_text(reasons, reasons->len == 0 ? "[" : ",");
    buf_json_string(reasons, text, strlen(text));
}

static bool connected(const struct app_stream *s)
{
    enum session_state state = session_state(s->session);
    return state == SESSION_LIVE || state == SESSION_PAUSED;
}

static void stream_reason(const struct app_stream *s, struct buf *reasons)
{
    char text[STATUS_DETAIL_MAX + 256];
    const struct session_end *end = session_last_end(s->session);
    const struct status *token = s->token != NULL ? token_last_error(s->token->token) : NULL;
    const char *why = session_state_sentence(session_state(s->session));
    if (session_state(s->session) == SESSION_TOKEN && token != NULL)
        why = token->detail;
    else if (end != NULL)
        why = end->detail;
    snprintf(text, sizeof(text), "stream %s is not connected (%s): %s", s->name,
             session_state_name(session_state(s->session)), why);
    add_reason(reasons, text);
}

static void held_reason(const struct daemon *d, const struct app_stream *s, struct buf *reasons)
{
    char text[512];
    const struct sink_hold *hold = sink_held(d->sink, s->name);
    if (hold == NULL)
        return;
    snprintf(text, sizeof(text),
             "stream %s is held: %llu of %llu events were refused (%s); mend schema or mapping and "
             "reload, or run `cxsink resume --stream %s`",
             s->name, (unsigned long long)hold->refused, (unsigned long long)hold->events,
             hold->reason, s->name);
    add_reason(reasons, text);
}

static void database_reason(const struct daemon *d, struct buf *reasons)
{
    char text[STATUS_DETAIL_MAX + 64];
    const struct status *trouble = sink_trouble(d->sink);
    struct sink_stats stats;
    sink_stat(d->sink, &stats);
    if (stats.waiting_us >= STUCK_US) {
        snprintf(text, sizeof(text), "database: no answer for %.0f s to a batch in flight",
                 (double)stats.waiting_us / (double)US_PER_S);
        add_reason(reasons, text);
    }
    if (sink_state(d->sink) == SINK_READY)
        return;
    snprintf(text, sizeof(text), "database %s: %s", sink_state_name(sink_state(d->sink)),
             trouble != NULL && trouble->code != STATUS_OK ? trouble->detail : "no answer yet");
    add_reason(reasons, text);
}

static void spool_reason(const struct spool_stats *stats, struct buf *reasons)
{
    char text[160];
    if (stats->no_space)
        add_reason(reasons, "the spool's file system is full: make room");
    if (stats->max_bytes == 0 || stats->bytes < stats->max_bytes / 100 * SPOOL_READY_PERCENT)
        return;
    snprintf(text, sizeof(text), "the spool holds %llu of %llu bytes",
             (unsigned long long)stats->bytes, (unsigned long long)stats->max_bytes);
    add_reason(reasons, text);
}

bool report_ready(void *owner, struct buf *reasons)
{
    struct daemon *d = owner;
    struct spool_stats stats;
    spool_stat(d->spool, &stats);
    for (size_t i = 0; i < d->n_streams; i++) {
        if (!connected(d->streams[i]))
            stream_reason(d->streams[i], reasons);
        held_reason(d, d->streams[i], reasons);
    }
    database_reason(d, reasons);
    spool_reason(&stats, reasons);
    if (d->commit_failing)
        add_reason(reasons, "the spool cannot be written");
    if (d->phase == DAEMON_DRAINING)
        add_reason(reasons, "stopping");
    if (reasons->len == 0)
        return true;
    buf_append_text(reasons, "]");
    return false;
}

// --- status ---

static void add_stream(const struct app_stream *s, struct buf *out)
{
    enum session_state state = session_state(s->session);
    const struct session_end *end = session_last_end(s->session);
    buf_append_text(out, "{\"name\":");
    buf_json_string(out, s->name, strlen(s->name));
    json_text(out, "state", session_state_name(state));
    json_text(out, "sentence", session_state_sentence(state));
    json_flag(out, "connected", connected(s));
    const struct sink_hold *hold = sink_held(s->daemon->sink, s->name);
    json_flag(out, "held", hold != NULL);
    json_text(out, "held_reason", hold != NULL ? hold->reason : NULL);
    json_number(out, "received", s->received_events->value);
    json_number(out, "received_bytes", s->received_bytes->value);
    json_number(out, "inserted", report_value(METRIC_EVENTS_COMMITTED, s->name, "inserted"));
    json_number(out, "updated", report_value(METRIC_EVENTS_COMMITTED, s->name, "updated"));
    json_number(out, "unchanged", report_value(METRIC_EVENTS_COMMITTED, s->name, "unchanged"));
    json_number(out, "committed", report_sum(METRIC_EVENTS_COMMITTED, s->name));
    json_number(out, "rejected", report_sum(METRIC_EVENTS_REJECTED, s->name));
    json_number(out, "dropped", report_sum(METRIC_EVENTS_DROPPED, s->name));
    json_latency(out, s->name);
    json_time(out, "last_event_at", s->last_event_us);
    json_number(out, "retry_in_seconds", (double)session_retry_in_us(s->session) / 1e6);
    json_text(out, "last_error", !connected(s) && end != NULL ? end->detail : NULL);
    buf_append_text(out, "}");
}

static void add_token(const struct app_token *t, struct buf *out)
{
    static const char *const names[] = {[TOKEN_EMPTY] = "empty",
                                        [TOKEN_FETCHING] = "fetching",
                                        [TOKEN_VALID] = "valid",
                                        [TOKEN_WAITING] = "waiting"};
    const struct status *error = token_last_error(t->token);
    buf_append_text(out, "{\"auth\":");
    buf_json_string(out, t->config->name, strlen(t->config->name));
    json_text(out, "state", names[token_state(t->token)]);
    json_time(out, "expires_at", token_expires_us(t->token));
    json_number(out, "retry_in_seconds", (double)token_retry_in_us(t->token) / 1e6);
    json_text(out, "last_error", error != NULL ? error->detail : NULL);
    buf_append_text(out, "}");
}

static void add_rejects(struct buf *out)
{
    const struct metric_series *first = metric_first(METRIC_EVENTS_REJECTED);
    buf_append_text(out, ",\"rejects\":[");
    for (const struct metric_series *s = first; s != NULL; s = s->next) {
        buf_append_text(out, s == first ? "{\"stream\":" : ",{\"stream\":");
        buf_json_string(out, s->labels[0], strlen(s->labels[0]));
        json_text(out, "reason", s->labels[1]);
        json_number(out, "count", s->value);
        buf_append_text(out, "}");
    }
    buf_append_text(out, "]");
}

static double oldest_seconds(struct daemon *d, const struct spool_stats *stats)
{
    if (stats->events == 0 || stats->oldest_us == 0)
        return 0;
    double age = (double)(loop_wall_us(d->loop) - stats->oldest_us) / 1e6;
    return age > 0 ? age : 0;
}

static void add_spool(struct daemon *d, struct buf *out)
{
    struct spool_stats stats;
    spool_stat(d->spool, &stats);
    buf_printf(out, ",\"spool\":{\"events\":%llu", (unsigned long long)stats.events);
    json_number(out, "pending", (double)stats.pending);
    json_number(out, "bytes", (double)stats.bytes);
    json_number(out, "max_bytes", (double)stats.max_bytes);
    json_number(out, "segments", stats.segments);
    json_number(out, "oldest_seconds", oldest_seconds(d, &stats));
    json_number(out, "corrupt", (double)stats.corrupt);
    json_number(out, "dropped", (double)stats.dropped);
    json_flag(out, "full", stats.full);
    json_flag(out, "no_space", stats.no_space);
    json_flag(out, "write_failing", d->commit_failing);
    buf_append_text(out, "}");
}

static void add_database(struct daemon *d, struct buf *out)
{
    struct sink_stats stats;
    const struct status *trouble = sink_trouble(d->sink);
    sink_stat(d->sink, &stats);
    buf_append_text(out, ",\"database\":{\"state\":");
    const char *state = sink_state_name(sink_state(d->sink));
    buf_json_string(out, state, strlen(state));
    bool failing = sink_state(d->sink) != SINK_READY && trouble != NULL && trouble->code;
    json_text(out, "trouble", failing ? trouble->detail : NULL);
    json_number(out, "connections_ready", stats.connections_ready);
    json_number(out, "connections", stats.connections_total);
    json_number(out, "inserted", (double)stats.inserted);
    json_number(out, "updated", (double)stats.updated);
    json_number(out, "unchanged", (double)stats.unchanged);
    json_number(out, "dead_letters", (double)stats.dead);
    json_number(out, "batches", (double)stats.batches);
    json_number(out, "retries", (double)stats.retries);
    json_number(out, "events_open", (double)stats.open_events);
    json_number(out, "events_in_flight", (double)stats.in_flight_events);
    json_number(out, "waiting_seconds", (double)stats.waiting_us / (double)US_PER_S);
    buf_append_text(out, "}");
}

void report_status(void *owner, struct buf *out)
{
    struct daemon *d = owner;
    struct buf reasons = {0};
    bool ready = report_ready(d, &reasons);
    buf_printf(out, "{\"version\":\"%s\",\"pid\":%d", CXSINK_VERSION, (int)getpid());
    json_text(out, "state", d->phase == DAEMON_RUNNING ? "running" : "stopping");
    json_flag(out, "ready", ready);
    buf_printf(out, ",\"reasons\":%s", ready ? "[]" : buf_text(&reasons));
    json_time(out, "started_at", d->started_us);
    json_time(out, "now", loop_wall_us(d->loop));
    json_text(out, "config", d->ref->config->path);
    json_number(out, "admin_port", d->admin != NULL ? admin_port(d->admin) : 0);
    buf_append_text(out, ",\"streams\":[");
    for (size_t i = 0; i < d->n_streams; i++) {
        buf_append_text(out, i > 0 ? "," : "");
        add_stream(d->streams[i], out);
    }
    buf_append_text(out, "],\"tokens\":[");
    for (size_t i = 0; i < d->n_tokens; i++) {
        buf_append_text(out, i > 0 ? "," : "");
        add_token(d->tokens[i], out);
    }
    buf_append_text(out, "]");
    add_rejects(out);
    add_spool(d, out);
    add_database(d, out);
    app_jobs_status(d, out);
    buf_append_text(out, "}");
    buf_deinit(&reasons);
}

void report_metrics(void *owner, struct buf *out)
{
    struct daemon *d = owner;
    struct spool_stats stats;
    spool_stat(d->spool, &stats);
    metric_set(metric_series(METRIC_SPOOL_EVENTS, NULL, NULL), (double)stats.events);
    metric_set(metric_series(METRIC_SPOOL_BYTES, NULL, NULL), (double)stats.bytes);
    metric_set(metric_series(METRIC_SPOOL_MAX_BYTES, NULL, NULL), (double)stats.max_bytes);
    metric_set(metric_series(METRIC_SPOOL_OLDEST, NULL, NULL), oldest_seconds(d, &stats));
    for (size_t i = 0; i < d->n_tokens; i++)
        metric_set(d->tokens[i]->expiry, (double)token_expires_us(d->tokens[i]->token) / 1e6);
    app_jobs_metrics(d);
    metrics_render(out);
}

void report_sentence(struct daemon *d, struct buf *out)
{
    struct spool_stats stats;
    struct buf reasons = {0};
    size_t live = 0;
    spool_stat(d->spool, &stats);
    for (size_t i = 0; i < d->n_streams; i++)
        live += connected(d->streams[i]);
    bool ready = report_ready(d, &reasons);
    buf_printf(out, "%zu of %zu streams connected, database %s, %llu events spooled%s%s", live,
               d->n_streams, sink_state_name(sink_state(d->sink)), (unsigned long long)stats.events,
               ready ? "" : "; not ready: ", ready ? "" : buf_text(&reasons));
    buf_deinit(&reasons);
}
