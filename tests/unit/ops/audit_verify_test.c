// SPDX-License-Identifier: Apache-2.0
// The audit log over several files, with and without a key, killed at any moment; and what
// verifying finds in it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "core/fsio.h"
#include "core/log.h"
#include "core/mem.h"
#include "ops/audit.h"
#include "ops/audit_priv.h"
#include "ops/audit_read.h"
#include "support/capture.h"

#define KEY "a key of sixteen bytes and more"
#define OTHER_KEY "another key of that kind"

// At the seam of libc: a rename that fails.
static bool rename_fails;

int rename(const char *from, const char *to)
{
    if (!rename_fails)
        return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    errno = EPERM;
    return -1;
}

struct fixture {
    char dir[64], path[96];
    struct audit_settings settings;
    struct audit *audit;
    const char *keys[2];
    size_t n_keys;
    struct audit_verdict verdict;
    struct buf faults; // FILE:LINE: what, a line each
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
    strcpy(f->dir, "/tmp/audit_verify_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/audit.jsonl", f->dir);
    f->settings.path = f->path;
    f->n_keys = 1;
    rename_fails = false;
    log_init(LOG_TARGET_JSON, LOG_LEVEL_INFO);
    capture_start(&f->captured);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    audit_close(&f->audit);
    capture_stop(&f->captured);
    empty_dir(f->dir);
    assert_int_equal(rmdir(f->dir), 0);
    buf_deinit(&f->faults);
    free(f);
    return 0;
}

// --- writing ---

static void open_log(struct fixture *f)
{
    struct status st;
    audit_close(&f->audit);
    f->audit = audit_open(&f->settings, &st);
    assert_non_null(f->audit);
}

static void write_events(struct fixture *f, int count)
{
    char number[16];
    if (f->audit == NULL)
        open_log(f);
    for (int i = 0; i < count; i++) {
        snprintf(number, sizeof(number), "%d", i);
        audit_write(f->audit, "stream.connected", "calls", &(struct audit_field){"number", number},
                    1);
    }
}

static void use_key(struct fixture *f, const char *key)
{
    f->settings.key = f->keys[0] = key;
    audit_close(&f->audit);
}

// --- the files ---

static char *read_file(const char *path)
{
    struct buf content = {0};
    assert_int_equal(fsio_read_file(path, 1 << 24, &content, NULL), STATUS_OK);
    char *text = mem_strdup(buf_text(&content));
    buf_deinit(&content);
    return text;
}

