/* Takes one of the hub's two barriers away, to see that a power cut then loses something.
 *
 * Compiled with -DBARRIER=1: nothing is synced but the directory of the op heads; with -DBARRIER=2:
 * that directory is not. Loaded into a hub with LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int is_op_heads(int file)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    const char *end = "/op_heads/heads";
    if (size < (ssize_t)strlen(end))
        return 0;
    path[size] = 0;
    return strcmp(path + size - strlen(end), end) == 0;
}

static int dropped(int file)
{
    return BARRIER == 2 ? is_op_heads(file) : !is_op_heads(file);
}

int fsync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return dropped(file) ? 0 : real(file);
}

int fdatasync(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return dropped(file) ? 0 : real(file);
}
