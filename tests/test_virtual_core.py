"""The virtual board's processor: instructions, exceptions, faults, what it refuses."""

import numpy as np
import pytest

from tinyswitch.boards.virtual.firmware import Firmware
from tinyswitch.errors import TinyswitchError
from virtual_programs import compile_program, needs_gcc, run_elf, run_program, symbol

pytestmark = needs_gcc


def stopped(tmp_path, body: str) -> str:
    """Message with which a program stops whose function `guilty` has this body."""
    source = (
        f"__attribute__((noinline)) void guilty(void) {{ {body} }}"
        "int main(void) { guilty(); result[30] = 1; return 0; }"
    )
    return run_elf(compile_program(tmp_path, source)).message


def test_access_outside_memory_names_address_value_and_function(tmp_path):
    message = stopped(tmp_path, "REG(0x60001234) = 0xCAFE;")
    assert message.startswith("4-byte write of value 0x0000cafe at 0x60001234")
    assert "in guilty+0x" in message and "called from main+0x" in message and "pc 0x0800" in message


def test_read_below_the_ram(tmp_path):
    assert stopped(tmp_path, "result[0] = *(volatile uint16_t *)0x1FFF0000;").startswith(
        "2-byte read at 0x1fff0000"
    )


def test_write_to_flash(tmp_path):
    message = stopped(tmp_path, "*(volatile uint8_t *)0x08001000 = 7;")
    assert message.startswith("1-byte write of value 0x07 at 0x08001000") and "guilty" in message


def test_jump_into_the_void(tmp_path):
    message = stopped(tmp_path, "((void (*)(void))0x90000001)();")
    assert message.startswith("execution at 0x90000000")


def test_unmodelled_register(tmp_path):
    message = stopped(tmp_path, "REG(0x40023830) |= 1; REG(0x4002001C) = 1;")
    assert "0x4002001c" in message and "GPIOA has no such register" in message and "guilty" in message


def test_peripheral_without_clock(tmp_path):
    message = stopped(tmp_path, "REG(0x40020000) = 1;")
    assert "GPIOA has no clock" in message and "AHB1ENR" in message


def test_too_few_flash_wait_states(tmp_path):
    message = stopped(tmp_path, "REG(0x40023800) |= 1 << 16; REG(0x40023808) = 1; REG(0x40023800) |= 1 << 16;"
                                "REG(0x40023804) = 25 | 160 << 6 | 1 << 22; REG(0x40023800) |= 1 << 24;"
                                "REG(0x40023808) = 2 | 5 << 10 | 4 << 13;")  # fmt: skip
    assert "80000000 Hz needs 2 flash wait states, not 0" in message


def test_undefined_instruction_reaches_the_hard_fault_handler(tmp_path):
    run = run_program(
        tmp_path,
        """
__attribute__((naked)) void hard_fault(void) { __asm volatile("mov r0, sp\\n mov r1, lr\\n b report"); }
__attribute__((used)) void report(uint32_t *frame, uint32_t lr) {
    for (int i = 0; i < 8; i++) result[i] = frame[i];
    result[8] = REG(0xE000ED28); result[9] = REG(0xE000ED2C); result[10] = lr;
    __asm volatile("mrs %0, ipsr" : "=r"(result[11]));
    done();
}
int main(void) {
    __asm volatile("movs r0, #10\\n movs r1, #11\\n movs r2, #12\\n movs r3, #13\\n here: udf #0"
                   ::: "r0", "r1", "r2", "r3");
    __asm volatile(".global here");
    return 0;
}
""",
    )
    assert run.result[:4] == [10, 11, 12, 13]
    assert run.result[6] == symbol(tmp_path / "program.elf", "here") & ~1
    assert run.result[8:12] == [1 << 16, 1 << 30, 0xFFFFFFF9, 3]  # UNDEFINSTR, FORCED


