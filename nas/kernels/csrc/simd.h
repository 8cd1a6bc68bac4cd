// What the compiled parts share: vectors over neighbouring channels, sums in order, and the end of C++ exceptions.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <vector>

using i64 = std::int64_t;
using u8 = std::uint8_t;

template <class T, int N> struct Lanes {
  typedef T real __attribute__((vector_size(N * sizeof(T))));
  using index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef index whole __attribute__((vector_size(N * sizeof(T))));
  typedef u8 byte __attribute__((vector_size(N)));
};

template <class V, class T> inline V load(const T *from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class V, class T> inline void store(T *to, V v) { std::memcpy(to, &v, sizeof v); }

constexpr i64 LINE = 64;  // bytes that memory comes in

// Memory that begins with a line of it, as no vector then lies across two of them.
template <class T> struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class U> Aligned(const Aligned<U> &) {}
  T *allocate(std::size_t n) { return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(LINE))); }
  void deallocate(T *p, std::size_t) { ::operator delete(p, std::align_val_t(LINE)); }
  template <class U> bool operator==(const Aligned<U> &) const { return true; }
  template <class U> bool operator!=(const Aligned<U> &) const { return false; }
};
template <class T> using Row = std::vector<T, Aligned<T>>;

// Ask for n numbers ahead of their use: what lies in no cache then arrives while something else is computed.
template <bool to_write = false, class T> inline void ask_for(const T *from, i64 n) {
  for (i64 at = 0; at < n; at += LINE / i64(sizeof(T))) __builtin_prefetch(from + at, to_write, 3);
  asm volatile("");  // else GCC takes a function that does nothing but this for one without effect
}

template <int N> using Width = std::integral_constant<int, N>;

// Run `work(c, Width<n>)` over all channels, n neighbours at once.
template <class T, class Work> inline void for_channels(i64 C, Work work) {
  constexpr int most = 64 / sizeof(T);
  i64 c = 0;
  for (; c + most <= C; c += most) work(c, Width<most>{});
  for (; c + most / 2 <= C; c += most / 2) work(c, Width<most / 2>{});
  for (; c + most / 4 <= C; c += most / 4) work(c, Width<most / 4>{});
  for (; c + 2 <= C; c += 2) work(c, Width<2>{});
  for (; c < C; ++c) work(c, Width<1>{});
}

// Add `rows` rows of `n` numbers in order.
inline void add_rows(const std::vector<double> &rows, i64 n, double *out) {
  std::memset(out, 0, n * sizeof(double));
  for (std::size_t at = 0; at < rows.size(); ++at) out[at % n] += rows[at];
}

// Whether there was memory for the work: no C++ exception may reach the caller, who is not C++.
template <class Work> inline bool enough_memory_for(Work work) {
  try {
    work();
    return true;
  } catch (const std::bad_alloc &) {
    return false;
  }
}
