// SPDX-License-Identifier: Apache-2.0
// The audit log: the chain, recomputed; torn and altered lines; writes that fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/buf.h"
#include "core/fsio.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/mem.h"
#include "ops/audit.h"
#include "support/capture.h"

// At the seam of libc: writes to files fail after some bytes.
static struct {
    int error;
    size_t budget;
} fault;

ssize_t write(int fd, const void *data, size_t n)
{
    if (fd <= STDERR_FILENO || fault.error == 0)
        return syscall(SYS_write, fd, data, n);
    if (fault.budget == 0) {
        errno = fault.error;
        return -1;
    }
    n = n < fault.budget ? n : fault.budget;
    fault.budget -= n;
    return syscall(SYS_write, fd, data, n);
}

struct fixture {
    char dir[64], path[96];
    struct audit_settings settings;
    struct audit *audit;
    struct buf content;
    struct status st;
    struct capture captured;
};

static void empty_dir(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

static int set_up(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    strcpy(f->dir, "/tmp/audit_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/audit.jsonl", f->dir);
    f->settings.path = f->path;
    fault.error = 0;
    log_init(LOG_TARGET_JSON, LOG_LEVEL_INFO);
    capture_start(&f->captured);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fault.error = 0;
    audit_close(&f->audit);
    assert_null(f->audit);
    capture_stop(&f->captured);
    empty_dir(f->dir);
    assert_int_equal(rmdir(f->dir), 0);
    buf_deinit(&f->content);
    free(f);
    return 0;
}

static void open_log(struct fixture *f)
{
    audit_close(&f->audit);
    f->audit = audit_open(&f->settings, &f->st);
    assert_non_null(f->audit);
}

static void write_event(struct fixture *f, const char *event)
{
    audit_write(f->audit, event, NULL, NULL, 0);
}

static const char *content(struct fixture *f)
{
    buf_clear(&f->content);
    assert_int_equal(fsio_read_file(f->path, 1 << 20, &f->content, &f->st), STATUS_OK);
    return buf_text(&f->content);
}

static void store(struct fixture *f, const char *text)
{
    assert_int_equal(fsio_write_file(f->path, text, strlen(text), 0600, &f->st), STATUS_OK);
}

// --- the verifier, from what the header says alone ---

struct verdict {
    unsigned lines; // of the chain
    unsigned broken;
    unsigned strange; // lines that are none of it
};

static bool member_is(const char *line, const char *end, const char *mark, const char *value)
{
    size_t n = strlen(mark);
    for (const char *p = line; p + n + 64 <= end; p++) {
        if (memcmp(p, mark, n) == 0)
            return memcmp(p + n, value, 64) == 0;
    }
    return false;
}

static void verify_line(const char *line, const char *end, char last[65], struct verdict *v)
{
    static const char mark[] = ",\"hash\":\"";
    size_t seal = sizeof(mark) - 1 + 64 + 2;
    unsigned char digest[HASH_SHA256_SIZE];
    char hex[HASH_SHA256_HEX_SIZE];
    if (line[0] != '{' || (size_t)(end - line) < seal ||
        memcmp(end - seal, mark, sizeof(mark) - 1) != 0 || memcmp(end - 2, "\"}", 2) != 0) {
        v->strange++;
        return;
    }
    const char *sealed = end - seal;
    hash_sha256(line, (size_t)(sealed - line), digest);
    hash_hex(digest, sizeof(digest), hex);
    bool whole = memcmp(sealed + sizeof(mark) - 1, hex, 64) == 0 &&
                 member_is(line, sealed, ",\"prev\":\"", last);
    v->lines++;
    v->broken += !whole;
    memcpy(last, sealed + sizeof(mark) - 1, 64);
}

static struct verdict verify(const char *text)
{
    struct verdict v = {0};
    char last[65];
    memset(last, '0', 64);
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        verify_line(text, end, last, &v);
    v.strange += *text != '\0'; // without a line feed
    return v;
}

static void chain_is_whole(struct fixture *f, unsigned lines, unsigned strange)
{
    struct verdict v = verify(content(f));
    assert_int_equal(v.lines, lines);
    assert_int_equal(v.broken, 0);
    assert_int_equal(v.strange, strange);
}

// --- lines ---

static void an_event_is_one_json_object(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    open_log(f);
    const struct audit_field fields[] = {
        {"file", "a \"b\"\n\xff"}, {"left_out", NULL}, {"count", "3"}};
    audit_write(f->audit, "stream.connected", "calls", fields, 3);
    const char *text = content(f);
    assert_memory_equal(text, "{\"time\":\"2", 10);
    assert_int_equal(text[10 + 22], 'Z');
    const char *want = ",\"event\":\"stream.connected\",\"stream\":\"calls\","
                       "\"file\":\"a \\\"b\\\"\\n\xef\xbf\xbd\",\"count\":\"3\",\"prev\":\"0000";
    assert_memory_equal(strchr(text, ','), want, strlen(want));
    assert_int_equal(strchr(text, '\n') - text, strlen(text) - 1);
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void an_event_goes_to_the_log_too(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    const struct audit_field field = {"code", "4001"};
    audit_write(f->audit, "stream.lost", "calls", &field, 1);
    const char *text = capture_take(&f->captured);
    assert_non_null(strstr(text,
                           "\"level\":\"info\",\"stream\":\"calls\",\"audit\":\"stream.lost\","
                           "\"audit_hash\":\""));
    assert_non_null(strstr(text, "\"message\":\"stream.lost code=4001\""));
    write_event(f, "bare");
    assert_non_null(strstr(capture_take(&f->captured), "\"message\":\"bare\""));
}

static void the_chain_goes_on_over_restarts(void **state)
{
    struct fixture *f = *state;
    for (int run = 0; run < 3; run++) {
        open_log(f);
        for (int i = 0; i < 10; i++)
            audit_write(f->audit, "x", i % 2 ? "s" : NULL, NULL, 0);
        chain_is_whole(f, (unsigned)(run + 1) * 10, 0);
    }
}

// A file that is far longer than what is read of its end.
static void the_chain_goes_on_behind_a_long_file(void **state)
{
    struct fixture *f = *state;
    char value[4000];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    const struct audit_field field = {"value", value};
    open_log(f);
    for (int i = 0; i < 40; i++)
        audit_write(f->audit, "x", NULL, &field, 1);
    open_log(f);
    write_event(f, "y");
    chain_is_whole(f, 41, 0);
}

// --- what is found ---

static void an_altered_line_shows(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    for (int i = 0; i < 5; i++)
        audit_write(f->audit, "spool.dropped", "calls", NULL, 0);
    char *text = mem_strdup(content(f));
    char *third = strchr(strchr(text, '\n') + 1, '\n') + 1;
    size_t length = (size_t)(strchr(third, '\n') - third);
    for (size_t i = 0; i < length; i += 7) { // any byte of it
        char kept = third[i];
        third[i] = kept == '1' ? '2' : '1';
        struct verdict v = verify(text);
        assert_true(v.broken + v.strange >= 1);
        third[i] = kept;
    }
    assert_int_equal(verify(text).broken, 0);
    free(text);
}

static void a_removed_or_moved_line_shows(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    write_event(f, "a");
    write_event(f, "b");
    write_event(f, "c");
    char *text = mem_strdup(content(f));
    char *second = strchr(text, '\n') + 1;
    char *third = strchr(second, '\n') + 1;
    char *removed = mem_printf("%.*s%s", (int)(second - text), text, third);
    assert_int_equal(verify(removed).broken, 1);
    char *moved =
        mem_printf("%.*s%s%.*s", (int)(second - text), text, third, (int)(third - second), second);
    assert_int_equal(verify(moved).broken, 2);
    assert_int_equal(verify(second).broken, 1); // without its beginning
    free(removed);
    free(moved);
    free(text);
}

// --- crashes ---

static void a_torn_line_is_ended_and_told(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    write_event(f, "a");
    write_event(f, "b");
    char *whole = mem_strdup(content(f));
    size_t first = (size_t)(strchr(whole, '\n') - whole) + 1;
    audit_close(&f->audit);
    // Torn at every byte of its second line.
    for (size_t cut = first + 1; cut < strlen(whole); cut++) {
        char *torn = mem_strndup(whole, cut);
        store(f, torn);
        free(torn);
        open_log(f);
        write_event(f, "c");
        audit_close(&f->audit);
        const char *text = content(f);
        assert_non_null(strstr(text, "\n{\"time\":"));
        assert_non_null(strstr(text, "\"event\":\"audit.torn\""));
        // Only the line feed was missing: the line is still part of the chain.
        bool sealed = cut == strlen(whole) - 1;
        chain_is_whole(f, sealed ? 4 : 3, sealed ? 0 : 1);
    }
    free(whole);
}

static void a_first_line_that_is_torn_is_no_hindrance(void **state)
{
    struct fixture *f = *state;
    store(f, "{\"time\":\"2026");
    open_log(f);
    write_event(f, "a");
    chain_is_whole(f, 2, 1);
    store(f, "");
    open_log(f);
    write_event(f, "a");
    chain_is_whole(f, 1, 0);
}

static void what_is_no_audit_log_starts_a_chain(void **state)
{
    struct fixture *f = *state;
    store(f, "some text\n,\"hash\":\"short\n");
    open_log(f);
    write_event(f, "a");
    chain_is_whole(f, 1, 2);
}

// --- writes that fail ---

static void a_line_that_cannot_be_written_is_logged_and_told_later(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    write_event(f, "a");
    capture_take(&f->captured);
    fault.error = ENOSPC;
    fault.budget = 0;
    audit_write(f->audit, "lost.one", "calls", NULL, 0);
    const char *text = capture_take(&f->captured);
    assert_non_null(strstr(text, "\"audit\":\"lost.one\",\"message\":\"lost.one\""));
    assert_non_null(strstr(text, "\"level\":\"error\""));
    assert_non_null(strstr(text, "misses an event"));
    assert_non_null(strstr(text, f->path));
    assert_non_null(strstr(text, "No space left"));
    fault.budget = 30; // a part of a line
    audit_write(f->audit, "lost.two", "calls", NULL, 0);
    chain_is_whole(f, 1, 0);
    fault.error = 0;
    write_event(f, "b");
    chain_is_whole(f, 3, 0);
    assert_non_null(strstr(content(f), "\"event\":\"audit.missed\",\"events\":\"2\""));
    write_event(f, "c");
    chain_is_whole(f, 4, 0);
    assert_null(strstr(content(f), "lost.")); // they are in the log alone
    open_log(f);
    write_event(f, "d");
    chain_is_whole(f, 5, 0);
}

static void the_word_of_missed_ones_waits_until_it_can_be_written(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    fault.error = EIO;
    for (int i = 0; i < 3; i++)
        write_event(f, "lost");
    fault.error = 0;
    write_event(f, "a");
    chain_is_whole(f, 2, 0);
    assert_non_null(strstr(content(f), "\"events\":\"3\""));
}

static void a_full_device_loses_nothing_but_its_lines(void **state)
{
    struct fixture *f = *state;
    f->settings.path = "/dev/full";
    open_log(f);
    write_event(f, "a");
    assert_non_null(strstr(capture_take(&f->captured), "the audit log /dev/full misses an event"));
}

static void a_path_that_cannot_be_opened_is_told(void **state)
{
    struct fixture *f = *state;
    char path[128];
    f->settings.path = f->dir;
    assert_null(audit_open(&f->settings, &f->st));
    assert_int_equal(f->st.code, STATUS_IO);
    assert_non_null(strstr(f->st.detail, f->dir));
    store(f, "x\n");
    snprintf(path, sizeof(path), "%s/below", f->path);
    f->settings.path = path;
    assert_null(audit_open(&f->settings, &f->st));
    assert_non_null(strstr(f->st.detail, "Not a directory"));
}

static void a_torn_line_that_cannot_be_ended_is_told(void **state)
{
    struct fixture *f = *state;
    store(f, "{\"torn");
    fault.error = ENOSPC;
    fault.budget = 0;
    open_log(f);
    write_event(f, "a");
    const char *text = capture_take(&f->captured);
    assert_non_null(strstr(text, "No space left"));
    assert_string_equal(content(f), "{\"torn");
    fault.error = 0;
    write_event(f, "b");
    chain_is_whole(f, 3, 1); // audit.torn, audit.missed, b
}

// --- other processes ---

// Writes `count` events in a child, as a command does, but often.
static pid_t start_writer(struct fixture *f, int count)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    for (int i = 0; i < count; i++) {
        struct audit *audit = audit_open(&f->settings, &f->st);
        if (audit == NULL)
            _exit(1);
        audit_write(audit, "from.another", NULL, NULL, 0);
        audit_close(&audit);
    }
    _exit(0);
}

static void wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void several_processes_add_to_one_chain(void **state)
{
    struct fixture *f = *state;
    pid_t writers[3];
    open_log(f);
    for (int i = 0; i < 3; i++)
        writers[i] = start_writer(f, 50);
    for (int i = 0; i < 50; i++)
        write_event(f, "from.here");
    for (int i = 0; i < 3; i++)
        wait_for(writers[i]);
    write_event(f, "last");
    chain_is_whole(f, 201, 0);
}

static void a_lock_that_is_held_does_not_hold_the_writer(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    write_event(f, "a");
    int other = open(f->path, O_RDONLY);
    assert_int_equal(flock(other, LOCK_EX), 0);
    write_event(f, "lost");
    write_event(f, "lost");
    assert_non_null(strstr(capture_take(&f->captured), "another process holds the lock"));
    close(other);
    write_event(f, "b");
    chain_is_whole(f, 3, 0);
    assert_non_null(strstr(content(f), "\"event\":\"audit.missed\",\"events\":\"2\""));
}

static void a_torn_line_of_another_is_ended(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    write_event(f, "a");
    int other = open(f->path, O_WRONLY | O_APPEND);
    assert_int_equal(write(other, "{\"time\"", 7), 7);
    close(other);
    write_event(f, "b");
    chain_is_whole(f, 3, 1);
    assert_non_null(strstr(content(f), "audit.torn"));
}

static void lines_that_are_gone_show(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    write_event(f, "a");
    off_t first = (off_t)strlen(content(f));
    write_event(f, "b");
    assert_int_equal(truncate(f->path, first), 0);
    write_event(f, "c");
    assert_non_null(strstr(capture_take(&f->captured), "is shorter than it was"));
    assert_non_null(strstr(content(f), "\"event\":\"audit.truncated\",\"from\":"));
    assert_int_equal(verify(content(f)).broken, 1);
    assert_int_equal(verify(content(f)).lines, 3);
}

static void without_a_file_events_go_to_the_log(void **state)
{
    struct fixture *f = *state;
    const struct audit_field field = {"ids", "7"};
    audit_write(NULL, "dead.purged", "calls", &field, 1);
    assert_non_null(strstr(capture_take(&f->captured),
                           "\"audit\":\"dead.purged\",\"message\":\"dead.purged ids=7\""));
}

static void a_command_names_its_user(void **state)
{
    struct fixture *f = *state;
    f->settings.user = "ada";
    open_log(f);
    write_event(f, "a");
    assert_non_null(strstr(content(f), "\"event\":\"a\",\"user\":\"ada\",\"prev\""));
}

static void nothing_is_closed_twice(void **state)
{
    struct fixture *f = *state;
    audit_close(&f->audit);
    open_log(f);
    audit_close(&f->audit);
    audit_close(&f->audit);
}

#define AUDIT_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_TEST(an_event_is_one_json_object),
        AUDIT_TEST(an_event_goes_to_the_log_too),
        AUDIT_TEST(the_chain_goes_on_over_restarts),
        AUDIT_TEST(the_chain_goes_on_behind_a_long_file),
        AUDIT_TEST(an_altered_line_shows),
        AUDIT_TEST(a_removed_or_moved_line_shows),
        AUDIT_TEST(a_torn_line_is_ended_and_told),
        AUDIT_TEST(a_first_line_that_is_torn_is_no_hindrance),
        AUDIT_TEST(what_is_no_audit_log_starts_a_chain),
        AUDIT_TEST(a_line_that_cannot_be_written_is_logged_and_told_later),
        AUDIT_TEST(the_word_of_missed_ones_waits_until_it_can_be_written),
        AUDIT_TEST(a_full_device_loses_nothing_but_its_lines),
        AUDIT_TEST(a_path_that_cannot_be_opened_is_told),
        AUDIT_TEST(a_torn_line_that_cannot_be_ended_is_told),
        AUDIT_TEST(several_processes_add_to_one_chain),
        AUDIT_TEST(a_lock_that_is_held_does_not_hold_the_writer),
        AUDIT_TEST(a_torn_line_of_another_is_ended),
        AUDIT_TEST(lines_that_are_gone_show),
        AUDIT_TEST(without_a_file_events_go_to_the_log),
        AUDIT_TEST(a_command_names_its_user),
        AUDIT_TEST(nothing_is_closed_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
