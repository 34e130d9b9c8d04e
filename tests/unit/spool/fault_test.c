// SPDX-License-Identifier: Apache-2.0
// System calls that fail: a full disk, a disk that errs, in every place where it matters.
#include "spool/fixture.h"

// What the next calls do. Reset before each test; a test runs alone in its process.
static struct {
    int64_t space;   // bytes left on the disk; -1: plenty
    int write_error; // of the next `write_failures` writes; a part is written before it
    int write_failures;
    int sync_failures; // of the next syncs of files
    int dir_failures;  // of the next syncs of directories
    int cut_failures, remove_failures, rename_failures, create_failures;
    int read_failures; // reads that fail at `bad_offset`
    off_t bad_offset;
    unsigned syncs;
} faults;

static int strike(int *count, int error)
{
    if (*count == 0)
        return 0;
    (*count)--;
    errno = error;
    return -1;
}

static int64_t size_of(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 ? info.st_size : 0;
}

static int faulty_openat(int dir, const char *name, int flags, mode_t mode)
{
    if ((flags & O_EXCL) != 0 && strike(&faults.create_failures, ENOSPC) != 0)
        return -1;
    return spool_io_system.openat(dir, name, flags, mode);
}

static ssize_t faulty_pread(int fd, void *data, size_t length, off_t offset)
{
    if (faults.read_failures != 0 && offset <= faults.bad_offset &&
        faults.bad_offset < offset + (off_t)length) {
        if (offset < faults.bad_offset / 4096 * 4096) // up to the bad sector
            return pread(fd, data, (size_t)(faults.bad_offset / 4096 * 4096 - offset), offset);
        strike(&faults.read_failures, EIO);
        return -1;
    }
    return pread(fd, data, length, offset);
}

// Writes the first bytes only.
static ssize_t write_part(int fd, const struct iovec *parts, int count, off_t offset, size_t most)
{
    struct iovec part = parts[0];
    (void)count;
    if (part.iov_len > most)
        part.iov_len = most;
    return pwritev(fd, &part, 1, offset);
}

static ssize_t faulty_pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    int64_t growth = offset - size_of(fd);
    static bool was_short;
    for (int i = 0; i < count; i++)
        growth += (int64_t)parts[i].iov_len;
    if (faults.write_failures != 0 && !was_short && parts[0].iov_len > 1) {
        was_short = true; // half of it first, as a real disk does
        return write_part(fd, parts, count, offset, parts[0].iov_len / 2);
    }
    was_short = false;
    if (strike(&faults.write_failures, faults.write_error) != 0)
        return -1;
    if (faults.space < 0 || growth <= 0)
        return pwritev(fd, parts, count, offset);
    if (faults.space == 0) {
        errno = ENOSPC;
        return -1;
    }
    int64_t before = size_of(fd);
    ssize_t n = growth <= faults.space ? pwritev(fd, parts, count, offset)
                                       : write_part(fd, parts, count, offset, (size_t)faults.space);
    faults.space -= size_of(fd) - before;
    return n;
}

static int faulty_fdatasync(int fd)
{
    (void)fd;
    faults.syncs++;
    return strike(&faults.sync_failures, EIO);
}

static int faulty_fsync(int fd)
{
    (void)fd;
    return strike(&faults.dir_failures, EIO);
}

static int faulty_ftruncate(int fd, off_t length)
{
    int64_t before = size_of(fd);
    if (strike(&faults.cut_failures, EIO) != 0)
        return -1;
    int result = ftruncate(fd, length);
    if (faults.space >= 0)
        faults.space += before - size_of(fd);
    return result;
}

static int faulty_unlinkat(int dir, const char *name)
{
    struct stat info = {0};
    if (strike(&faults.remove_failures, EPERM) != 0)
        return -1;
    fstatat(dir, name, &info, 0);
    int result = spool_io_system.unlinkat(dir, name);
    if (result == 0 && faults.space >= 0)
        faults.space += info.st_size;
    return result;
}

static int faulty_renameat(int dir, const char *from, const char *to)
{
    if (strike(&faults.rename_failures, EIO) != 0)
        return -1;
    return spool_io_system.renameat(dir, from, to);
}

static const struct spool_io faulty = {
    .openat = faulty_openat,
    .pread = faulty_pread,
    .pwritev = faulty_pwritev,
    .fdatasync = faulty_fdatasync,
    .fsync = faulty_fsync,
    .ftruncate = faulty_ftruncate,
    .unlinkat = faulty_unlinkat,
    .renameat = faulty_renameat,
};

