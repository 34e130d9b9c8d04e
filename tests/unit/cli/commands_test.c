// SPDX-License-Identifier: Apache-2.0
// run, check, load and dead as far as they come without a server: their arguments, their help,
// their exit codes, and what check says of a configuration.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/daemon.h"
#include "cli/commands.h"
#include "core/mem.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    char *config, *events;
    FILE *out, *err; // what the command wrote
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (const char *p = text; *p != '\0'; p++)
        assert_int_equal(fputc(*p == '\'' ? '"' : *p, file), *p == '\'' ? '"' : *p);
    assert_int_equal(fclose(file), 0);
}

#define TABLES "'tables': {'t': {'columns': {'id': '/id'}, 'key': ['id']}}"
#define GOOD "{'streams': {'main': {'url': 'ws://host/', 'table': 't'}}, " TABLES "}"

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    strcpy(f->dir, "/tmp/cxsink-commands-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->config = mem_printf("%s/cxsink.json", f->dir);
    f->events = mem_printf("%s/events.ndjson", f->dir);
    write_file(f->config, GOOD);
    f->out = tmpfile();
    f->err = tmpfile();
    assert_true(f->out != NULL && f->err != NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->config);
    assert_int_equal(rmdir(f->dir), 0);
    fclose(f->out);
    fclose(f->err);
    free(f->config);
    free(f->events);
    free(f);
    return 0;
}

// --- running a command ---

typedef int (*command_fn)(int argc, char **argv);

static void begin(FILE *file, int fd, int *kept_r)
{
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    rewind(file);
    *kept_r = dup(fd);
    dup2(fileno(file), fd);
}

static void end(int fd, int kept)
{
    dup2(kept, fd);
    close(kept);
}

// Runs it with the words of `line` as its arguments; CONFIG and EVENTS stand for paths.
static int run(struct fixture *f, command_fn command, const char *line)
{
    char *words = mem_strdup(line);
    char *argv[16];
    int argc = 0, out, err;
    for (char *word = strtok(words, " "); word != NULL && argc < 15; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "CONFIG") == 0   ? f->config
                       : strcmp(word, "EVENTS") == 0 ? f->events
                                                     : word;
    argv[argc] = NULL;
    fflush(stdout);
    begin(f->out, STDOUT_FILENO, &out);
    begin(f->err, STDERR_FILENO, &err);
    optind = 0; // getopt starts anew
    int code = command(argc, argv);
    fflush(stdout);
    end(STDOUT_FILENO, out);
    end(STDERR_FILENO, err);
    free(words);
    return code;
}

