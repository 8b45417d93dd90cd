/* Integer products in portable C: the yardstick of the other isas, and the last resort. */
#include "linear.h"

static inline void tile_i8(const uint8_t *w, const int8_t *x, int depth, int32_t *acc) {
    for (int k = 0; k < depth; k += 4, w += 64, x += 4)
        for (int r = 0; r < BLOCK_ROWS; r++)
            for (int i = 0; i < 4; i++) acc[r] += (int8_t)w[r * 4 + i] * x[i];
}

static inline void tile_i4(const uint8_t *w, const int8_t *x, int depth, int32_t *acc) {
    for (int k = 0; k < depth; k += 8, w += 64, x += 8)
        for (int r = 0; r < BLOCK_ROWS; r++)
            for (int i = 0; i < 4; i++) acc[r] += (w[r * 4 + i] & 15) * x[i] + (w[r * 4 + i] >> 4) * x[4 + i];
}

#define TILE_I8(w, x, depth, acc, m) tile_i8(w, x, depth, acc)
#define TILE_I4(w, x, depth, acc, m) tile_i4(w, x, depth, acc)
DEFINE_PANEL(panel_i8, , TILE_I8, 1)
DEFINE_PANEL(panel_i4, , TILE_I4, 1)

const linear_ops cpu_linear_scalar = {panel_i8, panel_i4, 4, 1, 0};
