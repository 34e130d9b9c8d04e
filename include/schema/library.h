// SPDX-License-Identifier: Apache-2.0
// Schemas in files: reads one, compiles it, and finds those that it refers to. A reference is
// resolved against the file's own place (file:///DIR/schema.json), or its "$id"; what comes out is
// looked up among the registered URIs, the registered trees, and, if it is a file: URI, on the
// disk. Nothing is ever fetched over a network.
#ifndef CXSINK_SCHEMA_LIBRARY_H
#define CXSINK_SCHEMA_LIBRARY_H

#include "schema/compile.h"

struct schema_library;

struct schema_library *schema_library_create(void);
void schema_library_destroy(struct schema_library **library);

// Registers a schema: `uri` is absolute and has no fragment but an empty one, `path` names its
// file; or a tree of them: `uri` ends in "/", `path` names a directory, and what follows the URI in
// a reference names a file below it (".json" added where there is none of that name). The longest
// fitting tree counts. STATUS_INVALID: not such a URI, or registered already.
enum status_code schema_library_add(struct schema_library *library, const char *uri,
                                    const char *path, struct status *st) STATUS_MUST_CHECK;

// Reads and compiles the schema at `path`. draft, annotate_formats and strict of the options count
// (NULL: defaults). On failure either `faults` holds its faults (STATUS_INVALID), or there are none
// and `st` says why the file cannot be read.
enum status_code schema_library_compile(struct schema_library *library, const char *path,
                                        const struct schema_options *options,
                                        struct schema_faults *faults, struct schema **schema_r,
                                        struct status *st) STATUS_MUST_CHECK;

#endif
