// Vectors over neighboring channels, aligned memory, prefetching, sums in a fixed order, threads and exceptions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
inline int thread_index() { return omp_get_thread_num(); }
#else  // Apple's clang has no OpenMP: the pragmas are ignored and one thread does all the work
inline int thread_index() { return 0; }
#endif

using i64 = std::int64_t;
using u8 = std::uint8_t;

template <class T, int N> struct Lanes {
  typedef T real __attribute__((vector_size(N * sizeof(T))));
  using index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef index integer __attribute__((vector_size(N * sizeof(T))));
  typedef u8 byte __attribute__((vector_size(N)));
};

template <class V, class T> inline V load(const T *from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class V, class T> inline void store(T *to, V v) { std::memcpy(to, &v, sizeof v); }

// The same numbers in double.
template <class T, int N> inline typename Lanes<double, N>::real widen(typename Lanes<T, N>::real v) {
  return __builtin_convertvector(v, typename Lanes<double, N>::real);
}

constexpr i64 CACHE_LINE = 64;  // bytes

template <class T> constexpr i64 round_to_cache_line(i64 size) {
  const i64 line = CACHE_LINE / sizeof(T);
  return (size + line - 1) / line * line;
}

inline i64 divide_up(i64 a, i64 b) { return (a + b - 1) / b; }

// Allocates at the beginning of a cache line, so that no full vector crosses two lines.
template <class T> struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <class U> AlignedAllocator(const AlignedAllocator<U> &) {}
  T *allocate(std::size_t n) { return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(CACHE_LINE))); }
  void deallocate(T *p, std::size_t) { ::operator delete(p, std::align_val_t(CACHE_LINE)); }
  template <class U> bool operator==(const AlignedAllocator<U> &) const { return true; }
  template <class U> bool operator!=(const AlignedAllocator<U> &) const { return false; }
};
template <class T> using AlignedVector = std::vector<T, AlignedAllocator<T>>;

// Uninitialized memory of the calling thread, kept between calls; the slots are independent of each other.
template <class T, int slot> T *workspace(i64 size) {
  static thread_local AlignedVector<T> memory;
  if (size > i64(memory.size())) memory.clear(), memory.resize(size);
  return memory.data();
}

// Request n numbers ahead of their use, so that they arrive from memory while something else is computed.
template <bool to_write = false, class T> inline void prefetch(const T *from, i64 n) {
  for (i64 at = 0; at < n; at += CACHE_LINE / i64(sizeof(T))) __builtin_prefetch(from + at, to_write, 3);
  asm volatile("");  // otherwise GCC removes calls of a function that does nothing but this
}

template <int N> using Width = std::integral_constant<int, N>;

// Call `work(c, Width<n>)` for all channels, n neighbors at once.
template <class T, class Work> inline void for_channels(i64 C, Work work) {
  constexpr int most = 64 / sizeof(T);
  i64 c = 0;
  for (; c + most <= C; c += most) work(c, Width<most>{});
  for (; c + most / 2 <= C; c += most / 2) work(c, Width<most / 2>{});
  for (; c + most / 4 <= C; c += most / 4) work(c, Width<most / 4>{});
  for (; c + 2 <= C; c += 2) work(c, Width<2>{});
  for (; c < C; ++c) work(c, Width<1>{});
}

// Call `work(at, Width<r>)` for n pixels, r at once.
template <class Work> inline void for_pixels(i64 n, Work work) {
  i64 at = 0;
  for (; at + 8 <= n; at += 8) work(at, Width<8>{});
  for (; at + 4 <= n; at += 4) work(at, Width<4>{});
  for (; at < n; ++at) work(at, Width<1>{});
}

// Sum rows of n numbers, in order.
inline void sum_rows(const std::vector<double> &rows, i64 n, double *out) {
  std::memset(out, 0, n * sizeof(double));
  for (std::size_t at = 0; at < rows.size(); ++at) out[at % n] += rows[at];
}

// Return whether there was enough memory for the work: no C++ exception may reach Python.
template <class Work> inline bool enough_memory_for(Work work) {
  try {
    work();
    return true;
  } catch (const std::exception &) {  // std::bad_alloc, or std::length_error for absurd sizes
    return false;
  }
}
