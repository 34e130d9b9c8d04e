// SPDX-License-Identifier: Apache-2.0
// The life of records: append, commit, read, acknowledge, remove; bounds and policies.
#include "spool/fixture.h"

#include <sys/wait.h>

static void test_append_commit_read(void **state)
{
    struct fixture *fx = *state;
    struct spool_record record;
    fx_open(fx);
    fx_append_many(fx, 3);
    assert_int_equal(spool_read(fx->spool, &record, &fx->st), SPOOL_EMPTY); // not committed
    assert_int_equal(fx_stat(fx).pending, 3);
    assert_true(spool_pending_bytes(fx->spool) > 3 * RECORD_HEADER_SIZE);
    fx_commit(fx);
    assert_int_equal(spool_pending_bytes(fx->spool), 0);
    struct spool_stats stats = fx_stat(fx);
    assert_int_equal(stats.events, 3);
    assert_int_equal(stats.first_seq, 1);
    assert_int_equal(stats.next_seq, 4);
    fx_expect(fx, 1, 3);
    fx_write(fx, 2);
    fx_expect(fx, 4, 5);
    assert_int_equal(fx_stat(fx).events, 5);
    assert_int_equal(fx->told, 0);
}

static void test_numbers_are_dense_over_restarts(void **state)
{
    struct fixture *fx = *state;
    uint64_t seq;
    for (uint64_t i = 0; i < 5; i++) {
        fx_open(fx);
        fx_write(fx, 10);
        if (i % 2 == 0)
            fx_close(fx);
        else
            fx_kill(fx);
    }
    fx_open(fx);
    for (uint64_t i = 1; i <= 50; i++) {
        assert_int_equal(fx_read(fx, &seq), i);
        assert_int_equal(seq, i);
    }
    assert_int_equal(fx_read(fx, NULL), 0);
    assert_int_equal(fx_stat(fx).segments, 1);
    assert_int_equal(fx->told, 0);
}

static void test_kinds_and_empty_payload(void **state)
{
    struct fixture *fx = *state;
    struct spool_record out;
    fx_open(fx);
    for (int kind = SPOOL_TEXT; kind <= SPOOL_TOO_LARGE; kind++) {
        struct spool_record record = {
            .kind = (enum spool_kind)kind, .stream = "s", .stream_len = 1, .payload = NULL};
        assert_int_equal(spool_append(fx->spool, &record), SPOOL_APPENDED);
    }
    fx_commit(fx);
    for (int kind = SPOOL_TEXT; kind <= SPOOL_TOO_LARGE; kind++) {
        assert_int_equal(spool_read(fx->spool, &out, &fx->st), SPOOL_READ);
        assert_int_equal(out.kind, kind);
        assert_int_equal(out.len, 0);
    }
}

// A record that cannot be stored is dropped and said, and nothing else happens.
static void test_impossible_records(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    struct spool_record record = {.kind = SPOOL_TEXT, .stream = "s", .stream_len = 0};
    assert_int_equal(spool_append(fx->spool, &record), SPOOL_DROPPED);
    assert_string_equal(fx->drop_stream, "");
    record.stream_len = 1;
    record.kind = (enum spool_kind)9;
    assert_int_equal(spool_append(fx->spool, &record), SPOOL_DROPPED);
    assert_string_equal(fx->drop_stream, "s");
    record.kind = SPOOL_TEXT;
    record.len = (size_t)RECORD_PAYLOAD_MAX + 1;
    assert_int_equal(spool_append(fx->spool, &record), SPOOL_DROPPED);
    assert_int_equal(fx_stat(fx).dropped, 3);
    assert_int_equal(fx->dropped, 3);
    fx_write(fx, 1);
    fx_expect(fx, 1, 1);
}

static void test_ack_and_restart(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 100);
    fx_expect(fx, 1, 100);
    spool_ack(fx->spool, 40);
    spool_ack(fx->spool, 30); // smaller than before: ignored
    assert_int_equal(fx_stat(fx).events, 60);
    assert_int_equal(fx_stat(fx).first_seq, 41);
    spool_rewind(fx->spool);
    fx_expect(fx, 41, 100);
    fx_close(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).events, 60);
    fx_expect(fx, 41, 100);
    spool_ack(fx->spool, 1000); // more than there is
    assert_int_equal(fx_stat(fx).events, 0);
    assert_int_equal(fx_stat(fx).first_seq, 101);
    fx_close(fx);
    fx_open(fx);
    assert_int_equal(fx_read(fx, NULL), 0);
    assert_int_equal(fx_stat(fx).next_seq, 101);
}

