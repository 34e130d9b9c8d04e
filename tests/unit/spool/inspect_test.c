// SPDX-License-Identifier: Apache-2.0
// Looking into a spool from outside: right figures, nothing changed, no false alarm while its owner
// works on it.
#include "spool/fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static struct spool_report inspect(struct fixture *fx)
{
    struct spool_report report;
    fx->told = 0;
    fx->told_bytes = 0;
    assert_int_equal(spool_inspect(fx->dir, &fx->settings.callbacks, fx, &report, &fx->st),
                     STATUS_OK);
    assert_int_equal(report.corrupt_places, fx->told);
    assert_int_equal(report.corrupt_bytes, fx->told_bytes);
    return report;
}

static void test_figures(void **state)
{
    struct fixture *fx = *state;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 20; i++)
        fx_write(fx, 5);
    spool_ack(fx->spool, 42);
    spool_store_position(fx->spool);
    for (int closed = 0; closed < 2; closed++) {
        struct spool_report report = inspect(fx);
        struct uuid id = closed ? report.id : *spool_id(fx->spool);
        assert_memory_equal(&report.id, &id, sizeof id);
        assert_int_equal(report.last_seq, 100);
        assert_int_equal(report.acked_seq, 42);
        assert_int_equal(report.unacknowledged, 58);
        assert_int_equal(report.records, 101 - report.first_seq);
        assert_true(report.first_seq <= 43 && report.first_seq > 30);
        assert_int_equal(report.oldest_us, 1700000000000000 + 43);
        assert_int_equal(report.corrupt_places, 0);
        if (!closed) {
            assert_int_equal(report.segments, fx_stat(fx).segments);
            assert_int_equal(report.bytes, fx_stat(fx).bytes);
            fx_close(fx);
        }
    }
}

static void test_nothing_there(void **state)
{
    struct fixture *fx = *state;
    struct spool_report report;
    assert_int_equal(spool_inspect(fx->dir, NULL, NULL, &report, &fx->st), STATUS_NOT_FOUND);
    assert_non_null(strstr(fx->st.detail, fx->dir));
    assert_int_equal(spool_inspect(fx->base, NULL, NULL, &report, &fx->st), STATUS_NOT_FOUND);
    assert_int_equal(spool_inspect("/etc/passwd", NULL, NULL, &report, NULL), STATUS_INVALID);
}

static void test_empty_spool(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    struct spool_report report = inspect(fx);
    assert_int_equal(report.records, 0);
    assert_int_equal(report.oldest_us, 0);
    assert_memory_equal(&report.id, spool_id(fx->spool), sizeof report.id);
}

static void test_damage_is_listed_and_left(void **state)
{
    struct fixture *fx = *state;
    char names[64][SEGMENT_NAME_SIZE];
    char *data, *again;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 10; i++)
        fx_write(fx, 5);
    fx_close(fx);
    size_t count = fx_segments(fx, names, 64);
    size_t size = fx_file_read(fx, names[1], &data);
    data[100] ^= 1;      // one record
    data[size - 1] ^= 1; // and another
    fx_file_write(fx, names[1], data, size);
    size_t last = fx_file_read(fx, names[count - 1], &again);
    free(again);
    char *path = fx_path(fx, names[count - 1]);
    assert_int_equal(truncate(path, (off_t)last - 1), 0); // an unfinished end
    free(path);
    fx_file_write(fx, "00000000000003e8.seg", "", 0);
    struct spool_report report = inspect(fx);
    assert_int_equal(report.corrupt_places, 3);
    assert_int_equal(report.records, 47);
    assert_int_equal(fx_file_read(fx, names[1], &again), size);
    assert_memory_equal(again, data, size);
    free(data);
    free(again);
}

static void test_of_another_spool_and_strange(void **state)
{
    struct fixture *fx = *state;
    char bytes[SEGMENT_HEADER_SIZE];
    struct segment_header header = {{"another spool..."}, 1000, 1000};
    fx_open(fx);
    fx_write(fx, 5);
    segment_header_encode(&header, bytes);
    fx_file_write(fx, "00000000000003e8.seg", bytes, sizeof bytes);
    char *path = fx_path(fx, "00000000000003e9.seg");
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
    struct spool_report report = inspect(fx);
    assert_int_equal(report.corrupt_places, 2);
    assert_int_equal(report.records, 5);
}

static void test_id_from_the_lock_file(void **state)
{
    struct fixture *fx = *state;
    char names[4][SEGMENT_NAME_SIZE];
    char *data;
    fx_open(fx);
    fx_write(fx, 5);
    fx_close(fx);
    fx_segments(fx, names, 4);
    size_t size = fx_file_read(fx, names[0], &data);
    data[20] ^= 1;
    fx_file_write(fx, names[0], data, size);
    free(data);
    fx_unlink(fx, POSITION_FILE);
    struct spool_report report = inspect(fx);
    assert_int_equal(report.records, 5);
    assert_int_equal(report.unacknowledged, 5);
    assert_int_equal(report.corrupt_places, 1);
}

static pid_t child; // the owner of the test that has one

// The owner in a process of its own: writes, removes, empties files for reuse, until killed.
static void keep_working(struct fixture *fx)
{
    uint64_t seq = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL); // a failed test must not leave it behind
    fx->settings.sync = SPOOL_SYNC_OFF;
    fx->settings.segment_bytes = 16384;
    if (fx_try_open(fx) != STATUS_OK)
        _exit(1);
    for (;;) {
        for (int i = 0; i < 20; i++)
            if (fx_append(fx) != SPOOL_APPENDED)
                _exit(2);
        if (fx_commit_at(fx, 0) != STATUS_OK)
            _exit(3);
        if (fx->next / 20 % 50 != 0)
            continue;
        while (fx_read(fx, &seq) != 0)
            continue;
        spool_ack(fx->spool, seq);
    }
}

static void test_while_the_owner_works(void **state)
{
    struct fixture *fx = *state;
    struct spool_report report;
    uint64_t least = 0;
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        keep_working(fx);
    time_t deadline = time(NULL) + 60;
    for (int looks = 0; looks < 300 || least < 5000;) {
        assert_true(time(NULL) < deadline);
        enum status_code code =
            spool_inspect(fx->dir, &fx->settings.callbacks, fx, &report, &fx->st);
        if (code == STATUS_NOT_FOUND)
            continue; // it has not begun
        assert_int_equal(code, STATUS_OK);
        if (report.corrupt_places != 0)
            print_error("%s: %s, %d bytes\n", fx->told_file, fx->told_what, (int)fx->told_bytes);
        assert_int_equal(report.corrupt_places, 0);
        assert_true(report.acked_seq >= least);
        least = report.acked_seq;
        looks++;
    }
    assert_true(least > 0);
    int status;
    assert_int_equal(waitpid(child, &status, WNOHANG), 0); // it never stopped
}

static int teardown_child(void **state)
{
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    child = 0;
    return fx_teardown(state);
}

#define spool_test(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spool_test(test_figures),
        spool_test(test_nothing_there),
        spool_test(test_empty_spool),
        spool_test(test_damage_is_listed_and_left),
        spool_test(test_of_another_spool_and_strange),
        spool_test(test_id_from_the_lock_file),
        cmocka_unit_test_setup_teardown(test_while_the_owner_works, fx_setup, teardown_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
