#include "../engine.h"
#include "../requantise.h"
#include "../stages.h"

/* Taps [*first, *last) of a window at `origin` that lie inside [0, size). */
static void clip(int32_t origin, int32_t taps, int32_t dilation, int32_t size, int32_t *first,
                 int32_t *last) {
    int32_t low = 0;
    int32_t high = taps;
    while (low < taps && origin + low * dilation < 0) {
        low++;
    }
    while (high > low && origin + (high - 1) * dilation >= size) {
        high--;
    }
    *first = low;
    *last = high;
}

static int32_t dot(const int8_t *x, const int8_t *w, int32_t n, int32_t zero_point) {
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += w[i] * (x[i] - zero_point);
    }
    return sum;
}

void ts_conv(const ts_engine *e, const ts_stage *stage, uint32_t step) {
    const ts_conv_params *p = stage->params;
    const ts_window *win = &p->window;
    const ts_tensor *in = ts_tensor_at(e, stage->inputs[0]);
    const ts_tensor *out = ts_tensor_at(e, stage->output);
    const int32_t depth = in->channels / p->groups;
    const int32_t group_outputs = out->channels / p->groups;
    const int32_t y0 = (int32_t)(step * win->stride_y) - win->pad_top;
    int32_t ky0, ky1;
    clip(y0, win->height, win->dilation_y, in->height, &ky0, &ky1);
    int8_t *dst = ts_row_out(e, stage->output, step);
    for (int32_t x = 0; x < out->width; x++) {
        const int32_t x0 = x * win->stride_x - win->pad_left;
        int32_t kx0, kx1;
        clip(x0, win->width, win->dilation_x, in->width, &kx0, &kx1);
        /* taps side by side in the row and in the weights form one long dot product */
        const int joined = win->dilation_x == 1 && p->groups == 1;
        for (int32_t o = 0; o < out->channels; o++) {
            const int8_t *weights = p->weights + o * win->height * win->width * depth;
            const int32_t first_channel = o / group_outputs * depth;
            int32_t sum = p->requant.bias[o];
            for (int32_t ky = ky0; ky < ky1; ky++) {
                const int8_t *row = ts_row(e, stage->inputs[0], (uint32_t)(y0 + ky * win->dilation_y));
                const int8_t *w = weights + ky * win->width * depth;
                if (joined) {
                    sum += dot(row + (x0 + kx0) * depth, w + kx0 * depth, (kx1 - kx0) * depth,
                               p->input_zero_point);
                    continue;
                }
                for (int32_t kx = kx0; kx < kx1; kx++) {
                    const int8_t *pixel = row + (x0 + kx * win->dilation_x) * in->channels + first_channel;
                    sum += dot(pixel, w + kx * depth, depth, p->input_zero_point);
                }
            }
            const ts_requant *q = &p->requant;
            *dst++ =
                ts_clamp(ts_requantise(sum, q->multiplier[o], q->shift[o]) + q->zero_point, q->low, q->high);
        }
    }
}