static int setup(void **state)
{
    memset(&faults, 0, sizeof faults);
    faults.space = -1;
    fx_setup(state);
    ((struct fixture *)*state)->io = &faulty;
    return 0;
}

static void reopen_after_kill(struct fixture *fx)
{
    fx_kill(fx);
    fx_open(fx);
}

static void test_full_disk_and_room_again(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 10);
    faults.space = 700; // some of it gets written
    fx_append_many(fx, 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fx_commit_at(fx, i), STATUS_FULL);
        assert_non_null(strstr(fx->st.detail, "make room"));
        assert_true(fx_stat(fx).no_space);
        assert_int_equal(fx_stat(fx).pending, 10);
        assert_int_equal(faults.space, 700); // cut back: given to others again
        fx_expect(fx, i == 0 ? 1 : 11, 10);  // nothing of it is readable
    }
    faults.space = -1;
    fx_write(fx, 1);
    assert_false(fx_stat(fx).no_space);
    fx_expect(fx, 11, 21);
    reopen_after_kill(fx);
    fx_expect(fx, 1, 21);
    assert_int_equal(fx->told, 0);
}

// While the disk stays full, memory is bounded and the refusal is honest.
static void test_full_disk_bounds_pending(void **state)
{
    struct fixture *fx = *state;
    fx->settings.max_bytes = 8 << 20;
    fx_open(fx);
    fx_write(fx, 1);
    faults.space = 0;
    while (fx_append(fx) == SPOOL_APPENDED)
        if (fx->next % 100 == 0)
            assert_int_equal(fx_commit_at(fx, 0), STATUS_FULL);
    assert_in_range(spool_pending_bytes(fx->spool), 1 << 20, 2 << 20);
    assert_false(spool_has_room(fx->spool));
    assert_int_equal(fx->dropped, 0);
    faults.space = -1;
    fx_commit(fx);
    assert_true(spool_has_room(fx->spool));
    fx_expect(fx, 1, fx->next - 1);
}

static void test_full_disk_drops_newest(void **state)
{
    struct fixture *fx = *state;
    fx->settings.when_full = SPOOL_DROP_NEWEST;
    fx_open(fx);
    fx_write(fx, 1);
    faults.space = 0;
    fx_append_many(fx, 1);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_FULL);
    while (fx_append(fx) == SPOOL_APPENDED)
        continue;
    assert_int_equal(fx->dropped, 1);
    faults.space = -1;
    fx_commit(fx);
    fx_expect(fx, 1, fx->next - 1);
}

// drop_oldest gives the oldest segments for the newest records.
static void test_full_disk_drops_oldest(void **state)
{
    struct fixture *fx = *state;
    fx->settings.when_full = SPOOL_DROP_OLDEST;
    fx->settings.segment_bytes = 4096;
    fx_open(fx);
    for (int i = 0; i < 10; i++)
        fx_write(fx, 10);
    faults.space = 0;
    for (int i = 0; i < 10; i++)
        fx_write(fx, 10);
    assert_true(fx->dropped >= 80);
    fx_expect(fx, fx->dropped + 1, 200);
}

// All is acknowledged, but the file that holds it fills the disk: it is emptied for new records.
static void test_full_disk_of_acknowledged_records(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 20);
    fx_expect(fx, 1, 20);
    spool_ack(fx->spool, 20);
    assert_true(fx_stat(fx).bytes > 2000);
    faults.space = 0;
    fx_write(fx, 5);
    fx_expect(fx, 21, 25);
    reopen_after_kill(fx);
    fx_expect(fx, 21, 25);
    assert_int_equal(fx_stat(fx).next_seq, 26);
}

static void test_no_file_can_be_created(void **state)
{
    struct fixture *fx = *state;
    faults.create_failures = 2;
    fx_open(fx); // no reason not to start
    fx_append_many(fx, 3);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_FULL);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_FULL);
    fx_commit(fx);
    fx_expect(fx, 1, 3);
}

static void test_directory_cannot_be_synced(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    faults.dir_failures = 1;
    faults.remove_failures = 1; // the file that was created stays
    fx_append_many(fx, 3);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_IO);
    fx_expect(fx, 1, 0);
    fx_commit(fx);
    fx_expect(fx, 1, 3);
    reopen_after_kill(fx);
    fx_expect(fx, 1, 3);
}

static void test_write_error(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 5);
    faults.write_error = EIO;
    faults.write_failures = 3;
    fx_append_many(fx, 5);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fx_commit_at(fx, 0), STATUS_IO);
    fx_expect(fx, 1, 5);
    fx_commit(fx);
    fx_expect(fx, 6, 10);
    assert_int_equal(fx_stat(fx).segments, 2); // not one for each failure
    reopen_after_kill(fx);
    fx_expect(fx, 1, 10);
    assert_int_equal(fx->told, 0);
}

