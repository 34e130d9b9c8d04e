// SPDX-License-Identifier: Apache-2.0
// Where URLs lead.
#include "net/http_priv.h"

#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = mem_strdup(text);
    curl_free(text);
    return copy;
}

static void take_host(struct http_target *target, const char *host, const char *port)
{
    target->port = port != NULL ? (unsigned)strtoul(port, NULL, 10) : 0;
    snprintf(target->text, sizeof(target->text), "%s:%u", host, target->port);
    size_t length = strlen(host);
    bool bracketed = length > 2 && host[0] == '[';
    target->host = bracketed ? mem_strndup(host + 1, length - 2) : mem_strdup(host);
}

enum status_code http_target_parse(const char *text, struct http_target *target_r,
                                   struct status *st)
{
    *target_r = (struct http_target){0};
    CURLU *url = curl_url();
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    char *scheme = url_part(url, CURLUPART_SCHEME, 0);
    char *host = url_part(url, CURLUPART_HOST, CURLU_PUNYCODE);
    char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    curl_url_cleanup(url);
    // The URL itself may hold secrets, so it is not named.
    enum status_code result = STATUS_OK;
    if (code != CURLUE_OK || scheme == NULL || host == NULL)
        result = status_set(st, STATUS_INVALID, "the URL is not valid: %s; use https://HOST/PATH",
                            code != CURLUE_OK ? curl_url_strerror(code) : "no host");
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        result =
            status_set(st, STATUS_INVALID,
                       "a URL for requests starts with https:// or http://, not %.16s://", scheme);
    else
        take_host(target_r, host, port);
    target_r->tls = scheme != NULL && strcmp(scheme, "https") == 0;
    free(scheme);
    free(host);
    free(port);
    return result;
}

void http_target_free(struct http_target *target)
{
    free(target->host);
    target->host = NULL;
}

bool http_target_same(const struct http_target *a, const struct http_target *b)
{
    return a->tls == b->tls && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

// libcurl's own rule; HTTP_PROXY in capitals may be a header of a CGI request, and does not count.
bool http_target_has_proxy(const struct http_target *target)
{
    bool own = target->tls ? is_set("https_proxy") || is_set("HTTPS_PROXY") : is_set("http_proxy");
    return own || is_set("all_proxy") || is_set("ALL_PROXY");
}
