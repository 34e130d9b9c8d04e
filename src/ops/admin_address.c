// SPDX-License-Identifier: Apache-2.0
#include "ops/admin_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *admin_numeric(const char *host)
{
    return strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host;
}

// Binds and closes. 0, or the error.
static int try_bind(int family, const void *address, socklen_t size)
{
    int one = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int error = bind(fd, address, size) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static int try_address(const char *host, unsigned short port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return try_bind(AF_INET, &v4, sizeof(v4));
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        return try_bind(AF_INET6, &v6, sizeof(v6));
    return EINVAL;
}

enum status_code admin_check_address(const char *host, unsigned short port, struct status *st)
{
    int error = try_address(admin_numeric(host), port);
    if (error == 0)
        return STATUS_OK;
    enum status_code code = error == EADDRINUSE                  ? STATUS_BUSY
                            : error == EACCES || error == EPERM  ? STATUS_DENIED
                            : error == EMFILE || error == ENFILE ? STATUS_FULL
                                                                 : STATUS_INVALID;
    return status_set_errno(st, code, error,
                            "cannot listen on %s port %u for the admin endpoint; set admin.listen "
                            "to another address",
                            host, port);
}

// Somebody listens, be it that it takes no connection at this moment.
static bool is_taken(const struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool taken =
        fd >= 0 && (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return taken;
}

enum status_code admin_check_socket(const char *path, struct status *st)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(at.sun_path))
        return status_set(st, STATUS_INVALID,
                          "the control socket's path %s is longer than %zu bytes; set runtime_dir "
                          "to a shorter one",
                          path, sizeof(at.sun_path) - 1);
    memcpy(at.sun_path, path, strlen(path));
    if (is_taken(&at))
        return status_set(
            st, STATUS_BUSY,
            "another cxsink answers on the control socket %s; stop that one first, or "
            "set runtime_dir to a directory of this one's own",
            path);
    unlink(path); // of a process that died
    int error = try_bind(AF_UNIX, &at, sizeof(at));
    if (error != 0)
        return status_set_errno(st, STATUS_IO, error, "cannot listen on the control socket %s",
                                path);
    unlink(path);
    return STATUS_OK;
}