static void store(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static size_t count_renamed(struct fixture *f)
{
    struct audit_files files;
    audit_files_list(f->path, true, &files);
    size_t n = files.n;
    audit_files_free(&files);
    return n;
}

// The path of a renamed file, the oldest is 0. Owned.
static char *renamed(struct fixture *f, size_t index)
{
    struct audit_files files;
    audit_files_list(f->path, true, &files);
    assert_true(index < files.n);
    char *path = audit_beside(f->path, files.names[index]);
    audit_files_free(&files);
    return path;
}

static char *line_start(char *text, int number)
{
    for (int i = 1; i < number; i++)
        text = strchr(text, '\n') + 1;
    return text;
}

static size_t line_bytes(const char *line)
{
    return (size_t)(strchr(line, '\n') - line) + 1;
}

// --- verifying ---

static void on_fault(void *owner, const char *path, uint64_t line, const char *what)
{
    struct fixture *f = owner;
    buf_printf(&f->faults, "%s:%llu: %s\n", strrchr(path, '/') + 1, (unsigned long long)line, what);
}

static void verify(struct fixture *f)
{
    struct audit_read read;
    struct status st = {0};
    struct audit_verify_settings settings = {
        .keys = f->keys, .n_keys = f->n_keys, .fault = on_fault, .owner = f};
    buf_clear(&f->faults);
    assert_int_equal(audit_read_open(f->path, &read, &st), STATUS_OK);
    assert_int_equal(audit_verify(&read, &settings, &f->verdict, &st), STATUS_OK);
    audit_read_close(&read);
}

static void is_whole(struct fixture *f)
{
    verify(f);
    assert_string_equal(buf_text(&f->faults), "");
    assert_int_equal(f->verdict.faults, 0);
}

static void has_faults(struct fixture *f, const char *want)
{
    verify(f);
    assert_string_equal(buf_text(&f->faults), want);
}

// --- one file ---

static void a_log_that_is_whole_is_verified(void **state)
{
    struct fixture *f = *state;
    write_events(f, 5);
    is_whole(f);
    assert_int_equal(f->verdict.lines, 5);
    assert_int_equal(f->verdict.files, 1);
    assert_int_equal(f->verdict.unkeyed, 5);
    assert_false(f->verdict.cut_off);
    assert_true(strcmp(f->verdict.first_time, f->verdict.last_time) <= 0);
    assert_int_equal(strlen(f->verdict.first_time), 24);
    char *text = read_file(f->path);
    assert_non_null(strstr(line_start(text, 5), f->verdict.last_hash));
    free(text);
}

static void an_empty_log_is_verified(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    is_whole(f);
    assert_int_equal(f->verdict.lines, 0);
}

static void a_log_that_is_not_there_is_told(void **state)
{
    struct fixture *f = *state;
    struct audit_read read;
    struct status st = {0};
    assert_int_equal(audit_read_open(f->path, &read, &st), STATUS_NOT_FOUND);
    assert_non_null(strstr(st.detail, f->path));
}

static void any_altered_byte_is_found(void **state)
{
    struct fixture *f = *state;
    write_events(f, 3);
    char *text = read_file(f->path);
    char *second = line_start(text, 2);
    for (size_t i = 0; i < line_bytes(second) - 1; i += 3) {
        char kept = second[i];
        second[i] = kept == '1' ? '2' : '1';
        store(f->path, text);
        verify(f);
        assert_true(f->verdict.faults >= 1);
        assert_non_null(strstr(buf_text(&f->faults), "audit.jsonl:"));
        second[i] = kept;
    }
    *strstr(second, "calls") = 'C';
    store(f->path, text);
    has_faults(f, "audit.jsonl:2: altered: its hash is not that of its text\n");
    free(text);
}

static void a_line_with_a_new_hash_of_its_own_is_found(void **state)
{
    struct fixture *f = *state;
    struct audit_seal seal;
    char hash[AUDIT_HASH_DIGITS + 1];
    write_events(f, 3);
    char *text = read_file(f->path);
    char *second = line_start(text, 2);
    size_t n = line_bytes(second) - 1;
    *strstr(second, "calls") = 'C';
    assert_true(audit_seal_read(second, n, &seal));
    audit_seal_hash(second, seal.sealed, NULL, hash);
    memcpy(second + n - 66, hash, AUDIT_HASH_DIGITS);
    store(f->path, text);
    has_faults(f, "audit.jsonl:3: the line that it follows is not there: it, or a whole file, was "
                  "removed or altered\n");
    free(text);
}

static void removed_lines_are_found(void **state)
{
    struct fixture *f = *state;
    write_events(f, 5);
    char *text = read_file(f->path);
    char *third = line_start(text, 3);
    char *without = mem_printf("%.*s%s", (int)(third - text), text, line_start(text, 5));
    store(f->path, without);
    has_faults(f, "audit.jsonl:3: the line that it follows is not there: it, or a whole file, was "
                  "removed or altered\n");
    store(f->path, line_start(text, 2));
    has_faults(f, "audit.jsonl:1: lines before it were removed\n");
    free(without);
    free(text);
}

static void reordered_and_repeated_lines_are_found(void **state)
{
    struct fixture *f = *state;
    write_events(f, 4);
    char *text = read_file(f->path);
    char *second = line_start(text, 2), *third = line_start(text, 3), *last = line_start(text, 4);
    char *swapped = mem_printf("%.*s%.*s%.*s%s", (int)(second - text), text, (int)(last - third),
                               third, (int)(third - second), second, last);
    store(f->path, swapped);
    has_faults(f, "audit.jsonl:2: out of order: it follows audit.jsonl:3, and another line stands "
                  "before it\n"
                  "audit.jsonl:3: out of order: it follows audit.jsonl:1, and another line stands "
                  "before it\n"
                  "audit.jsonl:4: out of order: it follows audit.jsonl:2, and another line stands "
                  "before it\n");
    char *repeated = mem_printf("%s%s", text, last);
    store(f->path, repeated);
    has_faults(f, "audit.jsonl:5: out of order: it follows audit.jsonl:3, and another line stands "
                  "before it\n");
    free(swapped);
    free(repeated);
    free(text);
}

static void what_is_no_line_is_found(void **state)
{
    struct fixture *f = *state;
    write_events(f, 1);
    char *first = read_file(f->path);
    write_events(f, 1);
    char *text = read_file(f->path);
    char *mixed = mem_printf("%sold news\nand more\n%s", first, text + strlen(first));
    store(f->path, mixed);
    has_faults(f, "audit.jsonl:2: this and 1 lines behind it are no lines of an audit log\n");
    free(mixed);
    mixed = mem_printf("%sold news\n", text);
    store(f->path, mixed);
    has_faults(f, "audit.jsonl:3: this is no line of an audit log\n");
    free(mixed);
    free(first);
    free(text);
}

static void a_torn_end_is_no_fault(void **state)
{
    struct fixture *f = *state;
    write_events(f, 2);
    char *text = read_file(f->path);
    size_t first = line_bytes(text);
    for (size_t cut = first + 1; cut < strlen(text); cut++) {
        char *torn = mem_strndup(text, cut);
        audit_close(&f->audit);
        store(f->path, torn);
        is_whole(f);
        assert_true(f->verdict.open_end);
        write_events(f, 1);
        is_whole(f);
        assert_int_equal(f->verdict.torn, cut + 1 < strlen(text) ? 1 : 0);
        assert_false(f->verdict.open_end);
        free(torn);
    }
    free(text);
}

// --- several files ---

static void a_full_file_is_renamed_and_the_chain_goes_on(void **state)
{
    struct fixture *f = *state;
    f->settings.max_bytes = 2000;
    write_events(f, 60);
    size_t n = count_renamed(f);
    assert_in_range(n, 5, 20);
    is_whole(f);
    assert_int_equal(f->verdict.files, n + 1);
    assert_int_equal(f->verdict.lines, 60 + n);
    assert_false(f->verdict.cut_off);
    char *last_but_one = renamed(f, n - 1);
    char *text = read_file(f->path), *before = read_file(last_but_one);
    char want[200], hash[AUDIT_HASH_DIGITS + 1];
    snprintf(hash, sizeof(hash), "%s", before + strlen(before) - 67);
    snprintf(want, sizeof(want),
             "\"event\":\"audit.rotated\",\"file\":\"%s\",\"last\":\"%s\",\"prev\":\"%s\"",
             strrchr(last_but_one, '/') + 1, hash, hash);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(capture_take(&f->captured), "\"audit\":\"audit.rotated\""));
    for (size_t i = 0; i <= n; i++) {
        struct stat info;
        char *path = i < n ? renamed(f, i) : mem_strdup(f->path);
        assert_int_equal(stat(path, &info), 0);
        assert_true(info.st_size <= 2000);
        assert_int_equal(info.st_mode & 0777, 0600);
        free(path);
    }
    free(text);
    free(before);
    free(last_but_one);
}

