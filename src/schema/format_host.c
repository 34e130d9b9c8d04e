// SPDX-License-Identifier: Apache-2.0
// Names of hosts (RFC 1123, RFC 5890 to 5893) and of mailboxes (RFC 5321, RFC 6531). libidn2 knows
// the Unicode tables; a name all in ASCII and without A-labels is checked without it.
#include "schema/format_priv.h"

#include "json/text.h"
#include "schema/ascii_priv.h"

#include <idn2.h>
#include <stdint.h>
#include <string.h>

#define LABEL_MAX 63
#define NAME_MAX_BYTES 253
// A U-label has an A-label of at least one byte a code point.
#define U_LABEL_BYTES_MAX ((size_t)LABEL_MAX * 4)

// --- labels --------------------------------------------------------------------------------------

// What the labels of a name say about the name as a whole.
struct host {
    size_t length;      // bytes, with U-labels as A-labels
    bool right_to_left; // a label is written so
    bool not_bidi;      // a label may not stand beside one of those
};

// Letters, digits, and hyphens inside.
static bool is_ldh(const char *p, size_t length)
{
    if (length == 0 || length > LABEL_MAX || p[0] == '-' || p[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!ascii_is_alnum(p[i]) && p[i] != '-')
            return false;
    return true;
}

static bool is_ascii(const char *p, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)p[i] >= 0x80)
            return false;
    return true;
}

static bool is_a_label(const char *p, size_t length)
{
    return length >= 4 && strncasecmp(p, "xn--", 4) == 0;
}

// The first code point of a label written from right to left: classes R and AL, which libidn2 has
// made sure of (RFC 5893 section 2, rule 1).
static bool is_right_to_left(uint32_t c)
{
    return (c >= 0x590 && c <= 0x8ff && !(c >= 0x6f0 && c <= 0x6f9)) ||
           (c >= 0x10800 && c <= 0x10fff) || (c >= 0x1e800 && c <= 0x1efff);
}

static bool is_european_digit(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 0x6f0 && c <= 0x6f9);
}

static bool is_arabic_digit(uint32_t c)
{
    return (c >= 0x660 && c <= 0x669) || (c >= 0x10d30 && c <= 0x10d39);
}

// Class ON, of what IDNA2008 allows at all.
static bool is_neutral(uint32_t c)
{
    return c == 0xb7 || c == 0x2b9 || c == 0x2ba || (c >= 0x2c6 && c <= 0x2cf) || c == 0x2ec ||
           c == 0x375 || c == 0x2e2f || c == 0x30fb || c == 0xa67f ||
           (c >= 0xa717 && c <= 0xa71f) || c == 0xa788;
}

// RFC 5893 section 2 as far as libidn2 does not hold it: rule 4 (not both kinds of digits), and
// rules 1 and 6 of labels from left to right, which count in a name with a label of the other kind
// only. False when the label is wrong in any name.
static bool note_directions(const char *p, size_t length, struct host *host)
{
    uint32_t first = text_utf8_decode(p, text_utf8_length(p, length)), last = first;
    bool european = false, arabic = false;

    for (size_t at = 0, n; at < length; at += n) {
        n = text_utf8_length(p + at, length - at);
        last = text_utf8_decode(p + at, n);
        european |= is_european_digit(last);
        arabic |= is_arabic_digit(last);
    }
    if (is_right_to_left(first)) {
        host->right_to_left = true;
        return !(european && arabic);
    }
    host->not_bidi |= is_european_digit(first) || is_neutral(first) || is_neutral(last);
    return true;
}

// A label with code points beyond ASCII, as such or as an A-label; `label` ends in a NUL. Strict,
// as for registration: RFC 5891 section 4.2.
static bool international_label(const char *label, bool encoded, struct host *host)
{
    uint8_t *a_label = NULL;
    char *u_label = NULL;
    int result = encoded ? idn2_register_u8(NULL, (const uint8_t *)label, &a_label, 0)
                         : idn2_register_u8((const uint8_t *)label, NULL, &a_label, 0);

    if (result == IDN2_OK && encoded)
        result = idn2_to_unicode_8z8z(label, &u_label, 0);
    bool ok = result == IDN2_OK;
    if (ok) {
        const char *shown = encoded ? u_label : label;
        host->length += strlen((const char *)a_label);
        ok = strlen((const char *)a_label) <= LABEL_MAX &&
             note_directions(shown, strlen(shown), host);
    }
    idn2_free(a_label);
    idn2_free(u_label);
    return ok;
}

