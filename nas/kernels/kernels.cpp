// What stock torch is slow at on a CPU, over images in channels_last: P pixels (of all images) times C channels.
//
// Sums are taken over blocks of fixed size and added in order, so that results do not depend on the number of threads.
// Nothing here allocates what it returns, knows torch, or checks its arguments: nas/kernels/*.py does.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>
#include <vector>

using i64 = std::int64_t;
using u8 = std::uint8_t;

constexpr i64 BLOCK = 256;  // pixels

enum Norm { PLAIN = 0, BATCH = 1, GIVEN = 2 };  // how a term is normalised: not, by its own statistics, by given ones

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

template <int N> using Width = std::integral_constant<int, N>;

// Run `work(c, Width<n>)` over all channels, n neighbours at once.
template <class T, class Work> inline void for_channels(i64 C, Work work) {
  constexpr int most = 64 / sizeof(T);
  i64 c = 0;
  for (; c + most <= C; c += most) work(c, Width<most>{});
  for (; c + most / 2 <= C; c += most / 2) work(c, Width<most / 2>{});
  for (; c + most / 4 <= C; c += most / 4) work(c, Width<most / 4>{});
  for (; c < C; ++c) work(c, Width<1>{});
}

// Add `rows` rows of `n` numbers in order.
inline void add_rows(const std::vector<double> &rows, i64 n, double *out) {
  std::memset(out, 0, n * sizeof(double));
  for (std::size_t at = 0; at < rows.size(); ++at) out[at % n] += rows[at];
}

// Mean and biased variance of each channel.
template <class T> void moments(const T *z, i64 P, i64 C, double *mean, double *var, int threads) {
  const i64 blocks = (P + BLOCK - 1) / BLOCK;
  std::vector<double> parts(blocks * 2 * C), sums(2 * C);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {
    const i64 from = block * BLOCK, to = std::min(P, from + BLOCK);
    double *part = &parts[block * 2 * C];
    for_channels<T>(C, [&](i64 c, auto width) {
      constexpr int N = width;
      using V = typename Lanes<T, N>::real;
      const V shift = load<V>(z + c);  // near the mean, so that the squares do not cancel
      V s[4] = {}, q[4] = {};
      i64 p = from;
      for (; p + 4 <= to; p += 4)
        for (int j = 0; j < 4; ++j) {
          const V d = load<V>(z + (p + j) * C + c) - shift;
          s[j] += d;
          q[j] += d * d;
        }
      for (; p < to; ++p) {
        const V d = load<V>(z + p * C + c) - shift;
        s[0] += d;
        q[0] += d * d;
      }
      for (int j = 1; j < 4; ++j) s[0] += s[j], q[0] += q[j];
      for (int l = 0; l < N; ++l) part[c + l] = s[0][l], part[C + c + l] = q[0][l];
    });
  }
  add_rows(parts, 2 * C, sums.data());
  for (i64 c = 0; c < C; ++c) {
    const double shifted = sums[c] / P;
    mean[c] = z[c] + shifted;
    var[c] = std::max(0.0, sums[C + c] / P - shifted * shifted);
  }
}

