// SPDX-License-Identifier: Apache-2.0
// The log: its three forms, levels, lines that are held back. Faked at the seams of libsystemd (the
// journal's answer) and libc (the clock, the journal's socket).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "support/capture.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static struct {
    int64_t clock_offset_s; // added to the monotonic clock
    bool journal_there;
    bool journal_real; // the call goes on to libsystemd
    int journal_answer;
    int journal_calls;
    char entry[16384]; // the last one, a field a line
} fake;

int clock_gettime(clockid_t id, struct timespec *t)
{
    int result = (int)syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_MONOTONIC)
        t->tv_sec += fake.clock_offset_s;
    return result;
}

int access(const char *path, int mode)
{
    if (strcmp(path, JOURNAL_SOCKET) != 0 || fake.journal_real)
        return (int)syscall(SYS_access, path, mode);
    errno = ENOENT;
    return fake.journal_there ? 0 : -1;
}

int sd_journal_sendv(const struct iovec *items, int n);
int sd_journal_sendv(const struct iovec *items, int n)
{
    fake.journal_calls++;
    fake.entry[0] = '\0';
    for (int i = 0; i < n; i++) {
        strncat(fake.entry, items[i].iov_base, items[i].iov_len);
        strcat(fake.entry, "\n");
    }
    if (!fake.journal_real)
        return fake.journal_answer;
    int (*real)(const struct iovec *, int) =
        (int (*)(const struct iovec *, int))dlsym(RTLD_NEXT, "sd_journal_sendv");
    return fake.journal_answer = real(items, n);
}

static struct capture captured;

static int set_up(void **state)
{
    (void)state;
    int64_t later = fake.clock_offset_s + 100; // what other tests wrote is forgotten
    memset(&fake, 0, sizeof(fake));
    fake.clock_offset_s = later;
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_INFO);
    capture_start(&captured);
    log_flush_repeats(false);
    capture_take(&captured);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    capture_stop(&captured);
    return 0;
}

// --- names ---

static void names_are_parsed_and_given(void **state)
{
    enum log_level level = LOG_LEVEL_DEBUG;
    enum log_target target = LOG_TARGET_JSON;
    (void)state;
    assert_true(log_level_parse("warning", &level) && level == LOG_LEVEL_WARN);
    assert_true(log_level_parse("warn", &level) && level == LOG_LEVEL_WARN);
    assert_true(log_level_parse("error", &level) && level == LOG_LEVEL_ERROR);
    assert_true(log_level_parse("info", &level) && level == LOG_LEVEL_INFO);
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    assert_false(log_level_parse("Info", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_true(log_target_parse("auto", &target) && target == LOG_TARGET_AUTO);
    assert_true(log_target_parse("journal", &target) && target == LOG_TARGET_JOURNAL);
    assert_true(log_target_parse("text", &target) && target == LOG_TARGET_TEXT);
    assert_true(log_target_parse("json", &target) && target == LOG_TARGET_JSON);
    assert_false(log_target_parse("syslog", &target));
    assert_int_equal(target, LOG_TARGET_JSON);
    assert_string_equal(log_level_name(LOG_LEVEL_WARN), "warn");
    assert_string_equal(log_level_name(LOG_LEVEL_ERROR), "error");
    assert_string_equal(log_level_name((enum log_level)5), "info");
}

static void levels_below_the_bound_are_silent(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_WARN);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    log_info(NULL, "hidden");
    log_debug(NULL, "hidden");
    log_warn(NULL, "shown");
    log_error(NULL, "shown too");
    const char *text = capture_take(&captured);
    assert_null(strstr(text, "hidden"));
    assert_int_equal(capture_lines(text), 2);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug(NULL, "now shown");
    assert_non_null(strstr(capture_take(&captured), "now shown"));
}

// --- text ---

static void a_text_line_has_time_level_stream_and_message(void **state)
{
    (void)state;
    log_warn(&(struct log_fields){.stream = "calls"}, "lost %d", 3);
    const char *text = capture_take(&captured);
    assert_int_equal(strlen(text), strlen("2026-01-02T03:04:05.678Z warn  [calls] lost 3\n"));
    assert_string_equal(text + 24, " warn  [calls] lost 3\n");
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[23], 'Z');
    log_error(NULL, "plain");
    assert_string_equal(capture_take(&captured) + 24, " error plain\n");
    log_info(&(struct log_fields){.job = "j"}, "no stream");
    assert_string_equal(capture_take(&captured) + 24, " info  no stream\n");
}

