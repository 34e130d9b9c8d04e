// SPDX-License-Identifier: Apache-2.0
// A private server, a database of its own for each test, and workers: queues that record what they
// are told.
#ifndef CXSINK_TESTS_JOBS_QUEUE_FIXTURE_H
#define CXSINK_TESTS_JOBS_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/load.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/timer.h"
#include "jobs/queue.h"
#include "net/resolve.h"
#include "support/pg_server.h"
#include "support/patience.h"

#define FIXTURE_UNUSED __attribute__((unused))
#define WORKERS_MAX 3

struct fixture;

struct worker {
    struct fixture *f;
    struct queue *queue;
    struct job **jobs; // claimed; NULL where they were taken
    size_t n_jobs, cap_jobs;
    unsigned asked, got, claims; // claim_done
    unsigned wakes, ups, downs, lost, cancels, saved, busy, stops;
    bool greedy; // claims whenever it is woken, or may be more to get
    char told[4096];
    struct status trouble;
    char lost_id[JOB_ID_MAX + 1];
};

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    struct timer tick;
    char dsn[320];
    struct config config;
    struct config_action actions[3];
    bool wanted[3];
    struct worker workers[WORKERS_MAX];
    // of callbacks
    unsigned locks, lock_code;
    char holder[JOB_ID_MAX + 1];
    unsigned enqueues;
    size_t n_new;
    struct status enqueued;
    unsigned outboxes;
    size_t n_notifications;
    struct queue_notification first; // texts copied
};

static struct pg_server *the_server;
static unsigned the_database;

static FIXTURE_UNUSED int start_server(void **state)
{
    (void)state;
    the_server = pg_server_start();
    return 0;
}

static FIXTURE_UNUSED int stop_server(void **state)
{
    (void)state;
    pg_server_stop(&the_server);
    return 0;
}

// --- SQL -----------------------------------------------------------------------------------------

static FIXTURE_UNUSED void run_sql(struct fixture *f, const char *sql)
{
    char *text = pg_server_query_as(f->dsn, sql);
    if (strncmp(text, "ERROR", 5) == 0)
        fail_msg("%s: %s", text, sql);
    free(text);
}

static FIXTURE_UNUSED void assert_query(struct fixture *f, const char *sql, const char *expected)
{
    char *text = pg_server_query_as(f->dsn, sql);
    assert_string_equal(text, expected);
    free(text);
}

static FIXTURE_UNUSED bool query_is(struct fixture *f, const char *sql, const char *expected)
{
    char *text = pg_server_query_as(f->dsn, sql);
    bool same = strcmp(text, expected) == 0;
    free(text);
    return same;
}

// --- callbacks -----------------------------------------------------------------------------------

static void worker_claimed(void *owner, struct job *job)
{
    struct worker *w = owner;
    if (w->n_jobs == w->cap_jobs) {
        w->cap_jobs = w->cap_jobs == 0 ? 64 : w->cap_jobs * 2;
        w->jobs = mem_realloc_array(w->jobs, w->cap_jobs, sizeof(struct job *));
    }
    w->jobs[w->n_jobs++] = job;
}

static FIXTURE_UNUSED void claim(struct worker *w, unsigned max)
{
    queue_claim(w->queue, max, w->f->wanted);
}

static void worker_claim_done(void *owner, unsigned asked, unsigned got)
{
    struct worker *w = owner;
    w->claims++;
    w->asked = asked;
    w->got = got;
    if (w->greedy && got == asked)
        claim(w, asked);
}

static void worker_lost(void *owner, const char *id, bool cancel)
{
    struct worker *w = owner;
    w->lost += !cancel;
    w->cancels += cancel;
    snprintf(w->lost_id, sizeof(w->lost_id), "%s", id);
}

static void worker_wake(void *owner)
{
    struct worker *w = owner;
    assert_true(queue_connected(w->queue));
    w->wakes++;
    if (w->greedy)
        claim(w, 10);
}

static void worker_connection(void *owner, const struct status *st, int64_t retry_us)
{
    struct worker *w = owner;
    w->ups += st == NULL;
    w->downs += st != NULL;
    if (st != NULL) {
        assert_true(retry_us > 0);
        w->trouble = *st;
    }
}

static void worker_told(void *owner, enum log_level level, const char *sentence)
{
    struct worker *w = owner;
    size_t used = strlen(w->told);
    assert_true(level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG);
    snprintf(w->told + used, sizeof(w->told) - used, "%s\n", sentence);
}

static FIXTURE_UNUSED void on_saved(void *owner, enum status_code code)
{
    struct worker *w = owner;
    w->saved += code == STATUS_OK;
    w->busy += code == STATUS_BUSY;
    assert_true(code == STATUS_OK || code == STATUS_BUSY);
}

static FIXTURE_UNUSED void on_stopped(void *owner)
{
    struct worker *w = owner;
    w->stops++;
}

