// SPDX-License-Identifier: Apache-2.0
// Connections against a real server: every way up, every way down, pipelines, deadlines.
#include "pg/harness.h"

#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

// --- names: getaddrinfo(3) of the tests' own, for the resolver thread and for libpq --------------

static pthread_t loop_thread;
static atomic_int names_on_the_loop; // lookups of names, not of addresses, on the loop's thread
static atomic_bool hold_slow;

static int real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **result)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, result);
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
    bool numeric = node == NULL || strspn(node, "0123456789.:") == strlen(node);
    if (!numeric && pthread_equal(pthread_self(), loop_thread))
        names_on_the_loop++;
    if (numeric)
        return real_getaddrinfo(node, service, hints, result);
    if (strcmp(node, "none.test") == 0)
        return EAI_NONAME;
    while (strcmp(node, "slow.test") == 0 && hold_slow)
        pg_server_pause();
    if (strcmp(node, "two.test") != 0)
        return real_getaddrinfo("127.0.0.1", service, hints, result);
    // Nobody listens on the first one.
    struct addrinfo *rest = NULL;
    int code = real_getaddrinfo("127.0.0.2", service, hints, result);
    struct addrinfo *last = *result;
    while (last->ai_next != NULL)
        last = last->ai_next;
    code |= real_getaddrinfo("127.0.0.1", service, hints, &rest);
    last->ai_next = rest;
    return code;
}

static const char *tcp_dsn(char text[256], const char *host, const char *more)
{
    snprintf(text, 256, "host=%s port=%d user=postgres dbname=postgres %s", host,
             pg_server_port(server), more);
    return text;
}

// --- ways up ---

static void test_connects_over_socket(void **state)
{
    struct harness *h = *state;
    char socket[128];
    must_connect(h, pg_server_dsn(server));
    assert_true(pg_conn_ready(h->conn));
    assert_true(pg_conn_server_version(h->conn) >= 120000);
    snprintf(socket, sizeof(socket), "%s/.s.PGSQL.%d", server->dir, server->port);
    assert_string_equal(pg_conn_peer(h->conn), socket);
    assert_string_equal(query(h, "SELECT current_setting('application_name')")->text,
                        "cxsink-test");
    assert_string_equal(query(h, "SHOW client_encoding")->text, "UTF8");
}

static void test_resolves_off_the_loop(void **state)
{
    struct harness *h = *state;
    char dsn[256], peer[64];
    must_connect(h, tcp_dsn(dsn, "db.test", ""));
    assert_int_equal(names_on_the_loop, 0);
    snprintf(peer, sizeof(peer), "db.test:%d", server->port);
    assert_string_equal(pg_conn_peer(h->conn), peer);
    pg_conn_close(&h->conn);
    must_connect(h, tcp_dsn(dsn, "two.test", "")); // its first address refuses
    assert_string_equal(query(h, "SELECT inet_server_addr()")->text, "127.0.0.1");
    assert_int_equal(names_on_the_loop, 0);
}

// The second host's socket mostly has the number of the first one's.
static void test_goes_through_host_list(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    for (int i = 0; i < 5; i++) {
        snprintf(dsn, sizeof(dsn),
                 "postgresql://postgres@127.0.0.1:%d,none.test:1,db.test:%d/postgres",
                 pg_server_free_port(), server->port);
        must_connect(h, dsn);
        assert_string_equal(query(h, "SELECT 1")->text, "1");
        pg_conn_close(&h->conn);
    }
    assert_int_equal(names_on_the_loop, 0);
}

