// SPDX-License-Identifier: Apache-2.0
// Locks that belong to jobs, and the outbox of notifications.
#include "jobs/queue_fixture.h"

// --- locks ---------------------------------------------------------------------------------------

static void on_lock(void *owner, enum status_code code, const char *holder)
{
    struct fixture *f = owner;
    f->locks++;
    f->lock_code = code;
    snprintf(f->holder, sizeof(f->holder), "%s", holder != NULL ? holder : "nobody");
}

static void lock(struct worker *w, const struct job *job, const char *key)
{
    struct fixture *f = w->f;
    unsigned before = f->locks;
    queue_lock(w->queue, job->id, key, on_lock, f);
    wait_until(f, f->locks > before);
}

static void test_locks(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct worker *other = worker_start(f, 1);
    run_sql(f,
            "SELECT cxsink.enqueue('one', '{}', 'a', 1); SELECT cxsink.enqueue('one', '{}', 'b')");
    struct job *a = claim_one(w);
    struct job *b = claim_one(other);
    lock(w, a, "key");
    assert_int_equal(f->lock_code, STATUS_OK);
    assert_string_equal(f->holder, "a");
    lock(w, a, "key"); // again
    assert_int_equal(f->lock_code, STATUS_OK);
    lock(other, b, "key");
    assert_int_equal(f->lock_code, STATUS_BUSY);
    assert_string_equal(f->holder, "a");
    lock(other, b, "another");
    assert_int_equal(f->lock_code, STATUS_OK);
    save_plain(w, a, JOB_RUNNING, "middle"); // not the end of it
    wait_saved(w, 1);
    lock(other, b, "key");
    assert_int_equal(f->lock_code, STATUS_BUSY);
    save_plain(w, a, JOB_FAILED, "end");
    wait_saved(w, 2);
    lock(other, b, "key");
    assert_int_equal(f->lock_code, STATUS_OK);
    assert_query(f, "SELECT key, job_id FROM cxsink.job_locks ORDER BY key", "another|b\nkey|b");
    fixture_destroy(f);
}

static void test_locks_of_lost_and_ended_jobs(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j' || n, n) FROM generate_series(1, 2) n");
    claim_jobs(w, 2);
    lock(w, w->jobs[0], "key");
    assert_int_equal(f->lock_code, STATUS_OK);
    // Ended by hand, its lock left behind.
    run_sql(f, "UPDATE cxsink.jobs SET state = 'failed', finished_at = now(), leased_by = NULL,"
               " leased_until = NULL WHERE id = 'j2'");
    lock(w, w->jobs[1], "key");
    assert_int_equal(f->lock_code, STATUS_OK);
    lock(w, w->jobs[0], "other"); // not leased any more
    assert_int_equal(f->lock_code, STATUS_BUSY);
    assert_string_equal(f->holder, "nobody");
    fixture_destroy(f);
}

static void test_many_locks_at_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    run_sql(f, "SELECT cxsink.enqueue('one', '{}', 'j')");
    struct job *job = claim_one(w);
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        queue_lock(w->queue, job->id, key, on_lock, f);
    }
    wait_until(f, f->locks == 40);
    assert_query(f, "SELECT count(*) FROM cxsink.job_locks", "40");
    queue_lock(w->queue, job->id, "forgotten", on_lock, f);
    queue_forget(w->queue, f);
    wait_until(f, query_is(f, "SELECT count(*) FROM cxsink.job_locks", "41"));
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_int_equal(f->locks, 40);
    fixture_destroy(f);
}

// --- the outbox ----------------------------------------------------------------------------------

static void on_outbox(void *owner, const struct queue_notification *items, size_t n)
{
    struct fixture *f = owner;
    f->outboxes++;
    f->n_notifications = n;
    if (n == 0)
        return;
    free(f->first.job_id);
    free(f->first.action);
    free(f->first.body);
    f->first = items[0];
    f->first.job_id = mem_strdup(items[0].job_id);
    f->first.action = mem_strdup(items[0].action);
    f->first.body = mem_strdup(items[0].body);
}

static size_t outbox(struct worker *w, unsigned max)
{
    unsigned before = w->f->outboxes;
    queue_outbox(w->queue, max, on_outbox, w->f);
    wait_until(w->f, w->f->outboxes > before);
    return w->f->n_notifications;
}

static void test_outbox(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    assert_int_equal(outbox(w, 5), 0);
    run_sql(f,
            "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, 3) n;"
            "INSERT INTO cxsink.job_notifications (job_id, action, body, run_at) SELECT"
            " 'j' || n, 'one', '{\"z\":1, \"a\":2}', now() - interval '1 hour' + n * interval '1 s'"
            " FROM generate_series(1, 3) n");
    assert_int_equal(outbox(w, 1), 1);
    assert_string_equal(f->first.job_id, "j1");
    assert_string_equal(f->first.action, "one");
    assert_string_equal(f->first.body, "{\"z\":1, \"a\":2}"); // as it was written
    assert_int_equal(f->first.attempt, 1);
    int64_t id = f->first.id;
    assert_int_equal(outbox(w, 5), 2); // the first is leased
    assert_int_equal(outbox(w, 5), 0);
    queue_outbox_done(w->queue, id, -1, NULL);
    queue_outbox_done(w->queue, id + 1, -1, "given up after 10 attempts");
    queue_outbox_done(w->queue, id + 2, 0, "503");
    assert_int_equal(outbox(w, 5), 1);
    assert_int_equal(f->first.id, id + 2);
    assert_int_equal(f->first.attempt, 2);
    assert_query(f,
                 "SELECT job_id, finished_at IS NOT NULL, error FROM cxsink.job_notifications"
                 " ORDER BY id",
                 "j1|t|\nj2|t|given up after 10 attempts\nj3|f|503");
    run_sql(f, "UPDATE cxsink.job_notifications SET run_at = now()"); // its worker died
    assert_int_equal(outbox(w, 5), 1);
    assert_int_equal(f->first.attempt, 3);
    fixture_destroy(f);
}

static void test_outbox_forgotten(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    queue_outbox(w->queue, 5, on_outbox, f);
    queue_forget(w->queue, f);
    uint64_t statements = queue_statements(w->queue);
    wait_until(f, queue_statements(w->queue) > statements + 2);
    assert_int_equal(f->outboxes, 0);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locks),
        cmocka_unit_test(test_locks_of_lost_and_ended_jobs),
        cmocka_unit_test(test_many_locks_at_once),
        cmocka_unit_test(test_outbox),
        cmocka_unit_test(test_outbox_forgotten),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