static void old_files_are_removed_and_that_is_told(void **state)
{
    struct fixture *f = *state;
    f->settings.max_bytes = 2000;
    f->settings.keep = 3;
    write_events(f, 60);
    assert_int_equal(count_renamed(f), 3);
    is_whole(f);
    assert_true(f->verdict.cut_off);
    char *text = read_file(f->path);
    assert_non_null(strstr(text, "\"event\":\"audit.removed\",\"file\":\"audit-20"));
    free(text);
}

static void a_removed_file_is_found(void **state)
{
    struct fixture *f = *state;
    f->settings.max_bytes = 2000;
    write_events(f, 40);
    char *middle = renamed(f, 2), *behind = renamed(f, 3);
    char want[300];
    assert_int_equal(unlink(middle), 0);
    snprintf(want, sizeof(want),
             "%s:1: the line that it follows is not there: it, or a whole file, was removed or "
             "altered\n",
             strrchr(behind, '/') + 1);
    has_faults(f, want);
    free(middle);
    free(behind);
}

static void a_line_removed_from_an_old_file_is_found(void **state)
{
    struct fixture *f = *state;
    f->settings.max_bytes = 2000;
    write_events(f, 40);
    char *path = renamed(f, 1), *behind = renamed(f, 2);
    char *text = read_file(path);
    *line_start(text, 4) = '\0';
    store(path, text); // its end, so that the next file shows it
    verify(f);
    assert_int_equal(f->verdict.faults, 1);
    assert_non_null(strstr(buf_text(&f->faults), strrchr(behind, '/') + 1));
    free(text);
    free(path);
    free(behind);
}

static void another_program_may_rename_it(void **state)
{
    struct fixture *f = *state;
    char second[128], first[128];
    snprintf(first, sizeof(first), "%s.1", f->path);
    snprintf(second, sizeof(second), "%s.2", f->path);
    write_events(f, 3);
    assert_int_equal(rename(f->path, first), 0);
    write_events(f, 3); // the process that has it open
    is_whole(f);
    assert_int_equal(f->verdict.lines, 7);
    assert_int_equal(rename(first, second), 0);
    assert_int_equal(rename(f->path, first), 0);
    open_log(f); // another one
    write_events(f, 3);
    is_whole(f);
    assert_int_equal(f->verdict.lines, 11);
    assert_int_equal(f->verdict.files, 3);
    char *text = read_file(f->path);
    assert_non_null(strstr(text, "\"event\":\"audit.rotated\",\"file\":\"audit.jsonl.1\""));
    free(text);
}

