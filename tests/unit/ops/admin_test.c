// SPDX-License-Identifier: Apache-2.0
// The admin endpoint: routes, who may ask, deadlines, addresses.
#include "support/admin_fixture.h"

// One request on a connection of its own; its status.
static int status_of(struct fixture *f, const char *request)
{
    int fd = connect_tcp(f);
    struct answer a = ask(f, fd, request);
    int status = a.status;
    answer_free(&a);
    close(fd);
    return status;
}

static int get_with(struct fixture *f, const char *path, const char *host, const char *more)
{
    char request[4096];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host, more);
    return status_of(f, request);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

// --- routes ---

static void every_route_answers(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = connect_tcp(f);
    struct answer a = ask(f, fd, GET("/metrics"));
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "cxsink_up 1\n");
    assert_non_null(strcasestr(a.bytes.data, "content-type: text/plain; version=0.0.4"));
    answer_free(&a);
    a = ask(f, fd, GET("/healthz")); // the connection stays for all of them
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"ok\":true}\n");
    assert_non_null(strcasestr(a.bytes.data, "content-type: application/json"));
    answer_free(&a);
    a = ask(f, fd, GET("/api/status"));
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"streams\":[]}\n");
    answer_free(&a);
    close(fd);
}

static void readiness_says_why_not(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = connect_tcp(f);
    struct answer a = ask(f, fd, GET("/readyz"));
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"ready\":true,\"reasons\":[]}\n");
    answer_free(&a);
    f->ready = false;
    a = ask(f, fd, GET("/readyz"));
    assert_int_equal(a.status, 503);
    assert_string_equal(a.body, "{\"ready\":false,\"reasons\":[\"no database\",\"spool full\"]}\n");
    answer_free(&a);
    close(fd);
}

static void other_paths_are_not_found(void **state)
{
    static const char *const paths[] = {"/none",    "/metric",       "/metrics/",
                                        "/Metrics", "/metricsx",     "/api",
                                        "/../x",    "/api/status/x", "/healthz%20"};
    struct fixture *f = *state;
    start(f, NULL);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_int_equal(get_with(f, paths[i], "localhost", ""), 404);
    int status = get_with(f, "/metrics%00x", "localhost", ""); // libwebsockets 4.3 closes
    assert_true(status == 200 || status == 0);
    f->calls = 0;
    assert_int_equal(get_with(f, "/metrics?name=x", "localhost", ""), 200);
    char path[ADMIN_URL_MAX + 2] = "/";
    memset(path + 1, 'a', ADMIN_URL_MAX - 1);
    assert_int_equal(get_with(f, path, "localhost", ""), 404);
    path[ADMIN_URL_MAX] = 'a';
    assert_int_equal(get_with(f, path, "localhost", ""), 414);
    memcpy(path, "/metrics?", 9); // the query counts too
    assert_int_equal(get_with(f, path, "localhost", ""), 414);
    assert_int_equal(f->calls, 1);
}

static void every_answer_is_shut_off_from_other_pages(void **state)
{
    static const char *const wanted[] = {"cache-control: no-store\r\n",
                                         "x-content-type-options: nosniff\r\n",
                                         "referrer-policy: no-referrer\r\n",
                                         "cross-origin-resource-policy: same-origin\r\n",
                                         "content-security-policy: default-src 'none'; ",
                                         "; frame-ancestors 'none'; "};
    static const char *const requests[] = {GET("/metrics"), GET("/none"),
                                           "GET /metrics HTTP/1.1\r\nHost: evil.io\r\n\r\n",
                                           "POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"};
    struct fixture *f = *state;
    start(f, NULL);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        int fd = connect_tcp(f);
        struct answer a = ask(f, fd, requests[i]);
        for (size_t j = 0; j < sizeof(wanted) / sizeof(wanted[0]); j++)
            assert_non_null(strcasestr(a.bytes.data, wanted[j]));
        assert_null(strstr(a.bytes.data, "unsafe"));
        answer_free(&a);
        close(fd);
    }
}

