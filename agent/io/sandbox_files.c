#include "io/sandbox_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* Since Linux 6.2. Before, who may read a file may open it so that it is emptied. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif
enum { TRUNCATE_VERSION = 3 };

/* The first version of Landlock knows these; later ones some more. */
static const uint64_t ALL = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
static const uint64_t ON_FILES = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                                 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;
static const uint64_t READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t WRITE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                              LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                              LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                              LANDLOCK_ACCESS_FS_TRUNCATE;

/*
 * What libraries read: how names are looked up, and by which modules of libc; what
 * the kernel says of processors and its programs; local time. Folders, where files
 * are replaced by new ones: Landlock knows a file by its inode.
 */
static const char *const OF_LIBRARIES[] = {
    "/etc",
    "/run/NetworkManager", /* where /etc/resolv.conf may lie */
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/sys/devices/system/cpu",
    "/sys/kernel/btf",
    NULL,
};

/* For libuv, which reads there how much memory is in use. libcap-ng can do without /proc. */
static const char MEMORY_IN_USE[] = "/proc/self/stat";

struct walls {
    int ruleset;
    uint64_t handled; /* what is not, Landlock leaves alone */
};

static int allow_below(const struct walls *w, int folder, uint64_t access)
{
    struct stat status;
    if (fstat(folder, &status) < 0)
        return -errno;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = w->handled & (S_ISDIR(status.st_mode) ? access : access & ON_FILES),
        .parent_fd = folder,
    };
    long r = syscall(SYS_landlock_add_rule, w->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    return r < 0 ? -errno : 0;
}

static int open_path(const char *path)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        log_debug("%s: closed to the agent: %s", path, strerror(errno));
    return fd;
}

static int allow(const struct walls *w, const char *path, uint64_t access)
{
    int folder = open_path(path);
    if (folder < 0)
        return 0;
    int error = allow_below(w, folder, access);
    close(folder);
    return error;
}

/* What nobody has open, procfs forgets when memory is short, and makes anew: with no rule. */
static int allow_of_process(const struct walls *w, const char *path)
{
    int file = open_path(path);
    return file < 0 ? 0 : allow_below(w, file, READ);
}

static int allow_all(const struct walls *w, const char *const *paths, uint64_t access)
{
    int error = 0;
    for (; error == 0 && *paths; paths++)
        error = allow(w, *paths, access);
    return error;
}

static int make_doors(const struct walls *w, const char *const *readable,
                      const char *const *writable)
{
    int error = allow_all(w, OF_LIBRARIES, READ);
    if (error == 0)
        error = allow_all(w, readable, READ);
    if (error == 0)
        error = allow_of_process(w, MEMORY_IN_USE);
    if (error == 0)
        error = allow_all(w, writable, WRITE);
    return error;
}

static struct walls plan_walls(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct walls w = {
        .handled = version < TRUNCATE_VERSION ? ALL : ALL | LANDLOCK_ACCESS_FS_TRUNCATE,
    };
    const struct landlock_ruleset_attr all = {.handled_access_fs = w.handled};
    w.ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
    if (w.ruleset < 0)
        log_debug("files: not limited, there is no Landlock (Linux 5.13): %s", strerror(errno));
    return w;
}

static int build(const struct walls *w)
{
    int error = syscall(SYS_landlock_restrict_self, w->ruleset, 0) < 0 ? -errno : 0;
    close(w->ruleset);
    return error;
}

int sandbox_limit_files(const char *const *readable, const char *const *writable)
{
    struct walls w = plan_walls();
    if (w.ruleset < 0)
        return 0;
    int error = make_doors(&w, readable, writable);
    int build_error = build(&w);
    return error < 0 ? error : build_error;
}

int sandbox_close_files(void)
{
    struct walls w = plan_walls();
    return w.ruleset < 0 ? 0 : build(&w);
}
