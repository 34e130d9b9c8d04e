// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include "config/faults_priv.h"
#include "config/reader_priv.h"
#include "core/fsio.h"
#include "core/mem.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024)

static char *absolute_path(const char *path)
{
    if (path[0] == '/')
        return mem_strdup(path);
    char *here = get_current_dir_name();
    char *absolute = here == NULL ? mem_strdup(path) : mem_printf("%s/%s", here, path);
    free(here);
    return absolute;
}

static char *directory_of(const char *path)
{
    char *copy = mem_strdup(path);
    char *dir = mem_strdup(dirname(copy));
    free(copy);
    return dir;
}

static const char *open_remedy(enum status_code code)
{
    if (code == STATUS_NOT_FOUND)
        return "; name the configuration with -c FILE, or in the environment variable "
               "CXSINK_CONFIG";
    return code == STATUS_DENIED ? "; let this user read it" : "";
}

static bool parse_file(const char *path, struct document *doc, struct config_faults *faults)
{
    struct buf text = {0};
    struct status st;
    // All the room that reading may ask for, at once: growing would leave copies of secrets behind.
    buf_grow(&text, FILE_MAX + 4 * 65536);
    enum status_code code = fsio_read_file(path, FILE_MAX, &text, &st);
    if (code != STATUS_OK) {
        config_faults_add(faults, 0, "", "%s%s", st.detail, open_remedy(code));
        mem_wipe(text.data, text.len);
        buf_deinit(&text);
        return false;
    }
    text.data[text.len] = '\0';
    return document_parse(doc, text.data, text.len, faults);
}

// As much of the file as can be read; faults say what cannot.
static struct config *read_config(const char *path, struct config_faults *faults_r)
{
    *faults_r = (struct config_faults){0};
    struct config *config = mem_zalloc(sizeof(*config));
    struct document doc = {0};
    config->path = absolute_path(path);
    config->dir = directory_of(config->path);
    if (parse_file(config->path, &doc, faults_r)) {
        document_find_duplicates(&doc, faults_r);
        reader_read(config, doc.root, faults_r);
    }
    document_deinit(&doc);
    config_faults_sort(faults_r);
    return config;
}

struct config *config_load(const char *path, struct config_faults *faults_r)
{
    struct config *config = read_config(path, faults_r);
    if (faults_r->count > 0)
        config_free(&config);
    return config;
}

bool config_load_dirs(const char *path, char **state_dir_r, char **runtime_dir_r,
                      struct config_faults *faults_r)
{
    struct config *config = read_config(path, faults_r);
    bool known = config->state_dir != NULL && config->runtime_dir != NULL;
    if (known) {
        *state_dir_r = mem_strdup(config->state_dir);
        *runtime_dir_r = mem_strdup(config->runtime_dir);
        config_faults_free(faults_r);
    }
    config_free(&config);
    return known;
}

bool config_list_names(const char *path, const char *section, struct buf *names_r,
                       struct config_faults *faults_r)
{
    struct document doc = {0};
    *faults_r = (struct config_faults){0};
    bool parsed = parse_file(path, &doc, faults_r);
    const struct doc_node *node = parsed ? doc.root : NULL;
    while (node != NULL && *section != '\0') {
        size_t length = strcspn(section, ".");
        char *name = mem_strndup(section, length);
        node = doc_member(node, name);
        free(name);
        section += length;
        section += *section == '.';
    }
    for (node = node != NULL ? node->first : NULL; node != NULL; node = node->next) {
        if (node->name != NULL)
            buf_printf(names_r, "%s\n", node->name);
    }
    document_deinit(&doc);
    return parsed;
}

struct config *config_load_audit(const char *path, struct config_faults *faults_r)
{
    struct config *config = read_config(path, faults_r);
    bool known = config->state_dir != NULL;
    for (size_t i = 0; i < faults_r->count; i++)
        known = known && strncmp(faults_r->items[i].pointer, "/audit", 6) != 0;
    if (known)
        config_faults_free(faults_r);
    else
        config_free(&config);
    return config;
}

// --- lines ---------------------------------------------------------------------------------------

// The child that a pointer leads to; `pointer` then begins behind it. NULL when there is none.
static const struct doc_node *step(const struct doc_node *node, const char **pointer)
{
    struct buf token = {0};
    const struct doc_node *child = node->first;
    for (size_t index = 0; child != NULL; child = child->next, index++) {
        buf_clear(&token);
        if (node->type == DOC_OBJECT)
            pointer_push(&token, child->name);
        else
            pointer_push_index(&token, index);
        const char *rest = *pointer + token.len;
        if (strncmp(*pointer, buf_text(&token), token.len) == 0 &&
            (*rest == '/' || *rest == '\0')) {
            *pointer = rest;
            break;
        }
    }
    buf_deinit(&token);
    return child;
}

static unsigned line_of(const struct doc_node *root, const char *pointer)
{
    unsigned line = root->line;
    for (const struct doc_node *node = step(root, &pointer); node != NULL;
         node = step(node, &pointer))
        line = node->name != NULL ? node->name_line : node->line;
    return line;
}

void config_faults_locate(const char *path, struct config_faults *faults)
{
    struct document doc = {0};
    struct config_faults ignored = {0};
    if (faults->count > 0 && parse_file(path, &doc, &ignored)) {
        for (size_t i = 0; i < faults->count; i++) {
            struct config_fault *fault = &faults->items[i];
            if (fault->line == 0)
                fault->line = line_of(doc.root, fault->pointer);
        }
        config_faults_sort(faults);
    }
    document_deinit(&doc);
    config_faults_free(&ignored);
}

void config_free(struct config **config)
{
    if (*config == NULL)
        return;
    reader_release(NULL, *config);
    free((*config)->path);
    free((*config)->dir);
    free(*config);
    *config = NULL;
}

// --- reload --------------------------------------------------------------------------------------

static bool same_value(const struct setting *s, const void *old, const void *new)
{
    const char *a = (const char *)old + s->offset;
    const char *b = (const char *)new + s->offset;
    const struct setting_kind *kind = &setting_kinds[s->type];
    if (!kind->text)
        return memcmp(a, b, kind->size) == 0;
    const char *x = *(char *const *)(const void *)a;
    const char *y = *(char *const *)(const void *)b;
    return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

void config_restart_needed(const struct config *old, const struct config *new, struct buf *out)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *s = &settings_table[i];
        if (!s->restart || same_value(s, old, new))
            continue;
        buf_append_text(out, out->len > 0 ? ", /" : "/");
        for (const char *p = s->path; *p != '\0'; p++)
            buf_append(out, *p == '.' ? "/" : p, 1);
    }
}