static void only_reading_is_served(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"};
    struct fixture *f = *state;
    char request[256];
    start(f, NULL);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        snprintf(request, sizeof(request),
                 "%s /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
                 methods[i]);
        int fd = connect_tcp(f);
        struct answer a = ask(f, fd, request);
        assert_int_equal(a.status, 405);
        assert_non_null(strcasestr(a.bytes.data, "allow: GET, HEAD\r\n"));
        answer_free(&a);
        assert_true(closes(f, fd));
        close(fd);
    }
    assert_int_equal(f->calls, 0);
    assert_int_equal(get_with(f, "/metrics", "localhost", ""), 200);
}

static void a_body_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = connect_tcp(f);
    char body[1000];
    struct answer a = ask(f, fd,
                          "POST /metrics HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Length: 1000000\r\n\r\nthe first bytes");
    assert_int_equal(a.status, 405);
    answer_free(&a);
    memset(body, 'x', sizeof(body));
    for (int i = 0; i < 100; i++) {
        send(fd, body, sizeof(body), MSG_NOSIGNAL);
        loop_turn(f->loop, false);
    }
    assert_true(closes(f, fd));
    close(fd);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

static void head_is_get_without_the_body(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = connect_tcp(f);
    struct answer a = ask(f, fd, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(a.status, 200);
    assert_non_null(strcasestr(a.bytes.data, "content-length: 12\r\n"));
    assert_string_equal(a.body, "");
    answer_free(&a);
    a = ask(f, fd, "HEAD /none HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(a.status, 404);
    answer_free(&a);
    a = ask(f, fd, GET("/healthz")); // and nothing of the bodies comes before this answer
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"ok\":true}\n");
    answer_free(&a);
    close(fd);
}

// --- who may ask ---

static void foreign_hosts_are_refused(void **state)
{
    static const char *const ours[] = {"localhost", "LOCALHOST:9464", "127.0.0.1", "127.0.0.1:9464",
                                       "127.8.8.8", "[::1]",          "[::1]:9464"};
    static const char *const foreign[] = {"example.com",
                                          "localhost.example.com",
                                          "127.0.0.1.example.com",
                                          "127.example.com",
                                          "127.",
                                          "10.0.0.1",
                                          "0.0.0.0",
                                          "::1",
                                          "[::2]",
                                          "[::ffff:127.0.0.1]",
                                          "example.com:9464",
                                          ":9464",
                                          "localhost@evil.io",
                                          "xlocalhost",
                                          "admin",
                                          "control",
                                          "loop"}; // the last ones are vhosts
    struct fixture *f = *state;
    start(f, NULL);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        assert_int_equal(get_with(f, "/healthz", ours[i], ""), 200);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        assert_int_equal(get_with(f, "/api/status", foreign[i], ""), 403);
    assert_int_equal(status_of(f, "GET /api/status HTTP/1.0\r\n\r\n"), 403);
    char host[1500];
    memset(host, 'a', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    assert_int_equal(get_with(f, "/api/status", host, ""), 431);
    assert_int_equal(f->calls, 0);
}

static void pages_of_another_origin_are_refused(void **state)
{
    static const char *const foreign[] = {"http://evil.io", "https://localhost:9464", "null",
                                          "http://localhost.evil.io", "http://127.0.0.1"};
    struct fixture *f = *state;
    char request[256];
    start(f, NULL);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        snprintf(request, sizeof(request), "Origin: %s\r\n", foreign[i]);
        assert_int_equal(get_with(f, "/api/status", "localhost", request), 403);
        // A forwarded control socket (ssh -L) is within a browser's reach.
        snprintf(request, sizeof(request),
                 "GET /api/status HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\n\r\n", foreign[i]);
        int fd = connect_control(f);
        struct answer a = ask(f, fd, request);
        assert_int_equal(a.status, 403);
        answer_free(&a);
        close(fd);
    }
    char origin[700] = "Origin: http://";
    memset(origin + strlen(origin), 'a', 600);
    strcat(origin, "\r\n");
    assert_int_equal(get_with(f, "/api/status", "localhost", origin), 431);
    assert_int_equal(f->calls, 0);
    assert_int_equal(
        get_with(f, "/api/status", "localhost:9464", "Origin: http://localhost:9464\r\n"), 200);
}

static void where_all_addresses_are_listened_on_any_is_a_host(void **state)
{
    struct fixture *f = *state;
    const struct admin_settings settings = {.host = "0.0.0.0", .token = "t"};
    f->admin = admin_create(f->loop, &settings, &callbacks, f, &f->st);
    assert_non_null(f->admin);
    static const char token[] = "Authorization: Bearer t\r\n";
    assert_int_equal(get_with(f, "/api/status", "10.1.2.3:9464", token), 200);
    assert_int_equal(get_with(f, "/api/status", "[2001:db8::1]", token), 200);
    assert_int_equal(get_with(f, "/api/status", "example.com", token), 403);
    assert_int_equal(get_with(f, "/api/status", "10.1.2.3.example.com", token), 403);
    assert_int_equal(get_with(f, "/api/status", "10.1.2.3", ""), 401);
}

static void a_token_is_asked_for(void **state)
{
    static const char *const wrong[] = {
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer admin-toke\r\n",
        "Authorization: Bearer admin-tokem\r\n",
        "Authorization: Bearer admin-tokenx\r\n",
        "Authorization: Bearer ADMIN-TOKEN\r\n",
        "Authorization: Basic admin-token\r\n",
        "Authorization: admin-token\r\n",
        "X-Authorization: Bearer admin-token\r\n",
    };
    struct fixture *f = *state;
    start(f, "admin-token");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(get_with(f, "/metrics", "localhost", wrong[i]), 401);
        assert_int_equal(get_with(f, "/none", "localhost", wrong[i]), 401);
    }
    assert_int_equal(f->calls, 0);
    static const char right[] = "Authorization: Bearer admin-token\r\n";
    assert_int_equal(get_with(f, "/metrics", "localhost", right), 200);
    assert_int_equal(get_with(f, "/metrics", "localhost", "authorization: bearer admin-token\r\n"),
                     200);
    assert_int_equal(get_with(f, "/none", "localhost", right), 404);
    assert_int_equal(get_with(f, "/metrics", "example.com", right), 403);
    // A liveness probe knows no token.
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
    int fd = connect_tcp(f);
    struct answer a = ask(f, fd, GET("/metrics"));
    assert_non_null(strcasestr(a.bytes.data, "www-authenticate: Bearer\r\n"));
    answer_free(&a);
    close(fd);
}