static void test_takes_environment(void **state)
{
    struct harness *h = *state;
    char port[16];
    snprintf(port, sizeof(port), "%d", server->port);
    setenv("PGHOST", "db.test", 1);
    setenv("PGPORT", port, 1);
    setenv("PGUSER", "postgres", 1);
    setenv("PGDATABASE", "postgres", 1);
    setenv("PGAPPNAME", "from-env", 1);
    setenv("PGCLIENTENCODING", "LATIN1", 1);
    must_connect(h, "");
    assert_string_equal(query(h, "SELECT current_setting('application_name')")->text, "from-env");
    assert_string_equal(query(h, "SHOW client_encoding")->text, "UTF8");
    assert_int_equal(names_on_the_loop, 0);
    static const char *const names[] = {"PGHOST",     "PGPORT",    "PGUSER",
                                        "PGDATABASE", "PGAPPNAME", "PGCLIENTENCODING"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
}

static void test_takes_service_file(void **state)
{
    struct harness *h = *state;
    char path[64] = "/tmp/cxsink-service-XXXXXX";
    int fd = mkstemp(path);
    dprintf(fd, "[here]\nhost=db.test\nport=%d\nuser=postgres\ndbname=postgres\n", server->port);
    close(fd);
    setenv("PGSERVICEFILE", path, 1);
    must_connect(h, "service=here");
    assert_int_equal(names_on_the_loop, 0);
    pg_conn_close(&h->conn);
    must_fail(h, "service=nowhere");
    assert_non_null(strstr(h->failure.message, "nowhere"));
    unsetenv("PGSERVICEFILE");
    unlink(path);
}

// --- ways not to come up ---

static void test_refused_connection(void **state)
{
    struct harness *h = *state;
    char dsn[128];
    int port = pg_server_free_port();
    snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%d user=u password=hunter2hunter2", port);
    must_fail(h, dsn);
    assert_string_equal(h->failure.sqlstate, "");
    assert_int_equal(pg_classify(h->failure.sqlstate), PG_CLASS_RECONNECT);
    assert_non_null(strstr(h->failure.message, "refused"));
    assert_null(strstr(h->failure.message, "\n"));
}

static void test_sqlstate_of_refused_session(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    admin("DROP ROLE IF EXISTS pwuser; CREATE ROLE pwuser LOGIN PASSWORD 'right'");
    snprintf(dsn, sizeof(dsn),
             "host=127.0.0.1 port=%d dbname=postgres user=pwuser password=hunter2hunter2",
             server->port);
    must_fail(h, dsn);
    assert_string_equal(h->failure.sqlstate, "28P01");
    assert_int_equal(pg_classify(h->failure.sqlstate), PG_CLASS_BLOCKED);
    assert_non_null(strstr(h->failure.message, "password authentication failed"));
    assert_null(strstr(h->failure.message, "LOCATION"));
    assert_null(strstr(h->failure.message, "hunter2"));

    snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%d dbname=postgres user=pwuser", server->port);
    must_fail(h, dsn); // libpq has none to send
    assert_string_equal(h->failure.sqlstate, "28000");

    must_fail(h, tcp_dsn(dsn, "127.0.0.1", "dbname=absent"));
    assert_string_equal(h->failure.sqlstate, "3D000");

    admin("ALTER ROLE pwuser CONNECTION LIMIT 0");
    snprintf(dsn, sizeof(dsn), "host=%s port=%d dbname=postgres user=pwuser password=right",
             "127.0.0.1", server->port);
    must_fail(h, dsn);
    assert_string_equal(h->failure.sqlstate, "53300");
    admin("DROP ROLE pwuser");
}

// The database's name is the password: a server's message may hold it, ours must not.
static void test_password_never_shows(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    must_fail(h, tcp_dsn(dsn, "127.0.0.1", "dbname=hunter2hunter2 password=hunter2hunter2"));
    assert_string_equal(h->failure.sqlstate, "3D000");
    assert_null(strstr(h->failure.message, "hunter2"));
    assert_non_null(strstr(h->failure.message, "\"***\""));

    static const char *const faulty[] = {
        "host=127.0.0.1 password=hunter2 hunter2 x",
        "postgresql://u:hunter2hunter2@h:x/db?nonsense=hunter2",
        "postgresql://u:hunter2@hunter2@127.0.0.1/db",
        "postgresql://u:hunter2/hunter2@127.0.0.1/db",
        "host=u:hunter2@host",
        "hunter2hunter2",
        "host=127.0.0.1 port=hunter2",
        "host=a,b port=1,2,3 password=hunter2hunter2",
    };
    for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++) {
        must_fail(h, faulty[i]);
        assert_null(strstr(h->failure.message, "hunter2"));
        assert_non_null(strstr(h->failure.message, "DSN"));
    }
}

