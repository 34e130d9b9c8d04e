// SPDX-License-Identifier: Apache-2.0
// cxsink status: what it makes of a daemon's answer, and of what is none. The daemon is a child
// process that listens on control.sock and answers once.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/daemon.h"
#include "cli/commands.h"
#include "core/mem.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    char *socket;
    FILE *out, *err; // what the command wrote
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    strcpy(f->dir, "/tmp/cxsink-status-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->socket = mem_printf("%s/control.sock", f->dir);
    f->out = tmpfile();
    f->err = tmpfile();
    assert_true(f->out != NULL && f->err != NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->socket);
    assert_int_equal(rmdir(f->dir), 0);
    fclose(f->out);
    fclose(f->err);
    free(f->socket);
    free(f);
    return 0;
}

// --- the daemon ---

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

// Reads a request to its end and sends these bytes.
static void answer_once(int listener, const char *answer)
{
    char request[4096];
    size_t have = 0;
    int fd = accept(listener, NULL, NULL);
    while (have < sizeof(request) - 1) {
        ssize_t n = read(fd, request + have, sizeof(request) - 1 - have);
        if (n <= 0)
            break;
        have += (size_t)n;
        request[have] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL)
            break;
    }
    bool right = strncmp(request, "GET /api/status HTTP/1.1\r\n", 26) == 0;
    size_t length = strlen(answer);
    if (right && write(fd, answer, length) != (ssize_t)length)
        _exit(1);
    close(fd);
}

// Starts the daemon; NULL: none. Returns its process.
static pid_t start(const struct fixture *f, const char *answer)
{
    if (answer == NULL)
        return 0;
    int listener = listen_at(f->socket);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        answer_once(listener, answer);
        _exit(0);
    }
    close(listener);
    return pid;
}

// --- the command ---

static void redirect(int fd, int to, int *kept_r)
{
    *kept_r = dup(to);
    dup2(fd, to);
}

// Runs `status` with these arguments.
static int run(struct fixture *f, int argc, char **argv)
{
    int out, err;
    fflush(stdout);
    assert_int_equal(ftruncate(fileno(f->out), 0), 0);
    assert_int_equal(ftruncate(fileno(f->err), 0), 0);
    rewind(f->out);
    rewind(f->err);
    redirect(fileno(f->out), STDOUT_FILENO, &out);
    redirect(fileno(f->err), STDERR_FILENO, &err);
    optind = 0; // getopt starts anew
    int code = cli_status(argc, argv);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    return code;
}

static int ask(struct fixture *f, const char *answer, const char *option)
{
    char *argv[] = {(char[]){"status"}, (char[]){"--runtime-dir"}, f->dir,
                    (char *)(uintptr_t)option, NULL};
    pid_t pid = start(f, answer);
    int code = run(f, option != NULL ? 4 : 3, argv);
    if (pid != 0)
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    return code;
}

static void read_back(FILE *file, const char *whole)
{
    char text[8192];
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    assert_string_equal(text, whole);
}

static void wrote(FILE *file, const char *part)
{
    char text[8192];
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

// --- tests ---

#define HEAD "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
#define STATUS                                                                                   \
    "{\"version\":\"0.1.0\",\"pid\":77,\"state\":\"stopping\",\"ready\":false,\"reasons\":["     \
    "\"stream main: \\u001b[2J\"],\"started_at\":\"2026-01-01T00:00:00.000Z\","                  \
    "\"now\":\"2026-01-02T00:00:12.000Z\",\"streams\":["                                         \
    "{\"name\":\"main\",\"state\":\"live\",\"connected\":true,\"received\":12,\"committed\":11," \
    "\"rejected\":1,\"dropped\":7,\"commit_p99_seconds\":0.025,"                                 \
    "\"last_event_at\":\"2026-01-02T00:00:00.000Z\"},"                                           \
    "{\"name\":\"new\",\"state\":\"backoff\",\"received\":123456789,\"committed\":0,"            \
    "\"rejected\":0,\"last_event_at\":null}],"                                                   \
    "\"tokens\":[{\"auth\":\"a\",\"state\":\"valid\",\"expires_at\":"                            \
    "\"2026-01-02T01:00:12.000Z\",\"last_error\":\"refused once\"}],"                            \
    "\"spool\":{\"events\":3,\"bytes\":998244353,\"max_bytes\":1073741824,\"corrupt\":2,"        \
    "\"oldest_seconds\":150},\"database\":{\"state\":\"ready\",\"connections_ready\":2,"         \
    "\"connections\":2,\"inserted\":10,\"updated\":1,\"unchanged\":0,\"dead_letters\":1,"        \
    "\"retries\":4},\"jobs\":{\"states\":{\"queued\":5,\"polling\":2},\"active\":1,"             \
    "\"last_error\":\"no \\u0007 answer\",\"apis\":[{\"name\":\"far\",\"breaker\":\"open\","     \
    "\"open_for_seconds\":3.25,\"held_for_seconds\":1.5,\"in_flight\":4,\"waiting\":6}]}}\n"

static void what_the_daemon_does(void **state)
{
    struct fixture *f = *state;
    static const char shown[] =
        "cxsink 0.1.0: NOT READY, up 24 h, process 77, stopping\n"
        "! stream main: \\x1b[2J\n" // a terminal is not steered
        "- stream main: 7 events dropped, as the spool was full\n"
        "- spool: 2 damaged places were skipped; see the audit log\n"
        "\n"
        "stream state       received committed  rejected     p99      last\n"
        "main   live              12        11         1   25 ms      12 s\n"
        "new    backoff       123.5M         0         0       -  none yet\n"
        "\n"
        "spool     #########. 3 events, 952.0 MiB of 1.0 GiB, oldest 2 min\n"
        "database  ready, 2 of 2 connections, 0 events in flight, 4 retries\n"
        "          10 inserted, 1 updated, 0 unchanged, 1 dead letters\n"
        "token     a valid for 60 min more; refused once\n"
        "jobs      5 queued, 0 running, 2 polling, 0 failed, 1 leased here\n"
        "          the queue cannot be reached: no \\x07 answer\n"
        "api       far: breaker open for 3.2 s more, 4 requests in flight, 6 waiting, held back "
        "for 1.5 s\n";
    assert_int_equal(ask(f, HEAD STATUS, NULL), EXIT_DONE);
    read_back(f->out, shown);
}

static void as_json_as_it_came(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, HEAD STATUS, "--json"), EXIT_DONE);
    read_back(f->out, STATUS);
}

