// SPDX-License-Identifier: Apache-2.0
// The queue on a good day: claims, saves, leases, against a real server.
#include "jobs/queue_fixture.h"

static void test_claims_in_order(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{\"a\": [1, \"x\"]}', 'low', -1);"
               "SELECT cxsink.enqueue('two', '{}', 'late', 0, now() - interval '1 minute');"
               "SELECT cxsink.enqueue('one', '{}', 'later', 0, now() - interval '1 second');"
               "SELECT cxsink.enqueue('three', '{}', 'high', 5);"
               "SELECT cxsink.enqueue('one', '{}', 'future', 9, now() + interval '1 hour');"
               "SELECT cxsink.enqueue('other', '{}', 'not-ours', 9)");
    claim(w, 10);
    wait_until(f, w->claims == 1);
    assert_int_equal(w->asked, 10);
    assert_int_equal(w->got, 4);
    static const char *const order[] = {"high", "late", "later", "low"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(w->jobs[i]->id, order[i]);
    const struct job *job = w->jobs[3];
    assert_string_equal(job->action, "one");
    assert_string_equal(job->params, "{\"a\": [1, \"x\"]}");
    assert_int_equal(job->params_length, strlen(job->params));
    assert_int_equal(job->state, JOB_RUNNING);
    assert_string_equal(job->step, "");
    assert_int_equal(job->attempt, 1);
    assert_int_equal(job->lease, 1);
    assert_int_equal(strlen(job->idempotency_key), 36);
    assert_int_equal(strlen(job->trace_id), 36);
    assert_string_not_equal(job->trace_id, job->idempotency_key);
    assert_null(job->remote_id);
    assert_null(job->progress);
    assert_false(job->cancel_requested);
    assert_in_range(wall_read_us() - job->created_us, 0, PATIENCE_US);
    assert_in_range(job->started_us - job->created_us, 0, PATIENCE_US);
    assert_in_range(w->jobs[2]->created_us - w->jobs[2]->first_run_us, 0, PATIENCE_US);
    assert_query(f,
                 "SELECT state, kind, attempt, lease, started_at IS NOT NULL,"
                 " leased_until - now() BETWEEN '5 s' AND '10 s', idempotency_key IS NOT NULL"
                 " FROM cxsink.jobs WHERE id = 'late'",
                 "running|execute|1|1|t|t|t");
    claim(w, 10);
    wait_until(f, w->claims == 2);
    assert_int_equal(w->got, 0);
    fixture_destroy(f);
}

static void test_keeps_what_was_queued_with_a_job(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j', 0, now(),"
               " '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002')");
    const struct job *job = claim_one(w);
    assert_string_equal(job->idempotency_key, "00000000-0000-4000-8000-000000000001");
    assert_string_equal(job->trace_id, "00000000-0000-4000-8000-000000000002");
    fixture_destroy(f);
}

static void test_only_wanted_actions_and_so_many(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'a' || n) FROM generate_series(1, 50) n;"
               "SELECT cxsink.enqueue('two', '{}', 'b' || n) FROM generate_series(1, 50) n");
    f->wanted[0] = false;
    claim(w, 3);
    wait_until(f, w->claims == 1);
    assert_int_equal(w->n_jobs, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(w->jobs[i]->action, "two");
    f->wanted[1] = f->wanted[2] = false;
    claim(w, 3); // asks for nothing
    f->wanted[0] = true;
    claim(w, 0);
    claim(w, 70);
    claim(w, 60); // instead of 70
    wait_until(f, w->claims == 2);
    assert_int_equal(w->asked, 60);
    assert_int_equal(w->got, 50);
    fixture_destroy(f);
}

