// SPDX-License-Identifier: Apache-2.0
// See uri_priv.h.
#include "schema/uri_priv.h"

#include <ctype.h>
#include <string.h>

// --- splitting -----------------------------------------------------------------------------------

// Takes what stands before the first of `ends` off the front of `rest`.
static struct uri_part take_until(struct uri_part *rest, const char *ends)
{
    struct uri_part part = {.at = rest->at, .present = true};
    size_t n = strlen(ends);

    while (part.length < rest->length && memchr(ends, rest->at[part.length], n) == NULL)
        part.length++;
    rest->at += part.length;
    rest->length -= part.length;
    return part;
}

static void skip(struct uri_part *rest, size_t n)
{
    rest->at += n;
    rest->length -= n;
}

static bool is_scheme(const struct uri_part *part)
{
    if (part->length == 0 || !isalpha((unsigned char)part->at[0]))
        return false;
    for (size_t i = 1; i < part->length; i++)
        if (!isalnum((unsigned char)part->at[i]) && memchr("+-.", part->at[i], 3) == NULL)
            return false;
    return true;
}

void uri_split(const char *text, size_t length, struct uri *uri_r)
{
    struct uri_part rest = {.at = text, .length = length}, before = rest;

    *uri_r = (struct uri){0};
    uri_r->scheme = take_until(&rest, ":/?#");
    if (rest.length > 0 && *rest.at == ':' && is_scheme(&uri_r->scheme)) {
        skip(&rest, 1);
    } else {
        uri_r->scheme = (struct uri_part){0};
        rest = before;
    }
    if (rest.length >= 2 && rest.at[0] == '/' && rest.at[1] == '/') {
        skip(&rest, 2);
        uri_r->authority = take_until(&rest, "/?#");
    }
    uri_r->path = take_until(&rest, "?#");
    if (rest.length > 0 && *rest.at == '?') {
        skip(&rest, 1);
        uri_r->query = take_until(&rest, "#");
    }
    if (rest.length > 0) {
        skip(&rest, 1);
        uri_r->fragment = rest;
        uri_r->fragment.present = true;
    }
}

// --- percent-encoding ----------------------------------------------------------------------------

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

// The byte that "%XX" at `p` stands for, or -1.
static int encoded_byte(const char *p, size_t left)
{
    int high = left > 2 && *p == '%' ? hex_value(p[1]) : -1;
    int low = high >= 0 ? hex_value(p[2]) : -1;

    return low < 0 ? -1 : high << 4 | low;
}

bool uri_percent_decode(char *text, size_t *length)
{
    size_t used = 0;

    for (size_t i = 0; i < *length; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            byte = encoded_byte(text + i, *length - i);
            if (byte < 0)
                return false;
            i += 2;
        }
        text[used++] = (char)byte;
    }
    *length = used;
    return true;
}

// Escapes of unreserved characters are those characters; hex digits are upper-case.
static void append_normal(struct buf *out, const struct uri_part *part, bool lower)
{
    for (size_t i = 0; i < part->length; i++) {
        int byte = encoded_byte(part->at + i, part->length - i);
        char c = byte >= 0 ? (char)byte : part->at[i];
        if (byte >= 0 && (byte >= 0x80 || (!isalnum(byte) && memchr("-._~", byte, 4) == NULL))) {
            buf_printf(out, "%%%02X", (unsigned)byte);
        } else {
            c = lower ? (char)tolower((unsigned char)c) : c;
            buf_append(out, &c, 1);
        }
        i += byte >= 0 ? 2 : 0;
    }
}

// --- resolving -----------------------------------------------------------------------------------

static bool takes(const char *in, size_t left, const char *segment)
{
    size_t length = strlen(segment);

    return left >= length && memcmp(in, segment, length) == 0;
}

// Removes the last segment and its slash from the path that starts at `start`.
static size_t drop_segment(const char *data, size_t start, size_t end)
{
    while (end > start && data[end - 1] != '/')
        end--;
    return end > start ? end - 1 : start;
}

// Section 5.2.4, in place: what is written never overtakes what is read.
static void remove_dots(struct buf *out, size_t start)
{
    char *data = out->data;
    size_t in = start, used = start, end = out->len;

    while (in < end) {
        size_t left = end - in;
        if (takes(data + in, left, "../")) {
            in += 3;
        } else if (takes(data + in, left, "./") || takes(data + in, left, "/./")) {
            in += 2;
        } else if (left == 2 && takes(data + in, left, "/.")) {
            data[++in] = '/';
        } else if (takes(data + in, left, "/../")) {
            in += 3;
            used = drop_segment(data, start, used);
        } else if (left == 3 && takes(data + in, left, "/..")) {
            in += 2;
            data[in] = '/';
            used = drop_segment(data, start, used);
        } else if ((left == 1 && data[in] == '.') || (left == 2 && takes(data + in, left, ".."))) {
            in = end;
        } else {
            do
                data[used++] = data[in++];
            while (in < end && data[in] != '/');
        }
    }
    out->len = used;
}

static void append_path(struct buf *out, const struct uri *base, const struct uri *reference)
{
    struct uri_part folder = base->path;
    size_t start = out->len;

    if (reference->path.length == 0) {
        append_normal(out, &base->path, false);
        return;
    }
    if (reference->path.at[0] != '/') { // section 5.2.3
        while (folder.length > 0 && folder.at[folder.length - 1] != '/')
            folder.length--;
        if (base->authority.present && base->path.length == 0)
            buf_append(out, "/", 1);
        append_normal(out, &folder, false);
    }
    append_normal(out, &reference->path, false);
    remove_dots(out, start);
}

static void append_authority(struct buf *out, const struct uri_part *authority)
{
    if (!authority->present)
        return;
    const char *at = memchr(authority->at, '@', authority->length);
    size_t user = at != NULL ? (size_t)(at - authority->at) : 0;
    struct uri_part host = {.at = authority->at + user, .length = authority->length - user};
    buf_append(out, "//", 2);
    append_normal(out, &(struct uri_part){.at = authority->at, .length = user}, false);
    append_normal(out, &host, true);
}

// A path alone must not look like more: with "//" like an authority, with "x:" like a scheme
// (sections 3.3 and 4.2).
static void keep_path(struct buf *out, size_t path, bool has_scheme)
{
    const char *prefix = "/.";
    struct uri uri;

    uri_split(out->len > 0 ? out->data + path : "", out->len - path, &uri);
    if (uri.scheme.present && !has_scheme)
        prefix = "./";
    else if (uri.scheme.present || !uri.authority.present)
        return;
    buf_append(out, prefix, 2);
    memmove(out->data + path + 2, out->data + path, out->len - 2 - path);
    memcpy(out->data + path, prefix, 2);
}

void uri_resolve(const struct uri *base, const struct uri *reference, struct buf *out)
{
    static const struct uri none = {0};
    const struct uri *scheme = reference->scheme.present ? reference : base;
    bool own_path = reference->scheme.present || reference->authority.present;
    bool same_path = !own_path && reference->path.length == 0;
    const struct uri *query = same_path && !reference->query.present ? base : reference;

    if (scheme->scheme.present) {
        append_normal(out, &scheme->scheme, true);
        buf_append(out, ":", 1);
    }
    append_authority(out, own_path ? &reference->authority : &base->authority);
    size_t path = out->len;
    append_path(out, own_path ? &none : base, reference);
    if (own_path ? !reference->authority.present : !base->authority.present)
        keep_path(out, path, scheme->scheme.present);
    if (query->query.present) {
        buf_append(out, "?", 1);
        append_normal(out, &query->query, false);
    }
}
