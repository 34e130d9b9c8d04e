// SPDX-License-Identifier: Apache-2.0
// TLS of a request: our policy for libcurl's context, and which check a certificate failed.
#include "net/http_priv.h"

#include "core/clock.h"
#include "core/mem.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- what a certificate says ---

static void subject_of(const X509 *certificate, char *text, size_t size)
{
    text[0] = '\0';
    if (certificate != NULL)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text,
                                  (int)size);
}

static void time_of(const ASN1_TIME *time, char *text, size_t size)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(text, size, "a date that cannot be read");
}

static void name_to_text(const GENERAL_NAME *name, char *text, size_t size)
{
    text[0] = '\0';
    if (name->type == GEN_DNS)
        snprintf(text, size, "%.*s", ASN1_STRING_length(name->d.dNSName),
                 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    else if (name->type == GEN_IPADD)
        inet_ntop(ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6,
                  ASN1_STRING_get0_data(name->d.iPAddress), text, (socklen_t)size);
}

// "a.example, *.b.example"; of very many, the first ones and "...".
static void names_of(const X509 *certificate, char *text, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char one[128];
        name_to_text(sk_GENERAL_NAME_value(names, i), one, sizeof(one));
        size_t length = strlen(one);
        if (length == 0)
            continue;
        bool room = used + length + 8 < size;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                                 room ? one : "...");
        if (!room)
            break;
    }
    GENERAL_NAMES_free(names);
    if (used == 0) // then the common name counts, for libcurl
        subject_of(certificate, text, size);
}

// --- which check failed ---

#define PRIVATE_CA "; where its CA is a private one, name it in tls.ca_file"

struct fault {
    X509 *certificate; // at which the check failed; may be NULL
    int depth, error;
    char subject[128];
};

static void describe_date(const struct fault *fault, char *text, size_t size)
{
    bool expired = fault->error == X509_V_ERR_CERT_HAS_EXPIRED;
    char date[32], now[32];
    time_of(expired ? X509_get0_notAfter(fault->certificate)
                    : X509_get0_notBefore(fault->certificate),
            date, sizeof(date));
    wall_format(wall_read_us(), now, sizeof(now));
    snprintf(text, size,
             "the certificate \"%s\" %s %s; check it, and this machine's clock, which says %s",
             fault->subject, expired ? "has expired on" : "is not valid yet: it begins on", date,
             now);
}

static void describe_issuer(const struct fault *fault, char *text, size_t size)
{
    char issuer[128] = "";
    X509_NAME_get_text_by_NID(X509_get_issuer_name(fault->certificate), NID_commonName, issuer,
                              sizeof(issuer));
    snprintf(text, size,
             "the certificate \"%s\" is issued by \"%s\", which is unknown here (the server may "
             "have to send its intermediate certificate)" PRIVATE_CA,
             fault->subject, issuer);
}

static void describe(const struct fault *fault, char *text, size_t size)
{
    switch (fault->certificate != NULL ? fault->error : X509_V_ERR_UNSPECIFIED) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        describe_date(fault, text, size);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        describe_issuer(fault, text, size);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(text, size, "the certificate \"%s\" is self-signed" PRIVATE_CA, fault->subject);
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        snprintf(text, size, "the CA \"%s\" is self-signed and not trusted here" PRIVATE_CA,
                 fault->subject);
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        snprintf(text, size, "the certificate \"%s\" is not meant for %s (wrong purpose)",
                 fault->subject, fault->depth == 0 ? "a TLS server" : "issuing a TLS server's");
        break;
    default:
        snprintf(text, size, "the certificate \"%s\" was refused: %s", fault->subject,
                 X509_verify_cert_error_string(fault->error));
    }
}

