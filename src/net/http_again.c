// SPDX-License-Identifier: Apache-2.0
// Redirects, RFC 9110 section 15.4, within one scheme, host and port: headers, the token among
// them, go nowhere else.
#include "net/http_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool is_safe(const struct http_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

static bool check_target(struct http_request *request, const char *url)
{
    struct http_target target;
    struct status st = {0};
    int status = request->response.status;
    if (http_target_parse(url, &target, &st) != STATUS_OK) {
        http_result_fail(request, STATUS_DENIED, "the answer %d leads nowhere: %s", status,
                         st.detail);
        return false;
    }
    bool same = http_target_same(&target, &request->target);
    if (!same)
        http_result_fail(request, STATUS_DENIED,
                         "the answer %d leads to %s://%s, another server; only redirects within "
                         "the same scheme, host and port are followed: correct the URL",
                         status, target.tls ? "https" : "http", target.text);
    else if (status < 303 && !is_safe(request))
        http_result_fail(request, STATUS_DENIED,
                         "the answer %d to a %s, which leads to %s, is not followed, as it may not "
                         "be sent again: correct the URL",
                         status, request->method, target.text);
    http_target_free(&target);
    return request->response.code == STATUS_OK;
}

static enum status_code drop_body(struct http_request *request, struct status *st)
{
    free(request->method);
    request->method = mem_strdup("GET");
    enum status_code code = http_body_drop(request, st);
    return code == STATUS_OK ? http_setup_bodyless(request, st) : code;
}

static void forget_answer(struct http_request *request)
{
    buf_clear(&request->content);
    request->header_bytes = 0;
    request->headers_ended = false;
    request->begun = false;
    request->error[0] = '\0';
}

static enum status_code aim(struct http_request *request, const char *url, struct status *st)
{
    enum status_code code = STATUS_OK;
    if (request->response.status == 303 && !is_safe(request))
        code = drop_body(request, st);
    else if (!http_body_rewind(request))
        code = status_set(st, STATUS_IO, "the body cannot be sent again after a redirect");
    if (code != STATUS_OK)
        return code;
    mem_wipe_free(&request->url);
    request->url = mem_strdup(url);
    HTTP_SET(request, CURLOPT_URL, request->url);
    return STATUS_OK;
}

static bool redirect(struct http_request *request, const char *url)
{
    struct status st = {0};
    if (!check_target(request, url))
        return false;
    if (request->followed == request->redirects) {
        http_result_fail(request, STATUS_DENIED, "more than %u redirects, one after the other",
                         request->redirects);
        return false;
    }
    request->followed++;
    if (aim(request, url, &st) == STATUS_OK)
        return true;
    http_result_fail(request, st.code, "%s", st.detail);
    return false;
}

// libcurl itself repeats over HTTP/1.1 when it was still sending the head, or waiting for the
// answer.
static bool repeat(struct http_request *request)
{
    long connects = 1;
    curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connects);
    if (connects > 0 || request->once || request->repeated || request->header_bytes > 0 ||
        !http_body_rewind(request))
        return false;
    request->repeated = true;
    request->response.code = STATUS_OK;
    request->response.detail[0] = '\0';
    return curl_easy_setopt(request->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
}

bool http_again(struct http_request *request, CURLcode result)
{
    const struct http_response *response = &request->response;
    char *url = NULL; // libcurl's
    bool again = false;
    if (http_result_is_break(result) && response->code != STATUS_OK)
        again = repeat(request);
    else if (request->redirects > 0 && response->code == STATUS_OK &&
             is_redirect(response->status) &&
             curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &url) == CURLE_OK &&
             url != NULL)
        again = redirect(request, url);
    if (again)
        forget_answer(request);
    return again;
}
