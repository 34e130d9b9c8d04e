// SPDX-License-Identifier: Apache-2.0
// The values of "format" (JSON Schema Validation section 7.3), checked exactly. Pure.
#ifndef CXSINK_SCHEMA_FORMAT_PRIV_H
#define CXSINK_SCHEMA_FORMAT_PRIV_H

#include <stdbool.h>
#include <stddef.h>

enum format {
    FORMAT_UNKNOWN,   // not a format of any draft: nothing is checked
    FORMAT_DATE_TIME, // RFC 3339 section 5.6, real days, :60 only at 23:59:60 UTC
    FORMAT_DATE,
    FORMAT_TIME,
    FORMAT_DURATION,     // RFC 3339 appendix A
    FORMAT_EMAIL,        // RFC 5321 section 4.1.2, Mailbox
    FORMAT_IDN_EMAIL,    // RFC 6531 section 3.3
    FORMAT_HOSTNAME,     // RFC 1123 section 2.1, with A-labels as RFC 5891 section 4.2 has them
    FORMAT_IDN_HOSTNAME, // RFC 5890 section 2.3.2.3
    FORMAT_IPV4,         // RFC 2673 section 3.2
    FORMAT_IPV6,         // RFC 4291 section 2.2
    FORMAT_UUID,         // RFC 4122
    FORMAT_URI,          // RFC 3986
    FORMAT_URI_REFERENCE,
    FORMAT_IRI, // RFC 3987
    FORMAT_IRI_REFERENCE,
    FORMAT_URI_TEMPLATE,          // RFC 6570
    FORMAT_JSON_POINTER,          // RFC 6901 section 5
    FORMAT_RELATIVE_JSON_POINTER, // draft-bhutton-relative-json-pointer-00
    FORMAT_REGEX,                 // ECMA-262, with the u flag
};

// By name, of `length` bytes.
enum format format_find(const char *name, size_t length);
const char *format_name(enum format format);
// The format whose name looks most like `name`, which is none; NULL when no one does.
const char *format_nearest(const char *name, size_t length);
// Is the text of that format? `text` is well-formed UTF-8.
bool format_check(enum format format, const char *text, size_t length);

// For the files of formats alone.
bool format_ipv4(const char *text, size_t length);
bool format_ipv6(const char *text, size_t length);
// `idn`: with U-labels, and text beyond ASCII before the @, too.
bool format_hostname(const char *text, size_t length, bool idn);
bool format_email(const char *text, size_t length, bool idn);
// `reference`: relative ones too. `iri`: code points beyond ASCII where RFC 3987 has them.
bool format_uri(const char *text, size_t length, bool reference, bool iri);
bool format_uri_template(const char *text, size_t length);

#endif
