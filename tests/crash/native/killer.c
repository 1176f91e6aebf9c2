/* Runs a command and kills it on entering its K-th call that writes, over all of its threads.
 *
 * killer REPORT K COMMAND...   (K = 0: lets it live, and counts)
 *
 * strace counts per thread, and the hub writes each pack in a thread of its own: only a count of
 * the whole process reaches every write. REPORT becomes "CALLS NAME": how many calls there were,
 * and the name of the one it died at ("-" where it lived). Children are followed, not counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALL(name) { SYS_##name, #name }
static const struct { int number; const char *name; } calls[] = {
    CALL(write),     CALL(pwrite64),   CALL(writev),    CALL(pwritev),  CALL(fsync),
    CALL(fdatasync), CALL(syncfs),     CALL(ftruncate), CALL(unlinkat), CALL(mkdirat),
    CALL(linkat),    CALL(symlinkat),  CALL(renameat2), CALL(msync),    CALL(fallocate),
    CALL(utimensat), CALL(copy_file_range),
#ifdef SYS_rename
    CALL(rename),    CALL(renameat),   CALL(unlink),    CALL(mkdir),    CALL(rmdir),
    CALL(link),      CALL(symlink),
#endif
};
#define CALLS (int)(sizeof calls / sizeof *calls)
#define PIDS (1 << 22)
enum { UNKNOWN, RUNNING, WAITING };
static char state[PIDS], counted[PIDS];

static void install_filter(void)
{
    struct sock_filter code[2 * CALLS + 2];
    int at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                              offsetof(struct seccomp_data, nr));
    for (int call = 0; call < CALLS; call++) {
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                  (unsigned)calls[call].number, 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                                  SECCOMP_RET_TRACE | (unsigned)call);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { (unsigned short)at, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("seccomp");
        _exit(126);
    }
}

/* A new thread or process may report before its parent does: it waits until we know whose it is. */
static void born(pid_t child, int is_counted)
{
    counted[child] = (char)is_counted;
    if (state[child] == WAITING)
        ptrace(PTRACE_CONT, child, 0, 0);
    state[child] = RUNNING;
}

static void report(const char *path, long count, const char *name)
{
    FILE *file = fopen(path, "w");
    if (!file || fprintf(file, "%ld %s\n", count, name) < 0 || fclose(file))
        exit(125);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 64;
    long wanted = atol(argv[2]), count = 0;
    const char *died_at = "-";
    pid_t first = fork();
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        install_filter();
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    int status, result = 125;
    waitpid(first, &status, 0);
    if (ptrace(PTRACE_SETOPTIONS, first, 0,
               PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC)) {
        perror("ptrace");
        return 126;
    }
    born(first, 1);
    ptrace(PTRACE_CONT, first, 0, 0);
    for (;;) {
        pid_t who = waitpid(-1, &status, __WALL);
        if (who < 0 && errno == EINTR)
            continue;
        if (who < 0)
            break;
        if (!WIFSTOPPED(status)) {
            state[who] = UNKNOWN;
            if (who == first) {
                result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
                report(argv[1], count, died_at);
            }
            continue;
        }
        int pass = WSTOPSIG(status), event = status >> 16;
        unsigned long message = 0;
        if (event) {
            pass = 0;
            ptrace(PTRACE_GETEVENTMSG, who, 0, &message);
            if (event == PTRACE_EVENT_CLONE)
                born((pid_t)message, counted[who]);
            else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
                born((pid_t)message, 0);
            else if (event == PTRACE_EVENT_SECCOMP && counted[who] && ++count == wanted) {
                died_at = calls[message].name;
                kill(first, SIGKILL);
            }
        } else if (pass == SIGSTOP && state[who] == UNKNOWN) {
            state[who] = WAITING;
            continue;
        } else if (pass == SIGSTOP || pass == SIGTRAP) {
            pass = 0;
        }
        ptrace(PTRACE_CONT, who, 0, (long)pass);
    }
    return result;
}
