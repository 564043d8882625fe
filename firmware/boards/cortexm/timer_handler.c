/* The periodic timer's interrupt. */
#include "cortexm.h"

/* Exceptions stack no floating-point registers (FPCCR, start.c), and compilers take those for anything: saves
 * the ones that a function may change. */
__attribute__((naked)) void timer_handler(void) {
    __asm volatile("push {r4, lr}\n"
                   "vpush {s0-s15}\n"
                   "vmrs r4, fpscr\n"
                   "bl timer_expired\n"
                   "vmsr fpscr, r4\n"
                   "vpop {s0-s15}\n"
                   "pop {r4, pc}\n");
}