static void a_message_stays_one_plain_line(void **state)
{
    (void)state;
    log_error(NULL, "server says: %s", "a\n2026 info all is well\r\x1b[31mred\x7f\ttab");
    assert_string_equal(capture_take(&captured) + 24,
                        " error server says: a 2026 info all is well  [31mred  tab\n");
}

static void a_long_message_is_cut_and_still_a_line(void **state)
{
    char message[5000], stream[1000];
    (void)state;
    memset(message, 'm', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    memset(stream, 's', sizeof(stream) - 1);
    stream[sizeof(stream) - 1] = '\0';
    log_info(NULL, "%s", message);
    const char *text = capture_take(&captured);
    assert_int_equal(capture_lines(text), 1);
    assert_in_range(strlen(text), 2000, 2400);
    log_info(&(struct log_fields){.stream = stream}, "%s", message);
    text = capture_take(&captured);
    assert_int_equal(capture_lines(text), 1);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_in_range(strlen(text), 2000, 2400);
}

// --- JSON ---

static void a_json_line_has_every_field_that_is_there(void **state)
{
    (void)state;
    log_init(LOG_TARGET_JSON, LOG_LEVEL_INFO);
    const struct log_fields fields = {.stream = "a\"b",
                                      .job = "j",
                                      .trace_id = "t",
                                      .audit = "stream.connected",
                                      .message_id = "0123"};
    log_info(&fields, "line\n%s", "\xff\x01");
    const char *text = capture_take(&captured);
    assert_memory_equal(text, "{\"time\":\"2", 10);
    assert_string_equal(
        strchr(text, ','),
        ",\"level\":\"info\",\"stream\":\"a\\\"b\",\"job\":\"j\",\"trace_id\":\"t\","
        "\"audit\":\"stream.connected\",\"message_id\":\"0123\","
        "\"message\":\"line\\n\xef\xbf\xbd\\u0001\"}\n");
    log_warn(NULL, "bare");
    assert_string_equal(strchr(capture_take(&captured), ','),
                        ",\"level\":\"warn\",\"message\":\"bare\"}\n");
}

// --- journal ---

static void journal_entries_have_their_fields(void **state)
{
    (void)state;
    fake.journal_there = true;
    log_init(LOG_TARGET_JOURNAL, LOG_LEVEL_INFO);
    log_write(LOG_LEVEL_ERROR,
              &(struct log_fields){.stream = "s", .audit = "spool.dropped", .message_id = "0123"},
              "src/x.c", 77, "it is %s", "full");
    assert_string_equal(fake.entry, "MESSAGE=it is full\nPRIORITY=3\nSYSLOG_IDENTIFIER=cxsink\n"
                                    "CODE_FILE=src/x.c\nCODE_LINE=77\nCXSINK_STREAM=s\n"
                                    "CXSINK_AUDIT=spool.dropped\nMESSAGE_ID=0123\n");
    const struct log_fields fields = {.job = "j", .trace_id = "t"};
    log_info(&fields, "x");
    assert_non_null(strstr(fake.entry, "PRIORITY=6\n"));
    assert_non_null(strstr(fake.entry, "CXSINK_JOB=j\nCXSINK_TRACE_ID=t\n"));
    assert_int_equal(fake.journal_calls, 2);
    assert_string_equal(capture_take(&captured), "");
}

// --- audit events ---

static const struct log_fields told = {.stream = "s", .audit = "spool.dropped", .audit_hash = "9a"};

static void the_journal_and_json_have_every_audit_event(void **state)
{
    (void)state;
    fake.journal_there = true;
    log_init(LOG_TARGET_JOURNAL, LOG_LEVEL_ERROR);
    for (int i = 0; i < 100; i++)
        log_audit(LOG_LEVEL_INFO, &told, "spool.dropped total=7");
    assert_int_equal(fake.journal_calls, 100);
    assert_non_null(strstr(fake.entry, "MESSAGE=spool.dropped total=7\nPRIORITY=6\n"));
    assert_non_null(strstr(fake.entry, "CXSINK_AUDIT=spool.dropped\nCXSINK_AUDIT_HASH=9a\n"));
    log_init(LOG_TARGET_JSON, LOG_LEVEL_ERROR);
    for (int i = 0; i < 100; i++)
        log_audit(LOG_LEVEL_INFO, &told, "x");
    const char *text = capture_take(&captured);
    assert_int_equal(capture_lines(text), 100);
    assert_non_null(
        strstr(text, "\"audit\":\"spool.dropped\",\"audit_hash\":\"9a\",\"message\":\"x\"}"));
}

static void as_text_audit_events_are_lines_like_others(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        log_audit(LOG_LEVEL_INFO, &told, "x");
    assert_int_equal(capture_lines(capture_take(&captured)), 8);
    log_audit(LOG_LEVEL_INFO, &(struct log_fields){.stream = "s", .audit = "spool.other"},
              "another is not held");
    assert_non_null(strstr(capture_take(&captured), "another is not held"));
    log_set_level(LOG_LEVEL_WARN);
    log_audit(LOG_LEVEL_INFO, &(struct log_fields){.audit = "third"}, "hidden");
    assert_string_equal(capture_take(&captured), "");
}

static void audit_events_of_a_command_go_where_it_says(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    assert_false(log_audit_to(LOG_TARGET_JOURNAL));
    assert_true(log_audit_to(LOG_TARGET_AUTO));
    log_audit(LOG_LEVEL_INFO, &told, "nowhere");
    assert_string_equal(capture_take(&captured), "");
    assert_true(log_audit_to(LOG_TARGET_JSON));
    log_audit(LOG_LEVEL_INFO, &told, "as JSON");
    assert_non_null(strstr(capture_take(&captured), "\"message\":\"as JSON\"}"));
    fake.journal_there = true;
    assert_true(log_audit_to(LOG_TARGET_JOURNAL));
    log_audit(LOG_LEVEL_INFO, &told, "x");
    log_error(NULL, "the rest is text");
    assert_int_equal(fake.journal_calls, 1);
    assert_non_null(strstr(capture_take(&captured), " error the rest is text\n"));
}

// --- targets that are not there ---

static void a_journal_that_refuses_is_replaced_by_text(void **state)
{
    (void)state;
    fake.journal_there = true;
    fake.journal_answer = -EPERM;
    log_init(LOG_TARGET_JOURNAL, LOG_LEVEL_INFO);
    log_error(NULL, "must be seen");
    assert_non_null(strstr(capture_take(&captured), "error must be seen\n"));
}

// libsystemd says that all is well when there is no journal, and the line would be lost.
static void a_machine_without_a_journal_gets_text(void **state)
{
    (void)state;
    log_init(LOG_TARGET_JOURNAL, LOG_LEVEL_INFO);
    assert_non_null(strstr(capture_take(&captured), "no journal at " JOURNAL_SOCKET));
    log_info(NULL, "must be seen");
    assert_non_null(strstr(capture_take(&captured), "info  must be seen\n"));
    assert_int_equal(fake.journal_calls, 0);
}

static void auto_is_the_journal_only_when_stderr_is(void **state)
{
    static const char *const others[] = {"", "x", "1", "1:", "0:0"};
    struct stat info;
    char stream[64];
    (void)state;
    fake.journal_there = true;
    assert_int_equal(fstat(STDERR_FILENO, &info), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)info.st_dev,
             (unsigned long long)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init(LOG_TARGET_AUTO, LOG_LEVEL_INFO);
    log_info(NULL, "x");
    assert_int_equal(fake.journal_calls, 1);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        setenv("JOURNAL_STREAM", others[i], 1);
        log_init(LOG_TARGET_AUTO, LOG_LEVEL_INFO);
        log_info(NULL, "x");
        assert_int_equal(fake.journal_calls, 1);
        assert_non_null(strstr(capture_take(&captured), "info  x\n"));
    }
}