static void test_unknown_name(void **state)
{
    struct harness *h = *state;
    must_fail(h, "host=none.test user=u");
    assert_non_null(strstr(h->failure.message, "none.test"));
    assert_string_equal(h->failure.sqlstate, "");
}

// A listener whose backlog accepts and that never answers.
static int listen_deaf(int *port_r)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port_r = ntohs(at.sin_port);
    return fd;
}

static void test_black_hole_while_connecting(void **state)
{
    struct harness *h = *state;
    char dsn[128];
    int port;
    int fd = listen_deaf(&port);
    snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%d user=u connect_timeout=1000", port);
    open_with(h, dsn, 200 * US_PER_MS, PATIENCE_US);
    struct mono start = mono_read();
    assert_true(turn_until(h, &h->failed, 1));
    assert_in_range(mono_diff(mono_read(), start), 150 * US_PER_MS, PATIENCE_US);
    assert_non_null(strstr(h->failure.message, "within 0.2 s"));
    close(fd);
}

static void test_black_hole_while_resolving(void **state)
{
    struct harness *h = *state;
    hold_slow = true;
    open_with(h, "host=slow.test user=u", 100 * US_PER_MS, PATIENCE_US);
    assert_true(turn_until(h, &h->failed, 1));
    hold_slow = false;
    assert_non_null(strstr(h->failure.message, "no address for slow.test"));
}

// --- pipelines ---

static void test_pipeline_in_order(void **state)
{
    struct harness *h = *state;
    must_connect(h, pg_server_dsn(server));
    assert_true(pg_send(h->conn, "SELECT 'one'", NULL, 0));
    assert_true(pg_send(h->conn, "SELECT 1/0", NULL, 0));
    assert_true(pg_send(h->conn, "SELECT 'skipped'", NULL, 0));
    assert_true(pg_sync(h->conn));
    assert_true(pg_send(h->conn, "SELECT 'two'", NULL, 0));
    assert_true(pg_sync(h->conn));
    assert_int_equal(h->results, 0); // never inside a call
    assert_true(turn_until(h, &h->synced, 2));
    assert_int_equal(h->results, 4);
    assert_string_equal(h->outcomes[0].text, "one");
    assert_string_equal(h->outcomes[1].error.sqlstate, "22012");
    assert_string_equal(h->outcomes[2].error.sqlstate, "");
    assert_true(h->outcomes[2].error.message[0] != '\0');
    assert_string_equal(h->outcomes[3].text, "two");
    assert_int_equal(h->failed, 0);
}

static void test_transaction_and_tags(void **state)
{
    struct harness *h = *state;
    must_connect(h, pg_server_dsn(server));
    assert_true(pg_send(h->conn, "BEGIN", NULL, 0));
    assert_true(pg_send(h->conn, "CREATE TEMP TABLE t (a int)", NULL, 0));
    assert_true(pg_send(h->conn, "INSERT INTO t VALUES (1), (2), (3)", NULL, 0));
    assert_true(pg_send(h->conn, "COMMIT", NULL, 0));
    assert_true(pg_sync(h->conn));
    assert_true(turn_until(h, &h->synced, 1));
    assert_string_equal(h->outcomes[2].tag, "INSERT 0 3");
    assert_string_equal(h->outcomes[3].tag, "COMMIT");
    assert_string_equal(query(h, "SELECT NULL")->text, "");
    // An aborted transaction answers COMMIT with ROLLBACK.
    query(h, "BEGIN");
    assert_string_equal(query(h, "SELECT 1/0")->error.sqlstate, "22012");
    assert_string_equal(query(h, "COMMIT")->tag, "ROLLBACK");
}

