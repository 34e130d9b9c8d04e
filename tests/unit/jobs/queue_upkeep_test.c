// SPDX-License-Identifier: Apache-2.0
// What any worker does for all: takeover, schedules, retention, counts; and two workers on one
// queue.
#include "jobs/queue_fixture.h"

#include <inttypes.h>

// J1, J2: whoever dies holding jobs does not keep them.
static void test_takes_over(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *dead = worker_start(f, 0);
    struct worker *w = worker_start(f, 1);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 3) n");
    claim_jobs(dead, 3);
    save_plain(dead, dead->jobs[1], JOB_POLLING, "poll");
    wait_saved(dead, 1);
    run_sql(f, "INSERT INTO cxsink.job_locks VALUES ('k', 'j3')");
    worker_close(dead);
    struct mono start = mono_read();
    w->greedy = true;
    wait_until(f, w->n_jobs == 3);
    assert_in_range(mono_diff(mono_read(), start), 5 * US_PER_S, PATIENCE_US);
    for (size_t i = 0; i < 3; i++) {
        const struct job *job = w->jobs[i];
        bool polling = strcmp(job->id, "j2") == 0;
        assert_int_equal(job->state, polling ? JOB_POLLING : JOB_RUNNING);
        assert_int_equal(job->attempt, polling ? 1 : 2);
        assert_int_equal(job->lease_losses, 1);
        assert_int_equal(job->lease, 2);
    }
    assert_non_null(strstr(w->told, "job j1 goes on"));
    assert_query(f, "SELECT count(*) FROM cxsink.job_locks", "1"); // what must be undone still must
    fixture_destroy(f);
}

// J2: a job that kills its workers is not tried for ever, nor one that kills those that give it up.
static void test_gives_up_after_many_losses(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 2) n;"
               "UPDATE cxsink.jobs SET state = 'running', step = 'send', leased_by ="
               " gen_random_uuid(), leased_until = now() - interval '1 s', lease_losses ="
               " CASE id WHEN 'j1' THEN 9 ELSE 8 END;"
               "INSERT INTO cxsink.job_locks VALUES ('k', 'j1')");
    wait_until(f, strstr(w->told, "job j1 failed") != NULL);
    assert_query(
        f,
        "SELECT id, state, lease_losses, finished_at IS NOT NULL, untold, error->>'message'"
        " FROM cxsink.jobs ORDER BY id",
        "j1|failed|10|t|t|given up: 10 workers died while they held it, the last one in "
        "step \"send\"; see by hand to what it did\nj2|queued|9|f|f|");
    assert_query(f, "SELECT count(*) FROM cxsink.job_locks", "0");
    fixture_destroy(f);
}

// A worker whose own lease ran out (the database was away for long) still has it while nobody took
// it over; one that it does not know it has is taken over from itself.
static void test_own_expired_leases(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j1')");
    claim_one(w);
    run_sql(f, "INSERT INTO cxsink.jobs (id, action, state, leased_by, leased_until)"
               " SELECT 'unknown', 'one', 'running', leased_by, now() - interval '1 s'"
               " FROM cxsink.jobs WHERE id = 'j1';"
               "UPDATE cxsink.jobs SET leased_until = now() - interval '1 s'");
    wait_until(f, strstr(w->told, "job unknown goes on") != NULL);
    wait_until(f, query_is(f, "SELECT leased_until > now() FROM cxsink.jobs WHERE id = 'j1'", "t"));
    assert_query(f, "SELECT lease_losses FROM cxsink.jobs WHERE id = 'j1'", "0");
    assert_int_equal(w->lost, 0);
    fixture_destroy(f);
}

static void test_schedules(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    unsigned wakes = w->wakes;
    run_sql(f, "INSERT INTO cxsink.job_schedules (id, action, source, every, next_at) VALUES"
               " ('s', 'one', 'config', '1 hour', now())");
    wait_until(f, strstr(w->told, "schedule s: queued job s@") != NULL);
    wait_until(f, w->wakes > wakes);
    run_sql(f, "UPDATE cxsink.job_schedules SET next_at = now()");
    wait_until(f, strstr(w->told, "schedule s: its previous job is unfinished") != NULL);
    run_sql(f,
            "INSERT INTO cxsink.job_schedules (id, action, source, cron, minutes, hours, days,"
            " months, weekdays, either_day, time_zone, next_at) VALUES ('z', 'one', 'config', 'x',"
            " '{0}', '{0}', '{1}', '{1}', '{1}', false, 'No/Where', now())");
    wait_until(f, strstr(w->told, "schedule z: PostgreSQL does not know its time_zone") != NULL);
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "2");
    fixture_destroy(f);
}

