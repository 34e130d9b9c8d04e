// SPDX-License-Identifier: Apache-2.0
// Whole reads and durable writes; failing system calls are scripted at the seam of libc.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fsio.h"

// --- what the next calls do; zeros: what they always do ---

static struct {
    size_t most;       // bytes a read or write takes at once; 0: as asked
    int interruptions; // EINTR before the next reads and writes go on
    int read_error, write_error, fsync_error, rename_error;
    int syncs;      // fsync calls so far
    int fail_sync;  // number of the fsync call that fails, from 1
    ssize_t budget; // bytes that may be written before `write_error`; -1: no bound
} script;

static bool interrupted(void)
{
    if (script.interruptions == 0)
        return false;
    script.interruptions--;
    errno = EINTR;
    return true;
}

static size_t at_once(size_t n)
{
    return script.most != 0 && n > script.most ? script.most : n;
}

ssize_t read(int fd, void *data, size_t n)
{
    if (interrupted())
        return -1;
    if (script.read_error != 0) {
        errno = script.read_error;
        return -1;
    }
    return syscall(SYS_read, fd, data, at_once(n));
}

ssize_t write(int fd, const void *data, size_t n)
{
    if (fd > STDERR_FILENO && interrupted())
        return -1;
    if (fd > STDERR_FILENO && script.write_error != 0 && script.budget <= 0) {
        errno = script.write_error;
        return -1;
    }
    ssize_t done = syscall(SYS_write, fd, data, at_once(n));
    script.budget -= done;
    return done;
}

int fsync(int fd)
{
    if (++script.syncs == script.fail_sync) {
        errno = script.fsync_error;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    if (script.rename_error != 0) {
        errno = script.rename_error;
        return -1;
    }
    return (int)syscall(SYS_rename, from, to);
}

// --- fixture: a directory of its own ---

struct fixture {
    char dir[64], path[96], temporary[112];
    struct buf content;
    struct status st;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    memset(&script, 0, sizeof(script));
    strcpy(f->dir, "/tmp/fsio_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/file", f->dir);
    snprintf(f->temporary, sizeof(f->temporary), "%s.tmp", f->path);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    memset(&script, 0, sizeof(script));
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    buf_deinit(&f->content);
    free(f);
    return 0;
}

static void store(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
}

static void content_is(struct fixture *f, const char *want)
{
    buf_clear(&f->content);
    assert_int_equal(fsio_read_file(f->path, 1 << 20, &f->content, &f->st), STATUS_OK);
    assert_string_equal(buf_text(&f->content), want);
}

static enum status_code write_text(struct fixture *f, const char *text)
{
    return fsio_write_file(f->path, text, strlen(text), 0640, &f->st);
}

// --- reading ---

static void a_file_is_appended_to_what_is_there(void **state)
{
    struct fixture *f = *state;
    store(f->path, "world", 5);
    buf_append_text(&f->content, "hello ");
    assert_int_equal(fsio_read_file(f->path, 5, &f->content, &f->st), STATUS_OK);
    assert_string_equal(buf_text(&f->content), "hello world");
    store(f->path, "", 0);
    assert_int_equal(fsio_read_file(f->path, 0, &f->content, &f->st), STATUS_OK);
    assert_int_equal(f->content.len, 11);
}

static void a_large_file_comes_whole_through_short_and_interrupted_reads(void **state)
{
    struct fixture *f = *state;
    size_t size = 300000;
    char *data = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7 + i / 256);
    store(f->path, data, size);
    assert_int_equal(fsio_read_file(f->path, size, &f->content, &f->st), STATUS_OK);
    assert_int_equal(f->content.len, size);
    assert_memory_equal(f->content.data, data, size);
    buf_clear(&f->content);
    script.most = 777;
    script.interruptions = 3;
    assert_int_equal(fsio_read_file(f->path, size, &f->content, &f->st), STATUS_OK);
    assert_int_equal(f->content.len, size);
    assert_memory_equal(f->content.data, data, size);
    free(data);
}

