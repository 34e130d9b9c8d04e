// SPDX-License-Identifier: Apache-2.0
// Certificates made on the spot, for tests.
#ifndef CXSINK_TEST_FAKE_CA_H
#define CXSINK_TEST_FAKE_CA_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_certificate {
    X509 *x509;
    EVP_PKEY *key;
};

struct fake_certificate_options {
    const char *name;  // common name
    const char *san;   // "DNS:host,IP:127.0.0.1"; NULL: none
    const char *usage; // extended key usage, "clientAuth"; NULL: none
    int is_ca;
    long not_before, not_after; // seconds from now
};

static inline void fake_add_extension(X509 *x509, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    if (extension == NULL)
        abort();
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

// `issuer` NULL: signs itself.
static inline struct fake_certificate
fake_certificate_make(const struct fake_certificate_options *options,
                      const struct fake_certificate *issuer)
{
    static long serial = 1;
    struct fake_certificate made = {X509_new(), EVP_EC_gen("P-256")};
    X509_set_version(made.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.x509), options->not_before);
    X509_gmtime_adj(X509_getm_notAfter(made.x509), options->not_after);
    X509_set_pubkey(made.x509, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)options->name, -1, -1, 0);
    X509_set_issuer_name(made.x509,
                         X509_get_subject_name(issuer != NULL ? issuer->x509 : made.x509));
    fake_add_extension(made.x509, NID_basic_constraints,
                       options->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (options->san != NULL)
        fake_add_extension(made.x509, NID_subject_alt_name, options->san);
    if (options->usage != NULL)
        fake_add_extension(made.x509, NID_ext_key_usage, options->usage);
    X509_sign(made.x509, issuer != NULL ? issuer->key : made.key, EVP_sha256());
    return made;
}

static inline void fake_certificate_free(struct fake_certificate *certificate)
{
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
}

static inline void fake_write_certificate(const struct fake_certificate *certificate,
                                          const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || PEM_write_X509(file, certificate->x509) != 1 || fclose(file) != 0)
        abort();
}

// `pass_phrase` NULL: not encrypted.
static inline void fake_write_key(const struct fake_certificate *certificate, const char *path,
                                  const char *pass_phrase)
{
    FILE *file = fopen(path, "w");
    if (file == NULL ||
        PEM_write_PKCS8PrivateKey(
            file, certificate->key, pass_phrase != NULL ? EVP_aes_128_cbc() : NULL, pass_phrase,
            pass_phrase != NULL ? (int)strlen(pass_phrase) : 0, NULL, NULL) != 1 ||
        fclose(file) != 0)
        abort();
}

static inline SSL_CTX *fake_server_context(const struct fake_certificate *certificate)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate(context, certificate->x509) != 1 ||
        SSL_CTX_use_PrivateKey(context, certificate->key) != 1)
        abort();
    return context;
}

#endif
