// SPDX-License-Identifier: Apache-2.0
// Jobs and schedules put on the queue.
#include "jobs/queue_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char empty[] = "{}";

static void on_enqueued(void *owner, const struct status *st, size_t n_new)
{
    struct fixture *f = owner;
    f->enqueues++;
    f->n_new = n_new;
    f->enqueued = *st;
}

static void enqueue(struct worker *w, struct submission *items, size_t n, const char *source)
{
    struct fixture *f = w->f;
    unsigned before = f->enqueues;
    struct submissions jobs = {.items = items, .count = n};
    queue_enqueue(w->queue, &f->config, &jobs, source, on_enqueued, f);
    wait_until(f, f->enqueues > before);
}

static size_t must_enqueue(struct worker *w, struct submission *items, size_t n, const char *source)
{
    enqueue(w, items, n, source);
    if (w->f->enqueued.code != STATUS_OK)
        fail_msg("%s", w->f->enqueued.detail);
    return w->f->n_new;
}

static struct submission job(char *id, size_t action)
{
    return (struct submission){.id = id, .has_id = true, .action = action, .params = empty};
}

static void test_enqueues(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct submission jobs[] = {job("a", 0), job("b", 1), job("c", 2)};
    jobs[1].params = "{\"n\": 1}";
    jobs[1].priority = -3;
    jobs[1].run_at_us = INT64_C(4102444800000000); // 2100
    assert_int_equal(must_enqueue(w, jobs, 2, "submit"), 2);
    assert_int_equal(must_enqueue(w, jobs, 3, "drop"), 1); // two are there already
    assert_int_equal(must_enqueue(w, jobs, 3, "drop"), 0);
    assert_int_equal(must_enqueue(w, NULL, 0, "drop"), 0);
    assert_query(f,
                 "SELECT id, action, kind, params, priority, source, state, run_at <= now(),"
                 " run_at = first_run_at, extract(year FROM run_at) = 2100"
                 " FROM cxsink.jobs ORDER BY id",
                 "a|one|invoke|{}|0|submit|queued|t|t|f\n"
                 "b|two|execute|{\"n\": 1}|-3|submit|queued|f|t|t\n"
                 "c|three|publish|{}|0|drop|queued|t|t|f");
    fixture_destroy(f);
}

// Of the configuration, which is queued at every start; elsewhere an id is its owner's matter.
static void test_tells_of_changed_parameters(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct submission jobs[] = {job("a", 0), job("b", 1), job("c", 2)};
    jobs[0].params = "{\"n\": 1}";
    assert_int_equal(must_enqueue(w, jobs, 3, "config"), 3);
    jobs[0].params = "{ \"n\":1}"; // the same
    jobs[2].action = 1;
    assert_int_equal(must_enqueue(w, jobs, 2, "config"), 0);
    assert_null(strstr(w->told, "other parameters"));
    jobs[0].params = "{\"n\": 2}";
    assert_int_equal(must_enqueue(w, jobs, 3, "submit"), 0);
    assert_null(strstr(w->told, "other parameters"));
    assert_int_equal(must_enqueue(w, jobs, 3, "config"), 0);
    assert_non_null(strstr(w->told, "with other parameters, and not again: \"a\", \"c\";"));
    assert_query(f, "SELECT id, action, params FROM cxsink.jobs ORDER BY id",
                 "a|one|{\"n\": 1}\nb|two|{}\nc|three|{}");
    fixture_destroy(f);
}

static void test_keeps_the_order(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct submission jobs[200];
    for (size_t i = 0; i < COUNT(jobs); i++)
        jobs[i] = job(mem_printf("j%zu", (i * 7919) % 1000), i % 3);
    must_enqueue(w, jobs, COUNT(jobs), "submit");
    claim_jobs(w, COUNT(jobs));
    for (size_t i = 0; i < COUNT(jobs); i++) {
        assert_string_equal(w->jobs[i]->id, jobs[i].id);
        free(jobs[i].id);
    }
    fixture_destroy(f);
}

// One that is no worker only queues, and what it queues wakes those that are.
static void test_queues_only(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct worker *command = worker_open(f, 1, false);
    struct submission jobs[] = {job("a", 0)};
    unsigned wakes = w->wakes;
    must_enqueue(command, jobs, 1, "submit");
    wait_until(f, w->wakes > wakes);
    claim(command, 5); // does nothing
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_int_equal(command->wakes + command->claims, 0);
    assert_int_equal(claim_one(w)->attempt, 1);
    queue_stop(command->queue, on_stopped, command);
    wait_until(f, command->stops == 1);
    fixture_destroy(f);
}

static void test_refused(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    char long_id[300];
    memset(long_id, 'x', 299);
    long_id[299] = '\0';
    struct submission jobs[] = {job("good", 0), job(long_id, 0), job("good too", 0)};
    enqueue(w, jobs, 2, "submit"); // all or nothing
    assert_int_equal(f->enqueued.code, STATUS_INVALID);
    assert_int_equal(f->n_new, 0);
    assert_non_null(strstr(f->enqueued.detail, "23514"));
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "0");
    jobs[1] = job("bad zone", 0);
    jobs[1].cron = "0 0 * * *";
    jobs[1].time_zone = "Europe/Nowhere";
    enqueue(w, jobs, 3, "submit");
    assert_int_equal(f->enqueued.code, STATUS_INVALID);
    assert_non_null(strstr(f->enqueued.detail, "time_zone"));
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "0");
    assert_int_equal(must_enqueue(w, &jobs[2], 1, "submit"), 1); // it goes on
    fixture_destroy(f);
}

