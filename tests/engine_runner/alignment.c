/* Called by Unicorn before each LDM, STM, LDRD, STRD, VLDM, VSTM, VLDR and VSTR whose base isn't SP or PC. A
 * Cortex-M faults if the address isn't a multiple of 4 (ARM DDI 0403E, A3.2.1); Unicorn doesn't. */
#include <stdint.h>

struct watched {
    int (*reg_read)(void *uc, int id, void *value);
    int32_t base;     /* register, Unicorn's number */
    uint32_t runs;    /* so far */
    uint32_t faults;  /* how many of these were not aligned */
    uint32_t address; /* of the last of those */
};

void watch(void *uc, uint64_t pc, uint32_t size, void *data) {
    struct watched *w = data;
    uint32_t address = 0;
    (void)pc;
    (void)size;
    w->reg_read(uc, w->base, &address);
    w->runs++;
    if (address % 4 != 0) {
        w->faults++;
        w->address = address;
    }
}
