// Sums and maxima over a work-group of one dimension. The order of additions is fixed: repeated runs agree
// in every bit.

shared float scratch[gl_WorkGroupSize.x];

#ifdef SUB
#define REDUCE(name, in_subgroup, combine, neutral) \
    float name(float value) {                       \
        value = in_subgroup(value);                 \
        if (subgroupElect()) {                      \
            scratch[gl_SubgroupID] = value;         \
        }                                           \
        barrier();                                  \
        float all = neutral;                        \
        for (uint i = 0; i < gl_NumSubgroups; ++i) {\
            all = combine(all, scratch[i]);         \
        }                                           \
        barrier();                                  \
        return all;                                 \
    }
#else
// A tree; works for sizes that are no power of two as well.
#define REDUCE(name, in_subgroup, combine, neutral)              \
    float name(float value) {                                    \
        uint lane = gl_LocalInvocationID.x;                      \
        scratch[lane] = value;                                   \
        barrier();                                               \
        for (uint size = gl_WorkGroupSize.x; size > 1;) {        \
            uint half_size = (size + 1) / 2;                     \
            if (lane + half_size < size) {                       \
                scratch[lane] = combine(scratch[lane], scratch[lane + half_size]); \
            }                                                    \
            size = half_size;                                    \
            barrier();                                           \
        }                                                        \
        float all = scratch[0];                                  \
        barrier();                                               \
        return all;                                              \
    }
#endif

float plus(float a, float b) {
    return a + b;
}

REDUCE(reduce_add, subgroupAdd, plus, 0.0)