// Far more than the socket takes at once, in both directions.
static void test_large_binary_parameters(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    const int size = 8 << 20;
    char *data = mem_alloc((size_t)size);
    memset(data, 0xA7, (size_t)size);
    must_connect(h, tcp_dsn(dsn, "127.0.0.1", ""));
    const struct pg_param params[] = {{17, 1, data, size}, {17, 1, data, size}, {25, 0, NULL, 0}};
    for (int i = 0; i < 3; i++)
        assert_true(pg_send(h->conn, "SELECT length($1::bytea || $2), $1, $3 IS NULL", params, 3));
    assert_true(pg_sync(h->conn));
    assert_true(turn_until(h, &h->synced, 1));
    assert_int_equal(h->results, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(h->outcomes[i].text, "16777216");
    free(data);
}

static void test_too_many_parameters(void **state)
{
    struct harness *h = *state;
    struct pg_param *params = mem_zalloc(70000 * sizeof(*params));
    must_connect(h, pg_server_dsn(server));
    assert_false(pg_send(h->conn, "SELECT 1", params, 70000));
    assert_true(turn_until(h, &h->failed, 1));
    assert_non_null(strstr(h->failure.message, "parameters"));
    free(params);
}

static void test_errors_hold_no_payload(void **state)
{
    struct harness *h = *state;
    must_connect(h, pg_server_dsn(server));
    admin("DROP TABLE IF EXISTS p; CREATE TABLE p (a int CHECK (a > 0), k text UNIQUE,"
          " v varchar(3), n int NOT NULL DEFAULT 1)");
    const struct outcome *o = query(h, "SELECT 'pay\"load'::int");
    assert_string_equal(o->error.sqlstate, "22P02");
    assert_string_equal(o->error.message, "invalid input syntax for type integer: \"...\"");
    o = query(h, "INSERT INTO p (v) VALUES ('payload')");
    assert_string_equal(o->error.sqlstate, "22001");
    assert_string_equal(o->error.message, "value too long for type character varying(3)");
    query(h, "INSERT INTO p (k) VALUES ('payload')");
    o = query(h, "INSERT INTO p (k) VALUES ('payload')");
    assert_string_equal(o->error.sqlstate, "23505");
    assert_string_equal(o->error.constraint, "p_k_key");
    assert_string_equal(o->error.detail, "table p, constraint p_k_key");
    o = query(h, "INSERT INTO p (n) VALUES (NULL)");
    assert_string_equal(o->error.sqlstate, "23502");
    assert_string_equal(o->error.column, "n");
    o = query(h, "DO $$ BEGIN RAISE 'payload %', 1; END $$");
    assert_string_equal(o->error.sqlstate, "P0001");
    o = query(h, "DO $$ BEGIN RAISE 'payload %', 1 USING ERRCODE = '40001'; END $$");
    assert_string_equal(o->error.sqlstate, "40001");
    o = query(h, "DO $$ BEGIN RAISE 'payload %', 1 USING ERRCODE = '22001'; END $$");
    assert_string_equal(o->error.sqlstate, "22001");
    for (int i = 0; i < h->results; i++) {
        assert_null(strstr(h->outcomes[i].error.message, "payload"));
        assert_null(strstr(h->outcomes[i].error.detail, "payload"));
    }
    // Nor when the connection breaks afterwards.
    pg_server_kill_immediate(server);
    assert_true(turn_until(h, &h->failed, 1));
    assert_null(strstr(h->failure.message, "payload"));
    pg_server_restart(server);
    admin("DROP TABLE p");
}

// --- closing inside callbacks ---

static void test_close_inside_callbacks(void **state)
{
    struct harness *h = *state;
    for (int in = CLOSE_CONNECTED; in <= CLOSE_SYNCED; in++) {
        int fds = count_fds();
        h->close_in = (enum close_in)in;
        open_with(h, pg_server_dsn(server), PATIENCE_US, PATIENCE_US);
        assert_true(turn_until(h, &h->connected, 1));
        if (h->conn != NULL) {
            assert_true(pg_send(h->conn, "SELECT 1", NULL, 0));
            assert_true(pg_send(h->conn, "SELECT 2", NULL, 0));
            assert_true(pg_sync(h->conn));
            assert_true(turn_until(h, in == CLOSE_RESULT ? &h->results : &h->synced, 1));
        }
        assert_null(h->conn);
        assert_int_equal(h->results, in == CLOSE_CONNECTED ? 0 : in == CLOSE_RESULT ? 1 : 2);
        for (int i = 0; i < 3; i++)
            loop_turn(h->loop, false);
        assert_int_equal(h->failed, 0);
        assert_int_equal(count_fds(), fds);
    }
}

static void test_close_at_any_moment(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    tcp_dsn(dsn, "two.test", "");
    for (int turns = 0; turns < 12; turns++) {
        open_with(h, dsn, PATIENCE_US, PATIENCE_US);
        for (int i = 0; i < turns; i++) {
            loop_turn(h->loop, false);
            pg_server_pause();
        }
        pg_conn_close(&h->conn);
    }
    open_with(h, "host=none.test", PATIENCE_US, PATIENCE_US);
    pg_conn_close(&h->conn);
    open_with(h, "=", PATIENCE_US, PATIENCE_US); // its failure is already on the way
    pg_conn_close(&h->conn);
    for (int i = 0; i < 3; i++)
        loop_turn(h->loop, false);
    assert_int_equal(h->failed, 0);
    pg_conn_close(&h->conn); // NULL
}

// --- ways down ---

static void test_terminated_while_idle(void **state)
{
    struct harness *h = *state;
    must_connect(h, pg_server_dsn(server));
    query(h, "SELECT 1");
    admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
          " WHERE application_name = 'cxsink-test'");
    assert_true(turn_until(h, &h->failed, 1));
    assert_string_equal(h->failure.sqlstate, "57P01");
    assert_int_equal(pg_classify(h->failure.sqlstate), PG_CLASS_RECONNECT);
}