// What a failed write left cannot even be cut: the next commit goes elsewhere, and after a crash
// the remains are met and passed over.
static void test_write_error_and_no_cut(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 5);
    faults.write_error = EIO;
    faults.write_failures = 1;
    faults.cut_failures = 2;
    fx_append_many(fx, 5);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_IO);
    fx_commit(fx);
    fx_expect(fx, 1, 10);
    fx_write(fx, 1);
    reopen_after_kill(fx);
    fx_expect(fx, 1, 11);
}

// After a failed fsync the kernel may have dropped the pages: a later good sync of the same file
// proves nothing. The records are written again, into another file.
static void test_sync_error(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 5);
    faults.sync_failures = 1;
    fx_append_many(fx, 5);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_IO);
    assert_non_null(strstr(fx->st.detail, "sync"));
    assert_int_equal(fx_stat(fx).pending, 5);
    fx_expect(fx, 1, 5); // P9: written, not synced, so not received
    fx_commit(fx);
    assert_int_equal(fx_stat(fx).segments, 2);
    fx_expect(fx, 6, 10);
    reopen_after_kill(fx);
    fx_expect(fx, 1, 10);
    assert_int_equal(fx_stat(fx).events, 10);
    assert_int_equal(fx->told, 0);
}

static void test_sync_error_and_no_cut(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 5);
    faults.sync_failures = 1;
    faults.cut_failures = 1;
    fx_append_many(fx, 5);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_IO);
    fx_write(fx, 1);
    fx_expect(fx, 1, 11);
    reopen_after_kill(fx);
    assert_int_equal(fx_stat(fx).events, 11);
    fx_expect(fx, 1, 11); // each once, though some are in two files
    struct buf payload = {0};
    assert_true(spool_fetch(fx->spool, 6, &payload));
    buf_deinit(&payload);
}

static void test_sync_error_of_the_first_commit(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    faults.sync_failures = 2;
    fx_append_many(fx, 5);
    assert_int_equal(fx_commit_at(fx, 0), STATUS_IO);
    faults.cut_failures = 1;
    assert_int_equal(fx_commit_at(fx, 0), STATUS_IO); // cannot be cut
    assert_int_equal(fx_commit_at(fx, 0), STATUS_IO);
    fx_write(fx, 1);
    assert_int_equal(fx_stat(fx).segments, 1);
    fx_expect(fx, 1, 6);
}

static void test_commit_failure_then_close(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 5);
    faults.write_error = EIO;
    faults.write_failures = 1;
    fx_append_many(fx, 1);
    fx_close(fx); // the last record was never received
    fx_open(fx);
    fx_expect(fx, 1, 5);
}

static void test_sync_always_syncs_each_commit(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    unsigned before = faults.syncs;
    for (int i = 0; i < 10; i++)
        fx_write(fx, 2);
    fx_commit(fx); // nothing pending
    assert_int_equal(faults.syncs - before, 10);
}

static void test_sync_interval(void **state)
{
    struct fixture *fx = *state;
    fx->settings.sync = SPOOL_SYNC_INTERVAL;
    fx->settings.sync_interval_us = 50000;
    fx_open(fx);
    unsigned before = faults.syncs;
    for (int64_t now = 1000000; now < 1200000; now += 1000) {
        fx_append_many(fx, 1);
        assert_int_equal(fx_commit_at(fx, now), STATUS_OK);
    }
    fx_expect(fx, 1, 200); // readable at once
    assert_int_equal(faults.syncs - before, 4);
    assert_int_equal(fx_commit_at(fx, 1300000), STATUS_OK); // the rest, by time alone
    assert_int_equal(fx_commit_at(fx, 1400000), STATUS_OK); // nothing to sync
    assert_int_equal(faults.syncs - before, 5);
    fx_append_many(fx, 1);
    assert_int_equal(fx_commit_at(fx, 1400001), STATUS_OK);
    faults.sync_failures = 1;
    fx_append_many(fx, 1);
    assert_int_equal(fx_commit_at(fx, 1500000), STATUS_IO);
    assert_int_equal(fx_commit_at(fx, 1600000), STATUS_OK);
    fx_expect(fx, 201, 202);
}

