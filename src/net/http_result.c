// SPDX-License-Identifier: Apache-2.0
// Finished transfers to answers, and libcurl's errors to sentences.
#include "net/http_priv.h"

#include <ctype.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t http_retry_after_parse(const char *value, int64_t wall_us)
{
    value += strspn(value, " \t");
    size_t digits = strspn(value, "0123456789");
    if (digits > 0 && value[digits + strspn(value + digits, " \t")] == '\0') {
        int64_t most = HTTP_RETRY_AFTER_MAX_US / US_PER_S;
        int64_t seconds = digits > 9 ? most : strtoll(value, NULL, 10);
        return (seconds < most ? seconds : most) * US_PER_S;
    }
    time_t date = curl_getdate(value, NULL);
    if (digits > 0 || date < 0)
        return -1;
    int64_t wait = (int64_t)date * US_PER_S - wall_us;
    if (wait < 0)
        return 0;
    return wait < HTTP_RETRY_AFTER_MAX_US ? wait : HTTP_RETRY_AFTER_MAX_US;
}

// Not CURLINFO_RETRY_AFTER, for which "0" and no header at all are the same.
static int64_t retry_after(CURL *easy, int64_t wall_us)
{
    struct curl_header *header;
    if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return -1;
    return http_retry_after_parse(header->value, wall_us);
}

static enum status_code code_of(CURLcode result)
{
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        return STATUS_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
        return STATUS_DENIED;
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return STATUS_INVALID;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return STATUS_INTERNAL;
    default:
        return STATUS_UNAVAILABLE;
    }
}

// What to do about a certificate that was refused.
static const char *certificate_remedy(long verify_result)
{
    switch (verify_result) {
    case X509_V_OK:              // the chain is fine, so it was the name;
    case X509_V_ERR_UNSPECIFIED: // libcurl's first value, kept when it looks at the name first
        return "; the certificate is for another host: check the host name in the URL";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "; check the server's certificate and this machine's clock";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "; where its CA is a private one, name it in tls.ca_file";
    default:
        return "";
    }
}

static const char *remedy(const struct http_request *request, CURLcode result)
{
    long verify_result = X509_V_OK;
    if (result != CURLE_PEER_FAILED_VERIFICATION)
        return "";
    curl_easy_getinfo(request->easy, CURLINFO_SSL_VERIFYRESULT, &verify_result);
    return certificate_remedy(verify_result);
}

// libcurl's text may quote a little of what the far side sent.
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (iscntrl((unsigned char)*text))
            *text = ' ';
    }
}

static void fail(struct http_request *request, enum status_code code, const char *what,
                 const char *more)
{
    struct http_response *response = &request->response;
    response->code = code;
    snprintf(response->detail, sizeof(response->detail), "%s: %s%s", request->origin, what, more);
    make_printable(response->detail);
}

static void fail_tls_files(struct http_request *request)
{
    // libcurl reads the files before we do and is short about them; ask again in our own words.
    if (request->tls_fault.code == STATUS_OK) {
        struct ssl_ctx_st *context = tls_context_create(&request->tls, &request->tls_fault);
        if (context != NULL)
            tls_context_free(&context);
    }
    if (request->tls_fault.code != STATUS_OK)
        fail(request, request->tls_fault.code, request->tls_fault.detail, "");
}

static double seconds_of(CURL *easy, CURLINFO info)
{
    double seconds = 0;
    curl_easy_getinfo(easy, info, &seconds);
    return seconds;
}

static const char *stage_of(const struct http_request *request)
{
    if (request->phase == HTTP_RESOLVING)
        return "looking the name up";
    if (seconds_of(request->easy, CURLINFO_PRETRANSFER_TIME) <= 0)
        return "in the TCP connect or the TLS handshake";
    if (seconds_of(request->easy, CURLINFO_STARTTRANSFER_TIME) <= 0)
        return "waiting for the answer";
    return "reading the answer";
}

void http_result_timeout(struct http_request *request)
{
    int64_t limit_us = request->timeout_us;
    if (request->phase == HTTP_RESOLVING && request->connect_timeout_us < limit_us)
        limit_us = request->connect_timeout_us;
    char what[160];
    snprintf(what, sizeof(what), "timeout after %.3g s, %s", (double)limit_us / 1e6,
             stage_of(request));
    fail(request, STATUS_TIMEOUT, what, "");
}

static void fail_connect_timeout(struct http_request *request)
{
    char what[160];
    snprintf(what, sizeof(what), "no connection within %.3g s (%s)",
             (double)request->connect_timeout_us / 1e6, stage_of(request));
    fail(request, STATUS_TIMEOUT, what, "");
}

static void fail_too_large(struct http_request *request)
{
    char what[96];
    snprintf(what, sizeof(what), "the answer is larger than %zu bytes", request->content.max);
    fail(request, STATUS_FULL, what, "");
}

static void fill_failure(struct http_request *request, CURLcode result)
{
    const char *text = request->error[0] != '\0' ? request->error : curl_easy_strerror(result);
    fail(request, code_of(result), text, remedy(request, result));
    if (request->too_large)
        fail_too_large(request);
    else if (result == CURLE_OPERATION_TIMEDOUT)
        fail_connect_timeout(request);
    else if (result == CURLE_SSL_CERTPROBLEM || result == CURLE_SSL_CACERT_BADFILE)
        fail_tls_files(request);
}

void http_result_fill(struct http_request *request, CURLcode result, int64_t wall_us)
{
    struct http_response *response = &request->response;
    long status = 0;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    response->retry_after_us = retry_after(request->easy, wall_us);
    if (result != CURLE_OK)
        fill_failure(request, result);
}