static void a_file_beyond_the_bound_is_refused(void **state)
{
    struct fixture *f = *state;
    store(f->path, "123456", 6);
    buf_append_text(&f->content, "kept");
    assert_int_equal(fsio_read_file(f->path, 5, &f->content, &f->st), STATUS_FULL);
    assert_non_null(strstr(f->st.detail, "larger than 5 bytes"));
    assert_non_null(strstr(f->st.detail, f->path));
    assert_string_equal(buf_text(&f->content), "kept");
    assert_int_equal(fsio_read_file("/dev/zero", 100000, &f->content, &f->st), STATUS_FULL);
    assert_int_equal(f->content.len, 4);
    assert_int_equal(fsio_read_file(f->path, 6, &f->content, &f->st), STATUS_OK);
}

static void the_buffers_own_cap_holds_too(void **state)
{
    struct fixture *f = *state;
    store(f->path, "123456", 6);
    f->content.max = 6; // far below what is read at once
    assert_int_equal(fsio_read_file(f->path, 1000, &f->content, &f->st), STATUS_OK);
    assert_int_equal(f->content.len, 6);
    assert_int_equal(fsio_read_file(f->path, 1000, &f->content, &f->st), STATUS_FULL);
    assert_non_null(strstr(f->st.detail, "does not fit"));
    assert_int_equal(f->content.len, 6);
}

static void what_cannot_be_opened_or_read_says_why(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fsio_read_file(f->path, 9, &f->content, &f->st), STATUS_NOT_FOUND);
    assert_non_null(strstr(f->st.detail, f->path));
    assert_non_null(strstr(f->st.detail, "No such file"));
    assert_int_equal(fsio_read_file(f->dir, 9, &f->content, &f->st), STATUS_IO);
    assert_non_null(strstr(f->st.detail, "directory"));
    store(f->path, "x", 1);
    char below[128];
    snprintf(below, sizeof(below), "%s/below", f->path);
    assert_int_equal(fsio_read_file(below, 9, &f->content, &f->st), STATUS_IO);
    script.read_error = EIO;
    assert_int_equal(fsio_read_file(f->path, 9, &f->content, &f->st), STATUS_IO);
    assert_non_null(strstr(f->st.detail, "Input/output error"));
    assert_int_equal(f->content.len, 0);
}

// Root may do everything: as nobody, for whom the directory is closed.
static uid_t become_nobody(void)
{
    uid_t before = geteuid();
    if (before == 0)
        assert_int_equal(seteuid(65534), 0);
    return before;
}

static void a_file_that_may_not_be_read_is_denied(void **state)
{
    struct fixture *f = *state;
    store(f->path, "x", 1);
    chmod(f->path, 0);
    uid_t before = become_nobody();
    enum status_code code = fsio_read_file(f->path, 9, &f->content, &f->st);
    assert_int_equal(seteuid(before), 0);
    assert_int_equal(code, STATUS_DENIED);
    assert_non_null(strstr(f->st.detail, "Permission denied"));
}

// --- writing ---

static void a_file_is_replaced_whole(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    mode_t before = umask(022);
    assert_int_equal(write_text(f, "first, longer"), STATUS_OK);
    content_is(f, "first, longer");
    assert_int_equal(write_text(f, "second"), STATUS_OK);
    content_is(f, "second");
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(access(f->temporary, F_OK), -1);
    assert_int_equal(script.syncs, 4); // each time the file, then its directory
    umask(before);
}

static void what_a_crash_left_is_no_hindrance(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    store(f->temporary, "half of an old one", 18);
    chmod(f->temporary, 0666);
    assert_int_equal(fsio_write_file(f->path, "new", 3, 0600, &f->st), STATUS_OK);
    content_is(f, "new");
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600); // not the old one's mode
}

static void short_and_interrupted_writes_go_on(void **state)
{
    struct fixture *f = *state;
    script.most = 3;
    script.interruptions = 5;
    assert_int_equal(write_text(f, "a text of some length"), STATUS_OK);
    memset(&script, 0, sizeof(script));
    content_is(f, "a text of some length");
}

