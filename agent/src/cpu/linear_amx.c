/* Integer products for AMX: 16 consecutive weight blocks of 64 bytes are one tile of 16 outputs x 64 columns as they
 * lie in memory. Two row blocks x two tiles of 16 tokens are in flight, so that four tile loads feed four products. */
#if defined(__x86_64__)
#include "linear.h"
#include "x86.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,amx-tile,amx-int8")))

enum {
    TOKENS = 16,
    TILE_COLUMNS = 64,
    TILE_BYTES = 1024,
    SLICE = 512, /* columns at a time: two row blocks of them are 16 KB, which stay in L1 beside the activations' */
    SLICE_BYTES = BLOCK_ROWS * SLICE,
};

/* Sums in 0..3, tokens in 4 and 5, weights in 6 and 7; the tiles of tokens have `tokens` rows. */
TARGET static void configure(int tokens) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = (uint8_t)(i < 6 ? tokens : 16);
    }
    _tile_loadconfig(&config);
}

/* Two row blocks (w1 is NULL for one) over `columns` columns, and where the ones after them lie. Tile loads do not
 * wake the hardware prefetcher, so each pass over the tokens fetches its share of the next weights into L2. */
typedef struct blocks {
    const uint8_t *w0, *w1;
    int columns;
    const uint8_t *next0, *next1; /* NULL: unknown */
    int next_bytes;               /* for 64 columns */
} blocks;

TARGET static inline __attribute__((always_inline)) void prefetch(const uint8_t *p, int bytes) {
    for (int i = 0; i < bytes; i += 64) _mm_prefetch((const char *)p + i, _MM_HINT_T1);
}

/* One or two row blocks x one or two token tiles of m tokens. */
#define PRODUCT(two_blocks, two_tiles)                                                                                 \
    do {                                                                                                               \
        int32_t *const a00 = acc, *const a01 = acc + n * BLOCK_ROWS, *const a10 = acc + m * BLOCK_ROWS,                \
                       *const a11 = a01 + m * BLOCK_ROWS;                                                              \
        _tile_loadd(0, a00, 64);                                                                                       \
        if (two_blocks) _tile_loadd(1, a01, 64);                                                                       \
        if (two_tiles) _tile_loadd(2, a10, 64);                                                                        \
        if (two_blocks && two_tiles) _tile_loadd(3, a11, 64);                                                          \
        for (int k = 0; k < w.columns; k += TILE_COLUMNS) {                                                            \
            _tile_loadd(4, x + (size_t)m * (first + k), 64);                                                           \
            _tile_loadd(6, w.w0 + BLOCK_ROWS * k, 64);                                                                 \
            _tile_dpbssd(0, 4, 6);                                                                                     \
            prefetch(next0 + (size_t)(k / TILE_COLUMNS) * w.next_bytes, share);                                        \
            if (two_blocks) {                                                                                          \
                _tile_loadd(7, w.w1 + BLOCK_ROWS * k, 64);                                                             \
                _tile_dpbssd(1, 4, 7);                                                                                 \
            }                                                                                                          \
            prefetch(next1 + (size_t)(k / TILE_COLUMNS) * w.next_bytes, share);                                        \
            if (two_tiles) {                                                                                           \
                _tile_loadd(5, x + (size_t)m * (depth + first + k), 64);                                               \
                _tile_dpbssd(2, 5, 6);                                                                                 \
                if (two_blocks) _tile_dpbssd(3, 5, 7);                                                                 \
            }                                                                                                          \
        }                                                                                                              \
        _tile_stored(0, a00, 64);                                                                                      \
        if (two_blocks) _tile_stored(1, a01, 64);                                                                      \
        if (two_tiles) _tile_stored(2, a10, 64);                                                                       \
        if (two_blocks && two_tiles) _tile_stored(3, a11, 64);                                                         \
    } while (0)