static void wait_for_sleeper(void)
{
    for (int i = 0; i < 3000; i++) {
        char *n = pg_server_query(server, "SELECT count(*) FROM pg_stat_activity"
                                          " WHERE wait_event = 'PgSleep'");
        bool there = strcmp(n, "0") != 0;
        free(n);
        if (there)
            return;
        pg_server_pause();
    }
    fail();
}

static void test_terminated_while_busy(void **state)
{
    struct harness *h = *state;
    must_connect(h, pg_server_dsn(server));
    assert_true(pg_send(h->conn, "SELECT pg_sleep(100)", NULL, 0));
    assert_true(pg_send(h->conn, "SELECT 1", NULL, 0));
    assert_true(pg_sync(h->conn));
    loop_turn(h->loop, false);
    wait_for_sleeper();
    admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    assert_true(turn_until(h, &h->failed, 1));
    assert_string_equal(h->failure.sqlstate, "57P01");
    assert_int_equal(h->results + h->synced, 0);
}

static void test_server_crash(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    must_connect(h, tcp_dsn(dsn, "127.0.0.1", ""));
    assert_true(pg_send(h->conn, "SELECT pg_sleep(100)", NULL, 0));
    assert_true(pg_sync(h->conn));
    loop_turn(h->loop, false);
    wait_for_sleeper();
    pg_server_kill_immediate(server);
    assert_true(turn_until(h, &h->failed, 1));
    assert_int_equal(h->results, 0);
    assert_int_equal(pg_classify(h->failure.sqlstate), PG_CLASS_RECONNECT);
    assert_true(h->failure.message[0] != '\0');
    pg_server_restart(server);
    must_connect(h, dsn);
}

static void test_statement_timeout_is_no_failure(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    must_connect(h, tcp_dsn(dsn, "127.0.0.1", "options='-c statement_timeout=50'"));
    const struct outcome *o = query(h, "SELECT pg_sleep(100)");
    assert_string_equal(o->error.sqlstate, "57014");
    assert_int_equal(pg_classify("57014"), PG_CLASS_RETRY);
    assert_string_equal(query(h, "SELECT 1")->text, "1");
}

static void test_read_only_server(void **state)
{
    struct harness *h = *state;
    char dsn[256];
    must_connect(h, tcp_dsn(dsn, "127.0.0.1", "options='-c default_transaction_read_only=on'"));
    const struct outcome *o = query(h, "CREATE TABLE never (a int)");
    assert_string_equal(o->error.sqlstate, "25006");
    assert_int_equal(pg_classify(o->error.sqlstate), PG_CLASS_RECONNECT);
}