static void test_retention(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    w->told[0] = '\0';
    run_sql(f, "INSERT INTO cxsink.jobs (id, action, state, source, finished_at)"
               " SELECT 'old' || n, 'one', 'succeeded', 'submit', now() - interval '61 min'"
               " FROM generate_series(1, 1200) n;"
               "INSERT INTO cxsink.jobs (id, action, state, source, finished_at) VALUES"
               " ('config', 'one', 'failed', 'config', now() - interval '61 min'),"
               " ('young', 'one', 'cancelled', 'sql', now() - interval '59 min'),"
               " ('waiting', 'one', 'queued', 'sql', NULL);"
               "INSERT INTO cxsink.job_notifications (job_id, action, body)"
               " VALUES ('old1', 'one', '{}')");
    f->config.jobs.retention_us = 3600 * US_PER_S; // from now on
    wait_until(f, w->told[0] != '\0');
    assert_string_equal(w->told,
                        "deleted 1200 finished jobs that were older than jobs.retention\n");
    assert_query(f, "SELECT string_agg(id, ',' ORDER BY id) FROM cxsink.jobs",
                 "config,waiting,young");
    assert_query(f, "SELECT count(*) FROM cxsink.job_notifications", "0");
    fixture_destroy(f);
}

static void test_counts(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    worker_start(f, 0);
    run_sql(f, "INSERT INTO cxsink.jobs (id, action, state, finished_at) SELECT s || n, 'one', s,"
               " CASE WHEN s IN ('queued', 'polling') THEN NULL ELSE now() END FROM"
               " (VALUES ('queued', 1), ('polling', 2), ('succeeded', 3), ('failed', 4),"
               " ('cancelled', 5)) v(s, m), generate_series(1, m) n;"
               "INSERT INTO cxsink.jobs (id, action, state, leased_by, leased_until) VALUES"
               " ('r', 'other', 'running', gen_random_uuid(), 'infinity');"
               "INSERT INTO cxsink.jobs (id, action, run_at) VALUES"
               " ('due', 'one', now() - interval '90 s'), ('later', 'one', '2100-01-01Z')");
    struct worker *w = worker_start(f, 1);
    const struct queue_counts *counts = queue_counts(w->queue);
    wait_until(f, counts->by_state[JOB_QUEUED] > 0);
    static const uint64_t expected[JOB_STATE_COUNT] = {3, 1, 2, 3, 4, 5};
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(counts->by_state[i], expected[i]);
    assert_in_range(counts->oldest_us, 90 * US_PER_S, 90 * US_PER_S + PATIENCE_US);
    run_sql(f, "DELETE FROM cxsink.jobs");
    wait_until(f, counts->by_state[JOB_FAILED] == 0);
    assert_int_equal(counts->oldest_us, 0);
    fixture_destroy(f);
}

static void test_tells_unknown_actions(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    worker_start(f, 0);
    run_sql(f, "INSERT INTO cxsink.jobs (id, action, state) VALUES ('a', 'x', 'queued'),"
               " ('b', 'x', 'polling'), ('c', 'y', 'queued'), ('d', 'one', 'queued')");
    struct worker *w = worker_start(f, 1);
    const struct queue_counts *counts = queue_counts(w->queue);
    wait_until(f, w->told[0] != '\0');
    assert_string_equal(w->told,
                        "3 queued jobs name actions that no configuration here has: x, y\n");
    run_sql(f, "INSERT INTO cxsink.jobs (id, action) VALUES ('e', 'x')"); // nothing new
    wait_until(f, counts->by_state[JOB_QUEUED] == 4);
    run_sql(f, "DELETE FROM cxsink.jobs WHERE action = 'x'; INSERT INTO cxsink.jobs (id, action)"
               " VALUES ('f', 'one')");
    wait_until(f, counts->by_state[JOB_QUEUED] == 3);
    assert_string_equal(w->told, "3 queued jobs name actions that no configuration here has: x, y\n"
                                 "1 queued job names actions that no configuration here has: y\n");
    fixture_destroy(f);
}

// --- two workers ---------------------------------------------------------------------------------

#define MANY 1000

// What each job's worker does with it: a step, and the end.
static void work(struct worker *w, size_t *at)
{
    for (; *at < w->n_jobs; (*at)++) {
        struct job *job = w->jobs[*at];
        save_plain(w, job, JOB_RUNNING, "middle");
        save_plain(w, job, JOB_SUCCEEDED, "end");
    }
}

static void test_two_workers(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w[2] = {worker_start(f, 0), worker_start(f, 1)};
    size_t at[2] = {0, 0};
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 1000) n");
    for (int i = 0; i < 2; i++)
        w[i]->greedy = true;
    while (w[0]->saved + w[1]->saved < 2 * MANY) {
        for (int i = 0; i < 2; i++) {
            work(w[i], &at[i]);
            if (at[i] < w[i]->n_jobs)
                claim(w[i], 10);
        }
        fixture_turn(f);
    }
    assert_int_equal(w[0]->busy + w[1]->busy + w[0]->lost + w[1]->lost, 0);
    assert_query(f, "SELECT state, count(*), max(attempt), max(lease) FROM cxsink.jobs GROUP BY 1",
                 "succeeded|1000|1|1");
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_over),
        cmocka_unit_test(test_gives_up_after_many_losses),
        cmocka_unit_test(test_own_expired_leases),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_tells_unknown_actions),
        cmocka_unit_test(test_two_workers),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
