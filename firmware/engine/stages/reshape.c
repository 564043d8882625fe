#include <string.h>

#include "../engine.h"
#include "../stages.h"

void ts_reshape(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const uint32_t in_bytes = ts_tensor_at(e, stage->inputs[0])->row_bytes;
    const uint32_t out_bytes = ts_tensor_at(e, stage->output)->row_bytes;
    int8_t *dst = ts_row_out(e, stage->output, step);
    uint32_t at = step * out_bytes;
    for (uint32_t done = 0; done < out_bytes;) {
        const uint32_t column = at % in_bytes;
        uint32_t n = in_bytes - column;
        n = n < out_bytes - done ? n : out_bytes - done;
        memcpy(dst + done, ts_row(e, stage->inputs[0], at / in_bytes) + column, n);
        done += n;
        at += n;
    }
}
