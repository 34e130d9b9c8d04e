// SPDX-License-Identifier: Apache-2.0
// Streams over TLS: certificates that verify and certificates that must not, each named; pauses
// under TLS, where records hold many messages.
#include "stream/fixture.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#define MANY 20000

// --- certificates ---

struct authority {
    EVP_PKEY *key;
    X509 *cert;
};

static struct authority trusted, unknown;
static char directory[64] = "/tmp/cxsink-tls-XXXXXX";
static char ca_file[96];

static void set_name(X509 *cert, X509_NAME *issuer, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, issuer != NULL ? issuer : subject);
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *make_cert(EVP_PKEY *key, const struct authority *issuer, const char *names,
                       int days_left)
{
    static int serial;
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -10 * 86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), days_left * 86400);
    X509_set_pubkey(cert, key);
    set_name(cert, issuer != NULL ? X509_get_subject_name(issuer->cert) : NULL,
             issuer != NULL ? "leaf" : "test authority");
    if (issuer == NULL)
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    else
        add_extension(cert, NID_subject_alt_name, names);
    X509_sign(cert, issuer != NULL ? issuer->key : key, EVP_sha256());
    return cert;
}

static SSL_CTX *make_server(const struct authority *issuer, const char *names, int days_left)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_cert(key, issuer, names, days_left);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return context;
}

static int make_authorities(void **state)
{
    (void)state;
    trusted.key = EVP_EC_gen("P-256");
    trusted.cert = make_cert(trusted.key, NULL, NULL, 30);
    unknown.key = EVP_EC_gen("P-256");
    unknown.cert = make_cert(unknown.key, NULL, NULL, 30);
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", directory);
    FILE *file = fopen(ca_file, "w");
    PEM_write_X509(file, trusted.cert);
    return fclose(file);
}

static int free_authorities(void **state)
{
    (void)state;
    X509_free(trusted.cert);
    X509_free(unknown.cert);
    EVP_PKEY_free(trusted.key);
    EVP_PKEY_free(unknown.key);
    unlink(ca_file);
    return rmdir(directory);
}

// --- scripts ---

static void say_hello(struct peer *p)
{
    if (peer_handshake(p) && peer_send(p, "hello"))
        peer_serve(p);
}

static void plain_garbage(struct peer *p)
{
    peer_text(p, "HTTP/1.1 400 Bad Request\r\n\r\n");
    peer_wait_eof(p);
}

static void silence(struct peer *p)
{
    peer_wait_eof(p);
}

static void send_numbers(struct peer *p)
{
    static char data[MANY * 8];
    size_t n = 0;
    if (!peer_handshake(p))
        return;
    for (int i = 1; i <= MANY; i++) {
        char text[8];
        int length = snprintf(text, sizeof(text), "%d", i);
        n += peer_frame_header((unsigned char *)data + n, 0x81, (size_t)length);
        memcpy(data + n, text, (size_t)length);
        n += (size_t)length;
    }
    peer_write(p, data, n);
    peer_serve(p);
}

// --- tests ---

static struct fixture *begin_tls(const char *host, SSL_CTX *server, const peer_script *script)
{
    struct fixture *f = fixture_create();
    char url[64];
    f->peer.tls = server;
    f->config.tls.ca_file = ca_file;
    snprintf(url, sizeof(url), "wss://%s", host);
    begin(f, url, script, 1);
    return f;
}

static void finish_tls(struct fixture *f)
{
    SSL_CTX *server = f->peer.tls;
    finish(f);
    SSL_CTX_free(server);
}

static const peer_script hello[] = {say_hello};