static void a_token_that_is_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    char header[3100];
    start(f, "admin-token");
    strcpy(header, "Authorization: Bearer ");
    memset(header + 22, 'x', 3000);
    strcpy(header + 22 + 3000, "\r\n");
    assert_int_equal(get_with(f, "/metrics", "localhost", header), 401);
}

static void the_control_socket_asks_for_nothing(void **state)
{
    struct fixture *f = *state;
    start(f, "admin-token");
    int fd = connect_control(f);
    struct answer a = ask(f, fd, "GET /api/status HTTP/1.1\r\nHost: anything\r\n\r\n");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"streams\":[]}\n");
    answer_free(&a);
    a = ask(f, fd, GET("/none"));
    assert_int_equal(a.status, 404);
    answer_free(&a);
    close(fd);
}

// --- load and life ---

static void a_large_answer_comes_whole(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    f->metrics_size = 2 << 20;
    int fd = connect_tcp(f);
    for (int round = 0; round < 2; round++) {
        struct answer a = ask(f, fd, GET("/metrics"));
        assert_int_equal(a.status, 200);
        assert_int_equal(strlen(a.body), 2 << 20);
        for (size_t i = 0; i < 2 << 20; i += 16)
            assert_int_equal(strtoul(a.body + i + 5, NULL, 10), i);
        answer_free(&a);
    }
    close(fd);
}

