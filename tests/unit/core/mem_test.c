// SPDX-License-Identifier: Apache-2.0
// Allocation: never NULL, contents kept, secrets wiped; out of memory ends the process.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"

static void sizes_of_zero_are_allowed(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_zalloc(0);
    void *c = mem_realloc(NULL, 0), *d = mem_realloc_array(NULL, 0, 8);
    assert_non_null(a);
    assert_non_null(b);
    c = mem_realloc(c, 0);
    assert_non_null(c);
    assert_non_null(d);
    free(a);
    free(b);
    free(c);
    free(d);
}

static void contents_are_zero_or_kept(void **state)
{
    static const char zeros[1000];
    (void)state;
    char *p = mem_zalloc(sizeof(zeros));
    assert_memory_equal(p, zeros, sizeof(zeros));
    memset(p, 'x', 10);
    p = mem_realloc(p, 100000);
    assert_memory_equal(p, "xxxxxxxxxx", 10);
    p = mem_realloc_array(p, 200, 1000);
    assert_memory_equal(p, "xxxxxxxxxx", 10);
    free(p);
}

static void texts_are_copied(void **state)
{
    (void)state;
    char *whole = mem_strdup("whole"), *part = mem_strndup("partial", 4);
    char *made = mem_printf("%s-%d", "x", 7);
    assert_string_equal(whole, "whole");
    assert_string_equal(part, "part");
    assert_string_equal(made, "x-7");
    free(whole);
    free(part);
    free(made);
    char *short_one = mem_strndup("ab", 100);
    assert_string_equal(short_one, "ab");
    free(short_one);
}

static void secrets_are_wiped(void **state)
{
    static const char zeros[8];
    char room[8] = "secret!";
    (void)state;
    mem_wipe(room, sizeof(room));
    assert_memory_equal(room, zeros, sizeof(room));
    char *secret = mem_strdup("secret");
    mem_wipe_free(&secret);
    assert_null(secret);
    mem_wipe_free(&secret);
    assert_null(secret);
}

// Runs `fn` in a child whose stderr is read; it must end by abort() after a line about it.
static void must_stop(void (*fn)(void))
{
    int ends[2], status;
    char text[1024];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, sizeof(text) - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    // A sanitizer says a word of its own before.
    assert_non_null(
        strstr(text, "cxsink: out of memory, stopping; nothing that the spool holds is lost\n"));
}

// Volatile, so that the compiler does not see that it cannot be had.
static volatile size_t too_much = SIZE_MAX / 2 - 1;

static void want_too_much(void)
{
    free(mem_alloc(too_much));
}

static void want_too_much_zeroed(void)
{
    free(mem_zalloc(too_much));
}

static void want_an_array_that_overflows(void)
{
    free(mem_realloc_array(NULL, too_much, 16));
}

static void grow_too_much(void)
{
    free(mem_realloc(mem_alloc(10), too_much));
}

static void out_of_memory_ends_the_process(void **state)
{
    (void)state;
    must_stop(want_an_array_that_overflows);
    must_stop(want_too_much);
    must_stop(want_too_much_zeroed);
    must_stop(grow_too_much);
}

// The sanitizer would end the process by itself, with words of its own.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_zero_are_allowed),
        cmocka_unit_test(contents_are_zero_or_kept),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(secrets_are_wiped),
        cmocka_unit_test(out_of_memory_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
