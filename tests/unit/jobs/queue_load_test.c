// SPDX-License-Identifier: Apache-2.0
// Jobs that are too large to come with their lease: what is read in how many round trips, and what
// happens when the lease, the connection or the owner goes meanwhile.
#include "jobs/queue_fixture.h"

#define SLICE ((size_t)512 << 10) // of a round trip

struct reading {
    unsigned calls;
    enum status_code code;
};

static void on_loaded(void *owner, enum status_code code)
{
    struct reading *r = owner;
    r->calls++;
    r->code = code;
}

static enum status_code load(struct worker *w, struct job *job)
{
    struct reading r = {0};
    queue_load(w->queue, job, on_loaded, &r);
    wait_until(w->f, r.calls > 0);
    assert_int_equal(r.calls, 1);
    return r.code;
}

// A job whose "data" is `text` so many times.
static struct job *claim_data(struct worker *w, const char *text, size_t times)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "SELECT cxsink.enqueue('one', jsonb_build_object('a', 1, 'data', repeat('%s', %zu)))",
             text, times);
    run_sql(w->f, sql);
    return claim_one(w);
}

static void test_small_ones_come_with_the_lease(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct job *job = claim_data(w, "QUFB", 2048);
    assert_false(job_is_partial(job));
    assert_int_equal(job->data.length, 0);
    assert_int_equal(job->params_length, strlen("{\"a\": 1, \"data\": \"\"}") + 4 * 2048);
    fixture_destroy(f);
}

// A slice a round trip: no turn of the loop sees more.
static void test_data_is_read_in_slices(void **state)
{
    static const size_t sizes[] = {20000, SLICE - 4, SLICE, SLICE + 4, 14 << 20};
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct job *job = claim_data(w, "QUFB", sizes[i] / 4);
        assert_true(job_is_partial(job));
        assert_int_equal(job->data.length, sizes[i]);
        assert_string_equal(job->params, "{\"a\": 1}");
        size_t turns = 0;
        struct reading r = {0};
        queue_load(w->queue, job, on_loaded, &r);
        for (size_t had = 0; r.calls == 0; had = job->data.have) {
            fixture_turn(f);
            assert_true(job->data.have - had <= SLICE);
            turns += job->data.have > had;
        }
        assert_int_equal(r.code, STATUS_OK);
        assert_int_equal(turns, (sizes[i] + SLICE - 1) / SLICE);
        assert_false(job_is_partial(job));
        assert_memory_equal(job->data.text, "QUFBQUFB", 8);
        assert_memory_equal(job->data.text + sizes[i] - 4, "QUFB", 4);
        uint64_t bytes;
        assert_true(base64_text_end(&job->data.scan, &bytes));
        assert_int_equal(bytes, sizes[i] / 4 * 3);
        assert_query(f,
                     "SELECT count(*), bool_and(cxsink.job_params(j) ->> 'data' LIKE 'QUFB%')"
                     " FROM cxsink.jobs j WHERE leased_by IS NOT NULL",
                     "1|t");
        save_plain(w, job, JOB_SUCCEEDED, "done");
        wait_saved(w, (unsigned)i + 1);
    }
    fixture_destroy(f);
}

// Whatever is no base64 is found where it stands, and what comes with it does no harm.
static void test_what_is_no_base64(void **state)
{
    static const struct {
        const char *text;
        size_t bad; // offset in it
    } cases[] = {{"QUF_", 3}, {"Q\\\\U", 1}, {"\xc3\xa4UFB", 0}};
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job *job = claim_data(w, cases[i].text, SLICE / 2);
        assert_int_equal(load(w, job), STATUS_OK);
        assert_true(job->data.scan.bad);
        assert_int_equal(job->data.scan.at, cases[i].bad);
    }
    fixture_destroy(f);
}

static void test_large_parameters_come_by_themselves(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    // Compressed it is a kilobyte.
    run_sql(f, "SELECT cxsink.enqueue('one', jsonb_build_object('code', repeat('x', 100000)))");
    run_sql(f, "SELECT cxsink.enqueue('one', jsonb_build_object('code', repeat('x', 100000),"
               " 'data', repeat('QUFB', 5000)))");
    for (unsigned i = 0; i < 2; i++) {
        struct job *job = claim_one(w);
        assert_null(job->params);
        assert_int_equal(load(w, job), STATUS_OK);
        assert_int_equal(job->params_length, strlen("{\"code\": \"\"}") + 100000);
        assert_int_equal(strlen(job->params), job->params_length);
        assert_int_equal(job->data.have, i == 0 ? 0 : 20000);
    }
    fixture_destroy(f);
}

static void test_a_lost_lease_ends_it(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct job *job = claim_data(w, "QUFB", SLICE);
    struct reading r = {0};
    queue_load(w->queue, job, on_loaded, &r);
    wait_until(f, job->data.have > 0);
    run_sql(f, "UPDATE cxsink.jobs SET lease = lease + 1");
    wait_until(f, r.calls > 0);
    assert_int_equal(r.code, STATUS_BUSY);
    assert_true(job_is_partial(job));
    fixture_destroy(f);
}

// Nothing is read twice.
static void test_it_outlives_the_connection(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct job *job = claim_data(w, "QUFB", 3 * SLICE / 4);
    struct reading r = {0};
    queue_load(w->queue, job, on_loaded, &r);
    wait_until(f, job->data.have > 0);
    free(pg_server_query(the_server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                     " WHERE application_name = 'cxsink-jobs'"));
    wait_until(f, w->downs > 0);
    wait_until(f, r.calls > 0);
    assert_int_equal(r.code, STATUS_OK);
    assert_int_equal(job->data.have, 3 * SLICE);
    assert_int_equal(job->data.scan.at, 3 * SLICE);
    fixture_destroy(f);
}

// Those that wait take turns; one that is forgotten is not touched any more.
static void test_two_at_once_and_one_forgotten(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    struct worker *w = worker_start(f, 0);
    struct job *first = claim_data(w, "QUFB", SLICE);
    struct job *second = claim_data(w, "QUFB", SLICE);
    struct reading forgotten = {0}, kept = {0};
    queue_load(w->queue, first, on_loaded, &forgotten);
    queue_load(w->queue, second, on_loaded, &kept);
    wait_until(f, first->data.have > 0 && second->data.have > 0);
    assert_true(job_is_partial(first) && job_is_partial(second));
    queue_forget(w->queue, &forgotten);
    job_free(&w->jobs[0]);
    wait_until(f, kept.calls > 0);
    assert_int_equal(kept.code, STATUS_OK);
    assert_int_equal(forgotten.calls, 0);
    fixture_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_ones_come_with_the_lease),
        cmocka_unit_test(test_data_is_read_in_slices),
        cmocka_unit_test(test_what_is_no_base64),
        cmocka_unit_test(test_large_parameters_come_by_themselves),
        cmocka_unit_test(test_a_lost_lease_ends_it),
        cmocka_unit_test(test_it_outlives_the_connection),
        cmocka_unit_test(test_two_at_once_and_one_forgotten),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