static void test_forgotten(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct submission jobs[] = {job("a", 0)};
    queue_enqueue(w->queue, &f->config, &(struct submissions){.items = jobs, .count = 1}, "submit",
                  on_enqueued, f);
    queue_forget(w->queue, f);
    wait_until(f, query_is(f, "SELECT count(*) FROM cxsink.jobs", "1"));
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_int_equal(f->enqueues, 0);
    fixture_destroy(f);
}

// --- schedules -----------------------------------------------------------------------------------

static struct submission every(char *id, int64_t seconds)
{
    struct submission made = job(id, 0);
    made.every_us = seconds * US_PER_S;
    made.run_at_us = INT64_C(4102444800000000);
    return made;
}

static struct submission cron(char *id, char *text, char *time_zone)
{
    struct submission made = job(id, 1);
    made.cron = text;
    made.time_zone = time_zone;
    return made;
}

static void test_schedules(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct submission jobs[] = {every("e", 90),
                                cron("c", "*/30 8-9 1,15 jan,JUL Mon", "America/New_York"),
                                job("j", 0), cron("d", "@daily", NULL)};
    jobs[3].run_at_us = INT64_C(1956528000000000); // 2032-01-01T00:00:00Z: may be its first
    assert_int_equal(must_enqueue(w, jobs, 4, "config"), 4);
    assert_query(
        f,
        "SELECT id, action, every, cron, minutes, hours, days, months, weekdays,"
        " either_day, time_zone, source, origin, next_at > now() FROM cxsink.job_schedules"
        " ORDER BY id",
        "c|two||*/30 8-9 1,15 jan,JUL Mon|{0,30}|{8,9}|{1,15}|{1,7}|{1}|t|America/New_York"
        "|config|/etc/test.json|t\n"
        "d|two||@daily|{0}|{0}|{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,"
        "24,25,26,27,28,29,30,31}|{1,2,3,4,5,6,7,8,9,10,11,12}|{0,1,2,3,4,5,6}|f|UTC|config|"
        "/etc/test.json|t\n"
        "e|one|00:01:30||||||||UTC|config|/etc/test.json|t");
    assert_query(f, "SELECT next_at AT TIME ZONE 'UTC' FROM cxsink.job_schedules WHERE id = 'd'",
                 "2032-01-01 00:00:00");
    assert_query(f, "SELECT next_at AT TIME ZONE 'UTC' FROM cxsink.job_schedules WHERE id = 'e'",
                 "2100-01-01 00:00:00");
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "1");
    assert_int_equal(must_enqueue(w, jobs, 4, "config"), 0);
    fixture_destroy(f);
}

// Those of the configuration follow it; those of others stay as they were first.
static void test_schedules_follow_the_configuration(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct submission theirs[] = {every("theirs", 60)};
    struct submission mine[] = {every("mine", 60), every("gone", 60), every("theirs", 5)};
    assert_int_equal(must_enqueue(w, theirs, 1, "submit"), 1);
    theirs[0].every_us *= 2;
    assert_int_equal(must_enqueue(w, theirs, 1, "drop"), 0);
    assert_query(f, "SELECT every FROM cxsink.job_schedules", "00:01:00");

    run_sql(f, "INSERT INTO cxsink.job_schedules (id, action, source, origin, every, next_at)"
               " VALUES ('elsewhere', 'one', 'config', '/etc/other.json', '1 h', 'infinity')");
    must_enqueue(w, mine, 3, "config");
    run_sql(f, "UPDATE cxsink.job_schedules SET next_at = '2099-01-01Z'");
    mine[0].params = "{\"changed\": true}"; // its times stay
    mine[2].every_us = 7 * US_PER_S;        // these do not
    struct submission kept[] = {mine[0], mine[2]};
    assert_int_equal(must_enqueue(w, kept, 2, "config"), 0);
    assert_query(f,
                 "SELECT id, every, params, source, extract(year FROM next_at AT TIME ZONE 'UTC')"
                 " FROM cxsink.job_schedules ORDER BY id",
                 "elsewhere|01:00:00|{}|config|2099\n"
                 "mine|00:01:00|{\"changed\": true}|config|2099\n"
                 "theirs|00:00:07|{}|config|2100");
    // none any more, but some could not be read: nothing is removed for that
    unsigned before = f->enqueues;
    queue_enqueue(w->queue, &f->config, &(struct submissions){.partial = true}, "config",
                  on_enqueued, f);
    wait_until(f, f->enqueues > before);
    assert_query(f, "SELECT count(*) FROM cxsink.job_schedules", "3");
    must_enqueue(w, NULL, 0, "config"); // none any more
    assert_query(f, "SELECT id FROM cxsink.job_schedules", "elsewhere");
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enqueues),
        cmocka_unit_test(test_tells_of_changed_parameters),
        cmocka_unit_test(test_keeps_the_order),
        cmocka_unit_test(test_queues_only),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_schedules_follow_the_configuration),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