// logrotate makes the new file itself (create).
static void the_new_file_may_be_there(void **state)
{
    struct fixture *f = *state;
    char first[128];
    snprintf(first, sizeof(first), "%s-20260131", f->path);
    write_events(f, 3);
    assert_int_equal(rename(f->path, first), 0);
    store(f->path, "");
    write_events(f, 1);
    is_whole(f);
    assert_int_equal(f->verdict.lines, 5);
    assert_int_equal(unlink(first), 0);
    is_whole(f);
    assert_true(f->verdict.cut_off);
}

static void a_deleted_file_is_told(void **state)
{
    struct fixture *f = *state;
    write_events(f, 1);
    char *older = audit_next_name(f->path);
    assert_int_equal(rename(f->path, older), 0);
    free(older);
    write_events(f, 3);
    assert_int_equal(unlink(f->path), 0);
    write_events(f, 1);
    char *text = read_file(f->path);
    assert_non_null(strstr(text, "\"event\":\"audit.rotated\",\"file\":\"(not here)\""));
    free(text);
    verify(f);
    assert_int_equal(f->verdict.faults, 1);
}

static void a_file_that_cannot_be_renamed_is_gone_on_with(void **state)
{
    struct fixture *f = *state;
    f->settings.max_bytes = 2000;
    rename_fails = true;
    write_events(f, 20);
    assert_non_null(strstr(capture_take(&f->captured), "cannot rename the audit log"));
    assert_int_equal(count_renamed(f), 0);
    is_whole(f);
    assert_int_equal(f->verdict.lines, 20);
    rename_fails = false;
    write_events(f, 1);
    assert_int_equal(count_renamed(f), 1);
    is_whole(f);
}

// --- killed ---

static void a_crash_after_the_renaming_leaves_a_whole_chain(void **state)
{
    struct fixture *f = *state;
    char *next, *begun, *whole;
    write_events(f, 3);
    for (int step = 0; step < 3; step++) {
        audit_close(&f->audit);
        next = audit_next_name(f->path);
        assert_int_equal(rename(f->path, next), 0);
        free(next);
        if (step == 1)
            store(f->path, "");
        if (step == 2)
            store(f->path, "{\"time\":\"2026-01-01T00:00:00.000Z\",\"event\":\"audit.rot");
        write_events(f, 2);
        is_whole(f);
        assert_int_equal(f->verdict.files, step + 2);
        assert_int_equal(f->verdict.lines, 3 + 3 * (step + 1));
    }
    assert_int_equal(f->verdict.torn, 1);
    whole = read_file(f->path);
    begun = line_start(whole, 2);
    assert_non_null(strstr(begun, "audit.rotated"));
    free(whole);
}

static void a_writer_that_is_killed_leaves_a_whole_chain(void **state)
{
    struct fixture *f = *state;
    struct timespec pause = {0};
    f->settings.max_bytes = 2000;
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (;;)
                write_events(f, 1);
        }
        pause.tv_nsec = 300000 + i * 211000;
        nanosleep(&pause, NULL);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    write_events(f, 1);
    is_whole(f);
    assert_true(f->verdict.lines > 40);
}

static void it_can_be_verified_while_others_write(void **state)
{
    struct fixture *f = *state;
    pid_t writers[2];
    f->settings.max_bytes = 20000;
    for (int i = 0; i < 2; i++) {
        writers[i] = fork();
        if (writers[i] == 0) {
            write_events(f, 1000);
            _exit(0);
        }
    }
    write_events(f, 1);
    for (int i = 0; i < 20; i++)
        is_whole(f);
    for (int i = 0; i < 2; i++)
        assert_int_equal(waitpid(writers[i], NULL, 0), writers[i]);
    is_whole(f);
    assert_int_equal(f->verdict.lines, 2001 + count_renamed(f));
}

// --- keys ---

