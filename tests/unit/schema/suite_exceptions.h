// SPDX-License-Identifier: Apache-2.0
// Optional tests of the JSON Schema test suite whose verdict is not the one we give, each with the
// reason. One that is no exception any more fails the run.
#ifndef CXSINK_TEST_SUITE_EXCEPTIONS_H
#define CXSINK_TEST_SUITE_EXCEPTIONS_H

struct exception {
    const char *folder, *file, *group, *test;
    const char *reason;
};

#define CONTENT                                                                                 \
    "contentEncoding and contentMediaType annotate: draft 7 leaves asserting open, the drafts " \
    "after it say that validators do not"

static const struct exception exceptions[] = {
    {"draft7/optional", "content.json", "validation of string-encoded content based on media type",
     "an invalid JSON document", CONTENT},
    {"draft7/optional", "content.json", "validation of binary string-encoding",
     "an invalid base64 string (% is not a valid character)", CONTENT},
    {"draft7/optional", "content.json", "validation of binary-encoded media type documents",
     "a validly-encoded invalid JSON document", CONTENT},
    {"draft7/optional", "content.json", "validation of binary-encoded media type documents",
     "an invalid base64 string that is valid JSON", CONTENT},
};

enum { N_EXCEPTIONS = sizeof(exceptions) / sizeof(*exceptions) };

#endif