static void test_sync_interval_when_a_segment_is_left(void **state)
{
    struct fixture *fx = *state;
    fx->settings.sync = SPOOL_SYNC_INTERVAL;
    fx->settings.sync_interval_us = 1000000;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    fx_append_many(fx, 8);
    assert_int_equal(fx_commit_at(fx, 2000000), STATUS_OK);
    fx_append_many(fx, 2);
    assert_int_equal(fx_commit_at(fx, 2000001), STATUS_OK); // not synced
    unsigned before = faults.syncs;
    fx_append_many(fx, 8);
    faults.sync_failures = 1;
    assert_int_equal(fx_commit_at(fx, 2000002), STATUS_IO); // said once
    assert_int_equal(fx_commit_at(fx, 2000003), STATUS_OK);
    assert_int_equal(faults.syncs - before, 1);
    fx_expect(fx, 1, 18);
}

static void test_sync_off(void **state)
{
    struct fixture *fx = *state;
    fx->settings.sync = SPOOL_SYNC_OFF;
    fx_open(fx);
    unsigned before = faults.syncs;
    for (int i = 0; i < 10; i++)
        fx_write(fx, 2);
    assert_int_equal(faults.syncs, before);
    fx_close(fx);
    assert_true(faults.syncs > before); // an orderly stop leaves nothing to chance
}

static void test_removal_fails(void **state)
{
    struct fixture *fx = *state;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 1000; i++)
        fx_write(fx, 5);
    unsigned segments = fx_stat(fx).segments;
    faults.remove_failures = 1;
    spool_ack(fx->spool, 200);
    assert_int_equal(fx_stat(fx).segments, segments);
    assert_int_equal(fx_stat(fx).events, 4800);
    spool_ack(fx->spool, 5000);
    assert_int_equal(fx_stat(fx).segments, 1);
}

// It stays, and the next start removes it.
static void test_removal_fails_until_a_restart(void **state)
{
    struct fixture *fx = *state;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 10; i++)
        fx_write(fx, 5);
    faults.remove_failures = 1;
    spool_ack(fx->spool, 50);
    assert_true(fx_stat(fx).segments > 1);
    fx_close(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).segments, 1);
}

static void test_drop_oldest_cannot_remove(void **state)
{
    struct fixture *fx = *state;
    fx->settings.max_bytes = 16 << 10;
    fx->settings.when_full = SPOOL_DROP_OLDEST;
    fx_open(fx);
    faults.remove_failures = 1;
    while (fx_append(fx) == SPOOL_APPENDED)
        fx_commit(fx);
    assert_int_equal(fx->dropped, 0);
    assert_int_equal(faults.remove_failures, 0);
    assert_int_equal(fx_append(fx), SPOOL_APPENDED);
    assert_true(fx->dropped > 0);
}

static void test_recycle_fails(void **state)
{
    struct fixture *fx = *state;
    for (int way = 0; way < 3; way++) {
        fx->settings.segment_bytes = 8192;
        fx_open(fx);
        fx_write(fx, 20);
        uint64_t last = fx->next - 1;
        faults.rename_failures = way == 0;
        faults.cut_failures = way == 1;
        faults.dir_failures = way == 2;
        spool_ack(fx->spool, fx_stat(fx).next_seq - 1);
        assert_true(fx_stat(fx).bytes > 2000); // as it was
        fx_write(fx, 3);
        fx_expect(fx, last + 1, last + 3);
        reopen_after_kill(fx);
        fx_expect(fx, last + 1, last + 3);
        spool_ack(fx->spool, fx_stat(fx).next_seq - 1);
        assert_true(fx_stat(fx).bytes < 1000);
        fx_close(fx);
    }
}

// What is done with cannot be removed and is larger than the bound: that stops nobody.
static void test_recycle_fails_and_the_spool_is_full(void **state)
{
    struct fixture *fx = *state;
    char *large = mem_zalloc(200 << 10);
    fx->settings.max_bytes = 64 << 10;
    fx_open(fx);
    assert_int_equal(fx_append_len(fx, large, 200 << 10), SPOOL_APPENDED);
    fx_commit(fx);
    assert_int_equal(fx_append(fx), SPOOL_FULL);
    assert_false(spool_has_room(fx->spool));
    faults.rename_failures = 1;
    spool_ack(fx->spool, 1);
    assert_true(fx_stat(fx).bytes > 200 << 10);
    assert_true(spool_has_room(fx->spool));
    fx_write(fx, 1);
    free(large);
}

static void test_position_cannot_be_written(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 5);
    spool_ack(fx->spool, 2);
    faults.write_error = EIO;
    faults.write_failures = 1;
    spool_store_position(fx->spool);
    spool_store_position(fx->spool); // still to be done, and now it is
    reopen_after_kill(fx);
    fx_expect(fx, 3, 5);
}

