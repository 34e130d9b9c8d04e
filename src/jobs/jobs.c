// SPDX-License-Identifier: Apache-2.0
// The jobs of a daemon as one object: what is leased when, and what is told about it.
#include "jobs/jobs.h"

#include "auth/token.h"
#include "core/mem.h"
#include "jobs/drop.h"
#include "jobs_priv.h"
#include "json/lookup.h"
#include "core/log_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Jobs leased beyond those at work, in concurrencies.
#define AHEAD_MAX 4

static const struct config_jobs *config_of(const struct jobs *jobs)
{
    return &jobs->config->config->jobs;
}

const struct config_action *jobs_find_action(const struct jobs *jobs, const char *name)
{
    const struct config_jobs *config = config_of(jobs);
    for (size_t i = 0; i < config->n_actions; i++) {
        if (strcmp(config->actions[i].name, name) == 0)
            return &config->actions[i];
    }
    return NULL;
}

// --- audit ---

// What a kind remembers under these names belongs into the audit.
static const char *const remembered[] = {"correlationId", "mimeType", "originalSize",
                                         "encodedSize",   "version",  "environment",
                                         "checksum"};
#define N_REMEMBERED (sizeof(remembered) / sizeof(remembered[0]))
#define N_FIELDS (9 + N_REMEMBERED)

static size_t add_remembered(const struct job *job, struct tape *tape, char **owned,
                             struct jobs_audit_field *fields, size_t n)
{
    if (job->progress == NULL || !tape_parse(tape, job->progress, strlen(job->progress)))
        return n;
    for (size_t i = 0; i < N_REMEMBERED; i++) {
        uint32_t at = lookup_member(tape, 0, remembered[i]);
        bool is_text = at != TAPE_NONE && tape->tokens[at].kind == TAPE_STRING;
        owned[i] = is_text ? lookup_text(tape, at) : lookup_raw(tape, at);
        if (owned[i] != NULL)
            fields[n++] = (struct jobs_audit_field){remembered[i], owned[i]};
    }
    return n;
}

void jobs_audit_event(struct jobs *jobs, const struct jobs_event *event)
{
    const struct job *job = event->job;
    char attempt[16], code[16], latency[24];
    char *owned[N_REMEMBERED] = {0};
    struct tape tape;
    snprintf(attempt, sizeof(attempt), "%u", job->attempt);
    snprintf(code, sizeof(code), "%d", event->status);
    snprintf(latency, sizeof(latency), "%" PRIi64, event->latency_us / US_PER_MS);
    struct jobs_audit_field fields[N_FIELDS] = {
        {"job", job->id},
        {"kind", event->kind},
        {"action", job->action},
        {"trace_id", job->trace_id[0] != '\0' ? job->trace_id : NULL},
        {"remote_id", job->remote_id},
        {"attempt", attempt},
        {"status", event->status > 0 ? code : NULL},
        {"latency_ms", event->latency_us >= 0 ? latency : NULL},
        {"detail", event->detail},
    };
    tape_init(&tape, 0);
    size_t n = add_remembered(job, &tape, owned, fields, 9);
    jobs->callbacks.audit(jobs->owner, event->name, fields, n);
    tape_deinit(&tape);
    for (size_t i = 0; i < N_REMEMBERED; i++)
        free(owned[i]);
}

void jobs_audit(struct run *run, const char *event, const char *detail, int status,
                int64_t latency_us)
{
    jobs_audit_event(run->jobs, &(struct jobs_event){.name = event,
                                                     .job = run->job,
                                                     .kind = run->kind->name,
                                                     .detail = detail,
                                                     .status = status,
                                                     .latency_us = latency_us});
}

// --- leasing ---

static bool token_fails(const struct jobs *jobs, const struct config_api *config)
{
    if (config->auth == CONFIG_NONE)
        return false;
    const char *name = jobs->config->config->auth[config->auth].name;
    struct token *token = jobs->callbacks.token(jobs->owner, name);
    return token != NULL && token_state(token) == TOKEN_WAITING;
}