// After kill -9 the position is behind by less than the acknowledgements between two stores.
static void test_position_after_kill(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 1000);
    for (uint64_t seq = 1; seq <= 700; seq++)
        spool_ack(fx->spool, seq);
    fx_kill(fx);
    fx_open(fx);
    uint64_t first = fx_stat(fx).first_seq;
    assert_true(first <= 701 && first > 700 - SPOOL_STORE_ACKS);
    spool_ack(fx->spool, 702);
    spool_store_position(fx->spool);
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).first_seq, 703);
    spool_ack(fx->spool, 705);
    assert_int_equal(fx_commit_at(fx, SPOOL_STORE_US * 10), STATUS_OK); // by time
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).first_seq, 706);
    spool_ack(fx->spool, 1000); // all of it: at once
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).events, 0);
}

static void test_segments_come_and_go(void **state)
{
    struct fixture *fx = *state;
    char names[64][SEGMENT_NAME_SIZE];
    fx->settings.segment_bytes = 4096;
    fx_open(fx);
    for (int i = 0; i < 50; i++)
        fx_write(fx, 10);
    unsigned segments = fx_stat(fx).segments;
    assert_true(segments > 10);
    assert_int_equal(fx_segments(fx, names, 64), segments);
    fx_expect(fx, 1, 500);
    spool_ack(fx->spool, 250);
    assert_true(fx_stat(fx).segments < segments / 2 + 2);
    assert_int_equal(fx_segments(fx, names, 64), fx_stat(fx).segments);
    assert_int_equal(fx_stat(fx).events, 250);
    spool_ack(fx->spool, 500);
    struct spool_stats stats = fx_stat(fx);
    assert_int_equal(stats.segments, 1);
    assert_int_equal(stats.events, 0);
    assert_true(stats.bytes <= 512); // the active one was emptied as well
    assert_int_equal(fx_segments(fx, names, 64), 1);
    fx_write(fx, 5);
    fx_expect(fx, 501, 505);
    fx_close(fx);
    fx_open(fx);
    fx_expect(fx, 501, 505);
}

// Whatever was removed, a number never comes again, not even without the position file.
static void test_numbers_survive_the_loss_of_the_position(void **state)
{
    struct fixture *fx = *state;
    uint64_t seq, last = 0;
    fx->settings.segment_bytes = 1024;
    for (int round = 0; round < 6; round++) {
        fx_open(fx);
        assert_true(fx_stat(fx).next_seq > last);
        fx_write(fx, 20);
        while (fx_read(fx, &seq) != 0) {
            assert_true(seq > last || round > 0);
            last = seq > last ? seq : last;
        }
        spool_ack(fx->spool, last);
        fx_close(fx);
        fx_unlink(fx, POSITION_FILE);
        if (round % 2 == 1)
            fx_unlink(fx, SPOOL_LOCK_FILE);
    }
}

static void test_events_by_segment_ends(void **state)
{
    struct fixture *fx = *state;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 20; i++)
        fx_write(fx, 5);
    fx_kill(fx);
    fx_open(fx); // counted from the headers, without reading
    assert_int_equal(fx_stat(fx).events, 100);
    spool_ack(fx->spool, 33);
    assert_int_equal(fx_stat(fx).events, 67);
    assert_int_equal(fx_stat(fx).first_seq, 34);
}

static void test_block(void **state)
{
    struct fixture *fx = *state;
    unsigned appended = 0;
    fx->settings.max_bytes = 16 << 10;
    fx_open(fx);
    while (fx_append(fx) == SPOOL_APPENDED) {
        appended++;
        fx_commit(fx);
    }
    assert_true(appended > 50);
    assert_true(fx_stat(fx).full);
    assert_true(fx_stat(fx).bytes <= fx->settings.max_bytes);
    assert_false(spool_has_room(fx->spool));
    fx_expect(fx, 1, appended);
    spool_ack(fx->spool, 1); // one more record would fit, but that is not worth waking anybody
    assert_false(spool_has_room(fx->spool));
    uint64_t acked = 1;
    while (!spool_has_room(fx->spool))
        spool_ack(fx->spool, ++acked);
    assert_true(acked < appended);
    assert_int_equal(fx_append(fx), SPOOL_APPENDED);
    assert_false(fx_stat(fx).full);
    assert_int_equal(fx_stat(fx).dropped, 0);
}