// out = sum over i of strength[i] * norm(z[i]), clamped to lo..hi if `clamp`. A PLAIN term counts for its first
// shared[i] channels only. `mean` and `var`, (n, C), are written for BATCH terms and read for GIVEN ones.
template <class T>
void mix_forward(i64 n, const T *const *z, const i64 *norm, const i64 *shared, const double *strength,
                 const double *eps, double *mean, double *var, i64 P, i64 C, i64 clamp, double lo, double hi, T *out,
                 int threads) {
  std::vector<T> scale(n * C), offset(C);
  std::vector<double> sum(C);
  for (i64 i = 0; i < n; ++i) {
    if (norm[i] == BATCH) moments(z[i], P, C, mean + i * C, var + i * C, threads);
    for (i64 c = 0; c < C; ++c) {
      const bool plain = norm[i] == PLAIN;
      const double a = plain ? (c < shared[i] ? strength[i] : 0.0) : strength[i] / std::sqrt(var[i * C + c] + eps[i]);
      scale[i * C + c] = a;
      sum[c] -= plain ? 0.0 : a * mean[i * C + c];
    }
  }
  for (i64 c = 0; c < C; ++c) offset[c] = sum[c];
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 from = 0; from < P; from += BLOCK) {
    const i64 to = std::min(P, from + BLOCK);
    for_channels<T>(C, [&](i64 c, auto width) {
      using V = typename Lanes<T, width>::real;
      const V b = load<V>(&offset[c]);
      i64 i = 0;
      if (n % 2) {
        const V a = load<V>(&scale[c]);
        for (i64 p = from; p < to; ++p) store(out + p * C + c, a * load<V>(z[0] + p * C + c) + b);
        i = 1;
      } else
        for (i64 p = from; p < to; ++p) store(out + p * C + c, b);
      for (; i < n; i += 2) {  // the block of `out` stays in the cache
        const V a0 = load<V>(&scale[i * C + c]), a1 = load<V>(&scale[(i + 1) * C + c]);
        const T *z0 = z[i] + c, *z1 = z[i + 1] + c;
        for (i64 p = from; p < to; ++p)
          store(out + p * C + c, load<V>(out + p * C + c) + a0 * load<V>(z0 + p * C) + a1 * load<V>(z1 + p * C));
      }
      if (clamp) {
        const V least = V{} + T(lo), most = V{} + T(hi);
        for (i64 p = from; p < to; ++p) {
          V y = load<V>(out + p * C + c);
          y = y < least ? least : y;  // NaN passes
          store(out + p * C + c, y > most ? most : y);
        }
      }
    });
  }
}

// The gradient behind the clamp: zero where the normalised value lies outside of lo..hi.
template <class V, class T> inline V unclamped(V g, V y, T lo, T hi) {
  return y > V{} + lo && y < V{} + hi ? g : V{};
}