static void an_answer_that_lacks_everything(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, HEAD "{}", NULL), EXIT_DONE);
    wrote(f->out, "NOT READY");
}

static void whether_it_is_ready(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, HEAD STATUS, "--ready"), EXIT_NO);
    wrote(f->out, "not ready\n! stream main: \\x1b[2J\n");
    unlink(f->socket);
    assert_int_equal(ask(f, HEAD "{\"ready\":true,\"reasons\":[]}", "--ready"), EXIT_DONE);
    wrote(f->out, "ready\n");
    unlink(f->socket);
    assert_int_equal(ask(f, NULL, "--ready"), EXIT_NO_SERVER);
}

static void answers_that_are_none(void **state)
{
    static const struct {
        const char *answer, *words;
    } cases[] = {
        {"", "does not answer"},
        {"HTTP/1.1 200 OK\r\n", "does not answer"},
        {"HTTP/1.1 503 Busy\r\n\r\n{}", "does not answer"},
        {HEAD "{\"cut\":", "not JSON"},
        {HEAD "no json", "not JSON"},
        {HEAD, "not JSON"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ask(f, cases[i].answer, NULL), EXIT_NO_SERVER);
        wrote(f->err, cases[i].words);
        unlink(f->socket);
    }
}

static void no_daemon(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, NULL, NULL), EXIT_NO_SERVER);
    wrote(f->err, "is it running");
    // A socket that a killed daemon left behind.
    close(listen_at(f->socket));
    assert_int_equal(ask(f, NULL, "--json"), EXIT_NO_SERVER);
    wrote(f->err, "Connection refused");
}

static void a_path_that_no_socket_has(void **state)
{
    struct fixture *f = *state;
    char dir[200];
    memset(dir, 'x', sizeof(dir) - 1);
    dir[sizeof(dir) - 1] = '\0';
    char *argv[] = {(char[]){"status"}, (char[]){"--runtime-dir"}, dir, NULL};
    assert_int_equal(run(f, 3, argv), EXIT_NO_SERVER);
    wrote(f->err, "too long");
}

static void wrong_usage(void **state)
{
    struct fixture *f = *state;
    char *unknown[] = {(char[]){"status"}, (char[]){"--nonsense"}, NULL};
    assert_int_equal(run(f, 2, unknown), EXIT_WRONG_USAGE);
    char *argument[] = {(char[]){"status"}, (char[]){"main"}, NULL};
    assert_int_equal(run(f, 2, argument), EXIT_WRONG_USAGE);
    wrote(f->err, "takes no argument \"main\"; see `cxsink status --help`");
    static const char *const refused[][4] = {
        {"--watch", "--ready", NULL, "do not go together"},
        {"--watch", "soon", NULL, "not \"soon\""},
        {"--watch", "1ms", NULL, "100ms at least"},
        {"--watch", "1s", "2s", "takes no argument \"2s\""},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char *wrong[] = {(char[]){"status"}, (char *)(uintptr_t)refused[i][0],
                         (char *)(uintptr_t)refused[i][1], (char *)(uintptr_t)refused[i][2], NULL};
        assert_int_equal(run(f, refused[i][2] != NULL ? 4 : 3, wrong), EXIT_WRONG_USAGE);
        wrote(f->err, refused[i][3]);
    }
    char *help[] = {(char[]){"status"}, (char[]){"-h"}, NULL};
    assert_int_equal(run(f, 2, help), EXIT_DONE);
    wrote(f->out, "usage: cxsink status");
    char *missing[] = {(char[]){"status"}, (char[]){"-c"}, (char[]){"/nonexistent.json"}, NULL};
    assert_int_equal(run(f, 3, missing), EXIT_CONFIG);
    wrote(f->err, "/nonexistent.json");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_daemon_does),
        TEST(as_json_as_it_came),
        TEST(an_answer_that_lacks_everything),
        TEST(whether_it_is_ready),
        TEST(answers_that_are_none),
        TEST(no_daemon),
        TEST(a_path_that_no_socket_has),
        TEST(wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