def test_division_by_zero_traps_only_when_asked(tmp_path):
    run = run_program(
        tmp_path,
        """
void usage_fault(void) { result[2] = REG(0xE000ED28); done(); }
static volatile uint32_t zero;
int main(void) {
    REG(0xE000ED24) = 7 << 16;
    result[0] = 5u / (zero + 2);
    result[1] = 5u / zero + 1;
    REG(0xE000ED14) |= 1 << 4;
    result[3] = 50u / (zero + 7);
    result[4] = 5u / zero;
    result[5] = 1;
    return 0;
}
""",
    )
    assert run.result[:6] == [2, 1, 1 << 25, 7, 0, 0]


def test_fpu_without_cpacr_faults(tmp_path):
    run = run_program(
        tmp_path,
        """
void usage_fault(void) { result[0] = REG(0xE000ED28); done(); }
int main(void) {
    REG(0xE000ED24) = 7 << 16;
    REG(0xE000ED88) = 0;
    __asm volatile("dsb\\n isb");
    result[1] = 7;
    __asm volatile("vadd.f32 s0, s1, s2");
    result[2] = 1;
    return 0;
}
""",
    )
    assert run.result[:3] == [1 << 19, 7, 0]  # NOCP


def test_double_precision_is_undefined(tmp_path):
    run = run_program(
        tmp_path,
        """
void usage_fault(void) { result[0] = REG(0xE000ED28); done(); }
int main(void) {
    REG(0xE000ED24) = 7 << 16;
    __asm volatile("vadd.f32 s0, s1, s2\\n vldr d3, [sp]\\n .inst.w 0xEE310B02");  /* vadd.f64 d0, d1, d2 */
    return 0;
}
""",
    )
    assert run.result[0] == 1 << 16


def test_calling_an_even_address(tmp_path):
    run = run_program(
        tmp_path,
        "void usage_fault(void) { result[0] = REG(0xE000ED28); done(); }"
        "int main(void) { REG(0xE000ED24) = 7 << 16; ((void (*)(void))0x08000100)(); return 0; }",
    )
    assert run.result[0] == 1 << 17  # INVSTATE


def test_fault_within_a_hard_fault_locks_up(tmp_path):
    source = (
        'void hard_fault(void) { __asm volatile("udf #1"); }'
        'int main(void) { __asm volatile("udf #0"); return 0; }'
    )
    assert "locks up" in run_elf(compile_program(tmp_path, source)).message


def test_stack_overflow_stops(tmp_path):
    source = """
int main(void) {
    __asm volatile("mov sp, %0" :: "r"(0x20000010));
    __asm volatile("svc 0");
    return 0;
}
"""
    message = run_elf(compile_program(tmp_path, source)).message
    assert "stack overflow" in message and "0x1ffffff0" in message


def test_systick_wakes_wfi_and_time_passes_while_asleep(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint32_t ticks;
void sys_tick(void) { ticks++; }
int main(void) {
    CYCLES_ON();
    TICK(16000);                     /* 1 ms at the 16 MHz after reset */
    uint32_t start = CYCCNT;
    while (ticks < 50) __asm volatile("wfi");
    result[0] = ticks;
    result[1] = CYCCNT - start;
    return 0;
}
""",
    )
    assert run.result[0] == 50
    assert run.result[1] < 5000  # it slept: hardly an instruction
    assert run.machine.seconds() == pytest.approx(0.050, rel=0.01)


def test_masked_interrupts_wait_for_primask(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint32_t order, seen[4];
void pend_sv(void) { seen[order++] = 14; }
void sys_tick(void) { }
void irq0(void) { seen[order++] = 16; }
int main(void) {
    REG(0xE000ED20) = 0xF0 << 16;      /* PendSV lowest */
    *(volatile uint8_t *)0xE000E400 = 0x40;
    REG(0xE000E100) = 1;
    __asm volatile("cpsid i");
    REG(0xE000ED04) = 1 << 28;
    REG(0xE000E200) = 1;
    for (int i = 0; i < 100; i++) result[0] += order;
    __asm volatile("wfi");             /* doesn't sleep: something is pending */
    __asm volatile("cpsie i");
    for (int i = 0; i < 10; i++) __asm volatile("nop");
    result[1] = order; result[2] = seen[0]; result[3] = seen[1];
    __asm volatile("msr basepri, %0" :: "r"(0x40));
    REG(0xE000E200) = 1;
    for (int i = 0; i < 10; i++) __asm volatile("nop");
    result[4] = order;
    __asm volatile("msr basepri, %0" :: "r"(0));
    for (int i = 0; i < 10; i++) __asm volatile("nop");
    result[5] = order;
    return 0;
}
""",
    )
    assert run.result[:6] == [0, 2, 16, 14, 2, 3]


