// SPDX-License-Identifier: Apache-2.0
// The APIs that the jobs talk to: pool of connections, breaker, rate limit; kept over a reload.
#include "auth/token.h"
#include "core/backoff.h"
#include "core/mem.h"
#include "jobs_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api *api_find(const struct jobs *jobs, const char *name)
{
    for (struct api *a = jobs->apis; a != NULL; a = a->next) {
        if (strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

const struct config_api *api_config(const struct run *run)
{
    return &run->config->config->jobs.apis[run->action->api];
}

void api_show(struct api *api)
{
    metric_set(api->state, (double)api->breaker.state);
}

static void destroy(struct api **pointer)
{
    struct api *a = *pointer;
    *pointer = a->next;
    metric_set(a->state, 0);
    http_pool_destroy(&a->pool);
    free(a->name);
    free(a);
}

static struct api *create(struct jobs *jobs, const struct config_api *config)
{
    struct api *a = mem_zalloc(sizeof(*a));
    a->jobs = jobs;
    a->name = mem_strdup(config->name);
    a->ahead = 1;
    a->pool = http_pool_create(jobs->http, config->name, config->max_connections);
    a->state = metric_series(METRIC_BREAKER_STATE, config->name, NULL);
    breaker_init(&a->breaker, config->breaker_failures, config->breaker_reset_us);
    rate_init(&a->rate, config->rate_limit, config->rate_period_us);
    a->next = jobs->apis;
    jobs->apis = a;
    return a;
}

static void configure(struct api *a, const struct config_api *config)
{
    a->configured = true;
    a->breaker.threshold = config->breaker_failures;
    a->breaker.reset_us = config->breaker_reset_us;
    if (a->rate.limit != config->rate_limit || a->rate.period_us != config->rate_period_us) {
        int64_t held_until = a->rate.held_until_us;
        rate_init(&a->rate, config->rate_limit, config->rate_period_us);
        rate_hold(&a->rate, held_until);
    }
    http_pool_resize(a->pool, config->max_connections);
    api_show(a);
}

static void drop_unused(struct jobs *jobs)
{
    for (struct api **at = &jobs->apis; *at != NULL;) {
        if (!(*at)->configured && (*at)->runs == 0)
            destroy(at);
        else
            at = &(*at)->next;
    }
}

void apis_configure(struct jobs *jobs)
{
    const struct config_jobs *config = &jobs->config->config->jobs;
    for (struct api *a = jobs->apis; a != NULL; a = a->next)
        a->configured = false;
    for (size_t i = 0; i < config->n_apis; i++) {
        struct api *a = api_find(jobs, config->apis[i].name);
        configure(a != NULL ? a : create(jobs, &config->apis[i]), &config->apis[i]);
    }
    drop_unused(jobs);
}

void apis_destroy(struct jobs *jobs)
{
    while (jobs->apis != NULL)
        destroy(&jobs->apis);
}

void api_release(struct api **pointer)
{
    struct api *a = *pointer;
    *pointer = NULL;
    if (a != NULL && --a->runs == 0 && !a->configured)
        drop_unused(a->jobs);
}

int64_t api_wait(struct api *api, int64_t now_us)
{
    int64_t wait = rate_wait(&api->rate, now_us);
    if (breaker_allows(&api->breaker, now_us))
        return wait;
    if (api->breaker.state == BREAKER_HALF_OPEN)
        return -1;
    int64_t shut = breaker_reopens_at(&api->breaker) - now_us;
    return shut > wait ? shut : wait;
}

static void tell(struct api *api, const char *event, const char *why)
{
    struct jobs_audit_field fields[] = {{"api", api->name}, {"detail", why}};
    api->jobs->callbacks.audit(api->jobs->owner, event, fields, 2);
}

void api_hold(struct api *api, int64_t for_us)
{
    int64_t now = loop_now(api->jobs->loop).us;
    if (now + for_us <= api->rate.held_until_us)
        return;
    bool held = api->rate.held_until_us > now;
    char text[64];
    rate_hold(&api->rate, now + for_us);
    snprintf(text, sizeof(text), "429: no requests for %.1f s", (double)for_us / 1e6);
    if (!held) // answers to what was under way already are no news
        tell(api, "api.held", text);
}

void api_answered(struct api *api, bool probe, bool failed, const char *why)
{
    const struct breaker *breaker = &api->breaker;
    bool changed = breaker_end(&api->breaker, probe, failed, loop_now(api->jobs->loop).us);
    api_show(api);
    if (changed)
        tell(api, breaker->state == BREAKER_OPEN ? "breaker.open" : "breaker.closed",
             failed ? why : NULL);
    if (changed || probe)
        jobs_fill_soon(api->jobs);
}
