// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/fake_ca.h"
#include "net/http_fixture.h"

#define DAY 86400L

struct certificates {
    char dir[64], ca_file[96], client_file[96], client_key[96];
    struct fake_certificate ca, good, client;
};

static void make_certificates(struct certificates *c)
{
    snprintf(c->dir, sizeof(c->dir), "/tmp/cxsink-http-XXXXXX");
    if (mkdtemp(c->dir) == NULL)
        abort();
    snprintf(c->ca_file, sizeof(c->ca_file), "%s/ca.pem", c->dir);
    snprintf(c->client_file, sizeof(c->client_file), "%s/client.pem", c->dir);
    snprintf(c->client_key, sizeof(c->client_key), "%s/client.key", c->dir);
    struct fake_certificate_options options = {.name = "CA", .is_ca = 1, .not_after = DAY};
    c->ca = fake_certificate_make(&options, NULL);
    options = (struct fake_certificate_options){
        .name = "s", .san = "DNS:good.test,IP:127.0.0.1", .not_after = DAY};
    c->good = fake_certificate_make(&options, &c->ca);
    options = (struct fake_certificate_options){.name = "client", .not_after = DAY};
    c->client = fake_certificate_make(&options, &c->ca);
    fake_write_certificate(&c->ca, c->ca_file);
    fake_write_certificate(&c->client, c->client_file);
    fake_write_key(&c->client, c->client_key, NULL);
}

static void remove_certificates(struct certificates *c)
{
    unlink(c->ca_file);
    unlink(c->client_file);
    unlink(c->client_key);
    rmdir(c->dir);
    fake_certificate_free(&c->ca);
    fake_certificate_free(&c->good);
    fake_certificate_free(&c->client);
}

static void serve_tls(struct fixture *f, SSL_CTX *context, const char *host)
{
    static const struct fake_reply replies[] = {{.bytes = OK_REPLY}};
    if (f->server != NULL)
        fake_stop(&f->server);
    f->server = fake_start_tls(replies, 1, context);
    snprintf(f->url, sizeof(f->url), "https://%s:%u/", host, f->server->port);
}

static void test_tls(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    struct http_options options = {.tls = {.ca_file = c.ca_file}};
    static const char *const hosts[] = {"good.test", "127.0.0.1"};
    for (int i = 0; i < 2; i++) {
        serve_tls(f, fake_server_context(&c.good), hosts[i]);
        struct caller answer = ask(f, &options);
        assert_int_equal(answer.response.code, STATUS_OK);
        assert_string_equal(answer.body, "ok");
    }
    remove_certificates(&c);
}

static int64_t days_left(const struct http_response *response)
{
    return (response->certificate_until_us - wall_read_us() + US_PER_S * DAY / 2) /
           (US_PER_S * DAY);
}

// The server's own is told, not its authority's, unless that is what it shows.
static void test_when_the_certificate_expires(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    struct http_options options = {.tls = {.ca_file = c.ca_file}};
    struct fake_certificate_options made = {
        .name = "s", .san = "DNS:good.test", .not_after = 20 * DAY};
    struct fake_certificate later = fake_certificate_make(&made, &c.ca);
    serve_tls(f, fake_server_context(&later), "good.test");
    struct caller answer = ask(f, &options);
    assert_int_equal(answer.response.code, STATUS_OK);
    assert_int_equal(days_left(&answer.response), 20);
    made = (struct fake_certificate_options){
        .name = "s", .san = "DNS:good.test", .not_after = 5 * DAY};
    struct fake_certificate own = fake_certificate_make(&made, NULL);
    fake_write_certificate(&own, c.client_file);
    serve_tls(f, fake_server_context(&own), "good.test");
    answer = ask(f, &(struct http_options){.tls = {.ca_file = c.client_file}});
    assert_int_equal(days_left(&answer.response), 5);
    fake_certificate_free(&later);
    fake_certificate_free(&own);
    remove_certificates(&c);
}

