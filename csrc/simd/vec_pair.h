// Two registers used as one, and pairs of pairs: every operation goes to both halves. Only `vec.h` includes this file.
#pragma once

namespace nnlite::NN_ISA::native {

template <class H>
struct Pair {
  H lo, hi;
  static constexpr int kLanes = 2 * H::kLanes;
};

template <class A>
NN_INLINE Pair<A> make_pair(A lo, A hi) {
  return {lo, hi};
}

#define NN_PAIR1(name)                        \
  template <class H>                          \
  NN_INLINE auto name(Pair<H> a) {            \
    return make_pair(name(a.lo), name(a.hi)); \
  }
#define NN_PAIR2(name)                                    \
  template <class H>                                      \
  NN_INLINE auto name(Pair<H> a, Pair<H> b) {             \
    return make_pair(name(a.lo, b.lo), name(a.hi, b.hi)); \
  }
#define NN_PAIR3(name)                                                \
  template <class H>                                                  \
  NN_INLINE auto name(Pair<H> a, Pair<H> b, Pair<H> c) {              \
    return make_pair(name(a.lo, b.lo, c.lo), name(a.hi, b.hi, c.hi)); \
  }
#define NN_PAIR_SHIFT(name)                \
  template <int n, class H>                \
  NN_INLINE Pair<H> name(Pair<H> a) {      \
    return {name<n>(a.lo), name<n>(a.hi)}; \
  }
NN_PAIR1(sqrt)
NN_PAIR1(rounded)
NN_PAIR1(floor)
NN_PAIR1(ceil)
NN_PAIR1(round_even)
NN_PAIR1(trunc)
NN_PAIR1(as_int)
NN_PAIR1(as_float)
NN_PAIR1(round_to_int)
NN_PAIR1(trunc_to_int)
NN_PAIR1(to_float)
NN_PAIR1(mask_not)
NN_PAIR2(add)
NN_PAIR2(sub)
NN_PAIR2(mul)
NN_PAIR2(div)
NN_PAIR2(min)
NN_PAIR2(max)
NN_PAIR2(bit_and)
NN_PAIR2(bit_or)
NN_PAIR2(bit_xor)
NN_PAIR2(eq)
NN_PAIR2(ne)
NN_PAIR2(lt)
NN_PAIR2(le)
NN_PAIR2(mask_and)
NN_PAIR2(mask_or)
NN_PAIR3(fma)
NN_PAIR3(fms)
NN_PAIR3(fnma)
NN_PAIR_SHIFT(shift_left)
NN_PAIR_SHIFT(shift_right)
NN_PAIR_SHIFT(shift_right_signed)
#undef NN_PAIR1
#undef NN_PAIR2
#undef NN_PAIR3
#undef NN_PAIR_SHIFT

template <class M, class V>
NN_INLINE Pair<V> select(Pair<M> m, Pair<V> a, Pair<V> b) {
  return {select(m.lo, a.lo, b.lo), select(m.hi, a.hi, b.hi)};
}
template <class M>
NN_INLINE uint32_t bits(Pair<M> m) {
  return bits(m.lo) | (bits(m.hi) << M::kLanes);
}

#define NN_PAIR_LOAD(name)                      \
  template <class H, class T>                   \
  NN_INLINE void name(Pair<H>& v, const T* p) { \
    name(v.lo, p);                              \
    name(v.hi, p + H::kLanes);                  \
  }
#define NN_PAIR_STORE(name)              \
  template <class H, class T>            \
  NN_INLINE void name(T* p, Pair<H> v) { \
    name(p, v.lo);                       \
    name(p + H::kLanes, v.hi);           \
  }
NN_PAIR_LOAD(load)
NN_PAIR_LOAD(load_u8)
NN_PAIR_LOAD(load_i8)
NN_PAIR_LOAD(load_u16)
NN_PAIR_LOAD(load_mask)
NN_PAIR_STORE(store)
NN_PAIR_STORE(stream)
NN_PAIR_STORE(store_u8)
NN_PAIR_STORE(store_u16)
NN_PAIR_STORE(store_mask)
#undef NN_PAIR_LOAD
#undef NN_PAIR_STORE

template <class H, class T>
NN_INLINE void load_part(Pair<H>& v, const T* p, int n) {
  load_part(v.lo, p, n);
  load_part(v.hi, p + H::kLanes, n - H::kLanes);
}
template <class H, class T>
NN_INLINE void store_part(T* p, Pair<H> v, int n) {
  store_part(p, v.lo, n);
  store_part(p + H::kLanes, v.hi, n - H::kLanes);
}
template <class H, class T>
NN_INLINE void splat(Pair<H>& v, T x) {
  splat(v.lo, x);
  v.hi = v.lo;
}

template <class H, class K>
NN_INLINE void to_double(Pair<H> a, Pair<K>& first, Pair<K>& last) {
  to_double(a.lo, first.lo, first.hi);
  to_double(a.hi, last.lo, last.hi);
}
template <class H, class K>
NN_INLINE void to_single(Pair<H>& v, Pair<K> first, Pair<K> last) {
  to_single(v.lo, first.lo, first.hi);
  to_single(v.hi, last.lo, last.hi);
}

template <class H>
NN_INLINE auto reduce_add(Pair<H> a) {
  return reduce_add(add(a.lo, a.hi));
}
template <class H>
NN_INLINE auto reduce_max(Pair<H> a) {
  return reduce_max(max(a.lo, a.hi));
}
template <class H>
NN_INLINE auto reduce_min(Pair<H> a) {
  return reduce_min(min(a.lo, a.hi));
}

}  // namespace nnlite::NN_ISA::native
