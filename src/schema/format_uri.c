// SPDX-License-Identifier: Apache-2.0
// URIs (RFC 3986), IRIs (RFC 3987 section 2.2) and URI templates (RFC 6570 section 2).
#include "schema/format_priv.h"

#include "json/text.h"
#include "schema/ascii_priv.h"

#include <stdint.h>
#include <string.h>

static bool is_unreserved(char c)
{
    return ascii_is_alnum(c) || ascii_is_in(c, "-._~");
}

// ucschar
static bool is_ucschar(uint32_t c)
{
    if (c >= 0x10000)
        return c < 0xf0000 && (c & 0xffff) <= 0xfffd && (c < 0xe0000 || c >= 0xe1000);
    return (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xf900 && c <= 0xfdcf) ||
           (c >= 0xfdf0 && c <= 0xffef);
}

// iprivate
static bool is_iprivate(uint32_t c)
{
    return (c >= 0xe000 && c <= 0xf8ff) || (c >= 0xf0000 && (c & 0xffff) <= 0xfffd);
}

struct uri {
    const char *p, *end;
    bool iri;
};

// Passes characters that are unreserved, sub-delims, percent-encoded, in `more`, or (IRI) ucschar;
// stops at the first other one.
static void pass(struct uri *uri, const char *more, bool private)
{
    while (uri->p < uri->end) {
        char c = *uri->p;
        size_t n = 1;
        if (c == '%') {
            if (uri->end - uri->p < 3 || !ascii_is_hex(uri->p[1]) || !ascii_is_hex(uri->p[2]))
                return;
            n = 3;
        } else if ((unsigned char)c >= 0x80) {
            n = text_utf8_length(uri->p, (size_t)(uri->end - uri->p));
            uint32_t point = n > 1 ? text_utf8_decode(uri->p, n) : 0;
            if (!uri->iri || !(is_ucschar(point) || (private && is_iprivate(point))))
                return;
        } else if (!is_unreserved(c) && !ascii_is_in(c, "!$&'()*+,;=") && !ascii_is_in(c, more)) {
            return;
        }
        uri->p += n;
    }
}

// IP-literal, behind "[".
static bool ip_literal(struct uri *uri)
{
    const char *close = memchr(uri->p, ']', (size_t)(uri->end - uri->p));
    const char *p = uri->p;

    if (close == NULL)
        return false;
    uri->p = close + 1;
    if (p < close && (*p | 0x20) == 'v') { // IPvFuture
        const char *first = ++p;
        while (p < close && ascii_is_hex(*p))
            p++;
        if (p == first || p == close || *p++ != '.' || p == close)
            return false;
        for (; p < close; p++)
            if (!is_unreserved(*p) && !ascii_is_in(*p, "!$&'()*+,;=:"))
                return false;
        return true;
    }
    return format_ipv6(p, (size_t)(close - p));
}

// [ userinfo "@" ] host [ ":" port ]
static bool authority(struct uri *uri)
{
    const char *first = uri->p;

    pass(uri, ":", false);
    if (uri->p < uri->end && *uri->p == '@')
        uri->p++;
    else
        uri->p = first;
    if (uri->p < uri->end && *uri->p == '[') {
        uri->p++;
        if (!ip_literal(uri))
            return false;
    } else {
        pass(uri, "", false);
    }
    if (uri->p < uri->end && *uri->p == ':')
        for (uri->p++; uri->p < uri->end && ascii_is_digit(*uri->p);)
            uri->p++;
    return uri->p == uri->end || ascii_is_in(*uri->p, "/?#");
}

// scheme ":"; leaves the position alone when there is none.
static bool scheme(struct uri *uri)
{
    const char *p = uri->p;

    if (p == uri->end || !ascii_is_alpha(*p))
        return false;
    while (p < uri->end && (ascii_is_alnum(*p) || ascii_is_in(*p, "+-.")))
        p++;
    if (p == uri->end || *p != ':')
        return false;
    uri->p = p + 1;
    return true;
}

bool format_uri(const char *text, size_t length, bool reference, bool iri)
{
    struct uri uri = {.p = text, .end = text + length, .iri = iri};
    bool absolute = scheme(&uri);

    if (!absolute && !reference)
        return false;
    if (uri.end - uri.p >= 2 && uri.p[0] == '/' && uri.p[1] == '/') {
        uri.p += 2;
        if (!authority(&uri))
            return false;
        pass(&uri, ":@/", false);
    } else {
        if (!absolute) { // path-noscheme: no colon in the first segment
            pass(&uri, "@", false);
            if (uri.p < uri.end && *uri.p == ':')
                return false;
        }
        pass(&uri, ":@/", false);
    }
    if (uri.p < uri.end && *uri.p == '?') {
        uri.p++;
        pass(&uri, ":@/?", true);
    }
    if (uri.p < uri.end && *uri.p == '#') {
        uri.p++;
        pass(&uri, ":@/?", false);
    }
    return uri.p == uri.end;
}

// varname: varchars with single dots between them.
static bool varname(const char **p_r, const char *end)
{
    const char *p = *p_r;
    bool dot = true; // none may come now

    for (; p < end; p++) {
        if (*p == '.') {
            if (dot)
                return false;
            dot = true;
            continue;
        }
        if (*p == '%') {
            if (end - p < 3 || !ascii_is_hex(p[1]) || !ascii_is_hex(p[2]))
                return false;
            p += 2;
        } else if (!ascii_is_alnum(*p) && *p != '_') {
            break;
        }
        dot = false;
    }
    *p_r = p;
    return !dot;
}

// What stands between "{" and "}".
static bool expression(const char *p, const char *end)
{
    if (p < end && ascii_is_in(*p, "+#./;?&"))
        p++;
    for (;;) {
        if (!varname(&p, end))
            return false;
        if (p < end && *p == '*') {
            p++;
        } else if (p < end && *p == ':') {
            const char *first = ++p;
            while (p < end && ascii_is_digit(*p))
                p++;
            if (p == first || p - first > 4 || *first == '0')
                return false;
        }
        if (p == end)
            return true;
        if (*p++ != ',')
            return false;
    }
}

// Literals as in erratum 6937, which has the apostrophe.
bool format_uri_template(const char *text, size_t length)
{
    const char *p = text, *end = text + length;

    while (p < end) {
        size_t n = text_utf8_length(p, (size_t)(end - p));
        if (*p == '{') {
            const char *close = memchr(p, '}', (size_t)(end - p));
            if (close == NULL || !expression(p + 1, close))
                return false;
            p = close + 1;
            continue;
        }
        if (*p == '%' && (end - p < 3 || !ascii_is_hex(p[1]) || !ascii_is_hex(p[2])))
            return false;
        if (n == 1 ? (*p <= ' ' || ascii_is_in(*p, "\"<>\\^`|}\x7f"))
                   : !is_ucschar(text_utf8_decode(p, n)) && !is_iprivate(text_utf8_decode(p, n)))
            return false;
        p += n;
    }
    return true;
}