static void test_read_error_passes(void **state)
{
    struct fixture *fx = *state;
    struct spool_record record;
    fx_open(fx);
    fx_write(fx, 100);
    faults.bad_offset = 5000;
    faults.read_failures = 3;
    uint64_t number = 0;
    unsigned failed = 0;
    while (number < 100) {
        enum spool_read result = spool_read(fx->spool, &record, &fx->st);
        if (result == SPOOL_FAILED) {
            assert_int_equal(fx->st.code, STATUS_IO);
            failed++;
            continue;
        }
        assert_int_equal(result, SPOOL_READ);
        assert_int_equal(fx_number(&record), ++number);
    }
    assert_int_equal(failed, 3);
    assert_int_equal(fx->told, 0);
}

// A sector that stays unreadable costs the records in it, not the rest.
static void test_read_error_stays(void **state)
{
    struct fixture *fx = *state;
    struct spool_record record;
    fx_open(fx);
    fx_write(fx, 100);
    faults.bad_offset = 5000;
    faults.read_failures = 1000000;
    unsigned failed = 0, read = 0;
    uint64_t number = 0;
    while (number < 100) {
        enum spool_read result = spool_read(fx->spool, &record, &fx->st);
        assert_int_not_equal(result, SPOOL_EMPTY);
        if (result == SPOOL_FAILED) {
            assert_true(++failed < 100);
            continue;
        }
        uint64_t next = fx_number(&record);
        assert_true(next > number);
        number = next;
        read++;
    }
    assert_in_range(read, 100 - 50, 100 - 10);
    assert_int_equal(fx->told, 1);
    // The next start reads the file as well: it does not cut what it cannot read.
    fx_kill(fx);
    fx_open(fx);
    faults.read_failures = 0;
    fx_expect(fx, 1, 100);
    fx_write(fx, 1);
    fx_expect(fx, 101, 101);
}

// An end that cannot be read at the start may be readable later: it is not cut off.
static void test_unreadable_end_is_kept(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 100);
    faults.bad_offset = (off_t)fx_stat(fx).bytes - 10;
    faults.read_failures = 1000000;
    fx_kill(fx);
    fx_open(fx);
    fx_write(fx, 1);
    faults.read_failures = 0;
    fx_expect(fx, 1, 101);
    assert_int_equal(fx->told, 0);
}

static void test_segment_cannot_be_opened_for_reading(void **state)
{
    struct fixture *fx = *state;
    struct spool_record record;
    char names[4][SEGMENT_NAME_SIZE];
    fx_open(fx);
    fx_write(fx, 3);
    fx_segments(fx, names, 4);
    char *path = fx_path(fx, names[0]), *aside = fx_path(fx, "aside");
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(symlink("aside", path), 0); // is refused: ELOOP
    assert_int_equal(spool_read(fx->spool, &record, &fx->st), SPOOL_FAILED);
    assert_non_null(strstr(fx->st.detail, names[0]));
    struct buf payload = {0};
    assert_false(spool_fetch(fx->spool, 2, &payload));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(aside, path), 0);
    fx_expect(fx, 1, 3);
    free(path);
    free(aside);
}

#define spool_test(fn) cmocka_unit_test_setup_teardown(fn, setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spool_test(test_full_disk_and_room_again),
        spool_test(test_full_disk_bounds_pending),
        spool_test(test_full_disk_drops_newest),
        spool_test(test_full_disk_drops_oldest),
        spool_test(test_full_disk_of_acknowledged_records),
        spool_test(test_no_file_can_be_created),
        spool_test(test_directory_cannot_be_synced),
        spool_test(test_write_error),
        spool_test(test_write_error_and_no_cut),
        spool_test(test_sync_error),
        spool_test(test_sync_error_and_no_cut),
        spool_test(test_sync_error_of_the_first_commit),
        spool_test(test_commit_failure_then_close),
        spool_test(test_sync_always_syncs_each_commit),
        spool_test(test_sync_interval),
        spool_test(test_sync_interval_when_a_segment_is_left),
        spool_test(test_sync_off),
        spool_test(test_removal_fails),
        spool_test(test_removal_fails_until_a_restart),
        spool_test(test_drop_oldest_cannot_remove),
        spool_test(test_recycle_fails),
        spool_test(test_recycle_fails_and_the_spool_is_full),
        spool_test(test_position_cannot_be_written),
        spool_test(test_read_error_passes),
        spool_test(test_read_error_stays),
        spool_test(test_unreadable_end_is_kept),
        spool_test(test_segment_cannot_be_opened_for_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