static void the_real_journal_takes_a_line(void **state)
{
    (void)state;
    if (syscall(SYS_access, JOURNAL_SOCKET, W_OK) != 0) {
        print_message("skipped: there is no journal on this machine\n");
        skip();
    }
    fake.journal_real = true;
    log_init(LOG_TARGET_JOURNAL, LOG_LEVEL_INFO);
    log_info(NULL, "a line of cxsink's own tests");
    assert_int_equal(fake.journal_answer, 0);
    assert_int_equal(fake.journal_calls, 1);
}

// --- lines that repeat ---

static void repeat(int times, int line, const char *stream)
{
    for (int i = 0; i < times; i++)
        log_write(LOG_LEVEL_WARN, &(struct log_fields){.stream = stream}, "src/a.c", line,
                  "number %d", i);
}

static void repeats_are_held_back_and_counted(void **state)
{
    (void)state;
    repeat(1000, 1, "s");
    const char *text = capture_take(&captured);
    assert_int_equal(capture_lines(text), 8);
    assert_non_null(strstr(text, "number 7\n"));
    log_flush_repeats(false); // the window is not over
    assert_string_equal(capture_take(&captured), "");
    fake.clock_offset_s += 11;
    log_flush_repeats(false);
    text = capture_take(&captured);
    assert_int_equal(capture_lines(text), 1);
    assert_non_null(strstr(text, "warn  [s] held back 992 more lines like: number 999\n"));
    log_flush_repeats(false); // told once
    repeat(9, 1, "s");
    capture_take(&captured);
    log_flush_repeats(true); // the end
    assert_non_null(strstr(capture_take(&captured), "[s] held back 1 more lines like: number 8\n"));
    assert_string_equal(capture_take(&captured), "");
    repeat(1, 1, "s"); // and it may write again
    assert_int_equal(capture_lines(capture_take(&captured)), 1);
}

