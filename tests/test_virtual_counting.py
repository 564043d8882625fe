"""The virtual board counts instructions exactly."""

import unicorn
from unicorn import arm_const as reg

from tinyswitch.boards.virtual.firmware import Firmware
from virtual_programs import DONE, compile_program, needs_gcc, run_elf, run_program, symbol

pytestmark = needs_gcc

MIXED = """
static uint32_t state = 1;
static uint32_t next(void) { state = state * 1664525u + 1013904223u; return state >> 8; }
static int add(int a, int b) { return a + b; }
static int sub(int a, int b) { return a - b; }
static int (*const operations[])(int, int) = {add, sub};
static __attribute__((noinline)) int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static __attribute__((noinline)) int pick(unsigned n, int x) {
    switch (n) {
    case 0: return x + 3;
    case 1: return x * x;
    case 2: return x / 7;
    case 3: return -x;
    case 4: return x ^ 0x55;
    default: return operations[x & 1](x, 9);
    }
}
int main(void) {
    int sum = fib(9);
    for (int i = 0; i < 500; i++) {
        int x = (int)(next() & 1023);
        sum += pick(next() % 7, x);
        if (x > 500) sum -= x; else sum += 2;   /* becomes an IT block */
        __asm volatile("cmp %1, #300\\n ittee lt\\n addlt %0, #1\\n addlt.w %0, %0, #2\\n"
                       "subge %0, #1\\n subge.w %0, %0, #0x1000" : "+r"(sum) : "r"(x) : "cc");
        uint64_t wide = (uint64_t)x * 0x123456789ull;
        sum += (int)(wide >> 20);
    }
    result[0] = (uint32_t)sum;
    return 0;
}
"""


class Stepper:
    """Counts with a hook on every instruction, in an emulator of its own. The hook isn't called for
    instructions that an IT block skips: the whole block is counted at its IT."""

    def __init__(self, elf):
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(reg.UC_CPU_ARM_CORTEX_M7)
        self.uc.mem_map(0x08000000, 1 << 20)
        self.uc.mem_map(0x20000000, 320 << 10)
        self.uc.mem_map(0xE000E000, 0x1000)
        for segment in Firmware(elf).segments:
            self.uc.mem_write(segment.load, segment.data)
        self.count, self._skip_until = 0, 0
        self.uc.hook_add(unicorn.UC_HOOK_CODE, self._instruction)

    def _length(self, address):
        return 4 if int.from_bytes(self.uc.mem_read(address, 2), "little") >= 0xE800 else 2

    def _instruction(self, uc, address, size, _):
        if address < self._skip_until:
            return
        self._skip_until = 0
        self.count += 1
        opcode = int.from_bytes(uc.mem_read(address, 2), "little")
        if size == 2 and opcode >> 8 == 0xBF and opcode & 0xF:
            inside = 4 - ((opcode & -opcode).bit_length() - 1)
            self.count += inside
            end = address + 2
            for _ in range(inside):
                end += self._length(end)
            self._skip_until = end

    def run(self):
        stack, entry = (int.from_bytes(self.uc.mem_read(0x08000000 + i, 4), "little") for i in (0, 4))
        self.uc.reg_write(reg.UC_ARM_REG_SP, stack)
        try:
            self.uc.emu_start(entry, 0xFFFFFFFE)
        except unicorn.UcError as error:
            assert error.errno == unicorn.UC_ERR_WRITE_UNMAPPED
        return self.count - 1  # the instruction that ends the program isn't completed


def test_equals_stepping(tmp_path):
    elf = compile_program(tmp_path, MIXED)
    run = run_elf(elf)
    stepper = Stepper(elf)
    expected = stepper.run()
    value = int.from_bytes(stepper.uc.mem_read(symbol(elf, "result"), 4), "little")
    assert f"0x{DONE:08x}" in run.message
    assert run.result[0] == value
    assert run.machine.cpu.instructions(run.machine.cpu.state.pc) == expected
    assert expected > 20_000


def test_hand_counted_loop(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    uint32_t a, b;
    CYCLES_ON();
    __asm volatile(
        "ldr %0, [%2]\\n"
        "mov r3, #1000\\n"
        "1: adds r1, #1\\n eor.w r1, r1, r3\\n it eq\\n addeq r1, #1\\n subs r3, #1\\n bne 1b\\n"
        "ldr %1, [%2]\\n" : "=&r"(a), "=&r"(b) : "r"(0xE0001004) : "r1", "r3", "cc");
    result[0] = b - a;
    return 0;
}
""",
    )
    assert run.result[0] == 1 + 1 + 6 * 1000  # the first read, the MOV, the loop


def test_cycle_counter_in_the_middle_of_a_block(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    uint32_t a, b, c;
    CYCLES_ON();
    __asm volatile("ldr %0, [%3]\\n nop\\n nop.w\\n nop\\n ldr %1, [%3]\\n ldr.w %2, [%3]"
                   : "=&r"(a), "=&r"(b), "=&r"(c) : "r"(0xE0001004));
    result[0] = b - a;
    result[1] = c - b;
    return 0;
}
""",
    )
    assert run.result[:2] == [4, 1]


def test_cycle_counter_can_be_set_and_wraps(tmp_path):
    run = run_program(
        tmp_path,
        """
int main(void) {
    CYCLES_ON();
    CYCCNT = 0xFFFFFFF0u;
    for (int i = 0; i < 100; i++) __asm volatile("nop");
    result[0] = CYCCNT;
    return 0;
}
""",
    )
    assert 100 <= run.result[0] < 1000


def test_interrupts_add_exactly_their_instructions(tmp_path):
    work = """
__attribute__((naked)) void sys_tick(void) {   /* 5 instructions */
    __asm volatile("ldr r0, =ticks_at\\n ldr r1, [r0]\\n adds r1, #1\\n str r1, [r0]\\n bx lr\\n .ltorg");
}
__attribute__((used)) uint32_t ticks_at;
int main(void) {
    CYCLES_ON();
    if (TICKS) TICK(TICKS);
    uint32_t start = CYCCNT;
    for (uint32_t i = 0; i < 20000; i++) __asm volatile("adds r3, #1\\n eors r3, r2" ::: "r2", "r3", "cc");
    result[0] = CYCCNT - start;
    REG(0xE000E010) = 0;
    result[1] = ticks_at;
    return 0;
}
"""
    quiet = run_program(tmp_path, work, b"", "-DTICKS=0")
    busy = run_program(tmp_path, work, b"", "-DTICKS=777")
    assert busy.result[1] > 50
    assert busy.result[0] == quiet.result[0] + 5 * busy.result[1]
