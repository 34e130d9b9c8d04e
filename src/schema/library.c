// SPDX-License-Identifier: Apache-2.0
// See include/schema/library.h.
#include "schema/library.h"

#include "core/fsio.h"
#include "core/mem.h"
#include "schema/uri_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
    char *uri; // normalised; of a tree it ends in "/"
    size_t length;
    char *path;
};

// A file read for the compiler, which holds on to its text.
struct loaded {
    char *path;
    struct buf text;
};

struct schema_library {
    struct entry *entries;
    size_t n_entries;
    struct loaded *loaded; // until compiling ends
    size_t n_loaded;
};

struct schema_library *schema_library_create(void)
{
    return mem_zalloc(sizeof(struct schema_library));
}

static void forget_loaded(struct schema_library *library)
{
    for (size_t i = 0; i < library->n_loaded; i++) {
        free(library->loaded[i].path);
        buf_deinit(&library->loaded[i].text);
    }
    free(library->loaded);
    library->loaded = NULL;
    library->n_loaded = 0;
}

void schema_library_destroy(struct schema_library **library)
{
    if (*library == NULL)
        return;
    for (size_t i = 0; i < (*library)->n_entries; i++) {
        free((*library)->entries[i].uri);
        free((*library)->entries[i].path);
    }
    free((*library)->entries);
    forget_loaded(*library);
    free(*library);
    *library = NULL;
}

// --- registering ---------------------------------------------------------------------------------

static bool is_tree(const struct entry *entry)
{
    return entry->uri[entry->length - 1] == '/';
}

enum status_code schema_library_add(struct schema_library *library, const char *uri,
                                    const char *path, struct status *st)
{
    struct uri none = {0}, parts;
    struct buf target = {0};

    uri_split(uri, strlen(uri), &parts);
    if (!parts.scheme.present)
        return status_set(st, STATUS_INVALID, "\"%s\" is not an absolute URI", uri);
    if (parts.fragment.length > 0)
        return status_set(st, STATUS_INVALID,
                          "\"%s\" has a fragment (#...), which names a place within a schema", uri);
    uri_resolve(&none, &parts, &target);
    struct entry entry = {.uri = mem_strdup(buf_text(&target)), .length = target.len};
    buf_deinit(&target);
    for (size_t i = 0; i < library->n_entries; i++)
        if (strcmp(library->entries[i].uri, entry.uri) == 0) {
            free(entry.uri);
            return status_set(st, STATUS_INVALID, "\"%s\" is registered twice", uri);
        }
    entry.path = mem_strdup(path);
    library->entries = mem_realloc_array(library->entries, library->n_entries + 1, sizeof(entry));
    library->entries[library->n_entries++] = entry;
    return STATUS_OK;
}

// --- finding -------------------------------------------------------------------------------------

// Has the path a part that leads out of its directory? Dot segments are resolved by now, unless
// they were percent-encoded.
static bool leads_out(const char *path)
{
    for (const char *part = path; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

// `text` percent-decoded behind `front`; NULL when that names no file.
static char *make_path(const char *front, const char *text)
{
    size_t length = strlen(text);
    char *decoded = mem_strdup(text);
    char *path = NULL;

    if (length > 0 && uri_percent_decode(decoded, &length) &&
        memchr(decoded, '\0', length) == NULL) {
        decoded[length] = '\0';
        if (!leads_out(decoded) && decoded[length - 1] != '/')
            path = mem_printf("%s%s", front, decoded);
    }
    free(decoded);
    return path;
}

static char *path_in_tree(const struct entry *tree, const char *rest)
{
    char *front = mem_printf("%s/", tree->path);
    char *path = make_path(front, rest);
    struct stat found;

    free(front);
    if (path != NULL && stat(path, &found) != 0 && errno == ENOENT) {
        char *with_suffix = mem_printf("%s.json", path);
        if (stat(with_suffix, &found) == 0) {
            free(path);
            return with_suffix;
        }
        free(with_suffix);
    }
    return path;
}

// The file that holds the schema at `uri`; NULL: none is known.
static char *find_path(const struct schema_library *library, const char *uri)
{
    const struct entry *tree = NULL;
    static const char scheme[] = "file://";

    for (size_t i = 0; i < library->n_entries; i++) {
        const struct entry *entry = &library->entries[i];
        if (!is_tree(entry) && strcmp(entry->uri, uri) == 0)
            return mem_strdup(entry->path);
        if (is_tree(entry) && strncmp(entry->uri, uri, entry->length) == 0 &&
            (tree == NULL || entry->length > tree->length))
            tree = entry;
    }
    if (tree != NULL)
        return path_in_tree(tree, uri + tree->length);
    if (strncmp(uri, scheme, strlen(scheme)) == 0 && uri[strlen(scheme)] == '/')
        return make_path("", uri + strlen(scheme));
    return NULL;
}

static enum status_code lookup(void *data, const char *uri, struct schema_source *source_r,
                               struct status *st)
{
    struct schema_library *library = data;
    struct loaded loaded = {.path = find_path(library, uri)};

    if (loaded.path == NULL)
        return STATUS_NOT_FOUND;
    enum status_code code = fsio_read_file(loaded.path, SCHEMA_TEXTS_MAX, &loaded.text, st);
    *source_r = (struct schema_source){
        .text = buf_text(&loaded.text), .length = loaded.text.len, .name = loaded.path};
    library->loaded =
        mem_realloc_array(library->loaded, library->n_loaded + 1, sizeof(*library->loaded));
    library->loaded[library->n_loaded++] = loaded;
    return code == STATUS_NOT_FOUND ? STATUS_IO : code; // the URI is known, its file is not there
}

// --- compiling -----------------------------------------------------------------------------------

// "file://" and the absolute path, percent-encoded.
static void write_file_uri(const char *path, struct buf *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~/";
    char *directory = path[0] != '/' ? getcwd(NULL, 0) : NULL;
    char *absolute =
        mem_printf("%s%s%s", directory != NULL ? directory : "", path[0] != '/' ? "/" : "", path);

    buf_append_text(out, "file://");
    for (const char *p = absolute; *p != '\0'; p++) {
        if (strchr(plain, *p) != NULL)
            buf_append(out, p, 1);
        else
            buf_printf(out, "%%%02X", (unsigned char)*p);
    }
    free(absolute);
    free(directory);
}

enum status_code schema_library_compile(struct schema_library *library, const char *path,
                                        const struct schema_options *options,
                                        struct schema_faults *faults, struct schema **schema_r,
                                        struct status *st)
{
    struct schema_options own = options != NULL ? *options : (struct schema_options){0};
    struct buf text = {0}, base = {0};

    *schema_r = NULL;
    faults->count = 0;
    enum status_code code = fsio_read_file(path, SCHEMA_TEXT_MAX, &text, st);
    if (code == STATUS_OK) {
        write_file_uri(path, &base);
        own.base_uri = buf_text(&base);
        own.lookup = lookup;
        own.lookup_data = library;
        code = schema_compile_with(&own, text.len > 0 ? text.data : "", text.len, faults, schema_r);
    }
    forget_loaded(library);
    buf_deinit(&text);
    buf_deinit(&base);
    return code;
}