static void the_count_comes_with_the_next_line_too(void **state)
{
    (void)state;
    repeat(10, 1, "s");
    capture_take(&captured);
    fake.clock_offset_s += 11;
    repeat(1, 1, "s");
    const char *text = capture_take(&captured);
    assert_int_equal(capture_lines(text), 2);
    assert_true(strstr(text, "held back 2 more") < strstr(text, "number 0\n"));
}

static void few_lines_are_never_held_back(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        repeat(8, 1, "s");
        assert_int_equal(capture_lines(capture_take(&captured)), 8);
        fake.clock_offset_s += 11;
        log_flush_repeats(false);
        assert_string_equal(capture_take(&captured), "");
    }
}

static void each_place_and_stream_is_counted_alone(void **state)
{
    (void)state;
    repeat(100, 1, "s");
    repeat(100, 1, "t");
    repeat(100, 2, "s");
    repeat(100, 2, NULL);
    const char *text = capture_take(&captured);
    assert_int_equal(capture_lines(text), 32 /* and no count of a place that gave way */);
    fake.clock_offset_s += 11;
    log_flush_repeats(false);
    assert_int_equal(capture_lines(capture_take(&captured)), 4);
}

static void a_place_that_gives_way_is_counted_first(void **state)
{
    int lines = 0;
    (void)state;
    for (int line = 1; line <= 500; line++) // many more than there is room to remember
        repeat(20, line, "s");
    fake.clock_offset_s += 11;
    log_flush_repeats(false);
    unsigned held = 0;
    for (const char *at = capture_take(&captured); *at != '\0'; at = strchr(at, '\n') + 1) {
        const char *count = strstr(at, "held back ");
        if (count != NULL && count < strchr(at, '\n'))
            held += (unsigned)strtoul(count + 10, NULL, 10);
        else
            lines++;
    }
    assert_int_equal(lines, 500 * 8);
    assert_int_equal(held, 500 * 12);
}

static void debug_lines_are_all_written(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_DEBUG);
    for (int i = 0; i < 100; i++)
        log_debug(NULL, "step %d", i);
    assert_int_equal(capture_lines(capture_take(&captured)), 100);
}

static void a_held_back_line_is_cut_in_the_count(void **state)
{
    char message[1000];
    (void)state;
    memset(message, 'm', sizeof(message) - 1);
    message[sizeof(message) - 1] = '\0';
    for (int i = 0; i < 9; i++)
        log_write(LOG_LEVEL_INFO, NULL, "src/b.c", 1, "%s", message);
    capture_take(&captured);
    fake.clock_offset_s += 11;
    log_flush_repeats(false);
    const char *text = capture_take(&captured);
    assert_non_null(strstr(text, "held back 1 more lines like: mmm"));
    assert_true(strlen(text) < 300);
}

#define LOG_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(names_are_parsed_and_given),
        LOG_TEST(levels_below_the_bound_are_silent),
        LOG_TEST(a_text_line_has_time_level_stream_and_message),
        LOG_TEST(a_message_stays_one_plain_line),
        LOG_TEST(a_long_message_is_cut_and_still_a_line),
        LOG_TEST(a_json_line_has_every_field_that_is_there),
        LOG_TEST(journal_entries_have_their_fields),
        LOG_TEST(the_journal_and_json_have_every_audit_event),
        LOG_TEST(as_text_audit_events_are_lines_like_others),
        LOG_TEST(audit_events_of_a_command_go_where_it_says),
        LOG_TEST(a_journal_that_refuses_is_replaced_by_text),
        LOG_TEST(a_machine_without_a_journal_gets_text),
        LOG_TEST(auto_is_the_journal_only_when_stderr_is),
        LOG_TEST(the_real_journal_takes_a_line),
        LOG_TEST(repeats_are_held_back_and_counted),
        LOG_TEST(the_count_comes_with_the_next_line_too),
        LOG_TEST(few_lines_are_never_held_back),
        LOG_TEST(each_place_and_stream_is_counted_alone),
        LOG_TEST(a_place_that_gives_way_is_counted_first),
        LOG_TEST(debug_lines_are_all_written),
        LOG_TEST(a_held_back_line_is_cut_in_the_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