static void a_client_that_does_not_read_holds_nothing_up(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    f->metrics_size = 16 << 20;
    int lazy = connect_tcp(f);
    send_all(f, lazy, GET("/metrics"), strlen(GET("/metrics")));
    settle(f);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
    close(lazy); // in the middle of its answer
    settle(f);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

static void requests_may_come_in_pieces(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = connect_tcp(f);
    for (int round = 0; round < 2; round++) {
        for (const char *p = GET("/healthz"); *p != '\0'; p++)
            send_all(f, fd, p, 1);
        struct answer a = receive(f, fd, false);
        assert_string_equal(a.body, "{\"ok\":true}\n");
        answer_free(&a);
    }
    close(fd);
}

// libwebsockets 4.1 answers both; 4.3 may close, after which a client asks again.
static void requests_that_come_together_are_never_mixed_up(void **state)
{
    struct fixture *f = *state;
    static const char two[] = GET("/healthz") GET("/api/status");
    start(f, NULL);
    int fd = connect_tcp(f);
    struct answer a = ask(f, fd, two);
    if (!a.closed)
        assert_string_equal(a.body, "{\"ok\":true}\n");
    answer_free(&a);
    a = receive(f, fd, false);
    if (!a.closed)
        assert_string_equal(a.body, "{\"streams\":[]}\n");
    answer_free(&a);
    close(fd);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

static void what_is_no_request_is_closed(void **state)
{
    static const char *const garbage[] = {"\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
                                          "GET /metrics\r\n\r\n",
                                          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    struct fixture *f = *state;
    start(f, NULL);
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int fd = connect_tcp(f);
        send_all(f, fd, garbage[i], strlen(garbage[i]));
        settle(f);
        close(fd);
        settle(f);
    }
    assert_int_equal(f->calls, 0);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

static void many_connections_leave_no_descriptor(void **state)
{
    struct fixture *f = *state;
    int fds[100];
    start(f, NULL);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
    settle(f);
    int before = open_descriptors();
    for (int i = 0; i < 100; i++)
        fds[i] = i % 2 ? connect_tcp(f) : connect_control(f);
    for (int i = 0; i < 100; i++) {
        struct answer a = ask(f, fds[i], GET("/metrics"));
        assert_int_equal(a.status, 200);
        answer_free(&a);
    }
    for (int i = 0; i < 100; i++)
        close(fds[i]);
    struct mono end = mono_add(mono_read(), PATIENCE_US);
    while (open_descriptors() > before && mono_read().us < end.us)
        loop_turn(f->loop, false);
    assert_int_equal(open_descriptors(), before);
}

// Whether the server ends the connection so long after `begin`, a time before the deadline was set,
// and not before.
static bool ends_after(struct fixture *f, int fd, struct mono begin, int64_t us)
{
    admin_sweep(f->admin->tcp, mono_add(begin, us - 1));
    settle(f);
    if (f->admin->tcp->n_connections != 1)
        return false;
    admin_sweep(f->admin->tcp, mono_add(mono_read(), us));
    settle(f);
    return f->admin->tcp->n_connections == 0 && closes(f, fd);
}

static void who_is_slow_to_ask_is_closed(void **state)
{
    static const char *const parts[] = {"", "GET /met",
                                        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"};
    struct fixture *f = *state;
    start(f, NULL);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct mono begin = mono_read();
        int fd = connect_tcp(f);
        send_all(f, fd, parts[i], strlen(parts[i]));
        settle(f);
        assert_true(ends_after(f, fd, begin, ADMIN_REQUEST_US));
        close(fd);
    }
    int fd = connect_tcp(f);
    struct mono begin = mono_read();
    struct answer a = ask(f, fd, GET("/healthz"));
    answer_free(&a);
    send_all(f, fd, "GET /", 5); // the next one
    assert_true(ends_after(f, fd, begin, ADMIN_REQUEST_US));
    close(fd);
}

static void who_is_slow_to_take_an_answer_is_closed(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    f->metrics_size = 16 << 20;
    int fd = connect_tcp(f);
    struct mono begin = mono_read();
    send_all(f, fd, GET("/metrics"), strlen(GET("/metrics")));
    settle(f);
    admin_sweep(f->admin->tcp, mono_add(begin, ADMIN_ANSWER_US - 1));
    settle(f);
    assert_int_equal(f->admin->tcp->n_connections, 1);
    admin_sweep(f->admin->tcp, mono_add(mono_read(), ADMIN_ANSWER_US));
    settle(f);
    assert_int_equal(f->admin->tcp->n_connections, 0);
    close(fd);
}

static void a_tick_closes_nobody_before_the_time(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = connect_tcp(f), control = connect_control(f);
    settle(f);
    admin_tick(f->admin);
    settle(f);
    assert_int_equal(f->admin->tcp->n_connections + f->admin->control->n_connections, 2);
    close(fd);
    close(control);
}

static void there_are_only_so_many_connections(void **state)
{
    struct fixture *f = *state;
    int fds[ADMIN_CONNECTIONS_MAX];
    start(f, NULL);
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        fds[i] = connect_tcp(f);
        loop_turn(f->loop, false);
    }
    settle(f);
    int more = connect_tcp(f);
    assert_true(closes(f, more));
    close(more);
    int control = connect_control(f); // has a number of its own
    struct answer a = ask(f, control, GET("/healthz"));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    close(control);
    close(fds[0]);
    settle(f);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
    for (int i = 1; i < ADMIN_CONNECTIONS_MAX; i++)
        close(fds[i]);
}

static void headers_without_end_are_closed(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    int fd = connect_tcp(f);
    char line[1026];
    memset(line, 'x', sizeof(line));
    memcpy(line + 1022, ": 1\r", 4);
    memcpy(line, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nA: ", 44);
    for (int i = 0; i < 100; i++) {
        send(fd, line, sizeof(line), MSG_NOSIGNAL);
        loop_turn(f->loop, false);
    }
    assert_true(closes(f, fd));
    close(fd);
    assert_int_equal(f->calls, 0);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

// Of HTTP/2 nothing is answered; it harms nobody.
static void http2_is_not_spoken(void **state)
{
    static const char *const begins[] = {
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"};
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    struct fixture *f = *state;
    start(f, NULL);
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        int fd = connect_tcp(f);
        send_all(f, fd, begins[i], strlen(begins[i]));
        settle(f);
        send(fd, preface, sizeof(preface) - 1, MSG_NOSIGNAL);
        settle(f);
        close(fd);
        settle(f);
        assert_int_equal(f->admin->tcp->n_connections, 0);
    }
    assert_int_equal(f->calls, 0);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

static void it_may_end_under_open_connections(void **state)
{
    struct fixture *f = *state;
    start(f, NULL);
    f->metrics_size = 2 << 20;
    int idle = connect_tcp(f), busy = connect_control(f), asking = connect_tcp(f);
    struct answer a = ask(f, idle, GET("/healthz"));
    answer_free(&a);
    send_all(f, busy, GET("/metrics"), strlen(GET("/metrics")));
    settle(f);
    a = ask(f, asking, GET("/healthz"));
    answer_free(&a);
    assert_int_equal(send(asking, GET("/api/status"), strlen(GET("/api/status")), 0),
                     strlen(GET("/api/status")));
    unsigned calls = f->calls;
    admin_destroy(&f->admin);
    assert_null(f->admin);
    assert_true(closes(f, asking));
    settle(f);
    assert_int_equal(f->calls, calls); // nobody is there to answer
    close(idle);
    close(busy);
    close(asking);
    admin_destroy(&f->admin);
}

static void it_may_start_again_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct admin_settings settings = {.host = "127.0.0.1"};
    int one = 1;
    for (int i = 0; i < 3; i++) {
        f->admin = admin_create(f->loop, &settings, &callbacks, f, &f->st);
        assert_non_null(f->admin);
        at.sin_port = htons(admin_port(f->admin));
        assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
        admin_destroy(&f->admin);
        settle(f);
    }
    loop_destroy(&f->loop);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); // the port is given back
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

// --- addresses ---

static void a_port_in_use_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&at, &size), 0);
    const struct admin_settings settings = {
        .host = "127.0.0.1", .port = ntohs(at.sin_port), .socket_path = f->path};
    assert_null(admin_create(f->loop, &settings, &callbacks, f, &f->st));
    assert_int_equal(f->st.code, STATUS_BUSY);
    char want[64];
    snprintf(want, sizeof(want), "127.0.0.1 port %u", settings.port);
    assert_non_null(strstr(f->st.detail, want));
    assert_non_null(strstr(f->st.detail, "admin.listen"));
    assert_non_null(strstr(f->st.detail, "Address already in use"));
    assert_int_equal(access(f->path, F_OK), -1);
    close(taken);
    f->admin = admin_create(f->loop, &settings, &callbacks, f, &f->st); // and then it works
    assert_non_null(f->admin);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

static void an_address_of_another_machine_is_refused(void **state)
{
    static const char *const hosts[] = {"192.0.2.1", "2001:db8::1", "no-such-name"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        const struct admin_settings settings = {.host = hosts[i], .port = 0};
        assert_null(admin_create(f->loop, &settings, &callbacks, f, &f->st));
        assert_int_equal(f->st.code, STATUS_INVALID);
        assert_non_null(strstr(f->st.detail, hosts[i]));
    }
}

static void localhost_is_an_address(void **state)
{
    struct fixture *f = *state;
    const struct admin_settings settings = {.host = "localhost"};
    f->admin = admin_create(f->loop, &settings, &callbacks, f, &f->st);
    assert_non_null(f->admin);
    assert_int_equal(get_with(f, "/healthz", "localhost", ""), 200);
}

static void it_listens_on_ipv6_too(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct admin_settings settings = {.host = "::1"};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        if (fd >= 0)
            close(fd);
        print_message("skipped: this machine has no ::1\n");
        skip();
    }
    close(fd);
    f->admin = admin_create(f->loop, &settings, &callbacks, f, &f->st);
    assert_non_null(f->admin);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin6_port = htons(admin_port(f->admin));
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    struct answer a = ask(f, fd, "GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    assert_int_equal(a.status, 200);
    answer_free(&a);
    close(fd);
}

static void the_control_socket_is_for_its_group(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    mode_t before = umask(0);
    start(f, NULL);
    assert_int_equal(umask(before), 0); // as it was
    assert_int_equal(stat(f->path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_int_equal(info.st_mode & 0777, 0660);
    admin_destroy(&f->admin);
    assert_int_equal(access(f->path, F_OK), -1);
}

static void the_control_sockets_path_need_not_live_on(void **state)
{
    struct fixture *f = *state;
    char *path = mem_strdup(f->path);
    const struct admin_settings settings = {.socket_path = path};
    f->admin = admin_create(f->loop, &settings, &callbacks, f, &f->st);
    assert_non_null(f->admin);
    assert_int_equal(admin_port(f->admin), 0);
    memset(path, '!', strlen(path));
    free(path);
    int fd = connect_control(f);
    struct answer a = ask(f, fd, GET("/healthz"));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    close(fd);
}

static void a_socket_that_a_crash_left_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, f->path);
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stale, (struct sockaddr *)&at, sizeof(at)), 0);
    close(stale);
    start(f, NULL);
    int fd = connect_control(f);
    struct answer a = ask(f, fd, GET("/healthz"));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    close(fd);
}

