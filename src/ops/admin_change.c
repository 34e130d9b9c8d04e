// SPDX-License-Identifier: Apache-2.0
// Changes over the control socket: who asks, and for what.
#include "ops/admin_priv.h"

#include <libwebsockets.h>
#include <string.h>
#include <sys/socket.h>

#define ARGUMENTS_MAX 4
#define ARGUMENT_SIZE 256

const char *admin_change_argument(const struct admin_change *change, const char *name)
{
    size_t length = strlen(name);
    for (const char *const *arg = change->args; *arg != NULL; arg++) {
        if (strncmp(*arg, name, length) == 0 && (*arg)[length] == '=')
            return *arg + length + 1;
    }
    return NULL;
}

// The arguments of the query, decoded. False when there are too many or one is too long.
static bool read_arguments(struct lws *wsi, char room[ARGUMENTS_MAX][ARGUMENT_SIZE],
                           const char *args[ARGUMENTS_MAX + 1])
{
    for (int i = 0; lws_hdr_fragment_length(wsi, WSI_TOKEN_HTTP_URI_ARGS, i) > 0; i++) {
        if (i == ARGUMENTS_MAX ||
            lws_hdr_copy_fragment(wsi, room[i], ARGUMENT_SIZE, WSI_TOKEN_HTTP_URI_ARGS, i) < 0)
            return false;
        args[i] = room[i];
    }
    return true;
}

struct admin_answer admin_change(struct admin *admin, struct lws *wsi, const char *path,
                                 struct buf *body)
{
    char room[ARGUMENTS_MAX][ARGUMENT_SIZE];
    const char *args[ARGUMENTS_MAX + 1] = {0};
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    if (admin->callbacks.change == NULL)
        return admin_refuse(body, 404, "nothing can be changed");
    if (getsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return admin_refuse(body, 403, "the kernel does not say who asks");
    if (!read_arguments(wsi, room, args))
        return admin_refuse(body, 400, "too many arguments, or one that is too long");
    struct admin_change change = {.path = path,
                                  .args = args,
                                  .uid = (long)peer.uid,
                                  .gid = (long)peer.gid,
                                  .pid = (long)peer.pid};
    return (struct admin_answer){admin->callbacks.change(admin->owner, &change, body),
                                 "application/json"};
}
