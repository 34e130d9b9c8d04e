// SPDX-License-Identifier: Apache-2.0
// cxsink audit: what it prints and how it ends, over logs that are whole, altered, with a key, not
// there; the last events, and those that come.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/daemon.h"
#include "cli/commands.h"
#include "core/fsio.h"
#include "core/log.h"
#include "core/mem.h"
#include "ops/audit.h"
#include "support/capture.h"

#define KEY "a key of sixteen bytes and more"

static char dir[64], path[96], key_path[96], config_path[96];
static struct capture captured; // of stderr
static char *out;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/audit_test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
    snprintf(key_path, sizeof(key_path), "%s/key", dir);
    snprintf(config_path, sizeof(config_path), "%s/cxsink.json", dir);
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    capture_start(&captured);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    capture_stop(&captured);
    free(out);
    out = NULL;
    DIR *list = opendir(dir);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        unlinkat(dirfd(list), entry->d_name, 0);
    closedir(list);
    return rmdir(dir);
}

// --- helpers ---

static void store(const char *where, const char *text)
{
    assert_int_equal(fsio_write_file(where, text, strlen(text), 0600, NULL), STATUS_OK);
}

// 12 events: job.running and, every third, stream.connected of "calls".
static void make_log(const char *key, uint64_t max_bytes)
{
    char number[16];
    struct audit *audit = audit_open(
        &(struct audit_settings){.path = path, .key = key, .max_bytes = max_bytes}, NULL);
    assert_non_null(audit);
    for (int i = 0; i < 12; i++) {
        snprintf(number, sizeof(number), "no. %d", i);
        const struct audit_field field = {"detail", number};
        audit_write(audit, i % 3 ? "job.running" : "stream.connected", i % 3 ? NULL : "calls",
                    &field, 1);
    }
    audit_close(&audit);
}

static void alter_log(void)
{
    struct buf content = {0};
    assert_int_equal(fsio_read_file(path, 1 << 20, &content, NULL), STATUS_OK);
    char *at = strstr(content.data, "no. 4");
    memcpy(at, "no. 9", 5);
    assert_int_equal(fsio_write_file(path, content.data, content.len, 0600, NULL), STATUS_OK);
    buf_deinit(&content);
}