def test_nested_interrupt_and_svc(tmp_path):
    run = run_program(
        tmp_path,
        """
static volatile uint32_t depth, deepest, in_irq;
void svc(void) {
    depth = 1;
    REG(0xE000E200) = 1;               /* higher priority: comes at once */
    for (int i = 0; i < 10; i++) __asm volatile("nop");
    result[0] = in_irq;
    depth = 0;
}
void irq0(void) { in_irq = 1 + depth; }
int main(void) {
    REG(0xE000ED1C) = 0x80u << 24;     /* SVC at 0x80, interrupt 0 at 0 */
    REG(0xE000E100) = 1;
    __asm volatile("movs r0, #1\\n svc 5\\n" ::: "r0");
    result[1] = in_irq + 10 * depth;
    return 0;
}
""",
    )
    assert run.result[:2] == [2, 2]


@pytest.mark.parametrize("lazy", [0xC0000000, 0x80000000])
def test_fpu_state_survives_interrupts(tmp_path, lazy):
    run = run_program(
        tmp_path,
        """
static volatile uint32_t ticks;
static volatile float noise;
void sys_tick(void) { ticks++; float x = noise + 1; for (int i = 0; i < 5; i++) x = x * x + 0.5f; noise = x; }
int main(void) {
    REG(0xE000EF34) = LAZY;
    TICK(611);
    float a = 1, b = 0.5f, c = 0.25f, sum = 0;
    for (int i = 0; i < 20000; i++) {
        a = a * 0.999f + b; b = b * 0.5f + c; c = c + 0.001f; sum += a - b;
        if (c > 1) c -= 1;
    }
    REG(0xE000E010) = 0;
    union { float f; uint32_t u; } out = {sum};
    result[0] = out.u; result[1] = ticks;
    return 0;
}
""",
        b"",
        f"-DLAZY={lazy}u",
        "-ffp-contract=off",
    )
    a, b, c, total = (np.float32(x) for x in (1, 0.5, 0.25, 0))
    for _ in range(20000):
        a = a * np.float32(0.999) + b
        b = b * np.float32(0.5) + c
        c = c + np.float32(0.001)
        total = total + (a - b)
        if c > 1:
            c = c - np.float32(1)
    assert run.result[1] > 100
    assert run.result[0] == int(np.float32(total).view(np.uint32))


