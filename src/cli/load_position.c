// SPDX-License-Identifier: Apache-2.0
// Where a load is, kept in state_dir/load/: "INODE OFFSET SOURCE".
#include "cli/load_priv.h"
#include "core/fsio.h"
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *state_path(const struct load *l)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(&l->name, id);
    return mem_printf("%s/load/%s", l->config->state_dir, id);
}

void load_save_position(struct load *l)
{
    if (!l->resumable)
        return;
    struct status st;
    char source[UUID_TEXT_SIZE];
    uuid_format(&l->source, source);
    char *path = state_path(l);
    char *dir = mem_printf("%s/load", l->config->state_dir);
    char *text = mem_printf("%llu %llu %s\n", (unsigned long long)l->inode,
                            (unsigned long long)l->acked, source);
    if (fsio_make_dirs(dir, 0700, &st) != STATUS_OK ||
        fsio_write_file(path, text, strlen(text), 0600, &st) != STATUS_OK) {
        l->resumable = false; // said once, not at every tick
        load_clear_progress(l);
        fprintf(stderr,
                "cxsink load: cannot keep the position: %s; loading on, but a load that is stopped "
                "will start from the beginning\n",
                st.detail);
    }
    free(text);
    free(dir);
    free(path);
}

uint64_t load_stored_position(struct load *l)
{
    unsigned long long inode = 0, offset = 0;
    char id[UUID_TEXT_SIZE] = "";
    struct uuid source;
    struct buf text = {0};
    char *path = state_path(l);
    bool found = fsio_read_file(path, 256, &text, NULL) == STATUS_OK &&
                 sscanf(buf_text(&text), "%llu %llu %36s", &inode, &offset, id) == 3 &&
                 uuid_parse(id, strlen(id), &source);
    buf_deinit(&text);
    free(path);
    if (!found || inode != l->inode || offset > l->size)
        return 0;
    l->source = source;
    return offset;
}

static struct uuid name_of(const struct load *l, const char *real)
{
    char *text = mem_printf("load %s %s", l->config->streams[l->stream].name, real);
    struct uuid name = uuid_from_data(text, strlen(text));
    free(text);
    return name;
}

void load_name_source(struct load *l, const char *real, const struct stat *info)
{
    char *version =
        mem_printf("load %s %s %llu %llu %lld.%09ld", l->config->streams[l->stream].name, real,
                   (unsigned long long)l->inode, (unsigned long long)l->size,
                   (long long)info->st_mtim.tv_sec, info->st_mtim.tv_nsec);
    l->name = name_of(l, real);
    l->source = uuid_from_data(version, strlen(version));
    free(version);
}

void load_forget_position(const struct load *common, const char *file)
{
    struct load l = *common;
    char *real = strcmp(file, "-") != 0 ? realpath(file, NULL) : NULL;
    if (real == NULL)
        return;
    l.name = name_of(&l, real);
    char *path = state_path(&l);
    unlink(path);
    free(path);
    free(real);
}
