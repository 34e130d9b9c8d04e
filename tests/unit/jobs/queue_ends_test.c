// SPDX-License-Identifier: Apache-2.0
// Ends that no worker was there for: found by a worker, and told by one of them.
#include "jobs/queue_fixture.h"

#define NOTIFIED "SELECT job_id, action, body FROM cxsink.job_notifications ORDER BY job_id"
#define UNTOLD "SELECT string_agg(id, ',' ORDER BY id) FROM cxsink.jobs WHERE untold"

struct teller {
    struct queue *queue;
    struct job *jobs[16];
    char errors[16][128];
    unsigned n, told, busy;
    unsigned ups;
};

static void on_ended(void *owner, struct job *job, const char *error)
{
    struct teller *t = owner;
    assert_true(t->n < 16);
    snprintf(t->errors[t->n], sizeof(t->errors[0]), "%s", error);
    t->jobs[t->n++] = job;
}

static void on_told(void *owner, enum status_code code)
{
    struct teller *t = owner;
    t->told += code == STATUS_OK;
    t->busy += code == STATUS_BUSY;
}

static void on_claim_done(void *owner, unsigned asked, unsigned got)
{
    (void)owner, (void)asked, (void)got;
}

static void on_wake(void *owner)
{
    (void)owner;
}

static void on_connection(void *owner, const struct status *st, int64_t retry_us)
{
    struct teller *t = owner;
    (void)retry_us;
    t->ups += st == NULL;
}

static void on_sentence(void *owner, enum log_level level, const char *sentence)
{
    (void)owner, (void)level, (void)sentence;
}

static void open_teller(struct fixture *f, struct teller *t)
{
    *t = (struct teller){0};
    t->queue = queue_create(&(struct queue_settings){.loop = f->loop,
                                                     .resolver = f->resolver,
                                                     .config = &f->config,
                                                     .worker = true,
                                                     .callbacks = {.claim_done = on_claim_done,
                                                                   .ended = on_ended,
                                                                   .wake = on_wake,
                                                                   .connection = on_connection,
                                                                   .told = on_sentence},
                                                     .owner = t});
    wait_until(f, t->ups > 0);
}

static void close_teller(struct teller *t)
{
    queue_destroy(&t->queue);
    for (unsigned i = 0; i < t->n; i++)
        job_free(&t->jobs[i]);
}

static void test_cancelled_before_it_began(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct teller t;
    open_teller(f, &t);
    run_sql(f, "SELECT cxsink.enqueue('three', '{\"code\": \"a\"}', 'p');"
               "SELECT cxsink.enqueue('one', '{\"data\": 1}', 'i');"
               "SELECT cxsink.cancel_job(id) FROM unnest(ARRAY['p', 'i']) AS id");
    wait_until(f, t.n == 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct job *job = t.jobs[i];
        bool publish = strcmp(job->id, "p") == 0;
        assert_string_equal(job->action, publish ? "three" : "one");
        assert_int_equal(job->state, JOB_CANCELLED);
        assert_int_equal(job->lease, 0);
        assert_string_equal(job->source, "sql");
        // Parameters are read where a notification needs them.
        assert_string_equal(job->params, publish ? "{\"code\": \"a\"}" : "{}");
        assert_string_equal(t.errors[i], "{\"message\": \"cancelled before it began\"}");
        assert_string_equal(job->trace_id, "");
        queue_end_told(t.queue, job->id, publish ? "{\"a\": 1}" : NULL, on_told, &t);
    }
    wait_until(f, t.told == 2);
    assert_query(f, NOTIFIED, "p|three|{\"a\": 1}");
    assert_query(f, UNTOLD, "");
    close_teller(&t);
    fixture_destroy(f);
}

// Two find it, one tells it.
static void test_one_of_several_tells(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct teller t[2];
    for (int i = 0; i < 2; i++)
        open_teller(f, &t[i]);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j'); SELECT cxsink.cancel_job('j')");
    wait_until(f, t[0].n > 0 && t[1].n > 0);
    for (int i = 0; i < 2; i++)
        queue_end_told(t[i].queue, "j", "{}", on_told, &t[i]);
    wait_until(f, t[0].told + t[0].busy > 0 && t[1].told + t[1].busy > 0);
    assert_int_equal(t[0].told + t[1].told, 1);
    assert_query(f, NOTIFIED, "j|one|{}");
    for (int i = 0; i < 2; i++)
        close_teller(&t[i]);
    fixture_destroy(f);
}

// More than a look takes; and of an action that is not known here, which another may know.
static void test_many_and_unknown_ones(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct teller t;
    open_teller(f, &t);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 13) n;"
               "SELECT cxsink.enqueue('elsewhere', '{}', u) FROM unnest(ARRAY['u1', 'u2']) u;"
               "SELECT cxsink.cancel_job(id) FROM cxsink.jobs;"
               "UPDATE cxsink.jobs SET finished_at = now() - interval '61 s' WHERE id = 'u2'");
    for (unsigned told = 0; told < 14;) {
        wait_until(f, t.n > told);
        for (; told < t.n; told++)
            queue_end_told(t.queue, t.jobs[told]->id, NULL, on_told, &t);
        wait_until(f, t.told == told);
    }
    assert_query(f, UNTOLD, "u1");
    close_teller(&t);
    fixture_destroy(f);
}

// The answer was lost with the connection: it is told, and its notification is there once.
static void test_told_through_a_lost_connection(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct teller t;
    open_teller(f, &t);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j'); SELECT cxsink.cancel_job('j')");
    wait_until(f, t.n == 1);
    run_sql(f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE application_name = 'cxsink-jobs' AND datname = current_database()");
    queue_end_told(t.queue, "j", "{}", on_told, &t);
    wait_until(f, t.told == 1);
    assert_query(f, NOTIFIED, "j|one|{}");
    queue_end_told(t.queue, "j", "{}", on_told, &t); // forgotten and destroyed with one waiting
    queue_forget(t.queue, &t);
    close_teller(&t);
    fixture_destroy(f);
}

// A job that is queued again has no end to be told.
static void test_retried_meanwhile(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0); // which tells nothing
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j'); SELECT cxsink.cancel_job('j')");
    assert_query(f, UNTOLD, "j");
    assert_query(f, "SELECT cxsink.retry_job('j')", "t");
    assert_query(f, UNTOLD, "");
    struct job *job = claim_one(w);
    assert_true(job->is_new && job->lease > 1);
    assert_string_equal(job->source, "sql");
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancelled_before_it_began),
        cmocka_unit_test(test_one_of_several_tells),
        cmocka_unit_test(test_many_and_unknown_ones),
        cmocka_unit_test(test_told_through_a_lost_connection),
        cmocka_unit_test(test_retried_meanwhile),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