def test_dsp_and_64_bit_instructions(tmp_path):
    run = run_program(
        tmp_path,
        """
#define ASM __asm volatile
#define OP2(n, name, a, b) ASM(name " %0, %1, %2" : "=r"(result[n]) : "r"(a), "r"(b))
#define OP3(n, name, a, b, c) ASM(name " %0, %1, %2, %3" : "=r"(result[n]) : "r"(a), "r"(b), "r"(c))
int main(void) {
    OP3(0, "smlad", 0x7FFF8000, 0x00020003, 100);
    __asm volatile("sxtb16 %0, %1" : "=r"(result[1]) : "r"(0x80FF7F81));
    __asm volatile("sxtb16 %0, %1, ror #8" : "=r"(result[2]) : "r"(0x80FF7F81));
    __asm volatile("ssat %0, #8, %1" : "=r"(result[3]) : "r"(1000));
    __asm volatile("ssat %0, #8, %1, asr #1" : "=r"(result[4]) : "r"(-1000));
    __asm volatile("usat %0, #7, %1" : "=r"(result[5]) : "r"(-5));
    OP2(6, "smmulr", 0x40000000, 0x00000003);
    OP2(7, "smmul", 0x40000000, 0x00000003);
    uint32_t low = 0xFFFFFFFF, high = 1;
    __asm volatile("smlal %0, %1, %2, %3" : "+r"(low), "+r"(high) : "r"(-2), "r"(3));
    result[8] = low; result[9] = high;
    OP2(10, "smuad", 0xFFFF0002, 0x00030004);
    OP2(11, "sadd16", 0x7FFF0001, 0x00010002);
    OP2(12, "qadd", 0x7FFFFFFF, 1);
    __asm volatile("pkhbt %0, %1, %2, lsl #16" : "=r"(result[13]) : "r"(0x11112222), "r"(0x33334444));
    OP2(14, "sdiv", -100, 7);
    __asm volatile("clz %0, %1" : "=r"(result[15]) : "r"(0x00010000));
    volatile int64_t a = -123456789012345LL; volatile int64_t b = 1000003;
    int64_t q = a / b, p = a * b;
    result[16] = (uint32_t)q; result[17] = (uint32_t)(q >> 32);
    result[18] = (uint32_t)p; result[19] = (uint32_t)(p >> 32);
    return 0;
}
""",
    )

    def u32(x):
        return x & 0xFFFFFFFF

    quotient, product = -(123456789012345 // 1000003), -123456789012345 * 1000003
    assert run.result[:20] == [
        u32(0x7FFF * 2 + -0x8000 * 3 + 100), 0xFFFFFF81, 0xFF80007F, 127, u32(-128), 0, 1, 0,
        u32(0x1FFFFFFFF - 6), (0x1FFFFFFFF - 6) >> 32, u32(2 * 4 - 3), 0x80000003, 0x7FFFFFFF, 0x44442222,
        u32(-14), 15, u32(quotient), u32(quotient >> 32), u32(product), u32(product >> 32),
    ]  # fmt: skip


def test_flash_is_also_at_the_itcm_address(tmp_path):
    run = run_program(
        tmp_path,
        """
__attribute__((noinline)) uint32_t here(void) {
    uint32_t pc;
    __asm volatile("mov %0, pc" : "=r"(pc));
    return pc;
}
int main(void) {
    uint32_t (*alias)(void) = (uint32_t (*)(void))((uint32_t)here - 0x07E00000);
    result[0] = alias();
    result[1] = REG(0x00200000) == (uint32_t)&stack_top;
    return 0;
}
""",
    )
    assert run.result[0] >> 20 == 2 and run.result[1] == 1


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"not an elf" * 100])
def test_a_file_that_is_no_firmware(tmp_path, content):
    path = tmp_path / "bad.elf"
    path.write_bytes(content)
    with pytest.raises(TinyswitchError, match=r"bad\.elf"):
        Firmware(path)


CONDITIONS = """
uint32_t value = 5;
const uint32_t table[3][1024] = {{1}, {2}, {3}};
__attribute__((naked, noinline)) uint32_t get(void) {
    __asm("movw r3, #:lower16:value\\n movt r3, #:upper16:value\\n ldr r0, [r3]\\n bx lr");
}
__attribute__((naked, noinline)) uint32_t read_and_get(const void *place, uint32_t condition) {
    __asm("push {r4, lr}\\n cmp r1, #1\\n ite eq\\n ldreq r2, [r0]\\n movne r2, #0\\n"
          "bl get\\n pop {r4, pc}");
}
int main(void) {
    for (int i = 0; i < 3; i++) result[i] = read_and_get(table[i], 1);      /* pages not seen before */
    for (int i = 0; i < 3; i++) result[3 + i] = read_and_get(table[i], i & 1);
    result[6] = read_and_get((void *)0xE000ED00, 1);                        /* a peripheral */
    result[7] = read_and_get((void *)0xE000ED00, 0);
}
"""


def test_a_condition_ends_with_its_block(tmp_path):
    """Whatever the access in an IT block is, the function called after it is executed."""
    assert run_program(tmp_path, CONDITIONS).result[:8] == [5] * 8
