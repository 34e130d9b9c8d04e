// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "spool/position_priv.h"
#include "spool/segment_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_file(void)
{
    int fd = memfd_create("position_test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void store(int fd, struct position *position, uint64_t acked)
{
    position->acked = acked;
    position->next_seq = acked + 10;
    assert_int_equal(position_store(&spool_io_system, fd, position), 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    int fd = open_file();
    struct position in = {.id = {"0123456789abcdef"}, .clean = true}, out;
    assert_false(position_load(&spool_io_system, fd, &out));
    assert_int_equal(out.generation, 0);
    for (uint64_t i = 0; i < 5; i++) {
        in.clean = i % 2 == 0;
        in.relaxed = i > 2;
        store(fd, &in, i * 100);
        assert_true(position_load(&spool_io_system, fd, &out));
        assert_memory_equal(&out.id, &in.id, sizeof in.id);
        assert_int_equal(out.generation, i + 1);
        assert_int_equal(out.acked, i * 100);
        assert_int_equal(out.next_seq, i * 100 + 10);
        assert_int_equal(out.clean, i % 2 == 0);
        assert_int_equal(out.relaxed, i > 2);
    }
    assert_true(lseek(fd, 0, SEEK_END) <= 2 * POSITION_SLOT); // it does not grow
    close(fd);
}

// A slot that is torn at any byte leaves the one before.
static void test_torn(void **state)
{
    (void)state;
    int fd = open_file();
    struct position in = {.id = {"0123456789abcdef"}}, out;
    char before[2 * POSITION_SLOT], after[2 * POSITION_SLOT];
    store(fd, &in, 100);
    store(fd, &in, 200);
    store(fd, &in, 300);
    memset(before, 0, sizeof before);
    assert_true(pread(fd, before, sizeof before, 0) > 0);
    store(fd, &in, 400);
    memcpy(after, before, sizeof after);
    assert_true(pread(fd, after, sizeof after, 0) > 0);
    size_t changed = 0;
    for (size_t cut = 0; cut < sizeof after; cut++) {
        if (before[cut] == after[cut])
            continue;
        changed++;
        memcpy(after, before, cut); // the bytes before are old, this one and the rest new
        assert_int_equal(pwrite(fd, after, sizeof after, 0), sizeof after);
        assert_true(position_load(&spool_io_system, fd, &out));
        assert_int_equal(out.acked, changed == 1 ? 400 : 300);
    }
    assert_true(changed > 8);
    close(fd);
}

static void test_implausible(void **state)
{
    (void)state;
    int fd = open_file();
    struct position out;
    struct position bad[] = {{.acked = 10, .next_seq = 10}, {.acked = 1, .next_seq = SEQ_MAX}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(position_store(&spool_io_system, fd, &bad[i]), 0);
        assert_false(position_load(&spool_io_system, fd, &out));
    }
    close(fd);
}

static void test_failed_store_counts_nothing(void **state)
{
    (void)state;
    struct position in = {.acked = 1, .next_seq = 2};
    assert_int_equal(position_store(&spool_io_system, -1, &in), EBADF);
    assert_int_equal(in.generation, 0);
    assert_false(position_load(&spool_io_system, -1, &in));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_implausible),
        cmocka_unit_test(test_failed_store_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
