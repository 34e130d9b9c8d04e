// SPDX-License-Identifier: Apache-2.0
// The queue on bad days: errors that pass, errors that need a person, answers that are lost.
#include "jobs/queue_fixture.h"

// A trigger that raises `code` on updates and inserts of jobs while `times` calls are not over, for
// rows that match `what`.
static void raise_on_write(struct fixture *f, const char *code, int times, const char *what)
{
    char sql[768];
    snprintf(sql, sizeof(sql),
             "CREATE SEQUENCE calls;"
             "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
             "IF %s AND nextval('calls') <= %d THEN RAISE 'text' USING ERRCODE = '%s'; END IF; "
             "RETURN NEW; END $$;"
             "CREATE TRIGGER f BEFORE INSERT OR UPDATE ON cxsink.jobs FOR EACH ROW"
             " EXECUTE FUNCTION f()",
             what, times, code);
    run_sql(f, sql);
}

static void enqueue_jobs(struct fixture *f, unsigned n)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "SELECT cxsink.enqueue('one', '{}', 'j' || n) FROM generate_series(1, %u) n", n);
    run_sql(f, sql);
}

static const char terminate[] =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
    " application_name = 'cxsink-jobs' AND datname = current_database()";

// --- errors that pass ----------------------------------------------------------------------------

static void test_passing_errors(void **state)
{
    (void)state;
    static const char *const codes[] = {"40001", "40P01", "55P03", "57014",
                                        "57P01", "25006", "53100", "XX000"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct fixture *f = fixture_create();
        struct worker *w = worker_start(f, 0);
        enqueue_jobs(f, 5);
        claim_jobs(w, 5);
        raise_on_write(f, codes[i], 3, "NEW.state = 'succeeded'");
        for (size_t j = 0; j < 5; j++)
            save_plain(w, w->jobs[j], JOB_SUCCEEDED, "end");
        wait_saved(w, 5);
        assert_int_equal(w->busy + w->lost, 0);
        assert_query(f, "SELECT last_value FROM calls", "8");
        fixture_destroy(f);
    }
}

// A claim is not repeated by itself, but told to be over, and woken again.
static void test_claim_that_fails(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 5);
    raise_on_write(f, "40P01", 1, "NEW.state = 'running'");
    claim(w, 5);
    wait_until(f, w->claims == 1);
    assert_int_equal(w->asked, 5);
    assert_int_equal(w->got, 0);
    unsigned wakes = w->wakes;
    wait_until(f, w->wakes > wakes);
    claim_jobs(w, 5);
    assert_query(f, "SELECT max(attempt), max(lease) FROM cxsink.jobs", "1|1");
    fixture_destroy(f);
}

// --- what the server cannot hold -----------------------------------------------------------------

static void test_refused_result(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 3);
    claim_jobs(w, 3);
    for (size_t i = 0; i < 3; i++) {
        w->jobs[i]->state = JOB_SUCCEEDED;
        struct queue_save save = {.job = w->jobs[i],
                                  .result = i == 1 ? "{\"n\":1e999999}" : "{\"n\":1}"};
        queue_save(w->queue, &save, on_saved, w);
    }
    wait_saved(w, 3);
    assert_query(
        f, "SELECT id, state, result FROM cxsink.jobs ORDER BY id",
        "j1|succeeded|{\"n\": 1}\n"
        "j2|succeeded|{\"message\": \"PostgreSQL cannot hold what was to be stored here\"}\n"
        "j3|succeeded|{\"n\": 1}");
    assert_non_null(strstr(w->told, "job j2: PostgreSQL cannot hold its result"));
    fixture_destroy(f);
}

static void test_refused_state(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 3);
    claim_jobs(w, 3);
    raise_on_write(f, "P0001", 1000, "NEW.state = 'succeeded' AND NEW.id = 'j2'");
    for (size_t i = 0; i < 3; i++)
        save_plain(w, w->jobs[i], JOB_SUCCEEDED, "end");
    wait_until(f, w->saved + w->busy == 3);
    assert_int_equal(w->busy, 1);
    assert_non_null(strstr(w->told, "job j2: PostgreSQL refuses its state succeeded"));
    assert_query(f,
                 "SELECT string_agg(id, ',' ORDER BY id) FROM cxsink.jobs WHERE finished_at"
                 " IS NOT NULL",
                 "j1,j3");
    // Its lease is not kept alive: it comes back.
    run_sql(f, "UPDATE cxsink.jobs SET leased_until = now() WHERE id = 'j2'");
    claim_jobs(w, 4);
    assert_string_equal(w->jobs[3]->id, "j2");
    assert_int_equal(w->jobs[3]->lease_losses, 1);
    fixture_destroy(f);
}

