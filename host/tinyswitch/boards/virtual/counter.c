/* Instruction counter of the virtual boards: called by Unicorn before each translated block.
 *
 * Unicorn tells a block's address and size in bytes; how many instructions that is follows from the
 * first halfword of each (Thumb-2: 0b11101, 0b11110 and 0b11111 in bits 15:11 begin a 32-bit one, ARM
 * DDI 0403E, A5.1). Counts are kept in one table per memory region, indexed by halfword, because a
 * look-up is made for every block that runs.
 *
 * Compiled by counter.py, which mirrors the structures below with ctypes. It needs no Unicorn header:
 * the two functions it calls are handed in as pointers.
 */
#include <stddef.h>
#include <stdint.h>

enum {
    HAS_FPU = 1,    /* coprocessor 10 or 11: faults while CPACR forbids it */
    HAS_DOUBLE = 2, /* double-precision arithmetic: the FPv5-SP has none */
    DIVIDES_BY_ZERO = 4
};

enum { REGIONS = 6 };

/* unicorn.h: uc_prot, uc_mem_type, struct uc_tlb_entry */
enum { CAN_READ = 1, CAN_WRITE = 2, CAN_EXECUTE = 4 };
enum { KIND_READ = 16, KIND_FETCH = 18 };
struct tlb_entry {
    uint64_t paddr;
    int permissions;
};

struct entry {
    uint16_t size;  /* bytes of the block; 0: not decoded yet */
    uint16_t count; /* instructions, flags in bits 15:12 */
};

struct region {
    uint64_t base;
    uint64_t size;
    uint64_t writable;
    const uint8_t *bytes;
    struct entry *entries; /* size / 2 of them */
};

/* What went wrong with one access; `kind` is Unicorn's uc_mem_type, 0 if nothing did. */
struct fault {
    uint32_t kind;
    uint32_t size;
    uint64_t address;
    uint64_t value;
    uint32_t pc;
};

struct counter {
    uint64_t executed; /* instructions of all blocks entered, the current one counted whole */
    uint64_t deadline; /* stop before the first block that starts at or after this count */
    uint32_t stop;     /* stop before the next block; set by anybody */
    uint32_t stopped;  /* it has stopped before a block, and not because of an instruction */
    uint32_t trap;     /* stop before a block that has one of these flags */
    uint32_t trapped;  /* flags for which it stopped, else 0 */
    uint32_t block, block_size, block_count, block_flags; /* the one entered last */
    uint32_t watch_masks;                                 /* stop when an interrupt mask below changes */
    uint32_t masks[3];                                    /* PRIMASK, BASEPRI, FAULTMASK as last seen */
    int32_t mask_registers[3];
    int32_t registers[16]; /* Unicorn's numbers of R0 to R15 */
    int32_t xpsr;          /* and of XPSR */
    uint32_t pc;           /* of the latest access to a peripheral */
    int32_t interrupt;     /* QEMU's exception index of a software exception, -1 if none */
    struct fault fault;
    struct region regions[REGIONS];
    uint32_t cyccnt_on;     /* the cycle counter counts */
    uint64_t cyccnt_origin; /* `executed` when it was 0 */
    int (*emu_stop)(void *uc);
    int (*reg_read)(void *uc, int id, void *value);
    int (*reg_write)(void *uc, int id, const void *value);
    uint64_t (*read)(void *uc, uint64_t offset, unsigned size, void *user); /* private peripherals, from Python */
};

#define XPSR_IT 0x0600FC00u /* ARM DDI 0403E, B1.4.2 */

/* ARM DDI 0403E, C1.8: DWT_CYCCNT, from 0xE0000000 on */
enum { CYCCNT_OFFSET = 0x1004 };

static unsigned halfword(const uint8_t *p) {
    return p[0] | (unsigned)p[1] << 8;
}

static int is_wide(unsigned first) {
    return first >= 0xE800;
}