static void test_saves(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j')");
    struct job *job = claim_one(w);
    job->state = JOB_POLLING;
    snprintf(job->step, sizeof(job->step), "poll");
    job->failures = 2;
    job->remote_id = mem_strdup("r-1");
    job->progress = mem_strdup("{\"seen\":\"a\\u0000b\\\\u0000\"}");
    const struct queue_attempt attempts[] = {
        {.at_us = INT64_C(1767323045678000),
         .step = "send",
         .status = 503,
         .sent = true,
         .latency_us = 1500},
        {.at_us = INT64_C(1767323046678000), .step = "send", .error = "no \"answer\""},
    };
    queue_save(w->queue,
               &(struct queue_save){.job = job,
                                    .lease = QUEUE_KEEP,
                                    .attempts = attempts,
                                    .n_attempts = 2,
                                    .error = "{\"message\":\"so far\"}"},
               on_saved, w);
    wait_saved(w, 1);
    assert_query(
        f,
        "SELECT state, step, attempt, failures, remote_id, progress->>'seen', attempts,"
        " error->>'message', result, leased_by IS NOT NULL FROM cxsink.jobs",
        "polling|poll|1|2|r-1|a\xef\xbf\xbd"
        "b\\u0000|[{\"at\": \"2026-01-02T03:04:05.678Z\","
        " \"sent\": true, \"step\": \"send\", \"status\": 503, \"latency_ms\": 1.500}, {\"at\": "
        "\"2026-01-02T03:04:06.678Z\", \"sent\": false, \"step\": \"send\", \"error\": \"no "
        "\\\"answer\\\"\","
        " \"latency_ms\": 0.000}]|so far||t");
    job->state = JOB_SUCCEEDED;
    queue_save(w->queue,
               &(struct queue_save){.job = job,
                                    .lease = QUEUE_KEEP, // a final state lets go all the same
                                    .result = "{\"ok\":true}",
                                    .notification = "{\"b\":1,\"a\":2}"},
               on_saved, w);
    wait_saved(w, 2);
    assert_query(f,
                 "SELECT state, result, error, leased_by, leased_until, finished_at IS NOT NULL,"
                 " jsonb_array_length(attempts) FROM cxsink.jobs",
                 "succeeded|{\"ok\": true}||||t|2");
    assert_query(f, "SELECT job_id, action, body, finished_at FROM cxsink.job_notifications",
                 "j|one|{\"b\":1,\"a\":2}|");
    fixture_destroy(f);
}

static void test_keeps_the_newest_attempts(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j')");
    struct job *job = claim_one(w);
    struct queue_attempt attempts[30];
    for (int n = 0; n < 3; n++) {
        for (int i = 0; i < 30; i++)
            attempts[i] = (struct queue_attempt){.step = "s", .status = 100 + n * 30 + i};
        queue_save(w->queue,
                   &(struct queue_save){.job = job, .attempts = attempts, .n_attempts = 30},
                   on_saved, w); // three of one job at once: in their order
    }
    wait_saved(w, 3);
    assert_query(f,
                 "SELECT jsonb_array_length(attempts), attempts->0->>'status',"
                 " attempts->49->>'status' FROM cxsink.jobs",
                 "50|140|189");
    fixture_destroy(f);
}

static void test_release_and_refund(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j')");
    struct job *job = claim_one(w);
    queue_save(w->queue,
               &(struct queue_save){
                   .job = job, .lease = QUEUE_RELEASE, .delay_us = 100 * US_PER_MS, .refund = true},
               on_saved, w);
    wait_saved(w, 1);
    assert_query(f, "SELECT state, attempt, leased_by, finished_at FROM cxsink.jobs", "queued|0||");
    unsigned wakes = w->wakes;
    wait_until(f, w->wakes > wakes); // when it is due
    job = claim_one(w);
    assert_int_equal(job->attempt, 1);
    assert_int_equal(job->lease, 2);
    // A polling job's next lease is no further attempt.
    job->state = JOB_POLLING;
    queue_save(w->queue, &(struct queue_save){.job = job, .lease = QUEUE_RELEASE}, on_saved, w);
    wait_saved(w, 2);
    job = claim_one(w);
    assert_int_equal(job->state, JOB_POLLING);
    assert_int_equal(job->attempt, 1);
    assert_int_equal(job->lease, 3);
    fixture_destroy(f);
}

