// SPDX-License-Identifier: Apache-2.0
#include "net/tls.h"

#include "core/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Without this OpenSSL asks for a pass phrase at the terminal, and waits.
static int refuse_pass_phrase(char *text, int size, int writing, void *owner)
{
    (void)text;
    (void)size;
    (void)writing;
    (void)owner;
    return 0;
}

// OpenSSL's first reason, which is the cause, and leaves its queue empty.
static const char *take_reason(char *text, size_t size)
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error);
    if (ERR_SYSTEM_ERROR(error))
        reason = strerror_r(ERR_GET_REASON(error), text, size);
    ERR_clear_error();
    snprintf(text, size, "%s", reason != NULL ? reason : "unknown reason");
    return text;
}

static enum status_code file_fault(struct status *st, const char *what, const char *path,
                                   const char *remedy)
{
    char reason[128];
    return status_set(st, STATUS_INVALID, "cannot use %s \"%s\": %s; %s", what, path,
                      take_reason(reason, sizeof(reason)), remedy);
}

// Says in words of the system why a file cannot be read; OpenSSL's own are poor.
static enum status_code check_readable(const char *what, const char *path, struct status *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
        return STATUS_OK;
    }
    enum status_code code = errno == ENOENT                     ? STATUS_NOT_FOUND
                            : errno == EACCES || errno == EPERM ? STATUS_DENIED
                                                                : STATUS_IO;
    return status_set_errno(st, code, errno, "cannot read %s \"%s\"", what, path);
}

// A directory made by "openssl rehash" or update-ca-certificates holds names like 5f618aec.0.
static bool is_hashed_dir(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(dir)) != NULL) {
        size_t hex = strspn(entry->d_name, "0123456789abcdef");
        found = hex == 8 && entry->d_name[8] == '.' && isdigit((unsigned char)entry->d_name[9]);
    }
    closedir(dir);
    return found;
}

static enum status_code trust_system(SSL_CTX *context, struct status *st)
{
    const char *dir = getenv(X509_get_default_cert_dir_env());
    bool hashed = is_hashed_dir(dir != NULL ? dir : X509_get_default_cert_dir());
    bool bundle = getenv(X509_get_default_cert_file_env()) != NULL || !hashed;
    if (SSL_CTX_set_default_verify_dir(context) != 1 ||
        (bundle && SSL_CTX_set_default_verify_file(context) != 1)) {
        char reason[128];
        return status_set(st, STATUS_INTERNAL, "cannot use the system's trusted certificates: %s",
                          take_reason(reason, sizeof(reason)));
    }
    ERR_clear_error(); // a bundle that is not there is not an error
    return STATUS_OK;
}

static enum status_code trust_file(SSL_CTX *context, const char *path, struct status *st)
{
    enum status_code code = check_readable("the CA file", path, st);
    if (code != STATUS_OK)
        return code;
    if (SSL_CTX_load_verify_file(context, path) != 1)
        return file_fault(st, "the CA file", path, "it must hold certificates in PEM form");
    // What the file names is trusted, an intermediate certificate too.
    X509_STORE_set_flags(SSL_CTX_get_cert_store(context), X509_V_FLAG_PARTIAL_CHAIN);
    return STATUS_OK;
}

static enum status_code use_certificate(SSL_CTX *context, const struct tls_settings *settings,
                                        struct status *st)
{
    const char *certificate = settings->cert_file;
    const char *key = settings->key_file != NULL ? settings->key_file : certificate;
    enum status_code code = check_readable("the certificate file", certificate, st);
    if (code == STATUS_OK)
        code = check_readable("the key file", key, st);
    if (code != STATUS_OK)
        return code;
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return file_fault(st, "the certificate file", certificate,
                          "it must hold the certificate and its chain in PEM form");
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return file_fault(st, "the key file", key,
                          "it must hold the certificate's key in PEM form, without a pass phrase");
    if (SSL_CTX_check_private_key(context) != 1)
        return file_fault(st, "the key file", key, "it must belong to the certificate");
    return STATUS_OK;
}

static enum status_code set_policy(SSL_CTX *context, struct status *st)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(context, refuse_pass_phrase);
    // A fresh store: what the library loaded, or shares between contexts, is not ours to extend.
    X509_STORE *store = X509_STORE_new();
    if (store == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        X509_STORE_free(store);
        return status_set(st, STATUS_INTERNAL, "OpenSSL refuses a TLS context");
    }
    SSL_CTX_set_cert_store(context, store);
    return STATUS_OK;
}

enum status_code tls_context_apply(struct ssl_ctx_st *context, const struct tls_settings *settings,
                                   struct status *st)
{
    ERR_clear_error();
    enum status_code code = set_policy(context, st);
    if (code == STATUS_OK)
        code = settings->ca_file != NULL ? trust_file(context, settings->ca_file, st)
                                         : trust_system(context, st);
    if (code == STATUS_OK && settings->cert_file != NULL)
        code = use_certificate(context, settings, st);
    return code;
}

struct ssl_ctx_st *tls_context_create(const struct tls_settings *settings, struct status *st)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        status_set(st, STATUS_INTERNAL, "OpenSSL refuses a TLS context");
        return NULL;
    }
    if (tls_context_apply(context, settings, st) != STATUS_OK)
        tls_context_free(&context);
    return context;
}

void tls_context_free(struct ssl_ctx_st **context)
{
    SSL_CTX_free(*context);
    *context = NULL;
}

int64_t tls_certificate_until_us(const struct x509_st *certificate)
{
    struct tm tm;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1
               ? (int64_t)timegm(&tm) * US_PER_S
               : 0;
}

int64_t tls_file_until_us(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate =
        file != NULL ? PEM_read_bio_X509(file, NULL, refuse_pass_phrase, NULL) : NULL;
    int64_t until_us = certificate != NULL ? tls_certificate_until_us(certificate) : 0;
    X509_free(certificate);
    BIO_free(file);
    ERR_clear_error();
    return until_us;
}
