// A node's sum: out = sum over i of strength[i] * norm(z[i]), over images in channels_last, P pixels (of all images)
// times C channels; see nas/kernels/node_sum.py.
//
// Sums are taken over blocks of fixed size and added in order, so that results do not depend on the number of threads.
// Nothing here allocates what it returns, knows torch, or checks its arguments: nas/kernels/*.py does.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "simd.h"

// Pixels of a block: of two tensors it fits into the nearest cache.
inline i64 block_of(i64 C) { return std::max<i64>(1, 4096 / C); }

enum Norm { PLAIN = 0, BATCH = 1, GIVEN = 2 };  // how a term is normalised: not, by its own statistics, by given ones

// Mean and biased variance of each channel.
template <class T> void moments(const T *z, i64 P, i64 C, double *mean, double *var, int threads) {
  const i64 size = block_of(C), blocks = (P + size - 1) / size;
  std::vector<double> parts(blocks * 2 * C), sums(2 * C);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {
    const i64 from = block * size, to = std::min(P, from + size);
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
  const i64 size = block_of(C);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 from = 0; from < P; from += size) {
    const i64 to = std::min(P, from + size);
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

// n pixels without what lies between them: lines of memory a power of two apart would push each other out of the cache.
template <class T> const T *dense_block(const T *from, i64 step, i64 n, i64 C, T *room) {
  if (step == C) return from;
  for (i64 p = 0; p < n; ++p) std::copy_n(from + p * step, C, room + p * C);
  return room;
}

// From g = dL/dout, pixels g_step apart: slope[i] = dL/dstrength[i]; dL/dz[i] to gz[i] where that is not null, and what
// it is made of, (n, 3, C): dL/dz = coefficients[0] * g + coefficients[1] * z + coefficients[2] (without the clamp).
template <class T>
void mix_backward(i64 n, const T *const *z, const i64 *norm, const i64 *shared, const double *strength,
                  const double *eps, const double *mean, const double *var, i64 P, i64 C, i64 clamp, double lo,
                  double hi, const T *g, i64 g_step, double *slope, T *coefficients, T *const *gz, int threads) {
  const i64 size = block_of(C), blocks = (P + size - 1) / size, row = (n + 1) * C;
  std::vector<double> parts(blocks * row), sums(row);
  std::vector<T> centre(n * C), inverse(n * C);
  Row<T> dense(threads * size * C);
  for (i64 at = 0; at < n * C; ++at) {
    const bool plain = norm[at / C] == PLAIN;
    centre[at] = plain ? 0.0 : mean[at];
    inverse[at] = plain ? 1.0 : 1.0 / std::sqrt(var[at] + eps[at / C]);
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {  // sums over the pixels: of g, and of g * (z[i] - centre)
    const i64 from = block * size, n_pixels = std::min(P, from + size) - from;
    double *part = &parts[block * row];
    const T *by = dense_block(g + from * g_step, g_step, n_pixels, C, &dense[omp_get_thread_num() * size * C]);
    for (i64 i = 0; i < n; ++i) {
      const T *own = z[i] + from * C;
      if (i + 1 < n) ask_for(z[i + 1] + from * C, n_pixels * C);
      for_channels<T>(C, [&](i64 c, auto width) {
        constexpr int N = width;
        using V = typename Lanes<T, N>::real;
        const V mid = load<V>(&centre[i * C + c]), inv = load<V>(&inverse[i * C + c]) * V(V{} + T(strength[i]));
        V dot[4] = {}, all[4] = {};
        const auto add = [&](i64 p, int j) {
          const V d = load<V>(own + p * C + c) - mid;
          V slope_p = load<V>(by + p * C + c);
          if (clamp) slope_p = unclamped<V, T>(slope_p, d * inv, lo, hi);
          dot[j] += slope_p * d;
          if (i == 0) all[j] += slope_p;
        };
        i64 p = 0;
        for (; p + 4 <= n_pixels; p += 4) add(p, 0), add(p + 1, 1), add(p + 2, 2), add(p + 3, 3);
        for (; p < n_pixels; ++p) add(p, 0);
        for (int j = 1; j < 4; ++j) dot[0] += dot[j], all[0] += all[j];
        for (int l = 0; l < N; ++l) {
          part[(i + 1) * C + c + l] = dot[0][l];
          if (i == 0) part[c + l] = all[0][l];
        }
      });
    }
  }
  add_rows(parts, row, sums.data());
  std::fill(coefficients, coefficients + n * 3 * C, T(0));
  for (i64 i = 0; i < n; ++i) {
    T *by_g = coefficients + i * 3 * C, *by_z = by_g + C, *constant = by_z + C;
    slope[i] = 0;
    for (i64 c = 0; c < C; ++c) {
      const i64 at = i * C + c;
      const double dot = sums[C + at];
      if (norm[i] == PLAIN) {
        if (c < shared[i]) slope[i] += dot, by_g[c] = strength[i];
        continue;
      }
      const double inv = 1.0 / std::sqrt(var[at] + eps[i]), a = strength[i] * inv;
      slope[i] += dot * inv;
      by_g[c] = a;
      if (norm[i] == BATCH) {
        const double turn = -a * inv * inv * dot / P;
        by_z[c] = turn;
        constant[c] = -turn * mean[at] - a * sums[c] / P;
      }
    }
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 block = 0; block < blocks; ++block) {
    const i64 from = block * size, n_pixels = std::min(P, from + size) - from;
    const T *by = dense_block(g + from * g_step, g_step, n_pixels, C, &dense[omp_get_thread_num() * size * C]);
    for (i64 i = 0; i < n; ++i) {
      if (gz[i] == nullptr) continue;
      const bool turned = norm[i] == BATCH;
      const T *parts_of_z = coefficients + i * 3 * C, *own = z[i] + from * C;
      T *to = gz[i] + from * C;
      for_channels<T>(C, [&](i64 c, auto width) {
        using V = typename Lanes<T, width>::real;
        const V a = load<V>(parts_of_z + c), b = load<V>(parts_of_z + C + c), k = load<V>(parts_of_z + 2 * C + c);
        const V mid = load<V>(&centre[i * C + c]), inv = load<V>(&inverse[i * C + c]) * V(V{} + T(strength[i]));
        for (i64 p = 0; p < n_pixels; ++p) {
          V y = load<V>(by + p * C + c);
          if (!turned && !clamp) {
            store(to + p * C + c, a * y);
            continue;
          }
          const V value = load<V>(own + p * C + c);
          if (clamp) y = unclamped<V, T>(y, (value - mid) * inv, lo, hi);
          store(to + p * C + c, a * y + b * value + k);
        }
      });
    }
  }
}

#define EXPORT(T, suffix)                                                                                             \
  extern "C" bool moments_##suffix(const T *z, i64 P, i64 C, double *mean, double *var, int threads) {                \
    return enough_memory_for([&] { moments<T>(z, P, C, mean, var, threads); });                                       \
  }                                                                                                                   \
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
      double *slope, T *coefficients, T *const *gz, int threads) {                                                    \
    return enough_memory_for([&] {                                                                                    \
      mix_backward<T>(n, z, norm, shared, strength, eps, mean, var, P, C, clamp, lo, hi, g, g_step, slope,            \
                      coefficients, gz, threads);                                                                     \
    });                                                                                                               \
  }

EXPORT(float, f32)
EXPORT(double, f64)