// Full, restarted, drained: it takes records again (nothing stays "full" of what is done with).
static void test_block_over_restart(void **state)
{
    struct fixture *fx = *state;
    fx->settings.max_bytes = 16 << 10;
    for (int round = 0; round < 20; round++) {
        uint64_t first = fx->next;
        fx_open(fx);
        assert_true(spool_has_room(fx->spool));
        while (fx_append(fx) == SPOOL_APPENDED)
            fx_commit(fx);
        assert_true(fx->next - first > 50);
        fx_expect(fx, first, fx->next - 1);
        if (round % 2 == 0)
            fx_close(fx);
        else
            fx_kill(fx);
        fx_open(fx);
        fx_expect(fx, first, fx->next - 1);
        spool_ack(fx->spool, fx_stat(fx).next_seq - 1);
        fx_close(fx);
    }
}

static void test_drop_newest(void **state)
{
    struct fixture *fx = *state;
    fx->settings.max_bytes = 16 << 10;
    fx->settings.when_full = SPOOL_DROP_NEWEST;
    fx_open(fx);
    while (fx_append(fx) == SPOOL_APPENDED)
        fx_commit(fx);
    assert_int_equal(fx->dropped, 1);
    assert_int_equal(fx_append(fx), SPOOL_DROPPED);
    assert_int_equal(fx_stat(fx).dropped, 2);
    assert_string_equal(fx->drop_stream, "interactions");
    assert_true(fx_stat(fx).full);
    fx_expect(fx, 1, fx->next - 1);
}

static void test_drop_oldest(void **state)
{
    struct fixture *fx = *state;
    fx->settings.max_bytes = 16 << 10;
    fx->settings.when_full = SPOOL_DROP_OLDEST;
    fx_open(fx);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(fx_append(fx), SPOOL_APPENDED);
        fx_commit(fx);
        assert_true(fx_stat(fx).bytes <= fx->settings.max_bytes);
    }
    assert_true(fx->dropped > 300);
    assert_string_equal(fx->drop_stream, "interactions");
    assert_int_equal(fx_stat(fx).events, 500 - fx->dropped);
    fx_expect(fx, fx->dropped + 1, 500);
}

// The reader is inside the segment that goes; what it handed out stays readable for its user.
static void test_drop_oldest_under_the_reader(void **state)
{
    struct fixture *fx = *state;
    struct spool_record record;
    fx->settings.max_bytes = 16 << 10;
    fx->settings.when_full = SPOOL_DROP_OLDEST;
    fx_open(fx);
    fx_write(fx, 20);
    assert_int_equal(spool_read(fx->spool, &record, &fx->st), SPOOL_READ);
    while (fx->dropped == 0) {
        fx_append_many(fx, 1);
        assert_int_equal(fx_number(&record), 1);
        if (fx->dropped == 0)
            fx_commit(fx);
        else
            break;
        assert_int_equal(spool_read(fx->spool, &record, &fx->st), SPOOL_READ);
        spool_rewind(fx->spool);
        assert_int_equal(spool_read(fx->spool, &record, &fx->st), SPOOL_READ);
    }
    fx_commit(fx);
    fx_expect(fx, fx->dropped + 1, fx->next - 1);
    spool_ack(fx->spool, 1); // of the sink, late, for what is dropped: harmless
    assert_int_equal(fx_stat(fx).events, fx->next - 1 - fx->dropped);
}

static void test_drop_oldest_counts_streams(void **state)
{
    struct fixture *fx = *state;
    char payload[400], stream[8];
    fx->settings.max_bytes = 16 << 10;
    fx->settings.when_full = SPOOL_DROP_OLDEST;
    fx_open(fx);
    for (uint64_t i = 1; i <= 200; i++) {
        struct spool_record record = {.kind = SPOOL_TEXT, .stream = stream, .payload = payload};
        record.stream_len = (size_t)snprintf(stream, sizeof stream, "s%llu",
                                             (unsigned long long)(i % 40)); // more than the table
        record.len = fx_payload(i, payload);
        assert_int_equal(spool_append(fx->spool, &record), SPOOL_APPENDED);
        fx_commit(fx);
    }
    assert_true(fx->dropped > 50);
    assert_int_equal(fx_stat(fx).events + fx->dropped, 200);
}

