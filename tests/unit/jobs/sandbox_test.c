// SPDX-License-Identifier: Apache-2.0
// The sandbox with helpers that are scripts and misbehave, and with the real one where it is built.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/loop.h"
#include "core/mem.h"
#include "core/timer.h"
#include "jobs/sandbox.h"
#include "support/patience.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB ((size_t)1 << 20)

struct fixture {
    struct loop *loop;
    struct sandbox *sandbox;
    struct sandbox_check *check;
    struct timer ticker;
    char directory[64];
    unsigned calls, ticks;
    bool destroy_in_callback;
    struct sandbox_verdict verdict;
    size_t fds;
};

static size_t open_fds(void)
{
    size_t n = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        n++;
    closedir(directory);
    return n;
}

static void on_tick(void *owner)
{
    ((struct fixture *)owner)->ticks++;
}

static int set_up(void **state)
{
    struct status st;
    struct fixture *f = mem_zalloc(sizeof(*f));
    f->loop = loop_create(&st);
    assert_non_null(f->loop);
    strcpy(f->directory, "/tmp/cxsink-sandbox-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    unsetenv("CXSINK_JSCHECK");
    f->fds = open_fds();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    sandbox_destroy(&f->sandbox);
    loop_turn(f->loop, false); // what was deferred
    assert_int_equal(open_fds(), f->fds);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // nobody is left behind
    assert_int_equal(errno, ECHILD);
    loop_destroy(&f->loop);
    snprintf(command, sizeof(command), "rm -rf %s", f->directory);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static const char *path_in(struct fixture *f, const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    return path;
}

// A helper that is this script; its own directory is $D.
static void use_script(struct fixture *f, const struct sandbox_options *options, const char *script)
{
    struct sandbox_options o = *options;
    o.helper = path_in(f, "helper");
    FILE *file = fopen(o.helper, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\nD=%s\n%s\n", f->directory, script);
    fclose(file);
    assert_int_equal(chmod(o.helper, 0755), 0);
    f->sandbox = sandbox_create(f->loop, &o);
}

static void on_verdict(void *owner, const struct sandbox_verdict *verdict)
{
    struct fixture *f = owner;
    f->calls++;
    f->verdict = *verdict;
    if (f->destroy_in_callback)
        sandbox_destroy(&f->sandbox);
}

static void start(struct fixture *f, const char *code, size_t length, bool module)
{
    unsigned before = f->calls;
    sandbox_check_start(f->sandbox, code, length, module, on_verdict, f, &f->check);
    assert_non_null(f->check);
    assert_int_equal(f->calls, before);
}

static void turn_until(struct fixture *f, unsigned calls)
{
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    while (f->calls < calls && mono_read().us < end.us)
        loop_turn(f->loop, true);
    assert_int_equal(f->calls, calls);
}

static enum sandbox_result run(struct fixture *f, const char *code, size_t length, bool module)
{
    f->calls = 0;
    start(f, code, length, module);
    turn_until(f, 1);
    assert_null(f->check);
    return f->verdict.result;
}

static void expect(struct fixture *f, enum sandbox_result result, const char *words)
{
    if (f->verdict.result != result || strstr(f->verdict.message, words) == NULL)
        fail_msg("%s: %s", sandbox_result_name(f->verdict.result), f->verdict.message);
}

// Where the time is not what is tested, none is too long for a busy machine.
static const struct sandbox_options patient = {.timeout_us = PATIENCE_US};
static const struct sandbox_options hasty = {.timeout_us = 300 * US_PER_MS};

// --- helpers that misbehave ---

static void understands_verdicts(void **state)
{
    static const struct {
        const char *script;
        enum sandbox_result result;
        unsigned line;
        const char *words;
    } cases[] = {
        {"cat >/dev/null; echo '{\"ok\":true}'", SANDBOX_OK, 0, ""},
        {"echo '{\"ok\":true}'", SANDBOX_OK, 0, ""}, // without having read all
        {"cat >/dev/null; echo '{\"ok\":false,\"kind\":\"syntax\",\"line\":7,\"message\":\"No "
         "\\u00e9 \\\"x\\\"\"}'; exit 1",
         SANDBOX_SYNTAX, 7, "No \xc3\xa9 \"x\""},
        {"echo '{\"ok\":false,\"kind\":\"too_complex\",\"message\":\"deep\"}'; exit 1",
         SANDBOX_TOO_COMPLEX, 0, "deep"},
        {"echo '{\"ok\":false,\"kind\":\"nul\",\"line\":2,\"message\":\"m\"}'; exit 1",
         SANDBOX_REFUSED, 2, "m"},
        {"echo '{\"ok\":false,\"kind\":\"not_utf8\",\"message\":\"m\"}'; exit 1", SANDBOX_REFUSED,
         0, "m"},
        {"echo '{\"ok\":false,\"kind\":\"too_large\",\"message\":\"m\"}'; exit 1", SANDBOX_REFUSED,
         0, "m"},
        // Senseless.
        {"echo '{\"ok\":true}'; exit 1", SANDBOX_CRASHED, 0,
         "exit code 1 and wrote: {\"ok\":true}"},
        {"echo '{\"ok\":false,\"kind\":\"syntax\",\"message\":\"m\"}'", SANDBOX_CRASHED, 0,
         "exit code 0"},
        {"echo '{\"ok\":false,\"kind\":\"odd\",\"message\":\"m\"}'; exit 1", SANDBOX_CRASHED, 0,
         "exit code 1"},
        {"echo '{\"ok\":false,\"kind\":\"syntax\"}'; exit 1", SANDBOX_CRASHED, 0, "exit code 1"},
        {"echo '{\"ok\":0}'", SANDBOX_CRASHED, 0, "exit code 0"},
        {"echo '{}'", SANDBOX_CRASHED, 0, "exit code 0"},
        {"echo '[]'", SANDBOX_CRASHED, 0, "exit code 0"},
        {"echo '{\"ok\":true}{\"ok\":true}'", SANDBOX_CRASHED, 0, "exit code 0"},
        {"echo '{\"ok\":true'", SANDBOX_CRASHED, 0, "exit code 0"},
        {"printf 'gar\\001b\\377age\\n'; exit 3", SANDBOX_CRASHED, 0,
         "exit code 3 and wrote: gar?b?age"},
        {"exit 0", SANDBOX_CRASHED, 0, "no verdict: it ended with exit code 0"},
        {"echo 'cxsink-jscheck: cannot confine itself' >&2; exit 70", SANDBOX_CRASHED, 0,
         "exit code 70 and wrote: cxsink-jscheck: cannot confine itself"},
        {"echo '{\"ok\":true}'; kill -SEGV $$", SANDBOX_CRASHED, 0, "signal 11"},
        {"exec </dev/null >&- 2>&-; exit 4", SANDBOX_CRASHED, 0, "exit code 4"},
    };
    struct fixture *f = *state;
    char *code = mem_zalloc(MIB);
    memset(code, ' ', MIB);
    for (size_t i = 0; i < COUNT(cases); i++) {
        use_script(f, &patient, cases[i].script);
        run(f, code, i % 2 ? MIB : 10, false); // also more than a pipe holds
        expect(f, cases[i].result, cases[i].words);
        assert_int_equal(f->verdict.line, cases[i].line);
        assert_true(f->verdict.elapsed_us > 0);
        assert_int_equal(f->verdict.message[0] == '\0', f->verdict.result == SANDBOX_OK);
        sandbox_destroy(&f->sandbox);
    }
    free(code);
}

static void hands_over_the_code_and_the_mode(void **state)
{
    struct fixture *f = *state;
    size_t length = SANDBOX_CODE_MAX;
    char *code = mem_alloc(length);
    for (size_t i = 0; i < length; i++)
        code[i] = (char)('a' + i % 26);
    use_script(f, &patient,
               "cat >$D/code; echo \"$#$1\" >$D/mode; sleep 0.1; echo '{\"ok\":true}'");
    for (int module = 0; module < 2; module++) {
        char text[32] = "";
        assert_int_equal(run(f, code, length, module != 0), SANDBOX_OK);
        FILE *file = fopen(path_in(f, "mode"), "r");
        assert_non_null(fgets(text, sizeof(text), file));
        fclose(file);
        assert_string_equal(text, module ? "1module\n" : "1script\n");
    }
    char *got = mem_alloc(length + 1);
    FILE *file = fopen(path_in(f, "code"), "r");
    assert_int_equal(fread(got, 1, length + 1, file), length);
    fclose(file);
    assert_memory_equal(got, code, length);
    free(got);
    free(code);
}

// No environment, no descriptor but three, no blocked or ignored signal, a group of its own.
static void leaves_nothing_to_the_helper(void **state)
{
    struct fixture *f = *state;
    sigset_t blocked, old;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    setenv("SECRET", "hidden", 1);
    int leaked = open("/dev/null", O_RDONLY); // without O_CLOEXEC
    use_script(f, &patient,
               "tr '\\0' '\\n' </proc/$$/environ >$D/seen\n"
               "for fd in /proc/$$/fd/*; do readlink $fd; done | grep -v helper >>$D/seen\n"
               "while read -r line; do case $line in Sig[BI]*) echo \"$line\";; esac; done "
               "</proc/$$/status >>$D/seen\n"
               "echo '{\"ok\":true}'");
    assert_int_equal(run(f, "a", 1, false), SANDBOX_OK);
    unsetenv("SECRET");
    close(leaked);
    sigprocmask(SIG_SETMASK, &old, NULL);
    FILE *file = fopen(path_in(f, "seen"), "r");
    char line[256];
    unsigned pipes = 0, signals = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        pipes += strncmp(line, "pipe:", 5) == 0;
        if (strncmp(line, "Sig", 3) == 0) {
            signals++;
            // glibc itself ignores two of its own (32 and 33) in what it spawns.
            if ((strtoull(line + strlen("SigBlk:\t"), NULL, 16) & 0x7fffffff) != 0)
                fail_msg("the helper has %s", line);
        } else if (strncmp(line, "pipe:", 5) != 0) {
            fail_msg("the helper has %s", line);
        }
    }
    fclose(file);
    assert_true(pipes >= 2);
    assert_int_equal(signals, 2);
}

static void ends_one_that_never_answers(void **state)
{
    static const char *const scripts[] = {
        "sleep 1000",                                // does not read
        "cat >/dev/null; sleep 1000",                // reads
        "exec >&- 2>&-; sleep 1000",                 // has closed its output
        "echo '{\"ok\":true}'; sleep 1000",          // a verdict, and no end
        "trap '' TERM INT HUP; while :; do :; done", // busy and deaf
    };
    struct fixture *f = *state;
    char *code = mem_zalloc(MIB);
    memset(code, ' ', MIB);
    timer_init(&f->ticker, f->loop, "ticker", on_tick, f);
    for (size_t i = 0; i < COUNT(scripts); i++) {
        f->ticks = 0;
        timer_start_periodic(&f->ticker, 10 * US_PER_MS);
        use_script(f, &hasty, scripts[i]);
        run(f, code, MIB, false);
        expect(f, SANDBOX_TIMEOUT, "took longer than 0.3 s");
        assert_true(f->verdict.elapsed_us >= hasty.timeout_us);
        assert_true(f->ticks > 0); // the loop went on
        timer_stop(&f->ticker);
        sandbox_destroy(&f->sandbox);
    }
    free(code);
}

static bool alive(int pid)
{
    return kill(pid, 0) == 0;
}

// The pid that the helper's script has written; 0: not yet.
static int written_pid(struct fixture *f)
{
    int pid = 0;
    FILE *file = fopen(path_in(f, "pid"), "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    fclose(file);
    return pid;
}

static void assert_ends(int pid)
{
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    char path[64];
    char program[64]; // of a zombie, which init has not yet reaped, there is none
    snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    while (alive(pid) && readlink(path, program, sizeof(program)) > 0 && mono_read().us < end.us)
        usleep(1000);
    assert_true(!alive(pid) || readlink(path, program, sizeof(program)) < 0);
}

// What a helper starts and leaves behind ends with it: at its limit, and at its own end.
static void ends_what_it_has_started(void **state)
{
    struct fixture *f = *state;
    struct sandbox_options options = hasty;
    for (; written_pid(f) == 0; options.timeout_us *= 2) { // until it came so far within its limit
        use_script(f, &options, "sleep 1000 & echo $! >$D/pid; wait");
        assert_int_equal(run(f, "a", 1, false), SANDBOX_TIMEOUT);
        sandbox_destroy(&f->sandbox);
    }
    assert_ends(written_pid(f));
    use_script(f, &patient, "sleep 1000 & echo $! >$D/pid; echo '{\"ok\":true}'");
    assert_int_equal(run(f, "a", 1, false), SANDBOX_OK);
    assert_ends(written_pid(f));
}

static void ends_one_that_takes_memory(void **state)
{
    struct fixture *f = *state;
    use_script(
        f, &patient,
        "exec /usr/bin/python3 -c 'import time; a = b\"x\" * (300 << 20); time.sleep(1000)'");
    run(f, "a", 1, false);
    expect(f, SANDBOX_MEMORY, "more than 256 MiB");
    sandbox_destroy(&f->sandbox);
    // Address space is not memory.
    use_script(f, &patient,
               "exec /usr/bin/python3 -c 'import mmap; a = mmap.mmap(-1, 4 << 30); "
               "import time; time.sleep(0.2); print(\"{\\\"ok\\\":true}\")'");
    assert_int_equal(run(f, "a", 1, false), SANDBOX_OK);
    sandbox_destroy(&f->sandbox);
    struct sandbox_options narrow = {.timeout_us = PATIENCE_US, .resident_max = 1};
    use_script(f, &narrow, "sleep 1000");
    assert_int_equal(run(f, "a", 1, false), SANDBOX_MEMORY);
}

static void ends_one_that_talks_too_much(void **state)
{
    struct fixture *f = *state;
    use_script(f, &patient, "while :; do echo 'a longer line than is needed to say so'; done");
    run(f, "a", 1, false);
    expect(f, SANDBOX_CRASHED, "wrote more than 4096 bytes");
    sandbox_destroy(&f->sandbox);
    use_script(f, &patient, "head -c 100000 /dev/zero; exit 1"); // and ends
    run(f, "a", 1, false);
    assert_int_equal(f->verdict.result, SANDBOX_CRASHED);
}

// --- no helper ---

static void says_what_is_missing(void **state)
{
    struct fixture *f = *state;
    char other[128];
    snprintf(other, sizeof(other), "%s", path_in(f, "text"));
    FILE *file = fopen(other, "w");
    fputs("no program", file);
    fclose(file);
    const char *const helpers[] = {"/nonexistent/helper", other, f->directory, "/dev/null/x"};
    for (size_t i = 0; i < COUNT(helpers); i++) {
        struct sandbox_options options = {.helper = helpers[i]};
        f->sandbox = sandbox_create(f->loop, &options);
        run(f, "a", 1, false);
        expect(f, SANDBOX_MISSING, "install it or the package cxsink-jscheck; cannot run ");
        expect(f, SANDBOX_MISSING, helpers[i]);
        sandbox_destroy(&f->sandbox);
    }
    assert_int_equal(chmod(other, 0755), 0); // may be run, but is nothing that can be
    struct sandbox_options options = {.helper = other};
    f->sandbox = sandbox_create(f->loop, &options);
    run(f, "a", 1, false);
    expect(f, SANDBOX_MISSING, "Exec format error");
}

static void finds_the_helper(void **state)
{
    struct fixture *f = *state;
    struct status st;
    struct buf path = {0};
    use_script(f, &patient, "echo '{\"ok\":true}'");
    sandbox_destroy(&f->sandbox);
    f->sandbox = sandbox_create(f->loop, NULL);

    setenv("CXSINK_JSCHECK", path_in(f, "helper"), 1);
    assert_int_equal(sandbox_available(&st), STATUS_OK);
    assert_int_equal(sandbox_find(&path, &st), STATUS_OK);
    assert_string_equal(buf_text(&path), path_in(f, "helper"));
    assert_int_equal(run(f, "a", 1, false), SANDBOX_OK);

    setenv("CXSINK_JSCHECK", f->directory, 1); // not beside it, when it is named
    assert_int_equal(sandbox_available(&st), STATUS_NOT_FOUND);
    run(f, "a", 1, false);
    expect(f, SANDBOX_MISSING, "publish needs cxsink-jscheck: install it or the package");
    expect(f, SANDBOX_MISSING, f->directory);

    unsetenv("CXSINK_JSCHECK");
    char own[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
    assert_true(n > 0);
    own[n] = '\0';
    *strrchr(own, '/') = '\0';
    if (sandbox_find(&path, &st) == STATUS_OK) { // one is installed on this machine
        assert_null(strstr(buf_text(&path), own));
    } else {
        assert_non_null(strstr(st.detail, own));
        assert_non_null(strstr(st.detail, "/../libexec/cxsink/cxsink-jscheck, /"));
        assert_int_equal(sandbox_available(&st), STATUS_NOT_FOUND);
    }
    buf_deinit(&path);
}

static size_t take_descriptors(int *taken, size_t room, unsigned leave)
{
    size_t n = 0;
    while (n < room && (taken[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    assert_true(n > leave && n < room);
    while (leave-- > 0)
        close(taken[--n]);
    return n;
}

// An answer, and nothing left behind.
static void survives_without_descriptors(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, few = {.rlim_cur = 64};
    int taken[64];
    getrlimit(RLIMIT_NOFILE, &old);
    few.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_NOFILE, &few);
    use_script(f, &patient, "echo '{\"ok\":true}'");
    for (unsigned leave = 0; leave < 5; leave++) { // four make two pipes
        size_t n = take_descriptors(taken, COUNT(taken), leave);
        run(f, "a", 1, false);
        while (n > 0)
            close(taken[--n]);
        expect(f, leave < 4 ? SANDBOX_CRASHED : SANDBOX_OK, leave < 4 ? "Too many open files" : "");
    }
    sandbox_destroy(&f->sandbox);
    use_script(f, &patient, "sleep 1000"); // none to look at its memory
    start(f, "a", 1, false);
    for (size_t before = open_fds(); open_fds() == before;) // until the code has been written
        loop_turn(f->loop, true);
    size_t n = take_descriptors(taken, COUNT(taken), 0);
    turn_until(f, f->calls + 1);
    while (n > 0)
        close(taken[--n]);
    expect(f, SANDBOX_CRASHED, "cannot watch the memory of cxsink-jscheck: Too many open files");
    setrlimit(RLIMIT_NOFILE, &old);
}

// Seams to the C library, which fail when they are asked to.
static bool no_pidfd;
static unsigned epoll_adds_left = UINT_MAX;

int pidfd_open(pid_t pid, unsigned flags)
{
    if (no_pidfd) {
        errno = ENOSYS;
        return -1;
    }
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && epoll_adds_left-- == 0) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

static void survives_without_watches(void **state)
{
    struct fixture *f = *state;
    use_script(f, &patient, "sleep 1000");
    no_pidfd = true;
    run(f, "a", 1, false);
    no_pidfd = false;
    expect(f, SANDBOX_CRASHED, "Function not implemented");
    for (unsigned n = 0; n < 3; n++) {
        epoll_adds_left = n;
        run(f, "a", 1, false);
        epoll_adds_left = UINT_MAX;
        expect(f, SANDBOX_CRASHED, "cannot watch descriptor");
    }
}

static void refuses_what_is_too_large(void **state)
{
    struct fixture *f = *state;
    char *code = mem_zalloc(10 * MIB);
    use_script(f, &patient, "touch $D/started; echo '{\"ok\":true}'");
    run(f, code, 10 * MIB, false);
    expect(f, SANDBOX_REFUSED, "larger than 1 MiB");
    run(f, code, MIB + 1, false);
    expect(f, SANDBOX_REFUSED, "larger than 1 MiB");
    assert_int_equal(access(path_in(f, "started"), F_OK), -1);
    assert_int_equal(run(f, code, MIB, false), SANDBOX_OK);
    free(code);
}

// --- lives ---

static void cancels_at_any_time(void **state)
{
    struct fixture *f = *state;
    use_script(f, &patient, "touch $D/started; sleep 1000");
    start(f, "a", 1, false); // at once
    sandbox_check_cancel(&f->check);
    assert_null(f->check);
    start(f, "a", 1, false); // while it runs
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    while (access(path_in(f, "started"), F_OK) != 0 && mono_read().us < end.us)
        loop_turn(f->loop, true);
    assert_int_equal(access(path_in(f, "started"), F_OK), 0);
    sandbox_check_cancel(&f->check);
    sandbox_check_cancel(&f->check); // NULL
    // Both are reaped by the loop.
    while (waitpid(-1, NULL, WNOHANG | WNOWAIT) >= 0 && mono_read().us < end.us)
        loop_turn(f->loop, false);
    while (open_fds() > f->fds && mono_read().us < end.us)
        loop_turn(f->loop, false);
    assert_int_equal(open_fds(), f->fds);
    sandbox_check_start(f->sandbox, "a", MIB + 1, false, on_verdict, f,
                        &f->check); // waits for a post
    sandbox_check_cancel(&f->check);
    loop_turn(f->loop, false);
    start(f, "a", 1, false); // left to the destroyer, killed already
    sandbox_check_cancel(&f->check);
    start(f, "a", 1, false); // and running
    sandbox_destroy(&f->sandbox);
    assert_null(f->check);
    loop_turn(f->loop, false);
    assert_int_equal(f->calls, 0);
}

static void may_be_destroyed_by_its_callback(void **state)
{
    struct fixture *f = *state;
    use_script(f, &patient, "echo '{\"ok\":true}'");
    f->destroy_in_callback = true;
    start(f, "a", 1, false);
    sandbox_check_start(f->sandbox, "a", 1, false, on_verdict, f, NULL);
    turn_until(f, 1); // the other's callback does not come
    assert_null(f->sandbox);
    loop_turn(f->loop, false);
    assert_int_equal(f->calls, 1);
}

static void runs_several_at_once(void **state)
{
    struct fixture *f = *state;
    use_script(f, &patient,
               "touch $D/$$; while [ $(ls $D | wc -l) -lt 9 ]; do sleep 0.01; done\n"
               "echo '{\"ok\":true}'");
    for (unsigned i = 0; i < 8; i++) // each waits until all are there
        sandbox_check_start(f->sandbox, "a", 1, false, on_verdict, f, NULL);
    turn_until(f, 8);
    assert_int_equal(f->verdict.result, SANDBOX_OK);
}

static void names_results(void **state)
{
    (void)state;
    assert_string_equal(sandbox_result_name(SANDBOX_TOO_COMPLEX), "too_complex");
    for (int i = 0; i < SANDBOX_RESULT_COUNT; i++)
        assert_true(*sandbox_result_name((enum sandbox_result)i) != '\0');
    assert_true(sandbox_result_final(SANDBOX_OK) && sandbox_result_final(SANDBOX_TIMEOUT));
    assert_false(sandbox_result_final(SANDBOX_MISSING) || sandbox_result_final(SANDBOX_CRASHED));
}

// --- the real one ---

// Two directories above this test, or in $CXSINK_JSCHECK.
static bool use_real(struct fixture *f, int64_t timeout_us)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
    assert_true(n > 0);
    path[n] = '\0';
    for (int up = 0; up < 3; up++)
        *strrchr(path, '/') = '\0';
    strcat(path, "/cxsink-jscheck");
    struct sandbox_options options = {.helper = path, .timeout_us = timeout_us};
#ifdef __SANITIZE_ADDRESS__
    options.resident_max = (size_t)4 << 30; // what a sanitized helper frees stays resident
#endif
    f->sandbox = sandbox_create(f->loop, &options);
    if (access(path, X_OK) == 0)
        return true;
    printf("skipped: cxsink-jscheck is not built, as JavaScriptCore or libseccomp is missing\n");
    skip();
    return false;
}

static void really_checks(void **state)
{
    static const struct {
        const char *code;
        bool module;
        enum sandbox_result result;
        unsigned line;
        const char *words;
    } cases[] = {
        {"exports.handler = function(event) { return { a: event?.data ?? 1 }; };", false,
         SANDBOX_OK, 0, ""},
        {"import a from 'a'; export const b = await a(); class C { #d = 1n; }", true, SANDBOX_OK, 0,
         ""},
        {"", false, SANDBOX_OK, 0, ""},
        {"while (1) { }", false, SANDBOX_OK, 0, ""},
        {"import a from 'a';", false, SANDBOX_SYNTAX, 1, "import"},
        {"let a;\nlet b;\n\nlet let;\n", false, SANDBOX_SYNTAX, 4, "let"},
        {"function f() {\n  return 1;\n", false, SANDBOX_SYNTAX, 3, "end of script"},
        {"'\xff'", false, SANDBOX_REFUSED, 1, "UTF-8"},
    };
    struct fixture *f = *state;
    if (!use_real(f, PATIENCE_US))
        return;
    for (size_t i = 0; i < COUNT(cases); i++) {
        run(f, cases[i].code, strlen(cases[i].code), cases[i].module);
        expect(f, cases[i].result, cases[i].words);
        assert_int_equal(f->verdict.line, cases[i].line);
    }
    run(f, "a\n\0b", 4, true);
    expect(f, SANDBOX_REFUSED, "NUL");
    assert_int_equal(f->verdict.line, 2);
}

static char *repeat(const char *piece, size_t length)
{
    size_t n = strlen(piece);
    char *code = mem_alloc(length);
    for (size_t i = 0; i < length; i++)
        code[i] = piece[i % n];
    return code;
}

static enum sandbox_result run_many(struct fixture *f, const char *piece)
{
    size_t length = MIB / strlen(piece) * strlen(piece);
    char *code = repeat(piece, length);
    enum sandbox_result result = run(f, code, length, false);
    free(code);
    return result;
}

static void really_survives_hostile_code(void **state)
{
    static const struct {
        const char *piece;
        enum sandbox_result result;
    } cases[] = {
        {"{", SANDBOX_TOO_COMPLEX}, {"`${", SANDBOX_TOO_COMPLEX}, {"a=>", SANDBOX_TOO_COMPLEX},
        {"[],", SANDBOX_SYNTAX}, // what a mebibyte of it ends with is missing
        {"/(a+)+$/;", SANDBOX_OK},
    };
    struct fixture *f = *state;
    if (!use_real(f, PATIENCE_US))
        return;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (run_many(f, cases[i].piece) != cases[i].result)
            fail_msg("%s: %s: %s", cases[i].piece, sandbox_result_name(f->verdict.result),
                     f->verdict.message);
    }
    // What takes the parser exponential time: of engines since 2.52 the second one, too.
    sandbox_destroy(&f->sandbox);
    assert_true(use_real(f, 0));
    assert_int_equal(run_many(f, "(a={b:"), SANDBOX_TIMEOUT);
    if (run_many(f, "[") != SANDBOX_TOO_COMPLEX)
        assert_int_equal(f->verdict.result, SANDBOX_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(understands_verdicts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hands_over_the_code_and_the_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_nothing_to_the_helper, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_one_that_never_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_what_it_has_started, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_one_that_takes_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_one_that_talks_too_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_the_helper, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_without_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_without_watches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancels_at_any_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(may_be_destroyed_by_its_callback, set_up, tear_down),
        cmocka_unit_test_setup_teardown(runs_several_at_once, set_up, tear_down),
        cmocka_unit_test(names_results),
        cmocka_unit_test_setup_teardown(really_checks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(really_survives_hostile_code, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
