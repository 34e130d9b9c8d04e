// SPDX-License-Identifier: Apache-2.0
// Finished transfers to answers, and libcurl's errors to sentences.
#include "net/http_priv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// CURLE_TOO_LARGE of libcurl 8.6; before, it was CURLE_OUT_OF_MEMORY.
#define TOO_LARGE 100

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

// NULL: none. A kept handle has those of its last transfer until it receives others.
static const char *header_value(const struct http_request *request, const char *name)
{
    struct curl_header *header;
    if (request->header_bytes == 0 ||
        curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

// Not CURLINFO_RETRY_AFTER, for which "0" and no header at all are the same.
static int64_t retry_after(const struct http_request *request, int64_t wall_us)
{
    const char *value = header_value(request, "Retry-After");
    return value != NULL ? http_retry_after_parse(value, wall_us) : -1;
}

static int64_t date_of(const struct http_request *request)
{
    const char *value = header_value(request, "Date");
    time_t date = value != NULL ? curl_getdate(value, NULL) : -1;
    return date > 0 ? (int64_t)date * US_PER_S : 0;
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

// libcurl's text may quote a little of what the far side sent.
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (iscntrl((unsigned char)*text))
            *text = ' ';
    }
}

void http_result_fail(struct http_request *request, enum status_code code, const char *format, ...)
{
    struct http_response *response = &request->response;
    struct status st;
    char what[STATUS_DETAIL_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    const char *target = request->target.text;
    status_set(&st, code, "%s%s%s", target, target[0] != '\0' ? ": " : "", what);
    make_printable(st.detail);
    response->code = code;
    memcpy(response->detail, st.detail, sizeof(st.detail));
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
        http_result_fail(request, request->tls_fault.code, "%s", request->tls_fault.detail);
}

static void fail_certificate(struct http_request *request)
{
    if (request->tls_check[0] != '\0')
        http_result_fail(request, STATUS_DENIED, "%s", request->tls_check);
    else if (request->tls_names[0] != '\0') // the chain is fine, so it is the name
        http_result_fail(
            request, STATUS_DENIED,
            "the certificate is for another host (%s), not for %s: check the host name "
            "in the URL",
            request->tls_names, request->target.host);
}

static void fail_body(struct http_request *request)
{
    http_result_fail(request, STATUS_IO,
                     "the body could not be read: it ended after %llu of %llu bytes",
                     (unsigned long long)request->taken, (unsigned long long)request->body_length);
}

bool http_result_is_break(CURLcode result)
{
    return result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR ||
           result == CURLE_GOT_NOTHING || result == CURLE_PARTIAL_FILE || result == CURLE_HTTP2 ||
           result == CURLE_HTTP2_STREAM;
}

// A server that says no before it has read the whole body, and breaks off.
static bool early_answer_wins(const struct http_request *request, CURLcode result)
{
    curl_off_t length = -1;
    curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    bool whole = length >= 0 && (uint64_t)length == request->content.len;
    return http_result_is_break(result) && request->phase == HTTP_RECEIVING &&
           !http_body_sent(request) && (whole || request->response.status >= 400);
}

// Beyond HTTP_MAX_HEADERS, or one header beyond libcurl's own bound of 100 KiB.
static bool headers_too_large(const struct http_request *request, CURLcode result)
{
    bool bound = result == CURLE_OUT_OF_MEMORY || result == (CURLcode)TOO_LARGE;
    return request->header_bytes > HTTP_MAX_HEADERS || (bound && request->begun);
}

// Failures that libcurl puts in general words, or that our own callbacks made.
static void fail_in_our_words(struct http_request *request, CURLcode result)
{
    if (request->too_large)
        http_result_fail(request, STATUS_FULL, "the answer is larger than %zu bytes",
                         request->content.max);
    else if (headers_too_large(request, result))
        http_result_fail(request, STATUS_FULL, "the answer's headers are larger than %zu bytes",
                         HTTP_MAX_HEADERS);
    else if (request->source_failed)
        fail_body(request);
    else if (request->denied[0] != '\0' && !request->dialled)
        http_result_fail(request, STATUS_DENIED, "%s; allow_private permits it", request->denied);
    else if (result == CURLE_ABORTED_BY_CALLBACK)
        http_result_fail(request, STATUS_UNAVAILABLE,
                         "the kept connection broke off before the answer, and the request may "
                         "not be sent twice");
    else if (result == CURLE_SEND_FAIL_REWIND)
        http_result_fail(request, STATUS_UNAVAILABLE,
                         "the kept connection broke off, and the body cannot be sent again");
    else if (result == CURLE_OPERATION_TIMEDOUT)
        http_result_fail(request, STATUS_TIMEOUT, "no connection within %.3g s (%s)",
                         (double)request->connect_timeout_us / 1e6,
                         http_phase_doing(request->phase));
    else if (result == CURLE_PEER_FAILED_VERIFICATION)
        fail_certificate(request);
    else if (result == CURLE_SSL_CERTPROBLEM || result == CURLE_SSL_CACERT_BADFILE)
        fail_tls_files(request);
}

static void fill_failure(struct http_request *request, CURLcode result)
{
    const char *text = request->error[0] != '\0' ? request->error : curl_easy_strerror(result);
    http_result_fail(request, code_of(result), "%s (%s)", text, http_phase_doing(request->phase));
    fail_in_our_words(request, result);
}

void http_result_fill(struct http_request *request, CURLcode result, int64_t wall_us)
{
    struct http_response *response = &request->response;
    long status = 0;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    response->retry_after_us = retry_after(request, wall_us);
    response->date_us = date_of(request);
    if (result == CURLE_OK && !request->headers_ended &&
        !request->connect_only) // which libcurl takes for an answer
        result = CURLE_PARTIAL_FILE;
    if (result != CURLE_OK && !early_answer_wins(request, result))
        fill_failure(request, result);
}

const char *http_response_header(const struct http_response *response, const char *name)
{
    const struct http_request *request = response->request;
    const char *value = request != NULL ? header_value(request, name) : NULL;
    // libcurl 7.88 leaves a '\r' of an empty value.
    return value != NULL && value[0] == '\r' ? "" : value;
}
