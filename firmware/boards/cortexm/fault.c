/* Fault handlers: note what happened where no start-up code clears it, reset, tell at the next start. */
#include "cortexm.h"
#include <stddef.h>

#define REPORT_MARK 0x7461661Bu

struct report {
    uint32_t exception; /* number, as in IPSR */
    uint32_t pc, lr, sp;
    uint32_t cfsr, hfsr, address;
    uint32_t check; /* REPORT_MARK ^ all others */
};

__attribute__((section(".noinit"))) static struct report report;

static enum board_reset_cause cause;
static char text[160];
static int reported;

static uint32_t check_word(const struct report *r) {
    return REPORT_MARK ^ r->exception ^ r->pc ^ r->lr ^ r->sp ^ r->cfsr ^ r->hfsr ^ r->address;
}

/* `frame`: where the exception stacked r0-r3, r12, lr, pc, psr. */
__attribute__((used)) static void note_and_reset(const uint32_t *frame) {
    const int readable = frame >= stack_bottom && frame + 8 <= stack_top;
    __asm volatile("mrs %0, ipsr" : "=r"(report.exception));
    report.sp = (uint32_t)(uintptr_t)frame;
    report.lr = readable ? frame[5] : 0;
    report.pc = readable ? frame[6] : 0;
    report.cfsr = SCB_CFSR;
    report.hfsr = SCB_HFSR;
    report.address = report.cfsr & SCB_CFSR_MMARVALID   ? SCB_MMFAR
                     : report.cfsr & SCB_CFSR_BFARVALID ? SCB_BFAR
                                                        : 0;
    report.check = check_word(&report);
    board_reset();
}

/* Keeps the stack if it is sound; else takes its top, for the pointer has left the RAM or is about to. */
__attribute__((naked)) void fault_handler(void) {
    __asm volatile("mrs r0, msp\n"
                   "ldr r2, =stack_top\n"
                   "ldr r1, =stack_bottom + 128\n"
                   "cmp r0, r1\n"
                   "it lo\n"
                   "msrlo msp, r2\n"
                   "cmp r0, r2\n"
                   "it hi\n"
                   "msrhi msp, r2\n"
                   "b note_and_reset\n");
}

static char *append(char *to, const char *from) {
    while (*from != '\0') {
        *to++ = *from++;
    }
    return to;
}

static char *append_word(char *to, const char *name, uint32_t value) {
    to = append(append(to, name), " 0x");
    for (int shift = 28; shift >= 0; shift -= 4) {
        *to++ = "0123456789abcdef"[(value >> shift) & 15u];
    }
    return to;
}

static void describe(const struct report *r) {
    static const char *const names[] = {"NMI", "HardFault", "MemManage", "BusFault", "UsageFault"};
    char *end = text;
    if (r->sp < (uint32_t)(uintptr_t)stack_bottom) {
        end = append(end, "stack overflow, ");
    }
    end = r->exception >= 2 && r->exception <= 6 ? append(end, names[r->exception - 2])
                                                 : append_word(end, "exception", r->exception);
    end = append_word(end, " at pc", r->pc);
    end = append_word(end, " lr", r->lr);
    end = append_word(end, " sp", r->sp);
    end = append_word(end, " cfsr", r->cfsr);
    end = append_word(end, " hfsr", r->hfsr);
    end = append_word(end, " address", r->address);
    *end = '\0';
}

void faults_start(enum board_reset_cause why) {
    SCB_CCR |= SCB_CCR_DIV_0_TRP;
    SCB_SHCSR |= SCB_SHCSR_MEMFAULTENA | SCB_SHCSR_BUSFAULTENA | SCB_SHCSR_USGFAULTENA;
    cause = why;
    if (cause != BOARD_RESET_POWER && report.check == check_word(&report)) {
        describe(&report);
        reported = 1;
        cause = BOARD_RESET_FAULT;
    }
    report.check = ~check_word(&report); /* told once */
}

enum board_reset_cause board_reset_cause(void) {
    return cause;
}

const char *board_fault(void) {
    return reported ? text : NULL;
}