static bool label_ok(const char *p, size_t length, bool idn, struct host *host)
{
    char label[U_LABEL_BYTES_MAX + 1];
    bool plain = is_ascii(p, length);
    bool encoded = plain && is_a_label(p, length);

    if (plain && !is_ldh(p, length))
        return false;
    if (plain && !encoded) {
        host->length += length;
        return note_directions(p, length, host);
    }
    if ((!plain && !idn) || length > U_LABEL_BYTES_MAX || memchr(p, '\0', length) != NULL)
        return false;
    for (size_t i = 0; i < length; i++) // A-labels are the same in either case
        label[i] = encoded && p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] | 0x20) : p[i];
    label[length] = '\0';
    return international_label(label, encoded, host);
}

// Bytes of what ends a label here, or 0. With IDN the full stops of RFC 3490 section 3.1 do so too.
static size_t separator(const char *p, const char *end, bool idn)
{
    if (*p == '.')
        return 1;
    if (!idn || end - p < 3)
        return 0;
    bool stop = memcmp(p, "\xe3\x80\x82", 3) == 0 || memcmp(p, "\xef\xbc\x8e", 3) == 0 ||
                memcmp(p, "\xef\xbd\xa1", 3) == 0;
    return stop ? 3 : 0;
}

bool format_hostname(const char *text, size_t length, bool idn)
{
    const char *p = text, *end = text + length;
    struct host host = {0};

    for (;; host.length++) {
        const char *first = p;
        size_t n = 0;
        while (p < end && (n = separator(p, end, idn)) == 0)
            p++;
        if (p == first || host.length > NAME_MAX_BYTES ||
            !label_ok(first, (size_t)(p - first), idn, &host))
            return false;
        if (p == end)
            return host.length <= NAME_MAX_BYTES && !(host.right_to_left && host.not_bidi);
        p += n;
    }
}

// --- mailboxes -----------------------------------------------------------------------------------

static bool is_beyond_ascii(char c, bool idn)
{
    return idn && (unsigned char)c >= 0x80;
}

// Dot-string or Quoted-string; *p_r behind it.
static bool local_part(const char **p_r, const char *end, bool idn)
{
    const char *p = *p_r;

    if (p < end && *p == '"') {
        for (p++; p < end && *p != '"'; p++) {
            if (*p == '\\' && ++p == end)
                return false;
            if ((*p < ' ' || *p > '~') && !is_beyond_ascii(*p, idn)) // qtextSMTP, quoted-pairSMTP
                return false;
        }
        *p_r = p + 1;
        return p < end;
    }
    for (;;) {
        const char *first = p;
        while (p < end && (ascii_is_alnum(*p) || ascii_is_in(*p, "!#$%&'*+-/=?^_`{|}~") ||
                           is_beyond_ascii(*p, idn)))
            p++;
        if (p == first)
            return false;
        if (p == end || *p != '.')
            break;
        p++;
    }
    *p_r = p;
    return true;
}

// sub-domains of letters, digits and inner hyphens, between dots. What lies beyond ASCII is not
// looked into: RFC 6531 leaves its form, normalised or not, to the one who resolves the name.
static bool mail_domain(const char *p, const char *end, bool idn)
{
    for (;;) {
        const char *first = p;
        while (p < end && (ascii_is_alnum(*p) || *p == '-' || is_beyond_ascii(*p, idn)))
            p++;
        if (p == first || *first == '-' || p[-1] == '-')
            return false;
        if (p == end)
            return true;
        if (*p++ != '.')
            return false;
    }
}

bool format_email(const char *text, size_t length, bool idn)
{
    const char *p = text, *end = text + length;

    if (!local_part(&p, end, idn) || p == end || *p++ != '@' || p == end)
        return false;
    if (*p != '[')
        return mail_domain(p, end, idn);
    if (end[-1] != ']')
        return false;
    p++;
    end--;
    if (end - p > 5 && strncasecmp(p, "IPv6:", 5) == 0)
        return format_ipv6(p + 5, (size_t)(end - p - 5));
    return format_ipv4(p, (size_t)(end - p));
}
