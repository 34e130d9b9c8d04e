// SPDX-License-Identifier: Apache-2.0
#include "app/certificates.h"

#include "core/mem.h"
#include "net/tls.h"

#include <stdlib.h>
#include <sys/stat.h>

static void check_one(const char *section, const char *name, const struct config_tls *tls,
                      struct config_faults *faults)
{
    if (tls->ca_file == NULL && tls->cert_file == NULL)
        return; // the system's store has its own ways, and is no setting
    struct status st = {0};
    struct tls_settings settings = {tls->ca_file, tls->cert_file, tls->key_file};
    struct ssl_ctx_st *context = tls_context_create(&settings, &st);
    if (context != NULL) {
        tls_context_free(&context);
        return;
    }
    char *pointer = mem_printf("/%s/%s/tls", section, name);
    config_faults_add(faults, 0, pointer, "%s", st.detail);
    free(pointer);
}

void certificates_check(const struct config *config, struct config_faults *faults)
{
    for (size_t i = 0; i < config->n_auth; i++)
        check_one("auth", config->auth[i].name, &config->auth[i].tls, faults);
    for (size_t i = 0; i < config->n_streams; i++)
        check_one("streams", config->streams[i].name, &config->streams[i].tls, faults);
    for (size_t i = 0; i < config->jobs.n_apis; i++)
        check_one("jobs/apis", config->jobs.apis[i].name, &config->jobs.apis[i].tls, faults);
}

struct certificates_mark certificates_mark(const struct config_tls *tls)
{
    const char *const paths[] = {tls->ca_file, tls->cert_file, tls->key_file};
    struct certificates_mark mark = {0};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct stat st;
        if (paths[i] == NULL || stat(paths[i], &st) != 0)
            continue;
        mark.files[i].device = st.st_dev;
        mark.files[i].inode = st.st_ino;
        mark.files[i].size = st.st_size;
        mark.files[i].changed = st.st_mtim;
    }
    return mark;
}

bool certificates_mark_equal(const struct certificates_mark *a, const struct certificates_mark *b)
{
    for (size_t i = 0; i < sizeof(a->files) / sizeof(a->files[0]); i++) {
        if (a->files[i].device != b->files[i].device || a->files[i].inode != b->files[i].inode ||
            a->files[i].size != b->files[i].size ||
            a->files[i].changed.tv_sec != b->files[i].changed.tv_sec ||
            a->files[i].changed.tv_nsec != b->files[i].changed.tv_nsec)
            return false;
    }
    return true;
}