static void test_nothing_is_sent_where_only_a_connection_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    unsigned before = open_files();
    serve_tls(f, fake_server_context(&c.good), "good.test");
    struct http_options options = {.connect_only = true, .tls = {.ca_file = c.ca_file}};
    struct caller answer = ask(f, &options);
    assert_int_equal(answer.response.code, STATUS_OK);
    assert_int_equal(answer.response.status, 0);
    assert_int_equal(days_left(&answer.response), 1);
    assert_int_equal(fake_count(f->server), 0);
    options.tls.ca_file = c.client_file;
    assert_int_equal(ask(f, &options).response.code, STATUS_DENIED);
    fake_stop(&f->server);
    assert_true(open_files() <= before);
    serve(f, (struct fake_reply[]){{.bytes = OK_REPLY}}, 1); // without TLS
    answer = ask(f, &options);
    assert_int_equal(answer.response.code, STATUS_OK);
    assert_int_equal(answer.response.certificate_until_us, 0);
    assert_int_equal(fake_count(f->server), 0);
    remove_certificates(&c);
}

// Asks a server that shows this certificate; it must be refused.
static void refused(struct fixture *f, SSL_CTX *context, const char *ca_file,
                    struct caller *caller_r)
{
    serve_tls(f, context, "good.test");
    *caller_r = ask(f, &(struct http_options){.tls = {.ca_file = ca_file}});
    assert_int_equal(caller_r->response.code, STATUS_DENIED);
    assert_false(caller_r->response.sent);
    assert_int_equal(fake_count(f->server), 0);
}

static void test_refusals_say_which_check_failed(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    const struct {
        struct fake_certificate_options options;
        bool self_signed;
        const char *words[3];
    } cases[] = {
        {{.name = "old", .san = "DNS:good.test", .not_before = -2 * DAY, .not_after = -DAY},
         false,
         {"good.test:", "the certificate \"old\" has expired on 20", "clock, which says 20"}},
        {{.name = "new", .san = "DNS:good.test", .not_before = DAY, .not_after = 2 * DAY},
         false,
         {"the certificate \"new\" is not valid yet: it begins on 20", "clock", ""}},
        {{.name = "own", .san = "DNS:good.test", .not_after = DAY},
         true,
         {"the certificate \"own\" is self-signed", "tls.ca_file", ""}},
        {{.name = "user", .san = "DNS:good.test", .usage = "clientAuth", .not_after = DAY},
         false,
         {"the certificate \"user\" is not meant for a TLS server", "wrong purpose", ""}},
        {{.name = "x", .san = "DNS:a.test,DNS:*.b.test,IP:127.0.0.9,IP:::1", .not_after = DAY},
         false,
         {"for another host (a.test, *.b.test, 127.0.0.9, ::1), not for good.test",
          "host name in the URL", ""}},
        {{.name = "common.test", .not_after = DAY},
         false,
         {"(common.test), not for good.test", "", ""}},
        {{.name = "common.test", .san = "email:a@b.test", .not_after = DAY},
         false,
         {"(common.test), not for good.test", "", ""}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_certificate made =
            fake_certificate_make(&cases[i].options, cases[i].self_signed ? NULL : &c.ca);
        struct caller answer;
        refused(f, fake_server_context(&made), c.ca_file, &answer);
        for (size_t w = 0; w < 3; w++)
            assert_contains(answer.response.detail, cases[i].words[w]);
        fake_certificate_free(&made);
    }
    remove_certificates(&c);
}

static void test_unknown_issuers_are_named(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    const char *const files[] = {NULL, c.client_file}; // the system's store, and another CA
    struct caller answer;
    for (int i = 0; i < 2; i++) {
        refused(f, fake_server_context(&c.good), files[i], &answer);
        assert_contains(answer.response.detail,
                        "the certificate \"s\" is issued by \"CA\", which is unknown here");
        assert_contains(answer.response.detail, "tls.ca_file");
    }
    SSL_CTX *with_root = fake_server_context(&c.good);
    SSL_CTX_add1_chain_cert(with_root, c.ca.x509);
    refused(f, with_root, NULL, &answer);
    assert_contains(answer.response.detail, "the CA \"CA\" is self-signed and not trusted here");
    // An intermediate that may not issue.
    struct fake_certificate_options options = {
        .name = "leaf", .san = "DNS:good.test", .not_after = DAY};
    struct fake_certificate leaf = fake_certificate_make(&options, &c.client);
    SSL_CTX *wrong_chain = fake_server_context(&leaf);
    SSL_CTX_add1_chain_cert(wrong_chain, c.client.x509);
    refused(f, wrong_chain, c.ca_file, &answer);
    assert_contains(answer.response.detail, "\"client\" was refused: invalid CA certificate");
    fake_certificate_free(&leaf);
    remove_certificates(&c);
}

static void test_many_and_odd_names_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    char san[4096] = "";
    for (int i = 0; i < 100; i++)
        snprintf(san + strlen(san), sizeof(san) - strlen(san), "%sDNS:name%d.many.test",
                 i > 0 ? "," : "", i);
    struct fake_certificate_options options = {.name = "m", .san = san, .not_after = DAY};
    struct fake_certificate made = fake_certificate_make(&options, &c.ca);
    struct caller answer;
    refused(f, fake_server_context(&made), c.ca_file, &answer);
    assert_contains(answer.response.detail, "(name0.many.test, name1.many.test, ");
    assert_contains(answer.response.detail, ", ...), not for good.test");
    fake_certificate_free(&made);
    options = (struct fake_certificate_options){
        .name = "a\nb\x1b[31m", .san = "DNS:good.test", .not_after = DAY};
    made = fake_certificate_make(&options, NULL);
    refused(f, fake_server_context(&made), c.ca_file, &answer);
    assert_contains(answer.response.detail, "\"a b [31m\" is self-signed");
    fake_certificate_free(&made);
    remove_certificates(&c);
}