static void wrote(FILE *file, const char *part)
{
    char text[8192];
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

// --- arguments ---

static void wrong_usage(void **state)
{
    static const struct {
        command_fn command;
        const char *line, *said;
    } cases[] = {
        {cli_run, "run --nonsense", "unknown option"},
        {cli_run, "run -c", "-c needs a value"},
        {cli_run, "run now", "takes no argument \"now\""},
        {cli_check, "check --conect", "unknown option \"--conect\" (did you mean \"connect\"?)"},
        {cli_check, "check file", "takes no argument \"file\""},
        {cli_load, "load --nonsense", "unknown option"},
        {cli_load, "load file", "--stream NAME is missing"},
        {cli_load, "load --stream main", "no file is named"},
        {cli_dead, "dead --nonsense", "unknown option"},
        {cli_dead, "dead", "list, show, replay or purge?"},
        {cli_dead, "dead bury", "no such thing as \"bury\""},
        {cli_dead, "dead show", "show takes one id"},
        {cli_dead, "dead show 1 2", "show takes one id"},
        {cli_dead, "dead show one", "\"one\" is not the id"},
        {cli_dead, "dead show 9999999999999999999", "is not the id"},
        {cli_dead, "dead list --all", "list takes no --all"},
        {cli_dead, "dead show 1 --stream main", "show takes no --stream"},
        {cli_dead, "dead list --limit 0", "--limit takes a whole number above 0"},
        {cli_dead, "dead list --limit many", "--limit takes a whole number above 0"},
        {cli_dead, "dead replay", "replay what?"},
        {cli_dead, "dead replay --limit 5", "replay what?"},
        {cli_dead, "dead replay 1 --all", "not both"},
        {cli_dead, "dead replay 1 --yes", "replay takes no --yes"},
        {cli_dead, "dead purge", "purge what?"},
        {cli_dead, "dead purge --limit 1", "purge what?"},
        {cli_dead, "dead purge all", "\"all\" is not the id"},
        {cli_jobs, "jobs", "submit, list, show, cancel or retry?"},
        {cli_jobs, "jobs dance", "no such thing as \"dance\""},
        {cli_jobs, "jobs submit", "submit what?"},
        {cli_jobs, "jobs submit --dry-run --wait f", "--dry-run queues nothing"},
        {cli_jobs, "jobs submit --timeout 5s f", "--timeout goes with --wait"},
        {cli_jobs, "jobs submit --all f", "--all does not go with submit"},
        {cli_jobs, "jobs list 1", "list takes filters"},
        {cli_jobs, "jobs list --state lost", "no state \"lost\""},
        {cli_jobs, "jobs list --stats --schedules", "--stats goes with neither"},
        {cli_jobs, "jobs list --schedules --limit 1", "--schedules takes no filters"},
        {cli_jobs, "jobs show", "show takes one id"},
        {cli_jobs, "jobs cancel", "cancel what?"},
        {cli_jobs, "jobs retry 1 --all", "not both"},
        {cli_names, "names", "one of streams, tables"},
        {cli_names, "names flowers", "one of streams, tables"},
        {cli_names, "names streams tables", "one of streams, tables"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(f, cases[i].command, cases[i].line), EXIT_WRONG_USAGE);
        wrote(f->err, cases[i].said);
        wrote(f->err, "--help`");
        assert_int_equal(ftell(f->out), 0);
    }
}

static void help(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, cli_run, "run --help"), EXIT_DONE);
    wrote(f->out, "usage: cxsink run");
    assert_int_equal(run(f, cli_check, "check -h"), EXIT_DONE);
    wrote(f->out, "usage: cxsink check");
    assert_int_equal(run(f, cli_load, "load --help"), EXIT_DONE);
    wrote(f->out, "usage: cxsink load");
    assert_int_equal(run(f, cli_dead, "dead -h"), EXIT_DONE);
    wrote(f->out, "usage: cxsink dead");
    assert_int_equal(run(f, cli_jobs, "jobs submit --help"), EXIT_DONE);
    wrote(f->out, "usage: cxsink jobs submit");
}

static void no_configuration(void **state)
{
    struct fixture *f = *state;
    unlink(f->config);
    assert_int_equal(run(f, cli_run, "run -c CONFIG"), EXIT_CONFIG);
    wrote(f->err, f->config);
    assert_int_equal(run(f, cli_check, "check --config CONFIG"), EXIT_CONFIG);
    wrote(f->err, f->config);
    assert_int_equal(run(f, cli_load, "load -c CONFIG --stream main -"), EXIT_CONFIG);
    wrote(f->err, f->config);
    assert_int_equal(run(f, cli_dead, "dead list -c CONFIG"), EXIT_CONFIG);
    wrote(f->err, f->config);
    assert_int_equal(run(f, cli_jobs, "jobs list -c CONFIG"), EXIT_CONFIG);
    wrote(f->err, f->config);
    assert_int_equal(run(f, cli_names, "names streams -c CONFIG"), EXIT_CONFIG);
    wrote(f->err, "No such file or directory; name the configuration with -c FILE");
}

static void names(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, cli_names, "names streams -c CONFIG"), EXIT_DONE);
    wrote(f->out, "main\n");
    assert_int_equal(run(f, cli_names, "names tables -c CONFIG"), EXIT_DONE);
    wrote(f->out, "t\n");
    assert_int_equal(run(f, cli_names, "names actions -c CONFIG"), EXIT_DONE);
    assert_int_equal(ftell(f->out), 0);
}