// Upkeep that fails waits for its next time and holds nothing up.
static void test_refused_upkeep(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    raise_on_write(f, "23514", 1000, "NEW.source = 'schedule'");
    run_sql(f, "INSERT INTO cxsink.job_schedules (id, action, source, every, next_at) VALUES"
               " ('s', 'one', 'config', '1 hour', now())");
    wait_until(f, strstr(w->told, "firing schedules of the job queue") != NULL);
    assert_non_null(strstr(w->told, "trying again at its next time"));
    assert_int_equal(w->downs, 0);
    enqueue_jobs(f, 1);
    claim_one(w);
    run_sql(f, "DROP TRIGGER f ON cxsink.jobs");
    wait_until(f, strstr(w->told, "schedule s: queued job") != NULL);
    fixture_destroy(f);
}

// --- what needs a person -------------------------------------------------------------------------

static void test_needs_a_person(void **state)
{
    (void)state;
    static const struct {
        const char *break_it, *mend_it, *told;
    } cases[] = {
        {"ALTER TABLE cxsink.jobs RENAME TO away", "ALTER TABLE cxsink.away RENAME TO jobs",
         "run `cxsink migrate`"},
        {"ALTER TABLE cxsink.jobs RENAME COLUMN step TO away",
         "ALTER TABLE cxsink.jobs RENAME COLUMN away TO step", "run `cxsink migrate`"},
        {"REVOKE ALL ON cxsink.jobs FROM weak", "GRANT ALL ON cxsink.jobs TO weak",
         "cxsink migrate --print"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = fixture_create();
        worker_close(worker_start(f, 0)); // migrates
        f->workers[0].ups = f->workers[0].wakes = 0;
        run_sql(f,
                "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'weak') THEN"
                " CREATE ROLE weak LOGIN; END IF; END $$;"
                "GRANT USAGE ON SCHEMA cxsink TO weak;"
                "GRANT SELECT ON cxsink.migrations TO weak; GRANT SELECT, INSERT, UPDATE, DELETE ON"
                " cxsink.dead_letters, cxsink.stream_lanes, cxsink.jobs, cxsink.job_locks,"
                " cxsink.job_notifications, cxsink.job_schedules TO weak");
        char *admin = mem_strdup(f->dsn);
        snprintf(f->dsn + strlen(f->dsn), sizeof(f->dsn) - strlen(f->dsn), " user=weak");
        struct worker *w = worker_start(f, 0);
        snprintf(f->dsn, sizeof(f->dsn), "%s", admin);
        enqueue_jobs(f, 1);
        struct job *job = claim_one(w);
        run_sql(f, cases[i].break_it);
        snprintf(f->dsn, sizeof(f->dsn), "%s user=weak", admin);
        save_plain(w, job, JOB_SUCCEEDED, "end");
        wait_until(f, w->downs == 1);
        assert_int_equal(w->trouble.code, STATUS_INVALID);
        if (strstr(w->trouble.detail, cases[i].told) == NULL)
            fail_msg("%s", w->trouble.detail);
        uint64_t statements = queue_statements(w->queue);
        wait_until(f, queue_statements(w->queue) > statements + 20); // it looks again and again
        assert_true(w->downs <= 3);                                  // and says so once a cause
        assert_int_equal(w->ups, 1);
        snprintf(f->dsn, sizeof(f->dsn), "%s", admin);
        run_sql(f, cases[i].mend_it);
        snprintf(f->dsn, sizeof(f->dsn), "%s user=weak", admin);
        wait_saved(w, 1); // nothing lost
        assert_int_equal(w->ups, 2);
        fixture_destroy(f);
        free(admin);
    }
}

static void test_migrate_check(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.postgres.migrate = MIGRATE_CHECK;
    struct worker *w = worker_open(f, 0, true);
    wait_until(f, w->downs == 1);
    assert_non_null(strstr(w->trouble.detail, "run `cxsink migrate`"));
    f->config.postgres.migrate = MIGRATE_AUTO;
    worker_start(f, 1); // somebody brings it up to date
    f->config.postgres.migrate = MIGRATE_CHECK;
    wait_until(f, w->ups == 1);
    fixture_destroy(f);
}

static void test_migrate_off(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->config.postgres.migrate = MIGRATE_OFF;
    struct worker *w = worker_open(f, 0, true);
    wait_until(f, w->downs == 1);
    assert_non_null(strstr(w->trouble.detail, "run `cxsink migrate`"));
    assert_int_equal(w->ups, 0);
    f->config.postgres.migrate = MIGRATE_AUTO;
    wait_until(f, w->ups == 1);
    fixture_destroy(f);
}

// --- connections that go -------------------------------------------------------------------------

static void test_server_crash(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 2);
    claim_jobs(w, 2);
    pg_server_kill_immediate(the_server);
    wait_until(f, w->downs > 0);
    assert_int_equal(w->trouble.code, STATUS_UNAVAILABLE);
    assert_false(queue_connected(w->queue));
    save_plain(w, w->jobs[0], JOB_RUNNING, "middle");
    save_plain(w, w->jobs[0], JOB_SUCCEEDED, "end");
    save_plain(w, w->jobs[1], JOB_SUCCEEDED, "end");
    pg_server_restart(the_server);
    wait_saved(w, 3);
    assert_int_equal(w->ups, 2);
    assert_query(f, "SELECT state, count(*) FROM cxsink.jobs GROUP BY 1", "succeeded|2");
    fixture_destroy(f);
}