// An API that may not be used now gets no jobs, so that they wait in the queue and not here. One
// whose breaker is half-open gets one; one whose token cannot be had gets one, which asks for it.
static bool api_takes_jobs(struct jobs *jobs, const struct config_api *config, int64_t *wait_us)
{
    struct api *api = api_find(jobs, config->name);
    int64_t wait = api_wait(api, loop_now(jobs->loop).us);
    api_show(api);
    api->asked = false;
    if (wait > 0 && (*wait_us == 0 || wait < *wait_us))
        *wait_us = wait;
    if (wait != 0 || api->drained || api->leased >= config->max_connections + api->ahead)
        return false;
    bool one_alone = api->breaker.state == BREAKER_HALF_OPEN || token_fails(jobs, config);
    api->asked = !one_alone || api->runs == 0;
    return api->asked;
}

static unsigned most_leased(const struct jobs *jobs)
{
    unsigned concurrency = config_of(jobs)->concurrency;
    unsigned ahead = 0;
    for (const struct api *api = jobs->apis; api != NULL; api = api->next)
        ahead += api->ahead;
    return concurrency + (ahead < AHEAD_MAX * concurrency ? ahead : AHEAD_MAX * concurrency);
}

// As many as the most pressed of the APIs takes, since they may all be of it; it gets no more then.
static unsigned max_claim(const struct jobs *jobs, const bool *taking)
{
    const struct config_jobs *config = config_of(jobs);
    unsigned most = most_leased(jobs) - jobs->leased;
    for (size_t i = 0; i < config->n_apis; i++) {
        const struct api *api = api_find(jobs, config->apis[i].name);
        if (!taking[i])
            continue;
        if (api->breaker.state == BREAKER_HALF_OPEN || token_fails(jobs, &config->apis[i]))
            return 1;
        unsigned room = config->apis[i].max_connections + api->ahead - api->leased;
        most = room < most ? room : most;
    }
    return most;
}

static void claim(struct jobs *jobs)
{
    const struct config_jobs *config = config_of(jobs);
    bool *taking = mem_zalloc(config->n_apis * sizeof(bool) + 1);
    bool *wanted = mem_zalloc(config->n_actions * sizeof(bool) + 1);
    bool any = false;
    int64_t wait = 0;
    for (size_t i = 0; i < config->n_apis; i++)
        taking[i] = api_takes_jobs(jobs, &config->apis[i], &wait);
    for (size_t i = 0; i < config->n_actions; i++)
        any |= wanted[i] = taking[config->actions[i].api];
    if (wait > 0)
        timer_start(&jobs->gate_timer, wait);
    if (any) {
        jobs->claiming = true;
        for (struct api *api = jobs->apis; api != NULL; api = api->next)
            api->ended = 0;
        queue_claim(jobs->queue, max_claim(jobs, taking), wanted);
    }
    free(taking);
    free(wanted);
}

// The list begins with the newest.
static struct run *oldest_ready(const struct jobs *jobs)
{
    struct run *found = NULL;
    for (struct run *run = jobs->runs; run != NULL; run = run->next) {
        if (run->state == RUN_READY)
            found = run;
    }
    return found;
}

static void stopped(struct jobs *jobs);

static void fill(void *owner)
{
    struct jobs *jobs = owner;
    unsigned concurrency = config_of(jobs)->concurrency;
    struct run *run;
    jobs->fill_posted = false;
    if (jobs->stopping) {
        if (jobs->runs == NULL)
            stopped(jobs);
        return;
    }
    while (jobs->at_work < concurrency && (run = oldest_ready(jobs)) != NULL)
        run_start(run);
    if (!jobs->claiming && jobs->leased < most_leased(jobs) && queue_connected(jobs->queue))
        claim(jobs);
}

void jobs_fill_soon(struct jobs *jobs)
{
    if (jobs->fill_posted)
        return;
    jobs->fill_posted = true;
    loop_post(jobs->loop, fill, jobs);
}

static void look_again(void *owner)
{
    struct jobs *jobs = owner;
    for (struct api *api = jobs->apis; api != NULL; api = api->next)
        api->drained = api->asked = false; // a claim under way may have missed it
    jobs_fill_soon(jobs);
}

// --- what the queue says ---

static void on_claimed(void *owner, struct job *job)
{
    run_begin(owner, job);
}

// Places that come free while a claim is under way are not to stand empty: as many jobs as that
// were, and as many to spare, are leased ahead. Of a slow API it is one: it is not to fill the
// places of the others, and other daemons have the rest.
static void look_ahead(struct api *api, unsigned most)
{
    unsigned ahead = api->ahead / 4 * 3; // what was once needed is forgotten by and by
    if (ahead < 2 * api->ended)
        ahead = 2 * api->ended;
    api->ahead = ahead < 1 ? 1 : ahead < most ? ahead : most;
}