// What one turn wants stored goes out together, and a worker stores nothing over another's lease.
static void test_groups_and_fences(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 100) n");
    claim_jobs(w, 100);
    run_sql(f, "UPDATE cxsink.jobs SET leased_by = gen_random_uuid() WHERE id = 'j7';"
               "UPDATE cxsink.jobs SET lease = lease + 1 WHERE id = 'j8'");
    uint64_t statements = queue_statements(w->queue);
    for (size_t i = 0; i < 100; i++)
        save_plain(w, w->jobs[i], JOB_SUCCEEDED, "end");
    wait_until(f, w->saved + w->busy == 100);
    assert_int_equal(w->saved, 98);
    assert_int_equal(w->busy, 2);
    assert_in_range(queue_statements(w->queue) - statements, 2, 12); // a beat, a look may join
    assert_query(f,
                 "SELECT string_agg(id, ',' ORDER BY id) FROM cxsink.jobs WHERE state = 'running'",
                 "j7,j8");
    fixture_destroy(f);
}

static void test_beats_tell_cancels_and_losses(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 3) n");
    claim_jobs(w, 3);
    run_sql(f, "UPDATE cxsink.jobs SET leased_until = now()");
    assert_query(f, "SELECT cxsink.cancel_job('j2')", "requested"); // and a beat at once
    wait_until(f, w->cancels == 1);
    assert_string_equal(w->lost_id, "j2");
    assert_query(f, "SELECT bool_and(leased_until > now() + interval '5 s') FROM cxsink.jobs", "t");
    run_sql(f, "UPDATE cxsink.jobs SET leased_by = gen_random_uuid() WHERE id = 'j3'");
    wait_until(f, w->lost == 1);
    assert_string_equal(w->lost_id, "j3");
    assert_int_equal(w->cancels, 1); // told once
    fixture_destroy(f);
}

static void test_stop_gives_back(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 3) n");
    claim_jobs(w, 3);
    save_plain(w, w->jobs[0], JOB_SUCCEEDED, "end");
    save_plain(w, w->jobs[1], JOB_POLLING, "poll");
    queue_stop(w->queue, on_stopped, w);
    unsigned told = w->wakes + w->claims + w->saved;
    wait_until(f, w->stops == 1);
    assert_query(f, "SELECT id, state, attempt, leased_by FROM cxsink.jobs ORDER BY id",
                 "j1|succeeded|1|\nj2|polling|1|\nj3|queued|1|");
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_int_equal(w->wakes + w->claims + w->saved, told); // nothing is called any more
    assert_int_equal(w->stops, 1);
    assert_false(queue_connected(w->queue));
    fixture_destroy(f);
}

static void test_stop_without_a_server(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    snprintf(f->dsn, sizeof(f->dsn), "host=127.0.0.1 port=%d", pg_server_free_port());
    struct worker *w = worker_open(f, 0, true);
    wait_until(f, w->downs > 0);
    assert_int_equal(w->trouble.code, STATUS_UNAVAILABLE);
    queue_stop(w->queue, on_stopped, w);
    assert_int_equal(w->stops, 0); // never inside the call
    wait_until(f, w->stops == 1);
    fixture_destroy(f);
}

static void test_forget(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j')");
    save_plain(w, claim_one(w), JOB_SUCCEEDED, "end");
    queue_forget(w->queue, w);
    wait_until(f, query_is(f, "SELECT state FROM cxsink.jobs", "succeeded")); // stored all the same
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_int_equal(w->saved, 0);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims_in_order),
        cmocka_unit_test(test_keeps_what_was_queued_with_a_job),
        cmocka_unit_test(test_only_wanted_actions_and_so_many),
        cmocka_unit_test(test_saves),
        cmocka_unit_test(test_keeps_the_newest_attempts),
        cmocka_unit_test(test_release_and_refund),
        cmocka_unit_test(test_groups_and_fences),
        cmocka_unit_test(test_beats_tell_cancels_and_losses),
        cmocka_unit_test(test_stop_gives_back),
        cmocka_unit_test(test_stop_without_a_server),
        cmocka_unit_test(test_forget),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