static void with_a_key_only_its_holder_can_verify(void **state)
{
    struct fixture *f = *state;
    char id[AUDIT_KEY_ID_DIGITS + 1], want[300];
    use_key(f, KEY);
    audit_key_id(KEY, id);
    write_events(f, 3);
    is_whole(f);
    assert_int_equal(f->verdict.unkeyed, 0);
    snprintf(want, sizeof(want),
             "audit.jsonl:1: from here on the lines have the key %s, which is not known here; name "
             "its file with --key-file\n",
             id);
    f->keys[0] = NULL;
    has_faults(f, want);
    f->keys[0] = OTHER_KEY;
    verify(f);
    assert_int_equal(f->verdict.faults, 2); // and the last line does not have that key
    assert_non_null(strstr(buf_text(&f->faults), "audit.jsonl:0: its last line does not have"));
}

// All of it made anew, with right hashes, by somebody without the key.
static void a_forged_log_is_found(void **state)
{
    struct fixture *f = *state;
    write_events(f, 3);
    f->keys[0] = KEY;
    verify(f);
    assert_int_equal(f->verdict.faults, 1);
    assert_non_null(strstr(buf_text(&f->faults), "its last line does not have the key"));
    use_key(f, KEY);
    write_events(f, 1); // the daemon goes on: from before there was a key, for all it knows
    is_whole(f);
    assert_int_equal(f->verdict.unkeyed, 3);
    use_key(f, NULL);
    write_events(f, 1);
    f->keys[0] = KEY;
    verify(f);
    assert_int_equal(f->verdict.faults, 2);
    assert_non_null(strstr(buf_text(&f->faults), "have no key, though those before it have one"));
}

static void another_key_is_told_and_needs_both(void **state)
{
    struct fixture *f = *state;
    char want[100], id[AUDIT_KEY_ID_DIGITS + 1];
    write_events(f, 1);
    use_key(f, KEY);
    write_events(f, 2);
    use_key(f, OTHER_KEY);
    write_events(f, 2);
    char *text = read_file(f->path);
    audit_key_id(KEY, id);
    assert_non_null(strstr(text, "\"event\":\"audit.key\",\"before\":\"none\",\"key_id\":"));
    snprintf(want, sizeof(want), "\"event\":\"audit.key\",\"before\":\"%s\",\"key_id\":", id);
    assert_non_null(strstr(text, want));
    assert_null(strstr(text, KEY));
    free(text);
    verify(f);
    assert_int_equal(f->verdict.faults, 1);
    assert_non_null(strstr(buf_text(&f->faults), "audit.jsonl:2: from here on the lines have the"));
    f->keys[1] = KEY;
    f->n_keys = 2;
    is_whole(f);
    assert_int_equal(f->verdict.lines, 7);
    assert_int_equal(f->verdict.unkeyed, 1);
}

static void an_altered_line_with_a_key_is_found(void **state)
{
    struct fixture *f = *state;
    use_key(f, KEY);
    write_events(f, 3);
    char *text = read_file(f->path);
    *strstr(line_start(text, 2), "calls") = 'C';
    store(f->path, text);
    has_faults(f, "audit.jsonl:2: altered: its hash is not that of its text\n");
    free(text);
}

#define VERIFY_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VERIFY_TEST(a_log_that_is_whole_is_verified),
        VERIFY_TEST(an_empty_log_is_verified),
        VERIFY_TEST(a_log_that_is_not_there_is_told),
        VERIFY_TEST(any_altered_byte_is_found),
        VERIFY_TEST(a_line_with_a_new_hash_of_its_own_is_found),
        VERIFY_TEST(removed_lines_are_found),
        VERIFY_TEST(reordered_and_repeated_lines_are_found),
        VERIFY_TEST(what_is_no_line_is_found),
        VERIFY_TEST(a_torn_end_is_no_fault),
        VERIFY_TEST(a_full_file_is_renamed_and_the_chain_goes_on),
        VERIFY_TEST(old_files_are_removed_and_that_is_told),
        VERIFY_TEST(a_removed_file_is_found),
        VERIFY_TEST(a_line_removed_from_an_old_file_is_found),
        VERIFY_TEST(another_program_may_rename_it),
        VERIFY_TEST(the_new_file_may_be_there),
        VERIFY_TEST(a_deleted_file_is_told),
        VERIFY_TEST(a_file_that_cannot_be_renamed_is_gone_on_with),
        VERIFY_TEST(a_crash_after_the_renaming_leaves_a_whole_chain),
        VERIFY_TEST(a_writer_that_is_killed_leaves_a_whole_chain),
        VERIFY_TEST(it_can_be_verified_while_others_write),
        VERIFY_TEST(with_a_key_only_its_holder_can_verify),
        VERIFY_TEST(a_forged_log_is_found),
        VERIFY_TEST(another_key_is_told_and_needs_both),
        VERIFY_TEST(an_altered_line_with_a_key_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