static void on_claim_done(void *owner, unsigned asked, unsigned got)
{
    struct jobs *jobs = owner;
    jobs->claiming = false;
    for (struct api *api = jobs->apis; api != NULL; api = api->next) {
        api->drained |= api->asked && got < asked;
        look_ahead(api, AHEAD_MAX * config_of(jobs)->concurrency);
    }
    jobs_fill_soon(jobs);
}

static void on_wake(void *owner)
{
    struct jobs *jobs = owner;
    look_again(jobs);
    notifier_wake(jobs->notifier);
}

static void on_lost(void *owner, const char *id, bool cancel)
{
    struct run *run = run_find(owner, id);
    if (run == NULL)
        return;
    struct log_fields fields = run_log(run);
    if (cancel) {
        run_cancel(run);
        return;
    }
    log_event(LOG_ID_JOB_LEASE_LOST, &fields,
              "job %s (%s): its lease is lost; another daemon has it", run->job->id,
              run->job->action);
    run_drop(run);
}

static void on_connection(void *owner, const struct status *st, int64_t retry_us)
{
    struct jobs *jobs = owner;
    jobs->claiming = false;
    if (st == NULL) {
        status_clear(&jobs->connection_error);
        look_again(jobs);
        return;
    }
    jobs->connection_error = *st;
    log_event(LOG_ID_JOBS_DATABASE, NULL, "jobs: the queue's database: %s; trying again in %.1f s",
              st->detail, (double)retry_us / 1e6);
}

static void on_ended(void *owner, struct job *job, const char *error)
{
    announce_end(owner, job, error);
}

static void on_queued(void *owner, const char *source, struct buf *list)
{
    struct jobs *jobs = owner;
    announce_list(jobs->announcer, source, list);
}

static void on_told(void *owner, enum log_level level, const char *sentence)
{
    (void)owner;
    log_write(level, NULL, __FILE__, __LINE__, "jobs: %s", sentence);
}

// --- the configuration's own jobs ---

static void on_enqueued(void *owner, const struct status *st, size_t n_new)
{
    (void)owner;
    if (st->code != STATUS_OK)
        log_event(LOG_ID_JOBS_NOT_QUEUED, NULL, "jobs: the configuration's jobs are not queued: %s",
                  st->detail);
    else if (n_new > 0)
        log_info(NULL, "jobs: %zu of the configuration queued", n_new);
}

// In one transaction, so that schedules that are not there any more can be told. One that is faulty
// keeps nothing else from the queue.
static void enqueue_configured(struct jobs *jobs)
{
    const struct config *config = jobs->config->config;
    struct submissions all;
    struct job_faults faults = {0};
    submissions_parse_configured(config, &all, &faults);
    queue_enqueue(jobs->queue, config, &all, "config", on_enqueued, jobs);
    for (size_t i = 0; i < faults.count; i++)
        log_event(LOG_ID_JOBS_NOT_QUEUED, NULL, "jobs: /jobs/queue%s: %s; not queued",
                  faults.items[i].pointer, faults.items[i].message);
    submissions_free(&all);
    job_faults_free(&faults);
}

// --- life ---

struct jobs *jobs_create(const struct jobs_settings *settings)
{
    struct jobs *jobs = mem_zalloc(sizeof(*jobs));
    jobs->loop = settings->loop;
    jobs->resolver = settings->resolver;
    jobs->http = settings->http;
    jobs->config = config_ref_take(settings->config);
    jobs->callbacks = settings->callbacks;
    jobs->owner = settings->owner;
    timer_init(&jobs->gate_timer, jobs->loop, "api gate", look_again, jobs);
    return jobs;
}

void jobs_start(struct jobs *jobs)
{
    const struct config *config = jobs->config->config;
    struct queue_settings settings = {.loop = jobs->loop,
                                      .resolver = jobs->resolver,
                                      .config = config,
                                      .worker = true,
                                      .callbacks = {.claimed = on_claimed,
                                                    .claim_done = on_claim_done,
                                                    .lost = on_lost,
                                                    .wake = on_wake,
                                                    .connection = on_connection,
                                                    .ended = on_ended,
                                                    .queued = on_queued,
                                                    .told = on_told},
                                      .owner = jobs};
    if (!config->jobs.enabled || jobs->started)
        return;
    jobs->started = true;
    apis_configure(jobs);
    jobs->queue = queue_create(&settings);
    jobs->notifier = notifier_create(jobs);
    jobs->announcer = announcer_create(jobs);
    jobs->sandbox = sandbox_create(jobs->loop, NULL);
    jobs->drop = drop_create(jobs->loop, jobs->queue, config);
    enqueue_configured(jobs);
}