// --- a proxy that can stop forwarding: a network that swallows everything ---

struct proxy {
    int listener, port, stop;
    atomic_bool frozen;
    pthread_t thread;
};

static bool forward(int from, int to)
{
    char data[16384];
    ssize_t n = read(from, data, sizeof(data));
    return n > 0 && write(to, data, (size_t)n) == n;
}

static void serve(struct proxy *p, int client)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool open = connect(upstream, (struct sockaddr *)&at, sizeof(at)) == 0;
    while (open) {
        struct pollfd fds[] = {{p->stop, POLLIN, 0}, {client, POLLIN, 0}, {upstream, POLLIN, 0}};
        poll(fds, p->frozen ? 1 : 3, 10);
        if (fds[0].revents)
            break;
        if (!p->frozen && fds[1].revents)
            open = forward(client, upstream);
        if (!p->frozen && fds[2].revents)
            open = open && forward(upstream, client);
    }
    close(upstream);
}

static void *run_proxy(void *arg)
{
    struct proxy *p = arg;
    int client = accept(p->listener, NULL, NULL);
    serve(p, client);
    close(client);
    return NULL;
}

static void proxy_start(struct proxy *p)
{
    p->listener = listen_deaf(&p->port);
    p->stop = eventfd(0, EFD_CLOEXEC);
    p->frozen = false;
    assert_int_equal(pthread_create(&p->thread, NULL, run_proxy, p), 0);
}

static void proxy_stop(struct proxy *p)
{
    eventfd_write(p->stop, 1);
    pthread_join(p->thread, NULL);
    close(p->stop);
    close(p->listener);
}

static void test_black_hole_after_login(void **state)
{
    struct harness *h = *state;
    struct proxy proxy;
    char dsn[128];
    proxy_start(&proxy);
    snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%d user=postgres sslmode=disable", proxy.port);
    open_with(h, dsn, PATIENCE_US, 300 * US_PER_MS);
    assert_true(turn_until(h, &h->connected, 1));
    query(h, "SELECT 1");
    proxy.frozen = true;
    struct mono start = mono_read();
    assert_true(pg_send(h->conn, "SELECT 2", NULL, 0));
    assert_true(pg_sync(h->conn));
    assert_true(turn_until(h, &h->failed, 1));
    assert_in_range(mono_diff(mono_read(), start), 250 * US_PER_MS, PATIENCE_US);
    assert_string_equal(h->failure.sqlstate, "");
    assert_non_null(strstr(h->failure.message, "no answer"));
    assert_int_equal(h->results, 1);
    proxy_stop(&proxy);
}

// Statements that each take less than the deadline, and together more. The longest time without an
// answer, microseconds: on a busy machine one may be as late as the deadline allows.
static int64_t longest_wait(struct harness *h)
{
    int64_t longest = 0;
    open_with(h, pg_server_dsn(server), PATIENCE_US, US_PER_S);
    assert_true(turn_until(h, &h->connected, 1));
    struct mono last = mono_read();
    for (int i = 0; i < 4; i++) {
        assert_true(pg_send(h->conn, "SELECT pg_sleep(0.4)", NULL, 0));
        assert_true(pg_sync(h->conn));
    }
    while (h->synced < 4 && h->failed == 0) {
        int before = h->synced;
        turn(h);
        int64_t waited = mono_diff(mono_read(), last);
        longest = waited > longest ? waited : longest;
        if (h->synced > before)
            last = mono_read();
    }
    return longest;
}

static void test_answers_move_the_deadline(void **state)
{
    struct harness *h = *state;
    while (longest_wait(h) > 900 * US_PER_MS)
        pg_conn_close(&h->conn);
    assert_int_equal(h->failed, 0);
    assert_int_equal(h->synced, 4);
}

