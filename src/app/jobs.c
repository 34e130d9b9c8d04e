// SPDX-License-Identifier: Apache-2.0
// The daemon's jobs: their tokens, their place in the audit log, in the status and in the metrics.
#include "core/log.h"
#include "daemon_priv.h"

#include <stdio.h>
#include <string.h>

// Every field of a job's audit event.
#define AUDIT_FIELDS 24

static struct token *on_token(void *owner, const char *auth)
{
    struct daemon *d = owner;
    for (size_t i = 0; i < d->n_tokens; i++) {
        if (strcmp(d->tokens[i]->config->name, auth) == 0)
            return d->tokens[i]->token;
    }
    return NULL;
}

static void on_audit(void *owner, const char *event, const struct jobs_audit_field *fields,
                     size_t n_fields)
{
    struct daemon *d = owner;
    struct audit_field copy[AUDIT_FIELDS];
    size_t n = n_fields < AUDIT_FIELDS ? n_fields : AUDIT_FIELDS;
    for (size_t i = 0; i < n; i++)
        copy[i] = (struct audit_field){fields[i].name, fields[i].value};
    audit_write(d->audit, event, NULL, copy, n);
}

void app_jobs_create(struct daemon *d)
{
    d->jobs = jobs_create(&(struct jobs_settings){
        .loop = d->loop,
        .resolver = d->resolver,
        .http = d->http,
        .config = d->ref,
        .callbacks = {.token = on_token, .audit = on_audit},
        .owner = d,
    });
}

void app_jobs_metrics(struct daemon *d)
{
    struct jobs_stats stats;
    jobs_stat(d->jobs, &stats);
    if (!stats.enabled)
        return;
    for (size_t i = 0; i < JOB_STATE_COUNT; i++)
        metric_set(metric_series(METRIC_JOBS, job_state_name((enum job_state)i), NULL),
                   (double)stats.counts.by_state[i]);
}

static void add_api(const struct jobs_api_stats *api, struct buf *out)
{
    buf_append_text(out, "{\"name\":");
    buf_json_string(out, api->name, strlen(api->name));
    buf_printf(out,
               ",\"breaker\":\"%s\",\"failures\":%u,\"open_for_seconds\":%.3f,"
               "\"held_for_seconds\":%.3f,\"in_flight\":%u,\"waiting\":%u}",
               breaker_state_name(api->breaker), api->failures, (double)api->open_for_us / 1e6,
               (double)api->held_for_us / 1e6, api->in_flight, api->waiting);
}

// What this daemon has run of an action since its start.
static void add_action(const struct metric_series *s, struct buf *out)
{
    static const struct {
        const char *name;
        double quantile;
    } quantiles[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
    buf_append_text(out, "{\"name\":");
    buf_json_string(out, s->labels[0], strlen(s->labels[0]));
    for (size_t i = JOB_SUCCEEDED; i < JOB_STATE_COUNT; i++) {
        const char *state = job_state_name((enum job_state)i);
        buf_printf(out, ",\"%s\":%.0f", state,
                   report_value(METRIC_JOBS_FINISHED, s->labels[0], state));
    }
    if (s->count > 0)
        buf_printf(out, ",\"average_seconds\":%.6g", s->sum / (double)s->count);
    for (size_t i = 0; s->count > 0 && i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        buf_printf(out, ",\"%s_seconds\":%.6g", quantiles[i].name,
                   metric_interpolate(METRIC_JOB_SECONDS, s->buckets, quantiles[i].quantile));
    buf_append_text(out, "}");
}

static void add_actions(struct buf *out)
{
    const struct metric_series *first = metric_first(METRIC_JOB_SECONDS);
    buf_append_text(out, ",\"actions\":[");
    for (const struct metric_series *s = first; s != NULL; s = s->next) {
        buf_append(out, ",", s != first);
        add_action(s, out);
    }
    buf_append_text(out, "]");
}

void app_jobs_status(struct daemon *d, struct buf *out)
{
    struct jobs_stats stats;
    jobs_stat(d->jobs, &stats);
    if (!stats.enabled)
        return;
    buf_printf(out, ",\"jobs\":{\"connected\":%s,\"active\":%u,\"states\":{",
               stats.connected ? "true" : "false", stats.active);
    for (size_t i = 0; i < JOB_STATE_COUNT; i++)
        buf_printf(out, "%s\"%s\":%llu", i > 0 ? "," : "", job_state_name((enum job_state)i),
                   (unsigned long long)stats.counts.by_state[i]);
    buf_append_text(out, "},\"last_error\":");
    if (stats.last_error.code != STATUS_OK)
        buf_json_string(out, stats.last_error.detail, strlen(stats.last_error.detail));
    else
        buf_append_text(out, "null");
    buf_append_text(out, ",\"apis\":[");
    for (size_t i = 0; i < stats.n_apis; i++) {
        struct jobs_api_stats api;
        jobs_stat_api(d->jobs, i, &api);
        buf_append_text(out, i > 0 ? "," : "");
        add_api(&api, out);
    }
    buf_append_text(out, "]");
    add_actions(out);
    buf_append_text(out, "}");
}