// From g = dL/dout, pixels g_step apart: slope[i] = dL/dstrength[i], and dL/dz[i] to gz[i] where that is not null.
template <class T>
void mix_backward(i64 n, const T *const *z, const i64 *norm, const i64 *shared, const double *strength,
                  const double *eps, const double *mean, const double *var, i64 P, i64 C, i64 clamp, double lo,
                  double hi, const T *g, i64 g_step, double *slope, T *const *gz, int threads) {
  const i64 blocks = (P + BLOCK - 1) / BLOCK, row = (n + 1) * C;
  std::vector<double> parts(blocks * row), sums(row);
  std::vector<T> centre(n * C), inverse(n * C);
  for (i64 at = 0; at < n * C; ++at) {
    const bool plain = norm[at / C] == PLAIN;
    centre[at] = plain ? 0.0 : mean[at];
    inverse[at] = plain ? 1.0 : 1.0 / std::sqrt(var[at] + eps[at / C]);
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {  // sums over the pixels: of g, and of g * (z[i] - centre)
    const i64 from = block * BLOCK, to = std::min(P, from + BLOCK);
    double *part = &parts[block * row];
    for_channels<T>(C, [&](i64 c, auto width) {
      constexpr int N = width;
      using V = typename Lanes<T, N>::real;
      for (i64 i = 0; i < n; ++i) {
        const V mid = load<V>(&centre[i * C + c]), inv = load<V>(&inverse[i * C + c]) * V(V{} + T(strength[i]));
        V dot[4] = {}, all[4] = {};
        const auto add = [&](i64 p, int j) {
          const V d = load<V>(z[i] + p * C + c) - mid;
          V slope_p = load<V>(g + p * g_step + c);
          if (clamp) slope_p = unclamped<V, T>(slope_p, d * inv, lo, hi);
          dot[j] += slope_p * d;
          if (i == 0) all[j] += slope_p;
        };
        i64 p = from;
        for (; p + 4 <= to; p += 4) add(p, 0), add(p + 1, 1), add(p + 2, 2), add(p + 3, 3);
        for (; p < to; ++p) add(p, 0);
        for (int j = 1; j < 4; ++j) dot[0] += dot[j], all[0] += all[j];
        for (int l = 0; l < N; ++l) {
          part[(i + 1) * C + c + l] = dot[0][l];
          if (i == 0) part[c + l] = all[0][l];
        }
      }
    });
  }
  add_rows(parts, row, sums.data());
  std::vector<T> by_g(n * C), by_z(n * C), constant(n * C);  // dL/dz = by_g * g + by_z * z + constant
  for (i64 i = 0; i < n; ++i) {
    slope[i] = 0;
    for (i64 c = 0; c < C; ++c) {
      const i64 at = i * C + c;
      const double dot = sums[C + at];
      if (norm[i] == PLAIN) {
        if (c < shared[i]) slope[i] += dot, by_g[at] = strength[i];
        continue;
      }
      const double inv = 1.0 / std::sqrt(var[at] + eps[i]), a = strength[i] * inv;
      slope[i] += dot * inv;
      by_g[at] = a;
      if (norm[i] == BATCH) {
        const double turn = -a * inv * inv * dot / P;
        by_z[at] = turn;
        constant[at] = -turn * mean[at] - a * sums[c] / P;
      }
    }
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {
    const i64 from = block * BLOCK, to = std::min(P, from + BLOCK);
    for (i64 i = 0; i < n; ++i) {
      if (gz[i] == nullptr) continue;
      const bool turned = norm[i] == BATCH;
      for_channels<T>(C, [&](i64 c, auto width) {
        using V = typename Lanes<T, width>::real;
        const V a = load<V>(&by_g[i * C + c]), b = load<V>(&by_z[i * C + c]), k = load<V>(&constant[i * C + c]);
        const V mid = load<V>(&centre[i * C + c]), inv = load<V>(&inverse[i * C + c]) * V(V{} + T(strength[i]));
        for (i64 p = from; p < to; ++p) {
          V y = load<V>(g + p * g_step + c);
          if (!turned && !clamp) {
            store(gz[i] + p * C + c, a * y);
            continue;
          }
          const V value = load<V>(z[i] + p * C + c);
          if (clamp) y = unclamped<V, T>(y, (value - mid) * inv, lo, hi);
          store(gz[i] + p * C + c, a * y + b * value + k);
        }
      });
    }
  }
}

struct Window {  // of a convolution or pool: sizes of the images and of the square window
  i64 B, C, H, W, out_H, out_W, kernel, stride, padding, dilation;
};

// dL/dweight of a depthwise convolution, as (kernel, kernel, C).
template <class T, int K> void depthwise_weight(const T *x, const T *g, const Window &s, double *out, int threads) {
  const i64 row = K * K * s.C;
  std::vector<double> parts(s.B * row);
  const i64 first = (s.padding + s.stride - 1) / s.stride;  // columns out of whose window nothing hangs
  const i64 last = std::min(s.out_W, (s.W - 1 - (K - 1) * s.dilation + s.padding + s.stride) / s.stride);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 b = 0; b < s.B; ++b)
    for (i64 h = 0; h < s.out_H; ++h)
      for (i64 kh = 0; kh < K; ++kh) {
        const i64 in_h = h * s.stride - s.padding + kh * s.dilation;
        if (in_h < 0 || in_h >= s.H) continue;
        const T *line = x + (b * s.H + in_h) * s.W * s.C, *slope = g + (b * s.out_H + h) * s.out_W * s.C;
        double *part = &parts[b * row + kh * K * s.C];
        for_channels<T>(s.C, [&](i64 c, auto width) {
          constexpr int N = width;
          using V = typename Lanes<T, N>::real;
          V acc[K] = {};
          const auto at_edge = [&](i64 w) {
            for (int kw = 0; kw < K; ++kw) {
              const i64 in_w = w * s.stride - s.padding + kw * s.dilation;
              if (in_w >= 0 && in_w < s.W) acc[kw] += load<V>(slope + w * s.C + c) * load<V>(line + in_w * s.C + c);
            }
          };
          i64 w = 0;
          for (; w < std::min(first, s.out_W); ++w) at_edge(w);
          for (; w < last; ++w) {
            const V y = load<V>(slope + w * s.C + c);
            const T *window = line + (w * s.stride - s.padding) * s.C + c;
            for (int kw = 0; kw < K; ++kw) acc[kw] += y * load<V>(window + kw * s.dilation * s.C);
          }
          for (; w < s.out_W; ++w) at_edge(w);
          for (int kw = 0; kw < K; ++kw)
            for (int l = 0; l < N; ++l) part[kw * s.C + c + l] += acc[kw][l];
        });
      }
  add_rows(parts, row, out);
}

// Maximum over windows; `place` keeps which of the window's pixels it was, the first of equals.
template <class T> void max_pool_forward(const T *x, const Window &s, T *out, u8 *place, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.out_H; ++line)
    for (i64 w = 0; w < s.out_W; ++w)
      for_channels<T>(s.C, [&](i64 c, auto width) {
        using L = Lanes<T, width>;
        using V = typename L::real;
        const i64 b = line / s.out_H, h = line % s.out_H, at = (line * s.out_W + w) * s.C + c;
        V best = V{} - INFINITY;
        typename L::whole found = {};
        for (i64 tap = 0; tap < s.kernel * s.kernel; ++tap) {
          const i64 in_h = h * s.stride - s.padding + tap / s.kernel, in_w = w * s.stride - s.padding + tap % s.kernel;
          if (in_h < 0 || in_h >= s.H || in_w < 0 || in_w >= s.W) continue;
          const V value = load<V>(x + ((b * s.H + in_h) * s.W + in_w) * s.C + c);
          const auto better = (value > best) | (value != value);  // NaN wins, as in torch
          best = better ? value : best;
          found = better ? typename L::whole{} + typename L::index(tap) : found;
        }
        store(out + at, best);
        store(place + at, __builtin_convertvector(found, typename L::byte));
      });
}