// One record larger than everything goes through alone (else it would stop its stream for ever).
static void test_record_larger_than_the_spool(void **state)
{
    struct fixture *fx = *state;
    struct spool_record record;
    char *large = mem_zalloc(200 << 10);
    fx->settings.max_bytes = 64 << 10;
    fx_open(fx);
    assert_int_equal(fx_append_len(fx, large, 200 << 10), SPOOL_APPENDED);
    assert_int_equal(fx_append_len(fx, large, 200 << 10), SPOOL_FULL);
    assert_false(spool_has_room(fx->spool));
    fx_commit(fx);
    assert_false(spool_has_room(fx->spool));
    assert_int_equal(spool_read(fx->spool, &record, &fx->st), SPOOL_READ);
    assert_int_equal(record.len, 200 << 10);
    assert_memory_equal(record.payload, large, 200 << 10);
    spool_ack(fx->spool, 1);
    assert_true(spool_has_room(fx->spool));
    assert_true(fx_stat(fx).bytes < 1024);
    assert_int_equal(fx_append_len(fx, large, 200 << 10), SPOOL_APPENDED);
    free(large);
}

static void test_pending_is_bounded(void **state)
{
    struct fixture *fx = *state;
    fx->settings.when_full = SPOOL_DROP_NEWEST; // a burst before a commit is no reason to drop
    fx_open(fx);
    while (fx_append(fx) == SPOOL_APPENDED)
        continue;
    assert_true(spool_pending_bytes(fx->spool) <= 256 << 10);
    assert_int_equal(fx->dropped, 0);
    assert_false(spool_has_room(fx->spool));
    fx_commit(fx);
    assert_true(spool_has_room(fx->spool));
    fx_expect(fx, 1, fx->next - 1);
}

// Who was refused because too much was pending is asked again once that is written, although the
// files are as full as they may be: that is what the policies are for.
static void test_dropping_does_not_wait_for_room(void **state)
{
    struct fixture *fx = *state;
    const enum spool_when_full policies[] = {SPOOL_DROP_NEWEST, SPOOL_DROP_OLDEST};
    char *large = mem_zalloc(60 << 10);
    fx->settings.max_bytes = 256 << 10;
    fx_open(fx);
    for (size_t i = 0; i < 2; i++) {
        enum spool_append refused;
        fx->settings.when_full = policies[i];
        spool_configure(fx->spool, &fx->settings);
        uint64_t before = fx->dropped;
        for (int n = 0; n < 40 && fx->dropped == before; n++) {
            refused = fx_append_len(fx, large, 60 << 10);
            if (refused != SPOOL_FULL)
                continue;
            assert_false(spool_has_room(fx->spool));
            fx_commit(fx);
            assert_true(spool_has_room(fx->spool));
        }
        assert_true(fx->dropped > before);
    }
    free(large);
}

// Memory stays the same however large the backlog: one buffer of the reader, one of the writer.
static void test_memory_is_flat(void **state)
{
    struct fixture *fx = *state;
    fx->settings.max_bytes = 64 << 20;
    fx->settings.segment_bytes = 4 << 20;
    fx_open(fx);
    for (int i = 0; i < 1000; i++)
        fx_write(fx, 100);
    assert_true(fx_stat(fx).bytes > 15 << 20);
    fx_expect(fx, 1, 100000);
    assert_true(fx->spool->reader.cursor.cap <= CURSOR_BUFFER);
    assert_true(fx->spool->pending.cap <= 1 << 20);
    spool_ack(fx->spool, 100000);
    assert_int_equal(fx_stat(fx).segments, 1);
}

