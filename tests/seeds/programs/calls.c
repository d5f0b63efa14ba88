/* Every way in which a call, and what it is given, is laid out in code; `main` reaches all of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define APART __attribute__((noinline))

APART int family(int inet) { return socket(inet ? AF_INET : AF_INET6, inet ? SOCK_RAW : SOCK_DGRAM, 0); }
APART int handed(int kind, int protocol) { return socket(AF_PACKET, kind, protocol); }
APART int twice(void) { return handed(SOCK_RAW, 3) + handed(SOCK_DGRAM, 8); }
APART int asked(int file, unsigned long request) { return ioctl(file, request, 0); }
APART int loops(int count) {
  int last = 0;
  for (int each = 0; each < count; each++) last = prctl(PR_SET_KEEPCAPS, each, 0, 0, 0);
  return last;
}
APART int chosen(int which) {
  switch (which) {
    case 0: return unshare(CLONE_NEWNET);
    case 1: return unshare(CLONE_NEWUSER);
    case 2: return mkdir("/var/lib/made", 0755);
    case 3: return chown("/etc/owned", 1, 1);
    case 4: return open("/dev/mem", O_RDWR);
    case 5: return open("/etc/read", O_RDONLY);
    default: return mknod("/dev/node", S_IFCHR | 0600, 0x101);
  }
}
APART int written(const char *path, const char *mode) { return fopen(path, mode) != 0; }
APART int raw(long number) { return (int)syscall(number, 1, 2, 3); }
APART void *loaded(int first) { return dlopen(first ? "libfirst.so.1" : "libsecond.so.2", RTLD_NOW); }
APART int started(char **arguments) {
  if (arguments[2]) return execl("/usr/bin/first", "first", (char *)0);
  if (arguments[3]) return system("/usr/bin/second --all");
  return execvp(arguments[1], arguments);
}
static int (*volatile pointer)(const char *, mode_t) = chmod;
APART int pointed(void) { return pointer("/etc/mode", 0600); }
APART int tail(int file) { return ftruncate(file, 0); }
APART int large(int file) {
  char room[20000];
  return (int)read(file, room, sizeof room) + room[100];
}

int main(int count, char **arguments) {
  int sum = family(count) + twice() + asked(count, 0x8912) + asked(count, 0x5401) + loops(count) + chosen(count);
  sum += written("/var/log/log", "a") + written("/etc/conf", "r") + raw(SYS_reboot) + raw(count > 3 ? SYS_bpf : SYS_kexec_load);
  sum += loaded(count) != 0;
  sum += pointed() + tail(count) + large(count) + mount("none", "/mnt", "tmpfs", MS_NOSUID, 0);
  printf("%d %s\n", sum, arguments[0]);
  return count > 9 ? started(arguments) : sum;
}
