// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/clock.h"
#include "net/fake_ca.h"
#include "net/tls.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY 86400L

// A directory with every kind of file, right and wrong.
struct files {
    char dir[64];
    char ca[96], certificate[96], key[96], both[96], other_key[96], locked_key[96], junk[96];
    struct fake_certificate ca_made, client, server;
};

static struct files files;

static char *path(char *at, const char *name)
{
    snprintf(at, 96, "%s/%s", files.dir, name);
    return at;
}

static int make_files(void **state)
{
    (void)state;
    snprintf(files.dir, sizeof(files.dir), "/tmp/cxsink-tls-XXXXXX");
    if (mkdtemp(files.dir) == NULL)
        return -1;
    files.ca_made = fake_certificate_make(
        &(struct fake_certificate_options){.name = "Test CA", .is_ca = 1, .not_after = DAY}, NULL);
    files.client = fake_certificate_make(
        &(struct fake_certificate_options){.name = "client", .not_after = DAY}, &files.ca_made);
    files.server = fake_certificate_make(
        &(struct fake_certificate_options){
            .name = "server", .san = "DNS:server.test", .not_after = DAY},
        &files.ca_made);
    fake_write_certificate(&files.ca_made, path(files.ca, "ca.pem"));
    fake_write_certificate(&files.client, path(files.certificate, "client.pem"));
    fake_write_key(&files.client, path(files.key, "client.key"), NULL);
    fake_write_key(&files.ca_made, path(files.other_key, "other.key"), NULL);
    fake_write_key(&files.client, path(files.locked_key, "locked.key"), "pass phrase");
    FILE *both = fopen(path(files.both, "both.pem"), "w");
    PEM_write_X509(both, files.client.x509);
    PEM_write_PKCS8PrivateKey(both, files.client.key, NULL, NULL, 0, NULL, NULL);
    fclose(both);
    FILE *junk = fopen(path(files.junk, "junk.pem"), "w");
    fputs("this is not PEM\n", junk);
    fclose(junk);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    const char *const all[] = {files.ca,   files.certificate, files.key,       files.both,
                               files.junk, files.other_key,   files.locked_key};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        unlink(all[i]);
    fake_certificate_free(&files.ca_made);
    fake_certificate_free(&files.client);
    fake_certificate_free(&files.server);
    return rmdir(files.dir);
}

// --- a handshake in memory ---

struct handshake {
    bool done;
    long verify_result;
    char version[16];
};

static struct handshake shake(SSL_CTX *client_context, SSL_CTX *server_context)
{
    SSL *client = SSL_new(client_context), *server = SSL_new(server_context);
    BIO *client_end, *server_end;
    BIO_new_bio_pair(&client_end, 0, &server_end, 0);
    SSL_set_bio(client, client_end, client_end);
    SSL_set_bio(server, server_end, server_end);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    int c = 0, s = 0;
    for (int i = 0; i < 20 && (c != 1 || s != 1); i++) {
        c = SSL_do_handshake(client);
        s = SSL_do_handshake(server);
    }
    struct handshake result = {.done = c == 1 && s == 1,
                               .verify_result = SSL_get_verify_result(client)};
    snprintf(result.version, sizeof(result.version), "%s", SSL_get_version(client));
    SSL_free(client);
    SSL_free(server);
    return result;
}

static SSL_CTX *create(const struct tls_settings *settings)
{
    struct status st = {0};
    SSL_CTX *context = tls_context_create(settings, &st);
    if (context == NULL)
        fail_msg("%s", st.detail);
    return context;
}

// --- tests ---

static void test_own_ca_is_trusted(void **state)
{
    (void)state;
    SSL_CTX *client = create(&(struct tls_settings){.ca_file = files.ca});
    SSL_CTX *server = fake_server_context(&files.server);
    struct handshake h = shake(client, server);
    assert_true(h.done);
    assert_int_equal(h.verify_result, X509_V_OK);
    tls_context_free(&client);
    assert_null(client);
    tls_context_free(&client); // NULL is fine
    SSL_CTX_free(server);
}

static void test_system_store_does_not_trust_it(void **state)
{
    (void)state;
    SSL_CTX *client = create(&(struct tls_settings){0});
    SSL_CTX *server = fake_server_context(&files.server);
    struct handshake h = shake(client, server);
    assert_false(h.done);
    assert_int_equal(h.verify_result, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    tls_context_free(&client);
    SSL_CTX_free(server);
}

static void test_own_ca_is_the_only_one(void **state)
{
    (void)state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), files.ca_made.x509);
    // Whatever the library trusted is replaced, here by the client's certificate alone.
    struct status st;
    struct tls_settings settings = {.ca_file = files.certificate};
    assert_int_equal(tls_context_apply(context, &settings, &st), STATUS_OK);
    SSL_CTX *server = fake_server_context(&files.server);
    assert_false(shake(context, server).done);
    SSL_CTX_free(context);
    SSL_CTX_free(server);
}