// Commits wait for a standby that does not exist: they are durable, and their answer never comes.
static void set_deaf(struct fixture *f, bool deaf)
{
    run_sql(f, deaf ? "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"
                    : "ALTER SYSTEM RESET synchronous_standby_names");
    run_sql(f, "SELECT pg_reload_conf()");
    wait_until(f, query_is(f, "SHOW synchronous_standby_names", deaf ? "nobody" : ""));
}

static void lose_the_answer(struct fixture *f)
{
    wait_until(f, query_is(f,
                           "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND"
                           " application_name = 'cxsink-jobs' AND datname = current_database()",
                           "1"));
    char *text = pg_server_query_as(f->dsn, terminate);
    free(text);
    set_deaf(f, false);
}

static void test_unknown_outcome_of_saves(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 3);
    claim_jobs(w, 3);
    set_deaf(f, true);
    const struct queue_attempt attempt = {.step = "s", .status = 200};
    struct queue_save saves[3];
    for (size_t i = 0; i < 3; i++)
        saves[i] = (struct queue_save){.job = w->jobs[i], .attempts = &attempt, .n_attempts = 1};
    saves[1].lease = QUEUE_RELEASE;
    saves[1].delay_us = 3600 * US_PER_S;
    w->jobs[2]->state = JOB_SUCCEEDED;
    saves[2].notification = "{}";
    for (size_t i = 0; i < 3; i++)
        queue_save(w->queue, &saves[i], on_saved, w);
    lose_the_answer(f);
    wait_saved(w, 3); // repeated, and told as stored
    assert_int_equal(w->downs, 1);
    assert_int_equal(w->busy + w->lost, 0);
    assert_query(f, // each once
                 "SELECT id, state, jsonb_array_length(attempts) FROM cxsink.jobs ORDER BY id",
                 "j1|running|1\nj2|queued|1\nj3|succeeded|1");
    assert_query(f, "SELECT count(*) FROM cxsink.job_notifications", "1");
    fixture_destroy(f);
}

static void test_unknown_outcome_of_claim(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 5);
    struct job *known = claim_one(w);
    set_deaf(f, true);
    claim(w, 3);
    lose_the_answer(f);
    wait_until(f, w->n_jobs == 4); // asked for when the connection was back
    wait_until(f, w->claims == 2);
    assert_int_equal(w->got, 0);
    assert_query(f, "SELECT max(lease_losses), max(attempt), count(leased_by) FROM cxsink.jobs",
                 "0|1|4");
    save_plain(w, known, JOB_SUCCEEDED, "end");
    for (size_t i = 1; i < 4; i++)
        save_plain(w, w->jobs[i], JOB_SUCCEEDED, "end");
    wait_saved(w, 4);
    fixture_destroy(f);
}

static void on_enqueued(void *owner, const struct status *st, size_t n_new)
{
    struct fixture *f = owner;
    (void)n_new;
    assert_int_equal(st->code, STATUS_OK);
    f->enqueues++;
}