static void note_fault(struct http_request *request, X509_STORE_CTX *store)
{
    struct fault fault = {.certificate = X509_STORE_CTX_get_current_cert(store),
                          .depth = X509_STORE_CTX_get_error_depth(store),
                          .error = X509_STORE_CTX_get_error(store)};
    subject_of(fault.certificate, fault.subject, sizeof(fault.subject));
    describe(&fault, request->tls_check, sizeof(request->tls_check));
}

// The request whose connection this is: NULL for a handshake later on in the life of a connection,
// which its request may not have lived to see. `token` may point to nothing.
static struct http_request *connecting(const struct http_client *client, const void *token)
{
    struct http_request *request = client->requests;
    while (request != NULL && (request != token || request->phase != HTTP_CONNECTING))
        request = request->next;
    return request;
}

// Of what the server sent: the last of the chain is trusted here, unless it is the only one.
static int64_t first_end(X509_STORE_CTX *store)
{
    const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    int64_t first = 0;
    for (int i = 0; i == 0 || i < sk_X509_num(chain) - 1; i++) {
        int64_t end = tls_certificate_until_us(sk_X509_value(chain, i));
        first = first == 0 || end < first ? end : first;
    }
    return first;
}

static void note_certificate(struct http_request *request, X509_STORE_CTX *store)
{
    names_of(X509_STORE_CTX_get0_cert(store), request->tls_names, sizeof(request->tls_names));
    request->response.certificate_until_us = first_end(store);
}

// OpenSSL's own verification; we only listen.
static int verify(X509_STORE_CTX *store, void *owner)
{
    const struct http_client *client = owner;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct http_request *request = connecting(client, SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    int ok = X509_verify_cert(store);
    if (request == NULL)
        return ok;
    if (ok == 1)
        note_certificate(request, store);
    else
        note_fault(request, store);
    return ok;
}

// --- set-up ---

static CURLcode apply_tls(CURL *easy, void *context, void *owner)
{
    (void)easy;
    struct http_request *request = owner;
    if (tls_context_apply(context, &request->tls, &request->tls_fault) != STATUS_OK)
        return CURLE_SSL_CERTPROBLEM;
    SSL_CTX_set_app_data(context, request);
    SSL_CTX_set_cert_verify_callback(context, verify, request->client);
    return CURLE_OK;
}

static char *copy_or_null(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

// tls_context_apply() decides. libcurl is told the same files because it reuses a connection only
// for a request that names the same ones; its own bundle would be read at every connection.
enum status_code http_tls_setup(struct http_request *request, const struct tls_settings *tls,
                                struct status *st)
{
    request->tls = (struct tls_settings){copy_or_null(tls->ca_file), copy_or_null(tls->cert_file),
                                         copy_or_null(tls->key_file)};
    HTTP_SET(request, CURLOPT_SSL_VERIFYPEER, 1L);
    HTTP_SET(request, CURLOPT_SSL_VERIFYHOST, 2L);
    HTTP_SET(request, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    HTTP_SET(request, CURLOPT_SSL_SESSIONID_CACHE, 0L); // each connection verifies anew
    HTTP_SET(request, CURLOPT_CAPATH, NULL);
    HTTP_SET(request, CURLOPT_CAINFO, request->tls.ca_file);
    HTTP_SET(request, CURLOPT_SSL_CTX_FUNCTION, apply_tls);
    HTTP_SET(request, CURLOPT_SSL_CTX_DATA, request);
    if (request->tls.cert_file != NULL) {
        HTTP_SET(request, CURLOPT_SSLCERT, request->tls.cert_file);
        HTTP_SET(request, CURLOPT_SSLKEY,
                 request->tls.key_file != NULL ? request->tls.key_file : request->tls.cert_file);
        HTTP_SET(request, CURLOPT_KEYPASSWD, ""); // else OpenSSL asks at the terminal
    }
    return STATUS_OK;
}

void http_tls_free(struct http_request *request)
{
    free((char *)request->tls.ca_file);
    free((char *)request->tls.cert_file);
    free((char *)request->tls.key_file);
    request->tls = (struct tls_settings){0};
}