static void test_system_store_by_directory(void **state)
{
    (void)state;
    // A hashed directory is enough; SSL_CERT_FILE names a bundle to be read besides.
    setenv("SSL_CERT_DIR", files.dir, 1); // no hashed names in it
    setenv("SSL_CERT_FILE", files.ca, 1);
    SSL_CTX *client = create(&(struct tls_settings){0});
    SSL_CTX *server = fake_server_context(&files.server);
    assert_true(shake(client, server).done);
    unsetenv("SSL_CERT_FILE");
    tls_context_free(&client);
    char hashed[96];
    snprintf(hashed, sizeof(hashed), "%s/%08lx.0", files.dir,
             X509_NAME_hash_ex(X509_get_subject_name(files.ca_made.x509), NULL, NULL, NULL));
    assert_int_equal(symlink(files.ca, hashed), 0);
    client = create(&(struct tls_settings){0});
    assert_true(shake(client, server).done);
    unlink(hashed);
    unsetenv("SSL_CERT_DIR");
    tls_context_free(&client);
    SSL_CTX_free(server);
}

static void test_old_versions_are_refused(void **state)
{
    (void)state;
    SSL_CTX *client = create(&(struct tls_settings){.ca_file = files.ca});
    SSL_CTX *server = fake_server_context(&files.server);
    SSL_CTX_set_security_level(server, 0);
    SSL_CTX_set_min_proto_version(server, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(server, TLS1_1_VERSION);
    assert_false(shake(client, server).done);
    SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
    struct handshake h = shake(client, server);
    assert_true(h.done);
    assert_string_equal(h.version, "TLSv1.2");
    tls_context_free(&client);
    SSL_CTX_free(server);
}

static void present(const struct tls_settings *settings)
{
    SSL_CTX *client = create(settings);
    SSL_CTX *server = fake_server_context(&files.server);
    SSL_CTX_set_verify(server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_load_verify_file(server, files.ca);
    assert_true(shake(client, server).done);
    tls_context_free(&client);
    SSL_CTX_free(server);
}

static void test_client_certificate_is_presented(void **state)
{
    (void)state;
    present(&(struct tls_settings){files.ca, files.certificate, files.key});
    present(&(struct tls_settings){files.ca, files.both, NULL});
}

static void test_wrong_files_are_named(void **state)
{
    (void)state;
    static const char missing[] = "/nonexistent/ca.pem";
    const struct {
        struct tls_settings settings;
        enum status_code code;
        const char *path, *words;
    } cases[] = {
        {{missing, NULL, NULL}, STATUS_NOT_FOUND, missing, "No such file"},
        {{files.junk, NULL, NULL}, STATUS_INVALID, files.junk, "certificates in PEM form"},
        {{files.key, NULL, NULL}, STATUS_INVALID, files.key, "the CA file"},
        {{files.dir, NULL, NULL}, STATUS_INVALID, files.dir, "the CA file"},
        {{NULL, missing, files.key}, STATUS_NOT_FOUND, missing, "the certificate file"},
        {{NULL, files.junk, files.key}, STATUS_INVALID, files.junk, "the certificate file"},
        {{NULL, files.certificate, missing}, STATUS_NOT_FOUND, missing, "the key file"},
        {{NULL, files.certificate, NULL}, STATUS_INVALID, files.certificate, "the key file"},
        {{NULL, files.certificate, files.junk}, STATUS_INVALID, files.junk, "the key file"},
        {{NULL, files.certificate, files.other_key}, STATUS_INVALID, files.other_key, "mismatch"},
        {{NULL, files.certificate, files.locked_key},
         STATUS_INVALID,
         files.locked_key,
         "without a pass phrase"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct status st = {0};
        assert_null(tls_context_create(&cases[i].settings, &st));
        if (st.code != cases[i].code || strstr(st.detail, cases[i].path) == NULL ||
            strstr(st.detail, cases[i].words) == NULL)
            fail_msg("case %zu: %s: %s", i, status_code_name(st.code), st.detail);
    }
}

static void test_status_may_be_null(void **state)
{
    (void)state;
    assert_null(tls_context_create(&(struct tls_settings){.ca_file = files.junk}, NULL));
}

static void test_unreadable_file(void **state)
{
    (void)state;
    if (geteuid() == 0)
        skip(); // root reads everything
    chmod(files.key, 0);
    struct status st;
    struct tls_settings settings = {NULL, files.certificate, files.key};
    assert_null(tls_context_create(&settings, &st));
    chmod(files.key, 0600);
    assert_int_equal(st.code, STATUS_DENIED);
}

static void test_when_a_file_expires(void **state)
{
    (void)state;
    int64_t left_us = tls_file_until_us(files.both) - wall_read_us();
    assert_in_range(left_us / US_PER_S, DAY - 300, DAY);
    assert_int_equal(tls_file_until_us(files.key), 0); // holds none
    assert_int_equal(tls_file_until_us(files.junk), 0);
    assert_int_equal(tls_file_until_us("/nonexistent.pem"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_ca_is_trusted),
        cmocka_unit_test(test_system_store_does_not_trust_it),
        cmocka_unit_test(test_own_ca_is_the_only_one),
        cmocka_unit_test(test_system_store_by_directory),
        cmocka_unit_test(test_old_versions_are_refused),
        cmocka_unit_test(test_client_certificate_is_presented),
        cmocka_unit_test(test_wrong_files_are_named),
        cmocka_unit_test(test_status_may_be_null),
        cmocka_unit_test(test_unreadable_file),
        cmocka_unit_test(test_when_a_file_expires),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