static void test_notifications(void **state)
{
    struct harness *h = *state;
    must_connect(h, pg_server_dsn(server));
    query(h, "NOTIFY work, 'nobody listens'");
    query(h, "LISTEN work");
    query(h, "LISTEN \"Other\"");
    admin("NOTIFY work; NOTIFY nothing"); // comes while nothing runs
    assert_true(turn_until(h, &h->notified, 1));
    assert_string_equal(h->notices, "work=;");
    query(h, "SELECT pg_notify('work', 'mine'), pg_notify('Other', 'too')");
    assert_true(turn_until(h, &h->notified, 3));
    assert_string_equal(h->notices, "work=;work=mine;Other=too;");
    assert_true(pg_send(h->conn, "SELECT pg_sleep(0.05)", NULL, 0));
    assert_true(pg_sync(h->conn));
    admin("NOTIFY work, 'during'"); // told when the statement is over
    assert_true(turn_until(h, &h->notified, 4));
    assert_int_equal(h->failed, 0);

    h->close_in = CLOSE_NOTIFIED;
    admin("NOTIFY work, 'a'; NOTIFY work, 'b'");
    assert_true(turn_until(h, &h->notified, 5));
    for (int i = 0; i < 20; i++)
        turn(h);
    assert_null(h->conn);
    assert_int_equal(h->notified, 5);
}

static void test_classes(void **state)
{
    (void)state;
    static const struct {
        const char *sqlstate;
        enum pg_class class;
    } cases[] = {
        {"", PG_CLASS_RECONNECT},      {"08006", PG_CLASS_RECONNECT}, {"57P01", PG_CLASS_RECONNECT},
        {"57P03", PG_CLASS_RECONNECT}, {"25006", PG_CLASS_RECONNECT}, {"25P02", PG_CLASS_RETRY},
        {"40001", PG_CLASS_RETRY},     {"40P01", PG_CLASS_RETRY},     {"53100", PG_CLASS_RETRY},
        {"53300", PG_CLASS_RETRY},     {"55P03", PG_CLASS_RETRY},     {"57014", PG_CLASS_RETRY},
        {"58030", PG_CLASS_RETRY},     {"XX000", PG_CLASS_RETRY},     {"72000", PG_CLASS_RETRY},
        {"22001", PG_CLASS_ROW},       {"22P05", PG_CLASS_ROW},       {"23505", PG_CLASS_ROW},
        {"23514", PG_CLASS_ROW},       {"44000", PG_CLASS_ROW},       {"54000", PG_CLASS_ROW},
        {"P0001", PG_CLASS_ROW},       {"21000", PG_CLASS_ROW},       {"42501", PG_CLASS_BLOCKED},
        {"42P01", PG_CLASS_BLOCKED},   {"42703", PG_CLASS_BLOCKED},   {"28P01", PG_CLASS_BLOCKED},
        {"28000", PG_CLASS_BLOCKED},   {"3D000", PG_CLASS_BLOCKED},   {"3F000", PG_CLASS_BLOCKED},
        {"0A000", PG_CLASS_BLOCKED},   {"3B001", PG_CLASS_RETRY},     {"HV000", PG_CLASS_RETRY},
        {"U0001", PG_CLASS_ROW},       {"ZZ999", PG_CLASS_ROW},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(pg_classify(cases[i].sqlstate), cases[i].class);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    loop_thread = pthread_self();
    const struct CMUnitTest tests[] = {
        TEST(test_connects_over_socket),
        TEST(test_resolves_off_the_loop),
        TEST(test_goes_through_host_list),
        TEST(test_takes_environment),
        TEST(test_takes_service_file),
        TEST(test_refused_connection),
        TEST(test_sqlstate_of_refused_session),
        TEST(test_password_never_shows),
        TEST(test_unknown_name),
        TEST(test_black_hole_while_connecting),
        TEST(test_black_hole_while_resolving),
        TEST(test_pipeline_in_order),
        TEST(test_transaction_and_tags),
        TEST(test_large_binary_parameters),
        TEST(test_too_many_parameters),
        TEST(test_errors_hold_no_payload),
        TEST(test_close_inside_callbacks),
        TEST(test_close_at_any_moment),
        TEST(test_terminated_while_idle),
        TEST(test_terminated_while_busy),
        TEST(test_server_crash),
        TEST(test_statement_timeout_is_no_failure),
        TEST(test_read_only_server),
        TEST(test_black_hole_after_login),
        TEST(test_answers_move_the_deadline),
        TEST(test_notifications),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