// --- check ---

static void check_of_what_is_well(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, cli_check, "check -c CONFIG"), EXIT_DONE);
    wrote(f->out, "1 stream, 1 table, 0 credentials: all is well\n");
    assert_int_equal(run(f, cli_check, "check -c CONFIG --json"), EXIT_DONE);
    wrote(f->out, "[]\n");
    write_file(f->config, "{'jobs': {}, " TABLES ","
                          " 'streams': {'a': {'url': 'ws://h/', 'table': 't'},"
                          "             'b': {'url': 'ws://h/', 'table': 't'}}}");
    assert_int_equal(run(f, cli_check, "check -c CONFIG"), EXIT_DONE);
    wrote(f->out, "2 streams, 1 table");
}

#define JOBS(timeout, action)                                                        \
    "{'jobs': {'apis': {'x': {'base_url': 'https://h'}}, 'actions': {'t': {'kind': " \
    "'configure', 'api': 'x', 'action_id': 'a'}}, 'queue': [\n"                      \
    "{'id': 'a', 'action': 't', 'timeout_ms': " timeout "},\n"                       \
    "{'id': 'b', 'action': '" action "', 'timeout_ms': 5}]}, " TABLES ", "           \
    "'streams': {'main': {'url': 'ws://host/', 'table': 't'}}}"

static void check_of_jobs(void **state)
{
    struct fixture *f = *state;
    write_file(f->config, JOBS("5", "t"));
    assert_int_equal(run(f, cli_check, "check -c CONFIG"), EXIT_DONE);
    wrote(f->out, "1 table, 0 credentials, 1 action, 2 jobs: all is well\n");
    write_file(f->config, JOBS("50000", "u"));
    assert_int_equal(run(f, cli_check, "check -c CONFIG"), EXIT_CONFIG);
    wrote(f->err, "cxsink.json:2: /jobs/queue/0/timeout_ms: must be a whole number");
    wrote(f->err, "cxsink.json:3: /jobs/queue/1/action: the configuration allows no action \"u\"");
}

// Of the file, of a schema, of a certificate and of an address: all at once.
static void check_tells_every_fault(void **state)
{
    struct fixture *f = *state;
    write_file(f->config, "{'streams': {\n"
                          "'a': {'url': 'ws://h/', 'table': 't', 'schema': 'nowhere.json'},\n"
                          "'b': {'url': 'ws://h%20/', 'table': 't'},\n"
                          "'c': {'url': 'wss://h/', 'table': 't', 'tls': {'ca_file': 'no.pem'}}\n"
                          "}, " TABLES ",\n'postgres': {'dsn': 'nonsense'}}");
    assert_int_equal(run(f, cli_check, "check -c CONFIG"), EXIT_CONFIG);
    wrote(f->err, "cxsink.json:2: /streams/a/schema: ");
    wrote(f->err, "cxsink.json:6: /postgres/dsn: the PostgreSQL DSN cannot be parsed");
    wrote(f->err, "cxsink.json:3: /streams/b/url: ");
    wrote(f->err, "cxsink.json:4: /streams/c/tls");
    assert_int_equal(run(f, cli_check, "check -c CONFIG --json"), EXIT_CONFIG);
    wrote(f->out, "\"line\":2,\"pointer\":\"/streams/a/schema\"");
    wrote(f->out, "\"line\":3,\"pointer\":\"/streams/b/url\"");
}

// --- load ---

static void load_of_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, cli_load, "load -c CONFIG --stream other EVENTS"), EXIT_CONFIG);
    wrote(f->err, "no stream \"other\"");
    assert_int_equal(run(f, cli_load, "load -c CONFIG --stream main EVENTS"), EXIT_NO);
    wrote(f->err, "cannot open");
    wrote(f->err, f->events);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_usage),
        TEST(help),
        TEST(no_configuration),
        TEST(names),
        TEST(check_of_what_is_well),
        TEST(check_of_jobs),
        TEST(check_tells_every_fault),
        TEST(load_of_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
