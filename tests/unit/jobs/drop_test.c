// SPDX-License-Identifier: Apache-2.0
// The drop directory: what is taken, when, and where it is put.
#include "jobs/queue_fixture.h"

#include "core/log.h"
#include "jobs/drop.h"
#include "jobs/submission.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOBODY 65534

static struct fixture *f;
static struct worker *w;
static struct drop *drop;
static char dir[40];

// --- files ---------------------------------------------------------------------------------------

// Good for the next three calls.
static const char *path_of(const char *name)
{
    static char paths[4][100];
    static unsigned next;
    char *path = paths[next++ % 4];
    assert_true((size_t)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name) < sizeof(paths[0]));
    return path;
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(path_of(from), path_of(to)), 0);
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

// As somebody who had written it a while ago.
static void make_old(const char *name)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - 60}, {.tv_sec = time(NULL) - 60}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, AT_SYMLINK_NOFOLLOW), 0);
}

static bool is_there(const char *name)
{
    struct stat info;
    return lstat(path_of(name), &info) == 0;
}

static char *content(const char *name)
{
    static char text[4096];
    FILE *file = fopen(path_of(name), "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

// How many entries of a directory begin with `prefix`.
static unsigned count(const char *name, const char *prefix)
{
    unsigned n = 0;
    DIR *d = opendir(path_of(name));
    const struct dirent *entry;
    while (d != NULL && (entry = readdir(d)) != NULL)
        n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && entry->d_name[0] != '.';
    if (d != NULL)
        closedir(d);
    return n;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

// --- life ----------------------------------------------------------------------------------------

static int set_up(void **state)
{
    (void)state;
    static char template[] = "/tmp/cxsink-drop-XXXXXX";
    snprintf(dir, sizeof(dir), "%s", template);
    assert_non_null(mkdtemp(dir));
    f = fixture_create();
    for (size_t i = 0; i < 3; i++) {
        f->actions[i].kind = ACTION_INVOKE;
        f->actions[i].action_id = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
        f->actions[i].max_payload = 524288;
    }
    f->config.jobs.drop_dir = dir;
    w = worker_start(f, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drop_destroy(&drop);
    fixture_destroy(f);
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void start(void)
{
    drop = drop_create(f->loop, w->queue, &f->config);
}

#define ONE(id) "{\"id\": \"" id "\", \"action\": \"one\"}"

// --- what is taken -------------------------------------------------------------------------------

static void test_takes_files(void **state)
{
    (void)state;
    start();
    struct stat info;
    assert_int_equal(stat(path_of("failed"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    put("a.json", ONE("a"));                        // closed
    put("b.tmp", "[" ONE("b1") ", " ONE("b2") "]"); // not yet
    put(".hidden.json", ONE("hidden"));
    put("c.txt", ONE("c"));
    wait_until(f, is_there("done/a.json"));
    move("b.tmp", "b.json");
    wait_until(f, is_there("done/b.json"));
    assert_query(f, "SELECT id, action, source FROM cxsink.jobs ORDER BY id",
                 "a|one|drop\nb1|one|drop\nb2|one|drop");
    assert_false(is_there("a.json") || is_there("b.json"));
    assert_true(is_there(".hidden.json") && is_there("c.txt"));
    assert_int_equal(count("failed", ""), 0);
}

// What was there before, but not what may still be written.
static void test_looks_through(void **state)
{
    (void)state;
    put("old.json", ONE("old"));
    make_old("old.json");
    put("young.json", ONE("young"));
    start();
    wait_until(f, is_there("done/old.json"));
    for (int i = 0; i < 50; i++)
        fixture_turn(f);
    assert_true(is_there("young.json"));
    wait_until(f, is_there("done/young.json")); // at a later look
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "2");
}

static void test_thousands_at_once(void **state)
{
    (void)state;
    enum { FILES = 2000 };
    char name[32], text[128];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%d.json", i);
        snprintf(text, sizeof(text), i % 10 == 3 ? "{\"id\": \"j%d\"}" : ONE("j%d"), i);
        put(name, text);
        make_old(name);
    }
    start();
    for (unsigned left = FILES; left > 0; left -= 100) // a disk may be slow
        wait_until(f, count("", "f") <= left);
    wait_until(f, count("", "f") == 1); // failed/
    assert_int_equal(count("done", "f"), FILES * 9 / 10);
    assert_int_equal(count("failed", "f"), FILES / 10 * 2);
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "1800");
}

static void test_order_of_names_that_were_told(void **state)
{
    (void)state;
    start();
    put("a.json", ONE("a"));
    put("a.json", ONE("a")); // told twice
    put("b.json", ONE("b"));
    wait_until(f, is_there("done/b.json"));
    assert_int_equal(count("done", "a"), 1);
    assert_int_equal(count("failed", ""), 0);
}

// --- what is refused -----------------------------------------------------------------------------

static void test_refuses_with_every_fault(void **state)
{
    (void)state;
    start();
    put("bad.json", "[{\"id\": \"x\"}, " ONE("fine") ", {\"action\": \"nine\"}]");
    put("good.json", ONE("good"));
    wait_until(f, is_there("done/good.json")); // the rest goes on
    assert_true(is_there("failed/bad.json"));
    char *text = content("failed/bad.json.error");
    assert_non_null(strstr(text, "/0"));
    assert_non_null(strstr(text, "/2/action: "));
    assert_query(f, "SELECT string_agg(id, ',') FROM cxsink.jobs", "good"); // all or none
    put("empty.json", "");
    put("broken.json", "{");
    wait_until(f, is_there("failed/empty.json") && is_there("failed/broken.json"));
    assert_true(content("failed/empty.json.error")[0] != '\0');
    struct stat info;
    assert_int_equal(stat(path_of("failed/bad.json.error"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_refused_by_the_server(void **state)
{
    (void)state;
    start();
    run_sql(f, "ALTER TABLE cxsink.jobs ADD CHECK (id <> 'never')");
    put("never.json", ONE("never"));
    wait_until(f, is_there("failed/never.json"));
    assert_non_null(strstr(content("failed/never.json.error"), "PostgreSQL refuses the jobs"));
}

static void test_refuses_what_is_no_file(void **state)
{
    (void)state;
    put("target", ONE("secret"));
    assert_int_equal(symlink(path_of("target"), path_of("link.json")), 0);
    make_old("link.json");
    assert_int_equal(mkfifo(path_of("fifo.json"), 0600), 0); // nobody writes: must not wait
    make_old("fifo.json");
    assert_int_equal(mkdir(path_of("dir.json"), 0700), 0);
    make_old("dir.json");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path_of("socket.json"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    make_old("socket.json");
    put("large.json", "[");
    assert_int_equal(truncate(path_of("large.json"), (1 << 20) + 1), 0);
    make_old("large.json");
    start();
    static const struct {
        const char *name, *told;
    } cases[] = {{"link.json", "symbolic link"},
                 {"fifo.json", "no regular file"},
                 {"dir.json", "no regular file"},
                 {"socket.json", "no regular file"},
                 {"large.json", "larger than 1 MiB"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "failed/%s", cases[i].name);
        wait_until(f, is_there(name));
        snprintf(name, sizeof(name), "failed/%s.error", cases[i].name);
        assert_non_null(strstr(content(name), cases[i].told));
    }
    close(fd);
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "0");
}

static void test_unreadable(void **state)
{
    (void)state;
    bool root = geteuid() == 0;
    put("closed.json", ONE("closed"));
    assert_int_equal(chmod(path_of("closed.json"), 0), 0);
    make_old("closed.json");
    if (root) { // who may read everything: as somebody else, to the file system
        assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
        setfsuid(NOBODY);
    }
    start();
    wait_until(f, is_there("failed/closed.json"));
    if (root)
        setfsuid(0);
    assert_non_null(strstr(content("failed/closed.json.error"), "may not read"));
}

// --- ids -----------------------------------------------------------------------------------------

#define NAMELESS "[{\"action\": \"one\"}, {\"action\": \"two\"}, " ONE("named") "]"

// A crash between COMMIT and move: the same file again.
static void test_same_file_queues_nothing_twice(void **state)
{
    (void)state;
    put("x.json", NAMELESS);
    make_old("x.json");
    start();
    wait_until(f, is_there("done/x.json"));
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "3");
    drop_destroy(&drop);
    move("done/x.json", "x.json"); // inode and times stay
    start();
    wait_until(f, is_there("done/x.json"));
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "3");
    put("x.json", NAMELESS);                     // another one, with the same jobs
    wait_until(f, count("done", "x.json") == 2); // beside the first
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "5");
}

// The server lets nobody write jobs until it is let go.
static PGconn *hold(void)
{
    PGconn *holder = PQconnectdb(f->dsn);
    PQclear(PQexec(holder, "BEGIN; LOCK cxsink.jobs IN SHARE MODE"));
    return holder;
}

static void wait_held(void)
{
    wait_until(f, !query_is(f, "SELECT count(*) FROM pg_locks WHERE NOT granted", "0"));
    for (int i = 0; i < 50; i++) // the file is read in one of the next turns
        fixture_turn(f);
}

// The daemon ends while a file is being queued.
static void test_destroyed_while_queueing(void **state)
{
    (void)state;
    start();
    PGconn *holder = hold();
    put("x.json", NAMELESS);
    wait_held();
    drop_destroy(&drop);
    PQfinish(holder);
    wait_until(f, query_is(f, "SELECT count(*) FROM cxsink.jobs", "3"));
    assert_true(is_there("x.json"));
    make_old("x.json"); // another time: then another file, for all that can be told
    start();
    wait_until(f, is_there("done/x.json"));
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "5");
}

// So many jobs that they are read over several turns.
static void put_many(const char *name, unsigned jobs)
{
    struct buf text = {0};
    for (unsigned i = 0; i < jobs; i++)
        buf_printf(&text, "{\"id\": \"m%u\", \"action\": \"one\"}\n", i);
    put(name, buf_text(&text));
    buf_deinit(&text);
}

// The reading is given up after any number of turns, by its end or by another configuration: it is
// begun anew.
static void test_given_up_while_reading(void **state)
{
    (void)state;
    struct config other = f->config;
    put_many("many.json", 3000);
    make_old("many.json");
    for (unsigned turns = 1; turns < 7; turns++) {
        start();
        for (unsigned i = 0; i < turns; i++)
            loop_turn(f->loop, false);
        drop_reconfigure(drop, turns % 2 == 0 ? &other : &f->config);
        for (unsigned i = 0; i < turns; i++)
            loop_turn(f->loop, false);
        assert_true(is_there("many.json"));
        drop_destroy(&drop);
    }
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "0");
    start();
    wait_until(f, is_there("done/many.json"));
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "3000");
}

// --- moving --------------------------------------------------------------------------------------

static void test_names_that_are_taken(void **state)
{
    (void)state;
    start();
    put("bad.json", "{");
    wait_until(f, count("failed", "bad.json") == 2);
    put("bad.json", "{");
    wait_until(f, count("failed", "bad.json") == 4); // with errors of its own
    put("good.json", ONE("g"));
    wait_until(f, count("done", "good.json") == 1);
    put("good.json", ONE("g"));
    wait_until(f, count("done", "good.json") == 2);
    assert_string_equal(content("failed/bad.json"), "{");
}

// A file that gets the name of the one that is being queued is not put away unread.
static void test_replaced_while_queued(void **state)
{
    (void)state;
    start();
    PGconn *holder = hold();
    put("x.json", ONE("first"));
    wait_held();
    put("y.tmp", ONE("second"));
    move("y.tmp", "x.json");
    PQfinish(holder);
    wait_until(f, is_there("done/x.json"));
    assert_query(f, "SELECT string_agg(id, ',' ORDER BY id) FROM cxsink.jobs", "first,second");
    assert_non_null(strstr(content("done/x.json"), "second"));
}

// done/ takes nothing. Nothing is queued twice, and it goes on once it does.
static void test_cannot_be_moved(void **state)
{
    (void)state;
    start();
    assert_int_equal(rmdir(path_of("done")), 0);
    put("done", "is a file");
    put("x.json", ONE("x"));
    wait_until(f, query_is(f, "SELECT count(*) FROM cxsink.jobs", "1"));
    for (int i = 0; i < 50; i++)
        fixture_turn(f);
    assert_true(is_there("x.json"));
    assert_int_equal(unlink(path_of("done")), 0);
    wait_until(f, is_there("done/x.json"));
    assert_query(f, "SELECT count(*) FROM cxsink.jobs", "1");
}

// --- the directory -------------------------------------------------------------------------------

static void test_directory_that_goes_away(void **state)
{
    (void)state;
    start();
    put("a.json", ONE("a"));
    wait_until(f, is_there("done/a.json"));
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    wait_until(f, is_there("failed")); // made anew, and watched
    put("b.json", ONE("b"));
    wait_until(f, is_there("done/b.json"));
}

static void test_directory_that_cannot_be_made(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "%s/blocked/jobs.d", dir);
    f->config.jobs.drop_dir = path;
    put("blocked", "a file");
    start();
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_int_equal(unlink(path_of("blocked")), 0);
    wait_until(f, is_there("blocked/jobs.d/done"));
}

static void test_reconfigure(void **state)
{
    (void)state;
    struct config other = f->config, none = f->config;
    char path[64];
    snprintf(path, sizeof(path), "%s/other", dir);
    other.jobs.drop_dir = path;
    none.jobs.drop_dir = NULL;
    drop = drop_create(f->loop, w->queue, &none); // does nothing
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_false(is_there("done"));
    drop_reconfigure(drop, &f->config);
    put("a.json", ONE("a"));
    wait_until(f, is_there("done/a.json"));
    drop_reconfigure(drop, &f->config); // the same
    drop_reconfigure(drop, &other);
    put("b.json", ONE("b"));
    put("other/c.json", ONE("c"));
    wait_until(f, is_there("other/done/c.json"));
    assert_true(is_there("b.json"));
    drop_reconfigure(drop, &none);
    put("other/d.json", ONE("d"));
    for (int i = 0; i < 20; i++)
        fixture_turn(f);
    assert_true(is_there("other/d.json"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_takes_files),
        TEST(test_looks_through),
        TEST(test_thousands_at_once),
        TEST(test_order_of_names_that_were_told),
        TEST(test_refuses_with_every_fault),
        TEST(test_refused_by_the_server),
        TEST(test_refuses_what_is_no_file),
        TEST(test_unreadable),
        TEST(test_same_file_queues_nothing_twice),
        TEST(test_destroyed_while_queueing),
        TEST(test_given_up_while_reading),
        TEST(test_names_that_are_taken),
        TEST(test_replaced_while_queued),
        TEST(test_cannot_be_moved),
        TEST(test_directory_that_goes_away),
        TEST(test_directory_that_cannot_be_made),
        TEST(test_reconfigure),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
