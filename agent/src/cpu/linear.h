/* Integer matrix products: the kernels of one isa and the driver around them (internal to the CPU backend).
 *
 * Weights come in blocks of 16 rows (outputs). int8: [cols/4][16][4] bytes. int4: [cols/8][16][4] bytes whose low
 * nibbles are the even columns of each 8 and whose high nibbles the odd ones, as value + 8.
 *
 * Activations are packed per call, for the isa: tokens in tiles of 2^i, the largest first ("tokens" at most); inside a
 * tile [cols/unit][tokens of the tile][unit]. For int4, every 8 columns are permuted to 0 2 4 6 1 3 5 7. */
#ifndef GEMMAFIT_CPU_LINEAR_H
#define GEMMAFIT_CPU_LINEAR_H

#include "isa.h"

enum { BLOCK_ROWS = 16 };

/* acc[block][n][16] += x . w^T over `depth` columns (a multiple of 64). w: the first of `blocks` row blocks, each
 * `stride` bytes after the one before; x: the packed activations of n tokens for these columns. */
typedef void panel_fn(const uint8_t *w, size_t stride, int blocks, const int8_t *x, int n, int depth, int32_t *acc);

typedef struct linear_ops {
    panel_fn *i8, *i4;
    int unit, tokens;
    int bias; /* the int8 kernel computes x . (w + bias): an unsigned operand for the x86 dot products */
} linear_ops;

extern const linear_ops cpu_linear_scalar, cpu_linear_avx2, cpu_linear_avxvnni, cpu_linear_avx512vnni, cpu_linear_amx,
    cpu_linear_neon, cpu_linear_dotprod, cpu_linear_i8mm;

/* Tokens of the next tile when `left` remain. */
static inline int token_tile(int left, int largest) {
    int tile = largest;
    while (tile > left) tile >>= 1;
    return tile;
}

/* Defines a panel function over `TILE(w, x, depth, acc, m)`, an inlinable kernel of one row block and m tokens. */
#define DEFINE_PANEL(name, target, TILE, LARGEST)                                                                      \
    target static void name(const uint8_t *w, size_t stride, int blocks, const int8_t *x, int n, int depth,            \
                            int32_t *acc) {                                                                            \
        for (int b = 0; b < blocks; b++, w += stride) {                                                                \
            const int8_t *tokens = x;                                                                                  \
            for (int left = n, m; left; left -= m, tokens += (size_t)m * depth, acc += m * BLOCK_ROWS) {               \
                m = token_tile(left, LARGEST);                                                                         \
                switch (m) {                                                                                           \
                    case 1: TILE(w, tokens, depth, acc, 1); break;                                                     \
                    case 2: TILE(w, tokens, depth, acc, LARGEST < 2 ? LARGEST : 2); break;                             \
                    case 4: TILE(w, tokens, depth, acc, LARGEST < 4 ? LARGEST : 4); break;                             \
                    case 8: TILE(w, tokens, depth, acc, LARGEST < 8 ? LARGEST : 8); break;                             \
                    default: TILE(w, tokens, depth, acc, LARGEST); break;                                              \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#endif