static void connects(void **state)
{
    (void)state;
    static const struct {
        const char *host, *names;
    } cases[] = {
        {"peer.test", "DNS:peer.test"},
        {"sub.peer.test", "DNS:other,DNS:*.peer.test"},
        {"127.0.0.1", "IP:127.0.0.1"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct fixture *f =
            begin_tls(cases[i].host, make_server(&trusted, cases[i].names, 30), hello);
        WAIT_FOR(f, f->n_messages == 1 || f->n_ended > 0);
        if (f->n_ended > 0)
            fail_msg("%s: %s", cases[i].names, f->ends[0].detail);
        session_stop(f->session);
        WAIT_FOR(f, session_state(f->session) == SESSION_STOPPED);
        finish_tls(f);
    }
}

static void connects_to_an_ipv6_address(void **state)
{
    (void)state;
    struct fixture *f = fixture_create();
    f->peer.tls = make_server(&trusted, "IP:::1", 30);
    f->peer.family = AF_INET6;
    f->config.tls.ca_file = ca_file;
    begin(f, "wss://[::1]", hello, 1);
    WAIT_FOR(f, f->n_messages == 1 || f->n_ended > 0);
    assert_int_equal(f->n_ended, 0);
    finish_tls(f);
}

static void names_the_fault_of_a_certificate(void **state)
{
    (void)state;
    static const struct {
        const char *host, *names, *part;
        struct authority *issuer;
        int days;
    } cases[] = {
        {"other.test", "DNS:peer.test", "not for this host", &trusted, 30},
        {"127.0.0.1", "IP:127.0.0.2,DNS:127.0.0.1", "not for this host", &trusted, 30},
        {"127.0.0.1", "DNS:peer.test", "not for this host", &trusted, 30},
        {"peer.test", "DNS:peer.test", "issuer is not trusted", &unknown, 30}, // of the same name
        {"peer.test", "DNS:peer.test", "has expired", &trusted, -1},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct fixture *f = begin_tls(
            cases[i].host, make_server(cases[i].issuer, cases[i].names, cases[i].days), hello);
        WAIT_FOR(f, f->n_ended == 2); // and it tries again
        assert_int_equal(f->n_connected, 0);
        assert_string_equal(f->ends[0].label, "tls");
        if (strstr(f->ends[0].detail, cases[i].part) == NULL)
            fail_msg("%s: %s", cases[i].names, f->ends[0].detail);
        finish_tls(f);
    }
}

static void refuses_old_protocols(void **state)
{
    (void)state;
    SSL_CTX *server = make_server(&trusted, "DNS:peer.test", 30);
    SSL_CTX_set_max_proto_version(server, TLS1_1_VERSION);
    SSL_CTX_set_security_level(server, 0);
    SSL_CTX_set_cipher_list(server, "ALL:@SECLEVEL=0");
    struct fixture *f = begin_tls("peer.test", server, hello);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(f->ends[0].label, "tls");
    finish_tls(f);
}

static void meets_a_plain_server(void **state)
{
    (void)state;
    static const peer_script garbage[] = {plain_garbage};
    struct fixture *f = begin_tls("peer.test", NULL, garbage);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(f->ends[0].label, "tls");
    assert_non_null(strstr(f->ends[0].detail, "TLS handshake"));
    finish(f);
}

static void bounds_a_silent_handshake(void **state)
{
    (void)state;
    static const peer_script silent[] = {silence};
    struct fixture *f = fixture_create();
    f->config.tls.ca_file = ca_file;
    f->config.connect_timeout_us = 200 * US_PER_MS;
    begin(f, "wss://peer.test", silent, 1);
    WAIT_FOR(f, f->n_ended == 1);
    assert_string_equal(f->ends[0].label, "timeout");
    finish(f);
}

static void pause_every_1000(struct fixture *f)
{
    if (f->n_messages % 1000 == 500)
        f->pause_at = f->n_messages + 1;
}

static void pauses_under_tls(void **state)
{
    (void)state;
    static const peer_script numbers[] = {send_numbers};
    struct fixture *f = fixture_create();
    f->peer.tls = make_server(&trusted, "DNS:peer.test", 30);
    f->config.tls.ca_file = ca_file;
    f->in_order = true;
    f->on_message = pause_every_1000;
    f->config.ping_interval_us = f->config.ping_timeout_us = 500 * US_PER_MS;
    begin(f, "wss://peer.test", numbers, 1);
    for (int i = 0; f->n_messages < MANY; i++) {
        WAIT_FOR(f, session_state(f->session) == SESSION_PAUSED || f->n_messages == MANY);
        unsigned before = f->n_messages;
        int64_t cpu = cpu_us();
        turn_for(f, i == 3 ? 2 * US_PER_S : 2 * US_PER_MS); // longer than the ping window once
        assert_true(cpu_us() - cpu < US_PER_S / 2);
        assert_int_equal(f->n_messages, before);
        session_resume(f->session);
    }
    assert_int_equal(f->n_connected, 1);
    assert_int_equal(f->n_ended, 0);
    finish_tls(f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),
        cmocka_unit_test(connects_to_an_ipv6_address),
        cmocka_unit_test(names_the_fault_of_a_certificate),
        cmocka_unit_test(refuses_old_protocols),
        cmocka_unit_test(meets_a_plain_server),
        cmocka_unit_test(bounds_a_silent_handshake),
        cmocka_unit_test(pauses_under_tls),
    };
    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