static void a_socket_that_is_in_use_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const struct admin_settings settings = {.socket_path = f->path};
    strcpy(at.sun_path, f->path);
    int taken = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(taken, 0), 0);
    for (int i = 0; i < 3; i++) { // then it takes no more
        assert_null(admin_create(f->loop, &settings, &callbacks, f, &f->st));
        assert_int_equal(f->st.code, STATUS_BUSY);
        assert_non_null(strstr(f->st.detail, "another cxsink answers"));
        assert_int_equal(access(f->path, F_OK), 0);
    }
    close(taken);
    unlink(f->path);
}

static void a_control_socket_that_cannot_be_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[256];
    snprintf(path, sizeof(path), "%s/missing/control.sock", f->dir);
    const struct admin_settings settings = {.host = "127.0.0.1", .socket_path = path};
    assert_null(admin_create(f->loop, &settings, &callbacks, f, &f->st));
    assert_int_equal(f->st.code, STATUS_IO);
    assert_non_null(strstr(f->st.detail, path));
    memset(path + strlen(f->dir), 'x', 150); // a socket's path has 107 bytes at most
    path[strlen(f->dir)] = '/';
    path[strlen(f->dir) + 150] = '\0';
    assert_null(admin_create(f->loop, &settings, &callbacks, f, &f->st));
    assert_int_equal(f->st.code, STATUS_INVALID);
    assert_non_null(strstr(f->st.detail, "runtime_dir"));
}