// Runs the command; what it prints is in `out` then. The last argument is NULL.
static int run(const char *first, ...)
{
    char *argv[16] = {(char *)"audit"};
    int argc = 1;
    va_list args;
    va_start(args, first);
    for (const char *arg = first; arg != NULL; arg = va_arg(args, const char *))
        argv[argc++] = (char *)arg;
    va_end(args);
    fflush(stdout);
    int file = memfd_create("output", MFD_CLOEXEC), saved = dup(STDOUT_FILENO);
    dup2(file, STDOUT_FILENO);
    int code = cli_audit(argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    long size = lseek(file, 0, SEEK_END);
    free(out);
    out = mem_zalloc((size_t)size + 1);
    assert_int_equal(pread(file, out, (size_t)size, 0), size);
    close(file);
    return code;
}

static void expect(const char *part)
{
    if (strstr(out, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, out);
}

static void wrong(const char *part)
{
    const char *text = capture_take(&captured);
    if (strstr(text, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, text);
}

// --- verify ---

static void a_whole_log_is_verified(void **state)
{
    (void)state;
    make_log(NULL, 0);
    assert_int_equal(run("verify", "--dir", dir, NULL), EXIT_DONE);
    expect("audit.jsonl: verified, 12 lines in 1 file, from 20");
    expect("journalctl CXSINK_AUDIT_HASH=");
    assert_int_equal(run("verify", "--dir", dir, "--json", NULL), EXIT_DONE);
    expect("\"verified\":true,\"lines\":12,\"files\":1,\"torn\":0,\"without_key\":12,");
    expect("\"faults\":[]}");
}

static void an_altered_log_is_not(void **state)
{
    (void)state;
    make_log(NULL, 0);
    alter_log();
    assert_int_equal(run("verify", "--dir", dir, NULL), EXIT_NO);
    expect("audit.jsonl:5: altered: its hash is not that of its text\n");
    expect("audit.jsonl: NOT verified, 1 fault in 12 lines\n");
    assert_int_equal(run("verify", "--dir", dir, "--json", NULL), EXIT_NO);
    expect("\"verified\":false");
    expect("\"line\":5,\"message\":\"altered: its hash");
}

static void what_else_is_known_is_told(void **state)
{
    (void)state;
    make_log(NULL, 1500);
    FILE *file = fopen(path, "a");
    fputs("{\"time\":", file);
    fclose(file);
    assert_int_equal(run("verify", "--dir", dir, NULL), EXIT_DONE);
    expect("The last line is not whole");
    make_log(KEY, 1500);
    store(key_path, KEY "\n");
    assert_int_equal(run("verify", "--dir", dir, "--key-file", key_path, NULL), EXIT_DONE);
    expect("1 part of a line, left by a crash");
    expect("lines from before there was a key");
}

static void a_log_that_is_not_there_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("verify", "--dir", dir, NULL), EXIT_NO);
    wrong("cxsink audit: cannot open");
    assert_int_equal(run("tail", "--dir", dir, NULL), EXIT_NO);
    wrong("No such file or directory");
}

static void the_key_is_that_of_the_configuration(void **state)
{
    char *text = mem_printf("{\"state_dir\": \"%s\", \"audit\": {\"key\": {\"file\": \"key\"}},"
                            " \"admin\": {\"token\": {\"env\": \"NOT_SET_HERE\"}}}",
                            dir);
    (void)state;
    store(config_path, text);
    free(text);
    store(key_path, KEY "\n");
    make_log(KEY, 0);
    assert_int_equal(run("verify", "-c", config_path, NULL), EXIT_DONE);
    store(key_path, "another key of that kind");
    assert_int_equal(run("verify", "-c", config_path, NULL), EXIT_NO);
    expect("which is not known here; name its file with --key-file");
    expect("audit.jsonl: its last line does not have the key of the configuration");
    assert_int_equal(unlink(key_path), 0);
    assert_int_equal(run("verify", "-c", config_path, NULL), EXIT_CONFIG);
    wrong("/audit/key: ");
    assert_int_equal(run("tail", "-c", config_path, NULL), EXIT_DONE); // needs no key
    assert_int_equal(run("verify", "--dir", dir, "--key-file", key_path, NULL), EXIT_CONFIG);
    wrong(key_path);
    assert_int_equal(run("tail", "-c", "/nowhere", NULL), EXIT_CONFIG);
}

// --- tail ---

static void the_last_events_are_shown(void **state)
{
    (void)state;
    make_log(NULL, 0);
    assert_int_equal(run("tail", "--dir", dir, NULL), EXIT_DONE);
    assert_int_equal(capture_lines(out), 10);
    assert_int_equal(run("tail", "--dir", dir, "-n", "2", NULL), EXIT_DONE);
    assert_int_equal(capture_lines(out), 2);
    assert_string_equal(strchr(out, 'Z'), strstr(out, "Z job.running detail=\"no. 10\"\n"));
    expect("Z job.running detail=\"no. 11\"\n");
    assert_int_equal(run("tail", "--dir", dir, "--stream", "calls", "-n", "1", NULL), EXIT_DONE);
    expect("Z stream.connected stream=calls detail=\"no. 9\"\n");
    assert_int_equal(run("tail", "--dir", dir, "--event", "stream.*", "-n", "99", NULL), EXIT_DONE);
    assert_int_equal(capture_lines(out), 4);
    assert_int_equal(run("tail", "--dir", dir, "--event", "none", NULL), EXIT_DONE);
    assert_string_equal(out, "");
    assert_int_equal(run("tail", "--dir", dir, "--json", "-n", "1", NULL), EXIT_DONE);
    expect("\"event\":\"job.running\",\"detail\":\"no. 11\",\"prev\":\"");
}

static void they_go_back_over_files(void **state)
{
    (void)state;
    make_log(NULL, 900);
    assert_int_equal(run("tail", "--dir", dir, "-n", "7", "--event", "[js]*", NULL), EXIT_DONE);
    assert_int_equal(capture_lines(out), 7);
    assert_non_null(strstr(out, "no. 5"));
    assert_true(strstr(out, "no. 5") < strstr(out, "no. 11"));
}

static void what_is_no_line_cannot_steer_the_terminal(void **state)
{
    (void)state;
    store(path, "\x1b[31mred\n");
    assert_int_equal(run("tail", "--dir", dir, NULL), EXIT_DONE);
    assert_string_equal(out, "\\x1b[31mred\n");
}

// Waits until the child's output holds the text.
static void await(int file, const char *part)
{
    char text[4096];
    for (int i = 0; i < 3000; i++) {
        ssize_t n = pread(file, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        if (strstr(text, part) != NULL)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("no \"%s\" came: %s", part, text);
}

static void events_that_come_are_followed(void **state)
{
    char moved[128];
    (void)state;
    make_log(NULL, 0);
    int file = memfd_create("output", 0);
    pid_t child = fork();
    if (child == 0) {
        char *argv[] = {"audit", "tail", "-f", "-n", "1", "--dir", dir, "--event", "job.*", NULL};
        dup2(file, STDOUT_FILENO);
        _exit(cli_audit(9, argv));
    }
    await(file, "no. 11");
    struct audit *audit = audit_open(&(struct audit_settings){.path = path}, NULL);
    audit_write(audit, "stream.connected", NULL, NULL, 0);
    audit_write(audit, "job.first", NULL, NULL, 0);
    await(file, "Z job.first\n");
    snprintf(moved, sizeof(moved), "%s.1", path);
    assert_int_equal(rename(path, moved), 0);
    audit_write(audit, "job.second", NULL, NULL, 0);
    audit_close(&audit);
    await(file, "Z job.second\n");
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    char text[4096] = "";
    assert_true(pread(file, text, sizeof(text) - 1, 0) > 0);
    assert_null(strstr(text, "stream.connected"));
    assert_int_equal(capture_lines(text), 3);
    close(file);
}

// --- usage ---

static void wrong_usage_is_told(void **state)
{
    (void)state;
    assert_int_equal(run(NULL), EXIT_WRONG_USAGE);
    wrong("one of verify and tail is needed");
    assert_int_equal(run("show", NULL), EXIT_WRONG_USAGE);
    wrong("no such thing as \"show\"");
    assert_int_equal(run("verify", "-n", "3", NULL), EXIT_WRONG_USAGE);
    wrong("--lines does not go with verify");
    assert_int_equal(run("tail", "--key-file", "x", NULL), EXIT_WRONG_USAGE);
    wrong("--key-file does not go with tail");
    assert_int_equal(run("tail", "--dir", "x", "-c", "y", NULL), EXIT_WRONG_USAGE);
    wrong("exclude each other");
    assert_int_equal(run("--help", NULL), EXIT_DONE);
    expect("usage: cxsink audit verify");
}

#define AUDIT_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUDIT_TEST(a_whole_log_is_verified),
        AUDIT_TEST(an_altered_log_is_not),
        AUDIT_TEST(what_else_is_known_is_told),
        AUDIT_TEST(a_log_that_is_not_there_is_told),
        AUDIT_TEST(the_key_is_that_of_the_configuration),
        AUDIT_TEST(the_last_events_are_shown),
        AUDIT_TEST(they_go_back_over_files),
        AUDIT_TEST(what_is_no_line_cannot_steer_the_terminal),
        AUDIT_TEST(events_that_come_are_followed),
        AUDIT_TEST(wrong_usage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