static void test_unknown_outcome_of_enqueue(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct submission items[] = {{.id = "a", .params = "{}"}, {.id = "b", .params = "{}"}};
    set_deaf(f, true);
    queue_enqueue(w->queue, &f->config, &(struct submissions){.items = items, .count = 2}, "drop",
                  on_enqueued, f);
    lose_the_answer(f);
    wait_until(f, f->enqueues == 1);
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "2");
    fixture_destroy(f);
}

// A lease that others took while the database was away.
static void test_cut_off_for_long(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 2);
    claim_jobs(w, 2);
    run_sql(f, "UPDATE cxsink.jobs SET leased_by = gen_random_uuid(), lease = lease + 1"
               " WHERE id = 'j1'");
    run_sql(f, terminate);
    wait_until(f, w->lost == 1);
    assert_string_equal(w->lost_id, "j1");
    save_plain(w, w->jobs[0], JOB_SUCCEEDED, "end");
    save_plain(w, w->jobs[1], JOB_SUCCEEDED, "end");
    wait_until(f, w->saved + w->busy == 2);
    assert_int_equal(w->busy, 1);
    assert_query(f, "SELECT state FROM cxsink.jobs ORDER BY id", "running\nsucceeded");
    fixture_destroy(f);
}

// Connections that end at any moment: nothing lost, nothing twice.
static void test_terminated_again_and_again(void **state)
{
    (void)state;
    enum { JOBS = 300 };
    struct fixture *f = fixture_create();
    struct worker *w[2] = {worker_start(f, 0), worker_start(f, 1)};
    size_t at[2] = {0, 0};
    enqueue_jobs(f, JOBS);
    w[0]->greedy = w[1]->greedy = true;
    for (int turns = 0; w[0]->saved + w[1]->saved < 2 * JOBS; turns++) {
        for (int i = 0; i < 2; i++) {
            for (; at[i] < w[i]->n_jobs; at[i]++) {
                save_plain(w[i], w[i]->jobs[at[i]], JOB_RUNNING, "middle");
                save_plain(w[i], w[i]->jobs[at[i]], JOB_SUCCEEDED, "end");
            }
        }
        if (turns % 20 == 10)
            run_sql(f, terminate);
        fixture_turn(f);
        assert_true(turns < 100000);
    }
    assert_int_equal(w[0]->n_jobs + w[1]->n_jobs, JOBS);
    assert_int_equal(w[0]->busy + w[1]->busy, 0);
    assert_query(f, "SELECT state, count(*), max(attempt), max(lease) FROM cxsink.jobs GROUP BY 1",
                 "succeeded|300|1|1");
    fixture_destroy(f);
}

// --- life ----------------------------------------------------------------------------------------

static void test_reconfigure(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 2);
    struct job *job = claim_one(w);
    struct config other = f->config;
    struct config_action fewer[] = {f->actions[1]};
    bool wanted[] = {true};
    char dsn[400];
    snprintf(dsn, sizeof(dsn), "%s connect_timeout=7", f->dsn);
    other.jobs.actions = fewer;
    other.jobs.n_actions = 1;
    claim(w, 5); // comes to nothing
    queue_reconfigure(w->queue, &other);
    wait_until(f, w->claims == 2);
    assert_int_equal(w->got, 0);
    queue_claim(w->queue, 5, wanted);
    wait_until(f, w->claims == 3);
    assert_int_equal(w->got, 0); // the job that waits is of an action that it has not
    other.postgres.dsn = dsn;
    struct config moved = other;
    moved.postgres.dsn = f->dsn;
    queue_reconfigure(w->queue, &moved);
    save_plain(w, job, JOB_SUCCEEDED, "end");
    queue_reconfigure(w->queue, &other); // another server, for all it knows
    wait_saved(w, 1);
    fixture_destroy(f);
}

// While every part of it has something in flight; nothing of it may be left in the loop.
static void test_destroyed_in_flight(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    enqueue_jobs(f, 5);
    struct job *job = claim_one(w);
    PGconn *holder = PQconnectdb(f->dsn);
    PQclear(PQexec(holder, "BEGIN; LOCK cxsink.jobs"));
    save_plain(w, job, JOB_SUCCEEDED, "end");
    claim(w, 3);
    wait_until(f, !query_is(f, "SELECT count(*) FROM pg_locks WHERE NOT granted", "0"));
    unsigned wakes = w->wakes;
    worker_close(w);
    PQfinish(holder);
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_int_equal(w->wakes, wakes);
    fixture_destroy(f);
}