/* Flags of one 32-bit instruction. */
static unsigned flags_of(unsigned first, unsigned second) {
    unsigned flags = 0;
    unsigned coprocessor = second >> 8 & 0xF;

    if ((first & 0xEC00) == 0xEC00 && (coprocessor == 10 || coprocessor == 11)) {
        flags |= HAS_FPU;
        if ((first & 0x0F00) == 0x0E00 && coprocessor == 11 && !(second & 0x10))
            flags |= HAS_DOUBLE;
        if ((first & 0xFFBF) == 0xEEB7 && (second & 0x0ED0) == 0x0AC0)
            flags |= HAS_DOUBLE; /* VCVT.F64.F32 is in coprocessor 10 */
    }
    return flags;
}

static const struct region *region_of(const struct counter *c, uint64_t address) {
    for (int i = 0; i < REGIONS; i++)
        if (address - c->regions[i].base < c->regions[i].size)
            return &c->regions[i];
    return NULL;
}

/* Instructions in [start, end); `flags` gets what they are, if it isn't NULL. */
static unsigned decode(const struct region *r, uint64_t start, uint64_t end, unsigned *flags) {
    unsigned n = 0;

    for (uint64_t at = start - r->base; at < end - r->base && at + 2 <= r->size; n++) {
        unsigned first = halfword(r->bytes + at);
        if (is_wide(first) && at + 4 <= r->size && flags)
            *flags |= flags_of(first, halfword(r->bytes + at + 2));
        at += is_wide(first) ? 4 : 2;
    }
    return n;
}

static struct entry entry_of(struct counter *c, uint64_t address, uint32_t size) {
    const struct region *r = region_of(c, address);
    struct entry none = {0, 0};
    struct entry *e;

    if (!r)
        return none;
    e = &r->entries[(address - r->base) >> 1];
    if (e->size != size) {
        unsigned flags = 0;
        unsigned n = decode(r, address, address + size, &flags);
        e->size = (uint16_t)size;
        e->count = (uint16_t)(n | flags << 12);
    }
    return *e;
}

static int masks_changed(const struct counter *c, void *uc) {
    for (int i = 0; i < 3; i++) {
        uint32_t value = 0;
        c->reg_read(uc, c->mask_registers[i], &value);
        if (value != c->masks[i])
            return 1;
    }
    return 0;
}

/* UC_HOOK_BLOCK */
void counter_block(void *uc, uint64_t address, uint32_t size, void *user) {
    struct counter *c = user;
    uint32_t count = c->block_count, flags = c->block_flags;

    if (address != c->block || size != c->block_size) { /* else a loop of one block */
        struct entry e = entry_of(c, address, size);
        count = e.count & 0xFFF;
        flags = e.count >> 12;
    }
    if (c->stop || c->executed >= c->deadline || (flags & c->trap) ||
        (c->watch_masks && masks_changed(c, uc))) {
        c->trapped = c->stop ? 0 : flags & c->trap;
        c->stop = c->stopped = 1;
        c->emu_stop(uc);
        return;
    }
    c->block = (uint32_t)address;
    c->block_size = size;
    c->block_count = count;
    c->block_flags = flags;
    c->executed += count;
}

/* UC_HOOK_CODE on each SDIV and UDIV, called if the instruction's condition holds: CCR.DIV_0_TRP. */
void counter_divide(void *uc, uint64_t address, uint32_t size, void *user) {
    struct counter *c = user;
    const struct region *r = region_of(c, address);
    uint32_t divisor = 1;
    (void)size;

    if (!r || !(c->trap & DIVIDES_BY_ZERO))
        return;
    c->reg_read(uc, c->registers[r->bytes[address - r->base + 2] & 0xF], &divisor);
    if (divisor == 0) {
        c->trapped = DIVIDES_BY_ZERO;
        c->stop = 1;
        c->emu_stop(uc);
    }
}

