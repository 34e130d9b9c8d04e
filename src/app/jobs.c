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
    buf_append_text(out, "]}");
}