template <class T> void max_pool_backward(const T *g, const u8 *place, const Window &s, T *gx, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 line = 0; line < s.B * s.H; ++line)
    for (i64 w = 0; w < s.W; ++w)
      for_channels<T>(s.C, [&](i64 c, auto width) {
        using L = Lanes<T, width>;
        using V = typename L::real;
        const i64 b = line / s.H, h = line % s.H;
        V sum = {};
        for (i64 tap = 0; tap < s.kernel * s.kernel; ++tap) {
          const i64 up = h + s.padding - tap / s.kernel, left = w + s.padding - tap % s.kernel;
          if (up < 0 || left < 0 || up % s.stride || left % s.stride) continue;
          if (up / s.stride >= s.out_H || left / s.stride >= s.out_W) continue;
          const i64 at = ((b * s.out_H + up / s.stride) * s.out_W + left / s.stride) * s.C + c;
          const auto from = __builtin_convertvector(load<typename L::byte>(place + at), typename L::whole);
          sum += from == typename L::whole{} + typename L::index(tap) ? load<V>(g + at) : V{};
        }
        store(gx + (line * s.W + w) * s.C + c, sum);
      });
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

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool mix_forward_##suffix(i64 n, const T *const *z, const i64 *norm, const i64 *shared,                  \
                                       const double *strength, const double *eps, double *mean, double *var, i64 P,   \
                                       i64 C, i64 clamp, double lo, double hi, T *out, int threads) {                 \
    return enough_memory_for([&] {                                                                                    \
      mix_forward<T>(n, z, norm, shared, strength, eps, mean, var, P, C, clamp, lo, hi, out, threads);                \
    });                                                                                                               \
  }                                                                                                                   \
  extern "C" bool mix_backward_##suffix(                                                                              \
      i64 n, const T *const *z, const i64 *norm, const i64 *shared, const double *strength, const double *eps,        \
      const double *mean, const double *var, i64 P, i64 C, i64 clamp, double lo, double hi, const T *g, i64 g_step,   \
      double *slope, T *const *gz, int threads) {                                                                     \
    return enough_memory_for([&] {                                                                                    \
      mix_backward<T>(n, z, norm, shared, strength, eps, mean, var, P, C, clamp, lo, hi, g, g_step, slope, gz,        \
                      threads);                                                                                       \
    });                                                                                                               \
  }                                                                                                                   \
  extern "C" bool depthwise_weight_##suffix(const T *x, const T *g, const Window *s, double *out, int threads) {      \
    return enough_memory_for([&] {                                                                                    \
      (s->kernel == 3   ? depthwise_weight<T, 3>                                                                      \
       : s->kernel == 5 ? depthwise_weight<T, 5>                                                                      \
                        : depthwise_weight<T, 7>)(x, g, *s, out, threads);                                            \
    });                                                                                                               \
  }                                                                                                                   \
  extern "C" bool max_pool_forward_##suffix(const T *x, const Window *s, T *out, u8 *place, int threads) {            \
    return enough_memory_for([&] { max_pool_forward<T>(x, *s, out, place, threads); });                               \
  }                                                                                                                   \
  extern "C" bool max_pool_backward_##suffix(const T *g, const u8 *place, const Window *s, T *gx, int threads) {      \
    return enough_memory_for([&] { max_pool_backward<T>(g, place, *s, gx, threads); });                               \
  }

EXPORT(float, f32)
EXPORT(double, f64)