/* UC_HOOK_INTR: SVC, BKPT, exception return. */
void counter_interrupt(void *uc, uint32_t number, void *user) {
    struct counter *c = user;

    c->interrupt = (int32_t)number;
    c->stop = 1;
    c->emu_stop(uc);
}

/* Before a hook of an access QEMU's state is brought up to date, the condition of an IT block included. Blocks
 * that are translated begin without one and never clear it: it would be the next block's condition too. */
static void forget_condition(const struct counter *c, void *uc) {
    uint32_t xpsr = 0;

    c->reg_read(uc, c->xpsr, &xpsr);
    if (xpsr & XPSR_IT) {
        xpsr &= ~XPSR_IT;
        c->reg_write(uc, c->xpsr, &xpsr);
    }
}

/* UC_HOOK_MEM_READ_PROT, UC_HOOK_MEM_WRITE_PROT over the peripherals, which are mapped without any
 * permission: only such a hook finds the program counter up to date. The access then goes on. */
int counter_peripheral(void *uc, int kind, uint64_t address, int size, int64_t value, void *user) {
    struct counter *c = user;
    (void)kind, (void)address, (void)size, (void)value;

    c->reg_read(uc, c->registers[15], &c->pc);
    forget_condition(c, uc);
    return 1;
}

/* UC_HOOK_MEM_UNMAPPED, UC_HOOK_MEM_PROT elsewhere: keeps the first, stops. */
int counter_fault(void *uc, int kind, uint64_t address, int size, int64_t value, void *user) {
    struct counter *c = user;

    if (!c->fault.kind) {
        c->fault.kind = (uint32_t)kind;
        c->fault.size = (uint32_t)size;
        c->fault.address = address;
        c->fault.value = (uint64_t)value;
        c->reg_read(uc, c->registers[15], &c->fault.pc);
    }
    return 0;
}

/* UC_HOOK_TLB_FILL: addresses are what they are. RAM that is used as data isn't made executable, because
 * Unicorn takes its slow path on every store to an executable page, looking for code to translate anew. */
int counter_tlb_fill(void *uc, uint64_t address, int kind, struct tlb_entry *entry, void *user) {
    const struct region *r = region_of(user, address);

    if (kind != KIND_FETCH)
        forget_condition(user, uc);
    entry->paddr = address;
    entry->permissions = kind == KIND_FETCH || (kind == KIND_READ && r && !r->writable)
                             ? CAN_READ | CAN_EXECUTE
                             : CAN_READ | CAN_WRITE;
    return 1;
}

/* Instructions completed when the one at `pc` is about to run or running. */
uint64_t counter_at(const struct counter *c, uint32_t pc) {
    const struct region *r = region_of(c, c->block);

    if (!r || pc < c->block || pc >= c->block + c->block_size)
        return c->executed;
    return c->executed - c->block_count + decode(r, c->block, pc, NULL);
}

/* Read of the private peripherals. Firmware that measures time, or passes it, reads the cycle counter again and
 * again: that is answered here, in a fiftieth of the time that Python takes. */
uint64_t counter_read(void *uc, uint64_t offset, unsigned size, void *user) {
    const struct counter *c = user;

    if (offset == CYCCNT_OFFSET && size == 4 && c->cyccnt_on)
        return (uint32_t)(counter_at(c, c->pc) - c->cyccnt_origin);
    return c->read(uc, offset, size, NULL);
}

/* Address of the first instruction in [start, end) that has one of `flags`, or `end`. */
uint32_t counter_find(const struct counter *c, uint32_t start, uint32_t end, uint32_t flags) {
    const struct region *r = region_of(c, start);
    uint32_t at = start;

    while (r && at < end) {
        unsigned first = halfword(r->bytes + (at - r->base));
        if (is_wide(first) && (flags_of(first, halfword(r->bytes + (at - r->base) + 2)) & flags))
            break;
        at += is_wide(first) ? 4 : 2;
    }
    return at;
}

/* Size of struct counter, so that counter.py can check its mirror. */
uint64_t counter_size(void) {
    return sizeof(struct counter);
}