static void test_old_tls_is_refused(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    SSL_CTX *context = fake_server_context(&c.good);
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    serve_tls(f, context, "good.test");
    struct caller answer = ask(f, &(struct http_options){.tls = {.ca_file = c.ca_file}});
    assert_int_equal(answer.response.code, STATUS_UNAVAILABLE);
    assert_contains(answer.response.detail, "TLS");
    assert_contains(answer.response.detail, "version");
    remove_certificates(&c);
}

static void test_connection_is_not_shared_between_tls_settings(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    serve_tls(f, fake_server_context(&c.good), "good.test");
    assert_int_equal(ask(f, &(struct http_options){.tls = {.ca_file = c.ca_file}}).response.code,
                     STATUS_OK);
    // A warm connection to a server that the system's store does not trust.
    assert_int_equal(get(f).response.code, STATUS_DENIED);
    struct http_options with_client = {.tls = {c.ca_file, c.client_file, c.client_key}};
    assert_int_equal(ask(f, &with_client).response.code, STATUS_OK);
    assert_int_equal(f->server->n_accepted, 3);
    remove_certificates(&c);
}

static void test_client_certificate(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    SSL_CTX *context = fake_server_context(&c.good);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_load_verify_file(context, c.ca_file);
    serve_tls(f, context, "good.test");
    struct http_options options = {.tls = {c.ca_file, c.client_file, c.client_key}};
    assert_int_equal(ask(f, &options).response.code, STATUS_OK);
    options.tls = (struct tls_settings){.ca_file = c.ca_file};
    assert_int_equal(ask(f, &options).response.code, STATUS_UNAVAILABLE);
    remove_certificates(&c);
}

static void test_tls_files_are_named(void **state)
{
    struct fixture *f = *state;
    struct certificates c;
    make_certificates(&c);
    serve_tls(f, fake_server_context(&c.good), "good.test");
    struct caller a = ask(f, &(struct http_options){.tls = {.ca_file = "/nonexistent/ca.pem"}});
    assert_int_equal(a.response.code, STATUS_NOT_FOUND);
    assert_contains(a.response.detail, "cannot read the CA file \"/nonexistent/ca.pem\"");
    struct http_options wrong_key = {.tls = {c.ca_file, c.client_file, c.ca_file}};
    a = ask(f, &wrong_key);
    assert_int_equal(a.response.code, STATUS_INVALID);
    assert_contains(a.response.detail, "the key file");
    remove_certificates(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tls),
        TEST(test_when_the_certificate_expires),
        TEST(test_nothing_is_sent_where_only_a_connection_is_asked_for),
        TEST(test_refusals_say_which_check_failed),
        TEST(test_unknown_issuers_are_named),
        TEST(test_many_and_odd_names_are_bounded),
        TEST(test_old_tls_is_refused),
        TEST(test_connection_is_not_shared_between_tls_settings),
        TEST(test_client_certificate),
        TEST(test_tls_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