void jobs_reconfigure(struct jobs *jobs, struct config_ref *ref)
{
    struct config_ref *old = jobs->config;
    jobs->config = config_ref_take(ref);
    if (!jobs->started) {
        jobs_start(jobs);
    } else {
        apis_configure(jobs);
        queue_reconfigure(jobs->queue, ref->config);
        drop_reconfigure(jobs->drop, ref->config);
        enqueue_configured(jobs);
        for (struct run *run = jobs->runs; run != NULL; run = run->next)
            run_reload(run);
        look_again(jobs);
    }
    config_ref_drop(&old);
}

static void stopped(struct jobs *jobs)
{
    void (*fn)(void *) = jobs->stopped;
    jobs->stopped = NULL;
    timer_stop(&jobs->stop_timer);
    if (fn != NULL)
        queue_stop(jobs->queue, fn, jobs->owner);
}

static void drop_runs(struct jobs *jobs)
{
    while (jobs->runs != NULL)
        run_drop(jobs->runs);
}

// Each is stored as it stands, so that another daemon goes on with it at once.
void jobs_stop_now(struct jobs *jobs)
{
    for (struct run *run = jobs->runs; run != NULL; run = run->next)
        run_leave(run);
    stopped(jobs);
}

static void stop_now(void *owner)
{
    jobs_stop_now(owner);
}

void jobs_stop(struct jobs *jobs, int64_t limit_us, void (*fn)(void *owner))
{
    struct run *next;
    jobs->stopping = true;
    if (!jobs->started) {
        loop_post(jobs->loop, fn, jobs->owner);
        return;
    }
    jobs->stopped = fn;
    drop_destroy(&jobs->drop);
    timer_stop(&jobs->gate_timer);
    timer_init(&jobs->stop_timer, jobs->loop, "end of jobs", stop_now, jobs);
    timer_start(&jobs->stop_timer, limit_us);
    for (struct run *run = jobs->runs; run != NULL; run = next) {
        next = run->next;
        if (run->state == RUN_READY || run->state == RUN_LOADING || run->state == RUN_TOKEN ||
            run->state == RUN_HELD)
            run_leave(run);
    }
    jobs_fill_soon(jobs);
}

void jobs_destroy(struct jobs **pointer)
{
    struct jobs *jobs = *pointer;
    if (jobs == NULL)
        return;
    *pointer = NULL;
    drop_destroy(&jobs->drop);
    timer_stop(&jobs->gate_timer);
    timer_stop(&jobs->stop_timer);
    drop_runs(jobs);
    notifier_destroy(&jobs->notifier);
    announcer_destroy(&jobs->announcer);
    sandbox_destroy(&jobs->sandbox);
    queue_destroy(&jobs->queue);
    apis_destroy(jobs);
    loop_unpost(jobs->loop, jobs);
    config_ref_drop(&jobs->config);
    free(jobs);
}

// --- figures ---

void jobs_stat(const struct jobs *jobs, struct jobs_stats *stats_r)
{
    *stats_r = (struct jobs_stats){.enabled = jobs->started};
    if (!jobs->started)
        return;
    stats_r->counts = *queue_counts(jobs->queue);
    stats_r->active = jobs->leased;
    stats_r->connected = queue_connected(jobs->queue);
    stats_r->last_error = jobs->connection_error;
    stats_r->n_apis = config_of(jobs)->n_apis;
}

void jobs_stat_api(const struct jobs *jobs, size_t index, struct jobs_api_stats *stats_r)
{
    struct api *api = api_find(jobs, config_of(jobs)->apis[index].name);
    int64_t now = loop_now(jobs->loop).us;
    int64_t open_for = breaker_reopens_at(&api->breaker) - now;
    int64_t held_for = rate_wait(&api->rate, now);
    *stats_r = (struct jobs_api_stats){.name = api->name,
                                       .breaker = api->breaker.state,
                                       .failures = api->breaker.failures,
                                       .open_for_us = open_for > 0 ? open_for : 0,
                                       .held_for_us = held_for,
                                       .in_flight = (unsigned)http_pool_active(api->pool),
                                       .waiting = (unsigned)http_pool_waiting(api->pool)};
}
