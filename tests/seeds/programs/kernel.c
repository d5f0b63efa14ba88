/* The same without a C library: what enters the kernel itself. */
#define APART __attribute__((noinline))
#if defined(__x86_64__)
static inline long enter(long number, long a, long b, long c) {
  long result;
  register long d __asm__("r10") = 0;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(d) : "rcx", "r11", "memory");
  return result;
}
enum { OPEN = 2, SOCKET = 41, EXIT = 60, CHOWN = 92, PRCTL = 157, REBOOT = 169, UNSHARE = 272 };
#else
static inline long enter(long number, long a, long b, long c) {
  register long n __asm__("x8") = number;
  register long r __asm__("x0") = a;
  register long s __asm__("x1") = b;
  register long t __asm__("x2") = c;
  __asm__ volatile("svc #0" : "+r"(r) : "r"(n), "r"(s), "r"(t) : "memory");
  return r;
}
enum { OPEN = 56, SOCKET = 198, EXIT = 93, CHOWN = 54, PRCTL = 167, REBOOT = 142, UNSHARE = 97 };
#endif
APART long direct(void) { return enter(REBOOT, 0xfee1dead, 672274793, 0); }
APART long wrapper(long number, long a, long b, long c) { return enter(number, a, b, c); }
#ifndef CLEAN
APART long one_of(int which) { return wrapper(which ? UNSHARE : PRCTL, which ? 0x40000000 : 38, 1, 0); }
#else
APART long one_of(int which) { return which ? wrapper(UNSHARE, 0x40000000, 1, 0) : wrapper(PRCTL, 38, 1, 0); }
#endif
APART long sockets(int inet) { return wrapper(SOCKET, inet ? 2 : 17, 3, 0) + enter(SOCKET, 1, 2, 0); }
APART long opens(const char *path) { return wrapper(OPEN, (long)path, 0x241, 0600); }
#ifndef CLEAN
long number = 77;
#else
enum { number = 77 };
#endif
APART long unknown(void) { return enter(number, 0, 0, 0); }
APART long stored(long *where) {
  where[0] = CHOWN;
  where[1] = 5;
  return enter(where[0], where[1], 0, 0);
}
long room[2];
void _start(void) {
  long sum = direct() + one_of(sum & 1) + sockets(sum & 2) + opens("/etc/opened") + unknown() + stored(room);
  enter(EXIT, sum, 0, 0);
  for (;;) {
  }
}
