// SPDX-License-Identifier: Apache-2.0
// One TLS policy for the stream and for requests: TLS 1.2 at least, certificate and host name
// verified always, the system's trust store or a CA file of one's own (then nothing else is
// trusted), an optional client certificate. The host name itself is set by the library that
// connects.
//
// The system's store is OpenSSL's: the hashed directory (SSL_CERT_DIR, else /etc/ssl/certs), whose
// certificates are read when needed, and the bundle (SSL_CERT_FILE) where that is named or there is
// no such directory; reading the bundle takes 20 ms.
#ifndef CXSINK_NET_TLS_H
#define CXSINK_NET_TLS_H

#include "core/status.h"

#include <stdint.h>

struct ssl_ctx_st;
struct x509_st;

struct tls_settings {
    const char *ca_file;   // NULL: the system's store
    const char *cert_file; // client certificate chain, PEM; NULL: none
    const char *key_file;  // its key, PEM, not encrypted; NULL: it is in cert_file
};

// A new SSL_CTX with one reference (free with tls_context_free). NULL with a sentence that names
// the file when one cannot be used: STATUS_NOT_FOUND, STATUS_DENIED or STATUS_IO when it cannot be
// read, STATUS_INVALID when its content is wrong. Files are read now; for new ones make a new
// context.
struct ssl_ctx_st *tls_context_create(const struct tls_settings *settings,
                                      struct status *st) STATUS_MUST_CHECK;
void tls_context_free(struct ssl_ctx_st **context);
// Applies the same settings to a context that a library made (CURLOPT_SSL_CTX_FUNCTION), replacing
// whatever it trusted.
enum status_code tls_context_apply(struct ssl_ctx_st *context, const struct tls_settings *settings,
                                   struct status *st) STATUS_MUST_CHECK;

// Wall time in microseconds at which a certificate expires; 0: it cannot be told.
int64_t tls_certificate_until_us(const struct x509_st *certificate);
// The same of the first certificate in a PEM file.
int64_t tls_file_until_us(const char *path);

#endif