/* All n tokens against `w`, whose columns start at `first` of a packed chunk of `depth` columns. */
TARGET static void products(blocks w, const int8_t *x, int n, int depth, int first, int32_t *acc) {
    const int passes = (n + 2 * TOKENS - 1) / (2 * TOKENS);
    int share = w.next0 ? (w.next_bytes / passes + 63) & ~63 : 0, configured = 0;
    const uint8_t *next0 = w.next0, *next1 = w.next1;
    for (int left = n, m, tiles; left;
         left -= m * tiles, x += (size_t)m * tiles * depth, acc += m * tiles * BLOCK_ROWS) {
        m = token_tile(left, TOKENS);
        tiles = left >= 2 * TOKENS ? 2 : 1;
        if (m != configured) configure(configured = m);
        if (tiles == 2 && w.w1)
            PRODUCT(1, 1);
        else if (tiles == 2)
            PRODUCT(0, 1);
        else if (w.w1)
            PRODUCT(1, 0);
        else
            PRODUCT(0, 0);
        next0 += share, next1 += share;
    }
}

TARGET static void panel_i8(const uint8_t *w, size_t stride, int count, const int8_t *x, int n, int depth,
                            int32_t *acc) {
    for (int b = 0; b < count; b += 2, w += 2 * stride, acc += 2 * n * BLOCK_ROWS)
        for (int k = 0, columns; k < depth; k += columns) {
            columns = depth - k < SLICE ? depth - k : SLICE;
            const uint8_t *const w0 = w + BLOCK_ROWS * k, *const w1 = w0 + stride;
            blocks now = {w0, b + 1 < count ? w1 : NULL, columns, NULL, NULL, TILE_BYTES};
            if (k + 2 * SLICE <= depth)
                now.next0 = w0 + SLICE_BYTES, now.next1 = w1 + SLICE_BYTES;
            else if (b + 3 < count)
                now.next0 = w + 2 * stride, now.next1 = w + 3 * stride;
            products(now, x, n, depth, k, acc);
        }
    _tile_release();
}

/* Nibbles to bytes: `columns` of one row block. */
TARGET static void unpack(const uint8_t *w, int columns, uint8_t *out) {
    const __m512i low = _mm512_set1_epi8(15);
    for (int k = 0; k < columns; k += 8, w += 64, out += 128) {
        const __m512i both = _mm512_loadu_si512(w);
        _mm512_storeu_si512(out, _mm512_and_si512(both, low));
        _mm512_storeu_si512(out + 64, _mm512_and_si512(_mm512_srli_epi16(both, 4), low));
    }
}

TARGET static void panel_i4(const uint8_t *w, size_t stride, int count, const int8_t *x, int n, int depth,
                            int32_t *acc) {
    _Alignas(64) uint8_t bytes[2][SLICE_BYTES];
    for (int b = 0; b < count; b += 2, w += 2 * stride, acc += 2 * n * BLOCK_ROWS)
        for (int k = 0, columns; k < depth; k += columns) {
            columns = depth - k < SLICE ? depth - k : SLICE;
            const uint8_t *const w0 = w + BLOCK_ROWS / 2 * k, *const w1 = w0 + stride;
            const int pair = b + 1 < count;
            unpack(w0, columns, bytes[0]);
            if (pair) unpack(w1, columns, bytes[1]);
            blocks now = {bytes[0], pair ? bytes[1] : NULL, columns, NULL, NULL, TILE_BYTES / 2};
            if (k + 2 * SLICE <= depth)
                now.next0 = w0 + SLICE_BYTES / 2, now.next1 = w1 + SLICE_BYTES / 2;
            else if (b + 3 < count)
                now.next0 = w + 2 * stride, now.next1 = w + 3 * stride;
            products(now, x, n, depth, k, acc);
        }
    _tile_release();
}

const linear_ops cpu_linear_amx = {panel_i8, panel_i4, TILE_COLUMNS, TOKENS, 0};
#endif
