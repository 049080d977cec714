// Linked into every program of the coverage build (-Wl,--wrap): a process that ends by _exit, or by its own SIGKILL at a crash
// point, writes its counts before.
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
int __real_kill(pid_t pid, int number);

_Noreturn void __wrap__exit(int status) {
    __gcov_dump();
    __real__exit(status);
}

int __wrap_kill(pid_t pid, int number) {
    if (pid == getpid() && number == SIGKILL) __gcov_dump();
    return __real_kill(pid, number);
}