static void test_large_records_grow_and_shrink_the_buffer(void **state)
{
    struct fixture *fx = *state;
    struct spool_record record;
    char *large = mem_zalloc(1 << 20);
    fx->settings.max_bytes = 64 << 20;
    fx_open(fx);
    fx_write(fx, 3);
    for (int i = 0; i < 3; i++) {
        memset(large, 'x' + i, 1 << 20);
        assert_int_equal(fx_append_len(fx, large, 1 << 20), SPOOL_APPENDED);
        fx_commit(fx);
    }
    fx_write(fx, 3);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(fx_read(fx, NULL), i);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spool_read(fx->spool, &record, &fx->st), SPOOL_READ);
        memset(large, 'x' + i, 1 << 20);
        assert_int_equal(record.len, 1 << 20);
        assert_memory_equal(record.payload, large, 1 << 20);
        assert_true(fx->spool->reader.cursor.cap > 1 << 20);
    }
    fx_expect(fx, 4, 6);
    assert_int_equal(fx->spool->reader.cursor.cap, CURSOR_BUFFER);
    free(large);
}

static void test_fetch(void **state)
{
    struct fixture *fx = *state;
    struct buf payload = {0};
    char expected[400];
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 20; i++)
        fx_write(fx, 10);
    const uint64_t wanted[] = {1, 200, 100, 101, 102, 50, 50, 199};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        buf_clear(&payload);
        assert_true(spool_fetch(fx->spool, wanted[i], &payload));
        size_t len = fx_payload(wanted[i], expected);
        assert_int_equal(payload.len, len);
        assert_memory_equal(payload.data, expected, len);
    }
    assert_false(spool_fetch(fx->spool, 0, &payload));
    assert_false(spool_fetch(fx->spool, 201, &payload));
    fx_expect(fx, 1, 200);
    spool_ack(fx->spool, 60);
    assert_false(spool_fetch(fx->spool, 60, &payload));
    assert_true(spool_fetch(fx->spool, 61, &payload));
    spool_ack(fx->spool, 200);
    fx_append_many(fx, 1);
    assert_false(spool_fetch(fx->spool, 201, &payload)); // not committed
    fx_commit(fx);
    assert_true(spool_fetch(fx->spool, 201, &payload));
    buf_deinit(&payload);
}

static void test_rewind_from_a_mark(void **state)
{
    struct fixture *fx = *state;
    uint64_t number = 0;
    fx->settings.segment_bytes = 1 << 20;
    fx_open(fx);
    fx_write(fx, 500);
    for (uint64_t acked = 0; acked < 500; acked += 50) {
        for (int i = 0; i < 70; i++)
            number = fx_read(fx, NULL);
        spool_ack(fx->spool, acked + 50);
        spool_rewind(fx->spool);
        number = fx_read(fx, NULL);
        assert_int_equal(number, acked + 50 == 500 ? 0 : acked + 51);
        assert_true(fx->spool->reader.mark.seq != 0); // not from the front again
        spool_rewind(fx->spool);
    }
}

static void test_oldest(void **state)
{
    struct fixture *fx = *state;
    const int64_t base = 1700000000000000;
    fx_open(fx);
    assert_int_equal(fx_stat(fx).oldest_us, 0);
    fx_write(fx, 3);
    assert_int_equal(fx_stat(fx).oldest_us, base + 1); // nothing was read yet
    fx_expect(fx, 1, 3);
    assert_int_equal(fx_stat(fx).oldest_us, base + 1);
    spool_ack(fx->spool, 1);
    assert_int_equal(fx_stat(fx).oldest_us, base + 2);
    spool_rewind(fx->spool);
    assert_int_equal(fx_stat(fx).oldest_us, base + 2);
    fx_expect(fx, 2, 3);
    spool_ack(fx->spool, 3);
    assert_int_equal(fx_stat(fx).oldest_us, 0);
    fx_write(fx, 1);
    assert_int_equal(fx_stat(fx).oldest_us, base + 4);
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).oldest_us, base + 4);
}

// With many under way it is right to within the samples' distance.
static void test_oldest_of_many(void **state)
{
    struct fixture *fx = *state;
    const int64_t base = 1700000000000000;
    fx->settings.max_bytes = 64 << 20;
    fx_open(fx);
    for (int i = 0; i < 100; i++)
        fx_write(fx, 1000);
    fx_expect(fx, 1, 100000);
    for (uint64_t acked = 0; acked < 99000; acked += 777) {
        spool_ack(fx->spool, acked);
        int64_t oldest = fx_stat(fx).oldest_us - base;
        assert_in_range(oldest, acked > 20000 ? acked - 20000 : 1, acked + 1);
    }
    spool_ack(fx->spool, 100000);
    assert_int_equal(fx_stat(fx).oldest_us, 0);
}

