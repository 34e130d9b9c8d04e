// SPDX-License-Identifier: Apache-2.0
// The audit log of a command: who, where to, and what is said when it cannot be written.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/common.h"
#include "core/fsio.h"
#include "core/log.h"
#include "support/capture.h"

// At the seam of libc: no journal, and a user of the test's choice.
static uid_t fake_uid = 4711;

int access(const char *path, int mode)
{
    if (strcmp(path, "/run/systemd/journal/socket") != 0)
        return (int)syscall(SYS_access, path, mode);
    errno = ENOENT;
    return -1;
}

uid_t geteuid(void)
{
    return fake_uid;
}

struct passwd *getpwuid(uid_t uid)
{
    static struct passwd entry;
    entry.pw_name = uid == 0 ? "root" : "ada";
    return uid == 99 ? NULL : &entry;
}

static char dir[64];
static struct config config;
static struct capture captured;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/audit_open_test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    config.state_dir = dir;
    fake_uid = 4711;
    unsetenv("SUDO_USER");
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    capture_start(&captured);
    return 0;
}

static int tear_down(void **state)
{
    char path[96];
    (void)state;
    capture_stop(&captured);
    snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
    unlink(path);
    return rmdir(dir);
}

static void user_is(const char *want)
{
    char path[96], member[96];
    struct buf content = {0};
    struct audit *audit = cli_audit_open(&config, "dead");
    assert_non_null(audit);
    audit_write(audit, "dead.purged", "calls", NULL, 0);
    audit_close(&audit);
    snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
    snprintf(member, sizeof(member), "\"stream\":\"calls\",\"user\":\"%s\",\"prev\"", want);
    assert_int_equal(fsio_read_file(path, 4096, &content, NULL), STATUS_OK);
    assert_non_null(strstr(buf_text(&content), member));
    buf_deinit(&content);
    unlink(path);
    assert_string_equal(capture_take(&captured), "");
}

static void an_event_names_the_user(void **state)
{
    (void)state;
    user_is("ada");
    setenv("SUDO_USER", "grace", 1);
    user_is("ada");
    fake_uid = 99;
    user_is("uid 99");
    fake_uid = 0;
    user_is("grace as root");
}

static void a_log_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    config.state_dir = "/nowhere/at/all";
    assert_null(cli_audit_open(&config, "dead"));
    const char *text = capture_take(&captured);
    assert_non_null(strstr(text, "cxsink dead: cannot open /nowhere/at/all/audit.jsonl: No such"));
    assert_non_null(strstr(text, "; what is done is told to stderr alone\n"));
    audit_write(NULL, "dead.purged", NULL, NULL, 0);
    assert_non_null(strstr(capture_take(&captured), "\"audit\":\"dead.purged\""));
}

#define OPEN_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPEN_TEST(an_event_names_the_user),
        OPEN_TEST(a_log_that_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