// Destroyed in each of its callbacks.
enum where {
    IN_CLAIMED,
    IN_CLAIM_DONE,
    IN_SAVED,
    IN_LOST,
    IN_WAKE,
    IN_CONNECTION,
    IN_TOLD,
    NOWHERE
};

struct victim {
    struct worker *w;
    enum where where;
    bool dead;
};
static struct victim victim;

static void strike(enum where where)
{
    if (victim.where == where && !victim.dead) {
        victim.dead = true;
        queue_destroy(&victim.w->queue);
    }
}

static void victim_claimed(void *owner, struct job *job)
{
    worker_claimed(owner, job);
    strike(IN_CLAIMED);
}

static void victim_claim_done(void *owner, unsigned asked, unsigned got)
{
    worker_claim_done(owner, asked, got);
    strike(IN_CLAIM_DONE);
}

static void victim_lost(void *owner, const char *id, bool cancel)
{
    worker_lost(owner, id, cancel);
    strike(IN_LOST);
}

static void victim_wake(void *owner)
{
    struct worker *w = owner;
    w->wakes++;
    strike(IN_WAKE);
}

static void victim_connection(void *owner, const struct status *st, int64_t retry_us)
{
    worker_connection(owner, st, retry_us);
    strike(IN_CONNECTION);
}

static void victim_told(void *owner, enum log_level level, const char *sentence)
{
    worker_told(owner, level, sentence);
    strike(IN_TOLD);
}

static void victim_saved(void *owner, enum status_code code)
{
    on_saved(owner, code);
    strike(IN_SAVED);
}

static void test_destroyed_in_callbacks(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    worker_close(worker_start(f, 1)); // migrates
    const struct queue_settings settings = {
        .loop = f->loop,
        .resolver = f->resolver,
        .config = &f->config,
        .worker = true,
        .callbacks = {.claimed = victim_claimed,
                      .claim_done = victim_claim_done,
                      .lost = victim_lost,
                      .wake = victim_wake,
                      .connection = victim_connection,
                      .told = victim_told},
        .owner = &f->workers[0],
    };
    for (enum where where = IN_CLAIMED; where <= NOWHERE; where++) {
        struct worker *w = &f->workers[0];
        *w = (struct worker){.f = f};
        victim = (struct victim){.w = w, .where = where};
        run_sql(f, "TRUNCATE cxsink.jobs CASCADE");
        enqueue_jobs(f, 5);
        w->queue = queue_create(&settings);
        wait_until(f, victim.dead || w->wakes > 0);
        if (!victim.dead)
            claim(w, 3);
        wait_until(f, victim.dead || w->claims > 0);
        for (size_t i = 0; i < 2 && !victim.dead; i++)
            queue_save(w->queue, &(struct queue_save){.job = w->jobs[i], .lease = QUEUE_RELEASE},
                       victim_saved, w);
        wait_until(f, victim.dead || w->saved == 2);
        run_sql(f,
                "UPDATE cxsink.jobs SET leased_by = gen_random_uuid() WHERE leased_by IS NOT NULL;"
                "INSERT INTO cxsink.jobs (id, action) VALUES ('x', 'nobody''s')");
        wait_until(f, victim.dead || (w->lost > 0 && w->told[0] != '\0'));
        assert_int_equal(victim.dead, where != NOWHERE);
        for (int i = 0; i < 10; i++)
            fixture_turn(f);
        worker_close(w);
    }
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passing_errors),
        cmocka_unit_test(test_claim_that_fails),
        cmocka_unit_test(test_refused_result),
        cmocka_unit_test(test_refused_state),
        cmocka_unit_test(test_refused_upkeep),
        cmocka_unit_test(test_needs_a_person),
        cmocka_unit_test(test_migrate_check),
        cmocka_unit_test(test_migrate_off),
        cmocka_unit_test(test_server_crash),
        cmocka_unit_test(test_unknown_outcome_of_saves),
        cmocka_unit_test(test_unknown_outcome_of_claim),
        cmocka_unit_test(test_unknown_outcome_of_enqueue),
        cmocka_unit_test(test_cut_off_for_long),
        cmocka_unit_test(test_terminated_again_and_again),
        cmocka_unit_test(test_reconfigure),
        cmocka_unit_test(test_destroyed_in_flight),
        cmocka_unit_test(test_destroyed_in_callbacks),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