static void test_configure(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    while (fx_append(fx) == SPOOL_APPENDED)
        fx_commit(fx);
    assert_false(spool_has_room(fx->spool));
    fx->settings.max_bytes *= 2;
    spool_configure(fx->spool, &fx->settings);
    assert_true(spool_has_room(fx->spool));
    assert_int_equal(fx_append(fx), SPOOL_APPENDED);
    assert_int_equal(fx_stat(fx).max_bytes, 2 << 20);
    fx->settings.max_bytes = 256 << 10; // less than there is
    fx->settings.when_full = SPOOL_DROP_OLDEST;
    spool_configure(fx->spool, &fx->settings);
    assert_int_equal(fx_append(fx), SPOOL_APPENDED);
    assert_true(fx->dropped > 1000);
    fx_commit(fx);
    assert_true(fx_stat(fx).bytes <= 256 << 10);
    fx_expect(fx, fx->dropped + 1, fx->next - 1);
}

static void test_lock_names_the_process(void **state)
{
    struct fixture *fx = *state;
    struct spool *second = NULL;
    char pid[32];
    fx_open(fx);
    assert_int_equal(spool_open(&fx->settings, &second, &fx->st), STATUS_BUSY);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(fx->st.detail, pid));
    assert_null(second);
    fx_close(fx);
    fx_open(fx);
}

static void test_refusals(void **state)
{
    struct fixture *fx = *state;
    FILE *file = fopen(fx->dir, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(fx_try_open(fx), STATUS_INVALID);
    assert_non_null(strstr(fx->st.detail, "not a directory"));
    assert_int_equal(unlink(fx->dir), 0);
}

// Permission is only a matter for other users than root.
static void test_permission(void **state)
{
    struct fixture *fx = *state;
    fx_open(fx);
    fx_write(fx, 1);
    fx_close(fx);
    int status;
    chmod(fx->base, 0755);
    chmod(fx->dir, getuid() == 0 ? 0755 : 0); // may be listed, not written
    pid_t child = fork();
    if (child == 0) {
        if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(9);
        _exit(spool_open(&fx->settings, &fx->spool, &fx->st) == STATUS_DENIED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    chmod(fx->dir, 0700);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_null_close(void **state)
{
    (void)state;
    struct spool *spool = NULL;
    spool_close(&spool);
    assert_null(spool);
}

static void test_few_descriptors(void **state)
{
    struct fixture *fx = *state;
    fx->settings.segment_bytes = 1024;
    int before = dup(0);
    close(before);
    fx_open(fx);
    for (int i = 0; i < 100; i++)
        fx_write(fx, 10);
    fx_expect(fx, 1, 1000);
    struct buf payload = {0};
    assert_true(spool_fetch(fx->spool, 500, &payload));
    buf_deinit(&payload);
    int after = dup(0);
    close(after);
    assert_true(after - before <= 6);
    fx_close(fx);
    after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

#define spool_test(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spool_test(test_append_commit_read),
        spool_test(test_numbers_are_dense_over_restarts),
        spool_test(test_kinds_and_empty_payload),
        spool_test(test_impossible_records),
        spool_test(test_ack_and_restart),
        spool_test(test_position_after_kill),
        spool_test(test_segments_come_and_go),
        spool_test(test_numbers_survive_the_loss_of_the_position),
        spool_test(test_events_by_segment_ends),
        spool_test(test_block),
        spool_test(test_block_over_restart),
        spool_test(test_drop_newest),
        spool_test(test_drop_oldest),
        spool_test(test_drop_oldest_under_the_reader),
        spool_test(test_drop_oldest_counts_streams),
        spool_test(test_record_larger_than_the_spool),
        spool_test(test_pending_is_bounded),
        spool_test(test_dropping_does_not_wait_for_room),
        spool_test(test_memory_is_flat),
        spool_test(test_large_records_grow_and_shrink_the_buffer),
        spool_test(test_fetch),
        spool_test(test_rewind_from_a_mark),
        spool_test(test_oldest),
        spool_test(test_oldest_of_many),
        spool_test(test_configure),
        spool_test(test_lock_names_the_process),
        spool_test(test_refusals),
        spool_test(test_permission),
        cmocka_unit_test(test_null_close),
        spool_test(test_few_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
