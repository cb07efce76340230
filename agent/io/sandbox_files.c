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

/* The first version of Landlock knows these; later ones some more. */
static const uint64_t ON_FILES =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
static const uint64_t ALL = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
static const uint64_t READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t WRITE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                              LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                              LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK;

/*
 * What libraries read: how names are looked up, and by which modules of libc; what
 * the kernel says of this process and its programs; local time.
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
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/kernel/btf",
    NULL,
};

static int allow_below(int ruleset, int folder, uint64_t access)
{
    struct stat status;
    if (fstat(folder, &status) < 0)
        return -errno;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = S_ISDIR(status.st_mode) ? access : access & ON_FILES,
        .parent_fd = folder,
    };
    long r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    return r < 0 ? -errno : 0;
}

static int allow(int ruleset, const char *path, uint64_t access)
{
    int folder = open(path, O_PATH | O_CLOEXEC);
    if (folder < 0) {
        log_debug("%s: closed to the agent: %s", path, strerror(errno));
        return 0;
    }
    int error = allow_below(ruleset, folder, access);
    close(folder);
    return error;
}

static int allow_all(int ruleset, const char *const *paths, uint64_t access)
{
    int error = 0;
    for (; error == 0 && *paths; paths++)
        error = allow(ruleset, *paths, access);
    return error;
}

static int close_in(int ruleset, const char *const *readable, const char *const *writable)
{
    int error = allow_all(ruleset, OF_LIBRARIES, READ);
    if (error == 0)
        error = allow_all(ruleset, readable, READ);
    if (error == 0)
        error = allow_all(ruleset, writable, WRITE);
    if (error == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        error = -errno;
    return error;
}

int sandbox_limit_files(const char *const *readable, const char *const *writable)
{
    const struct landlock_ruleset_attr all = {.handled_access_fs = ALL};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
    if (ruleset < 0) {
        log_debug("files: not limited, there is no Landlock (Linux 5.13): %s", strerror(errno));
        return 0;
    }
    int error = close_in(ruleset, readable, writable);
    close(ruleset);
    return error;
}
