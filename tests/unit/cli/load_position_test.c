// SPDX-License-Identifier: Apache-2.0
// Where a load is: kept, found again, forgotten, not taken for another file's.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/load_priv.h"
#include "core/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    char *file; // to be loaded
    struct config_stream streams[2];
    struct config config;
    struct load load;
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

// The file as a load opens it.
static void open_file(struct fixture *f)
{
    struct stat info;
    assert_int_equal(stat(f->file, &info), 0);
    f->load = (struct load){.config = &f->config,
                            .resumable = true,
                            .inode = (uint64_t)info.st_ino,
                            .size = (uint64_t)info.st_size};
    load_name_source(&f->load, f->file, &info);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    strcpy(f->dir, "/tmp/cxsink-load-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->file = mem_printf("%s/events.ndjson", f->dir);
    f->streams[0].name = mem_strdup("main");
    f->streams[1].name = mem_strdup("other");
    f->config = (struct config){.state_dir = f->dir, .streams = f->streams, .n_streams = 2};
    write_file(f->file, "one\ntwo\nthree\n");
    open_file(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char *load = mem_printf("%s/load", f->dir);
    unlink(f->file);
    rmdir(load); // where there is one it must be empty: each test forgets
    assert_int_equal(rmdir(f->dir), 0);
    free(load);
    free(f->streams[0].name);
    free(f->streams[1].name);
    free(f->file);
    free(f);
    return 0;
}

static void kept_found_and_forgotten(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load_stored_position(&f->load), 0);
    f->load.acked = 4;
    load_save_position(&f->load);
    f->load.acked = 8;
    load_save_position(&f->load);
    open_file(f);
    assert_int_equal(load_stored_position(&f->load), 8);
    // Of another stream nothing is known.
    f->load.stream = 1;
    struct stat info;
    assert_int_equal(stat(f->file, &info), 0);
    load_name_source(&f->load, f->file, &info);
    assert_int_equal(load_stored_position(&f->load), 0);
    f->load.stream = 0;
    load_forget_position(&f->load, f->file);
    open_file(f);
    assert_int_equal(load_stored_position(&f->load), 0);
    load_forget_position(&f->load, f->file);
    load_forget_position(&f->load, "-");
    load_forget_position(&f->load, "/nonexistent");
}

static void a_file_that_grew_goes_on_as_the_same_source(void **state)
{
    struct fixture *f = *state;
    struct uuid source = f->load.source;
    f->load.acked = 8;
    load_save_position(&f->load);
    FILE *file = fopen(f->file, "a");
    assert_non_null(file);
    fputs("four\n", file);
    fclose(file);
    open_file(f);
    assert_memory_not_equal(&f->load.source, &source, sizeof(source));
    assert_int_equal(load_stored_position(&f->load), 8);
    assert_memory_equal(&f->load.source, &source, sizeof(source));
    load_forget_position(&f->load, f->file);
}

static void another_file_of_the_name_starts_anew(void **state)
{
    struct fixture *f = *state;
    char *other = mem_printf("%s/new", f->dir);
    f->load.acked = 8;
    load_save_position(&f->load);
    write_file(other, "one\ntwo\nthree\n");
    assert_int_equal(rename(other, f->file), 0);
    open_file(f);
    assert_int_equal(load_stored_position(&f->load), 0);
    free(other);
    // The same one, but shorter than what was loaded of it.
    f->load.acked = 8;
    load_save_position(&f->load);
    assert_int_equal(truncate(f->file, 4), 0);
    open_file(f);
    assert_int_equal(load_stored_position(&f->load), 0);
    load_forget_position(&f->load, f->file);
}

static void an_unchanged_file_is_the_same_source(void **state)
{
    struct fixture *f = *state;
    struct load before = f->load;
    open_file(f);
    assert_memory_equal(&before.source, &f->load.source, sizeof(struct uuid));
    assert_memory_equal(&before.name, &f->load.name, sizeof(struct uuid));
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, f->file, times, 0), 0);
    open_file(f);
    assert_memory_not_equal(&before.source, &f->load.source, sizeof(struct uuid));
    assert_memory_equal(&before.name, &f->load.name, sizeof(struct uuid));
}

static void a_position_that_is_none(void **state)
{
    static const char *const contents[] = {"",           "x",       "1 2",      "1 2 not-a-uuid",
                                           "-1 -1 -1\n", "18 4 \n", "1 2 3 4 5"};
    struct fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    f->load.acked = 4;
    load_save_position(&f->load);
    uuid_format(&f->load.name, id);
    char *path = mem_printf("%s/load/%s", f->dir, id);
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        write_file(path, contents[i]);
        assert_int_equal(load_stored_position(&f->load), 0);
    }
    free(path);
    load_forget_position(&f->load, f->file);
}

static void not_kept(void **state)
{
    struct fixture *f = *state;
    char *load = mem_printf("%s/load", f->dir);
    f->load.resumable = false; // standard input, a pipe
    load_save_position(&f->load);
    assert_int_equal(access(load, F_OK), -1);
    // Where no directory can be: said once.
    f->load.resumable = true;
    write_file(load, "");
    int kept = dup(STDERR_FILENO);
    FILE *file = tmpfile();
    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    load_save_position(&f->load);
    load_save_position(&f->load);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    char text[1024] = "";
    assert_non_null(fgets(text, sizeof(text), file));
    assert_non_null(strstr(text, "cannot keep the position"));
    assert_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_false(f->load.resumable);
    unlink(load);
    free(load);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kept_found_and_forgotten),
        TEST(a_file_that_grew_goes_on_as_the_same_source),
        TEST(another_file_of_the_name_starts_anew),
        TEST(an_unchanged_file_is_the_same_source),
        TEST(a_position_that_is_none),
        TEST(not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