static void a_port_that_needs_a_privilege_is_denied(void **state)
{
    struct fixture *f = *state;
    const struct admin_settings settings = {.host = "127.0.0.1", .port = 1};
    uid_t before = geteuid();
    if (before == 0)
        assert_int_equal(seteuid(65534), 0);
    struct admin *admin = admin_create(f->loop, &settings, &callbacks, f, &f->st);
    assert_int_equal(seteuid(before), 0);
    if (admin != NULL) { // net.ipv4.ip_unprivileged_port_start
        print_message("skipped: every port is free to take here\n");
        admin_destroy(&admin);
        skip();
    }
    assert_int_equal(f->st.code, STATUS_DENIED);
}

#define ADMIN_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ADMIN_TEST(every_route_answers),
        ADMIN_TEST(readiness_says_why_not),
        ADMIN_TEST(other_paths_are_not_found),
        ADMIN_TEST(every_answer_is_shut_off_from_other_pages),
        ADMIN_TEST(only_reading_is_served),
        ADMIN_TEST(a_body_is_not_waited_for),
        ADMIN_TEST(head_is_get_without_the_body),
        ADMIN_TEST(foreign_hosts_are_refused),
        ADMIN_TEST(pages_of_another_origin_are_refused),
        ADMIN_TEST(where_all_addresses_are_listened_on_any_is_a_host),
        ADMIN_TEST(a_token_is_asked_for),
        ADMIN_TEST(a_token_that_is_too_long_is_refused),
        ADMIN_TEST(the_control_socket_asks_for_nothing),
        ADMIN_TEST(a_large_answer_comes_whole),
        ADMIN_TEST(a_client_that_does_not_read_holds_nothing_up),
        ADMIN_TEST(requests_may_come_in_pieces),
        ADMIN_TEST(requests_that_come_together_are_never_mixed_up),
        ADMIN_TEST(what_is_no_request_is_closed),
        ADMIN_TEST(many_connections_leave_no_descriptor),
        ADMIN_TEST(who_is_slow_to_ask_is_closed),
        ADMIN_TEST(who_is_slow_to_take_an_answer_is_closed),
        ADMIN_TEST(a_tick_closes_nobody_before_the_time),
        ADMIN_TEST(there_are_only_so_many_connections),
        ADMIN_TEST(headers_without_end_are_closed),
        ADMIN_TEST(http2_is_not_spoken),
        ADMIN_TEST(it_may_end_under_open_connections),
        ADMIN_TEST(it_may_start_again_elsewhere),
        ADMIN_TEST(a_port_in_use_is_refused),
        ADMIN_TEST(an_address_of_another_machine_is_refused),
        ADMIN_TEST(a_port_that_needs_a_privilege_is_denied),
        ADMIN_TEST(localhost_is_an_address),
        ADMIN_TEST(it_listens_on_ipv6_too),
        ADMIN_TEST(the_control_socket_is_for_its_group),
        ADMIN_TEST(the_control_sockets_path_need_not_live_on),
        ADMIN_TEST(a_socket_that_a_crash_left_is_replaced),
        ADMIN_TEST(a_socket_that_is_in_use_is_left_alone),
        ADMIN_TEST(a_control_socket_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
