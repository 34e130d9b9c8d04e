// SPDX-License-Identifier: Apache-2.0
// A process that dies before each system call that changes the spool, and in the middle of each
// write: whatever it leaves, the next one has every record that was committed and not acknowledged,
// once, in order, and goes on.
#include "spool/fixture.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define ROUNDS 16

// In the child that dies: calls left, and whether a write is to be half done.
static unsigned calls_left;
static bool half_writes;

static void count_call(void)
{
    if (calls_left-- == 0)
        _exit(1);
}

static int dying_openat(int dir, const char *name, int flags, mode_t mode)
{
    if ((flags & O_CREAT) != 0)
        count_call();
    return spool_io_system.openat(dir, name, flags, mode);
}

static ssize_t dying_pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    if (calls_left == 0 && half_writes) {
        struct iovec last = parts[count - 1];
        last.iov_len /= 2;
        if (count > 1)
            offset += pwritev(fd, parts, count - 1, offset);
        if (pwritev(fd, &last, 1, offset) < 0)
            _exit(2);
    }
    count_call();
    return pwritev(fd, parts, count, offset);
}

// The page cache survives a process: nothing needs to be synced here.
static int dying_sync(int fd)
{
    (void)fd;
    count_call();
    return 0;
}

static int dying_ftruncate(int fd, off_t length)
{
    count_call();
    return ftruncate(fd, length);
}

static int dying_unlinkat(int dir, const char *name)
{
    count_call();
    return spool_io_system.unlinkat(dir, name);
}

static int dying_renameat(int dir, const char *from, const char *to)
{
    count_call();
    return spool_io_system.renameat(dir, from, to);
}

static const struct spool_io dying = {
    .openat = dying_openat,
    .pread = pread,
    .pwritev = dying_pwritev,
    .fdatasync = dying_sync,
    .fsync = dying_sync,
    .ftruncate = dying_ftruncate,
    .unlinkat = dying_unlinkat,
    .renameat = dying_renameat,
};

// How far the child came, in payload numbers; in memory shared with the parent.
struct progress {
    uint64_t appended;  // about to be committed
    uint64_t committed; // received
    uint64_t acked;     // about to be acknowledged
    uint64_t last_seq;  // greatest number of a record that was read
};

// Writes, reads, acknowledges; segments are created, removed, emptied for reuse.
static void work(struct fixture *fx, struct progress *progress)
{
    uint64_t seq = 0, number;
    if (fx_try_open(fx) != STATUS_OK)
        _exit(3);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 4; i++)
            if (fx_append(fx) != SPOOL_APPENDED)
                _exit(4);
        progress->appended = fx->next - 1;
        if (fx_commit_at(fx, round * 30000) != STATUS_OK)
            _exit(5);
        progress->committed = fx->next - 1;
        if (round % 3 != 2)
            continue;
        while ((number = fx_read(fx, &seq)) != 0) {
            if (progress->last_seq < seq)
                progress->last_seq = seq;
            if (round % 2 == 1 && number > progress->committed - 2)
                break;
            progress->acked = number;
        }
        spool_ack(fx->spool, round % 2 == 1 ? seq - 1 : seq);
    }
    spool_close(&fx->spool);
}

static struct progress *shared;

// Runs the child; true when it came to its end.
static bool run_child(struct fixture *fx, unsigned calls)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        calls_left = calls;
        fx->io = &dying;
        work(fx, shared);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 0;
}

// Looks at what the child left.
static void check_remains(struct fixture *fx)
{
    uint64_t seq = 0, last_seq = 0, number, last = 0;
    struct spool_report report;
    if (fx_exists(fx, POSITION_FILE) && fx_exists(fx, SPOOL_LOCK_FILE))
        assert_in_range(spool_inspect(fx->dir, NULL, NULL, &report, &fx->st), STATUS_OK,
                        STATUS_NOT_FOUND);
    fx_open(fx);
    while ((number = fx_read(fx, &seq)) != 0) {
        assert_true(last == 0 || number == last + 1);
        assert_true(last != 0 || number <= shared->acked + 1);
        assert_true(seq > last_seq);
        last = number;
        last_seq = seq;
    }
    if (last == 0)
        last = shared->acked; // all of it was acknowledged
    assert_in_range(last, shared->committed, shared->appended);
    assert_in_range(fx->told, 0, 1); // an unfinished write at the end at most
    assert_true(half_writes || fx->told == 0);
    assert_true(fx_stat(fx).next_seq > shared->last_seq);
    fx_kill(fx);
    fx->next = last + 1;
    *shared = (struct progress){last, last, shared->acked, shared->last_seq};
}

static int setup(void **state)
{
    fx_setup(state);
    struct fixture *fx = *state;
    fx->settings.segment_bytes = 1024;
    fx->settings.max_bytes = 64 << 10;
    memset(shared, 0, sizeof *shared);
    return 0;
}

static void die_everywhere(struct fixture *fx)
{
    const struct spool_io *io = fx->io;
    bool ended = false;
    unsigned calls;
    for (calls = 0; !ended; calls++) {
        fx_remove_tree(fx->dir);
        memset(shared, 0, sizeof *shared);
        fx->next = 1;
        fx->io = io;
        ended = run_child(fx, calls);
        check_remains(fx);
    }
    assert_in_range(calls, 60, 1000);
}

static void test_death_before_every_call(void **state)
{
    half_writes = false;
    die_everywhere(*state);
}

static void test_death_within_every_write(void **state)
{
    half_writes = true;
    die_everywhere(*state);
}

// One death after the other in the same spool: in recovery too, over what the last one left.
static void test_one_death_after_the_other(void **state)
{
    struct fixture *fx = *state;
    half_writes = true;
    for (unsigned i = 0; i < 300; i++) {
        run_child(fx, i * 7 % 61);
        check_remains(fx);
    }
    char names[64][SEGMENT_NAME_SIZE];
    fx_open(fx);
    spool_ack(fx->spool, fx_stat(fx).next_seq - 1);
    fx_close(fx);
    assert_int_equal(fx_segments(fx, names, 64), 1);
}

static void test_death_in_relaxed_modes(void **state)
{
    struct fixture *fx = *state;
    half_writes = true;
    for (unsigned i = 0; i < 100; i++) {
        fx->settings.sync = i % 2 == 0 ? SPOOL_SYNC_OFF : SPOOL_SYNC_INTERVAL;
        fx->settings.sync_interval_us = 50000;
        run_child(fx, i * 5 % 67);
        check_remains(fx);
    }
}

#define spool_test(fn) cmocka_unit_test_setup_teardown(fn, setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spool_test(test_death_before_every_call),
        spool_test(test_death_within_every_write),
        spool_test(test_one_death_after_the_other),
        spool_test(test_death_in_relaxed_modes),
    };
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