// --- life ----------------------------------------------------------------------------------------

static void fixture_tick(void *owner)
{
    (void)owner;
}

static FIXTURE_UNUSED struct fixture *fixture_create(void)
{
    static char *const names[] = {"one", "two", "three"};
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct status st;
    char create[64];
    snprintf(create, sizeof(create), "CREATE DATABASE test%u", ++the_database);
    free(pg_server_query(the_server, create));
    snprintf(f->dsn, sizeof(f->dsn), "%s dbname=test%u", pg_server_dsn(the_server), the_database);
    f->loop = loop_create(&st);
    assert_non_null(f->loop);
    f->resolver = resolver_create(f->loop, &st);
    assert_non_null(f->resolver);
    timer_init(&f->tick, f->loop, "tick", fixture_tick, f);
    timer_start_periodic(&f->tick, 2 * US_PER_MS);
    for (unsigned i = 0; i < 3; i++) {
        f->actions[i] = (struct config_action){.name = names[i], .kind = (enum config_kind)i};
        f->wanted[i] = true;
    }
    f->config = (struct config){
        .path = (char *)(uintptr_t) "/etc/test.json",
        .postgres = {.dsn = f->dsn,
                     .connect_timeout_us = 5 * US_PER_S,
                     .statement_timeout_us = 10 * US_PER_S,
                     .retry_base_us = 10 * US_PER_MS,
                     .retry_cap_us = 50 * US_PER_MS,
                     .migrate = MIGRATE_AUTO},
        .jobs = {.enabled = true, .actions = f->actions, .n_actions = 3},
    };
    return f;
}

static FIXTURE_UNUSED struct worker *worker_open(struct fixture *f, unsigned i, bool worker)
{
    struct worker *w = &f->workers[i];
    const struct queue_settings settings = {
        .loop = f->loop,
        .resolver = f->resolver,
        .config = &f->config,
        .worker = worker,
        .callbacks = {.claimed = worker_claimed,
                      .claim_done = worker_claim_done,
                      .lost = worker_lost,
                      .wake = worker_wake,
                      .connection = worker_connection,
                      .told = worker_told},
        .owner = w,
    };
    w->f = f;
    w->queue = queue_create(&settings);
    return w;
}

static FIXTURE_UNUSED void fixture_turn(struct fixture *f)
{
    loop_turn(f->loop, true);
}

#define wait_until(f, condition)                                                  \
    do {                                                                          \
        struct mono fixture_end = mono_add(mono_read(), PATIENCE_US);             \
        while (!(condition)) {                                                    \
            if (mono_diff(fixture_end, mono_read()) < 0)                          \
                fail_msg("no %s; told: %s; %s", #condition, (f)->workers[0].told, \
                         (f)->workers[0].trouble.detail);                         \
            fixture_turn(f);                                                      \
        }                                                                         \
    } while (0)

// A worker whose connection stands.
static FIXTURE_UNUSED struct worker *worker_start(struct fixture *f, unsigned i)
{
    struct worker *w = worker_open(f, i, true);
    wait_until(f, w->ups > 0 && w->wakes > 0);
    return w;
}

static FIXTURE_UNUSED void worker_close(struct worker *w)
{
    queue_destroy(&w->queue);
    for (size_t i = 0; i < w->n_jobs; i++)
        job_free(&w->jobs[i]);
    free(w->jobs);
    w->jobs = NULL;
    w->n_jobs = w->cap_jobs = 0;
}

static FIXTURE_UNUSED void fixture_destroy(struct fixture *f)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        worker_close(&f->workers[i]);
    timer_stop(&f->tick);
    resolver_destroy(&f->resolver);
    loop_destroy(&f->loop);
    free(f->first.job_id);
    free(f->first.action);
    free(f->first.body);
    free(f);
}

// Claims until `want` jobs are there.
static FIXTURE_UNUSED void claim_jobs(struct worker *w, size_t want)
{
    while (w->n_jobs < want) {
        unsigned claims = w->claims;
        claim(w, (unsigned)(want - w->n_jobs));
        wait_until(w->f, w->claims > claims);
    }
    assert_int_equal(w->n_jobs, want);
}

static FIXTURE_UNUSED struct job *claim_one(struct worker *w)
{
    claim_jobs(w, w->n_jobs + 1);
    return w->jobs[w->n_jobs - 1];
}

static FIXTURE_UNUSED void save_plain(struct worker *w, struct job *job, enum job_state state,
                                      const char *step)
{
    job->state = state;
    snprintf(job->step, sizeof(job->step), "%s", step);
    queue_save(w->queue, &(struct queue_save){.job = job, .lease = QUEUE_KEEP}, on_saved, w);
}

static FIXTURE_UNUSED void wait_saved(struct worker *w, unsigned saved)
{
    wait_until(w->f, w->saved >= saved);
    assert_int_equal(w->saved, saved);
}

#endif
