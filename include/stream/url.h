// SPDX-License-Identifier: Apache-2.0
// The address of a stream, taken apart: ws or wss URIs (RFC 6455 section 3, RFC 3986). Pure.
#ifndef CXSINK_STREAM_URL_H
#define CXSINK_STREAM_URL_H

#include "core/status.h"

#include <stdbool.h>

// libwebsockets cuts longer ones off without a word: 128 bytes of Host, 2048 of the request target.
#define WS_HOST_MAX 112
#define WS_TARGET_MAX 2000

struct ws_url {
    bool tls;                         // wss
    bool numeric;                     // the host is an IPv4 or IPv6 literal
    unsigned short port;              // 80 and 443 where the URL names none
    char host[WS_HOST_MAX + 1];       // bare: no brackets, no port
    char authority[WS_HOST_MAX + 16]; // for the Host header: brackets and port where they belong
    char target[WS_TARGET_MAX + 1];   // path and query, starting with '/'
};

// STATUS_INVALID with a sentence that never repeats the URL's query or user part, as these may hold
// a secret.
enum status_code ws_url_parse(const char *text, struct ws_url *url_r,
                              struct status *st) STATUS_MUST_CHECK;

#endif