// The old content stays, and no temporary file does.
static void fails_and_keeps(struct fixture *f, enum status_code want, const char *words)
{
    assert_int_equal(write_text(f, "new content"), want);
    assert_int_equal(f->st.code, want);
    assert_non_null(strstr(f->st.detail, words));
    assert_non_null(strstr(f->st.detail, f->path));
    memset(&script, 0, sizeof(script));
    assert_int_equal(access(f->temporary, F_OK), -1);
    content_is(f, "old");
}

static void a_write_that_fails_leaves_the_old_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(write_text(f, "old"), STATUS_OK);
    script.write_error = ENOSPC;
    fails_and_keeps(f, STATUS_FULL, "No space left");
    script.write_error = EDQUOT;
    fails_and_keeps(f, STATUS_FULL, "quota");
    script.write_error = EIO;
    script.most = 4;
    script.budget = 4; // after a part of it
    fails_and_keeps(f, STATUS_IO, "Input/output error");
    script.fail_sync = 1;
    script.fsync_error = EIO;
    fails_and_keeps(f, STATUS_IO, "cannot sync");
    script.rename_error = EROFS;
    fails_and_keeps(f, STATUS_IO, "cannot rename");
}

static void a_directory_that_cannot_be_synced_is_told(void **state)
{
    struct fixture *f = *state;
    script.fail_sync = 2;
    script.fsync_error = EIO;
    assert_int_equal(write_text(f, "x"), STATUS_IO);
    assert_non_null(strstr(f->st.detail, f->dir));
}

static void a_place_where_nothing_can_be_is_told(void **state)
{
    struct fixture *f = *state;
    char path[128];
    store(f->path, "x", 1);
    snprintf(path, sizeof(path), "%s/below", f->path); // root too cannot write below a file
    assert_int_equal(fsio_write_file(path, "x", 1, 0600, &f->st), STATUS_IO);
    snprintf(path, sizeof(path), "%s/missing/file", f->dir);
    assert_int_equal(fsio_write_file(path, "x", 1, 0600, &f->st), STATUS_NOT_FOUND);
    // The name is a directory's.
    assert_int_equal(fsio_write_file(f->dir, "x", 1, 0600, &f->st), STATUS_IO);
    snprintf(path, sizeof(path), "%s.tmp", f->dir);
    assert_int_equal(access(path, F_OK), -1);
}

static void names_without_a_directory_are_the_current_one(void **state)
{
    struct fixture *f = *state;
    char before[512];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->dir), 0);
    assert_int_equal(fsio_write_file("file", "here", 4, 0600, &f->st), STATUS_OK);
    assert_int_equal(chdir(before), 0);
    content_is(f, "here");
}

static void a_full_device_and_a_closed_descriptor_are_told_apart(void **state)
{
    struct fixture *f = *state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fsio_write_all(fd, "x", 1, &f->st), STATUS_FULL);
    assert_string_equal(f->st.detail, "cannot write: No space left on device");
    assert_int_equal(fsio_write_all(fd, "", 0, &f->st), STATUS_OK);
    close(fd);
    assert_int_equal(fsio_write_all(fd, "x", 1, &f->st), STATUS_IO);
    assert_int_equal(fsio_write_all(fd, "x", 1, NULL), STATUS_IO);
}

// --- directories ---

static void directories_are_made_with_their_parents(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    char path[128];
    mode_t before = umask(022);
    snprintf(path, sizeof(path), "%s/a//b/c/", f->dir);
    assert_int_equal(fsio_make_dirs(path, 0700, &f->st), STATUS_OK);
    assert_int_equal(fsio_make_dirs(path, 0755, &f->st), STATUS_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(fsio_make_dirs("/", 0700, &f->st), STATUS_OK);
    umask(before);
}

static void a_file_in_the_way_is_told(void **state)
{
    struct fixture *f = *state;
    char path[128];
    store(f->path, "x", 1);
    assert_int_equal(fsio_make_dirs(f->path, 0700, &f->st), STATUS_IO);
    assert_non_null(strstr(f->st.detail, "Not a directory"));
    assert_non_null(strstr(f->st.detail, f->path));
    snprintf(path, sizeof(path), "%s/a/b", f->path);
    assert_int_equal(fsio_make_dirs(path, 0700, &f->st), STATUS_IO);
    assert_int_equal(fsio_make_dirs("", 0700, &f->st), STATUS_INVALID);
    // A link to a directory is one.
    snprintf(path, sizeof(path), "%s/link", f->dir);
    assert_int_equal(symlink(f->dir, path), 0);
    assert_int_equal(fsio_make_dirs(path, 0700, &f->st), STATUS_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(fsio_make_dirs(path, 0700, &f->st), STATUS_IO);
    assert_non_null(strstr(f->st.detail, "exists"));
}

static void a_directory_that_may_not_be_written_is_denied(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/a", f->dir);
    chmod(f->dir, 0500);
    uid_t before = become_nobody();
    enum status_code made = fsio_make_dirs(path, 0700, &f->st);
    enum status_code written = fsio_write_file(path, "x", 1, 0600, &f->st);
    assert_int_equal(seteuid(before), 0);
    chmod(f->dir, 0700);
    assert_int_equal(made, STATUS_DENIED);
    assert_int_equal(written, STATUS_DENIED);
    // A file system that takes nothing.
    assert_int_equal(fsio_make_dirs("/proc/cxsink-test/x", 0700, &f->st), STATUS_IO);
}

static void a_directory_is_synced_or_says_why_not(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fsio_sync_dir(f->dir, &f->st), STATUS_OK);
    store(f->path, "x", 1);
    assert_int_equal(fsio_sync_dir(f->path, &f->st), STATUS_IO);
    assert_int_equal(fsio_sync_dir("/nonexistent-directory", &f->st), STATUS_NOT_FOUND);
    script.syncs = 0;
    script.fail_sync = 1;
    script.fsync_error = EIO;
    assert_int_equal(fsio_sync_dir(f->dir, &f->st), STATUS_IO);
    assert_non_null(strstr(f->st.detail, "cannot sync"));
}

static void no_descriptor_is_left(void **state)
{
    struct fixture *f = *state;
    int before = dup(STDERR_FILENO);
    close(before);
    for (int i = 0; i < 3; i++) {
        script.write_error = i == 0 ? EIO : 0;
        script.fail_sync = i;
        script.syncs = 0;
        script.fsync_error = EIO;
        assert_int_not_equal(write_text(f, "x"), STATUS_OK);
        script.read_error = EIO;
        assert_int_not_equal(fsio_read_file(f->path, 9, &f->content, &f->st), STATUS_OK);
        script.read_error = 0;
    }
    int after = dup(STDERR_FILENO);
    close(after);
    assert_int_equal(after, before);
}

#define DIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(a_file_is_appended_to_what_is_there),
        DIR_TEST(a_large_file_comes_whole_through_short_and_interrupted_reads),
        DIR_TEST(a_file_beyond_the_bound_is_refused),
        DIR_TEST(the_buffers_own_cap_holds_too),
        DIR_TEST(what_cannot_be_opened_or_read_says_why),
        DIR_TEST(a_file_that_may_not_be_read_is_denied),
        DIR_TEST(a_file_is_replaced_whole),
        DIR_TEST(what_a_crash_left_is_no_hindrance),
        DIR_TEST(short_and_interrupted_writes_go_on),
        DIR_TEST(a_write_that_fails_leaves_the_old_file),
        DIR_TEST(a_directory_that_cannot_be_synced_is_told),
        DIR_TEST(a_place_where_nothing_can_be_is_told),
        DIR_TEST(names_without_a_directory_are_the_current_one),
        DIR_TEST(a_full_device_and_a_closed_descriptor_are_told_apart),
        DIR_TEST(directories_are_made_with_their_parents),
        DIR_TEST(a_file_in_the_way_is_told),
        DIR_TEST(a_directory_that_may_not_be_written_is_denied),
        DIR_TEST(a_directory_is_synced_or_says_why_not),
        DIR_TEST(no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
